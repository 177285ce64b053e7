// Pause, connect, resume.
import assert from 'node:assert/strict'
import { endpoint } from '../../support/endpoint.mjs'
import { inSeconds } from '../../support/cloud.mjs'
import { holds } from '../../support/reach.mjs'
import { exchange } from '../../support/wire.mjs'
import { heads, kNotEnforced } from './create-network.mjs'
import { aboutOne } from './sandboxes.mjs'

const kOne = 'https://1.1.1.1/'
const changed = (name) => `changing \`${name}\` of an existing sandbox`

// A sandbox that was paused with a process in it, and that process' number.
async function pausedWithProcess(c, options) {
  const s = await c.open(options)
  const { call, pid } = await s.background('exec sleep 300')
  call.leave()
  await c.pause(s)
  return { s, pid }
}
const pids = async (s) => ((await s.process('List')).json.processes ?? []).map((one) => one.pid)

endpoint('POST /sandboxes/{sandboxID}/pause', 'pause', {}, (row) => {
  row.call('204, without a body as well; it stands still, and no port answers', async (c) => {
    for (const body of [undefined, '', {}]) {
      const s = await c.open({ secure: false })
      assert.equal((await c.done(204, 'POST', `/sandboxes/${s.id}/pause`, body)).text, '')
      assert.equal((await c.detail(s)).state, 'paused')
      assert.equal((await exchange(s.at(49983), { path: '/health' })).status, 502)
    }
  })
  row.body('memory', 'E2B: `true` and absent: its processes are kept', async (c) => {
    const { s, pid } = await pausedWithProcess(c)
    await c.done(201, 'POST', `/sandboxes/${s.id}/connect`, { timeout: 60 })
    assert.deepEqual(await pids(s), [pid])
  })
  row.body('memory', '`false`: only its files are', async (c) => {
    const s = await c.open()
    const { call } = await s.background('echo kept > /tmp/kept; exec sleep 300')
    call.leave()
    await s.run('sync')
    await c.pause(s, { memory: false })
    await c.done(201, 'POST', `/sandboxes/${s.id}/connect`, { timeout: 60 })
    assert.deepEqual(await pids(s), [])
    assert.equal((await s.run('cat /tmp/kept')).stdout, 'kept\n')
  })
  row.body('sync', "taken, as Novita's older SDKs send it: a pause is over when it is answered, in any case", async (c) => {
    for (const sync of [true, false]) {
      const s = await c.open()
      await c.pause(s, { sync })
      assert.equal((await c.detail(s)).state, 'paused')
    }
  })
  row.error(409, 'a paused one', "Error pausing sandbox - sandbox '…' is already paused", async (c) => {
    const s = await c.open()
    await c.pause(s)
    return c.call('POST', `/sandboxes/${s.id}/pause`)
  })
  row.error(400, '`"memory":"no"`', 'validation error: request body has an error: Error at "/memory": value must be a boolean', async (c) => c.call('POST', `/sandboxes/${(await c.shared()).id}/pause`, { memory: 'no' }))
  aboutOne(row, (c, id) => c.call('POST', `/sandboxes/${id}/pause`))
})

