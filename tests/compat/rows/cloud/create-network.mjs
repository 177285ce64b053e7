// POST /sandboxes and /v2/sandboxes: what a sandbox reaches, and who reaches it. What each entry means on the wire is in
// docs/compatibility/network.md; here stands that every field arrives where it is enforced.
import assert from 'node:assert/strict'
import { eventually } from '../../../sdk/support/sandbox.mjs'
import { endpoint } from '../../support/endpoint.mjs'
import { holds, kAll, verdict } from '../../support/reach.mjs'
import { exchange } from '../../support/wire.mjs'

const kRoutes = ['POST /sandboxes', 'POST /v2/sandboxes']
const create = (c, network) => c.call('POST', '/sandboxes', { templateID: 'base', network })
export const kNotEnforced = 'network: egressProxy and httpsPorts are not enforced yet'
const [kOne, kEight] = ['https://1.1.1.1/', 'https://8.8.8.8/']

// A server in the sandbox that answers with the head of the request.
export async function heads(s, port) {
  const { call } = await s.background(`exec python3 -c "
import http.server
class Heads(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = str(self.headers).encode()
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)
http.server.HTTPServer(('127.0.0.1', ${port}), Heads).serve_forever()"`)
  call.leave()
  const token = s.created.trafficAccessToken
  const headers = token ? { 'e2b-traffic-access-token': token } : {}
  await eventually('it answers', async () => (await exchange(s.at(port), { path: '/', headers })).status === 200)
}

