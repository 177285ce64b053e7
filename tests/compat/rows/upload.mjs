// Sections 1.7 and 1.9: POST /files and /files/compose.
import assert from 'node:assert/strict'
import { area, bytes, json, rest, that } from '../support/table.mjs'
import { gzip, multipart } from '../support/wire.mjs'

const written = (...paths) => paths.map((path) => ({ path, name: path.split('/').at(-1), type: 'file' }))
const send = (s, query, parts, headers = {}) => {
  const form = multipart(parts)
  return s.post('/files', query, { body: form.body, headers: { ...form.headers, ...headers } })
}
const content = async (s, path) => (await s.get('/files', { path }, { headers: { 'Accept-Encoding': 'identity' } })).text
const shown = async (s, format, path) => (await s.run(`stat -c '${format}' ${path}`)).stdout.trim()

area('POST /files: errors', { seconds: 3 }, (row) => {
  row('1.7', 'an unknown `username`', rest(401, "error looking up user 'ghost': user: unknown user ghost"), (s) => s.upload({ path: '/tmp/x', username: 'ghost' }, 'x'))
  row('1.7', '`path=~ghost/x`', rest(400, "error expanding and resolving path '~ghost/x': …"), (s) => s.upload({ path: '~ghost/x' }, 'x'))
  for (const encoding of ['br', 'deflate', 'zstd']) {
    row('1.7', `\`Content-Encoding: ${encoding}\``, rest(400, `error decompressing request body: unsupported Content-Encoding: ${encoding}, supported: [gzip]`), (s) => s.upload({ path: '/tmp/x' }, 'x', { headers: { 'Content-Encoding': encoding } }))
  }
  row('1.7', 'octet-stream without `path`', rest(400, 'path query parameter is required for raw body upload'), (s) => s.upload({}, 'x'))
  row('1.7', 'another content type', rest(400, 'unsupported content type: text/plain, expected multipart/form-data or application/octet-stream'), (s) => s.upload({ path: '/tmp/x' }, 'x', { headers: { 'Content-Type': 'text/plain' } }))
  row('1.7', 'no content type', rest(400, 'unsupported content type: , expected multipart/form-data or application/octet-stream'), (s) => s.upload({ path: '/tmp/x' }, 'x', { headers: { 'Content-Type': undefined } }))
  row('1.7', 'a part without a filename, and no `path`', rest(400, 'error getting multipart custom part file name: filename not found in Content-Disposition header'), (s) => send(s, {}, [{ content: 'x' }]))
  row('1.7', 'the same target twice', rest(400, "you cannot upload multiple files to the same path '/tmp/twice' in one upload request, only the first specified file was uploaded"), async (s) => {
    const reply = await send(s, {}, [{ filename: '/tmp/twice', content: 'first' }, { filename: '/tmp/twice', content: 'second' }])
    assert.equal(await content(s, '/tmp/twice'), 'first')
    return reply
  })
  row('1.7', 'the same target twice, after others', rest(400, "you cannot upload multiple files to the same path '/tmp/twice' in one upload request, only the first specified file was uploaded, also the following files were uploaded: /tmp/a, /tmp/b"),
    (s) => send(s, {}, [{ filename: '/tmp/a', content: 'a' }, { filename: '/tmp/twice', content: '1' }, { filename: '/tmp/b', content: 'b' }, { filename: '/tmp/twice', content: '2' }]))
  row('1.7', 'two parts and one `path`', rest(400, "you cannot upload multiple files to the same path '/tmp/one' in one upload request, only the first specified file was uploaded"), (s) => send(s, { path: '/tmp/one' }, [{ filename: 'a', content: 'a' }, { filename: 'b', content: 'b' }]))
  row('1.7', 'multipart that breaks off', that('500 JSON'), async (s) => {
    const form = multipart([{ filename: '/tmp/cut', content: 'x'.repeat(100) }])
    const reply = await s.post('/files', {}, { body: form.body.subarray(0, -30), headers: form.headers })
    assert.equal(reply.status, 500, reply.text)
    assert.equal(JSON.parse(reply.text).code, 500)
  })
  row('1.7', 'multipart that is none', that('500 JSON'), async (s) => assert.equal((await s.post('/files', {}, { body: 'nothing of the kind', headers: { 'Content-Type': 'multipart/form-data; boundary=b' } })).status, 500))
  row('1.7', 'multipart without a boundary', that('500 JSON'), async (s) => assert.equal((await s.post('/files', {}, { body: 'x', headers: { 'Content-Type': 'multipart/form-data' } })).status, 500))
  row('1.7', 'a target that is a directory', rest(400, 'path is a directory: /tmp'), (s) => s.upload({ path: '/tmp' }, 'x'))
  row('1.7', 'a fifo that nobody reads', rest(500, 'error opening file: open /tmp/fifo: no such device or address'), async (s) => {
    await s.run('mkfifo /tmp/fifo')
    return s.upload({ path: '/tmp/fifo' }, 'x')
  })
  row('1.7', 'a parent that is a file', rest(500, 'error ensuring directories: path is a file: /etc/passwd'), (s) => s.upload({ path: '/etc/passwd/x/y' }, 'x'))
  row('1.7', 'gzip that is none', that('an error, and nothing written'), async (s) => {
    const reply = await s.upload({ path: '/tmp/notgzip' }, 'no gzip at all', { headers: { 'Content-Encoding': 'gzip' } })
    assert.ok(reply.status >= 400, reply.status)
  })
  row('1.7', 'metadata with a character that is no printable ASCII', rest(400, 'invalid metadata: …'), async (s) => {
    const reply = await s.upload({ path: '/tmp/meta' }, 'x', { headers: { 'X-Metadata-Name': 'caf\u00e9' } })
    assert.equal((await s.get('/files', { path: '/tmp/meta' })).status, 404)
    return reply
  })
  row('1.7', 'a metadata key of 247 bytes', rest(400, 'invalid metadata: …'), (s) => s.upload({ path: '/tmp/meta' }, 'x', { headers: { [`X-Metadata-${'k'.repeat(247)}`]: 'v' } }))
  row('1.7', 'an empty metadata key', rest(400, 'invalid metadata: …'), (s) => s.upload({ path: '/tmp/meta' }, 'x', { headers: { 'X-Metadata-': 'v' } }))
  row('1.7', 'metadata of 4097 bytes (9 + key + value each)', rest(400, 'invalid metadata: …'), (s) => s.upload({ path: '/tmp/meta' }, 'x', { headers: { 'X-Metadata-a': 'v'.repeat(2000), 'X-Metadata-b': 'v'.repeat(2077) } }))
  row('1.7', 'metadata of 4096 bytes', that('taken: 200, or 507 where the file system has less room for it'), async (s) => {
    const reply = await s.upload({ path: '/tmp/meta' }, 'x', { headers: { 'X-Metadata-a': 'v'.repeat(2000), 'X-Metadata-b': 'v'.repeat(2076) } })
    if (reply.status !== 200) rest(507, 'attempted to write 1 bytes: not enough disk space available').verify(reply)
  })
  row('1.7', 'a full disk, length known', rest(507, 'attempted to write 2097152 bytes: not enough disk space available'), async (s) => {
    s.inside('mkdir', '-p', '/mnt/small')
    s.inside('mount', '-t', 'tmpfs', '-o', 'size=1m,nr_inodes=8', 'tmpfs', '/mnt/small')
    return s.upload({ path: '/mnt/small/full' }, Buffer.alloc(2 << 20, 1))
  })
  row('1.7', 'a full disk, in chunks', rest(507, 'not enough disk space available'), async (s) => {
    await s.run('rm -f /mnt/small/*', { user: 'root' })
    return s.upload({ path: '/mnt/small/full' }, Array.from({ length: 32 }, () => Buffer.alloc(64 << 10, 1)))
  })
  row('1.9', 'a full disk, compose', rest(507, 'not enough disk space available'), async (s) => {
    await s.run('rm -f /mnt/small/*; head -c 2M /dev/zero > /tmp/two-mib', { user: 'root' })
    return s.post('/files/compose', {}, { body: JSON.stringify({ source_paths: ['/tmp/two-mib'], destination: '/mnt/small/joined' }) })
  })
  row('1.7', 'no inode left', rest(507, 'not enough inodes available: …'), async (s) => {
    await s.run('rm -f /mnt/small/*; for i in 1 2 3 4 5 6 7 8 9; do touch /mnt/small/$i; done', { user: 'root' })
    return s.upload({ path: '/mnt/small/one-more' }, 'x')
  })
  row('1.7', 'no inode left for a new parent', rest(507, 'not enough inodes available: …'), (s) => s.upload({ path: '/mnt/small/new/deep/one-more' }, 'x'))
  row('1.7', 'no inode left, multipart', rest(507, 'not enough inodes available: …'), (s) => send(s, {}, [{ filename: '/mnt/small/one-more', content: 'x' }]))
  row('1.7', 'a full disk, multipart in chunks', rest(507, 'not enough disk space available'), async (s) => {
    await s.run('rm -f /mnt/small/*', { user: 'root' })
    const form = multipart([{ filename: '/mnt/small/full', content: Buffer.alloc(2 << 20, 1) }])
    return s.post('/files', {}, { body: [form.body.subarray(0, 1 << 20), form.body.subarray(1 << 20)], headers: form.headers })
  })
  row('1.7', 'a full disk, gzip', rest(507, 'attempted to write …'), async (s) => {
    await s.run('rm -f /mnt/small/*', { user: 'root' })
    return s.upload({ path: '/mnt/small/full' }, gzip(Buffer.alloc(4 << 20, 1)), { headers: { 'Content-Encoding': 'gzip' } })
  })
})

