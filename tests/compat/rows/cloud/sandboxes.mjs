// Reading, listing and ending sandboxes, and how long they live.
import assert from 'node:assert/strict'
import { eventually } from '../../../sdk/support/sandbox.mjs'
import { endpoint } from '../../support/endpoint.mjs'
import { inSeconds, kTime, unused } from '../../support/cloud.mjs'
import { domain, frontDoor } from '../../support/sandbox.mjs'
import { exchange } from '../../support/wire.mjs'

const kNobody = 'inosuchsandbox'
const kNotFound = `Sandbox "${kNobody}" doesn't exist or you don't have access to it`
const query = (pairs) => new URLSearchParams(pairs).toString()
const marked = (mark, more = {}) => query({ metadata: `mark=${mark}`, ...more })
const ids = (items) => items.map((one) => one.sandboxID)

// The rows that every call about one sandbox has: `ask(c, id)` makes the call.
export function aboutOne(row, ask) {
  row.error(404, 'a sandbox that is not there', kNotFound, (c) => ask(c, kNobody))
  row.error(400, 'what is no id', 'Invalid sandbox ID', (c) => ask(c, 'UPPER'))
}

// What GET /sandboxes/{sandboxID} and the lists say of a sandbox, each with a check of (item, sandbox, c).
function facts(row, item) {
  row.answer(['sandboxID', 'templateID', 'alias', 'clientID', 'envdVersion'], 'as create answered them', async (c) => {
    const s = await c.shared()
    const one = await item(c, s)
    for (const name of ['sandboxID', 'templateID', 'alias', 'clientID', 'envdVersion']) assert.equal(one[name], s.created[name])
  })
  row.answer('state', '`running` or `paused`', async (c) => {
    const s = await c.open()
    assert.equal((await item(c, s)).state, 'running')
    await c.pause(s)
    assert.equal((await item(c, s)).state, 'paused')
  })
  row.answer(['startedAt', 'endAt'], 'RFC 3339, UTC; when it began or last went on, and when it will end or was paused', async (c) => {
    const s = await c.open({ timeout: 100 })
    const one = await item(c, s)
    for (const time of [one.startedAt, one.endAt]) assert.match(time, kTime)
    inSeconds(one.startedAt, 0)
    inSeconds(one.endAt, 100)
    await c.pause(s)
    const paused = await item(c, s)
    assert.equal(paused.startedAt, one.startedAt)
    inSeconds(paused.endAt, 0)
    await c.done(201, 'POST', `/sandboxes/${s.id}/connect`, { timeout: 50 })
    const resumed = await item(c, s)
    assert.ok(resumed.startedAt >= paused.endAt)
    assert.equal(new Date(resumed.endAt) - new Date(resumed.startedAt), 50_000)
  })
  row.answer(['cpuCount', 'memoryMB'], 'what the sandbox may use', async (c) => {
    const s = await c.shared()
    const one = await item(c, s)
    assert.ok(Number.isInteger(one.cpuCount) && one.cpuCount > 0)
    const known = (await c.done(200, 'GET', '/templates')).json.find((each) => each.templateID === s.created.templateID)
    assert.deepEqual([one.cpuCount, one.memoryMB], [known.cpuCount, known.memoryMB])
  })
  row.answer('diskSizeMB', 'of the template', async (c) => assert.ok(Number.isInteger((await item(c, await c.shared())).diskSizeMB)))
  row.answer('metadata', 'as it was sent; absent when there was none', async (c) => {
    const metadata = { a: '1', 'b c': 'ü' }
    assert.deepEqual((await item(c, await c.open({ metadata }))).metadata, metadata)
    assert.deepEqual((await item(c, await c.open({ metadata: {} }))).metadata, {})
    assert.ok(!('metadata' in (await item(c, await c.shared()))))
  }, { open: true })
  row.answer(['volumeMounts', 'volumeMounts.name', 'volumeMounts.path'], 'the volumes that it has, in any case a list', async (c) => {
    assert.deepEqual((await item(c, await c.shared())).volumeMounts, [])
    const { name } = await c.volume()
    const s = await c.open({ volumeMounts: [{ name, path: '/data' }] })
    assert.deepEqual((await item(c, s)).volumeMounts, [{ name, path: '/data' }])
    await s.close()
  })
}

