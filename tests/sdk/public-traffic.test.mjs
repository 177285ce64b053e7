// Who may use the public URLs (allowPublicTraffic and its token), and the Host that servers see (maskRequestHost).
import assert from 'node:assert/strict'
import { eachSdk, it } from './support/sdks.mjs'
import { background, eventually, failure, get, open, url } from './support/sandbox.mjs'
import { kHttpServer } from './support/servers.mjs'

const kHeader = 'e2b-traffic-access-token'
const refusal = (sandbox, what) => ({
  sandboxId: sandbox.sandboxId, code: 403,
  message: what === 'missing'
    ? `Sandbox is secured with traffic access token. Token header '${kHeader}' is missing`
    : `Sandbox is secured with traffic access token. Provided token in header '${kHeader}' is invalid`,
})
const withToken = (sandbox) => ({ headers: { [kHeader]: sandbox.trafficAccessToken } })

// A server on each port; settled once all of them answer.
async function serve(sandbox, ports, options) {
  await sandbox.files.write('/tmp/server.py', kHttpServer)
  for (const port of ports) await background(sandbox, `exec python3 /tmp/server.py 127.0.0.1 ${port}`)
  for (const port of ports) {
    await eventually(`port ${port} answers`, async () => (await get(url(sandbox, port), options)).status === 200)
  }
}

async function assertRefused(sandbox, what, options) {
  const answer = await get(url(sandbox, 3000), options)
  assert.equal(answer.status, 403, answer.text)
  assert.match(answer.headers.get('content-type'), /^application\/json/)
  assert.deepEqual(JSON.parse(answer.text), refusal(sandbox, what))
}
const seenHost = async (sandbox, port, options) => JSON.parse((await get(url(sandbox, port), options)).text).headers

eachSdk('public traffic', (sdk) => {
  it('a private sandbox answers to its token and to nothing else', async (t) => {
    const sandbox = await open(t, sdk, { network: { allowPublicTraffic: false } })
    assert.ok(sandbox.trafficAccessToken)
    await serve(sandbox, [3000], withToken(sandbox))
    await assertRefused(sandbox, 'missing')
    await assertRefused(sandbox, 'missing', { headers: { [kHeader]: '' } })
    await assertRefused(sandbox, 'invalid', { headers: { [kHeader]: 'guess' } })
    await assertRefused(sandbox, 'invalid', { headers: { [kHeader]: `${sandbox.trafficAccessToken}0` } })
    assert.equal((await get(url(sandbox, 3000), { headers: { 'E2B-Traffic-Access-Token': sandbox.trafficAccessToken } })).status, 200)
    // The cloud passes the header on.
    assert.equal((await seenHost(sandbox, 3000, withToken(sandbox)))[kHeader], sandbox.trafficAccessToken)
    const info = await sandbox.getInfo()
    assert.equal(info.network.allowPublicTraffic, false)
  })

  it('the token is asked for before the port is looked at', async (t) => {
    const sandbox = await open(t, sdk, { network: { allowPublicTraffic: false } })
    await assertRefused(sandbox, 'missing')
    const answer = await get(url(sandbox, 3000), withToken(sandbox))
    assert.equal(answer.status, 502)
    assert.equal(JSON.parse(answer.text).message, 'The sandbox is running but port is not open')
  })

  it('commands, files and signed URLs need no traffic token', async (t) => {
    const sandbox = await open(t, sdk, { network: { allowPublicTraffic: false } })
    assert.equal((await sandbox.commands.run('echo hi')).stdout, 'hi\n')
    await sandbox.files.write('/tmp/x', 'content')
    assert.equal((await get(await sandbox.downloadUrl('/tmp/x'))).text, 'content')
    assert.equal(await sandbox.isRunning(), true)
  })

  it('a public sandbox has no token, whether that was said or not', async (t) => {
    for (const network of [undefined, { allowPublicTraffic: true }]) {
      const sandbox = await open(t, sdk, network ? { network } : {})
      assert.ok(!sandbox.trafficAccessToken)
      await serve(sandbox, [3000])
    }
  })

  it('the token survives a pause and a connect', async (t) => {
    const sandbox = await open(t, sdk, { network: { allowPublicTraffic: false } })
    await serve(sandbox, [3000], withToken(sandbox))
    await sandbox.pause()
    assert.equal((await get(url(sandbox, 3000), withToken(sandbox))).status, 502)
    const again = await sdk.Sandbox.connect(sandbox.sandboxId)
    assert.equal(again.trafficAccessToken, sandbox.trafficAccessToken)
    await assertRefused(again, 'missing')
    assert.equal((await get(url(again, 3000), withToken(again))).status, 200)
  })

  it('a token of one sandbox does not open another', async (t) => {
    const [one, two] = [await open(t, sdk, { network: { allowPublicTraffic: false } }), await open(t, sdk, { network: { allowPublicTraffic: false } })]
    assert.notEqual(one.trafficAccessToken, two.trafficAccessToken)
    await assertRefused(one, 'invalid', withToken(two))
  })

  it('a mask is the Host that servers see, with the port filled in', async (t) => {
    const sandbox = await open(t, sdk, { network: { maskRequestHost: 'localhost:${PORT}' } })
    await serve(sandbox, [8080, 3000])
    for (const port of [8080, 3000]) {
      const headers = await seenHost(sandbox, port, { headers: { Origin: `https://${sandbox.getHost(port)}` } })
      assert.equal(headers.host, `localhost:${port}`)
      assert.equal(headers['x-forwarded-host'], sandbox.getHost(port))
      assert.equal(headers.origin, `https://${sandbox.getHost(port)}`)
    }
    assert.equal((await sandbox.getInfo()).network.maskRequestHost, 'localhost:${PORT}')
  })

  it('a mask without a port is taken as it is, and without a mask there is no X-Forwarded-Host', async (t) => {
    const masked = await open(t, sdk, { network: { maskRequestHost: 'a.example.com' } })
    await serve(masked, [3000])
    assert.equal((await seenHost(masked, 3000)).host, 'a.example.com')
    const plain = await open(t, sdk)
    await serve(plain, [3000])
    const headers = await seenHost(plain, 3000, { headers: { 'X-Forwarded-Host': 'forged' } })
    assert.equal(headers.host, plain.getHost(3000))
    assert.equal(headers['x-forwarded-host'], undefined)
  })

  it('a mask that is no host is refused', async () => {
    for (const [mask, message] of [['-https://abcd', /mask request host is not valid: -https:\/\/abcd/], ['exämple.com', /is not ASCII/]]) {
      await failure(() => sdk.Sandbox.create({ network: { maskRequestHost: mask } }), sdk.SandboxError, message)
    }
  })

  it('changing what may leave does not change who may come in', async (t) => {
    const sandbox = await open(t, sdk, { network: { allowPublicTraffic: false, maskRequestHost: 'm.example.com', denyOut: ['1.1.1.1'] } })
    await serve(sandbox, [3000], withToken(sandbox))
    await (sdk.family === 'novita' ? sandbox.setNetwork({}) : sandbox.updateNetwork({}))
    await assertRefused(sandbox, 'missing')
    assert.equal((await seenHost(sandbox, 3000, withToken(sandbox))).host, 'm.example.com')
    const { network } = await sandbox.getInfo()
    assert.equal(network.allowPublicTraffic, false)
    assert.ok(!network.denyOut?.length)
  })

  it('the egress options of create are shown back as they were sent', async (t) => {
    const network = { allowOut: ['example.com', '8.8.8.9/24'], denyOut: ['0.0.0.0/0'] }
    const sandbox = await open(t, sdk, { network, allowInternetAccess: false })
    const info = await sandbox.getInfo()
    assert.deepEqual(info.network.allowOut, network.allowOut)
    assert.deepEqual(info.network.denyOut, network.denyOut)
    assert.equal(info.allowInternetAccess, false)
    for (const [bad, message] of [
      [{ denyOut: ['example.com'] }, /invalid denied CIDR example\.com/],
      [{ allowOut: ['0.0.0.0'] }, /invalid allowed address 0\.0\.0\.0/],
      [{ allowOut: ['example.com'] }, /you must include 'ALL_TRAFFIC' in deny out/],
    ]) await failure(() => sdk.Sandbox.create({ network: bad }), sdk.SandboxError, message)
  })
})

