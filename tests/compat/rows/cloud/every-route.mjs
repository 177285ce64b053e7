// What holds for every endpoint: keys, errors, limits, HTTP.
import assert from 'node:assert/strict'
import { endpoint, refused } from '../../support/endpoint.mjs'
import { frontDoor } from '../../support/sandbox.mjs'
import { routes } from '../../support/sources.mjs'
import { exchange } from '../../support/wire.mjs'

const filled = (path) => path.replace(/\{\w+\}/g, 'abc')
// Those that want the API's key.
const keyed = routes.filter(({ path }) => path !== '/health' && !path.startsWith('/volumecontent/'))

endpoint([], 'Every endpoint', {}, (row) => {
  row.call('an error is `{"code", "message"}`: the status again, and words; never an empty body', async (c) => {
    for (const [method, path, status] of [['GET', '/nope', 404], ['GET', '/sandboxes/inosuchsandbox', 404], ['POST', '/sandboxes', 400], ['PUT', '/sandboxes', 405], ['GET', '/templates/base', 501]]) {
      const reply = await c.call(method, path)
      refused(reply, status, '…')
      assert.ok(reply.json.message)
    }
  })
  row.call('a successful answer is 204 without a body, or JSON with its length', async (c) => {
    const s = await c.open()
    const deleted = await c.call('DELETE', `/sandboxes/${s.id}`)
    assert.deepEqual([deleted.status, deleted.text], [204, ''])
    const listed = await c.call('GET', '/sandboxes')
    assert.equal(Number(listed.headers['content-length']), listed.bytes.length)
    assert.equal(listed.headers['content-type'], 'application/json')
  })
  row.header('X-API-Key', 'any, and none: who calls does not matter', async (c) => {
    for (const key of ['sk_anything', undefined]) await c.done(200, 'GET', '/sandboxes', undefined, { headers: { 'X-API-Key': key } })
  }, { differs: 'the cloud wants one of its keys; so does `--auth strict --api-key KEY`, which the next rows are about' })
  row.header('X-API-Key', 'the key', (c) => c.limited(async (call) => assert.equal((await call('GET', '/sandboxes')).status, 200)))
  row.header('Authorization', '`Bearer` and the key, in its place', (c) => c.limited(async (call) => {
    assert.equal((await call('GET', '/sandboxes', undefined, { 'X-API-Key': undefined, Authorization: 'Bearer the-only-key' })).status, 200)
  }))
  for (const [key, when, message] of [[undefined, 'no key', 'authorization header is missing'], ['other', 'another key', 'Invalid API key, please visit https://e2b.dev/docs/api-key for more information.']]) {
    row.error(401, `${when}: every endpoint but \`GET /health\` and \`/volumecontent\``, message, (c) => c.limited(async (call) => {
      const replies = await Promise.all(keyed.map(({ method, path }) => call(method, filled(path), undefined, { 'X-API-Key': key })))
      for (const reply of replies) refused(reply, 401, message)
      assert.ok(replies.length > 70)
      return replies[0]
    }), key ? { differs: "E2B's words; Novita's are not documented" } : undefined)
  }
  row.error(404, 'an unknown path', 'no such endpoint: GET /nope', (c) => c.call('GET', '/nope'))
  row.error(405, 'a known path, another method', 'method not allowed: PUT /v2/sandboxes', (c) => c.call('PUT', '/v2/sandboxes'))
  row.header('Allow', 'of a 405: the methods that there are', async (c) => assert.equal((await c.call('PUT', '/v2/sandboxes')).headers.allow, 'GET, POST'))
  row.call('401 comes before what is wrong with a request', (c) => c.limited(async (call) => refused(await call('POST', '/sandboxes', '{', { 'X-API-Key': undefined }), 401, '…')))
  row.error(413, 'a body beyond the limit', '…', (c) => c.call('POST', '/sandboxes', `{"templateID":"${'x'.repeat(17 << 20)}"}`))
  row.error(400, 'JSON nested 100,000 deep, wherever an endpoint takes any', 'Error when parsing request: it is nested too deep', async (c) => {
    const { id } = await c.shared()
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    for (const { method, path } of keyed.filter((one) => one.method !== 'GET')) {
      const reply = await c.call(method, path.replace('{sandboxID}', method === 'DELETE' ? 'abc' : id).replace(/\{\w+\}/g, 'abc'), `{"network":${deep},"metadata":{"x":${deep}}}`)
      assert.ok(reply.status >= 400 && reply.json.message, `${method} ${path}: ${reply.status} ${reply.text}`)
    }
    for (const path of ['faults', 'clock']) assert.equal((await exchange(frontDoor('localhost'), { method: 'POST', path: `/_sandlot/${path}`, body: `{"a":${deep}}` })).status, 400, path)
    assert.equal((await c.detail(await c.shared())).state, 'running')
    return c.call('POST', '/sandboxes', `{"templateID":"base","network":{"x":${deep}}}`)
  }, { differs: 'the cloud goes down to 10,000 levels, Sandlot to 512' })
  row.call('a body in chunks is a body', async (c) => {
    const reply = await c.done(201, 'POST', '/sandboxes', ['{"templateID"', ':"base"}'])
    c.adopt(reply.json)
  })
  row.call('the `Content-Type` of a body does not matter', async (c) => {
    for (const type of ['text/plain', undefined]) c.adopt((await c.done(201, 'POST', '/sandboxes', '{"templateID":"base"}', { headers: { 'Content-Type': type } })).json)
  })
  row.call('doubled slashes are one', async (c) => { await c.done(200, 'GET', '//v2//sandboxes') })
  row.call('parts of a path are percent-decoded, after it was split', async (c) => {
    const s = await c.shared()
    assert.equal((await c.done(200, 'GET', `/sandboxes/%69${s.id.slice(1)}`)).json.sandboxID, s.id)
    refused(await c.call('GET', '/templates/aliases/a%2Fb'), 404, "template 'a/b' not found")
  })
  row.call('`HEAD` is `GET` without the body', async (c) => {
    const reply = await c.done(200, 'HEAD', '/sandboxes')
    assert.equal(reply.text, '')
    assert.ok(Number(reply.headers['content-length']) > 0)
  })
  row.call('at `api.<domain>`, at the domain and at 127.0.0.1 alike', async (c) => {
    for (const host of ['localhost', '127.0.0.1']) await c.done(200, 'GET', '/sandboxes', undefined, { target: frontDoor(host) })
  })
  row.call('a browser may ask: a preflight is 204, every answer has `Access-Control-Allow-Origin: *` and shows the headers of lists and `Retry-After`', async (c) => {
    const preflight = await c.done(204, 'OPTIONS', '/sandboxes', undefined, { headers: { Origin: 'http://localhost:5173', 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'x-api-key' } })
    assert.equal(preflight.headers['access-control-allow-origin'], '*')
    assert.match(preflight.headers['access-control-allow-methods'], /POST/)
    assert.equal(preflight.headers['access-control-allow-headers'], 'x-api-key')
    for (const path of ['/sandboxes', '/nope']) {
      const { headers } = await c.call('GET', path)
      assert.equal(headers['access-control-allow-origin'], '*')
      for (const name of ['X-Next-Token', 'X-Total-Running', 'Retry-After']) assert.ok(headers['access-control-expose-headers'].includes(name), name)
    }
  })
  row.error(429, 'a sandbox more than `--max-sandboxes`: create, connect, resume', '…', (c) => c.limited(async (call) => {
    const open = async () => (await call('POST', '/sandboxes', { templateID: 'base' })).json.sandboxID
    const paused = await open()
    assert.equal((await call('POST', `/sandboxes/${paused}/pause`)).status, 204)
    for (let i = 0; i < 2; i++) await open()
    const replies = [await call('POST', '/sandboxes', { templateID: 'base' }), await call('POST', `/sandboxes/${paused}/connect`, { timeout: 60 }), await call('POST', `/sandboxes/${paused}/resume`, {})]
    for (const reply of replies) refused(reply, 429, '…')
    return replies[0]
  }))
  row.error(429, 'a create more than `--create-rate`', 'Rate limit exceeded: too many sandboxes are being created', (c) => c.counting(async (call) => {
    await call('POST', '/sandboxes', { templateID: 'base' })
    const reply = await call('POST', '/v2/sandboxes', { templateID: 'base' })
    const wait = Number(reply.headers['retry-after'])
    assert.ok(wait > 3500 && wait <= 3600, `Retry-After: ${wait}`)
    return reply
  }))
  row.header('Retry-After', 'of the latter: in how many seconds', (c) => c.counting(async (call) => {
    for (let i = 0; i < 2; i++) {
      const reply = await call('POST', '/sandboxes', { templateID: 'base' })
      if (reply.status === 429) return assert.ok(Number(reply.headers['retry-after']) > 3000)
    }
    return assert.fail('no 429')
  }))
  row.error(409, 'with `--network-immutable true`, `network` in anything but a create', 'Sandbox "…": network settings are fixed once a sandbox exists (--network-immutable)', (c) => c.limited(async (call) => {
    const { json: { sandboxID } } = await call('POST', '/sandboxes', { templateID: 'base', network: { denyOut: ['1.1.1.1'] } })
    const replies = [await call('PUT', `/sandboxes/${sandboxID}/network`, {}), await call('POST', `/sandboxes/${sandboxID}/connect`, { timeout: 60, network: { denyOut: [] } })]
    assert.deepEqual((await call('GET', `/sandboxes/${sandboxID}`)).json.network, { denyOut: ['1.1.1.1'] })
    for (const reply of replies) refused(reply, 409, '…')
    return replies[0]
  }), { differs: 'as the documentation says it; the cloud lets them be changed, and so does the emulator otherwise' })
})

endpoint('GET /health', 'whether it is there', {}, (row) => {
  row.call('200, without a key', (c) => c.limited(async (call) => assert.equal((await call('GET', '/health', undefined, { 'X-API-Key': undefined })).status, 200)))
  row.answer('status', '`ok`', async (c) => assert.equal((await c.done(200, 'GET', '/health')).json.status, 'ok'), { differs: "E2B's specification says 204; its server answers 200 with words" })
})
