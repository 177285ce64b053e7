// PUT /sandboxes/{sandboxID}/network: the policy of a running sandbox. Its details: docs/compatibility/network.md.
import assert from 'node:assert/strict'
import { endpoint } from '../../support/endpoint.mjs'
import { holds, kAll, verdict } from '../../support/reach.mjs'
import { kNotEnforced } from './create-network.mjs'
import { aboutOne } from './sandboxes.mjs'

const [kOne, kEight] = ['https://1.1.1.1/', 'https://8.8.8.8/']

endpoint('PUT /sandboxes/{sandboxID}/network', 'another policy', {}, (row) => {
  const put = (c, s, body) => c.call('PUT', `/sandboxes/${s.id}/network`, body)
  const set = async (c, s, body) => assert.equal((await put(c, s, body)).status, 204)
  row.call('204; replaces the lists as a whole: what is absent is cleared', async (c) => {
    const s = await c.open({ network: { denyOut: ['1.1.1.1'] } })
    await holds(s, { [kOne]: 'blocked' })
    await set(c, s, {})
    await holds(s, { [kOne]: 'allowed' })
    assert.deepEqual((await c.detail(s)).network ?? {}, {})
  })
  row.call('who may come in stays as it was', async (c) => {
    const s = await c.open({ network: { allowPublicTraffic: false, maskRequestHost: 'm' } })
    await set(c, s, { denyOut: ['1.1.1.1'] })
    assert.deepEqual((await c.detail(s)).network, { denyOut: ['1.1.1.1'], allowPublicTraffic: false, maskRequestHost: 'm' })
  })
  row.body('denyOut', 'as at create', async (c) => {
    const s = await c.open()
    await set(c, s, { denyOut: ['1.1.1.0/24'] })
    assert.deepEqual(await verdict(s, kOne), { decision: 'blocked', rule: 'denyOut[0]=1.1.1.0/24' })
  })
  row.body('allowOut', 'as at create', async (c) => {
    const s = await c.open()
    await set(c, s, { denyOut: [kAll], allowOut: ['1.1.1.1'] })
    assert.deepEqual(await verdict(s, kOne), { decision: 'allowed', rule: 'allowOut[0]=1.1.1.1' })
    await holds(s, { [kEight]: 'blocked' })
  })
  row.body('allow_internet_access', 'E2B: `false` closes it; `true` and absent open it again', async (c) => {
    const s = await c.open()
    for (const again of [{ allow_internet_access: true }, {}]) {
      await set(c, s, { allow_internet_access: false })
      await holds(s, { [kOne]: 'blocked' })
      await set(c, s, again)
      await holds(s, { [kOne]: 'allowed' })
    }
  })
  row.body('allowInternetAccess', 'the same', async (c) => {
    const s = await c.open()
    await set(c, s, { allowInternetAccess: false })
    await holds(s, { [kOne]: 'blocked' })
  }, { differs: 'the cloud knows the other spelling only' })
  row.body('rules', 'E2B: as at create', async (c) => {
    const s = await c.open()
    const seen = async () => JSON.parse((await s.run('curl -s -m 5 http://api.example.com/headers')).stdout).headers['X-Key']
    await set(c, s, { rules: { 'api.example.com': [{ transform: { headers: { 'X-Key': 'k' } } }] } })
    assert.deepEqual(await seen(), ['k'])
    await set(c, s, {})
    assert.equal(await seen(), undefined)
  })
  row.later(['egressProxy', 'egressProxy.address', 'egressProxy.username', 'egressProxy.password'], kNotEnforced, async (c) => put(c, await c.shared(), { egressProxy: { address: 'proxy.example.com:1080', username: 'u', password: 'p' } }))
  row.later('httpsPorts', kNotEnforced, async (c) => put(c, await c.shared(), { httpsPorts: [8443] }))
  row.error(400, '`"denyOut":["x"]`', 'invalid denied CIDR x', async (c) => put(c, await c.shared(), { denyOut: ['x'] }))
  row.error(400, '`"allowOut":["example.com"]`', "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' in deny out to block all other traffic.", async (c) => put(c, await c.shared(), { allowOut: ['example.com'] }))
  row.error(400, '`"allowOut":"x"`', 'validation error: request body has an error: Error at "/allowOut": value must be an array', async (c) => put(c, await c.shared(), { allowOut: 'x' }))
  row.error(400, 'no body', 'validation error: request body has an error: value is required but missing', async (c) => put(c, await c.shared(), ''))
  row.error(404, 'a paused one, as if it were not there', 'Sandbox "…" doesn\'t exist or you don\'t have access to it', async (c) => {
    const s = await c.open()
    await c.pause(s)
    return put(c, s, {})
  })
  row.call('what is refused changes nothing', async (c) => {
    const s = await c.open({ network: { denyOut: ['1.1.1.1'] } })
    for (const body of [{ denyOut: ['x'] }, { egressProxy: { address: 'a:1' } }]) assert.ok((await put(c, s, body)).status >= 400)
    assert.deepEqual((await c.detail(s)).network, { denyOut: ['1.1.1.1'] })
    await holds(s, { [kOne]: 'blocked' })
  })
  aboutOne(row, (c, id) => c.call('PUT', `/sandboxes/${id}/network`, {}))
})
