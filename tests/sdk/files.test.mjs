// files.*: write, read, list, info, rename, makeDir, remove.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { eachSdk, it } from './support/sdks.mjs'
import { failure, open } from './support/sandbox.mjs'

async function drain(stream) {
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}
const arrayBuffer = (bytes) => bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)

eachSdk('files', (sdk) => {
  const { FileNotFoundError, InvalidArgumentError, AuthenticationError, SandboxError } = sdk

  it('what was written is read', async (t) => {
    const sandbox = await open(t, sdk)
    const info = await sandbox.files.write('greeting.txt', 'héllo 漢\n')
    assert.equal(info.path, '/home/user/greeting.txt')
    assert.equal(info.name, 'greeting.txt')
    assert.equal(info.type, 'file')
    assert.equal(await sandbox.files.read('greeting.txt'), 'héllo 漢\n')
    assert.equal((await sandbox.commands.run('cat greeting.txt; stat -c "%U:%G %a" greeting.txt')).stdout, 'héllo 漢\nuser:user 644\n')
  })

  it('every form of reading gives the same bytes', async (t) => {
    const sandbox = await open(t, sdk)
    const bytes = randomBytes(300_000)
    await sandbox.files.write('/tmp/random.bin', arrayBuffer(bytes))
    const read = (format) => sandbox.files.read('/tmp/random.bin', { format })
    assert.ok(bytes.equals(Buffer.from(await read('bytes'))), 'bytes')
    assert.ok(bytes.equals(Buffer.from(await (await read('blob')).arrayBuffer())), 'blob')
    assert.ok(bytes.equals(await drain(await read('stream'))), 'stream')
    const sum = await sandbox.commands.run("sha256sum < /tmp/random.bin | cut -d' ' -f1")
    const { createHash } = await import('node:crypto')
    assert.equal(sum.stdout.trim(), createHash('sha256').update(bytes).digest('hex'))
  })

  it('every form of writing gives the same bytes', async (t) => {
    const sandbox = await open(t, sdk)
    const bytes = randomBytes(100_000)
    const forms = {
      buffer: () => arrayBuffer(bytes),
      blob: () => new Blob([bytes]),
      stream: () => new Blob([bytes]).stream(),
    }
    for (const [name, make] of Object.entries(forms)) {
      for (const useOctetStream of [false, true]) {
        const path = `/tmp/${name}-${useOctetStream}`
        await sandbox.files.write(path, make(), { useOctetStream })
        assert.ok(bytes.equals(Buffer.from(await sandbox.files.read(path, { format: 'bytes' }))), path)
      }
    }
  })

  it('a large file goes both ways', async (t) => {
    const sandbox = await open(t, sdk)
    const bytes = randomBytes(12 * 1024 * 1024)
    await sandbox.files.write('/tmp/large', new Blob([bytes]))
    assert.ok(bytes.equals(Buffer.from(await sandbox.files.read('/tmp/large', { format: 'bytes' }))))
  })

  it('an empty file is empty in every form', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.files.write('empty', '')
    assert.equal(await sandbox.files.read('empty'), '')
    assert.equal((await sandbox.files.read('empty', { format: 'bytes' })).length, 0)
    assert.equal((await sandbox.files.read('empty', { format: 'blob' })).size, 0)
    assert.equal((await drain(await sandbox.files.read('empty', { format: 'stream' }))).length, 0)
    assert.equal((await sandbox.files.getInfo('empty')).size, 0)
  })

  it('writing again replaces the content and keeps the mode', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.files.write('script', 'a longer first version')
    await sandbox.commands.run('chmod 755 script')
    await sandbox.files.write('script', 'short')
    assert.equal(await sandbox.files.read('script'), 'short')
    assert.equal((await sandbox.files.getInfo('script')).mode, 0o755)
  })

  it('many files at once, in folders that did not exist', async (t) => {
    const sandbox = await open(t, sdk)
    const files = Array.from({ length: 12 }, (_, i) => ({ path: `/tmp/a/b${i % 3}/c/file-${i}.txt`, data: `content ${i}` }))
    const written = await sandbox.files.write(files)
    assert.deepEqual(written.map((info) => info.path), files.map((file) => file.path))
    for (const file of files) assert.equal(await sandbox.files.read(file.path), file.data)
    const more = await sandbox.files.writeFiles([{ path: 'x/one', data: '1' }, { path: 'x/two', data: new Blob(['2']) }])
    assert.deepEqual(more.map((info) => info.path), ['/home/user/x/one', '/home/user/x/two'])
    assert.equal((await sandbox.commands.run('stat -c %U x x/one')).stdout, 'user\nuser\n')
  })

  const odd = ['spaces in it', 'ключ 漢字 🙂', `it's "quoted"`, '100% sure & more?#', 'back\\slash', '-dash', 'new\nline']
  for (const name of odd) {
    it(`takes the file name ${JSON.stringify(name)}`, async (t) => {
      const sandbox = await open(t, sdk)
      const folder = `/tmp/in ${name}`
      const info = await sandbox.files.write(`${folder}/${name}`, name)
      assert.equal(info.name, name)
      assert.equal(await sandbox.files.read(`${folder}/${name}`), name)
      assert.deepEqual((await sandbox.files.list(folder)).map((entry) => entry.name), [name])
      assert.equal((await sandbox.files.getInfo(`${folder}/${name}`)).path, `${folder}/${name}`)
      await sandbox.files.write([{ path: `${folder}/${name}`, data: 'again' }, { path: `${folder}/other`, data: '' }])
      assert.equal(await sandbox.files.read(`${folder}/${name}`), 'again')
      await sandbox.files.rename(`${folder}/${name}`, `${folder}/moved`)
      assert.equal(await sandbox.files.exists(`${folder}/${name}`), false)
    })
  }

  it('lists by depth, sorted, each folder before its content', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.files.write(['b/two', 'b/one', 'a/deep/er/leaf', 'c'].map((path) => ({ path: `/tmp/top/${path}`, data: path })))
    const paths = async (depth) => (await sandbox.files.list('/tmp/top', { depth })).map((entry) => entry.path.slice(9))
    assert.deepEqual(await paths(undefined), ['a', 'b', 'c'])
    assert.deepEqual(await paths(1), ['a', 'b', 'c'])
    assert.deepEqual(await paths(2), ['a', 'a/deep', 'b', 'b/one', 'b/two', 'c'])
    assert.deepEqual(await paths(9), ['a', 'a/deep', 'a/deep/er', 'a/deep/er/leaf', 'b', 'b/one', 'b/two', 'c'])
    const [folder, , file] = await sandbox.files.list('/tmp/top')
    assert.equal(folder.type, 'dir')
    assert.equal(file.type, 'file')
    assert.equal(file.size, 1)
    await failure(() => sandbox.files.list('/tmp/top', { depth: 0 }), InvalidArgumentError)
  })

  it('info tells size, mode, owner, times and links', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.files.write('/home/user/plain', 'four')
    const file = await sandbox.files.getInfo('plain')
    assert.deepEqual(
      [file.name, file.type, file.path, file.size, file.mode, file.permissions, file.owner, file.group],
      ['plain', 'file', '/home/user/plain', 4, 0o644, '-rw-r--r--', 'user', 'user'])
    assert.ok(Math.abs(file.modifiedTime.getTime() - Date.now()) < 60_000)
    const folder = await sandbox.files.getInfo('/home/user')
    assert.equal(folder.type, 'dir')
    assert.match(folder.permissions, /^d/)
    await sandbox.commands.run('ln -s plain link')
    assert.equal((await sandbox.files.getInfo('link')).symlinkTarget, '/home/user/plain')
    assert.ok((await sandbox.files.list('.')).some((entry) => entry.name === 'link'), 'the link is listed')
    assert.equal((await sandbox.files.getInfo('/etc/passwd')).owner, 'root')
  })

  it('exists, makeDir, rename, remove', async (t) => {
    const sandbox = await open(t, sdk)
    const { files } = sandbox
    assert.equal(await files.exists('new'), false)
    assert.equal(await files.makeDir('new/er/est'), true)
    assert.equal(await files.makeDir('new/er/est'), false)
    assert.equal(await files.exists('new/er'), true)
    assert.equal((await sandbox.commands.run('stat -c "%U %a" new/er/est')).stdout, 'user 755\n')
    await files.write('new/file', 'x')
    const moved = await files.rename('new/file', 'other/place/file')
    assert.equal(moved.path, '/home/user/other/place/file')
    assert.equal(moved.type, 'file')
    assert.equal(await files.exists('new/file'), false)
    await files.rename('new', 'renamed')
    assert.equal(await files.exists('renamed/er/est'), true)
    await files.write('target', 'old')
    await files.rename('other/place/file', 'target')
    assert.equal(await files.read('target'), 'x')
    await files.remove('renamed')
    assert.equal(await files.exists('renamed'), false)
    await files.remove('renamed')
    await files.remove('target')
    assert.equal(await files.exists('target'), false)
  })

  it('paths are relative to the home of the chosen user', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.files.write('mine', 'user')
    await sandbox.files.write('mine', 'root', { user: 'root' })
    await sandbox.files.write('~/tilde', 'x')
    assert.equal(await sandbox.files.read('/home/user/mine'), 'user')
    assert.equal(await sandbox.files.read('/root/mine', { user: 'root' }), 'root')
    assert.equal(await sandbox.files.read('/home/user/tilde'), 'x')
    assert.equal((await sandbox.files.getInfo('/root/mine', { user: 'root' })).owner, 'root')
    await sandbox.files.makeDir('folder', { user: 'root' })
    assert.equal(await sandbox.files.exists('/root/folder', { user: 'root' }), true)
  })

  it('files of the kernel are read to their end', async (t) => {
    const sandbox = await open(t, sdk)
    assert.match(await sandbox.files.read('/proc/sys/kernel/random/boot_id'), /^[0-9a-f-]{36}\n$/)
    assert.match(await sandbox.files.read('/proc/self/status'), /^Name:/)
  })

  it('what is missing or of the wrong kind is an error of its class', async (t) => {
    const sandbox = await open(t, sdk)
    const { files } = sandbox
    for (const format of ['text', 'bytes', 'blob', 'stream']) {
      await failure(() => files.read('/missing', { format }), FileNotFoundError)
    }
    await failure(() => files.list('/missing'), FileNotFoundError)
    await failure(() => files.getInfo('/missing'), FileNotFoundError)
    await failure(() => files.rename('/missing', '/tmp/x'), FileNotFoundError)
    await files.write('file', '')
    await failure(() => files.read('/tmp'), InvalidArgumentError, /is a directory/)
    await failure(() => files.write('/tmp', 'x'), InvalidArgumentError, /is a directory/)
    await failure(() => files.list('file'), InvalidArgumentError, /not a directory/)
    await failure(() => files.makeDir('file'), InvalidArgumentError)
    await failure(() => files.write('file/below', 'x'), SandboxError)
    await failure(() => files.read('file', { user: 'nobody-here' }), AuthenticationError)
    await failure(() => files.list('/', { user: 'nobody-here' }), AuthenticationError)
  })

  it('twenty writers and readers do not disturb one another', async (t) => {
    const sandbox = await open(t, sdk)
    const contents = Array.from({ length: 20 }, (_, i) => `${i}-`.repeat(20_000))
    await Promise.all(contents.map((content, i) => sandbox.files.write(`/tmp/many/${i}`, content)))
    const back = await Promise.all(contents.map((_, i) => sandbox.files.read(`/tmp/many/${i}`)))
    assert.ok(back.every((content, i) => content === contents[i]))
  })
})