endpoint(kRoutes, 'create: the network', { seconds: 4 }, (row) => {
  row.body('allow_internet_access', '`false`: nothing gets out', async (c) => {
    const s = await c.open({ allow_internet_access: false })
    await holds(s, { [kOne]: 'blocked', [kEight]: 'blocked' })
  })
  row.body('allow_internet_access', '`true` and absent: everything does; the detail says which', async (c) => {
    for (const allow_internet_access of [true, undefined]) {
      const s = await c.open({ allow_internet_access })
      await holds(s, { [kOne]: 'allowed' })
      assert.equal((await c.detail(s)).allowInternetAccess, allow_internet_access ?? null)
    }
  })
  row.body('allowInternetAccess', 'the same; if either says `false`, it is', async (c) => {
    await holds(await c.open({ allowInternetAccess: false, allow_internet_access: true }), { [kOne]: 'blocked' })
  }, { differs: 'the cloud knows the other spelling only' })
  row.body('network.denyOut', 'addresses and CIDRs that are out of reach', async (c) => {
    const s = await c.open({ network: { denyOut: ['8.8.8.0/24'] } })
    assert.deepEqual(await verdict(s, kEight), { decision: 'blocked', rule: 'denyOut[0]=8.8.8.0/24' })
    await holds(s, { [kOne]: 'allowed' })
  })
  row.body('network.allowOut', 'addresses, CIDRs and names that are within reach whatever else is denied', async (c) => {
    const s = await c.open({ network: { denyOut: [kAll], allowOut: ['1.1.1.1', 'example.com'] } })
    assert.deepEqual(await verdict(s, kOne), { decision: 'allowed', rule: 'allowOut[0]=1.1.1.1' })
    assert.deepEqual(await verdict(s, 'https://example.com/'), { decision: 'allowed', rule: 'allowOut[1]=example.com' })
    await holds(s, { 'https://9.9.9.9/': 'blocked' })
  })
  row.body('network.allowPublicTraffic', '`false`: public URLs want the token of the answer, in `e2b-traffic-access-token`', async (c) => {
    const s = await c.open({ network: { allowPublicTraffic: false } })
    await heads(s, 3000)
    assert.equal((await exchange(s.at(3000), { path: '/' })).status, 403)
    assert.equal((await exchange(s.at(3000), { path: '/', headers: { 'E2B-Traffic-Access-Token': s.created.trafficAccessToken } })).status, 200)
  })
  row.body('network.allowPublicTraffic', '`true` and absent: everybody may', async (c) => {
    for (const network of [{ allowPublicTraffic: true }, undefined]) {
      const s = await c.open({ network })
      await heads(s, 3000)
      assert.equal((await exchange(s.at(3000), { path: '/' })).status, 200)
    }
  })
  row.body('network.maskRequestHost', 'servers in it see this `Host`, `${PORT}` filled in', async (c) => {
    const s = await c.open({ network: { maskRequestHost: 'inside:${PORT}' } })
    await heads(s, 8080)
    assert.match((await exchange(s.at(8080), { path: '/' })).text, /^Host: inside:8080$/m)
  })
  row.body('network.rules', 'E2B: by host, what is done to requests to it', async (c) => {
    const s = await c.open({ network: { rules: { 'api.example.com': [{ transform: { headers: { 'X-Key': 'k' } } }] } } })
    const seen = async (host) => JSON.parse((await s.run(`curl -s -m 5 http://${host}/headers`)).stdout).headers['X-Key']
    assert.deepEqual([await seen('api.example.com'), await seen('example.com')], [['k'], undefined])
  })
  for (const name of ['network.rules.transform', 'network.rules.transform.headers']) {
    row.body(name, name.endsWith('headers') ? 'names and values, in place of what the program sent' : 'one for each host; without it the rule does nothing', async (c) => {
      const transform = name.endsWith('headers') ? { headers: { 'X-Key': 'set' } } : undefined
      const s = await c.open({ network: { rules: { 'api.example.com': [{ transform }] } } })
      const { stdout } = await s.run("curl -s -m 5 -H 'x-key: sent' https://api.example.com/headers")
      const headers = Object.entries(JSON.parse(stdout).headers).filter(([key]) => key.toLowerCase() === 'x-key')
      assert.deepEqual(headers.map(([, value]) => value), [[transform ? 'set' : 'sent']])
    })
  }
  row.body('network', '`{}` is no policy', async (c) => { await holds(await c.open({ network: {} }), { [kOne]: 'allowed' }) })
  const proxy = { address: 'proxy.example.com:1080', username: 'u', password: 'p' }
  row.later(['network.egressProxy', 'network.egressProxy.address', 'network.egressProxy.username', 'network.egressProxy.password'], kNotEnforced, (c) => create(c, { egressProxy: proxy }))
  row.later('network.httpsPorts', kNotEnforced, (c) => create(c, { httpsPorts: [8443] }))
  row.body('network.egressProxy', '`null` is no proxy', async (c) => { await c.open({ network: { egressProxy: null } }) })

  for (const [network, message] of [
    [{ denyOut: ['example.com'] }, 'invalid denied CIDR example.com'],
    [{ denyOut: ['0.0.0.0/1'] }, 'invalid denied CIDR 0.0.0.0/1'],
    [{ allowOut: ['0.0.0.0'] }, 'invalid allowed address 0.0.0.0'],
    [{ allowOut: ['example.com'] }, "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' in deny out to block all other traffic."],
    [{ maskRequestHost: 'exämple.com' }, "mask request host 'exämple.com' is not ASCII. Please use ASCII characters only."],
    [{ rules: { 'not a host': [] } }, 'Rule domain "not a host" is not a valid domain name.'],
    [{ rules: { 'a.example': [{ transform: { headers: { 'a b': 'x' } } }] } }, 'Header name "a b" in rule for domain "a.example" must contain only valid HTTP token characters.'],
  ]) row.error(400, `\`${JSON.stringify({ network }).slice(1, -1)}\``, message, (c) => create(c, network))
  row.error(400, '`"network":{"allowPublicTraffic":false}`, `"secure":false`', "You cannot create a sandbox without public access unless you enable secure envd access via 'secure' flag.", (c) => c.call('POST', '/sandboxes', { templateID: 'base', secure: false, network: { allowPublicTraffic: false } }))
  row.error(400, '`"network":null`', 'validation error: request body has an error: Error at "/network": Value is not nullable', (c) => create(c, null))
  for (const [network, name, reason] of [
    [{ allowOut: 'x' }, 'allowOut', 'value must be an array'], [{ denyOut: [1] }, 'denyOut/0', 'value must be a string'],
    [{ allowPublicTraffic: 'no' }, 'allowPublicTraffic', 'value must be a boolean'], [{ maskRequestHost: 1 }, 'maskRequestHost', 'value must be a string'],
    [{ rules: [] }, 'rules', 'value must be an object'],
  ]) row.error(400, `\`${JSON.stringify({ network }).slice(1, -1)}\``, `validation error: request body has an error: Error at "/network/${name}": ${reason}`, (c) => create(c, network))
})
