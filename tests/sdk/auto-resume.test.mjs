// lifecycle.autoResume: a paused sandbox goes on when somebody asks for it (contract-network 3.7).
import assert from 'node:assert/strict'
import { eachSdk, it } from './support/sdks.mjs'
import { eventually, failure, get, open, url } from './support/sandbox.mjs'

const lifecycle = { onTimeout: 'pause', autoResume: true }
// Not by a command in the background: when its stream is cut, the SDK asks for /health, which wakes the sandbox.
const serve = (sandbox) => sandbox.commands.run('setsid python3 -m http.server 3000 > /dev/null 2>&1 &')

eachSdk('auto-resume', (sdk) => {
  const { Sandbox } = sdk

  it('a request to a public URL wakes it, and is served', async (t) => {
    const sandbox = await open(t, sdk, { lifecycle, timeoutMs: 20_000 })
    assert.deepEqual((await sandbox.getInfo()).lifecycle, lifecycle)
    await serve(sandbox)
    assert.equal((await get(url(sandbox, 3000))).status, 200)
    await sandbox.pause()
    assert.equal((await sandbox.getInfo()).state, 'paused')
    assert.equal((await get(url(sandbox, 3000))).status, 200)
    const { state, startedAt, endAt } = await sandbox.getInfo()
    assert.equal(state, 'running')
    assert.equal(endAt - startedAt, 300_000, 'it started when it was woken')
    const left = endAt - Date.now()
    assert.ok(left > 290_000 && left <= 300_000, `${left} ms: at least five minutes`)
  })

  it('so does a command, and a whole crowd wakes it once', async (t) => {
    const sandbox = await open(t, sdk, { lifecycle })
    await sandbox.commands.run('echo kept > /tmp/file')
    await sandbox.pause()
    const answers = await Promise.all(Array.from({ length: 10 }, () => sandbox.commands.run('cat /tmp/file')))
    assert.deepEqual(new Set(answers.map((answer) => answer.stdout)), new Set(['kept\n']))
  })

  it('one that paused at its end, too', async (t) => {
    const sandbox = await open(t, sdk, { lifecycle, timeoutMs: 1000 })
    await eventually('it paused', async () => (await sandbox.getInfo()).state === 'paused')
    assert.equal((await sandbox.commands.run('echo awake')).stdout, 'awake\n')
  })

  it('without it a paused sandbox stays paused', async (t) => {
    const sandbox = await open(t, sdk, { lifecycle: { onTimeout: 'pause' } })
    await serve(sandbox)
    await sandbox.pause()
    assert.equal((await get(url(sandbox, 3000))).status, 502)
    await failure(() => sandbox.commands.run('true'), sdk.SandboxError)
    assert.equal((await sandbox.getInfo()).state, 'paused')
  })

  it('a private one wants its tokens for it', async (t) => {
    const sandbox = await open(t, sdk, { lifecycle, network: { allowPublicTraffic: false } })
    await serve(sandbox)
    const headers = { 'e2b-traffic-access-token': sandbox.trafficAccessToken }
    await eventually('it serves', async () => (await get(url(sandbox, 3000), { headers })).status === 200)
    await sandbox.pause()
    for (const port of [3000, 49983]) {
      const refused = await get(url(sandbox, port))
      assert.equal(refused.status, 403)
      assert.match(JSON.parse(refused.text).message, /can't be resumed with the credentials provided/)
    }
    assert.equal((await sandbox.getInfo()).state, 'paused')
    assert.equal((await get(url(sandbox, 3000), { headers })).status, 200)
  })

  it('a killed one is not found', async (t) => {
    const sandbox = await open(t, sdk, { lifecycle })
    await sandbox.pause()
    await sandbox.kill()
    assert.equal((await get(url(sandbox, 3000))).status, 502)
    assert.equal(await Sandbox.kill(sandbox.sandboxId), false)
  })
})