endpoint('GET /sandboxes/{sandboxID}', 'one sandbox', {}, (row) => {
  row.call('200', async (c) => { await c.detail(await c.shared()) })
  row.call('an id with `-` and more is that id: older SDKs append a client', async (c) => {
    const s = await c.shared()
    assert.equal((await c.done(200, 'GET', `/sandboxes/${s.id}-6532622b`)).json.sandboxID, s.id)
  })
  facts(row, (c, s) => c.detail(s))
  row.answer('envdAccessToken', 'with `secure` only', async (c) => {
    const s = await c.shared()
    assert.equal((await c.detail(s)).envdAccessToken, s.token)
    assert.ok(!('envdAccessToken' in (await c.detail(await c.open({ secure: false })))))
  })
  row.answer('allowInternetAccess', 'as it was sent, `null` when it was not', async (c) => {
    for (const sent of [true, false, undefined]) assert.equal((await c.detail(await c.open({ allow_internet_access: sent }))).allowInternetAccess, sent ?? null)
  })
  row.answer('domain', '`null` when the API was asked as `api.<domain>`, else the domain with its port', async (c) => {
    const s = await c.shared()
    assert.equal((await c.detail(s)).domain, null)
    assert.equal((await c.done(200, 'GET', `/sandboxes/${s.id}`, undefined, { target: frontDoor('localhost') })).json.domain, domain)
  })
  row.answer(['lifecycle', 'lifecycle.onTimeout', 'lifecycle.autoResume'], '`kill` or `pause`; whether traffic resumes it', async (c) => {
    assert.deepEqual((await c.detail(await c.shared())).lifecycle, { onTimeout: 'kill', autoResume: false })
    const s = await c.open({ autoPause: true, autoResume: { enabled: true } })
    assert.deepEqual((await c.detail(s)).lifecycle, { onTimeout: 'pause', autoResume: true })
  })
  row.answer(['network', 'network.allowOut', 'network.denyOut', 'network.allowPublicTraffic', 'network.maskRequestHost', 'network.rules'], 'as it was sent; what was not sent is absent', async (c) => {
    const network = {
      allowOut: ['1.1.1.1', 'example.com'], denyOut: ['0.0.0.0/0'], allowPublicTraffic: true, maskRequestHost: 'a.b:${PORT}',
      rules: { 'api.example.com': [{ transform: { headers: { 'X-A': 'b' } } }] },
    }
    assert.deepEqual((await c.detail(await c.open({ network }))).network, network)
    assert.deepEqual((await c.detail(await c.open({ network: { denyOut: [] } }))).network, { denyOut: [] })
    assert.ok(!('network' in (await c.detail(await c.shared()))))
  }, { open: true })
  aboutOne(row, (c, id) => c.call('GET', `/sandboxes/${id}`))
})

