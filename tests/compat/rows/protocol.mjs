// Sections 2.1 and 2.2: Connect itself, in both codecs, whatever the method.
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { area, bytes, empty, rpc, text, that } from '../support/table.mjs'
import { decode, encode, shell } from '../support/sandbox.mjs'
import { basic, envelope, exchange, fields, gzip, proto, stream, unary } from '../support/wire.mjs'

const kList = 'process.Process/List'
const kStat = 'filesystem.Filesystem/Stat'
const kStart = 'process.Process/Start'
const kUnaryTypes = ['text/plain', 'application/grpc', 'application/grpc+proto', 'application/grpc-web+json', 'application/connect+json', 'application/connect+proto', 'application/x-www-form-urlencoded', undefined]
const kStreamTypes = ['application/json', 'application/proto', 'application/grpc', 'application/grpc-web', 'text/plain', undefined]
const other = (type) => (type?.includes('grpc') ? { differs: 'gRPC and gRPC-Web are not spoken' } : {})
const rest_of = async (call) => (await call).rest_of()

area('Connect: the frame of a call', {}, (row) => {
  row('2.1', 'a unary call', bytes(200, '{}', { 'Content-Type': 'application/json' }), (s) => unary(s.target, kList))
  row('2.1', '`Content-Type: application/json; charset=utf-8`', bytes(200, '{}', { 'Content-Type': 'application/json' }), (s) => unary(s.target, kList, {}, { headers: { 'Content-Type': 'application/json; charset=utf-8' } }))
  row('2.1', 'no `Connect-Protocol-Version`', bytes(200, '{}'), (s) => unary(s.target, kList, {}, { headers: { 'Connect-Protocol-Version': undefined } }))
  const kVersion = 'connect-protocol-version must be "1": got "2"'
  row('2.1', '`Connect-Protocol-Version: 2`', rpc('invalid_argument', kVersion), (s) => unary(s.target, kList, {}, { headers: { 'Connect-Protocol-Version': '2' } }))
  row('2.1', '`Connect-Protocol-Version: 2`, a stream', rpc('invalid_argument', kVersion), (s) => rest_of(stream(s.target, kStart, shell('true'), { headers: { 'Connect-Protocol-Version': '2' } })))
  row('2.1', 'an empty JSON body', rpc('invalid_argument', 'unmarshal message: …'), (s) => unary(s.target, kList, ''))
  for (const body of ['{', '[]', 'null nonsense', '{"path":}', '"text"']) {
    row('2.1', `the body \`${body}\``, rpc('invalid_argument', 'unmarshal message: …'), (s) => unary(s.target, kStat, body))
  }
  row('2.1', 'a field of the wrong type, `{"path":5}`', rpc('invalid_argument', 'unmarshal message: …'), (s) => unary(s.target, kStat, { path: 5 }))
  row('2.1', 'protobuf that is none', rpc('invalid_argument', 'unmarshal message: …'), (s) => unary(s.target, kStat, Buffer.from([0x0a, 0xff]), { codec: 'proto' }))
  for (const type of kUnaryTypes) {
    row('2.1', `a unary call with ${type ? `\`${type}\`` : 'no content type'}`, that('415, `Accept-Post` names both JSON and protobuf'), async (s) => {
      const reply = await unary(s.target, kList, '{}', { headers: { 'Content-Type': type } })
      assert.equal(reply.status, 415, reply.text)
      assert.deepEqual(reply.headers['accept-post']?.split(', ').filter((one) => ['application/json', 'application/proto'].includes(one)).sort(), ['application/json', 'application/proto'])
    }, other(type))
  }
  for (const type of kStreamTypes) {
    row('2.1', `a stream with ${type ? `\`${type}\`` : 'no content type'}`, that('415, `Accept-Post` names both JSON and protobuf'), async (s) => {
      const call = await stream(s.target, kStart, shell('true'), { headers: { 'Content-Type': type } })
      await call.rest_of()
      assert.equal(call.status, 415)
      assert.deepEqual(call.headers['accept-post']?.split(', ').filter((one) => one.startsWith('application/connect+')).sort(), ['application/connect+json', 'application/connect+proto'])
    }, other(type))
  }
  for (const verb of ['GET', 'PUT', 'DELETE', 'HEAD']) {
    row('2.1', `${verb} of a unary and of a streaming RPC`, empty(405, { Allow: 'POST' }), async (s) => {
      empty(405, { Allow: 'POST' }).verify(await exchange(s.target, { method: verb, path: `/${kStart}` }))
      return exchange(s.target, { method: verb, path: `/${kList}` })
    })
  }
  row('2.1', 'an unknown method of `process.Process`', text(404, '404 page not found'), (s) => unary(s.target, 'process.Process/Nope'))
  row('2.1', 'an unknown method of `filesystem.Filesystem`', text(404, '404 page not found'), (s) => unary(s.target, 'filesystem.Filesystem/Nope'))
  row('2.1', 'gzip in, `Content-Encoding: gzip`', that('200'), async (s) => {
    const reply = await unary(s.target, kStat, gzip('{"path":"/etc"}'), { headers: { 'Content-Encoding': 'gzip' } })
    assert.equal(reply.json.entry.path, '/etc', reply.text)
  })
  row('2.1', '`Content-Encoding: identity`', bytes(200, '{}'), (s) => unary(s.target, kList, {}, { headers: { 'Content-Encoding': 'identity' } }))
  row('2.1', '`Content-Encoding: br`', rpc('unimplemented', 'unknown compression "br": supported encodings are gzip'), (s) => unary(s.target, kList, {}, { headers: { 'Content-Encoding': 'br' } }))
  row('2.1', '`Content-Encoding: gzip` of what is none', that('an error with a code; the connection lives'), async (s) => {
    const reply = await unary(s.target, kStat, '{"path":"/etc"}', { headers: { 'Content-Encoding': 'gzip' } })
    assert.ok(reply.status >= 400 && reply.json.code, reply.text)
  })
  for (const accept of ['gzip', 'identity', 'br', 'gzip, deflate, br']) {
    row('2.1', `\`Accept-Encoding: ${accept}\``, that('200, in gzip or plain, as its `Content-Encoding` says'), async (s) => {
      const reply = await unary(s.target, kStat, { path: '/etc' }, { headers: { 'Accept-Encoding': accept } })
      assert.equal(reply.json.entry.path, '/etc')
      const used = reply.headers['content-encoding']
      assert.ok(used === undefined || (used === 'gzip' && accept.includes('gzip')), used)
    })
  }
  row('2.1', 'an error', that('`{"code":"…","message":"…"}`, `application/json`, the status of the code'), async (s) => {
    const reply = await unary(s.target, kStat, { path: '/nope' })
    assert.equal(reply.status, 404)
    assert.equal(reply.headers['content-type'], 'application/json')
    assert.deepEqual(Object.keys(reply.json), ['code', 'message'])
  })
  row('2.1', 'the headers that SDKs add', that('200'), async (s) => {
    const reply = await unary(s.target, kList, {}, { headers: {
      'E2b-Sandbox-Id': s.id, 'E2b-Sandbox-Port': '49983', 'User-Agent': 'e2b-js-sdk/2.51.0', 'Keepalive-Ping-Interval': '50',
      'connect-content-encoding': 'identity', 'connect-accept-encoding': 'gzip',
    } })
    assert.equal(reply.status, 200)
  })
})