area('POST /files: what is written', {}, (row) => {
  row('1.7, 9.11', 'octet-stream', json(written('/tmp/raw')), async (s) => {
    const reply = await s.upload({ path: '/tmp/raw' }, 'raw bytes')
    assert.equal(await content(s, '/tmp/raw'), 'raw bytes')
    return reply
  })
  row('1.7', 'octet-stream with a parameter in the type', json(written('/tmp/raw')), (s) => s.upload({ path: '/tmp/raw' }, 'x', { headers: { 'Content-Type': 'application/octet-stream; x=y' } }))
  row('1.7, 9.16', 'an empty octet-stream', json(written('/tmp/nothing')), async (s) => {
    const reply = await s.upload({ path: '/tmp/nothing' }, '')
    assert.equal(await shown(s, '%s', '/tmp/nothing'), '0')
    return reply
  })
  row('1.7', 'octet-stream, `Content-Encoding: gzip`', json(written('/tmp/zip')), async (s) => {
    const reply = await s.upload({ path: '/tmp/zip' }, gzip('inflated'), { headers: { 'Content-Encoding': 'gzip' } })
    assert.equal(await content(s, '/tmp/zip'), 'inflated')
    return reply
  })
  row('1.7', '`Content-Encoding: identity`', json(written('/tmp/raw')), (s) => s.upload({ path: '/tmp/raw' }, 'x', { headers: { 'Content-Encoding': 'identity' } }))
  row('1.7', 'one part with `path`, which wins over its filename', json(written('/tmp/wins')), async (s) => {
    const reply = await send(s, { path: '/tmp/wins' }, [{ filename: 'loses', content: 'x' }])
    assert.equal(await content(s, '/tmp/wins'), 'x')
    return reply
  })
  row('1.7', 'a plain string as the part `file`, with `path`', json(written('/tmp/string')), async (s) => {
    const reply = await send(s, { path: '/tmp/string' }, [{ content: 'just text' }])
    assert.equal(await content(s, '/tmp/string'), 'just text')
    return reply
  })
  row('1.7', 'several parts, with directories in their names', json(written('/tmp/5/multi.txt', '/home/user/dir/x', '/home/user/y')), async (s) => {
    const reply = await send(s, {}, [{ filename: '/tmp/5/multi.txt', content: '1' }, { filename: 'dir/x', content: '2' }, { filename: 'y', content: '3' }])
    assert.equal(await content(s, '/home/user/dir/x'), '2')
    return reply
  })
  row('1.7', 'the same as root', json(written('/root/dir/x')), (s) => send(s, { username: 'root' }, [{ filename: 'dir/x', content: '2' }]))
  row('1.7', 'parts with other names', json(written('/tmp/taken')), async (s) => {
    const reply = await send(s, {}, [{ name: 'other', filename: '/tmp/ignored', content: '1' }, { filename: '/tmp/taken', content: '2' }])
    assert.equal((await s.get('/files', { path: '/tmp/ignored' })).status, 404)
    return reply
  })
  row('1.7', 'no part `file` at all', json([]), (s) => send(s, {}, [{ name: 'other', content: '1' }]))
  row('1.7', 'multipart in chunks of one byte', json(written('/tmp/crumbs')), async (s) => {
    const form = multipart([{ filename: '/tmp/crumbs', content: 'a\r\n--sandlot-boundar\r\nb' }])
    const reply = await s.post('/files', {}, { body: [...form.body].map((byte) => Buffer.from([byte])), headers: form.headers })
    assert.equal(await content(s, '/tmp/crumbs'), 'a\r\n--sandlot-boundar\r\nb')
    return reply
  })
  row('1.7', 'gzip around multipart', json(written('/tmp/wrapped')), async (s) => {
    const form = multipart([{ filename: '/tmp/wrapped', content: 'inside' }])
    const reply = await s.post('/files', {}, { body: gzip(form.body), headers: { ...form.headers, 'Content-Encoding': 'gzip' } })
    assert.equal(await content(s, '/tmp/wrapped'), 'inside')
    return reply
  })
  row('1.7', '40 parts', that('40 files, in the order of the parts'), async (s) => {
    const names = Array.from({ length: 40 }, (_, i) => `/tmp/many/${i}`)
    json(written(...names)).verify(await send(s, {}, names.map((filename) => ({ filename, content: filename }))))
  })
  row('1.7', 'a new file', that('mode 0644, owner user:user'), async (s) => {
    await s.write('/tmp/fresh', 'x')
    assert.equal(await shown(s, '%a %U:%G', '/tmp/fresh'), '644 user:user')
  })
  row('1.7, 9.10', 'an existing file of root with mode 0600', that("truncated in place: the same inode and mode, the user's now"), async (s) => {
    await s.run('echo longer than before > /tmp/old; chmod 600 /tmp/old', { user: 'root' })
    const inode = await shown(s, '%i', '/tmp/old')
    await s.write('/tmp/old', 'new')
    assert.equal(await shown(s, '%i %a %U:%G %s', '/tmp/old'), `${inode} 600 user:user 3`)
  })
  row('1.7, 9.10', 'parents that are not there', that("made with mode 0755, the user's; those that were there stay as they are"), async (s) => {
    await s.run('mkdir -m 700 /tmp/mine', { user: 'root' })
    await s.write('/tmp/mine/a/b/c', 'x')
    assert.equal((await s.run('stat -c "%a %U:%G" /tmp/mine /tmp/mine/a /tmp/mine/a/b', { user: 'root' })).stdout, '700 root:root\n755 user:user\n755 user:user\n')
  })
  row('1.7', 'a link', that('its target is written'), async (s) => {
    await s.run('echo old > /tmp/target; ln -s target /tmp/alias')
    await s.write('/tmp/alias', 'through')
    assert.equal(await shown(s, '%F', '/tmp/alias'), 'symbolic link')
    assert.equal(await content(s, '/tmp/target'), 'through')
  })
  row('1.7', 'a place where only root may write, as user', that('200: no permission is checked'), async (s) => {
    await s.write('/root/from-user', 'x', { headers: {} })
    assert.equal((await s.run('stat -c %U /root/from-user', { user: 'root' })).stdout, 'user\n')
  })
  row('1.7', '`X-Metadata-*`', that('`metadata` in the answer, keys in lower case; xattrs `user.e2b.*`; the first of equal keys wins'), async (s) => {
    const reply = await s.upload({ path: '/tmp/tagged' }, 'x', { headers: { 'X-Metadata-Colour': 'blue', 'X-Metadata-SIZE': 'large one', 'X-Metadata-Twice': ['1', '2'] } })
    const [{ metadata }] = JSON.parse(reply.text)
    assert.equal(metadata.colour, 'blue')
    assert.equal(metadata.size, 'large one')
    assert.equal(metadata.twice, '1')
    const listed = await s.run("python3 -c 'import os; p=\"/tmp/tagged\"; print(*sorted(a+\"=\"+os.getxattr(p, a).decode() for a in os.listxattr(p)), sep=\"\\n\")'")
    assert.equal(listed.stdout, 'user.e2b.colour=blue\nuser.e2b.size=large one\nuser.e2b.twice=1\n', listed.stderr)
  })
  row('1.7', 'an upload with other metadata', that('the set before is replaced'), async (s) => {
    await s.write('/tmp/tagged', 'x', { headers: { 'X-Metadata-Shape': 'round' } })
    assert.deepEqual((await s.files('Stat', { path: '/tmp/tagged' })).json.entry.metadata, { shape: 'round' })
  })
  row('1.7, 9.11', 'an upload without metadata', json(written('/tmp/tagged')), async (s) => {
    const reply = await s.upload({ path: '/tmp/tagged' }, 'x')
    assert.equal((await s.files('Stat', { path: '/tmp/tagged' })).json.entry.metadata, undefined)
    return reply
  })
  row('1.7', 'attributes that are not `user.e2b.*`', that('stay'), async (s) => {
    await s.run("python3 -c 'import os; os.setxattr(\"/tmp/tagged\", \"user.mine\", b\"1\")'")
    await s.write('/tmp/tagged', 'y')
    assert.equal((await s.run("python3 -c 'import os; print(os.listxattr(\"/tmp/tagged\"))'")).stdout, "['user.mine']\n")
  })
  row('1.7', '8 MiB', that('the same bytes'), async (s) => {
    await s.write('/tmp/big', Buffer.alloc(8 << 20, 'xyz'))
    const wanted = (await s.run('sha256sum < /tmp/big')).stdout
    const { createHash } = await import('node:crypto')
    assert.equal(wanted.split(' ')[0], createHash('sha256').update(Buffer.alloc(8 << 20, 'xyz')).digest('hex'))
  })
})

