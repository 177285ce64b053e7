// Sections 0.2, 0.3, 5.8, 5.9 and 5.10: how requests get to the daemon, and what becomes of them when its sandbox goes.
import assert from 'node:assert/strict'
import http from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../../sdk/support/sandbox.mjs'
import { area, text, that } from '../support/table.mjs'
import { api, domain, frontDoor, shell } from '../support/sandbox.mjs'
import { exchange, unary } from '../support/wire.mjs'

const kNotFound = 'The sandbox was not found'
const base = domain.split(':')[0]
const error = (reply, status) => {
  assert.equal(reply.status, status, reply.text)
  assert.match(reply.headers['content-type'], /^application\/json/)
  return JSON.parse(reply.text)
}

area('Versions and create routes', {}, (row) => {
  row('0.2', '`envdVersion` of a new sandbox', that('`0.6.13`'), async (s) => assert.equal(s.created.envdVersion, '0.6.13'))
  for (const route of ['/sandboxes', '/v2/sandboxes']) {
    row('0.3', `\`POST ${route}\`, then \`POST ${route}/{id}/connect\``, that('201; 200 or 201'), async () => {
      const created = await api('POST', route, { templateID: 'base', timeout: 60 })
      assert.equal(created.status, 201, created.text)
      const id = created.json.sandboxID
      const connected = await api('POST', `${route}/${id}/connect`, { timeout: 60 })
      assert.ok([200, 201].includes(connected.status), connected.text)
      assert.equal((await api('DELETE', `/sandboxes/${id}`)).status, 204)
    })
  }
})

area('The way to a sandbox', {}, (row) => {
  row('5.9', 'Host `49983-<id>.<domain>`', that('the daemon'), async (s) => assert.equal((await s.get('/health')).status, 204))
  row('5.9', 'Host `49983-<id>-<client>.<domain>`', that('the daemon'), async (s) => assert.equal((await exchange(frontDoor(`49983-${s.id}-6532622b.${base}`), { path: '/health' })).status, 204))
  for (const host of [`sandbox.${base}`, base, '127.0.0.1']) {
    row('5.9', `Host \`${host === base ? 'localhost' : host.replace(base, '<domain>')}\` and the headers \`E2b-Sandbox-Id\`, \`E2b-Sandbox-Port\``, that('the daemon'), async (s) => {
      assert.equal((await exchange(frontDoor(host), { path: '/health', headers: { 'E2b-Sandbox-Id': s.id, 'E2b-Sandbox-Port': '49983' } })).status, 204)
    })
  }
  row('5.9, 9.23', 'a Host that names a sandbox, and headers that name another', that('the Host wins'), async (s) => {
    assert.equal((await s.get('/health', {}, { headers: { 'E2b-Sandbox-Id': 'iother', 'E2b-Sandbox-Port': '1234' } })).status, 204)
  })
  row('5.9', 'a sandbox that is not there', that(`502 \`{"sandboxId":…,"message":"${kNotFound}","code":502}\``), async () => {
    const { sandboxId, ...others } = error(await exchange(frontDoor(`49983-inosuchsandbox.${base}`), { path: '/health' }), 502)
    assert.deepEqual(others, { message: kNotFound, code: 502 })
    assert.ok('inosuchsandbox'.startsWith(sandboxId) && sandboxId)
  })
  row('5.9', 'a port that nobody listens on', that('502 `{"sandboxId":…,"message":"The sandbox is running but port is not open","port":3999,"code":502}`'), async (s) => {
    assert.deepEqual(error(await exchange(s.at(3999), { path: '/' }), 502), { sandboxId: s.id, message: 'The sandbox is running but port is not open', port: 3999, code: 502 })
  })
  row('5.9', 'the same from a browser', that('502, an HTML page'), async (s) => {
    const reply = await exchange(s.at(3999), { path: '/', headers: { 'User-Agent': 'Mozilla/5.0', Accept: 'text/html' } })
    assert.equal(reply.status, 502)
    assert.match(reply.headers['content-type'], /^text\/html/)
  })
  for (const [what, headers] of [['that accepts JSON alone', { Accept: 'application/json' }], ['with `Sec-Fetch-Mode: cors`', { 'Sec-Fetch-Mode': 'cors' }], ['with `X-Requested-With`', { 'X-Requested-With': 'XMLHttpRequest' }]]) {
    row('5.9', `the same from a browser ${what}`, that('502 JSON'), async (s) => { error(await exchange(s.at(3999), { path: '/', headers: { 'User-Agent': 'Mozilla/5.0', ...headers } }), 502) })
  }
  const routed = (headers) => exchange(frontDoor(`sandbox.${base}`), { path: '/health', headers })
  row('5.9', '`E2b-Sandbox-Port: http`', text(400, 'Invalid sandbox port'), (s) => routed({ 'E2b-Sandbox-Id': s.id, 'E2b-Sandbox-Port': 'http' }))
  row('5.9', '`E2b-Sandbox-Id: not_an_id`', text(400, 'Invalid sandbox ID'), () => routed({ 'E2b-Sandbox-Id': 'not_an_id', 'E2b-Sandbox-Port': '49983' }))
  row('5.9', '`E2b-Sandbox-Id` without a port', text(400, 'missing header'), (s) => routed({ 'E2b-Sandbox-Id': s.id }))
  row('5.9', 'an id that is none', text(400, 'Invalid sandbox ID'), () => exchange(frontDoor(`49983-not_an_id.${base}`), { path: '/' }))
  for (const address of ['0.0.0.0', '127.0.0.1', '::', '::1', 'localhost']) {
    row('5.8', `a server on \`${address}\``, that('reached'), async (s) => {
      const port = 4000 + ['0.0.0.0', '127.0.0.1', '::', '::1', 'localhost'].indexOf(address)
      const { call } = await s.background(`cd /tmp; python3 -m http.server --bind ${address} ${port}`)
      call.leave()
      await eventually('it answers', async () => (await exchange(s.at(port), { path: '/' })).status === 200)
    })
  }
})

