// Pausing without memory (E2B's keepMemory: false, onResume: 'reboot'), and paused sandboxes that outlive the emulator:
// their processes are gone, their files and everything that was said of them are not (contract-envd 5.10).
import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { Emulator } from './support/emulator.mjs'
import { eachSdk, it } from './support/sdks.mjs'
import { background, eventually, failure, get, open, url } from './support/sandbox.mjs'

const kBoot = '/proc/sys/kernel/random/boot_id'

eachSdk('pause without memory', (sdk) => {
  const { Sandbox } = sdk

  it('the files stay, the processes go, and it is another boot', async (t) => {
    const sandbox = await open(t, sdk, { envs: { KEPT: 'yes' } })
    const boot = await sandbox.files.read(kBoot)
    await background(sandbox, 'sleep 600')
    await sandbox.files.write('/home/user/file', 'kept')
    await sandbox.commands.run('touch /usr/local/bin/mine /etc/mine', { user: 'root' })
    assert.equal(await sandbox.pause({ keepMemory: false }), true)
    assert.equal((await sandbox.getInfo()).state, 'paused')
    assert.equal(await sandbox.isRunning(), false)
    assert.equal(await sandbox.pause({ keepMemory: false }), false)
    const again = await Sandbox.connect(sandbox.sandboxId)
    assert.deepEqual(await again.commands.list(), [])
    assert.equal(await again.files.read('/home/user/file'), 'kept')
    assert.equal((await again.commands.run('ls /etc/mine /usr/local/bin/mine; whoami; pwd; echo $KEPT')).stdout,
      '/etc/mine\n/usr/local/bin/mine\nuser\n/home/user\nyes\n')
    const now = await again.files.read(kBoot)
    assert.match(now, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$/)
    assert.notEqual(now, boot)
    // The handle from before has the same token.
    assert.equal((await sandbox.commands.run('echo here')).stdout, 'here\n')
  })

  it('it can be paused again and again, in either way, and killed', async (t) => {
    const sandbox = await open(t, sdk)
    for (const keepMemory of [false, true, false, false]) {
      await sandbox.commands.run('echo x >> ~/rounds')
      assert.equal(await sandbox.pause({ keepMemory }), true)
      await sandbox.connect()
    }
    assert.equal((await sandbox.commands.run('wc -l < ~/rounds')).stdout, '4\n')
    await sandbox.pause({ keepMemory: false })
    assert.equal(await Sandbox.kill(sandbox.sandboxId), true)
    await failure(() => Sandbox.connect(sandbox.sandboxId), sdk.SandboxNotFoundError)
  })

  it('no traffic wakes it, though it would wake one with memory', async (t) => {
    const lifecycle = { onTimeout: 'pause', autoResume: true }
    const sandbox = await open(t, sdk, { lifecycle })
    await sandbox.pause({ keepMemory: false })
    const answer = await get(url(sandbox, 3000))
    assert.equal(answer.status, 502)
    assert.equal((await sandbox.getInfo()).state, 'paused')
    await sandbox.connect()
    await sandbox.pause()
    await get(url(sandbox, 3000))
    assert.equal((await sandbox.getInfo()).state, 'running')
  })

  it('at the end of its time, when it was created so', async (t) => {
    const lifecycle = { onTimeout: { action: 'pause', keepMemory: false } }
    const sandbox = await open(t, sdk, { timeoutMs: 1000, lifecycle })
    await eventually('it paused', async () => (await sandbox.getInfo()).state === 'paused')
    await sandbox.connect({ timeoutMs: 60_000 })
    assert.equal((await sandbox.commands.run('echo awake')).stdout, 'awake\n')
  })

  if (sdk.name !== 'e2b-2.45') {
    it("onResume 'reboot' starts one with memory anew", async (t) => {
      const sandbox = await open(t, sdk)
      const boot = await sandbox.files.read(kBoot)
      await background(sandbox, 'sleep 600')
      await sandbox.pause()
      const again = await Sandbox.connect(sandbox.sandboxId, { onResume: 'reboot' })
      assert.deepEqual(await again.commands.list(), [])
      assert.notEqual(await again.files.read(kBoot), boot)
      // A running one goes on.
      await background(again, 'sleep 600')
      await Sandbox.connect(sandbox.sandboxId, { onResume: 'reboot' })
      assert.equal((await again.commands.list()).length, 1)
    })
  }
}, { only: 'e2b' })

eachSdk('after the end of the emulator', (sdk) => {
  const { Sandbox } = sdk
  const emulator = new Emulator('--internet', 'none')
  before(() => emulator.start())
  after(async () => {
    await emulator.end('SIGTERM')
    emulator.remove()
  })

  for (const signal of ['SIGKILL', 'SIGTERM']) {
    it(`${signal}: a paused sandbox is there, with its files, token and settings; a running one is gone`, async () => {
      const metadata = { round: signal }
      const sandbox = await Sandbox.create({ ...emulator.connection, metadata, envs: { KEPT: 'yes' }, network: { denyOut: ['9.9.9.9'] } })
      const running = await Sandbox.create(emulator.connection)
      await sandbox.files.write('/home/user/file', signal)
      const boot = await sandbox.files.read(kBoot)
      await sandbox.pause()
      await failure(() => sandbox.setTimeout(1_800_000), sdk.SandboxNotFoundError)
      const told = await sandbox.getInfo()
      await emulator.end(signal)
      await emulator.start()
      const there = await Sandbox.list({ ...emulator.connection, query: { metadata } }).nextItems()
      assert.deepEqual(there.map((item) => [item.sandboxId, item.state, item.startedAt, item.endAt]), [[sandbox.sandboxId, 'paused', told.startedAt, told.endAt]])
      await failure(() => Sandbox.connect(running.sandboxId, emulator.connection), sdk.SandboxNotFoundError)
      const events = JSON.parse((await get(`${emulator.base}/sandboxes/events?sandboxID=${running.sandboxId}`, { headers: { 'X-API-Key': 'e2b_0000' } })).text)
      assert.deepEqual(events.items.map((one) => [one.eventName, one.state]), [['delete', signal === 'SIGKILL' ? 'failed' : 'success'], ['create', 'success']])
      const again = await Sandbox.connect(sandbox.sandboxId, emulator.connection)
      const info = await again.getInfo()
      const constant = { state: '', startedAt: 0, endAt: 0, sandboxDomain: '' }
      assert.ok(info.startedAt > told.startedAt)
      assert.deepEqual({ ...info, ...constant }, { ...told, ...constant })
      assert.deepEqual(info.network.denyOut, ['9.9.9.9'])
      assert.equal(await again.files.read('/home/user/file'), signal)
      assert.equal((await again.commands.run('echo $KEPT')).stdout, 'yes\n')
      assert.notEqual(await again.files.read(kBoot), boot)
      await again.kill()
    })
  }
}, { concurrency: 1 })
