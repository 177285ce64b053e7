// getEvents, the logs routes, resize, idle timeouts, metrics text: what is written down of sandboxes. The clock is
// everybody's, so these tests run one after the other.
import assert from 'node:assert/strict'
import { domain, eachSdk, it } from './support/sdks.mjs'
import { background, eventually, get, open, url } from './support/sandbox.mjs'

const headers = { 'x-api-key': process.env.E2B_API_KEY }
async function api(path, body) {
  const options = body ? { method: 'POST', body: JSON.stringify(body) } : {}
  const answer = await get(`https://api.${domain}${path}`, { ...options, headers })
  return { status: answer.status, body: answer.text ? JSON.parse(answer.text) : undefined }
}
const clock = (change) => get(`https://${domain}/_sandlot/clock`, { method: 'POST', body: JSON.stringify(change) })
const names = ({ items }) => items.map((event) => event.eventName)
const autoPause = (sdk) => (sdk.family === 'novita' ? { autoPause: true } : { lifecycle: { onTimeout: 'pause' } })

eachSdk('events', (sdk) => {
  const { Sandbox } = sdk
  const events = sdk.family === 'novita'
    ? (query) => Sandbox.getEvents(query)
    : async (query) => (await api(`/sandboxes/events?${new URLSearchParams(query)}`)).body

  it('the life of a sandbox, newest first', async (t) => {
    const sandbox = await open(t, sdk)
    const { sandboxId: sandboxID } = sandbox
    await sandbox.pause()
    await Sandbox.connect(sandboxID)
    await Sandbox.connect(sandboxID)
    await sandbox.kill()
    const all = await events({ sandboxID })
    assert.deepEqual(names(all), ['delete', 'connect', 'connect', 'resume', 'pause', 'create'])
    assert.equal(all.total, 6)
    assert.equal(all.hasMore, false)
    const created = all.items.at(-1)
    assert.equal(created.sandboxID, sandboxID)
    assert.equal(created.templateName, 'base')
    assert.equal(created.state, 'success')
    assert.equal(created.statusCode, 201)
    assert.equal(created.errorMsg, '')
    assert.ok(Math.abs(created.recordAt - Date.now() / 1000) < 60)
    assert.equal(new Set(all.items.map((event) => event.eventID)).size, 6)

    assert.deepEqual(names(await events({ sandboxID, orderAsc: true, limit: 2, offset: 1 })), ['pause', 'resume'])
    assert.equal((await events({ sandboxID, limit: 2 })).hasMore, true)
    assert.deepEqual(names(await events({ sandboxID, events: 'create,delete' })), ['delete', 'create'])
    assert.deepEqual(names(await events({ sandboxID: sandboxID.slice(3, 15), events: ['create', 'pause'] })), ['pause', 'create'])
    assert.deepEqual(names(await events({ sandboxID, templateID: created.templateID.slice(1), state: 'failed' })), [])
    const now = Math.floor(Date.now() / 1000)
    assert.deepEqual(names(await events({ sandboxID, startTime: now - 3600, endTime: now - 1800 })), [])
    assert.equal((await events({ sandboxID, startTime: now - 3600, endTime: now + 60 })).total, 6)
  })

  it('a reset is what it does to the state', async (t) => {
    const sandbox = await open(t, sdk)
    const { sandboxId: sandboxID } = sandbox
    const reset = async (resume) => assert.equal((await api(`/sandboxes/${sandboxID}/reset`, { resume })).status, 200)
    await reset(true)
    assert.deepEqual(names(await events({ sandboxID })), ['create'])
    await reset(false)
    assert.deepEqual(names(await events({ sandboxID })), ['pause', 'create'])
    await reset(false)
    assert.deepEqual(names(await events({ sandboxID })), ['pause', 'create'])
    await reset(true)
    assert.deepEqual(names(await events({ sandboxID })), ['resume', 'pause', 'create'])
  })

  it('a timeout is one, and what it did', async (t) => {
    t.after(() => clock({ reset: true }))
    const [killed, paused] = await Promise.all([open(t, sdk), open(t, sdk, autoPause(sdk))])
    await clock({ advance: '5m' })
    await eventually('it ended', async () => !(await killed.isRunning()))
    await eventually('it paused', async () => (await paused.getInfo()).state === 'paused')
    assert.deepEqual(names(await events({ sandboxID: killed.sandboxId })), ['delete', 'timeout', 'create'])
    assert.deepEqual(names(await events({ sandboxID: paused.sandboxId })), ['pause', 'timeout', 'create'])
  })

  it('bad questions are refused', async () => {
    for (const query of ['limit=0', 'limit=101', 'limit=x', 'offset=-1', 'orderAsc=yes', 'startTime=now', 'startTime=5&endTime=4', 'startTime=0', 'endTime=99999999999999999999']) {
      const { status, body } = await api(`/sandboxes/events?${query}`)
      assert.equal(status, 400, query)
      assert.equal(body.code, 400)
    }
  })

  it('logs, in both shapes, of a killed sandbox, too', async (t) => {
    const sandbox = await open(t, sdk)
    const path = `/sandboxes/${sandbox.sandboxId}/logs`
    await sandbox.kill()
    const { status, body } = await api(path)
    assert.equal(status, 200)
    assert.deepEqual(body.logEntries.map((entry) => entry.message), ['Sandbox created', 'Sandbox killed'])
    assert.equal(body.logEntries[0].level, 'info')
    assert.equal(body.logEntries[0].fields.event, 'create')
    assert.equal(JSON.parse(body.logs[0].line).message, 'Sandbox created')
    assert.equal(body.logs[0].timestamp, body.logEntries[0].timestamp)
    const messages = async (query) => (await api(`/v2${path}?${query}`)).body.logs.map((entry) => entry.message)
    assert.deepEqual(await messages(''), ['Sandbox killed', 'Sandbox created'])
    assert.deepEqual(await messages('direction=forward&limit=1'), ['Sandbox created'])
    assert.deepEqual(await messages('direction=backward&limit=1'), ['Sandbox killed'])
    assert.deepEqual(await messages('search=created'), ['Sandbox created'])
    assert.deepEqual(await messages('level=warn'), [])
    assert.deepEqual(await messages(`cursor=${Date.now() + 60_000}&direction=forward`), [])
    assert.deepEqual(await messages(`cursor=${Date.parse(body.logs[0].timestamp)}&direction=backward`).then((all) => all.at(-1)), 'Sandbox created')
    for (const query of ['limit=1001', 'limit=-1', 'direction=up', 'level=loud', 'cursor=now', `search=${'x'.repeat(257)}`]) {
      assert.equal((await api(`/v2${path}?${query}`)).status, 400, query)
    }
    assert.equal((await api('/v2/sandboxes/inobody/logs')).status, 404)
  })

  it('memory is added to a running sandbox, and taken away', async (t) => {
    const sandbox = await open(t, sdk)
    const { memoryMB: base } = await sandbox.getInfo()
    const path = `/sandboxes/${sandbox.sandboxId}/hotplug-memory`
    const resize = (memoryMiB) => (sdk.family === 'novita'
      ? sandbox.resize({ memoryMiB })
      : api(path, { requested_size_mib: memoryMiB }).then(({ status }) => assert.equal(status, 204)))
    const hungry = (then = '') => `python3 -c "b = bytearray(${base + 150} << 20); print('fits', flush=True)${then}"`
    await assert.rejects(() => sandbox.commands.run(hungry()))
    await resize(512)
    assert.equal((await sandbox.getInfo()).memoryMB, base + 512)
    const held = await background(sandbox, hungry('; import time; time.sleep(60)'))
    await eventually('it has what it needs', async () => held.stdout.includes('fits'))
    assert.equal((await api(path, { requested_size_mib: 0 })).status, 409)
    assert.equal((await sandbox.getInfo()).memoryMB, base + 512)
    await held.kill()
    await sandbox.commands.run("pkill -9 -f '[b]ytearray' || true")
    await eventually('it is free again', async () => (await api(path, { requested_size_mib: 0 })).status === 204)
    assert.equal((await sandbox.getInfo()).memoryMB, base)
    for (const size of [1, -2, 1.5, '512', 8194, undefined]) {
      assert.equal((await api(path, { requested_size_mib: size })).status, 400, String(size))
    }
    assert.equal((await api('/sandboxes/inobody/hotplug-memory', { requested_size_mib: 2 })).status, 404)
    await sandbox.pause()
    assert.equal((await api(path, { requested_size_mib: 2 })).status, 409)
    assert.equal((await sandbox.getInfo()).memoryMB, base)
  })

  it('a sandbox without a client ends after its idle timeout, one with a client does not', async (t) => {
    t.after(() => clock({ reset: true }))
    const metadata = { idle_timeout: '60', long_running: 'true' }
    const [alone, used, sleeper] = await Promise.all([
      open(t, sdk, { metadata, timeoutMs: 7_200_000 }), open(t, sdk, { metadata, timeoutMs: 7_200_000 }),
      open(t, sdk, { metadata, timeoutMs: 7_200_000, ...autoPause(sdk) }),
    ])
    const info = await alone.getInfo()
    assert.equal(info.endAt - info.startedAt, 7_200_000)
    await background(used, 'python3 -m http.server 8000')
    await eventually('the server', async () => (await get(url(used, 8000))).status === 200)
    await clock({ advance: '61s' })
    await eventually('it ended', async () => (await api(`/sandboxes/${alone.sandboxId}`)).status === 404)
    await eventually('it paused', async () => (await sleeper.getInfo()).state === 'paused')
    assert.equal((await used.getInfo()).state, 'running')
    assert.deepEqual(names(await events({ sandboxID: alone.sandboxId })), ['delete', 'timeout', 'create'])
    // Resumed, it has its time anew.
    await Sandbox.connect(sleeper.sandboxId, { timeoutMs: 3600_000 })
    await clock({ advance: '30s' })
    assert.equal((await sleeper.getInfo()).state, 'running')
    await clock({ advance: '31s' })
    await eventually('it paused again', async () => (await sleeper.getInfo()).state === 'paused')
    // Its last client has left when its connection ends, whatever the front door keeps for the next one.
    const left = await open(t, sdk, { metadata, timeoutMs: 7_200_000 })
    assert.equal((await get(await left.downloadUrl('/etc/hostname'))).status, 200)
    await clock({ advance: '61s' })
    await eventually('it ended', async () => (await api(`/sandboxes/${left.sandboxId}`)).status === 404)
    for (const idle_timeout of ['soon', '-1', '', '1.5', '99999999999999999999']) {
      await assert.rejects(() => Sandbox.create({ metadata: { idle_timeout } }), /idle_timeout/)
    }
  })

  it('metrics for Prometheus', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.getInfo()
    const { text, headers: got } = await get(`https://${domain}/_sandlot/metrics`)
    assert.match(got.get('content-type'), /^text\/plain; version=0\.0\.4/)
    assert.match(text, /^sandlot_sandboxes\{state="running"\} [1-9]/m)
    assert.match(text, /^sandlot_events_total\{event="create",state="success"\} [1-9]/m)
    assert.match(text, /^sandlot_requests_total\{method="GET",code="200"\} [1-9]/m)
    for (const line of text.trim().split('\n')) assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? [\d.]+)$/)
  })
}, { concurrency: 1 })
