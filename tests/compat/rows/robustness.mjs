// What a hostile client can send, straight at the daemon: it must answer or hang up, and be the same afterwards.
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import net from 'node:net'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { eventually } from '../../sdk/support/sandbox.mjs'
import { area, that } from '../support/table.mjs'
import { shell } from '../support/sandbox.mjs'
import { envelope, exchange, multipart, raw, stream, unary } from '../support/wire.mjs'

// Random, and the same in every run.
function randomBytes(seed, size) {
  let state = seed >>> 0 || 1
  return Buffer.from(Array.from({ length: size }, () => {
    state ^= state << 13; state >>>= 0
    state ^= state >>> 17
    state ^= state << 5; state >>>= 0
    return state & 0xff
  }))
}

async function parallel(items, width, action) {
  const queue = [...items]
  await Promise.all(Array.from({ length: width }, async () => { while (queue.length) await action(queue.shift()) }))
}

const head = (line, headers = {}) => `${line}\r\nHost: localhost:49983\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`

area('Robustness: bytes that no client sends', { seconds: 12 }, (row) => {
  // `attack` gets the daemon's own address. Afterwards the daemon is the same process, answers, and holds as many
  // descriptors as before.
  const survives = (sent, words, attack, options) => row('robustness', sent, that(`${words}; afterwards the same agent answers and holds as many descriptors as before`), async (s) => {
    const target = await s.direct()
    const status = async () => (await exchange(target, { path: '/health' })).status
    assert.equal(await status(), 204)
    if (s.quiet === undefined) { // what keeps itself open once, is opened now
      await s.run('true')
      await pause(200)
      s.quiet = s.descriptors()
    }
    const before = s.quiet
    const { agent } = s
    await attack(s, target)
    assert.equal(await status(), 204)
    await eventually(() => `the agent holds ${s.descriptors()} descriptors, before ${before}`, () => s.descriptors() <= before)
    s.agentPid = undefined
    assert.equal(s.agent, agent, 'another agent')
  }, { deadlineMs: 40_000, ...options })

  survives('300 times random bytes', 'a 400 or a closed connection', async (s, target) => {
    await parallel(Array.from({ length: 300 }, (_, i) => i), 20, async (i) => {
      const reply = await raw(target, randomBytes(i + 1, 1 + (i * 37) % 900), { end: true })
      assert.ok(reply.closed, 'it is still open')
      assert.ok(reply.text === '' || /^HTTP\/1\.1 4\d\d /.test(reply.text), reply.text.slice(0, 80))
    })
  })
  survives('200 times random bytes after a good request line', 'a 400 or a closed connection', async (s, target) => {
    await parallel(Array.from({ length: 200 }, (_, i) => i), 20, async (i) => {
      const reply = await raw(target, Buffer.concat([Buffer.from('POST /files?path=/tmp/r HTTP/1.1\r\nHost: x\r\n'), randomBytes(i + 7, 200), Buffer.from('\r\n\r\n')]), { end: true })
      assert.ok(reply.closed)
    })
  })
  for (const [words, bytes, status] of [
    ['a head without an end', 'GET /health HTTP/1.1\r\nHost: x\r\nX-Half: ', undefined],
    ['a head of 1 MiB', `GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(1 << 20)}\r\n\r\n`, undefined],
    ['a request line of 1 MiB', `GET /${'x'.repeat(1 << 20)} HTTP/1.1\r\nHost: x\r\n\r\n`, undefined],
    ['10,000 header lines', `GET /health HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(10_000)}\r\n`, /^HTTP\/1\.1 (204|431|400) /],
    ['a `Content-Length` that is no number', head('POST /files?path=/tmp/r HTTP/1.1', { 'Content-Length': 'many' }), /^HTTP\/1\.1 400 /],
    ['a negative `Content-Length`', head('POST /files?path=/tmp/r HTTP/1.1', { 'Content-Length': '-1' }), /^HTTP\/1\.1 400 /],
    ['a `Content-Length` over 2^64', head('POST /files?path=/tmp/r HTTP/1.1', { 'Content-Length': '99999999999999999999999' }), /^HTTP\/1\.1 400 /],
    ['a chunk size that is no number', `${head('POST /files?path=/tmp/r HTTP/1.1', { 'Content-Type': 'application/octet-stream', 'Transfer-Encoding': 'chunked' })}zz\r\nx\r\n0\r\n\r\n`, undefined],
    ['a chunk of 2^64 bytes', `${head('POST /files?path=/tmp/r HTTP/1.1', { 'Content-Type': 'application/octet-stream', 'Transfer-Encoding': 'chunked' })}ffffffffffffffffff\r\nx`, undefined],
    ['`HTTP/3.7`', 'GET / HTTP/3.7\r\nHost: x\r\n\r\n', /^HTTP\/1\.1 (400|505) /],
    ['a preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /^HTTP\/1\.1 4/],
    ['a TLS hello', Buffer.from('16030100c8010000c40303', 'hex'), undefined],
    ['a NUL in the path', 'GET /files?path=%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['a broken percent encoding', 'GET /files?path=%zz%f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 4/],
  ]) {
    survives(words, status ? 'an error' : 'an error or a closed connection', async (s, target) => {
      const reply = await raw(target, bytes, { end: true })
      assert.ok(reply.closed, 'it is still open')
      if (status) assert.match(reply.text.slice(0, 60), status)
    })
  }
  survives('an upload whose client leaves half way, 50 times', 'the agent lets go', (s, target) => parallel(Array(50).fill(0), 10, () => raw(target, `${head('POST /files?path=/tmp/half HTTP/1.1', { 'Content-Type': 'application/octet-stream', 'Content-Length': '1000000' })}half`, { quietMs: 50 })))
  survives('a download whose client leaves half way, 50 times', 'the agent lets go', async (s, target) => {
    await s.run('head -c 20000000 /dev/zero > /tmp/wide')
    await parallel(Array(50).fill(0), 10, () => new Promise((resolve) => {
      const socket = net.connect({ path: target.socketPath }, () => socket.write(head('GET /files?path=/tmp/wide HTTP/1.1')))
      socket.once('data', () => { socket.destroy(); resolve() })
      socket.on('error', resolve)
    }))
  })
  survives('100 bodies of multipart made wrong in different places', '4xx, 500 or 200', async (s, target) => {
    const form = multipart([{ filename: '/tmp/m1', content: 'one' }, { filename: '/tmp/m2', content: 'x'.repeat(300), headers: 'Content-Type: text/plain\r\n' }])
    await parallel(Array.from({ length: 100 }, (_, i) => i), 10, async (i) => {
      const body = Buffer.from(form.body)
      for (const [at, value] of randomBytes(i + 1, 6).entries()) body[(value * 3 + at * 91 + i * 17) % body.length] = randomBytes(i + 99, 1)[0]
      const reply = await exchange(target, { method: 'POST', path: '/files', body, headers: form.headers })
      assert.ok([200, 400, 500].includes(reply.status), `${reply.status} ${reply.text}`)
    })
  })
  survives('multipart with a part head of 1 MiB', '500', async (s, target) => {
    const form = multipart([{ filename: '/tmp/m', content: 'x', headers: `X-Long: ${'x'.repeat(1 << 20)}\r\n` }])
    assert.equal((await exchange(target, { method: 'POST', path: '/files', body: form.body, headers: form.headers })).status, 500)
  })
  survives('envelopes that break off, at every length', 'an error in the end frame', (s, target) => {
    const whole = envelope(JSON.stringify(shell('true')))
    return parallel(Array.from({ length: whole.length }, (_, i) => i), 10, async (i) => {
      const reply = await (await stream(target, 'process.Process/Start', whole.subarray(0, i))).rest_of()
      assert.ok(reply.endFrame?.error?.code, `${i} bytes`)
    })
  })
  for (const size of [0xffffffff, 0x80000000, 0x05000000]) {
    survives(`an envelope that says it has ${size} bytes`, '`resource_exhausted` in the end frame, without waiting for them', async (s, target) => {
      const bytes = Buffer.alloc(5 + 100)
      bytes.writeUInt32BE(size, 1)
      const reply = await (await stream(target, 'process.Process/Start', bytes)).rest_of()
      assert.equal(reply.endFrame.error.code, 'resource_exhausted')
    })
  }
  survives('an envelope with every value of its flags', 'an error, or the command runs', (s, target) => parallel(Array.from({ length: 256 }, (_, i) => i), 10, async (flags) => {
    const reply = await (await stream(target, 'process.Process/Start', envelope(JSON.stringify(shell('true')), flags))).rest_of()
    assert.ok(reply.endFrame, `flags ${flags}`)
  }))
  survives('a gzip bomb in an envelope and in a unary body', '`resource_exhausted`, in bounded memory', async (s, target) => {
    const bomb = await promisify(gzip)(Buffer.alloc(200 << 20, ' '), { level: 9 }) // not here: other rows run meanwhile
    const reply = await unary(target, 'filesystem.Filesystem/Stat', bomb, { headers: { 'Content-Encoding': 'gzip' } })
    assert.equal(reply.json.code, 'resource_exhausted', reply.text)
    const streamed = await (await stream(target, 'process.Process/Start', envelope(bomb, 1), { headers: { 'Connect-Content-Encoding': 'gzip' } })).rest_of()
    assert.equal(streamed.endFrame.error.code, 'resource_exhausted')
  })
  survives('JSON nested 100,000 deep, to every kind of body', 'an error, or a field that nobody knows', async (s, target) => {
    const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    assert.ok([200, 400].includes((await unary(target, 'filesystem.Filesystem/Stat', deep)).status))
    assert.ok((await exchange(target, { method: 'POST', path: '/files/compose', body: deep })).status >= 400)
    const init = await exchange(target, { method: 'POST', path: '/init', body: `{"a":${deep}}` })
    assert.ok([204, 400].includes(init.status))
  })
  survives('protobuf nested 10,000 deep, and 200 random messages', '`invalid_argument`, or taken as empty', async (s, target) => {
    let deep = Buffer.alloc(0)
    for (let i = 0; i < 2000; i++) deep = Buffer.concat([Buffer.from([0x0a]), Buffer.from(deep.length < 128 ? [deep.length] : [deep.length & 127 | 128, deep.length >> 7]), deep])
    assert.ok((await unary(target, 'process.Process/SendInput', deep, { codec: 'proto' })).status >= 400)
    await parallel(Array.from({ length: 200 }, (_, i) => i), 10, async (i) => {
      const reply = await unary(target, 'process.Process/SendInput', randomBytes(i + 1, 60), { codec: 'proto' })
      assert.ok(reply.status >= 400 && reply.json.code, reply.text)
    })
  })
  survives('200 calls with random JSON-like text', 'an error', (s, target) => parallel(Array.from({ length: 200 }, (_, i) => i), 10, async (i) => {
    const words = ['{', '}', '[', ']', ':', ',', '"process"', '"pid"', '"cmd"', '1e999', '-0', 'null', '"\\ud800"', 'true', '"\\u0000"', '"x"']
    const text = [...randomBytes(i + 1, 30)].map((byte) => words[byte % words.length]).join('')
    assert.ok((await unary(target, 'process.Process/SendSignal', text)).status >= 400, text)
  }))
  survives('paths of 1 MiB, with NULs and of 10,000 directories', 'an error', async (s, target) => {
    for (const path of [`/${'x'.repeat(1 << 20)}`, '/tmp/a\0b', '/x'.repeat(10_000), `${'../'.repeat(50_000)}etc`]) {
      for (const [method, request] of [['Stat', { path }], ['MakeDir', { path }], ['ListDir', { path }], ['Move', { source: path, destination: path }]]) {
        assert.ok((await unary(target, `filesystem.Filesystem/${method}`, request)).status >= 400 || path.startsWith('..'), `${method} ${path.length}`)
      }
      await unary(target, 'filesystem.Filesystem/Remove', { path: path.startsWith('..') ? '/tmp/nothing' : path })
    }
  })
  survives('commands with a NUL, an argument of 1 MiB, 100,000 arguments, a name with "="', 'an error, or the shell says so', async (s, target) => {
    for (const process of [{ cmd: 'a\0b' }, { cmd: '/bin/true', args: ['x'.repeat(1 << 20)] }, { cmd: '/bin/true', args: Array(100_000).fill('x'.repeat(40)) }, { cmd: '/bin/true', envs: { 'A=B': 'x', C: 'a\0b' } }, { cmd: '' }, {}]) {
      const reply = await (await stream(target, 'process.Process/Start', { process, stdin: false })).rest_of()
      assert.ok(reply.endFrame, JSON.stringify(process).slice(0, 60))
    }
  })
  survives('3,000 connections that are closed at once', 'nothing', (s, target) => parallel(Array(3000).fill(0), 50, () => new Promise((resolve) => {
    const socket = net.connect({ path: target.socketPath }, () => { socket.destroy(); resolve() })
    socket.on('error', resolve)
  })))
  survives('2,000 requests, each on its own connection', '204', (s, target) => parallel(Array(2000).fill(0), 30, async () => assert.equal((await exchange(target, { path: '/health' })).status, 204)))
  survives('300 connections that say nothing, for a while', 'others are served meanwhile', async (s, target) => {
    const sockets = await Promise.all(Array.from({ length: 300 }, () => new Promise((resolve, reject) => {
      const socket = net.connect({ path: target.socketPath }, () => resolve(socket))
      socket.on('error', reject)
    })))
    assert.equal((await exchange(target, { path: '/health' })).status, 204)
    for (const socket of sockets) socket.destroy()
  })
  survives('200 commands whose clients leave at once', 'all of them end', async (s, target) => {
    await parallel(Array(200).fill(0), 20, async () => (await stream(target, 'process.Process/Start', shell('echo hi'))).leave())
    await eventually('no process is left', async () => (await unary(target, 'process.Process/List')).text === '{}')
  })
  survives('50 subscribers to one command that all leave', 'the command lives; the agent lets go', async (s, target) => {
    const { call, pid } = await s.background('yes > /dev/stderr')
    await parallel(Array(50).fill(0), 10, async () => {
      const other = await stream(target, 'process.Process/Connect', { process: { pid } })
      await other.next()
      other.leave()
    })
    call.leave()
    await s.process('SendSignal', { process: { pid }, signal: 9 })
  })
})
