// The JavaScript examples of the vendor's two pages on internet access, call by call: what each promises is asserted
// against the fake internet. Only what the SDK's own package exports is used, under the names that the pages use.
import assert from 'node:assert/strict'
import { after, describe } from 'node:test'
import { ALL_TRAFFIC, SandboxError } from 'novita-sandbox'
import { Sandbox } from 'novita-sandbox/code-interpreter'
import { domain, it, sdks } from './support/sdks.mjs'
import { forgetControls, holds, isFake } from './support/network.mjs'
import { eventually, failure, get } from './support/sandbox.mjs'
import { kHttpServer } from './support/servers.mjs'

const sdk = sdks.find((one) => one.family === 'novita')
const skip = !isFake && 'this emulator runs without --internet fake'

describe('the vendor\'s pages on internet access', { concurrency: 1, skip: skip || !sdk }, () => {
  const made = []
  after(async () => {
    await forgetControls()
    await Promise.all(made.map((sandbox) => sandbox.kill()))
  })
  // The examples' `Sandbox.create`, and a record of what has to go again.
  const create = async (options) => {
    made.push(await Sandbox.create(options))
    return made.at(-1)
  }

  it('internet access is on with `allowInternetAccess: true`, off with `false`', async () => {
    const sandbox = await create({ allowInternetAccess: true })
    const isolatedSandbox = await create({ allowInternetAccess: false })
    await holds(sdk, sandbox, { reaches: ['https://example.com', 'tcp 93.184.216.34:22', 'udp 1.1.1.1:7777', 'dns 8.8.8.8'] })
    await holds(sdk, isolatedSandbox, { blocks: ['https://1.1.1.1', 'http://93.184.216.34', 'tcp 93.184.216.34:22', 'udp 1.1.1.1:7777', 'dns 8.8.8.8'] })
    // "the same effect as" the deny list with everything.
    await holds(sdk, await create({ network: { denyOut: ['0.0.0.0/0'] } }), { blocks: ['https://1.1.1.1', 'udp 1.1.1.1:7777', 'dns 8.8.8.8'] })
  })

  it('deny all traffic but two ranges', async () => {
    const sandbox = await create({ network: { denyOut: ['0.0.0.0/0'], allowOut: ['1.1.1.1', '8.8.8.0/24'] } })
    await holds(sdk, sandbox, { reaches: ['https://1.1.1.1', 'https://8.8.8.8', 'https://8.8.8.4', 'dns 8.8.8.8'], blocks: ['https://9.9.9.9', 'http://93.184.216.34', 'udp 9.9.9.9:7777'] })
  })

  it('deny one address', async () => {
    const restrictedSandbox = await create({ network: { denyOut: ['8.8.8.8'] } })
    await holds(sdk, restrictedSandbox, { reaches: ['https://1.1.1.1', 'https://8.8.8.4', 'udp 9.9.9.9:7777'], blocks: ['https://8.8.8.8', 'udp 8.8.8.8:7777'] })
  })

  it('`ALL_TRAFFIC` is `0.0.0.0/0`', async () => {
    assert.equal(ALL_TRAFFIC, '0.0.0.0/0')
    const sandbox = await create({ network: { denyOut: [ALL_TRAFFIC] } })
    assert.deepEqual((await sandbox.getInfo()).network.denyOut, ['0.0.0.0/0'])
  })

  it('allow one name; the nameserver comes with it; names belong into allow lists only, and need the rest denied', async () => {
    const sandbox = await create({ network: { allowOut: ['google.com'], denyOut: ['0.0.0.0/0'] } })
    await holds(sdk, sandbox, { reaches: ['https://google.com', 'http://google.com', 'dns 8.8.8.8'], blocks: ['https://example.com', 'https://www.google.com', 'https://1.1.1.1', 'dns 9.9.9.9'] })
    await failure(() => create({ network: { denyOut: ['google.com'] } }), SandboxError, /invalid denied CIDR google\.com/)
    await failure(() => create({ network: { allowOut: ['google.com'] } }), SandboxError, /you must include 'ALL_TRAFFIC' in deny out/)
  })

  it('allow every subdomain with a wildcard', async () => {
    const sandbox = await create({ network: { allowOut: ['*.mydomain.com'], denyOut: ['0.0.0.0/0'] } })
    await holds(sdk, sandbox, { reaches: ['https://api.mydomain.com', 'https://a.b.mydomain.com'], blocks: ['https://mydomain.com', 'https://notmydomain.com'] })
  })

  it('names, wildcards and addresses in one list; other ports and UDP go by address', async () => {
    const sandbox = await create({ network: { allowOut: ['api.example.com', '*.github.com', '8.8.8.8'], denyOut: ['0.0.0.0/0'] } })
    await holds(sdk, sandbox, {
      reaches: ['https://api.example.com', 'http://api.example.com', 'https://api.github.com', 'https://8.8.8.8', 'tcp 8.8.8.8:22', 'udp 8.8.8.8:443'],
      blocks: ['https://example.com', 'https://github.com', 'https://1.1.1.1', 'https://api.example.com:8443', 'udp 93.184.216.35:443'],
    })
  })

  it('a blocked connection looks successful, and no answer comes', async () => {
    const isolatedSandbox = await create({ allowInternetAccess: false })
    const { stdout } = await isolatedSandbox.commands.run(`python3 -c "
import socket
peer = socket.create_connection(('93.184.216.34', 22), timeout=5)
print('connected')
print(peer.recv(100))"`)
    assert.equal(stdout, "connected\nb''\n")
    await holds(sdk, isolatedSandbox, { blocks: ['tcp 93.184.216.34:22'] })
  })

  it('what is allowed wins over what is denied', async () => {
    const sandbox = await create({ network: { denyOut: ['0.0.0.0/0'], allowOut: ['1.1.1.1', '8.8.8.8'] } })
    await holds(sdk, sandbox, { reaches: ['https://1.1.1.1', 'https://8.8.8.8'], blocks: ['https://9.9.9.9'] })
    const both = await create({ network: { denyOut: ['1.1.1.1', '9.9.9.9'], allowOut: ['1.1.1.1'] } })
    await holds(sdk, both, { reaches: ['https://1.1.1.1'], blocks: ['https://9.9.9.9'] })
  })

  it('the host of a port, and a server behind it: listed at once, gone with its process', async () => {
    const sandbox = await create()
    const host = sandbox.getHost(3000)
    assert.ok(host.startsWith('3000-'))
    assert.equal(host, `3000-${sandbox.sandboxId}.${domain}`)

    const process = await sandbox.commands.run('python -m http.server 3000', { background: true })
    const response = await fetch(`https://${host}`)
    const data = await response.text()
    assert.equal(response.status, 200)
    for (const text of ['Directory listing for /', '<a href=".bash_logout">', '<a href=".bashrc">', '<a href=".profile">']) {
      assert.ok(data.includes(text), text)
    }
    await process.kill()
    await eventually('the port is closed', async () => (await get(`https://${host}`)).status === 502)
    await sandbox.kill()
    assert.equal((await get(`https://${host}`)).status, 502)
  })

  it('the Host header that a server sees can be masked', async () => {
    const sandbox = await create({ network: { maskRequestHost: 'localhost:${PORT}' } })
    await sandbox.files.write('/tmp/server.py', kHttpServer)
    const process = await sandbox.commands.run('python3 /tmp/server.py 127.0.0.1 8080', { background: true })
    const answer = await get(`https://${sandbox.getHost(8080)}`)
    assert.equal(JSON.parse(answer.text).headers.host, 'localhost:8080')
    await process.kill()
    await process.wait().catch(() => {})
  })
})
