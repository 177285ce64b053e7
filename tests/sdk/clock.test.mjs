// POST /_sandlot/clock: an hour that passes at once. The clock is everybody's, so these tests run one after the other.
import assert from 'node:assert/strict'
import { domain, eachSdk, it } from './support/sdks.mjs'
import { eventually, get, open } from './support/sandbox.mjs'

async function clock(change) {
  const options = change ? { method: 'POST', body: JSON.stringify(change) } : {}
  const answer = await get(`https://${domain}/_sandlot/clock`, options)
  return { status: answer.status, ...JSON.parse(answer.text) }
}

const kHour = 3_600_000
const autoPause = (sdk) => (sdk.family === 'novita' ? { autoPause: true } : { lifecycle: { onTimeout: 'pause' } })

eachSdk('clock', (sdk) => {
  const { Sandbox } = sdk
  const test = (name, body) => it(name, async (t) => {
    t.after(() => clock({ reset: true }))
    const started = Date.now()
    await body(t)
    assert.ok(Date.now() - started < 5000, `took ${Date.now() - started} ms`)
  })

  test('a timeout of an hour ends the sandbox', async (t) => {
    const sandbox = await open(t, sdk, { timeoutMs: kHour })
    await clock({ advance: '59m' })
    assert.equal(await sandbox.isRunning(), true)
    await clock({ advance: '2m' })
    await eventually('it ended', async () => !(await sandbox.isRunning()))
    await assert.rejects(() => Sandbox.getInfo(sandbox.sandboxId), sdk.NotFoundError)
  })

  test('a sandbox that pauses at its end does, and its times are those of the clock', async (t) => {
    const sandbox = await open(t, sdk, { timeoutMs: kHour, ...autoPause(sdk) })
    const { endAt } = await sandbox.getInfo()
    await clock({ advance: '61m' })
    await eventually('it paused', async () => (await sandbox.getInfo()).state === 'paused')
    await Sandbox.connect(sandbox.sandboxId, { timeoutMs: kHour })
    const resumed = await sandbox.getInfo()
    assert.equal(resumed.state, 'running')
    assert.ok(resumed.endAt - endAt >= kHour, `${resumed.endAt} is an hour after ${endAt}`)
  })

  test('a signed URL expires, before and after a pause', async (t) => {
    const sandbox = await open(t, sdk, { timeoutMs: kHour })
    await sandbox.files.write('/home/user/file', 'x')
    const address = await sandbox.downloadUrl('/home/user/file', { useSignatureExpiration: 600 })
    assert.equal((await get(address)).status, 200)
    await clock({ advance: '11m' })
    assert.equal((await get(address)).status, 401)
    await clock({ reset: true })
    assert.equal((await get(address)).status, 200)
    await sandbox.pause()
    await clock({ advance: '11m' })
    await Sandbox.connect(sandbox.sandboxId)
    await eventually('the agent has the time', async () => (await get(address)).status === 401)
  })

  test('a frozen clock stands, for sandboxes made later too', async (t) => {
    const { now } = await clock({ freeze: true })
    const sandbox = await open(t, sdk, { timeoutMs: kHour })
    assert.equal((await sandbox.getInfo()).startedAt.toISOString(), now)
    assert.deepEqual(await clock(), { status: 200, now, offsetMs: 0, frozen: true })
    await clock({ advance: '2h' })
    await eventually('it ended', async () => !(await sandbox.isRunning()))
    assert.equal((await clock({ freeze: false })).frozen, false)
  })

  test('it runs backwards by a reset only, and no sandbox dies or is older for it', async (t) => {
    const before = await open(t, sdk, { timeoutMs: kHour })
    const { startedAt, endAt } = await before.getInfo()
    const refused = await clock({ advance: '-5m' })
    assert.deepEqual([refused.status, refused.code], [400, 400])
    await clock({ advance: '50m' })
    const later = await open(t, sdk, { timeoutMs: kHour })
    const told = await later.getInfo()
    await clock({ reset: true })
    assert.deepEqual(await before.getInfo().then((info) => [info.startedAt, info.endAt]), [startedAt, endAt])
    assert.deepEqual(await later.getInfo().then((info) => [info.startedAt, info.endAt]), [told.startedAt, told.endAt])
    for (const sandbox of [before, later]) assert.equal((await sandbox.commands.run('echo on')).stdout, 'on\n')
    // Its end is 110 minutes from now: setTimeout brings it back.
    await later.setTimeout(600_000)
    assert.ok((await later.getInfo()).endAt < told.endAt)
  })

  test('what it does not understand it refuses, and stays as it was', async () => {
    for (const change of [{}, { advance: '-5m' }, { advance: 300 }, { advance: 'soon' }, { advance: '9999999d' }, { freeze: 1 }, { ahead: '5m' }, []]) {
      const answer = await clock(change)
      assert.equal(answer.status, 400, JSON.stringify(change))
      assert.ok(answer.message)
    }
    assert.equal((await clock()).offsetMs, 0)
  })
}, { concurrency: 1 })
