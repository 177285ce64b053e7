// Section 1.6: GET /files, in the order of its checks, then what a download looks like.
import assert from 'node:assert/strict'
import { gunzipSync } from 'node:zlib'
import { area, bytes, empty, rest, sameHeaders, text, that } from '../support/table.mjs'

const kText = 'The quick brown fox jumps over the lazy dog.\n'
const plain = { 'Accept-Encoding': 'identity' }

area('GET /files: errors', {}, (row) => {
  row('1.6', 'an unknown `username`', rest(401, "error looking up user 'ghost': user: unknown user ghost"), (s) => s.get('/files', { path: '/nope', username: 'ghost' }))
  row('1.6, 1.11', '`path=~ghost/x`', rest(400, "error expanding and resolving path '~ghost/x': …"), (s) => s.get('/files', { path: '~ghost/x' }))
  row('1.6', 'a path that is not there', rest(404, "path '/tmp/nope' does not exist"), (s) => s.get('/files', { path: '/tmp/nope' }))
  row('1.6, 9.9', 'a relative path that is not there', rest(404, "path '/home/user/nope' does not exist"), (s) => s.get('/files', { path: 'nope' }))
  row('1.6, 9.9', 'the same as root', rest(404, "path '/root/nope' does not exist"), (s) => s.get('/files', { path: 'nope', username: 'root' }))
  row('1.6', 'a broken link', rest(404, "path '/tmp/broken' does not exist"), async (s) => {
    await s.run('ln -s /nowhere /tmp/broken')
    return s.get('/files', { path: '/tmp/broken' })
  })
  row('1.6', 'a link to itself', rest(500, "error checking path '/tmp/circle': …"), async (s) => {
    await s.run('ln -s circle /tmp/circle')
    return s.get('/files', { path: '/tmp/circle' })
  })
  row('1.6', 'a path that leads through a file', that('500 JSON'), async (s) => {
    const reply = await s.get('/files', { path: '/etc/passwd/x' })
    assert.equal(reply.status, 500)
    assert.equal(JSON.parse(reply.text).code, 500)
  })
  row('1.6', 'a directory', rest(400, "path '/tmp' is a directory"), (s) => s.get('/files', { path: '/tmp' }))
  row('1.6', 'no `path`: the home', rest(400, "path '/home/user' is a directory"), (s) => s.get('/files'))
  row('1.6', 'a directory, and an `Accept-Encoding` that nothing fits', rest(400, "path '/tmp' is a directory"), (s) => s.get('/files', { path: '/tmp' }, { headers: { 'Accept-Encoding': 'identity;q=0' } }))
  const kNone = 'error parsing Accept-Encoding: no acceptable encoding found, supported: [gzip]'
  for (const accept of ['identity;q=0', '*;q=0', 'br, identity;q=0', 'gzip;q=0, identity;q=0', 'identity;q=0.0, gzip;q=0']) {
    row('1.6', `\`Accept-Encoding: ${accept}\``, rest(406, kNone), (s) => s.get('/files', { path: '/etc/passwd' }, { headers: { 'Accept-Encoding': accept } }))
  }
  for (const [name, value] of [['Range', 'bytes=0-1'], ['If-Modified-Since', 'Thu, 01 Jan 1970 00:00:00 GMT'], ['If-None-Match', '"x"'], ['If-Match', '*'], ['If-Unmodified-Since', 'Thu, 01 Jan 2099 00:00:00 GMT'], ['If-Range', '"x"']]) {
    row('1.6', `\`Accept-Encoding: gzip, identity;q=0\` and \`${name}\``, rest(406, 'identity encoding not acceptable for Range or conditional request'),
      (s) => s.get('/files', { path: '/etc/passwd' }, { headers: { 'Accept-Encoding': 'gzip, identity;q=0', [name]: value } }))
  }
  row('1.6', 'a socket: nothing to open', rest(500, "error opening file '/tmp/socket': …"), async (s) => {
    await s.run("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/tmp/socket\")'")
    return s.get('/files', { path: '/tmp/socket' })
  })
  row('1.6', 'the same, and an `Accept-Encoding` that nothing fits', rest(406, 'error parsing Accept-Encoding: no acceptable encoding found, supported: [gzip]'), (s) => s.get('/files', { path: '/tmp/socket' }, { headers: { 'Accept-Encoding': 'identity;q=0' } }))
})

