// Volumes: shared between sandboxes, with a quota and without, mounted at create and later, and E2B's files of them.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { domain, eachSdk, it } from './support/sdks.mjs'
import { api } from './support/network.mjs'
import { background, eventually, failure, get, run } from './support/sandbox.mjs'

const kMiB = 1 << 20
const name = () => `test-${randomUUID()}`

// A volume that is destroyed with its test, after the sandboxes that were opened since.
async function volume(t, sdk, options) {
  const made = await sdk.Volume.create(name(), options)
  const closers = []
  t.after(async () => {
    for (const close of closers) await close()
    await sdk.Volume.destroy(made.volumeId)
  })
  // They die before the volume does.
  const openWith = async (createOptions) => {
    const sandbox = await sdk.Sandbox.create({ timeoutMs: 120_000, ...createOptions })
    closers.push(() => sdk.Sandbox.kill(sandbox.sandboxId))
    return sandbox
  }
  return { made, openWith }
}

const output = async (sandbox, command) => (await sandbox.commands.run(command)).stdout.trim()

eachSdk('volumes', (sdk) => {
  const { Sandbox, Volume, VolumeError, NotFoundError, SandboxError } = sdk
  if (!Volume) return

  it('is made, found, listed, destroyed once', async () => {
    const wanted = name()
    const made = await Volume.create(wanted)
    assert.equal(made.name, wanted)
    assert.ok(made.token)
    const info = await Volume.getInfo(made.volumeId)
    assert.equal(info.volumeId, made.volumeId)
    assert.equal(info.name, wanted)
    assert.equal(info.token, made.token)
    assert.equal((await Volume.connect(made.volumeId)).name, wanted)
    assert.deepEqual((await Volume.list()).filter((one) => one.name === wanted).map((one) => one.volumeId), [made.volumeId])
    await failure(Volume.create(wanted), VolumeError, /already exists/)
    assert.equal(await Volume.destroy(made.volumeId), true)
    assert.equal(await Volume.destroy(made.volumeId), false)
    await failure(Volume.getInfo(made.volumeId), sdk.VolumeNotFoundError ?? NotFoundError)
    assert.equal((await Volume.list()).some((one) => one.name === wanted), false)
  })

  it('a bad name is refused', async () => {
    for (const bad of ['', 'a b', '../x', 'ä', 'x'.repeat(300)]) await failure(Volume.create(bad), VolumeError, /400/)
  })

  it('two sandboxes share the files, whoever wrote them', async (t) => {
    const { made, openWith } = await volume(t, sdk)
    const path = '/mnt/shared data/v'
    const one = await openWith({ volumeMounts: { [path]: made } })
    const two = await openWith({ volumeMounts: { '/data': made.name } })
    await one.files.write(`${path}/hello.txt`, 'from one')
    assert.equal(await two.files.read('/data/hello.txt'), 'from one')
    await two.commands.run('echo root > /data/by-root', { user: 'root' })
    await two.files.write('/data/hello.txt', 'from two')
    assert.equal(await one.files.read(`${path}/hello.txt`), 'from two')
    assert.equal(await output(one, `cd '${path}' && stat -c '%n %u %g' *`), 'by-root 0 0\nhello.txt 1000 1000')
    assert.deepEqual((await one.getInfo()).volumeMounts ?? [{ name: made.name, path }], [{ name: made.name, path }])
    await failure(Volume.destroy(made.volumeId), VolumeError, /409.*mounted/)
    await one.kill()
    await two.kill()
    const three = await openWith({ volumeMounts: { '/data': made } })
    assert.equal(await three.files.read('/data/hello.txt'), 'from two')
  })

  it('the sandbox cannot take it away, and no setuid program of another works there', async (t) => {
    const { made, openWith } = await volume(t, sdk)
    const sandbox = await openWith({ volumeMounts: { '/data': made } })
    for (const command of ['umount /data', 'umount -l /data', 'mount -t tmpfs none /data', 'mv /data /other', 'rmdir /data']) {
      const { exitCode } = await run(sandbox, `sudo ${command}`)
      assert.notEqual(exitCode, 0, command)
    }
    await sandbox.commands.run('cp /usr/bin/id /data/id && chown root:root /data/id && chmod u+s /data/id', { user: 'root' })
    assert.equal(await output(sandbox, '/data/id -u'), '1000')
    // A mount namespace of its own is a copy in which it is locked.
    assert.notEqual((await run(sandbox, 'unshare -Urm umount /data')).exitCode, 0)
    assert.equal((await run(sandbox, 'touch /data/still')).exitCode, 0)
  })

  it('it survives pause and resume, and a volume can be inside another', async (t) => {
    const { made, openWith } = await volume(t, sdk)
    const { made: inner, openWith: openBoth } = await volume(t, sdk)
    const sandbox = await openBoth({ volumeMounts: { '/data/inner': inner, '/data': made } })
    await sandbox.files.write('/data/inner/a', 'a')
    await sandbox.pause()
    let again = await Sandbox.connect(sandbox.sandboxId)
    assert.equal(await again.files.read('/data/inner/a'), 'a')
    if (sdk.family === 'e2b') {
      await again.pause({ keepMemory: false })
      await failure(Volume.destroy(inner.volumeId), VolumeError, /409.*mounted/)
      again = await Sandbox.connect(sandbox.sandboxId)
      assert.equal(await again.files.read('/data/inner/a'), 'a')
    }
    await again.files.write('/data/b', 'b')
    assert.equal(await output(again, 'ls /data /data/inner | tr "\\n" " "'), '/data: b inner  /data/inner: a')
    await again.kill()
    const outside = await openWith({ volumeMounts: { '/x': inner } })
    assert.equal(await outside.files.read('/x/a'), 'a')
    await outside.kill()
  })

  it('a clone shares it, a reset keeps it, a snapshot does not hold it', async (t) => {
    if (!Sandbox.clone) return
    const { made, openWith } = await volume(t, sdk)
    const source = await openWith({ volumeMounts: { '/data': made } })
    await source.files.write('/data/file', 'before')
    const [clone] = (await Sandbox.clone(source.sandboxId)).sandboxes
    t.after(() => clone.kill())
    await clone.files.write('/data/file', 'of the clone')
    assert.equal(await source.files.read('/data/file'), 'of the clone')
    await failure(Volume.destroy(made.volumeId), VolumeError, /409.*mounted/)
    await source.files.write('/home/user/own', 'x')
    assert.equal(await source.reset(), true)
    assert.equal(await output(source, 'cat /data/file; echo; ls /home/user/own 2>&1 | grep -c "No such"'), 'of the clone\n1')
    const snapshot = await source.createSnapshot()
    t.after(() => Sandbox.deleteSnapshot(snapshot.snapshotId))
    const copy = await Sandbox.create(snapshot.snapshotId)
    assert.equal(await output(copy, 'ls -A /data | wc -l'), '0')
    await copy.kill()
    await clone.kill()
  })

  it('bad mounts at create: every problem at once, and no sandbox', async (t) => {
    const { made } = await volume(t, sdk)
    const bad = (mounts) => failure(Sandbox.create({ volumeMounts: mounts }), SandboxError, /^400: invalid mounts:/)
    const error = await bad({ '/a': 'no-such-volume', 'relative': made, '/a/../b': made, '/': made, '/proc/x': made })
    assert.match(error.message, /#0: volume 'no-such-volume' not found\n\t- volume mount #1: path must be absolute\n/)
    assert.match(error.message, /#2: path must not contain any '.' or '..' components\n/)
    const twice = await api('POST', '/sandboxes', {
      templateID: 'base', volumeMounts: [{ name: made.name, path: '/a' }, { name: made.name, path: '/a' }] })
    assert.equal(twice.status, 400)
    assert.match(twice.json.message, /#1: path '\/a' is already used/)
    await failure(Sandbox.create({ volumeMounts: { '/etc/passwd': made } }), SandboxError, /400: cannot mount at/)
    assert.equal(await Volume.destroy(made.volumeId), true) // nobody has it
  })
})

eachSdk('volumes of Novita', (sdk) => {
  const { Sandbox, Volume, VolumeError, NotFoundError, SandboxError } = sdk

  it('a quota holds inside, and grows while the volume is mounted', async (t) => {
    const { made, openWith } = await volume(t, sdk, { quotaSizeGiB: 1 })
    const before = await Volume.getInfo(made.volumeId)
    assert.equal(before.quotaSizeGiB, 1)
    assert.ok(before.usedSizeBytes < kMiB, `${before.usedSizeBytes}`)
    const one = await openWith({ volumeMounts: { '/data': made } })
    const two = await openWith({ volumeMounts: { '/data': made } })
    assert.equal(await output(one, 'ls -A /data'), '')
    const filled = await run(one, 'fallocate -l 900M /data/most && fallocate -l 300M /data/more')
    assert.notEqual(filled.exitCode, 0)
    assert.match(filled.stderr, /No space left on device/)
    const used = (await Volume.getInfo(made.volumeId)).usedSizeBytes
    assert.ok(used > 899 * kMiB && used < 1024 * kMiB, `${used}`)
    await two.commands.run('rm /data/more && echo -n kept > /data/kept')
    const grown = await Volume.updateQuota(made.volumeId, { quotaSizeGiB: 2 })
    assert.equal(grown.quotaSizeGiB, 2)
    assert.equal(grown.name, made.name)
    for (const sandbox of [one, two]) {
      const size = Number(await output(sandbox, 'df -B1 --output=size /data | tail -1'))
      assert.ok(size > 1.9 * 1024 * kMiB && size <= 2048 * kMiB, `${size}`)
    }
    assert.equal((await run(one, 'fallocate -l 300M /data/more && sync /data/more')).exitCode, 0)
    assert.equal(await one.files.read('/data/kept'), 'kept')
    await failure(Volume.updateQuota(made.volumeId, { quotaSizeGiB: 1 }), VolumeError, /^400/)
    assert.equal((await Volume.updateQuota(made.volumeId, {})).quotaSizeGiB, 2)
    await one.commands.run('rm /data/m*')
    await eventually('the space is free again', async () => (await Volume.getInfo(made.volumeId)).usedSizeBytes < 2 * kMiB)
  })

  it('a quota that cannot grow now is refused soon, and the volume stays where it is', async (t) => {
    const { made, openWith } = await volume(t, sdk, { quotaSizeGiB: 1 })
    const one = await openWith({ volumeMounts: { '/data': made } })
    const two = await openWith({ volumeMounts: { '/data': made } })
    await one.files.write('/data/file', 'kept')
    const holder = await background(one, 'unshare -Urm sh -c "touch /data/here; exec sleep 1000"')
    await eventually('a copy of the mount is there', () => one.files.exists('/data/here'))
    const begin = Date.now()
    // Only a machine that lets nothing mounted grow refuses.
    const [grown] = await Promise.allSettled([Volume.updateQuota(made.volumeId, { quotaSizeGiB: 2 })])
    assert.ok(Date.now() - begin < 5000, `${Date.now() - begin} ms`)
    if (grown.reason) await failure(Promise.reject(grown.reason), VolumeError, /^409/)
    assert.equal((await Volume.getInfo(made.volumeId)).quotaSizeGiB, grown.reason ? 1 : 2)
    for (const sandbox of [one, two]) {
      assert.equal(await sandbox.files.read('/data/file'), 'kept')
      assert.deepEqual((await sandbox.getInfo()).volumeMounts, [{ name: made.name, path: '/data' }])
    }
    await holder.kill()
    await eventually('it grows', () => Volume.updateQuota(made.volumeId, { quotaSizeGiB: 3 }).catch(() => false))
    assert.equal(await output(one, 'cat /data/file; df -BG --output=size /data | tail -1 | tr -d " "'), 'kept3G')
  })

  it('a quota of inodes holds inside', async (t) => {
    const { made, openWith } = await volume(t, sdk, { quotaSizeGiB: 1 })
    const sandbox = await openWith({ volumeMounts: { '/data': made } })
    const { stderr } = await run(sandbox, 'cd /data && for i in $(seq 1100); do : > f$i || exit; done')
    assert.match(stderr, /No space left on device/)
    const count = Number(await output(sandbox, 'ls /data | wc -l'))
    assert.ok(count >= 1000 && count < 1100, `${count} files`)
  })

  it('quotas that make no sense are refused', async (t) => {
    for (const quotaSizeGiB of [0, -1, 0.5, 1e9, 'x']) await failure(Volume.create(name(), { quotaSizeGiB }), VolumeError, /^400/)
    await failure(Volume.updateQuota('nobody', { quotaSizeGiB: 1 }), NotFoundError)
    const { made } = await volume(t, sdk)
    await failure(Volume.updateQuota(made.volumeId, { quotaSizeGiB: 1 }), VolumeError, /^400/)
  })

  it('is mounted and unmounted while the sandbox runs', async (t) => {
    const { made, openWith } = await volume(t, sdk)
    const sandbox = await openWith({})
    const path = '/home/user/data'
    const mounted = await sandbox.mountVolume(made.name, path)
    assert.deepEqual(mounted.volumeMounts, [{ name: made.name, path }])
    assert.equal(mounted.sandboxId, sandbox.sandboxId)
    assert.equal(mounted.name, (await sandbox.getInfo()).name)
    await sandbox.files.write(`${path}/file`, 'text')
    assert.deepEqual((await sandbox.getInfo()).volumeMounts, [{ name: made.name, path }])
    assert.deepEqual((await sandbox.unmountVolume(path)).volumeMounts, [])
    assert.equal(await output(sandbox, `ls -A ${path}`), '')
    await sandbox.mountVolume(made.name, '/mnt/x')
    assert.equal(await sandbox.files.read('/mnt/x/file'), 'text')
    // Twice, at two places: both are the same files.
    await sandbox.mountVolume(made.name, '/mnt/y')
    await sandbox.files.write('/mnt/y/file', 'both')
    assert.equal(await sandbox.files.read('/mnt/x/file'), 'both')
    await sandbox.unmountVolume('/mnt/x')
    assert.equal(await sandbox.files.read('/mnt/y/file'), 'both')
    await sandbox.unmountVolume('/mnt/y')
  })

  it('in use, it is taken away by force only', async (t) => {
    const { made, openWith } = await volume(t, sdk)
    const sandbox = await openWith({ volumeMounts: { '/data': made } })
    const holder = await background(sandbox, 'cd /data && touch here && exec sleep 1000')
    await eventually('somebody works in it', () => sandbox.files.exists('/data/here'))
    await failure(sandbox.unmountVolume('/data'), SandboxError, /409.*busy/)
    assert.equal(await output(sandbox, 'touch /data/still && stat -c %m /data/still'), '/data')
    assert.deepEqual((await sandbox.getInfo()).volumeMounts, [{ name: made.name, path: '/data' }])
    assert.deepEqual((await sandbox.unmountVolume('/data', { force: true })).volumeMounts, [])
    assert.equal(await output(sandbox, 'ls -A /data; stat -c %m /data'), '/')
    await holder.kill()
    await sandbox.kill()
    assert.equal(await Volume.destroy(made.volumeId), true)
  })

  it('what a process keeps after a forced unmount keeps it from being destroyed, and from nothing else', async (t) => {
    const { made, openWith } = await volume(t, sdk, { quotaSizeGiB: 1 })
    const sandbox = await openWith({ volumeMounts: { '/data': made } })
    const holder = await background(sandbox, 'cd /data && echo -n kept > here && exec sleep 1000')
    await eventually('somebody works in it', () => sandbox.files.exists('/data/here'))
    await sandbox.unmountVolume('/data', { force: true })
    for (let round = 0; round < 2; ++round) {
      await failure(Volume.destroy(made.volumeId), VolumeError, /409.*in use/)
      assert.equal((await Volume.getInfo(made.volumeId)).quotaSizeGiB, 1)
      const url = `https://api.${domain}/volumecontent/${made.volumeId}/file?path=/here`
      const outside = await fetch(url, { headers: { authorization: `Bearer ${made.token}` } })
      assert.equal(await outside.text(), 'kept')
      await sandbox.mountVolume(made.name, '/again')
      assert.equal(await sandbox.files.read('/again/here'), 'kept')
      await sandbox.unmountVolume('/again')
      const other = await openWith({ volumeMounts: { '/data': made } })
      assert.equal(await other.files.read('/data/here'), 'kept')
      await other.kill()
    }
    await holder.kill()
    await eventually('it can be destroyed', () => Volume.destroy(made.volumeId).catch(() => false))
  })

  it('bad hot mounts change nothing', async (t) => {
    const { made, openWith } = await volume(t, sdk)
    const sandbox = await openWith({ volumeMounts: { '/data': made } })
    const kept = [{ name: made.name, path: '/data' }]
    await failure(sandbox.mountVolume(made.name, '/data'), SandboxError, /409.*already used/)
    await failure(sandbox.mountVolume('no-such-volume', '/x'), SandboxError, /400.*not found/)
    for (const path of ['', 'x', '/x/', '/x/../y', '/', '/proc', '/dev/shm', '/etc/passwd', `/${'x'.repeat(5000)}`]) {
      await failure(sandbox.mountVolume(made.name, path), SandboxError, /^400/)
    }
    await failure(sandbox.unmountVolume('/nothing'), SandboxError, /400.*no volume/)
    await failure(Sandbox.mountVolume('inobody', made.name, '/x'), sdk.SandboxNotFoundError)
    await failure(Sandbox.unmountVolume('inobody', '/x'), sdk.SandboxNotFoundError)
    await sandbox.pause()
    await failure(sandbox.mountVolume(made.name, '/x'), SandboxError, /409.*paused/)
    await sandbox.connect()
    assert.deepEqual((await sandbox.getInfo()).volumeMounts, kept)
    for (const body of ['', '[]', '{}', '{"name":1,"path":"/x"}', '{"name":"x"}', '{']) {
      const answer = await get(`https://api.${domain}/sandboxes/${sandbox.sandboxId}/volume-mounts`, { method: 'POST', body })
      assert.equal(answer.status, 400, body)
    }
  })

  it('a link of the sandbox leads a mount nowhere but into the sandbox', async (t) => {
    const { made, openWith } = await volume(t, sdk)
    const sandbox = await openWith({})
    await sandbox.commands.run('mkdir /tmp/real && ln -s /tmp/real /tmp/link && ln -s ../../../../../../tmp/real /tmp/up')
    await sandbox.mountVolume(made.name, '/tmp/link/deep/er')
    await sandbox.files.write('/tmp/real/deep/er/x', '1')
    await sandbox.commands.run('rm /tmp/link && ln -s /proc /tmp/link')
    assert.deepEqual((await sandbox.unmountVolume('/tmp/link/deep/er')).volumeMounts, [])
    assert.equal(await output(sandbox, 'ls -A /tmp/real/deep/er'), '')
    await sandbox.mountVolume(made.name, '/tmp/up')
    assert.equal(await sandbox.files.read('/tmp/real/x'), '1')
    await sandbox.unmountVolume('/tmp/up')
  })
}, { only: 'novita' })

eachSdk('files of a volume', (sdk) => {
  const { Volume, VolumeError, VolumePathNotFoundError } = sdk
  if (!Volume?.prototype.writeFile) return
  const noPath = (action) => failure(action, VolumePathNotFoundError ?? sdk.NotFoundError)

  it('written outside, read inside, and the other way round', async (t) => {
    const { made, openWith } = await volume(t, sdk)
    const sandbox = await openWith({ volumeMounts: { '/data': made } })
    const stat = await made.writeFile('/a.txt', 'äöü', { uid: 1000, gid: 1000, mode: 0o640 })
    assert.deepEqual([stat.name, stat.path, stat.type, stat.size, stat.mode, stat.uid], ['a.txt', '/a.txt', 'file', 6, 0o640, 1000])
    assert.equal(await sandbox.files.read('/data/a.txt'), 'äöü')
    await sandbox.files.write('/data/dir/b.txt', 'b')
    assert.equal(await made.readFile('dir/b.txt'), 'b')
    assert.deepEqual((await made.list('/')).map((entry) => entry.path), ['/a.txt', '/dir'])
    assert.deepEqual((await made.list('/', { depth: 2 })).map((entry) => entry.path), ['/a.txt', '/dir', '/dir/b.txt'])
    const changed = await made.updateMetadata('/a.txt', { mode: 0o600, uid: 0 })
    assert.deepEqual([changed.mode, changed.uid, changed.gid], [0o600, 0, 1000])
    assert.equal(await output(sandbox, 'stat -c "%a %u %g" /data/a.txt'), '600 0 1000')
    await made.remove('/dir')
    assert.equal(await output(sandbox, 'ls /data'), 'a.txt')
    assert.equal(await made.exists('/dir'), false)
  })

  it('what exists is kept unless forced; what is missing is not found', async (t) => {
    const { made } = await volume(t, sdk)
    await made.writeFile('/f', '1')
    await failure(made.writeFile('/f', '2'), VolumeError)
    assert.equal(await made.readFile('/f'), '1')
    await made.writeFile('/f', '3', { force: true })
    assert.equal(await made.readFile('/f'), '3')
    await noPath(made.writeFile('/no/such', 'x'))
    await made.writeFile('/no/such', 'x', { force: true })
    await failure(made.makeDir('/no'), VolumeError)
    assert.equal((await made.makeDir('/no', { force: true })).type, 'directory')
    await noPath(made.makeDir('/q/w'))
    assert.equal((await made.makeDir('/q/w', { force: true })).path, '/q/w')
    await noPath(made.readFile('/missing'))
    await noPath(made.readFile('/q'))
    await noPath(made.list('/missing'))
    await noPath(made.list('/f'))
    await noPath(made.remove('/missing'))
    await noPath(made.updateMetadata('/missing', { mode: 0o600 }))
    await failure(made.remove('/'), VolumeError, /root/)
    await failure(made.list('/', { depth: 99 }), VolumeError, /depth/)
  })

  it('large and empty files, as streams and bytes', async (t) => {
    const { made } = await volume(t, sdk)
    const big = new Uint8Array(20 * kMiB).map((_, index) => index * 31)
    await made.writeFile('/big', new Blob([big]).stream())
    const stream = await made.readFile('/big', { format: 'stream' })
    assert.ok(Buffer.from(await new Response(stream).arrayBuffer()).equals(Buffer.from(big)))
    await made.writeFile('/empty', '')
    assert.equal(await made.readFile('/empty'), '')
    assert.equal((await made.readFile('/empty', { format: 'bytes' })).length, 0)
  })

  it('no path and no link leads out of it', async (t) => {
    const { made, openWith } = await volume(t, sdk)
    const sandbox = await openWith({ volumeMounts: { '/data': made } })
    await sandbox.commands.run('cd /data && ln -s /etc abs && ln -s ../../../../../../etc rel && ln -s /proc/self/root magic && ln -s loop loop && mkfifo pipe')
    for (const link of ['abs', 'rel', 'magic']) {
      await noPath(made.readFile(`/${link}/passwd`))
      await noPath(made.list(`/${link}`))
      await failure(made.writeFile(`/${link}/planted`, 'x'), VolumeError)
    }
    await noPath(made.readFile('/../../../../etc/passwd'))
    await noPath(made.readFile('/pipe'))
    await failure(made.readFile('/loop'), VolumeError)
    const link = await made.getInfo('/abs')
    assert.deepEqual([link.type, link.target], ['symlink', '/etc'])
    await made.remove('/abs')
    assert.equal(await output(sandbox, 'test -L /data/abs; echo $?; ls /etc/passwd'), '1\n/etc/passwd')
  })

  it('wants the token of this very volume', async (t) => {
    const { made } = await volume(t, sdk)
    const { made: other } = await volume(t, sdk)
    for (const token of ['wrong', other.token, process.env.E2B_API_KEY]) {
      await assert.rejects(new Volume(made.volumeId, made.name, token, made.domain).list('/'), /invalid volume token/)
    }
    const answer = await api('GET', `/volumecontent/${made.volumeId}/path?path=/`)
    assert.deepEqual([answer.status, answer.json.code], [401, '401'])
  })
}, { only: 'e2b' })