const kConnect = ['POST /sandboxes/{sandboxID}/connect', 'POST /v2/sandboxes/{sandboxID}/connect']
endpoint(kConnect, 'connect, which resumes', {}, (row) => {
  const connect = (c, s, body = { timeout: 60 }, prefix = '') => c.call('POST', `${prefix}/sandboxes/${s.id}/connect`, body)
  for (const prefix of ['', '/v2']) {
    row.call(`\`${prefix}/sandboxes\`: 200 for a running one, 201 for a paused one, with its processes`, async (c) => {
      const { s, pid } = await pausedWithProcess(c)
      assert.equal((await connect(c, s, undefined, prefix)).status, 201)
      assert.equal((await connect(c, s, undefined, prefix)).status, 200)
      assert.deepEqual(await pids(s), [pid])
    })
  }
  row.answersLike('POST /sandboxes', '', 'the fields of `POST /sandboxes`, the same as there', async (c) => {
    const s = await c.open({ network: { allowPublicTraffic: false } })
    assert.deepEqual((await connect(c, s)).json, s.created)
    await c.pause(s)
    assert.deepEqual((await connect(c, s)).json, s.created)
  })
  row.body('timeout', 'of a running one: it lives at least so long', async (c) => {
    const s = await c.open({ timeout: 100 })
    for (const [timeout, left] of [[20, 100], [500, 500]]) {
      await connect(c, s, { timeout })
      inSeconds((await c.detail(s)).endAt, left)
    }
  })
  row.body('timeout', 'of a paused one: it lives so long', async (c) => {
    const s = await c.open({ timeout: 500 })
    await c.pause(s)
    await connect(c, s, { timeout: 30 })
    inSeconds((await c.detail(s)).endAt, 30)
  })
  row.body('timeout', 'absent: 300 seconds', async (c) => {
    const s = await c.open()
    await c.pause(s)
    await connect(c, s, {})
    inSeconds((await c.detail(s)).endAt, 300)
  }, { differs: "E2B's older route wants it; the SDKs may leave it out" })
  row.body('memory', 'E2B: `false`: a paused one starts anew from its files; a running one is left alone', async (c) => {
    const { s, pid } = await pausedWithProcess(c)
    assert.equal((await connect(c, s, { timeout: 60 })).status, 201)
    assert.equal((await connect(c, s, { timeout: 60, memory: false })).status, 200)
    assert.deepEqual(await pids(s), [pid])
    await c.pause(s)
    assert.equal((await connect(c, s, { timeout: 60, memory: false })).status, 201)
    assert.deepEqual(await pids(s), [])
  })
  row.body('secure', 'Novita: what the sandbox is', async (c) => {
    for (const secure of [true, false]) assert.equal((await connect(c, await c.open({ secure }), { timeout: 60, secure })).status, 200)
  })
  row.later('secure', changed('secure'), async (c) => connect(c, await c.open({ secure: true }), { timeout: 60, secure: false }), ' for what it is not')
  row.body('allowPublicTraffic', 'Novita: `false` makes it private, `true` public again', async (c) => {
    const s = await c.open()
    const { json } = await connect(c, s, { timeout: 60, allowPublicTraffic: false })
    assert.ok(json.trafficAccessToken)
    const ask = (headers) => exchange(s.at(3000), { path: '/', headers })
    assert.equal((await ask()).status, 403)
    assert.equal((await ask({ 'e2b-traffic-access-token': json.trafficAccessToken })).status, 502)
    assert.equal((await connect(c, s, { timeout: 60, allowPublicTraffic: true })).json.trafficAccessToken, null)
    assert.equal((await ask()).status, 502)
  })
  row.body('network', 'Novita: what it names replaces what the sandbox has; what it does not name stays', async (c) => {
    const s = await c.open({ network: { denyOut: ['1.1.1.1'], maskRequestHost: 'kept' } })
    await holds(s, { [kOne]: 'blocked' })
    assert.equal((await connect(c, s, { timeout: 60, network: { denyOut: ['8.8.8.8'] } })).status, 200)
    await holds(s, { [kOne]: 'allowed', 'https://8.8.8.8/': 'blocked' })
    assert.deepEqual((await c.detail(s)).network, { denyOut: ['8.8.8.8'], maskRequestHost: 'kept' })
  }, { differs: 'the cloud says that it is possible, not what becomes of the rest' })
  row.body('network', 'at the resume of a paused one, too', async (c) => {
    const s = await c.open()
    await c.pause(s)
    await connect(c, s, { timeout: 60, network: { denyOut: ['1.1.1.1'], maskRequestHost: 'm:${PORT}', allowPublicTraffic: false } })
    await holds(s, { [kOne]: 'blocked' })
    s.created.trafficAccessToken = (await connect(c, s)).json.trafficAccessToken
    await heads(s, 8080)
  })
  row.error(400, '`"timeout":"x"`', 'validation error: request body has an error: Error at "/timeout": value must be an integer', async (c) => connect(c, await c.shared(), { timeout: 'x' }))
  row.error(400, 'no body', 'validation error: request body has an error: value is required but missing', async (c) => connect(c, await c.shared(), ''))
  row.error(400, '`"network":{"denyOut":["x"]}`', 'invalid denied CIDR x', async (c) => connect(c, await c.shared(), { network: { denyOut: ['x'] } }))
  row.error(400, '`"allowPublicTraffic":false`, and the sandbox is not secure', "You cannot create a sandbox without public access unless you enable secure envd access via 'secure' flag.", async (c) => connect(c, await c.open({ secure: false }), { timeout: 60, allowPublicTraffic: false }))
  row.later('network.egressProxy', kNotEnforced, async (c) => connect(c, await c.shared(), { network: { egressProxy: { address: 'a:1' } } }))
  aboutOne(row, async (c, id) => {
    const [one, two] = [await c.call('POST', `/sandboxes/${id}/connect`, { timeout: 5 }), await c.call('POST', `/v2/sandboxes/${id}/connect`, { timeout: 5 })]
    assert.equal(one.text, two.text)
    return one
  })
})