// A server that shows what reached it, changes protocols and answers in its own time.
const kShow = `
import http.server, os, time
class Show(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def any(self):
        if self.headers.get('Upgrade') == 'websocket':
            self.send_response(101); self.send_header('Upgrade', 'websocket'); self.send_header('Connection', 'Upgrade'); self.end_headers()
            while piece := self.rfile.read1(): self.wfile.write(piece.upper())
            return
        if self.path == '/slowly':
            self.send_response(200); self.send_header('Transfer-Encoding', 'chunked'); self.end_headers()
            self.wfile.write(b'3\\r\\none\\r\\n'); self.wfile.flush()
            while not os.path.exists('/tmp/one-arrived'): time.sleep(0.05)
            self.wfile.write(b'3\\r\\ntwo\\r\\n0\\r\\n\\r\\n'); return
        text = f"{self.command} {self.path} {self.headers['Host']}".encode()
        self.send_response(200); self.send_header('Content-Length', str(len(text))); self.end_headers()
        if self.command != 'HEAD': self.wfile.write(text)
    def __getattr__(self, name):
        if name.startswith('do_'): return self.any
        raise AttributeError(name)
http.server.ThreadingHTTPServer(('0.0.0.0', 4700), Show).serve_forever()
`
area('Through the front door to a port', { seconds: 3 }, (row) => {
  const open = async (s) => {
    if (s.shows) return s.at(4700)
    await s.write('/tmp/show.py', kShow)
    const { call } = await s.background('exec python3 /tmp/show.py')
    call.leave()
    await eventually('it answers', async () => (await exchange(s.at(4700), { path: '/' })).status === 200)
    s.shows = true
    return s.at(4700)
  }
  row('5.9', 'any request', that('path, query and Host arrive as they were sent'), async (s) => {
    const target = await open(s)
    assert.equal((await exchange(target, { path: '/a/../b//c?d=%20e' })).text, `GET /a/../b//c?d=%20e ${target.host}`)
  })
  for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND']) {
    row('5.9', `${method}`, that('passed on'), async (s) => assert.match((await exchange(await open(s), { method, path: '/m' })).text, new RegExp(`^${method} /m `)))
  }
  row('5.9', 'a response in pieces', that('each piece when it comes, not at the end'), async (s) => {
    const target = await open(s)
    // The server sends the second piece when it is told that the first has arrived.
    const words = await new Promise((resolve, reject) => {
      http.get({ host: '127.0.0.1', port: target.port, path: '/slowly', headers: { Host: target.host }, setHost: false, agent: false }, (response) => {
        const got = []
        response.once('data', () => s.write('/tmp/one-arrived', '').catch(reject))
        response.on('data', (piece) => got.push(piece.toString())).on('end', () => resolve(got)).on('error', reject)
      }).on('error', reject)
    })
    assert.deepEqual(words, ['one', 'two'])
  })
  row('5.9', 'a WebSocket upgrade', that('101, then bytes both ways'), async (s) => {
    const target = await open(s)
    const answer = await new Promise((resolve, reject) => {
      const request = http.request({ host: '127.0.0.1', port: target.port, path: '/ws', headers: { Host: target.host, Connection: 'Upgrade', Upgrade: 'websocket' }, setHost: false, agent: false })
      request.on('error', reject).on('response', (response) => reject(new Error(`status ${response.statusCode}`)))
      request.on('upgrade', (response, socket) => {
        socket.on('error', reject).once('data', (piece) => { socket.destroy(); resolve(piece.toString()) })
        socket.write('hello')
      })
      request.end()
    })
    assert.equal(answer, 'HELLO')
  })
  row('5.8', 'a server that comes up while the request waits', that('reached: a refused connection is tried again'), async (s) => {
    const { call } = await s.background('sleep 0.3; cd /tmp; exec python3 -m http.server 4701')
    call.leave()
    assert.equal((await exchange(s.at(4701), { path: '/' })).status, 200)
  })
  for (const host of ['nodash.example.com', 'example.com', `3000.${base}`]) {
    row('5.9', `Host \`${host.replace(base, '<domain>')}\``, text(400, 'Invalid host'), () => exchange(frontDoor(host), { path: '/' }))
  }
  row('5.9', 'Host `http-<id>.<domain>`', text(400, 'Invalid sandbox port'), (s) => exchange(frontDoor(`http-${s.id}.${base}`), { path: '/' }))
  row('5.9', 'Host of another domain, and the headers', text(400, 'Invalid host'), (s) => exchange(frontDoor('example.com'), { path: '/health', headers: { 'E2b-Sandbox-Id': s.id, 'E2b-Sandbox-Port': '49983' } }))
  row('5.8', 'eth0 of a sandbox', that('an address and a default route'), async (s) => {
    assert.match((await s.run('ip -4 -o addr show eth0; ip route')).stdout, / inet \d+\.\d+\.\d+\.\d+\/\d+ .*\ndefault via /s)
  }, { differs: 'one of its own for every sandbox, not 169.254.0.21 for all' })
})

