// What a sandbox reaches with `--internet fake`, asked through the SDKs; the emulator's canary is the witness. Each file
// of tests has the emulator to itself, but the tests of this one run beside each other: every test asks for a path of
// its own.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe } from 'node:test'
import { domain, eachSdk, it } from './support/sdks.mjs'
import { get, open, run } from './support/sandbox.mjs'

const control = (path) => get(`https://${domain}/_sandlot/fakenet/${path}`)
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
}