area('GET /files: what is answered', {}, (row) => {
  const get = (s, path, headers = plain, query = {}) => s.get('/files', { path, ...query }, { headers })
  row('1.6', 'an empty file, `If-Modified-Since` its time', empty(304), async (s) => {
    await s.write('/tmp/void', '')
    return get(s, '/tmp/void', { ...plain, 'If-Modified-Since': (await get(s, '/tmp/void')).headers['last-modified'] })
  })
  row('1.6', 'an empty file, `If-Unmodified-Since` before it', empty(412), (s) => get(s, '/tmp/void', { ...plain, 'If-Unmodified-Since': 'Thu, 01 Jan 1970 00:00:01 GMT' }))
  row('1.6', 'an empty file and a `Range`', bytes(200, '', { 'Content-Length': '0' }), (s) => get(s, '/tmp/void', { ...plain, Range: 'bytes=0-' }))
  row('1.6', 'a text file', bytes(200, kText, { 'Content-Length': String(kText.length), 'Accept-Ranges': 'bytes', 'Content-Type': 'text/plain; charset=utf-8', 'Content-Disposition': 'inline; filename=fox.txt' }, '200, the bytes, `Content-Length`, `Accept-Ranges: bytes`, `Content-Type: text/plain; charset=utf-8`, `Content-Disposition: inline; filename=fox.txt`'), async (s) => {
    await s.write('/tmp/fox.txt', kText)
    return get(s, '/tmp/fox.txt')
  })
  row('1.6', 'any download', that('`Vary: Origin` and `Accept-Encoding`; `Last-Modified` in HTTP form'), async (s) => {
    const reply = await get(s, '/tmp/fox.txt')
    sameHeaders(reply, { Vary: /Origin.*Accept-Encoding/, 'Last-Modified': /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/ })
  })
  for (const [name, shown] of [
    ['plain', 'inline; filename=plain'], ['a b.txt', 'inline; filename="a b.txt"'], ['q"q.txt', 'inline; filename="q\\"q.txt"'],
    ['ünï.txt', "inline; filename*=utf-8''%C3%BCn%C3%AF.txt"],
  ]) {
    row('1.6', `a file called \`${name}\``, that(`\`Content-Disposition: ${shown}\``), async (s) => {
      await s.write(`/tmp/${name}`, 'x')
      sameHeaders(await get(s, `/tmp/${name}`), { 'Content-Disposition': shown })
    })
  }
  for (const [name, content, type] of [
    ['t.html', 'x', 'text/html; charset=utf-8'], ['t.json', '{}', 'application/json'], ['t.png', 'x', 'image/png'], ['t.css', 'x', 'text/css; charset=utf-8'],
    ['t.js', 'x', 'text/javascript; charset=utf-8'], ['t.pdf', 'x', 'application/pdf'], ['t.svg', 'x', 'image/svg+xml'],
    ['sniff-html', '<!DOCTYPE html><p>', 'text/html; charset=utf-8'], ['sniff-text', 'words', 'text/plain; charset=utf-8'],
    ['sniff-binary', Buffer.from([0, 1, 2, 3]), 'application/octet-stream'], ['sniff-png', Buffer.from('89504e470d0a1a0a', 'hex'), 'image/png'],
    ['sniff-pdf', '%PDF-1.7', 'application/pdf'], ['sniff-gzip', Buffer.from('1f8b0800', 'hex'), 'application/x-gzip'],
  ]) {
    row('1.6', `\`${name}\`${name.startsWith('sniff') ? ', known by its first bytes' : ''}`, that(`\`Content-Type: ${type}\``), async (s) => {
      await s.write(`/tmp/${name}`, content)
      sameHeaders(await get(s, `/tmp/${name}`), { 'Content-Type': type })
    })
  }
  const range = (header, content, contentRange) => row('1.6', `\`Range: ${header}\` of 45 bytes`, bytes(206, content, { 'Content-Range': contentRange, 'Content-Length': String(content.length) }), (s) => get(s, '/tmp/fox.txt', { ...plain, Range: header }))
  range('bytes=0-2', 'The', 'bytes 0-2/45')
  range('bytes=4-8', 'quick', 'bytes 4-8/45')
  range('bytes=-5', 'dog.\n', 'bytes 40-44/45')
  range('bytes=40-', 'dog.\n', 'bytes 40-44/45')
  range('bytes=40-900', 'dog.\n', 'bytes 40-44/45')
  row('1.6', '`Range: bytes=0-2,4-8`', that('206 `multipart/byteranges`, each part with its `Content-Range`'), async (s) => {
    const reply = await get(s, '/tmp/fox.txt', { ...plain, Range: 'bytes=0-2,4-8' })
    assert.equal(reply.status, 206)
    const [, boundary] = /^multipart\/byteranges; boundary=(.+)$/.exec(reply.headers['content-type'])
    const part = (from, content) => `Content-Range: bytes ${from}/45\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${content}\r\n--${boundary}`
    assert.equal(reply.text, `--${boundary}\r\n${part('0-2', 'The')}\r\n${part('4-8', 'quick')}--\r\n`)
  })
  for (const header of ['bytes=45-', 'bytes=100-200']) {
    row('1.6', `\`Range: ${header}\` of 45 bytes`, text(416, 'invalid range: failed to overlap', { 'Content-Range': 'bytes */45' }), (s) => get(s, '/tmp/fox.txt', { ...plain, Range: header }))
  }
  for (const header of ['bytes=5-2', 'bytes=a-b', 'lines=1-2']) {
    row('1.6', `\`Range: ${header}\``, text(416, 'invalid range'), (s) => get(s, '/tmp/fox.txt', { ...plain, Range: header }))
  }
  row('1.6, 9.12', '`Range` and `Accept-Encoding: gzip`', bytes(206, 'The', { 'Content-Encoding': undefined, 'Content-Range': 'bytes 0-2/45' }, '206 of the plain bytes'), (s) => get(s, '/tmp/fox.txt', { 'Accept-Encoding': 'gzip', Range: 'bytes=0-2' }))
  const kPast = 'Thu, 01 Jan 1970 00:00:00 GMT'
  const kFuture = 'Thu, 01 Jan 2099 00:00:00 GMT'
  row('1.6', '`If-Modified-Since` the time of the file', empty(304), async (s) => get(s, '/tmp/fox.txt', { ...plain, 'If-Modified-Since': (await get(s, '/tmp/fox.txt')).headers['last-modified'] }))
  row('1.6', '`If-Modified-Since` before it', bytes(200, kText, {}, '200, the bytes'), (s) => get(s, '/tmp/fox.txt', { ...plain, 'If-Modified-Since': kPast }))
  row('1.6', '`If-Unmodified-Since` before it', empty(412), (s) => get(s, '/tmp/fox.txt', { ...plain, 'If-Unmodified-Since': kPast }))
  row('1.6', '`If-Unmodified-Since` after it', bytes(200, kText, {}, '200, the bytes'), (s) => get(s, '/tmp/fox.txt', { ...plain, 'If-Unmodified-Since': kFuture }))
  row('1.6', '`If-None-Match: *`', empty(304), (s) => get(s, '/tmp/fox.txt', { ...plain, 'If-None-Match': '*' }))
  row('1.6', '`If-Match` with a tag', empty(412), (s) => get(s, '/tmp/fox.txt', { ...plain, 'If-Match': '"tag"' }))
  row('1.6', '`If-Range` the time of the file, and a range', bytes(206, 'The'), async (s) => get(s, '/tmp/fox.txt', { ...plain, Range: 'bytes=0-2', 'If-Range': (await get(s, '/tmp/fox.txt')).headers['last-modified'] }))
  row('1.6', '`If-Range` another time, and a range', bytes(200, kText, {}, '200, the whole file'), (s) => get(s, '/tmp/fox.txt', { ...plain, Range: 'bytes=0-2', 'If-Range': kPast }))
  const encoded = (accept, gzip) => row('1.6', accept === undefined ? 'no `Accept-Encoding`' : `\`Accept-Encoding: ${accept}\``, that(gzip ? '200 gzip, chunked, without a length' : '200, plain'), async (s) => {
    const reply = await get(s, '/tmp/fox.txt', { 'Accept-Encoding': accept })
    assert.equal(reply.status, 200)
    if (gzip) sameHeaders(reply, { 'Content-Encoding': 'gzip', 'Content-Length': undefined, 'Transfer-Encoding': 'chunked', 'Content-Type': 'text/plain; charset=utf-8' })
    else sameHeaders(reply, { 'Content-Encoding': undefined, 'Content-Length': '45' })
    assert.equal((gzip ? gunzipSync(reply.bytes) : reply.bytes).toString(), kText)
  })
  encoded(undefined, false)
  encoded('', false)
  encoded('gzip', true)
  encoded('GZIP', true)
  encoded('gzip, deflate, br', true)
  encoded('gzip;q=0.5', true)
  encoded('gzip;q=0', false)
  encoded('gzip;q=0.2, identity;q=0.8', false)
  encoded('identity;q=0.2, gzip;q=0.8', true)
  encoded('br', false)
  encoded('*', false)
  encoded('identity', false)
  encoded('*, identity;q=0', true)
  encoded('gzip, identity;q=0', true)
  row('1.6', 'gzip of a file without an extension', that('`Content-Type: application/octet-stream`'), async (s) => {
    sameHeaders(await get(s, '/tmp/plain', { 'Accept-Encoding': 'gzip' }), { 'Content-Encoding': 'gzip', 'Content-Type': 'application/octet-stream' })
  })
  row('1.6', 'an empty file, plain', empty(200, { 'Content-Length': '0' }), async (s) => {
    await s.write('/tmp/empty.txt', '')
    return get(s, '/tmp/empty.txt')
  })
  row('1.6', 'an empty file, gzip', that('200, the gzip of nothing'), async (s) => {
    const reply = await get(s, '/tmp/empty.txt', { 'Accept-Encoding': 'gzip' })
    sameHeaders(reply, { 'Content-Encoding': 'gzip' })
    assert.equal(gunzipSync(reply.bytes).length, 0)
  })
  for (const accept of ['identity', 'gzip']) {
    row('1.6, 9.12', `a file of /proc whose size is 0 there, ${accept}`, that('200, its content'), async (s) => {
      const reply = await get(s, '/proc/sys/kernel/random/boot_id', { 'Accept-Encoding': accept })
      assert.match((accept === 'gzip' ? gunzipSync(reply.bytes) : reply.bytes).toString(), /^[0-9a-f-]{36}\n$/)
    })
  }
  row('1.6', 'a link', bytes(200, kText, { 'Content-Disposition': 'inline; filename=link' }, '200, what it points to; `Content-Disposition: inline; filename=link`'), async (s) => {
    await s.run('ln -s fox.txt /tmp/link')
    return get(s, '/tmp/link')
  })
  row('1.11', 'a file that only root may read, as user', that('200: files are served with the rights of root'), async (s) => {
    await s.run('echo secret > /root/secret; chmod 600 /root/secret', { user: 'root' })
    assert.equal((await get(s, '/root/secret', plain, { username: 'user' })).text, 'secret\n')
  })
  for (const [path, username, found] of [['f', undefined, '/home/user/f'], ['~/f', undefined, '/home/user/f'], ['./x/../f', undefined, '/home/user/f'], ['f', 'root', '/root/f'], ['~/f', 'root', '/root/f']]) {
    row('1.11, 9.9', `\`path=${path}\`${username ? ` as ${username}` : ''}`, that(`\`${found}\``), async (s) => {
      await s.write(found, found)
      assert.equal((await get(s, path, plain, username ? { username } : {})).text, found)
    })
  }
  row('1.6', '8 MiB, plain and gzip', that('the same bytes'), async (s) => {
    const content = Buffer.alloc(8 << 20, 'abcdefgh0123456')
    await s.write('/tmp/large', content)
    assert.ok((await get(s, '/tmp/large')).bytes.equals(content))
    assert.ok(gunzipSync((await get(s, '/tmp/large', { 'Accept-Encoding': 'gzip' })).bytes).equals(content))
  })
})
