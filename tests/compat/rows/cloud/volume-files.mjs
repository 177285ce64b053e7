// E2B's API of a volume's files. Its errors have their code as a text; its key is the volume's own token.
import assert from 'node:assert/strict'
import { endpoint } from '../../support/endpoint.mjs'
import { kTime } from '../../support/cloud.mjs'

const kNames = ['name', 'type', 'path', 'size', 'mode', 'uid', 'gid', 'atime', 'mtime', 'ctime']
const query = (pairs) => new URLSearchParams(pairs).toString()

// Asks about a volume: `what` is dir, path or file.
const ask = (c, volume, method, what, pairs, body, token = volume.token) =>
  c.call(method, `/volumecontent/${volume.volumeID}/${what}?${query(pairs)}`, body, { headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/octet-stream' } })
async function made(c, ...args) {
  const reply = await ask(c, ...args)
  assert.ok(reply.status < 300, `${reply.status} ${reply.text}`)
  return reply
}
const put = (c, volume, path, content, more) => made(c, volume, 'PUT', 'file', { path, ...more }, content)
const stat = async (c, volume, path) => (await made(c, volume, 'GET', 'path', { path })).json
// One volume for all rows of an area, in which every row has a place of its own.
const own = (c) => (c.own ??= c.volume())

function refused(row, status, when, message, check) {
  row.row('error', String(status), {
    words: message === '…' ? when : `${when}: \`${message}\``,
    verify(reply) {
      assert.equal(reply.status, status, reply.text)
      assert.deepEqual(Object.keys(reply.json), ['code', 'message'])
      assert.equal(reply.json.code, String(status))
      const pattern = message.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^]*')
      assert.match(reply.json.message, new RegExp(`^${pattern}$`))
    },
  }, check)
}

// What every call has: its volume, its token, its path.
function common(row, method, what, body) {
  refused(row, 401, 'another token, or the API\'s key', 'invalid volume token', async (c) => ask(c, await own(c), method, what, { path: '/x' }, body, process.env.E2B_API_KEY))
  refused(row, 400, 'no `path`', 'validation error: parameter "path" in query has an error: value is required but missing', async (c) => ask(c, await own(c), method, what, {}, body))
}
const missing = (row, method, what, body) => refused(row, 404, 'nothing there', '…', async (c) => ask(c, await own(c), method, what, { path: '/no/such' }, body))

// uid, gid, mode in the query of what makes something; `make(c, volume, path, more)` answers its stat.
function attributes(row, make, defaults) {
  for (const [name, value] of [['uid', 1234], ['gid', 4321], ['mode', 0o700]]) {
    row.query(name, `${name === 'mode' ? 'its permissions, as a decimal number' : 'its owner'}; absent: ${defaults[name]}`, async (c) => {
      const volume = await own(c)
      assert.equal((await make(c, volume, `/with-${name}`, { [name]: value }))[name], value)
      const other = await make(c, volume, `/without-${name}`, {})
      assert.equal(name === 'mode' ? `0${other.mode.toString(8)}` : String(other[name]), defaults[name])
    })
    refused(row, 400, `\`${name}=x\``, `validation error: parameter "${name}" in query has an error: value must be an integer`, async (c) => {
      const [method, what] = row.makes
      return ask(c, await own(c), method, what, { path: '/bad', [name]: 'x' }, row.content)
    })
  }
}

endpoint('GET /volumecontent/{volumeID}/path', 'what is there', {}, (row) => {
  row.answer(['name', 'path'], 'its name, and its path from the root of the volume', async (c) => {
    const volume = await own(c)
    await put(c, volume, '/a/b.txt', 'x', { force: true })
    const one = await stat(c, volume, 'a/b.txt')
    assert.deepEqual([one.name, one.path], ['b.txt', '/a/b.txt'])
  })
  row.query('path', 'which; with a `/` before it or without', async (c) => {
    const volume = await own(c)
    await put(c, volume, '/plain', 'x')
    assert.deepEqual(await stat(c, volume, 'plain'), await stat(c, volume, '/plain'))
  })
  row.answer('type', '`file`, `directory`, `symlink`, `unknown`', async (c) => {
    const volume = await c.volume()
    const s = await c.open({ volumeMounts: [{ name: volume.name, path: '/data' }] })
    await s.run('cd /data; touch file; mkdir directory; ln -s /etc symlink; mkfifo unknown')
    for (const type of ['file', 'directory', 'symlink', 'unknown']) assert.equal((await stat(c, volume, `/${type}`)).type, type)
    await s.close()
  })
  row.answer('target', 'of a symbolic link, where it leads; it is not followed', async (c) => {
    const volume = await c.volume()
    const s = await c.open({ volumeMounts: [{ name: volume.name, path: '/data' }] })
    await s.run('ln -s /etc/passwd /data/link; touch /data/file')
    assert.equal((await stat(c, volume, '/link')).target, '/etc/passwd')
    assert.ok(!('target' in (await stat(c, volume, '/file'))))
    await s.close()
  })
  row.answer(['size', 'mode', 'uid', 'gid'], 'bytes; permissions, as a decimal number; owner', async (c) => {
    const volume = await own(c)
    await put(c, volume, '/sized', '12345', { uid: 7, gid: 8, mode: 0o640 })
    const one = await stat(c, volume, '/sized')
    assert.deepEqual([one.size, one.mode, one.uid, one.gid], [5, 0o640, 7, 8])
  })
  row.answer(['atime', 'mtime', 'ctime'], 'RFC 3339, UTC', async (c) => {
    const volume = await own(c)
    await put(c, volume, '/timed', 'x')
    const one = await stat(c, volume, '/timed')
    for (const time of [one.atime, one.mtime, one.ctime]) assert.match(time, kTime)
    assert.ok(Math.abs(Date.parse(one.mtime) - Date.now()) < 60_000)
    assert.deepEqual(Object.keys(one), kNames)
  })
  missing(row, 'GET', 'path')
  common(row, 'GET', 'path')
})

const likeStat = (row, words, check) => row.answersLike('GET /volumecontent/{volumeID}/path', '', words, check)

endpoint('PATCH /volumecontent/{volumeID}/path', 'its owner and permissions', {}, (row) => {
  const patch = (c, volume, path, body) => made(c, volume, 'PATCH', 'path', { path }, JSON.stringify(body))
  row.query('path', 'which', async (c) => {
    const volume = await own(c)
    await put(c, volume, '/which', 'x')
    assert.equal((await patch(c, volume, '/which', {})).json.path, '/which')
  })
  for (const [name, value] of [['uid', 55], ['gid', 66], ['mode', 0o600]]) {
    row.body(name, 'from then on; absent: as before', async (c) => {
      const volume = await own(c)
      const before = (await put(c, volume, `/patch-${name}`, 'x')).json
      await patch(c, volume, `/patch-${name}`, { [name]: value })
      const { uid, gid, mode } = { ...before, [name]: value }
      const after = await stat(c, volume, `/patch-${name}`)
      assert.deepEqual([after.uid, after.gid, after.mode], [uid, gid, mode])
    })
  }
  likeStat(row, 'the fields of `GET /volumecontent/{volumeID}/path`, as they are now', async (c) => {
    const volume = await own(c)
    await put(c, volume, '/like', 'x')
    const { json } = await patch(c, volume, '/like', { mode: 0o600 })
    assert.deepEqual({ ...json, atime: '' }, { ...(await stat(c, volume, '/like')), atime: '' })
  })
  refused(row, 400, '`{"mode":"x"}`', 'validation error: request body has an error: Error at "/mode": value must be an integer', async (c) => ask(c, await own(c), 'PATCH', 'path', { path: '/x' }, '{"mode":"x"}'))
  missing(row, 'PATCH', 'path', '{"mode":384}')
  common(row, 'PATCH', 'path', '{}')
})

endpoint('DELETE /volumecontent/{volumeID}/path', 'remove it', {}, (row) => {
  row.query('path', '204; a directory goes with what is in it', async (c) => {
    const volume = await own(c)
    await put(c, volume, '/tree/deep/file', 'x', { force: true })
    assert.equal((await ask(c, volume, 'DELETE', 'path', { path: '/tree' })).status, 204)
    assert.equal((await ask(c, volume, 'GET', 'path', { path: '/tree' })).status, 404)
  })
  refused(row, 400, 'the root', '…root…', async (c) => ask(c, await own(c), 'DELETE', 'path', { path: '/' }))
  missing(row, 'DELETE', 'path')
  common(row, 'DELETE', 'path')
})

endpoint('GET /volumecontent/{volumeID}/dir', 'what is in a directory', {}, (row) => {
  const list = async (c, pairs) => {
    c.filled ??= (async () => {
      const volume = await own(c)
      await put(c, volume, '/d/one/two/file', 'x', { force: true })
      await put(c, volume, '/d/file', 'x')
    })()
    await c.filled
    return (await made(c, await own(c), 'GET', 'dir', pairs)).json
  }
  const paths = async (c, pairs) => (await list(c, pairs)).map((one) => one.path)
  row.query('path', 'which', async (c) => assert.deepEqual(await paths(c, { path: '/d' }), ['/d/file', '/d/one']))
  row.query('depth', 'how deep; 1 when absent', async (c) => {
    assert.deepEqual(await paths(c, { path: '/d', depth: 2 }), ['/d/file', '/d/one', '/d/one/two'])
    assert.deepEqual(await paths(c, { path: '/d', depth: 1 }), ['/d/file', '/d/one'])
  })
  likeStat(row, 'a list, with the fields of `GET /volumecontent/{volumeID}/path`', async (c) => {
    const [first] = await list(c, { path: '/d' })
    assert.deepEqual({ ...first, atime: '' }, { ...(await stat(c, await own(c), '/d/file')), atime: '' })
  })
  refused(row, 400, '`depth=99`', '…depth…', async (c) => ask(c, await own(c), 'GET', 'dir', { path: '/', depth: 99 }))
  missing(row, 'GET', 'dir')
  common(row, 'GET', 'dir')
})

endpoint('POST /volumecontent/{volumeID}/dir', 'a new directory', {}, (row) => {
  row.makes = ['POST', 'dir']
  const make = async (c, volume, path, more) => (await made(c, volume, 'POST', 'dir', { path, ...more })).json
  row.query('path', '201; where', async (c) => assert.equal((await make(c, await own(c), '/new')).type, 'directory'))
  attributes(row, make, { uid: '9090', gid: '9090', mode: '0777' })
  row.query('force', '`true`: makes its parents, and an existing one is fine', async (c) => {
    const volume = await own(c)
    for (let i = 0; i < 2; i++) assert.equal((await make(c, volume, '/p/q/r', { force: true })).path, '/p/q/r')
  })
  likeStat(row, 'the fields of `GET /volumecontent/{volumeID}/path`', async (c) => {
    const volume = await own(c)
    assert.deepEqual(await make(c, volume, '/like'), await stat(c, volume, '/like'))
  })
  refused(row, 404, 'no parent', '…', async (c) => ask(c, await own(c), 'POST', 'dir', { path: '/no/parent' }))
  row.row('error', '409', { words: 'it exists', verify: (reply) => assert.deepEqual([reply.status, reply.json.code], [409, '409']) }, async (c) => {
    const volume = await own(c)
    await make(c, volume, '/twice')
    return ask(c, volume, 'POST', 'dir', { path: '/twice' })
  })
  common(row, 'POST', 'dir')
})

endpoint('GET /volumecontent/{volumeID}/file', 'read a file', {}, (row) => {
  row.query('path', '200 `application/octet-stream`, with its length; an empty one, too', async (c) => {
    const volume = await own(c)
    for (const [path, content] of [['/full', 'some text'], ['/empty', '']]) {
      await put(c, volume, path, content)
      const reply = await ask(c, volume, 'GET', 'file', { path })
      assert.deepEqual([reply.status, reply.text, reply.headers['content-length'], reply.headers['content-type']], [200, content, String(content.length), 'application/octet-stream'])
    }
  })
  missing(row, 'GET', 'file')
  common(row, 'GET', 'file')
})

endpoint('PUT /volumecontent/{volumeID}/file', 'write a file', {}, (row) => {
  row.makes = ['PUT', 'file']
  row.content = 'x'
  const make = async (c, volume, path, more) => (await put(c, volume, path, 'x', more)).json
  row.query('path', '201; where. The body is the content, with a length or in chunks', async (c) => {
    const volume = await own(c)
    await put(c, volume, '/length', 'abc')
    await put(c, volume, '/chunks', ['ab', 'c'])
    for (const path of ['/length', '/chunks']) assert.equal((await ask(c, volume, 'GET', 'file', { path })).text, 'abc')
  })
  attributes(row, make, { uid: '9090', gid: '9090', mode: '0666' })
  row.query('force', '`true`: makes its parents, and an existing file is replaced', async (c) => {
    const volume = await own(c)
    for (const content of ['longer', 'new']) await put(c, volume, '/p/q/file', content, { force: true })
    assert.equal((await ask(c, volume, 'GET', 'file', { path: '/p/q/file' })).text, 'new')
  })
  likeStat(row, 'the fields of `GET /volumecontent/{volumeID}/path`', async (c) => {
    const volume = await own(c)
    assert.deepEqual(await make(c, volume, '/like'), await stat(c, volume, '/like'))
  })
  refused(row, 404, 'no parent', '…', async (c) => ask(c, await own(c), 'PUT', 'file', { path: '/no/parent' }, 'x'))
  row.row('error', '409', { words: 'it exists; it stays as it was', verify: (reply) => assert.deepEqual([reply.status, reply.json.code], [409, '409']) }, async (c) => {
    const volume = await own(c)
    await put(c, volume, '/twice', 'first')
    const reply = await ask(c, volume, 'PUT', 'file', { path: '/twice' }, 'second')
    assert.equal((await ask(c, volume, 'GET', 'file', { path: '/twice' })).text, 'first')
    return reply
  })
  common(row, 'PUT', 'file', 'x')
})
