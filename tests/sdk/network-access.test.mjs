// NET-1 to NET-11: internet access on and off.
import assert from 'node:assert/strict'
import { api, blocked, holds, kAll, look } from './support/network.mjs'
import { networkRows } from './support/rows.mjs'
import { background, eventually, failure, get, killAfter, url } from './support/sandbox.mjs'

// One of everything: by protocol, and by the three classes of ports.
const kEverything = ['https://1.1.1.1', 'http://1.1.1.1', 'https://93.184.216.34', 'tcp 93.184.216.34:22', 'http://8.8.8.8:8080',
  'udp 93.184.216.34:7777', 'udp 1.1.1.1:443', 'dns 8.8.8.8', 'dns 8.8.8.8 tcp', 'dns 9.9.9.9', 'ping 1.1.1.1']
const kNeedsAll =
  "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' in deny out to block all other traffic."

networkRows(import.meta.url, 'internet access', (sdk, { row, sandbox, shared }) => {
  const off = { allowInternetAccess: false }

  // A sandbox created by a body that no SDK sends.
  async function created(t, body) {
    const answer = await api('POST', '/sandboxes', { templateID: 'base', timeout: 120, secure: true, ...body })
    assert.equal(answer.status, 201, JSON.stringify(answer.json))
    killAfter(t, sdk, answer.json.sandboxID)
    return sdk.Sandbox.connect(answer.json.sandboxID)
  }

  row('NET-1: without any setting a sandbox reaches the internet: names, web, DNS, ping, ssh, datagrams', async () => {
    await holds(sdk, await shared({}), { reaches: ['https://example.com', 'http://example.com', ...kEverything] })
  })

  row('NET-2: `allowInternetAccess: true` is the default', async () => {
    await holds(sdk, await shared({ allowInternetAccess: true }), { reaches: kEverything })
  })

  row('NET-2: the API takes `allowInternetAccess` for `allow_internet_access`, too', async (t) => {
    await holds(sdk, await created(t, { allowInternetAccess: false }), { blocks: ['https://1.1.1.1'] })
  }, { differs: 'the cloud knows the second spelling only' })

  row('NET-3: with `false` nothing gets out', async () => {
    for (const found of await look(await shared(off), kEverything, 1)) blocked(found)
    await holds(sdk, await shared(off), { blocks: kEverything })
  })

  row('NET-4: with `false` commands, files and the public URL work', async () => {
    const closed = await shared(off)
    assert.equal((await closed.commands.run('echo hi')).stdout, 'hi\n')
    await closed.files.write('/tmp/site/index.html', 'served')
    await background(closed, 'cd /tmp/site && exec python3 -m http.server 3000')
    await eventually('the server answers', async () => (await get(url(closed, 3000))).text === 'served')
  })

  row('NET-5: `false` and `denyOut: [0.0.0.0/0]` are the same', async () => {
    const outcome = async (options) => (await look(await shared(options), kEverything, 0.15)).map((found) => {
      blocked(found)
      return { line: found.line, seen: found.seen, timeout: found.timeout }
    })
    assert.deepEqual(await outcome(off), await outcome({ network: { denyOut: [kAll] } }))
  })

  row('NET-6: absent and `true` are on, `false` is off; `0`, `""`, `"no"` and `"false"` are refused', async (t) => {
    for (const value of [0, '', 'no', 'false', []]) {
      const { status, json } = await api('POST', '/sandboxes', { templateID: 'base', allow_internet_access: value })
      assert.equal(status, 400, JSON.stringify(value))
      assert.match(json.message, /^validation error: ./)
    }
    await holds(sdk, await created(t, {}), { reaches: ['https://1.1.1.1'] })
    await holds(sdk, await created(t, { allow_internet_access: true }), { reaches: ['https://1.1.1.1'] })
    await holds(sdk, await created(t, { allow_internet_access: false }), { blocks: ['https://1.1.1.1'] })
  })

  row('NET-6: `null` is off', async (t) => {
    await holds(sdk, await created(t, { allow_internet_access: null }), { blocks: ['https://1.1.1.1', 'dns 8.8.8.8'] })
  }, { differs: 'the documentation says "falsy"; the cloud refuses it' })

  row('NET-7: the detail says `true`, `false`, or `null` when it was never given', async (t) => {
    assert.equal((await (await shared({ allowInternetAccess: true })).getInfo()).allowInternetAccess, true)
    assert.equal((await (await shared(off)).getInfo()).allowInternetAccess, false)
    const silent = await created(t, {})
    assert.equal((await api('GET', `/sandboxes/${silent.sandboxId}`)).json.allowInternetAccess, null)
  })

  row('NET-8: the allow list opens holes in `false`', async (t) => {
    const holed = await sandbox(t, { ...off, network: { allowOut: ['8.8.8.8'] } })
    await holds(sdk, holed, { reaches: ['https://8.8.8.8', 'dns 8.8.8.8'], blocks: ['https://1.1.1.1', 'dns 9.9.9.9'] })
  })

  row('NET-9: `false` denies everything, whatever `denyOut` says, and `denyOut` is shown as it was sent', async (t) => {
    const closed = await sandbox(t, { ...off, network: { denyOut: ['1.1.1.1'] } })
    await holds(sdk, closed, { blocks: ['https://1.1.1.1', 'https://8.8.8.8', 'ping 9.9.9.9'] })
    assert.deepEqual((await closed.getInfo()).network.denyOut, ['1.1.1.1'])
  })

  row('NET-10: `false` does not stand for the `0.0.0.0/0` that a domain needs', async () => {
    const error = await failure(() => sdk.Sandbox.create({ ...off, network: { allowOut: ['example.com'] } }), sdk.SandboxError)
    assert.ok(error.message.endsWith(kNeedsAll), error.message)
  })

  row('NET-11: `true` takes nothing from `denyOut`', async (t) => {
    const closed = await sandbox(t, { allowInternetAccess: true, network: { denyOut: [kAll] } })
    await holds(sdk, closed, { blocks: ['https://1.1.1.1', 'tcp 93.184.216.34:22', 'dns 8.8.8.8'] })
  })
})
