// /_sandlot/requests and /_sandlot/faults: what a test may see of its client's calls, and break for it. Both are everybody's,
// so these tests run one after the other.
import assert from 'node:assert/strict'
import { domain, eachSdk, it } from './support/sdks.mjs'
import { background, eventually, get, open, url } from './support/sandbox.mjs'

async function control(method, path, body) {
  const answer = await get(`https://${domain}/_sandlot/${path}`, { method, body: body && JSON.stringify(body) })
  return { status: answer.status, body: JSON.parse(answer.text) }
}

async function rule(t, body) {
  const { status, body: made } = await control('POST', 'faults', body)
  assert.equal(status, 201, JSON.stringify(made))
  t.after(() => control('DELETE', `faults/${made.id}`))
  return made
}
const hits = async (id) => (await control('GET', 'faults')).body.find((one) => one.id === id).hits

eachSdk('instruments', (sdk) => {
  const { Sandbox } = sdk

  it('the journal shows the calls of a client, and none of its secrets', async (t) => {
    const sandbox = await open(t, sdk, { envs: { PASSWORD: 'hidden-1' }, metadata: { purpose: 'journal' } })
    await sandbox.setTimeout(60_000)
    const { body } = await control('GET', 'requests?limit=20')
    const own = body.filter((entry) => entry.sandboxID === sandbox.sandboxId)
    assert.deepEqual(own.map((entry) => [entry.method, entry.status]), [['POST', 201], ['POST', 204]])
    const [created, changed] = own
    assert.equal(JSON.parse(created.requestBody).metadata.purpose, 'journal')
    assert.equal(JSON.parse(created.requestBody).envVars.PASSWORD, '***')
    assert.equal(JSON.parse(created.responseBody).sandboxID, sandbox.sandboxId)
    assert.equal(JSON.parse(created.responseBody).envdAccessToken, '***')
    assert.ok(created.durationMs > 0 && created.durationMs < 60_000)
    assert.equal(changed.path, `/sandboxes/${sandbox.sandboxId}/timeout`)
    const headers = Object.fromEntries(Object.entries(changed.headers).map(([name, value]) => [name.toLowerCase(), value]))
    assert.equal(headers['x-api-key'], '***')
    assert.ok(headers['user-agent'])
    assert.ok(!JSON.stringify(own).includes('hidden-1') && !JSON.stringify(own).includes(process.env.E2B_API_KEY))
    assert.ok(!JSON.stringify(own).includes('_sandlot'))
  })

  it('an API call fails as often as it should, and nothing happens in its place', async (t) => {
    const sandbox = await open(t, sdk)
    const { id } = await rule(t, { method: 'POST', path: '/sandboxes/*/timeout', sandboxID: sandbox.sandboxId, status: 500, times: 1 })
    const { endAt } = await sandbox.getInfo()
    await assert.rejects(() => sandbox.setTimeout(3000_000), (error) => error instanceof sdk.SandboxError && /injected fault/.test(error.message))
    assert.deepEqual((await sandbox.getInfo()).endAt, endAt)
    await sandbox.setTimeout(3000_000)
    assert.equal(await hits(id), 1)
    const { body } = await control('GET', 'requests?limit=5')
    assert.ok(body.some((entry) => entry.fault === id && entry.status === 500 && entry.sandboxID === sandbox.sandboxId))
  })

  it('a cut before the request undoes nothing; a cut before the answer hides what was done', async (t) => {
    const sandbox = await open(t, sdk)
    const first = await rule(t, { path: '/sandboxes/*/pause', sandboxID: sandbox.sandboxId, cut: 'request', times: 1 })
    await assert.rejects(() => sandbox.pause())
    assert.equal((await sandbox.getInfo()).state, 'running')
    assert.equal(await hits(first.id), 1)
    await rule(t, { path: '/sandboxes/*/pause', sandboxID: sandbox.sandboxId, cut: 'response', times: 1 })
    await assert.rejects(() => sandbox.pause())
    assert.equal((await sandbox.getInfo()).state, 'paused')
  })

  it('the daemon and the public URLs of a sandbox suffer, too', async (t) => {
    const sandbox = await open(t, sdk)
    await background(sandbox, 'python3 -m http.server 8000')
    await eventually('the server', async () => (await get(url(sandbox, 8000))).status === 200)
    await rule(t, { sandboxID: sandbox.sandboxId, on: 'public', status: 418, body: 'a teapot', times: 1 })
    assert.deepEqual(await get(url(sandbox, 8000)).then(({ status, text }) => [status, text]), [418, 'a teapot'])
    assert.equal((await get(url(sandbox, 8000))).status, 200)
    await rule(t, { sandboxID: sandbox.sandboxId, on: 'daemon', status: 503, times: 1 })
    await assert.rejects(() => sandbox.files.read('/etc/hostname'))
    await sandbox.files.read('/etc/hostname')
    await rule(t, { sandboxID: sandbox.sandboxId, on: 'daemon', path: '/files', cut: 'response', times: 1 })
    await assert.rejects(() => sandbox.files.write('/home/user/done', 'x'))
    assert.equal(await sandbox.files.read('/home/user/done'), 'x')
  })

  it('a sandbox is slow, stands still, loses its connections, loses its daemon', async (t) => {
    const sandbox = await open(t, sdk)
    const path = `sandboxes/${sandbox.sandboxId}/faults`
    const timed = async (action) => { const begin = Date.now(); await action(); return Date.now() - begin }
    assert.equal((await control('POST', path, { type: 'latency', latencyMs: 300 })).status, 201)
    assert.ok(await timed(() => sandbox.files.read('/etc/hostname')) >= 300)
    assert.equal((await control('DELETE', path)).body.removed, 1)
    assert.ok(await timed(() => sandbox.files.read('/etc/hostname')) < 300)

    assert.equal((await control('POST', path, { type: 'freeze' })).status, 201)
    await assert.rejects(() => sandbox.files.read('/etc/hostname', { requestTimeoutMs: 300 }))
    assert.equal((await sandbox.getInfo()).state, 'running')
    assert.equal((await control('DELETE', path)).status, 200)
    await sandbox.files.read('/etc/hostname')

    const command = await sandbox.commands.run('sleep 60', { background: true })
    const ended = command.wait().then(() => 'exited', () => 'cut')
    assert.equal((await control('POST', path, { type: 'reset_peer' })).status, 200)
    assert.equal(await ended, 'cut')
    assert.ok((await sandbox.commands.list()).some((one) => one.args.some((word) => word.includes('sleep 60'))))

    assert.equal((await control('POST', path, { type: 'kill_daemon' })).status, 200)
    await eventually('it is gone', async () => !(await sandbox.isRunning()))
    await assert.rejects(() => Sandbox.getInfo(sandbox.sandboxId), sdk.NotFoundError)
    assert.equal((await control('POST', path, { type: 'freeze' })).status, 404)
  })

  it('what it does not understand it refuses', async (t) => {
    const sandbox = await open(t, sdk)
    const path = `sandboxes/${sandbox.sandboxId}/faults`
    for (const [where, body] of [[path, {}], [path, { type: 'rain' }], [path, { type: 'bandwidth' }], [path, { type: 'oom', durationMs: 5 }],
      [path, { type: 'freeze', times: 1 }], [path, { type: 'disk_full', durationMs: 0 }], ['faults', { status: 5 }], ['faults', { stat: 500 }]]) {
      assert.equal((await control('POST', where, body)).status, 400, JSON.stringify(body))
    }
    assert.equal((await control('DELETE', 'faults/nobody')).status, 404)
    await sandbox.files.read('/etc/hostname')
  })
}, { concurrency: 1 })