const kTokenHeader = 'e2b-traffic-access-token'
const missing = `Sandbox is secured with traffic access token. Token header '${kTokenHeader}' is missing`
const invalid = `Sandbox is secured with traffic access token. Provided token in header '${kTokenHeader}' is invalid`
// Answers every request with its head, as text.
const kHeads = `python3 -c "
import http.server
class Heads(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = str(self.headers).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(('127.0.0.1', PORT), Heads).serve_forever()"`
async function heads(s, port, headers) {
  const { call } = await s.background(kHeads.replace('PORT', port))
  call.leave()
  await eventually('it answers', async () => (await exchange(s.at(port), { path: '/', headers })).status === 200)
}
const header = (reply, name) => new RegExp(`^${name}: (.*)$`, 'mi').exec(reply.text)?.[1].trim()

area('A sandbox without public traffic', { create: { secure: true, network: { allowPublicTraffic: false } } }, (row) => {
  const ask = (s, port, headers) => exchange(s.at(port), { path: '/', headers })
  const token = (s) => ({ [kTokenHeader]: s.created.trafficAccessToken })
  row('5.9', '`trafficAccessToken` of the create response', that('a string; null for a public sandbox'), async (s) => {
    assert.ok(s.created.trafficAccessToken)
    const open = await s.constructor.open()
    assert.equal(open.created.trafficAccessToken, null)
    await open.close()
  })
  row('5.9', `\`allowPublicTraffic: false\` without \`secure\``, that("400 `You cannot create a sandbox without public access unless you enable secure envd access via 'secure' flag.`"), async () => {
    const reply = await api('POST', '/sandboxes', { templateID: 'base', secure: false, network: { allowPublicTraffic: false } })
    assert.equal(reply.status, 400)
    assert.equal(reply.json.message, "You cannot create a sandbox without public access unless you enable secure envd access via 'secure' flag.")
  })
  for (const port of [3000, 49999]) {
    row('5.9', `port ${port} without \`${kTokenHeader}\``, that(`403 \`{"sandboxId":…,"message":"${missing}","code":403}\``), async (s) => {
      assert.deepEqual(error(await ask(s, port), 403), { sandboxId: s.id, message: missing, code: 403 })
    })
  }
  row('5.9', 'a wrong token', that(`403 \`{"sandboxId":…,"message":"${invalid}","code":403}\``), async (s) => {
    assert.deepEqual(error(await ask(s, 3000, { [kTokenHeader]: 'wrong' }), 403), { sandboxId: s.id, message: invalid, code: 403 })
  })
  row('5.9', 'the same from a browser', that('403, an HTML page "Invalid Traffic Access Token"'), async (s) => {
    const reply = await ask(s, 3000, { [kTokenHeader]: 'wrong', 'User-Agent': 'Mozilla/5.0', Accept: 'text/html' })
    assert.equal(reply.status, 403)
    assert.match(reply.headers['content-type'], /^text\/html/)
    assert.match(reply.text, /Invalid Traffic Access Token/)
  })
  row('5.9', 'the right token, a port that nobody listens on', that('502, the port is not open: the token is looked at first'), async (s) => {
    assert.equal(error(await ask(s, 3999, token(s)), 502).message, 'The sandbox is running but port is not open')
  })
  row('5.9', 'the right token, under any spelling of the name', that('the server, which gets the header too'), async (s) => {
    await heads(s, 3000, token(s))
    const reply = await ask(s, 3000, { 'E2B-Traffic-Access-Token': s.created.trafficAccessToken })
    assert.equal(reply.status, 200)
    assert.equal(header(reply, kTokenHeader), s.created.trafficAccessToken)
  })
  row('5.9', 'port 49983 without the token', that('the daemon, which asks for its own'), async (s) => {
    assert.equal((await exchange(s.bare, { path: '/health' })).status, 204)
    assert.equal((await exchange(s.bare, { path: '/envs' })).status, 401)
    assert.equal((await s.get('/envs')).status, 200)
  })
  row('5.9, 5.10', 'a pause and a connect', that('the same token'), async (s) => {
    assert.equal((await api('POST', `/sandboxes/${s.id}/pause`)).status, 204)
    assert.equal(error(await ask(s, 3000), 502).message, kNotFound)
    const reply = await api('POST', `/sandboxes/${s.id}/connect`, { timeout: 60 })
    assert.equal(reply.json.trafficAccessToken, s.created.trafficAccessToken)
    assert.equal((await ask(s, 3000, token(s))).status, 200)
  })
})

