// Pause and connect: processes, memory and files survive, and everybody can see the state.
import assert from 'node:assert/strict'
import { eachSdk, it } from './support/sdks.mjs'
import { background, eventually, everyItem, failure, get, open, ownMetadata, url } from './support/sandbox.mjs'

eachSdk('pause', (sdk) => {
  const { Sandbox, SandboxNotFoundError, SandboxError } = sdk

  it('a paused sandbox says so everywhere', async (t) => {
    const metadata = ownMetadata()
    const sandbox = await open(t, sdk, { metadata })
    assert.equal(await sandbox.pause(), true)
    assert.equal(await sandbox.isRunning(), false)
    assert.equal((await sandbox.getInfo()).state, 'paused')
    assert.deepEqual((await everyItem(Sandbox.list({ query: { metadata } }))).map((item) => item.state), ['paused'])
    assert.equal(await sandbox.pause(), false)
    assert.equal(await Sandbox.pause(sandbox.sandboxId), false)
    await failure(() => sandbox.commands.run('true'), SandboxError)
  })

  it('processes, memory, files and environment survive', async (t) => {
    const sandbox = await open(t, sdk, { envs: { KEPT: 'yes' } })
    const boot = await sandbox.files.read('/proc/sys/kernel/random/boot_id')
    const process = await background(sandbox, 'secret=42; until [ -e /tmp/go ]; do sleep 0.02; done; echo $secret > /tmp/out')
    await sandbox.files.write('/tmp/file', 'kept')
    await sandbox.pause()
    const again = await Sandbox.connect(sandbox.sandboxId)
    assert.equal((await again.getInfo()).state, 'running')
    assert.deepEqual((await again.commands.list()).map((listed) => listed.pid), [process.pid])
    assert.equal(await again.files.read('/tmp/file'), 'kept')
    assert.equal(await again.files.read('/proc/sys/kernel/random/boot_id'), boot)
    assert.equal((await again.commands.run('echo $KEPT')).stdout, 'yes\n')
    await again.files.write('/tmp/go', '')
    await eventually('the process goes on', async () => (await again.files.read('/tmp/out')) === '42\n')
  })

  it('the old handle works after connect, with the same access token', async (t) => {
    const sandbox = await open(t, sdk)
    const address = await sandbox.downloadUrl('/etc/hostname')
    await sandbox.pause()
    await sandbox.connect()
    assert.equal(await sandbox.isRunning(), true)
    assert.equal((await sandbox.commands.run('echo here')).stdout, 'here\n')
    assert.equal((await get(address)).status, 200)
  })

  it('a server answers again after connect, and is not found while paused', async (t) => {
    const sandbox = await open(t, sdk)
    await background(sandbox, 'python3 -m http.server 3000')
    await eventually('the server answers', async () => (await get(url(sandbox, 3000))).status === 200)
    await sandbox.pause()
    const paused = await get(url(sandbox, 3000))
    assert.equal(paused.status, 502)
    assert.equal(JSON.parse(paused.text).message, 'The sandbox was not found')
    await Sandbox.connect(sandbox.sandboxId)
    assert.equal((await get(url(sandbox, 3000))).status, 200)
  })

  it('a paused sandbox can be killed', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.pause()
    assert.equal(await Sandbox.kill(sandbox.sandboxId), true)
    await failure(() => Sandbox.connect(sandbox.sandboxId), SandboxNotFoundError)
  })

  it('connect after a pause gives the time that was asked for', async (t) => {
    const sandbox = await open(t, sdk, { timeoutMs: 20_000 })
    await sandbox.pause()
    const before = Date.now()
    await sandbox.connect({ timeoutMs: 400_000 })
    const left = ((await sandbox.getInfo()).endAt.getTime() - before) / 1000
    assert.ok(Math.abs(left - 400) < 5, `${left} s`)
  })

  it('it ended when it was paused, and started when it went on', async (t) => {
    const metadata = ownMetadata()
    const sandbox = await open(t, sdk, { metadata })
    const listed = async () => (await everyItem(Sandbox.list({ query: { metadata } })))[0]
    const between = (time, from) => assert.ok(time >= from && time <= Date.now() + 1, `${time.toISOString()}: not between ${from.toISOString()} and now`)
    for (let { startedAt } = await sandbox.getInfo(), round = 0; round < 2; ++round) {
      const before = new Date()
      await sandbox.pause()
      const paused = await sandbox.getInfo()
      between(paused.endAt, before)
      assert.deepEqual(paused.startedAt, startedAt)
      assert.deepEqual(await listed().then((item) => [item.startedAt, item.endAt]), [startedAt, paused.endAt])
      await sandbox.connect({ timeoutMs: 100_000 })
      const resumed = await sandbox.getInfo()
      between(resumed.startedAt, paused.endAt)
      assert.equal(resumed.endAt - resumed.startedAt, 100_000)
      assert.deepEqual(await listed().then((item) => [item.startedAt, item.endAt]), [resumed.startedAt, resumed.endAt])
      startedAt = resumed.startedAt
    }
  })

  it('ten rounds of pause and connect leave it whole', async (t) => {
    const sandbox = await open(t, sdk)
    const process = await background(sandbox, 'sleep 600')
    for (let round = 0; round < 10; ++round) {
      assert.equal(await sandbox.pause(), true)
      await sandbox.connect()
      assert.equal((await sandbox.commands.list())[0].pid, process.pid)
    }
  })

  it('with lifecycle pause the end of the time pauses instead of killing', async (t) => {
    const sandbox = await open(t, sdk, { timeoutMs: 2_000, lifecycle: { onTimeout: 'pause' } })
    await eventually('it is paused', async () => (await sandbox.getInfo()).state === 'paused')
    await sandbox.connect({ timeoutMs: 60_000 })
    assert.equal((await sandbox.commands.run('echo awake')).stdout, 'awake\n')
  })
})