area('Connect: envelopes', {}, (row) => {
  row('2.1, 9.2', 'a stream that succeeds', that('200 `application/connect+json`; start, data, end; then one frame 0x02 `{}`; the body ends normally'), async (s) => {
    const reply = await rest_of(s.start(shell('echo hi')))
    assert.equal(reply.status, 200)
    assert.equal(reply.headers['content-type'], 'application/connect+json')
    assert.deepEqual(reply.messages.map((m) => Object.keys(m.event)[0]), ['start', 'data', 'end'])
    assert.deepEqual(reply.endFrame, {})
    assert.equal(reply.broken, undefined)
    assert.equal(reply.text, '')
  })
  row('2.1', 'each event of a running command', that('sent when it happens'), async (s) => {
    const { call } = await s.background({ ...shell('read; echo one; read; echo two'), stdin: true }, {})
    const { pid } = (await s.process('List')).json.processes[0]
    for (const word of ['one', 'two']) {
      await s.process('SendInput', { process: { pid }, input: { stdin: encode('\n') } })
      assert.equal(decode((await call.next()).event.data.stdout), `${word}\n`)
    }
    await call.rest_of()
  })
  row('2.1, 9.1', 'a stream that fails before its first message', that('200, and the error in the end frame'), async (s) => {
    const reply = await rest_of(s.start({ process: { cmd: 'x', cwd: '/nope' } }))
    assert.equal(reply.status, 200)
    assert.deepEqual(reply.messages, [])
    assert.deepEqual(reply.endFrame, { error: { code: 'invalid_argument', message: "cwd '/nope' does not exist" } })
  })
  row('2.1', 'no envelope', rpc('unimplemented', 'unary request has zero messages'), (s) => rest_of(s.start(Buffer.alloc(0))))
  row('2.1', 'two envelopes', rpc('unimplemented', 'unary request has multiple messages'), (s) => rest_of(s.start(Buffer.concat([envelope('{}'), envelope('{}')]))))
  row('2.1', 'an envelope that breaks off', rpc('invalid_argument', 'protocol error: …'), (s) => rest_of(s.start(envelope('{"process":{}}').subarray(0, 9))))
  row('2.1', 'an envelope with nothing in it', rpc('invalid_argument', 'unmarshal message: …'), (s) => rest_of(s.start(envelope(''))))
  row('2.1', 'the flag 0x01 without `Connect-Content-Encoding`', rpc('internal', 'protocol error: …'), (s) => rest_of(s.start(envelope(gzip(JSON.stringify(shell('true'))), 1))))
  row('2.1', 'the flag 0x02 from a client', rpc('invalid_argument', 'protocol error: …'), (s) => rest_of(s.start(envelope('{}', 2))))
  row('2.1', '`Connect-Content-Encoding: gzip` and the flag 0x01', that('taken'), async (s) => {
    const reply = await rest_of(s.start(envelope(gzip(JSON.stringify(shell('echo zipped'))), 1), { headers: { 'Connect-Content-Encoding': 'gzip' } }))
    assert.equal(decode(reply.messages[1].event.data.stdout), 'zipped\n')
  })
  row('2.1', '`Connect-Content-Encoding: gzip`, the envelope plain', that('taken'), async (s) => {
    const reply = await rest_of(s.start(shell('echo plain'), { headers: { 'Connect-Content-Encoding': 'gzip' } }))
    assert.equal(decode(reply.messages[1].event.data.stdout), 'plain\n')
  })
  row('2.1', '`Connect-Content-Encoding: br`', rpc('unimplemented', 'unknown compression "br": supported encodings are gzip'), (s) => rest_of(s.start(shell('true'), { headers: { 'Connect-Content-Encoding': 'br' } })))
  for (const accept of ['gzip', 'br', undefined]) {
    row('2.1', accept ? `\`Connect-Accept-Encoding: ${accept}\`` : 'no `Connect-Accept-Encoding`', that(accept === 'gzip' ? 'readable; a flag 0x01 only with `Connect-Content-Encoding: gzip`' : 'no frame has the flag 0x01'), async (s) => {
      const call = await s.start(shell('echo hi'), { headers: { 'Connect-Accept-Encoding': accept } })
      const reply = await call.rest_of()
      assert.equal(decode(reply.messages[1].event.data.stdout), 'hi\n')
      const used = reply.headers['connect-content-encoding']
      assert.ok(used === undefined || used === 'identity' || (used === 'gzip' && accept === 'gzip'), used)
    })
  }
})

