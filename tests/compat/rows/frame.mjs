// Sections 1.1-1.5 and 1.10: the HTTP frame, the access token, /metrics, /envs, /init and the orchestrator's routes.
import assert from 'node:assert/strict'
import http from 'node:http'
import { eventually } from '../../sdk/support/sandbox.mjs'
import { area, bytes, empty, rest, rpc, sameHeaders, text, that } from '../support/table.mjs'
import { exchange, unary } from '../support/wire.mjs'

const kExposed = 'Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin, Location, Cache-Control, X-Content-Type-Options'
const preflight = (method, path, extra = {}) => ({
  method: 'OPTIONS', path, headers: { Origin: 'https://example.com', 'Access-Control-Request-Method': method, ...extra },
})
const vary = (reply) => reply.rawHeaders.filter((_, i, all) => i % 2 && all[i - 1].toLowerCase() === 'vary').join(', ').split(/, */)

area('HTTP: routes, methods, CORS', {}, (row) => {
  row('1.3', '`GET /health`', empty(204, { 'Cache-Control': 'no-store', Vary: 'Origin' }), (s) => s.get('/health'))
  row('1.1', '`GET /nope`', text(404, '404 page not found'), (s) => s.get('/nope'))
  row('1.1', '`GET /`', text(404, '404 page not found'), (s) => s.get('/'))
  row('1.1', '`POST /process.Nope/List`, a service that is not there', text(404, '404 page not found'), (s) => s.post('/process.Nope/List', {}, { body: '{}' }))
  for (const [method, path, allow] of [
    ['POST', '/health', 'GET'], ['DELETE', '/health', 'GET'], ['POST', '/metrics', 'GET'], ['PUT', '/envs', 'GET'],
    ['DELETE', '/files', 'GET, POST'], ['PATCH', '/files', 'GET, POST'], ['GET', '/files/compose', 'POST'],
    ['POST', '/envs', 'GET'], ['DELETE', '/metrics', 'GET'], ['PUT', '/files', 'GET, POST'], ['DELETE', '/files/compose', 'POST'], ['PUT', '/health', 'GET'],
  ]) row('1.1', `\`${method} ${path}\``, empty(405, { Allow: allow }), (s) => s.http(method, path))
  row('1.1, 9.12', '`HEAD /files`', empty(405), (s) => s.http('HEAD', '/files', { path: '/etc/passwd' }))
  row('1.1', 'two requests on one connection', that('both answered, on the same connection'), async (s) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    const sockets = new Set()
    agent.on('free', (socket) => sockets.add(socket))
    for (let i = 0; i < 2; i++) assert.equal((await exchange(await s.direct(), { path: '/health', agent })).status, 204)
    agent.destroy()
    assert.equal(sockets.size, 1)
  })
  row('1.1, 9.14', 'a request body in chunks, without a length', bytes(200, '[{"path":"/tmp/chunked","name":"chunked","type":"file"}]'), async (s) => {
    const reply = await s.upload({ path: '/tmp/chunked' }, ['one ', 'two ', 'three'])
    assert.equal((await s.get('/files', { path: '/tmp/chunked' })).text, 'one two three')
    return reply
  })
  row('1.1', 'no `Origin`', that('`Vary: Origin`; no `Access-Control-*`'), async (s) => {
    const reply = await s.get('/envs')
    sameHeaders(reply, { Vary: 'Origin', 'Access-Control-Allow-Origin': undefined, 'Access-Control-Expose-Headers': undefined })
  })
  row('1.1', 'with `Origin`', that(`\`Access-Control-Allow-Origin: *\`, \`Access-Control-Expose-Headers: ${kExposed}\``), async (s) => {
    for (const path of ['/envs', '/nope', '/files?path=/nope']) {
      const reply = await s.http('GET', path, {}, { headers: { Origin: 'https://example.com' } })
      sameHeaders(reply, { Vary: /Origin/, 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': kExposed })
    }
  })
  row('1.1', 'with `Origin`, an RPC', that('the same headers'), async (s) => {
    const reply = await s.process('List', {}, { headers: { Origin: 'https://example.com' } })
    assert.equal(reply.status, 200)
    sameHeaders(reply, { Vary: /Origin/, 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': kExposed })
  })
  for (const method of ['HEAD', 'GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
    row('1.1', `a preflight for ${method}, with headers of its own`, empty(204, {
      'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Methods': method, 'Access-Control-Allow-Headers': 'x-one,x-two', 'Access-Control-Max-Age': '7200',
    }), async (s) => {
      const reply = await exchange(s.target, preflight(method, '/files', { 'Access-Control-Request-Headers': 'x-one,x-two' }))
      assert.deepEqual(vary(reply), ['Origin', 'Access-Control-Request-Method', 'Access-Control-Request-Headers'])
      return reply
    })
  }
  row('1.1', 'a preflight for TRACE', empty(204, { 'Access-Control-Allow-Origin': undefined, 'Access-Control-Allow-Methods': undefined }), (s) => exchange(s.target, preflight('TRACE', '/files')))
  row('1.1', '`OPTIONS /files` that is no preflight', empty(405, { Allow: 'GET, POST' }), (s) => s.http('OPTIONS', '/files'))
  row('1.1', 'a preflight of an RPC', empty(204, { 'Access-Control-Allow-Methods': 'POST' }), (s) => exchange(s.target, preflight('POST', '/process.Process/Start')))
  row('1.1', 'an error', that('`{"code":404,"message":"…"}`, just these keys; `application/json; charset=utf-8`; `nosniff`'), async (s) => {
    rest(404, "path '/nope' does not exist").verify(await s.get('/files', { path: '/nope' }))
  })
  row('1.1', '`GET /files?signature_expiration=soon`', text(400, 'Invalid format for parameter signature_expiration: …'), (s) => s.get('/files', { path: '/etc/passwd', signature_expiration: 'soon' }))
  row('1.1', '`POST /files?signature_expiration=1.5`', text(400, 'Invalid format for parameter signature_expiration: …'), (s) => s.upload({ path: '/tmp/x', signature_expiration: '1.5' }, 'x'))
})

const kRefused = 'unauthorized access, please provide a valid access token or method signing if supported'
area('HTTP: the access token', { create: { secure: true } }, (row) => {
  for (const [method, path] of [['GET', '/metrics'], ['GET', '/envs'], ['POST', '/files/compose'], ['GET', '/nope'], ['HEAD', '/files'], ['DELETE', '/files']]) {
    if (method === 'HEAD') continue // it has no body to compare
    row('1.2', `\`${method} ${path}\` without a token`, rest(401, kRefused), (s) => s.http(method, path, {}, { target: s.bare }))
  }
  row('1.2', '`HEAD /files` without a token', that('401'), async (s) => assert.equal((await s.http('HEAD', '/files', {}, { target: s.bare })).status, 401))
  row('1.2', '`GET /envs` with a wrong token', rest(401, kRefused), (s) => s.get('/envs', {}, { target: s.bare, headers: { 'X-Access-Token': 'wrong' } }))
  row('1.2', '`GET /envs` with an empty token', rest(401, kRefused), (s) => s.get('/envs', {}, { target: s.bare, headers: { 'X-Access-Token': '' } }))
  row('1.2', '`GET /envs` with half of the token', rest(401, kRefused), (s) => s.get('/envs', {}, { target: s.bare, headers: { 'X-Access-Token': s.token.slice(0, -1) } }))
  row('1.2', '`GET /envs` with the token', that('200'), async (s) => assert.equal((await s.get('/envs')).status, 200))
  row('1.2', 'a unary RPC without a token', rest(401, kRefused), (s) => s.process('List', {}, { target: s.bare }))
  row('1.2, 9.1', 'a streaming RPC without a token', that('401, the same JSON, no stream'), async (s) => {
    const call = await s.start({ process: { cmd: '/bin/true' } }, { target: s.bare })
    const reply = await call.rest_of()
    assert.equal(reply.status, 401)
    assert.deepEqual(JSON.parse(reply.text), { code: 401, message: kRefused })
  })
  for (const method of ['filesystem.Filesystem/Stat', 'filesystem.Filesystem/CreateWatcher', 'process.Process/SendSignal']) {
    row('1.2', `\`${method.split('/')[1]}\` without a token`, rest(401, kRefused), (s) => unary(s.bare, method, {}))
  }
  row('1.2', '`POST /health` without a token', rest(401, kRefused), (s) => s.post('/health', {}, { target: s.bare, body: '' }))
  row('1.2', 'an RPC with the token', that('200'), async (s) => assert.equal((await s.process('List', {})).status, 200))
  row('1.2', '`GET /health` without a token', empty(204), (s) => s.get('/health', {}, { target: s.bare }))
  row('1.2', 'a preflight without a token', empty(204, { 'Access-Control-Allow-Origin': '*' }), (s) => exchange(s.bare, preflight('POST', '/process.Process/List')))
  row('1.2', '`POST /init` without a token', text(401, 'access token reset not authorized'), async (s) => {
    const target = { ...(await s.direct()), headers: {} }
    return exchange(target, { method: 'POST', path: '/init', body: '{}' })
  })
  row('1.2', 'no token set: any token, or none', that('200'), async (s) => {
    const open = await s.constructor.open()
    try {
      assert.equal((await open.get('/envs')).status, 200)
      assert.equal((await open.get('/envs', {}, { headers: { 'X-Access-Token': 'anything' } })).status, 200)
    } finally {
      await open.close()
    }
  })
})

area('/metrics and /envs', { create: { envVars: { COLOUR: 'blue', EMPTY: '' } } }, (row) => {
  row('1.4', '`GET /metrics`', that('200 JSON, `no-store`, with exactly the documented fields'), async (s) => {
    const reply = await s.get('/metrics')
    assert.equal(reply.status, 200)
    sameHeaders(reply, { 'Content-Type': /^application\/json/, 'Cache-Control': 'no-store' })
    const metrics = JSON.parse(reply.text)
    assert.deepEqual(Object.keys(metrics).sort(), ['cpu_count', 'cpu_used_pct', 'disk_total', 'disk_used', 'mem_cache', 'mem_total', 'mem_total_mib', 'mem_used', 'mem_used_mib', 'ts'])
  })
  const field = (name, words, check) => row('1.4', `\`${name}\` of /metrics`, that(words), async (s) => {
    const metrics = JSON.parse((await s.get('/metrics')).text)
    assert.ok(check(metrics[name], metrics), `${name} = ${metrics[name]}`)
  })
  const whole = (value) => Number.isInteger(value) && value >= 0
  field('ts', 'whole seconds, now', (v) => whole(v) && Math.abs(v - Date.now() / 1000) < 30)
  field('cpu_count', 'what the sandbox was given', (v) => v === 2)
  field('cpu_used_pct', 'a number with at most two decimals', (v) => v >= 0 && Math.abs(v * 100 - Math.round(v * 100)) < 1e-6)
  field('mem_total', "the sandbox's limit, in bytes", (v) => v > 0 && v % (1 << 20) === 0)
  field('mem_used', 'bytes, at most `mem_total`', (v, all) => whole(v) && v > 0 && v <= all.mem_total)
  field('mem_cache', 'bytes', whole)
  field('mem_total_mib', '`mem_total` / 1048576', (v, all) => v === Math.floor(all.mem_total / 1048576))
  field('mem_used_mib', '`mem_used` / 1048576', (v, all) => v === Math.floor(all.mem_used / 1048576))
  field('disk_total', 'bytes', (v) => whole(v) && v > 0)
  field('disk_used', 'bytes, at most `disk_total`', (v, all) => whole(v) && v <= all.disk_total)
  row('1.3', '`GET /envs`', that("200 JSON, `no-store`: the create request's variables and those of the daemon, text to text"), async (s) => {
    const reply = await s.get('/envs')
    sameHeaders(reply, { 'Content-Type': /^application\/json/, 'Cache-Control': 'no-store' })
    const { E2B_SANDBOX_ID, E2B_TEMPLATE_ID, E2B_EVENTS_ADDRESS, ...others } = JSON.parse(reply.text)
    assert.deepEqual(others, { COLOUR: 'blue', EMPTY: '', E2B_SANDBOX: 'true' })
    assert.equal(E2B_SANDBOX_ID, s.id)
    assert.equal(E2B_TEMPLATE_ID, s.created.templateID)
    assert.equal(E2B_EVENTS_ADDRESS, 'http://192.0.2.1')
  })
})

// Changes what the daemon believes, so in an order that matters.
area('/init', { create: { envVars: { KEPT: 'yes' } } }, (row) => {
  const init = async (s, body, { token } = {}) => exchange({ ...(await s.direct()), headers: {} }, {
    method: 'POST', path: '/init', body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'Content-Type': 'application/json', ...(token ? { 'X-Access-Token': token } : {}) },
  })
  const envs = async (s, token) => JSON.parse((await exchange({ ...(await s.direct()), headers: {} }, { path: '/envs', headers: token ? { 'X-Access-Token': token } : {} })).text)
  const kVersion = { 'X-Envd-Version': '0.6.13' }
  row('1.5', '`{}`', empty(204, { 'Cache-Control': 'no-store', ...kVersion }), (s) => init(s, {}))
  row('1.5', 'a body that is no JSON', empty(400, kVersion), (s) => init(s, 'not json'))
  row('1.5', 'a body that is a list', empty(400, kVersion), (s) => init(s, '[]'))
  row('1.5', '`accessToken: ""`', that('400'), async (s) => assert.equal((await init(s, { accessToken: '' })).status, 400))
  row('1.5', 'an `accessToken` with an escaped quote', that('400'), async (s) => assert.equal((await init(s, '{"accessToken":"a\\"b"}')).status, 400))
  for (const body of ['{"envVars":["A"]}', '{"envVars":{"A":1}}', '{"defaultUser":7}', '{"timestamp":"yesterday"}', '{"accessToken":5}']) {
    row('1.5', `\`${body}\``, empty(400, kVersion), (s) => init(s, body))
  }
  row('1.5', 'an `accessToken` written as `"\\u0061"`', that('400'), async (s) => assert.equal((await init(s, '{"accessToken":"\\u0061"}')).status, 400))
  row('1.5', 'no `envVars`', that('204; variables are kept'), async (s) => {
    empty(204).verify(await init(s, { defaultUser: 'user' }))
    assert.equal((await envs(s)).KEPT, 'yes')
  })
  row('1.5', '`envVars`', that('204; they replace the ones before; `E2B_*` stay as they are'), async (s) => {
    empty(204).verify(await init(s, { envVars: { NEW: '1', E2B_SANDBOX_ID: 'stolen' } }))
    const now = await envs(s)
    assert.equal(now.NEW, '1')
    assert.equal(now.KEPT, undefined)
    assert.equal(now.E2B_SANDBOX_ID, s.id)
  })
  row('1.5', 'a `timestamp`, then an older one', that('204 twice; the older one changes nothing'), async (s) => {
    empty(204).verify(await init(s, { timestamp: '2030-01-01T00:00:00Z', envVars: { AT: 'new' } }))
    empty(204).verify(await init(s, { timestamp: '2029-12-31T23:59:59.999Z', envVars: { AT: 'old' } }))
    assert.equal((await envs(s)).AT, 'new')
  })
  row('1.5, 1.11', '`defaultUser: "root"`', that('204; calls without a user are root'), async (s) => {
    empty(204).verify(await init(s, { defaultUser: 'root' }))
    assert.equal((await s.run('id -un')).stdout, 'root\n')
  })
  row('1.5, 1.11', '`defaultWorkdir: "/tmp"`', that('204; an empty path and a command without a directory mean it; relative paths do not'), async (s) => {
    empty(204).verify(await init(s, { defaultWorkdir: '/tmp' }))
    assert.equal((await s.run('pwd')).stdout, '/tmp\n')
    assert.equal((await s.files('Stat', { path: '' })).json.entry.path, '/tmp')
    assert.equal((await s.files('Stat', { path: 'x' })).json.message, 'file not found: lstat /root/x: no such file or directory')
  })
  row('2.1', 'a default user that does not exist', rpc('unauthenticated', "invalid default user: 'nobody1'"), async (s) => {
    empty(204).verify(await init(s, { defaultUser: 'nobody1' }))
    return s.files('Stat', { path: '/' })
  })
  row('1.6', 'a default user that does not exist, `GET /files`', rest(401, "error looking up user 'nobody1': user: unknown user nobody1"), async (s) => {
    const reply = await s.get('/files', { path: '/etc/passwd' })
    empty(204).verify(await init(s, { defaultUser: 'user' }))
    return reply
  })
  row('1.5', '`accessToken` where none was set', that('204; it counts from now on'), async (s) => {
    empty(204).verify(await init(s, { accessToken: 'first' }))
    assert.equal((await s.get('/envs')).status, 401)
    assert.equal((await s.get('/envs', {}, { headers: { 'X-Access-Token': 'first' } })).status, 200)
  })
  row('1.5', 'another `accessToken`', text(401, 'access token validation failed', kVersion), (s) => init(s, { accessToken: 'second' }))
  row('1.5', 'none where one is set', text(401, 'access token reset not authorized', kVersion), (s) => init(s, {}))
  row('1.5', 'the same `accessToken`', empty(204, kVersion), (s) => init(s, { accessToken: 'first' }))
  for (const [name, value] of [['hyperloopIP', '192.0.2.1'], ['caBundle', '-----BEGIN CERTIFICATE-----'], ['volumeMounts', [{ nfs_target: '192.0.2.2:/x', path: '/mnt/x' }]]]) {
    row('1.5', `\`${name}\``, text(501, `${name} is not supported by this emulator's daemon`),
      (s) => init(s, { accessToken: 'first', [name]: value }), { differs: 'not something that this emulator has to tell its own daemon' })
  }
})

area("The orchestrator's routes", {}, (row) => {
  for (const path of ['/init', '/freeze', '/unfreeze', '/collapse', '/fsfreeze', '/fsthaw', '/upgrade']) {
    row('1.10, 5.9', `\`POST ${path}\` at the sandbox's URL`, that('404 JSON `This endpoint is reserved for the E2B control plane and is not reachable through the sandbox URL`'), async (s) => {
      for (const sent of [path, `/x/..${path}`, `/${path}`]) {
        const reply = await s.post(sent, {}, { body: '{}' })
        assert.equal(reply.status, 404, sent)
        const { path: named, ...others } = JSON.parse(reply.text)
        assert.deepEqual(others, { message: 'This endpoint is reserved for the E2B control plane and is not reachable through the sandbox URL', code: 404 })
        assert.ok(named)
      }
    })
  }
  row('1.10, 5.9', 'the same by GET, PUT and DELETE, with a query, percent-encoded', that('the same 404; `path` is the cleaned one'), async (s) => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      for (const [sent, path] of [['/init?x=1', '/init'], ['/%69nit', '/init'], ['/./freeze/', '/freeze'], ['//upgrade', '/upgrade']]) {
        const reply = await s.http(method, sent)
        assert.equal(reply.status, 404, sent)
        assert.equal(JSON.parse(reply.text).path, path)
      }
    }
  })
  row('1.10', '`POST /init` of a port that is not the daemon\'s', that('passed on: nothing is reserved there'), async (s) => {
    const { call } = await s.background('mkdir -p /tmp/own; echo mine > /tmp/own/init; cd /tmp/own; exec python3 -m http.server 4600')
    call.leave()
    await eventually('it answers', async () => (await exchange(s.at(4600), { path: '/init' })).text === 'mine\n')
  })
  row('1.1', '`GET` of `/init`, `/freeze` and the others inside the sandbox', empty(405, { Allow: 'POST' }), async (s) => {
    let last
    for (const path of ['/init', '/freeze', '/unfreeze', '/collapse', '/fsfreeze', '/fsthaw', '/upgrade']) {
      last = await exchange(await s.direct(), { path })
      assert.equal(last.status, 405, path)
    }
    return last
  })
  row('1.10', '`POST /freeze`, `/unfreeze`, `/collapse`, `/fsfreeze`, `/fsthaw`, `/upgrade` inside the sandbox', rest(501, 'this endpoint of the orchestrator is not built in this emulator'), async (s) => {
    let last
    for (const path of ['/freeze', '/unfreeze', '/collapse', '/fsfreeze', '/fsthaw', '/upgrade']) {
      last = await exchange(await s.direct(), { method: 'POST', path, body: '' })
      assert.equal(last.status, 501, path)
    }
    return last
  }, { differs: 'the emulator freezes and thaws from outside' })
})
