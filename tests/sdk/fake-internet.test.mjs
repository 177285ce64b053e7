// What a sandbox reaches with `--internet fake`, asked through the SDKs; the emulator's canary is the witness. Each file
// of tests has the emulator to itself, but the tests of this one run beside each other: every test asks for a path of
// its own.
import assert from 'node:assert/strict'
import { randomInt, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe } from 'node:test'
import { Emulator } from './support/emulator.mjs'
import { domain, eachSdk, it, sdks } from './support/sdks.mjs'
import { eventually, get, open, run } from './support/sandbox.mjs'

const control = (path, options) => get(`https://${domain}/_sandlot/fakenet/${path}`, options)
const canary = async (query) => JSON.parse((await control(`canary?${query}`)).text)

const isFake = (await control('hosts')).status === 200

if (!isFake) {
  describe('fake internet', { skip: 'this emulator runs without --internet fake' }, () => {})
} else {
  eachSdk('fake internet', (sdk) => {
    it('https to a listed name arrives, and the canary saw it', async (t) => {
      const sandbox = await open(t, sdk)
      const path = `/${randomUUID()}`
      const { stdout } = await sandbox.commands.run(`curl -sS https://api.example.com${path}`)
      assert.match(stdout, /^server-ip=93\.184\.216\.35 port=443 scheme=https host=api\.example\.com /)
      const { events, accepts } = await canary('address=93.184.216.35&port=443')
      assert.ok(accepts >= 1)
      const requests = events.filter((event) => event.kind === 'request').map((event) => event.text)
      assert.ok(requests.includes(`GET https://api.example.com${path}`), requests.join('\n'))
    })

    it('the addresses of the vendor pages answer as in the cloud', async (t) => {
      const sandbox = await open(t, sdk)
      const status = async (url) =>
        (await sandbox.commands.run(`curl -s -o /dev/null -w '%{http_code}' ${url}`)).stdout
      assert.equal(await status('https://1.1.1.1'), '301')
      assert.equal(await status('https://8.8.8.8'), '302')
      assert.equal(await status('https://connectivitycheck.gstatic.com/generate_204'), '204')
      assert.equal(await status('https://deep.down.mydomain.com'), '200')
    })

    it('a name that is not listed does not exist, and says so at once', async (t) => {
      const sandbox = await open(t, sdk)
      const name = `${randomUUID()}.invalid`
      const started = Date.now()
      const { exitCode, stderr } = await run(sandbox, `curl -sS https://${name}`)
      assert.equal(exitCode, 6, stderr)
      assert.ok(Date.now() - started < 5000)
      const { events } = await canary('address=8.8.8.8&port=53')
      assert.ok(events.some((event) => event.kind === 'query' && event.text === `A ${name}`))
    })

    it('a public name with a private address leads nowhere', async (t) => {
      const sandbox = await open(t, sdk)
      const { exitCode } = await run(sandbox, 'curl -sS --max-time 2 http://rebind.test')
      assert.notEqual(exitCode, 0)
      assert.equal((await canary('address=10.200.0.1')).packets, 0)
    })

    it('datagrams are echoed and counted', async (t) => {
      const sandbox = await open(t, sdk)
      const text = randomUUID()
      const { stdout } = await sandbox.commands.run(`python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(b'${text}', ('93.184.216.34', 7777))
print(s.recv(100).decode())"`)
      assert.equal(stdout, `${text}\n`)
      const { events } = await canary('address=93.184.216.34&port=7777&protocol=udp')
      assert.ok(events.some((event) => event.kind === 'datagram' && event.text === text))
    })

    it('large datagrams and pings are counted with all their bytes, in fragments, too', async (t) => {
      const sandbox = await open(t, sdk)
      // An address that nobody listed, and that no other test asks for.
      const address = `11.${randomInt(256)}.${randomInt(256)}.${1 + randomInt(254)}`
      const sizes = [229, 1000, 1400, 2000, 60000]
      await sandbox.commands.run(`python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for size in ${JSON.stringify(sizes)}: s.sendto(b'x' * size, ('${address}', 7000))"`)
      const counted = await eventually('five datagrams', async () => {
        const seen = await canary(`address=${address}`)
        return seen.packets >= sizes.length && seen
      })
      const bytes = sizes.reduce((sum, size) => sum + size)
      assert.deepEqual(counted.counters, [{ protocol: 'udp', address, port: 7000, datagrams: sizes.length, bytes }])
      assert.deepEqual(counted.events.map((event) => event.bytes), sizes)
      for (const size of [1000, 2000]) await sandbox.commands.run(`ping -c1 -W5 -s ${size} ${address}`)
      const pings = await canary(`address=${address}&protocol=icmp`)
      assert.deepEqual(pings.counters, [{ protocol: 'icmp', address, port: 0, packets: 2, bytes: 1008 + 2008 }])
    })

    it('a request as a proxy gets it is one for its path', async (t) => {
      const sandbox = await open(t, sdk)
      const path = `/${randomUUID()}`
      const through = (url) => sandbox.commands.run(`curl -sS -x http://93.184.216.34:80 '${url}'`)
      const { stdout } = await through(`http://api.example.com${path}?x=1`)
      assert.equal(stdout, `server-ip=93.184.216.34 port=80 scheme=http host=api.example.com method=GET path=${path} body-bytes=0\n`)
      const { events } = await canary('address=93.184.216.34&port=80')
      assert.ok(events.some((event) => event.text === `GET http://api.example.com${path}?x=1`))
      const { headers } = JSON.parse((await through('http://api.example.com/headers')).stdout)
      assert.deepEqual(headers.Host, ['api.example.com'])
      assert.equal((await through('http://api.example.com/bytes/7')).stdout, 'xxxxxxx')
    })

    it('Node and Python trust it without a word', async (t) => {
      const sandbox = await open(t, sdk)
      const python = await sandbox.commands.run(
        `python3 -c "import urllib.request as u; print(u.urlopen('https://github.com').status)"`)
      assert.equal(python.stdout, '200\n')
      const node = await run(sandbox,
        `command -v node >/dev/null || { echo 200; exit; }; node -e "fetch('https://github.com').then((r) => console.log(r.status))"`)
      assert.equal(node.stdout, '200\n', node.stderr)
    })
  })
  for (const filter of ['protocol=tpc', 'protocol=sctp', 'protocol=TCP', 'protocol=', 'port=http', 'port=70000', 'address=1.1.1', 'adress=1.1.1.1']) {
    it(`a filter of the canary that cannot be meant is refused: ${filter}`, async () => {
      const { status, text } = await control(`canary?${filter}`)
      assert.equal(status, 400, text)
      assert.match(text, /tcp, udp, icmp/)
    })
  }
  it('forgetting a part of what arrived is refused, and nothing is forgotten', async (t) => {
    const sandbox = await open(t, sdks[0])
    await sandbox.commands.run('curl -sS https://example.org')
    const seen = async () => (await canary('address=93.184.216.36')).packets
    const before = await seen()
    assert.ok(before > 0)
    assert.equal((await control('canary?address=93.184.216.36', { method: 'DELETE' })).status, 400)
    assert.ok(await seen() >= before)
  })
  it('protocols are filtered by the names that the counters have', async () => {
    for (const protocol of ['tcp', 'udp', 'icmp', 'ip-47']) {
      const { counters } = await canary(`protocol=${protocol}`)
      assert.deepEqual(counters.filter((counter) => counter.protocol !== protocol), [])
    }
  })

  eachSdk('hosts of a file', (sdk) => {
    const directory = mkdtempSync(join(tmpdir(), 'sandlot-hosts-'))
    const file = join(directory, 'hosts.json')
    const addresses = Array.from({ length: 100 }, (_, index) => `192.0.2.${index + 1}`)
    writeFileSync(file, JSON.stringify({
      hosts: [
        { names: ['given.test'] },
        { names: ['chosen.test'], addresses: ['198.19.0.1'], routes: [
          { path: '/problem', status: 422, headers: { 'Content-Type': 'application/problem+json' }, json: { title: 'no' } },
        ] },
      ],
      dns: { 'many.test': addresses },
    }))
    const emulator = new Emulator('--internet', `fake:${file}`)
    before(() => emulator.start())
    after(async () => {
      rmSync(directory, { recursive: true })
      await emulator.end('SIGTERM')
      emulator.remove()
    })
    const opened = (t) => open(t, { ...sdk, Sandbox: {
      create: (options) => sdk.Sandbox.create({ ...options, ...emulator.connection }),
      kill: (id) => sdk.Sandbox.kill(id, emulator.connection),
    } })

    it('a host without an address gets one that no other has', async (t) => {
      const sandbox = await opened(t)
      const line = async (name) => (await sandbox.commands.run(`curl -sS https://${name}`)).stdout
      assert.match(await line('chosen.test'), /^server-ip=198\.19\.0\.1 .* host=chosen\.test /)
      assert.match(await line('given.test'), /^server-ip=198\.19\.0\.2 .* host=given\.test /)
    })

    it('an answer has one type, which its route says', async (t) => {
      const sandbox = await opened(t)
      const { stdout } = await sandbox.commands.run('curl -sSi https://chosen.test/problem')
      assert.match(stdout, /^HTTP\/1\.1 422 /)
      assert.deepEqual(stdout.match(/^content-type:.*$/gim).map((each) => each.trim()), ['Content-Type: application/problem+json'])
      assert.match(stdout, /\r\n\r\n\{"title":"no"\}$/)
    })

    it('an answer of the DNS that a datagram does not carry is cut, says so, and is whole over TCP', async (t) => {
      const sandbox = await opened(t)
      // The forwarder that sandboxes ask, and a resolver of the internet.
      const { stdout } = await sandbox.commands.run(`python3 - <<'END'
import json, socket, struct
question = b'\\4many\\4test\\0' + struct.pack('>HH', 1, 1)
def query(offered):
    opt = b'\\0' + struct.pack('>HHIH', 41, offered, 0, 0) if offered else b''
    return struct.pack('>6H', 7, 0x100, 1, 0, 0, 1 if offered else 0) + question + opt
def facts(reply):
    _, flags, _, answers, _, additional = struct.unpack('>6H', reply[:12])
    return [len(reply), bool(flags & 0x200), answers, additional]
def udp(server, offered):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    s.sendto(query(offered), (server, 53))
    return facts(s.recv(65536))
def tcp(server):
    s = socket.create_connection((server, 53), 5)
    s.sendall(struct.pack('>H', len(query(0))) + query(0))
    f = s.makefile('rb')
    return facts(f.read(struct.unpack('>H', f.read(2))[0]))
found = {each[4][0] for each in socket.getaddrinfo('many.test', 80, type=socket.SOCK_STREAM)}
print(json.dumps({'found': len(found), 'answers': {server: [udp(server, 0), udp(server, 600), udp(server, 4096), tcp(server)] for server in ['8.8.8.8', '1.1.1.1']}}))
END`)
      // Size, cut, addresses, OPT records: a head and a question of 27 bytes, addresses of 16, an OPT record of 11.
      const expected = [[507, true, 30, 0], [598, true, 35, 1], [1638, false, 100, 1], [1627, false, 100, 0]]
      assert.deepEqual(JSON.parse(stdout), { found: 100, answers: { '8.8.8.8': expected, '1.1.1.1': expected } })
    })
  }, { concurrency: 1 })
}
