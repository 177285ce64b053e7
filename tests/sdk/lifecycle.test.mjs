// Create, info, connect, timeout, kill.
import assert from 'node:assert/strict'
import { eachSdk, it } from './support/sdks.mjs'
import { eventually, everyItem, failure, killAfter, open, ownMetadata } from './support/sandbox.mjs'

const seconds = (from, to) => (to.getTime() - from.getTime()) / 1000
const near = (actual, expected, slack, what) =>
  assert.ok(Math.abs(actual - expected) <= slack, `${what}: ${actual} is not within ${slack} of ${expected}`)

eachSdk('lifecycle', (sdk) => {
  const { Sandbox, SandboxNotFoundError, SandboxError } = sdk

  it('a created sandbox runs and describes itself', async (t) => {
    const before = new Date()
    const sandbox = await Sandbox.create()
    killAfter(t, sdk, sandbox.sandboxId)
    assert.match(sandbox.sandboxId, /^[a-z0-9]+$/)
    assert.equal(await sandbox.isRunning(), true)
    const info = await sandbox.getInfo()
    assert.equal(info.sandboxId, sandbox.sandboxId)
    assert.equal(info.state, 'running')
    assert.equal(info.envdVersion, '0.6.13')
    assert.equal(info.cpuCount, 2)
    assert.equal(info.memoryMB, 512)
    assert.ok(info.templateId)
    assert.deepEqual(info.metadata, {})
    near(seconds(before, info.startedAt), 0, 5, 'startedAt')
    near(seconds(info.startedAt, info.endAt), 300, 2, 'the default life')
  })

  it('milliseconds become seconds by rounding up', async (t) => {
    const sandbox = await open(t, sdk, { timeoutMs: 61_500 })
    const info = await sandbox.getInfo()
    near(seconds(info.startedAt, info.endAt), 62, 1, 'life')
  })

  for (const template of ['base', 'code-interpreter-v1']) {
    it(`the template ${template} exists`, async (t) => {
      const sandbox = await open(t, sdk, template)
      assert.equal((await sandbox.commands.run('echo up')).stdout, 'up\n')
    })
  }

  it('metadata and environment variables arrive', async (t) => {
    const metadata = { ...ownMetadata(), 'my key': 'v&1', ünï: '="%41"', empty: '' }
    const sandbox = await open(t, sdk, { metadata, envs: { GREETING: 'hé llo "$HOME"', EMPTY: '' } })
    assert.deepEqual((await sandbox.getInfo()).metadata, metadata)
    const run = await sandbox.commands.run('printf "%s|%s" "$GREETING" "${EMPTY-unset}"')
    assert.equal(run.stdout, 'hé llo "$HOME"|')
  })

  it('two sandboxes share neither files nor processes', async (t) => {
    const [one, two] = await Promise.all([open(t, sdk), open(t, sdk)])
    assert.notEqual(one.sandboxId, two.sandboxId)
    await one.files.write('/home/user/mine', 'x')
    assert.equal(await two.files.exists('/home/user/mine'), false)
    await one.commands.run('sleep 600', { background: true })
    assert.equal((await one.commands.list()).length, 1)
    assert.equal((await two.commands.list()).length, 0)
  })

  it('setTimeout moves the end both ways', async (t) => {
    const sandbox = await open(t, sdk)
    for (const life of [600, 30]) {
      const before = new Date()
      await sandbox.setTimeout(life * 1000)
      near(seconds(before, (await sandbox.getInfo()).endAt), life, 3, 'endAt')
    }
  })

  it('a sandbox whose time is up is killed', async (t) => {
    const sandbox = await open(t, sdk, { timeoutMs: 2_000 })
    assert.equal(await sandbox.isRunning(), true)
    await eventually('the sandbox stops running', async () => !(await sandbox.isRunning()))
    await failure(() => Sandbox.getInfo(sandbox.sandboxId), SandboxNotFoundError)
    assert.equal(await Sandbox.kill(sandbox.sandboxId), false)
  })

  it('a shortened timeout kills as well', async (t) => {
    const metadata = ownMetadata()
    const sandbox = await open(t, sdk, { metadata })
    await sandbox.setTimeout(1_000)
    await eventually('the sandbox stops running', async () => !(await sandbox.isRunning()))
    assert.deepEqual(await everyItem(Sandbox.list({ query: { metadata } })), [])
  })

  it('a lengthened timeout keeps it alive', async (t) => {
    const sandbox = await open(t, sdk, { timeoutMs: 2_000 })
    const info = await sandbox.getInfo()
    await sandbox.setTimeout(60_000)
    await eventually('the first end passes', () => Date.now() > info.endAt.getTime() + 500)
    assert.equal(await sandbox.isRunning(), true)
  })

  it('connect gives a second handle on the same sandbox', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.files.write('note', 'from the first')
    const second = await Sandbox.connect(sandbox.sandboxId)
    assert.equal(second.sandboxId, sandbox.sandboxId)
    assert.equal(await second.files.read('note'), 'from the first')
    assert.equal(second.getHost(3000), sandbox.getHost(3000))
  })

  it('connect lengthens the life and never shortens it', async (t) => {
    const sandbox = await open(t, sdk, { timeoutMs: 200_000 })
    const first = (await sandbox.getInfo()).endAt
    await Sandbox.connect(sandbox.sandboxId, { timeoutMs: 10_000 })
    assert.equal((await sandbox.getInfo()).endAt.getTime(), first.getTime())
    await Sandbox.connect(sandbox.sandboxId, { timeoutMs: 500_000 })
    near(seconds(first, (await sandbox.getInfo()).endAt), 300, 5, 'the added life')
    assert.equal((await sandbox.connect()).sandboxId, sandbox.sandboxId)
  })

  it('kill answers true once, then false', async (t) => {
    const sandbox = await open(t, sdk)
    assert.equal(await Sandbox.kill(sandbox.sandboxId), true)
    assert.equal(await Sandbox.kill(sandbox.sandboxId), false)
    assert.equal(await sandbox.isRunning(), false)
  })

  it('the handle kills itself', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.kill()
    assert.equal(await sandbox.isRunning(), false)
    assert.equal(await Sandbox.kill(sandbox.sandboxId), false)
  })

  it('a dead sandbox is not found by any call', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.kill()
    const id = sandbox.sandboxId
    await failure(() => Sandbox.getInfo(id), SandboxNotFoundError)
    await failure(() => Sandbox.setTimeout(id, 10_000), SandboxNotFoundError)
    await failure(() => Sandbox.connect(id), SandboxNotFoundError)
    await failure(() => Sandbox.pause(id), SandboxNotFoundError)
    await failure(() => sandbox.commands.run('true'), SandboxError)
    await failure(() => sandbox.files.list('/'), SandboxError)
    await failure(() => sandbox.files.read('/etc/passwd'), SandboxError)
  })

  it('twenty created at once are twenty, killed in any order', async (t) => {
    const metadata = ownMetadata()
    const sandboxes = await Promise.all(
      Array.from({ length: 20 }, () => open(t, sdk, { metadata, timeoutMs: 60_000 })),
    )
    assert.equal(new Set(sandboxes.map((sandbox) => sandbox.sandboxId)).size, 20)
    const answers = await Promise.all(sandboxes.map((sandbox, i) => sandbox.commands.run(`echo ${i}`)))
    assert.deepEqual(answers.map((answer) => answer.stdout), sandboxes.map((_, i) => `${i}\n`))
    const shuffled = sandboxes.map((sandbox, i) => [(i * 7) % 20, sandbox]).sort((a, b) => a[0] - b[0])
    const killed = await Promise.all(shuffled.map(([, sandbox]) => Sandbox.kill(sandbox.sandboxId)))
    assert.deepEqual(new Set(killed), new Set([true]))
    assert.deepEqual(await everyItem(Sandbox.list({ query: { metadata } })), [])
  })
})

eachSdk('the client without a key', (sdk) => {
  it('creates and kills', async (t) => {
    const { NOVITA_API_KEY } = process.env
    delete process.env.NOVITA_API_KEY
    t.after(() => {
      process.env.NOVITA_API_KEY = NOVITA_API_KEY
    })
    const sandbox = await open(t, sdk)
    assert.equal(await sandbox.isRunning(), true)
    assert.equal(await sdk.Sandbox.kill(sandbox.sandboxId), true)
  })
}, { only: 'novita' })
