// NET-59 to NET-73: the public URL.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { request } from 'node:https'
import { promisify } from 'node:util'
import { api } from './support/network.mjs'
import { networkRows } from './support/rows.mjs'
import { domain } from './support/sdks.mjs'
import { background, eventually, failure, get, url } from './support/sandbox.mjs'
import { kHttpServer } from './support/servers.mjs'

const run = promisify(execFile)

// A request whose Host header is not the name that was dialled.
function as(host, path = '/') {
  return new Promise((resolve, reject) => {
    request(`https://api.${domain}${path}`, { headers: { Host: host, Connection: 'close' }, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk) => { text += chunk })
      response.on('end', () => resolve({ status: response.statusCode, text }))
    }).on('error', reject).end()
  })
}

// One of its processes, as the machine counts them.
async function processOf(sandbox) {
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const groups = await readFile(`/proc/${entry}/cgroup`, 'utf8').catch(() => '')
    if (groups.includes(sandbox.sandboxId)) return entry
  }
  throw new Error(`no process of ${sandbox.sandboxId}`)
}

networkRows(import.meta.url, 'public URL', (sdk, { row, later, shared, sandbox: sandboxOf }) => {
  let listing
  const serving = new Set()
  const served = async () => {
    const sandbox = await shared({})
    listing ??= await background(sandbox, 'exec python3 -m http.server 8080')
    await eventually('the listing', async () => (await get(url(sandbox, 8080))).status === 200)
    return sandbox
  }

  row('NET-59: every sandbox has a public URL for each port', async () => {
    const sandbox = await served()
    assert.match((await get(url(sandbox, 8080))).text, /Directory listing for \//)
    await background(sandbox, 'cd /etc && exec python3 -m http.server 9090')
    await eventually('the second port', async () => /hostname/.test((await get(url(sandbox, 9090))).text))
  })

  row('NET-60: the leftmost part is the port; without a port there is no host', async () => {
    const sandbox = await served()
    assert.equal(sandbox.getHost(3000), `3000-${sandbox.sandboxId}.${domain}`)
    const bare = await as(`${sandbox.sandboxId}.${domain}`)
    assert.deepEqual([bare.status, bare.text], [400, 'Invalid host\n'])
  })

  row('NET-61: the older form with a client id leads to the same sandbox', async () => {
    const sandbox = await served()
    for (const rest of ['82b888ba', 'any-thing']) {
      const old = await as(`8080-${sandbox.sandboxId}-${rest}.${domain}`)
      assert.equal(old.status, 200)
      assert.match(old.text, /Directory listing for \//)
    }
  })

  row('NET-62: it is https with a certificate of the local CA; http on the same port works, too', async () => {
    const sandbox = await served()
    assert.equal((await get(url(sandbox, 8080))).status, 200)
    assert.equal((await get(url(sandbox, 8080).replace('https:', 'http:'))).status, 200)
  })

  row('NET-63: a server that was started this instant answers the first request', async () => {
    const sandbox = await shared({})
    const server = await sandbox.commands.run('python -m http.server 3000', { background: true })
    const { status, text } = await get(url(sandbox, 3000))
    assert.equal(status, 200)
    for (const name of ['Directory listing for /', '.bash_logout', '.bashrc', '.profile']) assert.ok(text.includes(name), name)
    await server.kill()
    await server.wait().catch(() => {})
  })

  row('NET-64: when the process has been killed, the port is closed', async () => {
    const sandbox = await shared({})
    const server = await sandbox.commands.run('python -m http.server 3001', { background: true })
    assert.equal((await get(url(sandbox, 3001))).status, 200)
    assert.equal(await server.kill(), true)
    await server.wait().catch(() => {})
    const body = await eventually('502', async () => {
      const answer = await get(url(sandbox, 3001))
      return answer.status === 502 && JSON.parse(answer.text)
    })
    assert.deepEqual(body, { sandboxId: sandbox.sandboxId, message: 'The sandbox is running but port is not open', port: 3001, code: 502 })
  })

  row('NET-65: Python outside reads it with the certificates that `sandlot exec` names', async () => {
    const sandbox = await served()
    const { stdout } = await run('python3', ['-c', 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())', url(sandbox, 8080)])
    assert.match(stdout, /Directory listing for \//)
  })
  // Each library with the one variable that it reads, and with none: the certificate is checked.
  const python = (program, address, variables) => run('python3', ['-c', program, address], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...Object.fromEntries(variables.map((name) => [name, process.env[name]])) },
  })
  const trusts = async (program, variable) => {
    const address = url(await served(), 8080)
    assert.ok(process.env[variable], `sandlot exec sets ${variable}`)
    assert.match((await python(program, address, [variable])).stdout, /Directory listing for \//)
    await assert.rejects(() => python(program, address, []), /CERTIFICATE_VERIFY_FAILED/)
  }
  row('NET-65: `requests` reads it with `REQUESTS_CA_BUNDLE`', () =>
    trusts('import sys, requests; print(requests.get(sys.argv[1], timeout=10).text)', 'REQUESTS_CA_BUNDLE'))
  row('NET-65: `urllib` reads it with `SSL_CERT_FILE`', () =>
    trusts('import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())', 'SSL_CERT_FILE'))
  later('NET-65: the Python SDK', 'tests of the Python SDK')

  // What a server saw of a request, by port of a sandbox with this mask; undefined: without one.
  const seen = async (maskRequestHost, port, headers) => {
    const sandbox = await shared(maskRequestHost ? { network: { maskRequestHost } } : {})
    const target = url(sandbox, port)
    if (!serving.has(target)) {
      serving.add(target)
      await sandbox.files.write('/tmp/heads.py', kHttpServer)
      await background(sandbox, `exec python3 /tmp/heads.py 127.0.0.1 ${port}`)
    }
    return eventually('the server answers', async () => {
      const answer = await get(target, { headers })
      return answer.status === 200 && { ...JSON.parse(answer.text).headers, public: sandbox.getHost(port) }
    })
  }
  const kMask = 'localhost:${PORT}'

  row('NET-66: `maskRequestHost` is the Host header that services see', async () => {
    assert.equal((await seen(kMask, 3066)).host, 'localhost:3066')
  })

  row('NET-67: `${PORT}` in it is the port of the request', async () => {
    for (const port of [3066, 3067]) assert.equal((await seen(kMask, port)).host, `localhost:${port}`)
  })

  row('NET-68: every `${PORT}` is replaced; a mask without it is taken as it is', async () => {
    assert.equal((await seen('${PORT}.${PORT}.example.com:${PORT}', 3068)).host, '3068.3068.example.com:3068')
    assert.equal((await seen('a.example.com', 3068)).host, 'a.example.com')
  })

  row('NET-69: the original host is passed as `X-Forwarded-Host`, with a mask only', async () => {
    const masked = await seen(kMask, 3066, { 'X-Forwarded-Host': 'forged' })
    assert.equal(masked['x-forwarded-host'], masked.public)
    assert.equal((await seen(undefined, 3069, { 'X-Forwarded-Host': 'forged' }))['x-forwarded-host'], undefined)
  })

  // The daemon shows its Host to nobody. So what is meant for it goes to a server that does: by a rule in this sandbox's own
  // network, which only the machine's root can make.
  row('NET-70: the daemon on port 49983 sees no mask', async (t) => {
    const sandbox = await sandboxOf(t, { network: { maskRequestHost: kMask } })
    await sandbox.files.write('/tmp/heads.py', kHttpServer)
    await background(sandbox, 'exec python3 /tmp/heads.py 0.0.0.0 3070')
    const masked = await eventually('the server answers', async () => {
      const answer = await get(url(sandbox, 3070))
      return answer.status === 200 && JSON.parse(answer.text).headers
    })
    assert.equal(masked.host, 'localhost:3070')
    const rule = '-t nat -I OUTPUT -p tcp --dport 49983 -j REDIRECT --to-ports 3070'.split(' ')
    await run('nsenter', [`--net=/proc/${await processOf(sandbox)}/ns/net`, 'iptables', ...rule])
    const seenByDaemon = JSON.parse((await as(sandbox.getHost(49983), '/health')).text)
    assert.equal(seenByDaemon.path, '/health')
    assert.equal(seenByDaemon.headers.host, sandbox.getHost(49983))
    assert.equal(seenByDaemon.headers['x-forwarded-host'], undefined)
  })

  row('NET-71: WebSocket upgrades get the mask, too', async () => {
    const sandbox = await shared({ network: { maskRequestHost: kMask } })
    await sandbox.files.write('/tmp/upgrade.py', `
import socket
listener = socket.create_server(('127.0.0.1', 3071))
while True:
    connection = listener.accept()[0]
    head = b''
    while b'\\r\\n\\r\\n' not in head:
        head += connection.recv(65536)
    good = b'\\r\\nhost: localhost:3071\\r\\n' in head.lower()
    connection.sendall(b'HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n' if good
                       else b'HTTP/1.1 403 Forbidden\\r\\nContent-Length: 0\\r\\n\\r\\n')
    connection.close()
`)
    await background(sandbox, 'exec python3 /tmp/upgrade.py')
    await eventually('the server listens', async () => (await sandbox.commands.run('ss -Hltn "sport = :3071"')).stdout !== '')
    const status = await new Promise((resolve, reject) => {
      const client = request(url(sandbox, 3071), { agent: false, headers: { Connection: 'Upgrade', Upgrade: 'websocket' } })
      client.on('error', reject).on('response', (response) => resolve(response.statusCode))
      client.on('upgrade', (response, socket) => { socket.destroy(); resolve(response.statusCode) })
      client.end()
    })
    assert.equal(status, 101)
  })

  row('NET-72: `Origin` is not touched', async () => {
    assert.equal((await seen(kMask, 3066, { Origin: 'https://page.example.com' })).origin, 'https://page.example.com')
  })

  row('NET-73: a mask that is no host is 400, in the words of the cloud', async () => {
    for (const [mask, message] of [
      ['-https://abcd', 'mask request host is not valid: -https://abcd'],
      ['exämple.com', "mask request host 'exämple.com' is not ASCII. Please use ASCII characters only."],
    ]) {
      const { status, json } = await api('POST', '/sandboxes', { templateID: 'base', network: { maskRequestHost: mask } })
      assert.deepEqual([status, json], [400, { code: 400, message }])
      const error = await failure(() => sdk.Sandbox.create({ network: { maskRequestHost: mask } }), sdk.SandboxError)
      assert.ok(error.message.endsWith(message), error.message)
    }
  })
})
