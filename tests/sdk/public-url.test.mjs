// https://<port>-<id>.<domain>: servers inside a sandbox, seen from outside.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { request } from 'node:https'
import { WebSocket } from 'undici'
import { domain, eachSdk, it } from './support/sdks.mjs'
import { background, eventually, failure, get, open, url } from './support/sandbox.mjs'
import { kHttpServer, kUpgradeServer } from './support/servers.mjs'

async function serve(sandbox, script, ...argv) {
  await sandbox.files.write('/tmp/server.py', script)
  return background(sandbox, `exec python3 /tmp/server.py ${argv.join(' ')}`)
}
// The body of a JSON answer, once there is one: for tests whose subject is not the first moment.
const ready = (address, options) => eventually(`${address} answers`, async () => {
  const answer = await get(address, options)
  return answer.status !== 502 && answer
})
const notFound = (sandboxId) => ({ sandboxId, message: 'The sandbox was not found', code: 502 })

// A request without the headers that Node's fetch adds.
function bare(address, headers) {
  return new Promise((resolve, reject) => {
    request(address, { headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk) => { text += chunk })
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }))
    }).on('error', reject).end()
  })
}

eachSdk('public URLs', (sdk) => {
  it('a server that was started this instant answers the first request', async (t) => {
    const sandbox = await open(t, sdk)
    const server = await sandbox.commands.run('python -m http.server 3000', { background: true })
    const answer = await get(url(sandbox, 3000))
    assert.equal(answer.status, 200)
    assert.match(answer.text, /<a href="\.bashrc">\.bashrc<\/a>/)
    assert.equal(await server.kill(), true)
    await server.wait().catch(() => {})
  })

  it('the host is port, id and domain', async (t) => {
    const sandbox = await open(t, sdk)
    assert.equal(sandbox.getHost(3000), `3000-${sandbox.sandboxId}.${domain}`)
  })

  for (const address of ['127.0.0.1', '::1', '0.0.0.0', '::', 'localhost']) {
    it(`reaches a server on ${address}`, async (t) => {
      const sandbox = await open(t, sdk)
      await serve(sandbox, kHttpServer, address, 8080)
      const answer = await ready(url(sandbox, 8080, '/where?a=1&b=%20'))
      assert.equal(JSON.parse(answer.text).path, '/where?a=1&b=%20')
    })
  }

  it('methods, headers, status codes and bodies pass unchanged', async (t) => {
    const sandbox = await open(t, sdk)
    await serve(sandbox, kHttpServer, '127.0.0.1', 3000)
    await ready(url(sandbox, 3000))
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PURGE']) {
      const body = method === 'GET' ? undefined : `body of ${method}`
      const answer = await get(url(sandbox, 3000, '/x'), { method, body, headers: { 'X-Mine': 'yes', Cookie: 'a=b' } })
      const seen = JSON.parse(answer.text)
      assert.equal(seen.method, method)
      assert.equal(seen.size, body?.length ?? 0)
      assert.equal(seen.headers.host, sandbox.getHost(3000))
      assert.equal(seen.headers.cookie, 'a=b')
      assert.equal(answer.headers.get('x-from-sandbox'), 'yes')
    }
    for (const status of [201, 204, 304, 404, 418, 500]) {
      assert.equal((await get(url(sandbox, 3000, `/status/${status}`))).status, status)
    }
    const head = await get(url(sandbox, 3000), { method: 'HEAD' })
    assert.equal(head.status, 200)
    assert.equal(head.text, '')
    assert.ok(Number(head.headers.get('content-length')) > 0)
  })

  it('a large body arrives whole, with and without a length', async (t) => {
    const sandbox = await open(t, sdk)
    await serve(sandbox, kHttpServer, '127.0.0.1', 3000)
    await ready(url(sandbox, 3000))
    const bytes = randomBytes(6 * 1024 * 1024)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    for (const body of [bytes, new Blob([bytes]).stream()]) {
      const answer = await get(url(sandbox, 3000), { method: 'POST', body, duplex: 'half' })
      assert.equal(JSON.parse(answer.text).sha256, sha256)
    }
  })

  it('a response is streamed, not collected', async (t) => {
    const sandbox = await open(t, sdk)
    await serve(sandbox, kHttpServer, '127.0.0.1', 3000)
    await ready(url(sandbox, 3000))
    const response = await fetch(url(sandbox, 3000, '/stream'))
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    assert.equal((await reader.read()).value, 'first\n')
    await sandbox.files.write('/tmp/go', '')
    assert.equal((await reader.read()).value, 'second\n')
    assert.equal((await reader.read()).done, true)
  })

  it('fifty requests at once are answered', async (t) => {
    const sandbox = await open(t, sdk)
    await serve(sandbox, kHttpServer, '127.0.0.1', 3000)
    await ready(url(sandbox, 3000))
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => get(url(sandbox, 3000, `/${i}`))))
    assert.deepEqual(answers.map((answer) => JSON.parse(answer.text).path), answers.map((_, i) => `/${i}`))
  })

  it('WebSocket messages are echoed, small, empty and large', async (t) => {
    const sandbox = await open(t, sdk)
    await serve(sandbox, kUpgradeServer, 3000)
    await eventually('the server listens', async () => {
      const { stdout } = await sandbox.commands.run('ss -Hltn "sport = :3000"')
      return stdout !== ''
    })
    const socket = new WebSocket(`wss://${sandbox.getHost(3000)}/chat`)
    socket.binaryType = 'arraybuffer'
    const heard = []
    socket.addEventListener('message', (event) => { heard.push(event.data) })
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve)
      socket.addEventListener('error', (event) => reject(event.error ?? new Error('WebSocket error')))
    })
    const large = randomBytes(200_000)
    socket.send('héllo')
    socket.send('')
    socket.send(large)
    await eventually('three echoes', () => heard.length === 3)
    assert.deepEqual(heard.slice(0, 2), ['héllo', ''])
    assert.ok(large.equals(Buffer.from(heard[2])))
    const closed = new Promise((resolve) => socket.addEventListener('close', resolve))
    socket.close(1000)
    assert.equal((await closed).code, 1000)
  })

  it('any other upgrade becomes a tunnel', async (t) => {
    const sandbox = await open(t, sdk)
    await serve(sandbox, kUpgradeServer, 3000)
    await eventually('the server listens', async () => (await sandbox.commands.run('ss -Hltn "sport = :3000"')).stdout !== '')
    const echoed = await new Promise((resolve, reject) => {
      const client = request(url(sandbox, 3000), { agent: false, headers: { Connection: 'Upgrade', Upgrade: 'line-echo' } })
      client.on('error', reject)
      client.on('response', (response) => reject(new Error(`answered ${response.statusCode}`)))
      client.on('upgrade', (response, socket) => {
        assert.equal(response.statusCode, 101)
        socket.setEncoding('utf8').on('error', reject)
        socket.once('data', (data) => { resolve(data); socket.destroy() })
        socket.write('ping\n')
      })
      client.end()
    })
    assert.equal(echoed, 'ping\n')
  })

  it('plain http works on the same port', async (t) => {
    const sandbox = await open(t, sdk)
    await serve(sandbox, kHttpServer, '127.0.0.1', 3000)
    const answer = await ready(url(sandbox, 3000).replace('https:', 'http:'))
    assert.equal(JSON.parse(answer.text).headers.host, sandbox.getHost(3000))
  })

  it('routing headers count for localhost only, and the host wins', async (t) => {
    const [one, two] = [await open(t, sdk), await open(t, sdk)]
    await serve(one, kHttpServer, '127.0.0.1', 3000)
    await ready(url(one, 3000))
    for (const family of ['E2b', 'Novita']) {
      const headers = (sandbox) => ({ [`${family}-Sandbox-Id`]: sandbox.sandboxId, [`${family}-Sandbox-Port`]: '3000' })
      assert.equal(JSON.parse((await get(`http://${domain}/by/headers`, { headers: headers(one) })).text).path, '/by/headers')
      assert.equal(JSON.parse((await get(url(one, 3000, '/by/host'), { headers: headers(two) })).text).path, '/by/host')
    }
  })

  it('a port that nobody listens on is 502 with its body', async (t) => {
    const sandbox = await open(t, sdk)
    const answer = await get(url(sandbox, 3210))
    assert.equal(answer.status, 502)
    assert.match(answer.headers.get('content-type'), /^application\/json/)
    assert.deepEqual(JSON.parse(answer.text), {
      sandboxId: sandbox.sandboxId, message: 'The sandbox is running but port is not open', port: 3210, code: 502,
    })
  })

  it('the end of the server process is the end of the service', async (t) => {
    const sandbox = await open(t, sdk)
    const server = await serve(sandbox, kHttpServer, '127.0.0.1', 3000)
    await ready(url(sandbox, 3000))
    await server.kill()
    // The signal was sent; its listener is gone a moment later.
    await eventually('the port is closed', async () =>
      JSON.parse((await get(url(sandbox, 3000))).text).message === 'The sandbox is running but port is not open')
  })

  it('an unknown and a killed sandbox are 502 with their body', async (t) => {
    const sandbox = await open(t, sdk)
    await serve(sandbox, kHttpServer, '127.0.0.1', 3000)
    const address = url(sandbox, 3000)
    await ready(address)
    await sandbox.kill()
    const killed = await get(address)
    assert.equal(killed.status, 502)
    assert.deepEqual(JSON.parse(killed.text), notFound(sandbox.sandboxId))
    const unknown = await get(`https://3000-inosuchsandboxanywhere.${domain}/`)
    assert.equal(unknown.status, 502)
    assert.deepEqual(JSON.parse(unknown.text), notFound('inosuchsandboxanywhere'))
  })

  it('a browser gets a page instead of JSON', async (t) => {
    const sandbox = await open(t, sdk)
    const headers = { 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0', Accept: 'text/html' }
    const closed = await bare(url(sandbox, 3210), headers)
    assert.equal(closed.status, 502)
    assert.match(closed.headers['content-type'], /^text\/html/)
    assert.match(closed.text, /no service running on port/)
    assert.match(closed.text, /3210/)
    const unknown = await bare(`https://3000-inosuchsandboxanywhere.${domain}/`, headers)
    assert.match(unknown.text, /Sandbox Not Found/)
    assert.match((await bare(url(sandbox, 3210), { ...headers, Accept: 'application/json' })).text, /^\{/)
  })

  it('a kill cuts a response that is under way, and does not end it cleanly', async (t) => {
    const sandbox = await open(t, sdk)
    await serve(sandbox, kHttpServer, '127.0.0.1', 3000)
    await ready(url(sandbox, 3000))
    const response = await fetch(url(sandbox, 3000, '/stream'))
    const reader = response.body.getReader()
    await reader.read()
    await sandbox.kill()
    const error = await failure(() => reader.read(), Error)
    // Closed in the middle, as the cloud does it: a reset is another error in some clients (Python's httpcore), which
    // then do not ask what became of the sandbox.
    assert.equal(error.cause?.code, 'UND_ERR_SOCKET', error.stack)
  })

  it('a kill answers a request that has no answer yet', async (t) => {
    const sandbox = await open(t, sdk)
    await serve(sandbox, kHttpServer, '127.0.0.1', 3000)
    await ready(url(sandbox, 3000))
    const answer = get(url(sandbox, 3000, '/late'))
    await eventually('the server has it', () => sandbox.files.exists('/tmp/asked'))
    await sandbox.kill()
    assert.equal((await answer).status, 502)
    assert.deepEqual(JSON.parse((await answer).text), notFound(sandbox.sandboxId))
  })

  it('a command that runs when its sandbox is killed fails with an error of the SDK', async (t) => {
    const sandbox = await open(t, sdk)
    const handle = await sandbox.commands.run('sleep 600', { background: true })
    const outcome = handle.wait().then(() => assert.fail('it ended well'), (error) => error)
    await sandbox.kill()
    const error = await outcome
    if (sdk.family === 'e2b') {
      assert.ok(error instanceof sdk.TimeoutError, error.stack)
      assert.match(error.message, /sandbox was killed or reached its end of life/)
    } else {
      // This SDK has no probe of its own for a stream that was cut; it must still be its error, not the socket's.
      assert.ok(error instanceof sdk.SandboxError, error.stack)
      assert.ok(!(error instanceof sdk.CommandExitError), error.stack)
    }
  })
})