eachSdk('public traffic at connect', (sdk) => {
  it('makes a sandbox private and public again, at once and with the same token', async (t) => {
    const sandbox = await open(t, sdk)
    await serve(sandbox, [3000])
    const closed = await sdk.Sandbox.connect(sandbox.sandboxId, { allowPublicTraffic: false })
    assert.ok(closed.trafficAccessToken)
    await assertRefused(closed, 'missing')
    assert.equal((await get(url(closed, 3000), withToken(closed))).status, 200)
    const opened = await sdk.Sandbox.connect(sandbox.sandboxId, { network: { allowPublicTraffic: true } })
    assert.ok(!opened.trafficAccessToken)
    assert.equal((await get(url(opened, 3000))).status, 200)
    const again = await sdk.Sandbox.connect(sandbox.sandboxId, { allowPublicTraffic: false })
    assert.equal(again.trafficAccessToken, closed.trafficAccessToken)
  })

  it('refreshes the token of the handle that connects', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.connect({ allowPublicTraffic: false })
    assert.ok(sandbox.trafficAccessToken)
    assert.equal((await sandbox.commands.run('echo hi')).stdout, 'hi\n')
  })

  it('a resume brings the new options with it, and keeps those it does not name', async (t) => {
    const sandbox = await open(t, sdk, { network: { denyOut: ['1.1.1.1'] } })
    await serve(sandbox, [3000])
    await sandbox.pause()
    const again = await sdk.Sandbox.connect(sandbox.sandboxId, { network: { allowPublicTraffic: false, maskRequestHost: 'm.example.com' } })
    await assertRefused(again, 'missing')
    assert.equal((await seenHost(again, 3000, withToken(again))).host, 'm.example.com')
    const { network } = await again.getInfo()
    assert.deepEqual(JSON.parse(JSON.stringify(network)), { denyOut: ['1.1.1.1'], allowPublicTraffic: false, maskRequestHost: 'm.example.com' })
  })
}, { only: 'novita' })