endpoint('GET /v2/sandboxes', 'all sandboxes, in pages', {}, (row) => {
  // Three of one mark, oldest first, the middle one paused.
  const three = (c) => (c.three ??= (async () => {
    const mark = unused('list')
    const made = []
    for (const name of ['first', 'second', 'third']) made.push(await c.open({ metadata: { mark, name } }))
    await c.pause(made[1])
    return { mark, ids: made.map((s) => s.id) }
  })())
  const list = (c, mark, more) => c.done(200, 'GET', `/v2/sandboxes?${marked(mark, more)}`)

  row.call('200: newest first', async (c) => {
    const { mark, ids: made } = await three(c)
    assert.deepEqual(ids((await list(c, mark)).json), made.toReversed())
  })
  row.query('metadata', 'pairs that must all be there; encoded as a form, each part percent-encoded before', async (c) => {
    const mark = unused('pairs')
    const s = await c.open({ metadata: { mark, 'my key': 'v&1' } })
    await c.open({ metadata: { mark } })
    const found = async (text) => ids((await c.done(200, 'GET', `/v2/sandboxes?metadata=${text}`)).json)
    assert.deepEqual(await found(`mark%3D${mark}%26my%252520key%3Dv%252526` + '1'), [s.id])
    assert.equal((await found(`mark%3D${mark}`)).length, 2)
    assert.deepEqual(await found(`mark%3D${mark}%26my%252520key%3Dother`), [])
  })
  row.query('state', '`running`, `paused`, or both with a comma between; absent: both', async (c) => {
    const { mark, ids: made } = await three(c)
    const found = async (state) => ids((await list(c, mark, { state })).json)
    assert.deepEqual(await found('paused'), [made[1]])
    assert.deepEqual(await found('running'), [made[2], made[0]])
    assert.equal((await found('running,paused')).length, 3)
  })
  row.query('limit', 'that many to a page, 100 at most and when absent', async (c) => {
    const { mark, ids: made } = await three(c)
    assert.deepEqual(ids((await list(c, mark, { limit: 2 })).json), [made[2], made[1]])
    assert.equal((await list(c, mark, { limit: 1000 })).json.length, 3)
  })
  row.query('nextToken', 'the page after the one that named it', async (c) => {
    const { mark, ids: made } = await three(c)
    const first = await list(c, mark, { limit: 2 })
    const second = await list(c, mark, { limit: 2, nextToken: first.headers['x-next-token'] })
    assert.deepEqual(ids(second.json), [made[0]])
  })
  row.query('order', 'E2B: `asc` is oldest first, `desc` and absent newest first', async (c) => {
    const { mark, ids: made } = await three(c)
    assert.deepEqual(ids((await list(c, mark, { order: 'asc' })).json), made)
    assert.deepEqual(ids((await list(c, mark, { order: 'desc' })).json), made.toReversed())
  })
  row.query('startedAfter', 'E2B: those that began then or later', async (c) => {
    const { mark, ids: made } = await three(c)
    const { startedAt } = (await c.done(200, 'GET', `/sandboxes/${made[2]}`)).json
    assert.deepEqual(ids((await list(c, mark, { startedAfter: startedAt })).json), [made[2]])
  })
  row.query('template', 'E2B: those of this template, by name or id', async (c) => {
    const { mark } = await three(c)
    const { templateID } = (await c.shared()).created
    for (const template of ['base', templateID]) assert.equal((await list(c, mark, { template })).json.length, 3)
    assert.deepEqual((await list(c, mark, { template: 'nope' })).json, [])
  })
  row.header('X-Next-Token', 'there when a page follows', async (c) => {
    const { mark } = await three(c)
    assert.ok((await list(c, mark, { limit: 2 })).headers['x-next-token'])
    assert.equal((await list(c, mark, { limit: 3 })).headers['x-next-token'], undefined)
  })
  row.header('X-Total-Running', 'how many that match are running, on all pages; absent when only paused ones were asked for', async (c) => {
    const { mark } = await three(c)
    assert.equal((await list(c, mark, { limit: 1 })).headers['x-total-running'], '2')
    assert.equal((await list(c, mark, { state: 'paused' })).headers['x-total-running'], undefined)
  })
  facts(row, async (c, s) => {
    for (let token = ''; token !== undefined;) {
      const reply = await c.done(200, 'GET', `/v2/sandboxes?${query({ nextToken: token })}`)
      const found = reply.json.find((one) => one.sandboxID === s.id)
      if (found) return found
      token = reply.headers['x-next-token']
    }
    return assert.fail(`${s.id} is on no page`)
  })
  for (const [name, value, message] of [
    ['state', 'sleeping', 'validation error: parameter "state" in query has an error: value is not one of the allowed values ["running","paused"]'],
    ['limit', '0', 'validation error: parameter "limit" in query has an error: number must be at least 1'],
    ['limit', 'many', 'validation error: parameter "limit" in query has an error: value must be an integer'],
    ['order', 'up', 'validation error: parameter "order" in query has an error: value is not one of the allowed values ["asc","desc"]'],
    ['startedAfter', 'now', 'validation error: parameter "startedAfter" in query has an error: value is not an RFC 3339 date-time'],
    ['nextToken', 'x', 'Invalid next token'],
    ['metadata', 'x', 'Error parsing metadata: invalid key value pair in query'],
  ]) row.error(400, `\`${name}=${value}\``, message, (c) => c.call('GET', `/v2/sandboxes?${name}=${value}`))
})

endpoint('GET /sandboxes', 'the running ones', {}, (row) => {
  row.call('200: all that run, none that is paused', async (c) => {
    const mark = unused('running')
    const [one, two] = [await c.open({ metadata: { mark } }), await c.open({ metadata: { mark } })]
    await c.pause(one)
    assert.deepEqual(ids((await c.done(200, 'GET', `/sandboxes?${marked(mark)}`)).json), [two.id])
  })
  row.query('metadata', 'as in `GET /v2/sandboxes`', async (c) => {
    const mark = unused('running')
    const s = await c.open({ metadata: { mark } })
    await c.open()
    assert.deepEqual(ids((await c.done(200, 'GET', `/sandboxes?${marked(mark)}`)).json), [s.id])
  })
  row.answersLike('GET /v2/sandboxes', '', 'the fields of `GET /v2/sandboxes`', async (c) => {
    const s = await c.open({ metadata: { a: 'b' } })
    const item = async (path) => (await c.done(200, 'GET', path)).json.find((one) => one.sandboxID === s.id)
    assert.deepEqual(await item('/sandboxes'), await item('/v2/sandboxes'))
  })
  row.error(400, '`metadata=x`', 'Error parsing metadata: invalid key value pair in query', (c) => c.call('GET', '/sandboxes?metadata=x'))
})

