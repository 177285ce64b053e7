// getMetrics: what a sandbox used, sampled every five seconds.
import assert from 'node:assert/strict'
import { domain, eachSdk, it } from './support/sdks.mjs'
import { background, eventually, get, open } from './support/sandbox.mjs'

eachSdk('metrics', (sdk) => {
  const { Sandbox } = sdk

  it('samples have every field, and lie in the range that was asked for', async (t) => {
    const begin = new Date()
    const sandbox = await open(t, sdk)
    await background(sandbox, 'while :; do :; done')
    // The first sample may have been taken before the loop began.
    const samples = await eventually('two samples', async () => {
      const found = await sandbox.getMetrics()
      return found.length >= 2 && found
    })
    const sample = samples.at(-1)
    const { cpuCount, memoryMB } = await sandbox.getInfo()
    assert.equal(sample.cpuCount, cpuCount)
    assert.equal(sample.memTotal, memoryMB * 2 ** 20)
    assert.ok(sample.cpuUsedPct > 1 && sample.cpuUsedPct <= 100, `${sample.cpuUsedPct} %`)
    assert.ok(sample.memUsed > 0 && sample.memUsed < sample.memTotal)
    assert.ok(sample.diskUsed >= 0 && sample.diskUsed <= sample.diskTotal)
    assert.ok(sample.timestamp >= begin && sample.timestamp <= new Date())
    assert.deepEqual((await Sandbox.getMetrics(sandbox.sandboxId))[0], samples[0])
    const hour = 3_600_000
    assert.deepEqual(await sandbox.getMetrics({ start: new Date(begin - hour), end: new Date(begin - hour / 2) }), [])
    // The SDKs round to seconds; samples are five apart.
    const around = (sample) => ({ start: new Date(+sample.timestamp - 1000), end: new Date(+sample.timestamp + 1000) })
    assert.deepEqual(await sandbox.getMetrics(around(samples[1])), [samples[1]])
  })

  it('a paused sandbox keeps its samples and gets no new ones', async (t) => {
    const sandbox = await open(t, sdk)
    await eventually('a sample', async () => (await sandbox.getMetrics()).length)
    await sandbox.pause()
    const before = await Sandbox.getMetrics(sandbox.sandboxId)
    const other = await open(t, sdk)
    await eventually('the next round', async () => (await other.getMetrics()).length)
    assert.deepEqual(await Sandbox.getMetrics(sandbox.sandboxId), before)
  })

  it('the newest of several by one request', async (t) => {
    const [one, two] = await Promise.all([open(t, sdk), open(t, sdk)])
    const address = `https://api.${domain}/sandboxes/metrics?sandbox_ids=${one.sandboxId},${two.sandboxId},inobody`
    const headers = { 'x-api-key': process.env.E2B_API_KEY }
    const both = await eventually('both', async () => {
      const { sandboxes } = JSON.parse((await get(address, { headers })).text)
      return Object.keys(sandboxes).length === 2 && sandboxes
    })
    assert.equal(both[one.sandboxId].cpuCount, 2)
  })

  it('of a sandbox that is gone are not found', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.kill()
    await assert.rejects(() => Sandbox.getMetrics(sandbox.sandboxId), sdk.SandboxError)
  })
})

// Novita's SDK does not show the cache.
eachSdk('metrics of the page cache', (sdk) => {
  it('a paused sandbox gives its page cache back', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.commands.run('head -c 64M /dev/zero > written')
    const mib = (sample) => sample && sample.memCache / 2 ** 20
    await eventually('a sample with the cache', async () => mib((await sandbox.getMetrics()).at(-1)) >= 48)
    await sandbox.pause()
    const paused = new Date()
    await new Promise((resolve) => setTimeout(resolve, 3000))
    await sandbox.connect()
    const after = await eventually('a new sample', async () => (await sandbox.getMetrics()).find((sample) => sample.timestamp > paused))
    assert.ok(mib(after) < 24, `${mib(after)} MiB`)
    assert.equal((await sandbox.commands.run('wc -c < written')).stdout.trim(), `${64 * 2 ** 20}`)
  })
}, { only: 'e2b' })