area('Connect: time limits, users, keepalives', { seconds: 6 }, (row) => {
  for (const value of ['soon', '-1', '1.5', '12345678901', '1s', '+5']) {
    row('2.1', `\`Connect-Timeout-Ms: ${value}\`, unary`, rpc('invalid_argument'), (s) => unary(s.target, kList, {}, { headers: { 'Connect-Timeout-Ms': value } }))
  }
  row('2.1', '`Connect-Timeout-Ms: soon`, a stream', rpc('invalid_argument'), (s) => rest_of(s.start(shell('true'), { headers: { 'Connect-Timeout-Ms': 'soon' } })))
  row('2.1', '`Connect-Timeout-Ms: 9999999999`', bytes(200, '{}'), (s) => unary(s.target, kList, {}, { headers: { 'Connect-Timeout-Ms': '9999999999' } }))
  row('2.1', '`Connect-Timeout-Ms: 300`, a command that takes longer', rpc('deadline_exceeded', 'context deadline exceeded'), (s) => rest_of(s.start(shell('sleep 60'), { headers: { 'Connect-Timeout-Ms': '300' } })))
  row('2.1', '`Connect-Timeout-Ms: 300`, unary: input that nobody reads', rpc('deadline_exceeded', 'context deadline exceeded'), async (s) => {
    const { pid, call } = await s.background({ ...shell('sleep 60'), stdin: true })
    const reply = await s.process('SendInput', { process: { pid }, input: { stdin: Buffer.alloc(1 << 20, 'x').toString('base64') } }, { headers: { 'Connect-Timeout-Ms': '300' } })
    call.leave()
    return reply
  })
  row('2.1', 'no user', that('the default user'), async (s) => assert.equal((await s.run('id -un')).stdout, 'user\n'))
  row('2.1', '`Authorization: Basic` root, whatever the password', that('root'), async (s) => {
    assert.equal((await s.run('id -un', { headers: basic('root', 'ignored') })).stdout, 'root\n')
  })
  row('2.1', '`Authorization: Basic` with an empty name', that('the default user'), async (s) => assert.equal((await s.run('id -un', { headers: basic('') })).stdout, 'user\n'))
  row('2.1', 'an unknown user, unary', rpc('unauthenticated', "invalid username: 'root123'"), (s) => s.files('Stat', { path: '/' }, { user: 'root123' }))
  row('2.1', 'an unknown user, a stream', rpc('unauthenticated', "invalid username: 'root123'"), (s) => rest_of(s.start(shell('true'), { user: 'root123' })))
  row('2.1', 'a user that a command has just added', that('known at once'), async (s) => {
    assert.equal((await s.run('useradd -m newcomer', { user: 'root' })).end.exitCode, undefined)
    assert.equal((await s.run('id -un; pwd', { user: 'newcomer' })).stdout, 'newcomer\n/home/newcomer\n')
  })
  row('2.1', '`Keepalive-Ping-Interval: 1`, a command that is silent', that('`{"event":{"keepalive":{}}}` after one second and again'), async (s) => {
    const started = Date.now()
    const { call } = await s.background(shell('sleep 60'), { headers: { 'Keepalive-Ping-Interval': '1' } })
    assert.deepEqual(await call.next(), { event: { keepalive: {} } })
    assert.ok(Date.now() - started > 900)
    assert.deepEqual(await call.next(), { event: { keepalive: {} } })
    call.leave()
  })
  row('2.1', '`Keepalive-Ping-Interval: 2`, with output all the time, for longer', that('no keepalive: every event restarts the interval'), async (s) => {
    const reply = await rest_of(s.start(shell('for i in 1 2 3 4; do sleep 0.7; echo $i; done'), { headers: { 'Keepalive-Ping-Interval': '2' } }))
    assert.deepEqual(reply.messages.filter((m) => m.event.keepalive), [])
    assert.equal(reply.messages.length, 6)
  })
  row('2.1', '`Keepalive-Ping-Interval: 0`, `-1` or nonsense', that('the default of 90 s: nothing within 1.3 s'), async (s) => {
    const calls = await Promise.all(['0', '-1', 'often'].map((value) => s.background(shell('sleep 60'), { headers: { 'Keepalive-Ping-Interval': value } })))
    await pause(1300)
    for (const { call } of calls) { assert.deepEqual(call.messages, []); call.leave() }
  })
})