area('POST /files/compose', {}, (row) => {
  const compose = (s, body, options) => s.post('/files/compose', {}, { body: typeof body === 'string' ? body : JSON.stringify(body), headers: { 'Content-Type': 'application/json' }, ...options })
  row('1.9', 'two pieces', json({ path: '/tmp/whole', name: 'whole', type: 'file' }), async (s) => {
    await s.write('/tmp/p1', 'one ')
    await s.write('/tmp/p2', 'two')
    const reply = await compose(s, { source_paths: ['/tmp/p1', '/tmp/p2'], destination: '/tmp/whole' })
    assert.equal(await content(s, '/tmp/whole'), 'one two')
    assert.equal((await s.run('ls /tmp/p1 /tmp/p2 /tmp/*.tmp 2>/dev/null')).stdout, '')
    assert.equal(await shown(s, '%a %U:%G', '/tmp/whole'), '644 user:user')
    return reply
  })
  row('1.9', 'relative paths, as root', json({ path: '/root/joined', name: 'joined', type: 'file' }), async (s) => {
    await s.write('/root/p', 'x')
    return compose(s, { source_paths: ['p'], destination: 'joined', username: 'root' })
  })
  row('1.9', '`source_paths: []`', rest(400, 'source_paths must not be empty'), (s) => compose(s, { source_paths: [], destination: '/tmp/d' }))
  row('1.9', 'no `source_paths`', rest(400, 'source_paths must not be empty'), (s) => compose(s, { destination: '/tmp/d' }))
  row('1.9', 'no `destination`', rest(400, 'destination is required'), (s) => compose(s, { source_paths: ['/tmp/whole'] }))
  row('1.9', '`destination: ""`', rest(400, 'destination is required'), (s) => compose(s, { source_paths: ['/tmp/whole'], destination: '' }))
  row('1.9', 'a source that is the destination', rest(400, 'source path "/tmp/whole" cannot be the same as destination'), (s) => compose(s, { source_paths: ['/tmp/whole'], destination: '/tmp/whole' }))
  row('1.9', 'a source that is a directory', rest(400, 'source path is not a regular file: /tmp'), (s) => compose(s, { source_paths: ['/tmp'], destination: '/tmp/d' }))
  row('1.9', 'a source that is not there', rest(404, 'source file not found: /tmp/nope'), async (s) => {
    const reply = await compose(s, { source_paths: ['/tmp/whole', '/tmp/nope'], destination: '/tmp/d' })
    assert.equal(await content(s, '/tmp/whole'), 'one two')
    return reply
  })
  row('1.9', 'an unknown `username`', rest(401, "error looking up user 'ghost': user: unknown user ghost"), (s) => compose(s, { source_paths: ['/tmp/whole'], destination: '/tmp/d', username: 'ghost' }))
  row('1.9', 'a body that is no JSON', that('400 JSON'), async (s) => assert.equal((await compose(s, 'nonsense')).status, 400))
})