endpoint('POST /sandboxes/{sandboxID}/resume', 'resume, without an SDK', { seconds: 2 }, (row) => {
  const resume = (c, s, body = {}) => c.call('POST', `/sandboxes/${s.id}/resume`, body)
  row.call('201; its processes go on', async (c) => {
    const { s, pid } = await pausedWithProcess(c)
    assert.equal((await resume(c, s)).status, 201)
    assert.deepEqual(await pids(s), [pid])
  })
  row.answersLike('POST /sandboxes', '', 'the fields of `POST /sandboxes`, the same as there', async (c) => {
    const s = await c.open()
    await c.pause(s)
    assert.deepEqual((await resume(c, s)).json, s.created)
  })
  row.body('timeout', 'it lives so many seconds', async (c) => {
    const s = await c.open()
    await c.pause(s)
    await resume(c, s, { timeout: 40 })
    inSeconds((await c.detail(s)).endAt, 40)
  })
  row.body('timeout', 'absent: 300 seconds', async (c) => {
    const s = await c.open()
    await c.pause(s)
    await resume(c, s)
    inSeconds((await c.detail(s)).endAt, 300)
  }, { differs: "E2B's says 15; no SDK calls it" })
  row.body('autoPause', 'whether it is paused at its end from now on; absent: as before', async (c) => {
    const s = await c.open()
    for (const [autoPause, onTimeout] of [[true, 'pause'], [undefined, 'pause'], [false, 'kill']]) {
      await c.pause(s)
      await resume(c, s, { autoPause })
      assert.equal((await c.detail(s)).lifecycle.onTimeout, onTimeout)
    }
  })
  row.body('memory', '`false`: from its files', async (c) => {
    const { s } = await pausedWithProcess(c)
    assert.equal((await resume(c, s, { memory: false })).status, 201)
    assert.deepEqual(await pids(s), [])
  })
  row.body('network', 'Novita: as at connect', async (c) => {
    const s = await c.open()
    await c.pause(s)
    await resume(c, s, { network: { denyOut: ['1.1.1.1'] } })
    await holds(s, { [kOne]: 'blocked' })
  })
  row.body('allowPublicTraffic', 'Novita: as at connect', async (c) => {
    const s = await c.open()
    await c.pause(s)
    assert.ok((await resume(c, s, { allowPublicTraffic: false })).json.trafficAccessToken)
    assert.equal((await exchange(s.at(3000), { path: '/' })).status, 403)
  })
  row.later('secure', changed('secure'), async (c) => {
    const s = await c.open()
    await c.pause(s)
    return resume(c, s, { secure: false })
  }, ' for what it is not')
  row.error(409, 'a running one', 'Sandbox … is already running', async (c) => resume(c, await c.shared()))
  row.error(400, '`"timeout":0`', 'Timeout must be greater than 0', async (c) => {
    const s = await c.open()
    await c.pause(s)
    return resume(c, s, { timeout: 0 })
  })
  aboutOne(row, (c, id) => c.call('POST', `/sandboxes/${id}/resume`, {}))
})