area('A masked Host', { create: { network: { maskRequestHost: '${PORT}.internal:${PORT}' } } }, (row) => {
  row('5.9', '`maskRequestHost: "${PORT}.internal:${PORT}"`, port 8080', that('the server sees `Host: 8080.internal:8080`, and the host of the URL as `X-Forwarded-Host`'), async (s) => {
    await heads(s, 8080)
    const reply = await exchange(s.at(8080), { path: '/', headers: { 'X-Forwarded-Host': 'forged' } })
    assert.equal(header(reply, 'host'), '8080.internal:8080')
    assert.equal(header(reply, 'x-forwarded-host'), s.at(8080).host)
  })
  row('5.9', 'the same, port 3000', that('`Host: 3000.internal:3000`'), async (s) => {
    await heads(s, 3000)
    assert.equal(header(await exchange(s.at(3000), { path: '/' }), 'host'), '3000.internal:3000')
  })
  row('5.9', 'no mask', that('the host of the URL, no `X-Forwarded-Host`'), async (s) => {
    const open = await s.constructor.open()
    await heads(open, 3000)
    const reply = await exchange(open.at(3000), { path: '/' })
    assert.equal(header(reply, 'host'), open.at(3000).host)
    assert.equal(header(reply, 'x-forwarded-host'), undefined)
    await open.close()
  })
  for (const [mask, message] of [['-https://abcd', 'mask request host is not valid: -https://abcd'], ['exämple.com', "mask request host 'exämple.com' is not ASCII. Please use ASCII characters only."]]) {
    row('5.9', `\`maskRequestHost: "${mask}"\``, that(`400 \`${message}\``), async () => {
      const reply = await api('POST', '/sandboxes', { templateID: 'base', network: { maskRequestHost: mask } })
      assert.equal(reply.status, 400)
      assert.equal(reply.json.message, message)
    })
  }
})