area('JSON as proto3 has it', {}, (row) => {
  row('2.2', 'names in camelCase and in snake_case', that('both taken'), async (s) => {
    for (const name of ['include_entry', 'includeEntry']) assert.equal((await unary(s.target, kStat, { path: '/etc', [name]: true })).status, 200)
    for (const name of ['symlink_target', 'symlinkTarget']) assert.equal((await unary(s.target, kList, { [name]: 1 })).status, 200)
  })
  row('2.2', 'answers', that('in camelCase'), async (s) => {
    const { entry } = (await unary(s.target, kStat, { path: '/etc' })).json
    assert.ok(entry.modifiedTime)
    assert.equal(entry.modified_time, undefined)
  })
  row('2.2', 'unknown fields', bytes(200, '{}'), (s) => unary(s.target, kList, { nope: { deep: [1] } }))
  row('2.2', '`null`', that('as if absent'), async (s) => {
    const reply = await rest_of(s.start({ process: { cmd: '/bin/echo', args: null, envs: null, cwd: null }, pty: null, tag: null, stdin: null }))
    assert.deepEqual(reply.messages.at(-1).event.end, { exited: true, status: 'exit status 0' })
  })
  for (const [what, text64] of [['standard base64', '+/+/Cg=='], ['URL-safe base64', '-_-_Cg=='], ['base64 without padding', '+/+/Cg'], ['URL-safe, without padding', '-_-_Cg']]) {
    row('2.2', `bytes as ${what}`, that('taken'), async (s) => {
      const { call, pid } = await s.background({ ...shell('head -c 4 | od -An -tx1'), stdin: true })
      assert.equal((await s.process('SendInput', { process: { pid }, input: { stdin: text64 } })).status, 200)
      assert.equal(decode((await call.next()).event.data.stdout), ' fb ff bf 0a\n')
      await call.rest_of()
    })
  }
  row('2.2, 9.4', 'bytes in answers', that('standard base64, padded'), async (s) => {
    const reply = await rest_of(s.start(shell("printf '\\373\\377\\277\\n'")))
    assert.equal(reply.messages[1].event.data.stdout, '+/+/Cg==')
  })
  for (const signal of ['SIGNAL_SIGTERM', 15]) {
    row('2.2', `an enum as ${typeof signal === 'number' ? 'a number' : 'a name'}`, that('taken'), async (s) => {
      const { call, pid } = await s.background('sleep 60')
      assert.equal((await s.process('SendSignal', { process: { pid }, signal })).status, 200)
      assert.equal((await call.rest_of()).messages.at(-1).event.end.status, 'signal: terminated')
    })
  }
  row('2.2, 9.4', 'enums in answers', that('names: `FILE_TYPE_FILE`, `FILE_TYPE_DIRECTORY`'), async (s) => {
    assert.equal((await unary(s.target, kStat, { path: '/etc' })).json.entry.type, 'FILE_TYPE_DIRECTORY')
    assert.equal((await unary(s.target, kStat, { path: '/etc/passwd' })).json.entry.type, 'FILE_TYPE_FILE')
  })
  row('2.2, 9.4', '64-bit numbers in answers', that('decimal text: `"size":"4"`'), async (s) => {
    await s.write('/tmp/four', 'four')
    assert.equal((await unary(s.target, kStat, { path: '/tmp/four' })).json.entry.size, '4')
  })
  row('2.2', '32-bit numbers in answers', that('numbers: `"mode":420`'), async (s) => assert.equal((await unary(s.target, kStat, { path: '/tmp/four' })).json.entry.mode, 420))
  row('2.2', '32-bit numbers in requests, as text', that('taken'), async (s) => assert.equal((await s.files('ListDir', { path: '/etc', depth: '1' })).status, 200))
  row('2.2, 9.3', 'zero: exit code 0, `exited: false`, size 0, no list, no map', that('omitted'), async (s) => {
    assert.deepEqual((await s.run('exit 0')).end, { exited: true, status: 'exit status 0' })
    assert.equal('exited' in (await s.run('kill -9 $$')).end, false)
    await s.write('/tmp/none', '')
    const { entry } = (await unary(s.target, kStat, { path: '/tmp/none' })).json
    assert.equal('size' in entry, false)
    assert.equal('metadata' in entry, false)
    assert.equal((await unary(s.target, kList)).text, '{}')
  })
  row('2.2', 'an optional field that is set, and empty', that('kept: `"tag":""`'), async (s) => {
    const { call, pid } = await s.background({ ...shell('sleep 60'), tag: '' })
    const mine = (await unary(s.target, kList)).json.processes.find((one) => one.pid === pid)
    assert.equal(mine.tag, '')
    call.leave()
  })
  row('2.2', 'times', that('RFC 3339 in UTC, with 0, 3, 6 or 9 digits of a second'), async (s) => {
    const wanted = { '2001-02-03 04:05:06 UTC': '2001-02-03T04:05:06Z', '2001-02-03 04:05:06.5 UTC': '2001-02-03T04:05:06.500Z', '2001-02-03 04:05:06.000007 UTC': '2001-02-03T04:05:06.000007Z', '2001-02-03 04:05:06.000000008 UTC': '2001-02-03T04:05:06.000000008Z' }
    for (const [when, shown] of Object.entries(wanted)) {
      await s.run(`touch -d '${when}' /tmp/dated`)
      assert.equal((await unary(s.target, kStat, { path: '/tmp/dated' })).json.entry.modifiedTime, shown)
    }
  })
})