endpoint('DELETE /sandboxes/{sandboxID}', 'kill', {}, (row) => {
  row.call('204; it is gone, and so is what ran in it', async (c) => {
    const s = await c.open({ secure: false })
    assert.equal((await c.done(204, 'DELETE', `/sandboxes/${s.id}`)).text, '')
    assert.ok(await c.isGone(s))
    assert.equal((await exchange(s.at(49983), { path: '/health' })).status, 502)
  })
  row.call('204 for a paused one', async (c) => {
    const s = await c.open()
    await c.pause(s)
    await c.done(204, 'DELETE', `/sandboxes/${s.id}`)
    assert.ok(await c.isGone(s))
  })
  row.error(404, 'a second time', 'Sandbox "…" doesn\'t exist or you don\'t have access to it', async (c) => {
    const s = await c.open()
    await c.done(204, 'DELETE', `/sandboxes/${s.id}`)
    return c.call('DELETE', `/sandboxes/${s.id}`)
  })
  aboutOne(row, (c, id) => c.call('DELETE', `/sandboxes/${id}`))
})

endpoint('POST /sandboxes/{sandboxID}/timeout', 'how long it still lives', { seconds: 2 }, (row) => {
  const set = (c, s, timeout) => c.done(204, 'POST', `/sandboxes/${s.id}/timeout`, { timeout })
  row.call('204', async (c) => assert.equal((await set(c, await c.open(), 60)).text, ''))
  row.body('timeout', 'it ends so many seconds from now, sooner or later than before', async (c) => {
    const s = await c.open({ timeout: 100 })
    for (const timeout of [500, 20]) {
      await set(c, s, timeout)
      inSeconds((await c.detail(s)).endAt, timeout)
    }
    await set(c, s, 1)
    await eventually('it is gone', () => c.isGone(s))
  })
  row.body('timeout', '0 ends it', async (c) => {
    const s = await c.open()
    await set(c, s, 0)
    await eventually('it is gone', () => c.isGone(s))
  })
  row.body('timeout', 'more than an hour is an hour, unless it is `long_running`', async (c) => {
    const [short, long] = [await c.open(), await c.open({ metadata: { long_running: 'true' } })]
    for (const [s, seconds] of [[short, 3600], [long, 9000]]) {
      await set(c, s, 9000)
      inSeconds((await c.detail(s)).endAt, seconds)
    }
  }, { differs: 'as Novita documents it; E2B answers 400' })
  row.error(400, 'no `timeout`', 'validation error: request body has an error: Error at "/timeout": property "timeout" is missing', async (c) => c.call('POST', `/sandboxes/${(await c.shared()).id}/timeout`, {}))
  row.error(400, '`"timeout":-1`', 'validation error: request body has an error: Error at "/timeout": number must be at least 0', async (c) => c.call('POST', `/sandboxes/${(await c.shared()).id}/timeout`, { timeout: -1 }))
  row.error(400, 'no body', 'validation error: request body has an error: value is required but missing', async (c) => c.call('POST', `/sandboxes/${(await c.shared()).id}/timeout`, ''))
  row.error(404, 'a paused one, as if it were not there; its end stays', 'Sandbox "…" doesn\'t exist or you don\'t have access to it', async (c) => {
    const s = await c.open()
    await c.pause(s)
    const { endAt } = await c.detail(s)
    const reply = await c.call('POST', `/sandboxes/${s.id}/timeout`, { timeout: 500 })
    assert.equal((await c.detail(s)).endAt, endAt)
    return reply
  })
  aboutOne(row, (c, id) => c.call('POST', `/sandboxes/${id}/timeout`, { timeout: 5 }))
})

endpoint('POST /sandboxes/{sandboxID}/refreshes', 'at least so long', {}, (row) => {
  const refresh = (c, s, body) => c.done(204, 'POST', `/sandboxes/${s.id}/refreshes`, body)
  row.call('204; a body is not needed', async (c) => { for (const body of [undefined, '', {}]) await refresh(c, await c.shared(), body) })
  row.body('duration', 'it lives at least so many seconds from now: extends, never shortens', async (c) => {
    const s = await c.open({ timeout: 100 })
    await refresh(c, s, { duration: 20 })
    inSeconds((await c.detail(s)).endAt, 100)
    await refresh(c, s, { duration: 600 })
    inSeconds((await c.detail(s)).endAt, 600)
  })
  row.body('duration', 'absent, or less: 15', async (c) => {
    for (const body of [{}, { duration: 1 }]) {
      const s = await c.open({ timeout: 6 })
      await refresh(c, s, body)
      inSeconds((await c.detail(s)).endAt, 15, 8)
    }
  })
  row.error(400, '`"duration":3601`', 'validation error: request body has an error: Error at "/duration": number must be at most 3600', async (c) => c.call('POST', `/sandboxes/${(await c.shared()).id}/refreshes`, { duration: 3601 }))
  row.error(404, 'a paused one, as if it were not there', 'Sandbox "…" doesn\'t exist or you don\'t have access to it', async (c) => {
    const s = await c.open()
    await c.pause(s)
    return c.call('POST', `/sandboxes/${s.id}/refreshes`, {})
  })
  aboutOne(row, (c, id) => c.call('POST', `/sandboxes/${id}/refreshes`, {}))
})