area('What a kill and a pause do', { seconds: 4 }, (row) => {
  const gone = async (id) => {
    const reply = await exchange(frontDoor(`49983-${id}.${base}`), { path: '/health' })
    assert.equal(error(reply, 502).message, kNotFound)
  }
  row('5.10, 9.2', 'a kill, a command streaming', that('the stream breaks off without the end frame; `/health` is 502'), async (s) => {
    const victim = await s.constructor.open()
    const { call } = await victim.background('while :; do echo x; sleep 0.05; done')
    await call.next()
    await api('DELETE', `/sandboxes/${victim.id}`)
    const reply = await call.rest_of()
    assert.equal(reply.endFrame, undefined)
    assert.ok(reply.broken, 'it ended as if all were well')
    await gone(victim.id)
  })
  row('5.10', 'a kill, a download under way', that('the body breaks off; `/health` is 502'), async (s) => {
    const victim = await s.constructor.open()
    await victim.run('head -c 100000000 /dev/zero > /tmp/wide')
    const ended = await new Promise((resolve) => {
      const { port, host } = victim.target
      // A reset shows as an error of the response or of the request, as it happens.
      const request = http.get({ host: '127.0.0.1', port, path: '/files?path=/tmp/wide', headers: { Host: host }, setHost: false, agent: false }, async (response) => {
        response.once('data', async () => {
          response.pause()
          await api('DELETE', `/sandboxes/${victim.id}`)
          response.resume()
        })
        response.on('end', () => resolve('end')).on('error', () => resolve('broken'))
      })
      request.on('error', (error) => resolve(request.res ? 'broken' : error))
    })
    assert.equal(ended, 'broken')
    await gone(victim.id)
  })
  row('0.4, 5.10', 'an RPC after the kill', that('502, no Connect error: clients take it for `unavailable`'), async (s) => {
    const victim = await s.constructor.open()
    await api('DELETE', `/sandboxes/${victim.id}`)
    const reply = await unary(victim.target, 'process.Process/List')
    assert.equal(reply.status, 502)
    assert.equal(reply.json.code, 502)
  })
  row('5.10, 9.18', 'a pause', that('`/health` is 502'), async (s) => {
    const { call, pid } = await s.background({ ...shell('sleep 300'), tag: 'survivor' })
    call.leave()
    s.survivor = pid
    s.bootId = (await s.run('cat /proc/sys/kernel/random/boot_id')).stdout
    assert.equal((await api('POST', `/sandboxes/${s.id}/pause`)).status, 204)
    await gone(s.id)
  })
  row('5.10', 'a resume', that('the same processes, pids and tags in `List`; `Connect` works; `boot_id` as before'), async (s) => {
    const reply = await api('POST', `/sandboxes/${s.id}/connect`, { timeout: 60 })
    assert.ok([200, 201].includes(reply.status), reply.text)
    assert.deepEqual((await s.process('List')).json.processes.map((one) => [one.pid, one.tag]), [[s.survivor, 'survivor']])
    const call = await s.connect({ process: { tag: 'survivor' } })
    assert.deepEqual(await call.next(), { event: { start: { pid: s.survivor } } })
    call.leave()
    assert.equal((await s.run('cat /proc/sys/kernel/random/boot_id')).stdout, s.bootId)
  })
  row('5.10', 'a resume of one that was paused without memory', that('the files of before, no process, another `boot_id`, the same token'), async (s) => {
    const victim = await s.constructor.open()
    const boot = (await victim.run('echo kept > ~/file; cat /proc/sys/kernel/random/boot_id')).stdout
    const { call } = await victim.background(shell('sleep 300'))
    call.leave()
    assert.equal((await api('POST', `/sandboxes/${victim.id}/pause`, { memory: false })).status, 204)
    await gone(victim.id)
    assert.equal((await api('POST', `/sandboxes/${victim.id}/connect`, { timeout: 60 })).status, 201)
    assert.deepEqual((await victim.process('List')).json.processes ?? [], [])
    const now = (await victim.run('cat ~/file /proc/sys/kernel/random/boot_id')).stdout
    assert.match(now, /^kept\n[0-9a-f-]{36}\n$/)
    assert.notEqual(now, 'kept\n' + boot)
    await api('DELETE', `/sandboxes/${victim.id}`)
  })
  row('5.10', 'the life of a sandbox ends by itself, a command streaming', that('the stream breaks off without the end frame; `/health` is 502'), async (s) => {
    const victim = await s.constructor.open()
    const { call } = await victim.background('while :; do echo x; sleep 0.05; done')
    assert.equal((await api('POST', `/sandboxes/${victim.id}/timeout`, { timeout: 1 })).status, 204)
    const reply = await call.rest_of()
    assert.ok(reply.broken && !reply.endFrame)
    await eventually('it is gone', () => gone(victim.id).then(() => true))
  })
})