area('Binary protobuf', {}, (row) => {
  const start = (command) => envelope(proto([1, [[1, '/bin/bash'], [2, '-c'], [2, command]]], [4, false]))
  const run = async (s, command, options) => (await s.start(start(command), { codec: 'proto', ...options })).rest_of()
  const event = (message) => fields(fields(message)[1][0])
  // The next message that has no keepalive, its field `keepalive`: on a slow machine a second one may come first.
  const after = async (call, open, keepalive) => {
    let message
    do message = open(await call.next()); while (message[keepalive])
    return message
  }
  row('2.1, 2.6', '`Stat` of `/etc/passwd` as `application/proto`', that('200 `application/proto`: name, type, path, size, mode, permissions, owner, group, time in their fields'), async (s) => {
    const reply = await unary(s.target, kStat, proto([1, '/etc/passwd']), { codec: 'proto' })
    assert.equal(reply.status, 200)
    assert.equal(reply.headers['content-type'], 'application/proto')
    const entry = fields(fields(reply.bytes)[1][0])
    assert.deepEqual([1, 3, 6, 7, 8].map((number) => entry[number][0].toString()), ['passwd', '/etc/passwd', '-rw-r--r--', 'root', 'root'])
    assert.deepEqual(entry[2], [1])
    assert.deepEqual(entry[5], [0o644])
    assert.equal(entry[4][0], Number((await unary(s.target, kStat, { path: '/etc/passwd' })).json.entry.size))
    assert.ok(fields(entry[9][0])[1][0] > 0)
    assert.equal(entry[10], undefined)
  })
  row('2.1', 'an empty request', bytes(200, '', { 'Content-Type': 'application/proto' }, '200, an empty message'), (s) => unary(s.target, kList, Buffer.alloc(0), { codec: 'proto' }))
  row('2.1', 'an error', rpc('not_found', 'file not found: lstat /nope: no such file or directory'), (s) => unary(s.target, kStat, proto([1, '/nope']), { codec: 'proto' }))
  row('2.1', 'an error of a stream', rpc('invalid_argument', "cwd '/nope' does not exist"), async (s) => (await s.start(envelope(proto([1, [[1, 'x'], [4, '/nope']]])), { codec: 'proto' })).rest_of())
  row('2.3', '`Start` as `application/connect+proto`', that('start{pid}, data{stdout}, end{exited, status}; the end frame is JSON `{}`'), async (s) => {
    const reply = await run(s, 'echo bits')
    assert.equal(reply.headers['content-type'], 'application/connect+proto')
    const [first, data, end] = reply.messages.map(event)
    assert.ok(fields(first[1][0])[1][0] > 1)
    assert.equal(fields(data[2][0])[1][0].toString(), 'bits\n')
    assert.deepEqual({ ...fields(end[3][0]), 3: fields(end[3][0])[3].map(String) }, { 2: [1], 3: ['exit status 0'] })
    assert.deepEqual(reply.endFrame, {})
  })
  row('2.3', '`Start` of a command that writes to stderr and fails', that('data{stderr}; end{exit_code 3 as sint32, exited, status, error}'), async (s) => {
    const reply = await run(s, 'echo bad >&2; exit 3')
    const [, data, end] = reply.messages.map(event)
    assert.equal(fields(data[2][0])[2][0].toString(), 'bad\n')
    const ended = fields(end[3][0])
    assert.deepEqual([ended[1], ended[2], ended[3].map(String), ended[4].map(String)], [[6], [1], ['exit status 3'], ['exit status 3']])
  })
  row('2.3', '`Start` of a command that a signal ends', that('end{exit_code -1 as sint32, status, error}'), async (s) => {
    const ended = fields(event((await run(s, 'kill -9 $$')).messages.at(-1))[3][0])
    assert.deepEqual([ended[1], ended[2], ended[3].map(String)], [[1], undefined, ['signal: killed']])
  })
  row('2.3', '`Start` with a terminal', that('data{pty}'), async (s) => {
    const request = envelope(proto([1, [[1, '/bin/bash'], [2, '-c'], [2, 'stty size']]], [2, [[1, [[1, 90], [2, 30]]]]]))
    const reply = await (await s.start(request, { codec: 'proto' })).rest_of()
    assert.equal(Buffer.concat(reply.messages.map(event).filter((e) => e[2]).map((e) => fields(e[2][0])[3][0])).toString(), '30 90\r\n')
  })
  row('2.3', '`SendInput`, `CloseStdin`, `List`', that('taken; the list has config, pid and tag'), async (s) => {
    const call = await s.start(envelope(proto([1, [[1, '/bin/cat'], [3, [[1, 'A'], [2, 'b']]], [4, '/tmp']]], [3, 'a tag'])), { codec: 'proto' })
    const pid = fields(event(await call.next())[1][0])[1][0]
    const listed = fields(fields((await unary(s.target, kList, Buffer.alloc(0), { codec: 'proto' })).bytes)[1][0])
    const config = fields(listed[1][0])
    assert.deepEqual([config[1][0].toString(), fields(config[3][0])[1][0].toString(), config[4][0].toString(), listed[2], listed[3][0].toString()], ['/bin/cat', 'A', '/tmp', [pid], 'a tag'])
    assert.equal((await s.process('SendInput', proto([1, [[2, 'a tag']]], [2, [[1, 'through']]]), { codec: 'proto' })).status, 200)
    assert.equal(fields(event(await call.next())[2][0])[1][0].toString(), 'through')
    assert.equal((await s.process('CloseStdin', proto([1, [[1, pid]]]), { codec: 'proto' })).status, 200)
    assert.equal(fields(event((await call.rest_of()).messages.at(-1))[3][0])[3].toString(), 'exit status 0')
  })
  row('2.6', '`ListDir`, `MakeDir`, `Move`, `Remove`', that('taken and answered'), async (s) => {
    const files = (method, message) => s.files(method, message, { codec: 'proto' })
    assert.equal(fields(fields((await files('MakeDir', proto([1, '/tmp/p/q']))).bytes)[1][0])[3].toString(), '/tmp/p/q')
    assert.equal(fields(fields((await files('Move', proto([1, '/tmp/p/q'], [2, '/tmp/p/r']))).bytes)[1][0])[1].toString(), 'r')
    assert.deepEqual(fields((await files('ListDir', proto([1, '/tmp/p'], [2, 1]))).bytes)[1].map((entry) => fields(entry)[3].toString()), ['/tmp/p/r'])
    const removed = await files('Remove', proto([1, '/tmp/p']))
    assert.deepEqual([removed.status, removed.bytes.length], [200, 0])
  })
  row('2.3', '`Connect`, with keepalives', that('start{pid}, keepalive{}, data{stdout}, end'), async (s) => {
    const { call: first, pid } = await s.background({ process: { cmd: '/bin/cat' }, tag: 'two words' })
    first.leave()
    const call = await s.connect(envelope(proto([1, [[2, 'two words']]])), { codec: 'proto', headers: { 'Keepalive-Ping-Interval': '1' } })
    assert.deepEqual(fields(event(await call.next())[1][0])[1], [pid])
    assert.equal(event(await call.next())[4][0].length, 0)
    await s.process('SendInput', proto([1, [[1, pid]]], [2, [[1, 'later']]]), { codec: 'proto' })
    assert.equal(fields((await after(call, event, 4))[2][0])[1].toString(), 'later')
    await s.process('CloseStdin', proto([1, [[2, 'two words']]]), { codec: 'proto' })
    assert.ok(event((await call.rest_of()).messages.at(-1))[3])
  })
  row('2.3', '`SendSignal`', that('{}; signal is an enum: 15 ends it, 2 is `unimplemented`'), async (s) => {
    const { call, pid } = await s.background('exec sleep 60')
    rpc('unimplemented', 'invalid signal: …').verify(await s.process('SendSignal', proto([1, [[1, pid]]], [2, 2]), { codec: 'proto' }))
    const reply = await s.process('SendSignal', proto([1, [[1, pid]]], [2, 15]), { codec: 'proto' })
    assert.deepEqual([reply.status, reply.bytes.length], [200, 0])
    assert.equal((await call.rest_of()).messages.at(-1).event.end.status, 'signal: terminated')
  })
  row('2.3', '`Update`', that('{}; the terminal has the new size'), async (s) => {
    const { call, pid } = await s.background({ process: { cmd: '/bin/bash', args: ['-c', 'read; stty size'] }, pty: { size: { cols: 80, rows: 24 } } })
    const reply = await s.process('Update', proto([1, [[1, pid]]], [2, [[1, [[1, 91], [2, 31]]]]]), { codec: 'proto' })
    assert.deepEqual([reply.status, reply.bytes.length], [200, 0])
    await s.process('SendInput', proto([1, [[1, pid]]], [2, [[2, '\n']]]), { codec: 'proto' })
    assert.match((await call.rest_of()).messages.map((m) => decode(m.event?.data?.pty ?? '')).join(''), /31 91/)
  })
  row('2.3', '`StreamInput`: start, keepalive, data', that('an empty message and the end frame; the input arrived'), async (s) => {
    const { call, pid } = await s.background({ process: { cmd: '/usr/bin/head', args: ['-n', '1'] } })
    const sent = Buffer.concat([[1, [[1, [[1, pid]]]]], [3, []], [2, [[2, [[1, 'by stream\n']]]]]].map((field) => envelope(proto(field))))
    const reply = await rest_of(stream(s.target, 'process.Process/StreamInput', sent, { codec: 'proto' }))
    assert.deepEqual([reply.messages.map((m) => m.length), reply.endFrame], [[0], {}])
    assert.equal(decode((await call.rest_of()).messages[0].event.data.stdout), 'by stream\n')
  })
  row('2.6', '`Stat` of a link, and of a file with metadata', that('symlink_target; metadata as a map'), async (s) => {
    await s.upload({ path: '/tmp/tagged-bits' }, 'x', { headers: { 'X-Metadata-Colour': 'blue' } })
    await s.run('ln -sf tagged-bits /tmp/link-bits')
    const entry = async (path) => fields(fields((await unary(s.target, kStat, proto([1, path]), { codec: 'proto' })).bytes)[1][0])
    const link = await entry('/tmp/link-bits')
    assert.deepEqual([link[10].toString(), link[2], link[5]], ['/tmp/tagged-bits', [1], [0o644]])
    const file = await entry('/tmp/tagged-bits')
    assert.equal(file[10], undefined)
    assert.deepEqual(file[11].map((one) => [fields(one)[1].toString(), fields(one)[2].toString()]), [['colour', 'blue']])
  })
  row('2.6', '`CreateWatcher`, `GetWatcherEvents`, `RemoveWatcher`', that('watcher_id; events with name, type and, when asked for, entry; an empty message'), async (s) => {
    const files = (method, message) => s.files(method, message, { codec: 'proto' })
    await s.run('mkdir -p /tmp/seen/below')
    const id = fields((await files('CreateWatcher', proto([1, '/tmp/seen'], [2, true], [3, true], [4, true]))).bytes)[1].toString()
    assert.match(id, /^w[a-z0-9]{20}$/)
    await s.write('/tmp/seen/below/f', 'four')
    const events = fields((await files('GetWatcherEvents', proto([1, id]))).bytes)[1].map(fields)
    assert.deepEqual(events.map((e) => [e[1].toString(), e[2][0], fields(e[3][0])[4][0]]), [['below/f', 1, 4], ['below/f', 5, 4], ['below/f', 2, 4]])
    assert.equal((await files('GetWatcherEvents', proto([1, id]))).bytes.length, 0)
    const removed = await files('RemoveWatcher', proto([1, id]))
    assert.deepEqual([removed.status, removed.bytes.length], [200, 0])
    rpc('not_found', `watcher with id ${id} not found`).verify(await files('RemoveWatcher', proto([1, id])))
  })
  row('2.6', '`WatchDir` with keepalives, recursive, with entries', that('start{}, keepalive{}, filesystem{name, type, entry}'), async (s) => {
    await s.run('mkdir -p /tmp/kept/below')
    const call = await s.watch(envelope(proto([1, '/tmp/kept'], [2, true], [3, true])), { codec: 'proto', headers: { 'Keepalive-Ping-Interval': '1' } })
    assert.equal(fields(await call.next())[1][0].length, 0)
    assert.equal(fields(await call.next())[3][0].length, 0)
    await s.write('/tmp/kept/below/f', 'x')
    const seen = fields((await after(call, fields, 3))[2][0])
    assert.deepEqual([seen[1].toString(), seen[2], fields(seen[3][0])[3].toString()], ['below/f', [1], '/tmp/kept/below/f'])
    call.leave()
  })
  row('2.1', 'gzip in a unary call and in an envelope', that('taken'), async (s) => {
    assert.equal((await unary(s.target, kStat, gzip(proto([1, '/etc'])), { codec: 'proto', headers: { 'Content-Encoding': 'gzip' } })).status, 200)
    const plain = start('echo hi').subarray(5)
    const reply = await (await s.start(envelope(gzip(plain), 1), { codec: 'proto', headers: { 'Connect-Content-Encoding': 'gzip' } })).rest_of()
    assert.equal(fields(event(reply.messages[1])[2][0])[1].toString(), 'hi\n')
  })
})
