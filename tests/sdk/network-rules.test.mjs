// Section 2.10 of the network contract, `rules`: headers that are set in requests to some hosts (the E2B SDK has them, the
// vendor's has not); and 2.9, public URLs of other sandboxes, which need an emulator with a domain of its own.
import assert from 'node:assert/strict'
import { api, blocked, holds, kAll, look, reached, setNetwork } from './support/network.mjs'
import { networkRows } from './support/rows.mjs'
import { eventually, failure } from './support/sandbox.mjs'
import { domain } from './support/sdks.mjs'
import { ownDoor } from './support/own-door.mjs'

const kSecret = 'Bearer s3cret-8c21'
const rulesFor = (host, headers = { 'X-Token': kSecret }) => ({ [host]: [{ transform: { headers } }] })
const kRules = rulesFor('api.example.com')
const kUnsaid = { differs: 'the cloud does not say what it does' }

// What the server at this URL saw: {name: [value, ...]}.
async function headersAt(sandbox, url, options = '') {
  const { stdout } = await sandbox.commands.run(`curl -sS -m 10 ${options} ${url}`)
  return JSON.parse(stdout).headers
}

networkRows(import.meta.url, 'header rules', (sdk, { row, sandbox, shared }) => {
  if (sdk.family !== 'e2b') return
  const { Sandbox, SandboxError } = sdk

  row('2.10: `rules` set headers in https requests to the named host, in place of what the program sent', async () => {
    const ruled = await shared({ network: { rules: kRules } })
    assert.deepEqual((await headersAt(ruled, 'https://api.example.com/headers'))['X-Token'], [kSecret])
    const replaced = await headersAt(ruled, 'https://API.example.com/headers', "-H 'x-token: mine' -H 'X-TOKEN: again' -H 'X-Other: stays'")
    assert.deepEqual([replaced['X-Token'], replaced['X-Other']], [[kSecret], ['stays']])
  })

  row('2.10: and in http requests', async () => {
    const ruled = await shared({ network: { rules: kRules } })
    assert.deepEqual((await headersAt(ruled, 'http://api.example.com/headers'))['X-Token'], [kSecret])
  })

  row('2.10: in every request of a connection; bodies pass as they are', async () => {
    const ruled = await shared({ network: { rules: kRules } })
    const { stdout } = await ruled.commands.run(`python3 - <<'EOF'
import http.client, json, ssl
c = http.client.HTTPSConnection('api.example.com', context=ssl.create_default_context())
for _ in range(3):
    c.request('GET', '/headers')
    print(json.load(c.getresponse())['headers']['X-Token'][0])
c.request('POST', '/x', body=(b'y' * 65536 for _ in range(80)), encode_chunked=True, headers={'Transfer-Encoding': 'chunked'})
print(c.getresponse().read().decode().strip().split()[-1])
c.request('GET', '/bytes/5000000')
print(len(c.getresponse().read()))
EOF`)
    assert.deepEqual(stdout.trim().split('\n'), [kSecret, kSecret, kSecret, 'body-bytes=5242880', '5000000'])
  })

  row('2.7: a program that has asked may stop sending: without a word of it in TLS, with `rules` and without', async () => {
    for (const network of [{}, { rules: kRules }]) {
      const { stdout } = await (await shared({ network })).commands.run(`python3 - <<'EOF'
import socket, ssl
s = ssl.create_default_context().wrap_socket(socket.create_connection(('api.example.com', 443)), server_hostname='api.example.com')
s.sendall(b'GET /bytes/3000000 HTTP/1.1\\r\\nHost: api.example.com\\r\\n\\r\\n')
socket.socket.shutdown(s, socket.SHUT_WR)
size = 0
while part := s.recv(65536):
    size += len(part)
print(size)
EOF`)
      assert.ok(Number(stdout) > 3_000_000, `${JSON.stringify(network)}: ${stdout}`)
    }
  })

  row('2.10: other hosts are left alone', async () => {
    const ruled = await shared({ network: { rules: kRules } })
    const issuer = async (name) => (await ruled.commands.run(`curl -sSvo /dev/null https://${name}/ 2>&1 | grep issuer:`)).stdout
    assert.match(await issuer('api.example.com'), /CN=Sandlot egress CA/)
    for (const name of ['example.com', 'x.api.example.com', 'github.com']) assert.match(await issuer(name), /CN=Sandlot fake internet CA/)
    assert.equal((await headersAt(ruled, 'https://example.com/headers'))['X-Token'], undefined)
  })

  row('2.10: a request for another host on the same connection gets nothing', async () => {
    const ruled = await shared({ network: { rules: kRules } })
    assert.equal((await headersAt(ruled, 'https://api.example.com/headers', "-H 'Host: other.example.com'"))['X-Token'], undefined)
  }, kUnsaid)

  row('2.10: a named host is dialled where the machine finds it, wherever the sandbox says it is', async () => {
    const ruled = await shared({ network: { rules: kRules } })
    for (const found of await look(ruled, ['https://api.example.com/headers via 9.9.9.9', 'http://api.example.com/headers via 9.9.9.9'])) {
      assert.ok(found.ok && !found.seen, JSON.stringify({ ...found, canary: undefined }))
      assert.match(found.body, /s3cret/)
    }
  }, kUnsaid)

  row('2.10: programs trust it: curl, Python, OpenSSL, and Node in login shells', async () => {
    const ruled = await shared({ network: { rules: kRules } })
    const { stdout } = await ruled.commands.run(`
      python3 -c "import urllib.request; print('python', urllib.request.urlopen('https://api.example.com/headers').status)"
      openssl s_client -connect api.example.com:443 -servername api.example.com -verify_return_error </dev/null 2>/dev/null | grep -o 'Verify return code: 0' | sort -u
      ! command -v node >/dev/null || node -e "fetch('https://api.example.com/headers').then(r => console.log('node', r.status))"
      grep -c BEGIN "$NODE_EXTRA_CA_CERTS"`)
    assert.match(stdout, /^python 200\nVerify return code: 0\n(node 200\n)?2\n$/)
  })

  row('2.10: they are shown as they were sent, and hold after pause and connect', async (t) => {
    const rules = { ...kRules, 'B.test': [{ transform: { headers: {} } }], 'c.test': [{}], 'd.test': [] }
    const ruled = await sandbox(t, { network: { rules } })
    assert.deepEqual((await ruled.getInfo()).network.rules, rules)
    await ruled.pause()
    const again = await Sandbox.connect(ruled.sandboxId)
    assert.deepEqual((await again.getInfo()).network.rules, rules)
    assert.deepEqual((await headersAt(again, 'https://api.example.com/headers'))['X-Token'], [kSecret])
  })

  row('2.10: a change replaces them as a whole, also for the next request of an open connection', async (t) => {
    const ruled = await sandbox(t, { network: { rules: kRules } })
    await ruled.files.write('/tmp/ask.py', `
import http.client, json, ssl, sys
c = http.client.HTTPSConnection('api.example.com', context=ssl.create_default_context())
for line in sys.stdin:
    c.request('GET', '/headers')
    print(json.load(c.getresponse())['headers'].get('X-Token'), flush=True)
`)
    let said = ''
    const command = await ruled.commands.run('python3 /tmp/ask.py', { background: true, stdin: true, onStdout: (text) => { said += text } })
    const ask = async () => {
      const before = said.length
      await ruled.commands.sendStdin(command.pid, 'next\n')
      await eventually('an answer', () => said.length > before)
      return said.slice(before).trim()
    }
    assert.equal(await ask(), `['${kSecret}']`)
    await setNetwork(sdk, ruled, { rules: rulesFor('api.example.com', { 'X-Token': 'other' }) })
    assert.equal(await ask(), "['other']")
    await setNetwork(sdk, ruled, {})
    assert.equal(await ask(), 'None')
    assert.equal((await ruled.getInfo()).network.rules, undefined)
    assert.equal((await headersAt(ruled, 'https://api.example.com/headers'))['X-Token'], undefined)
    await command.kill()
  }, kUnsaid)

  row('2.10: they open nothing: a host that is denied stays closed, and one that is allowed gets its headers', async (t) => {
    const closed = await sandbox(t, { network: { rules: kRules, denyOut: [kAll] } })
    await holds(sdk, closed, { blocks: ['https://api.example.com via 93.184.216.35', 'http://api.example.com via 93.184.216.35'] })
    const open = await sandbox(t, { network: { rules: kRules, allowOut: ({ rules }) => [...rules.keys()], denyOut: ({ allTraffic }) => [allTraffic] } })
    assert.deepEqual((await headersAt(open, 'https://api.example.com/headers'))['X-Token'], [kSecret])
    await holds(sdk, open, { reaches: ['https://api.example.com'], blocks: ['https://example.com'] })
    // By address: what is denied is where the host really is, whichever address the sandbox calls it by.
    const address = await sandbox(t, { network: { rules: kRules, denyOut: ['93.184.216.35'] } })
    for (const found of await look(address, ['https://api.example.com', 'https://api.example.com via 9.9.9.9'])) blocked(found)
    ;(await look(address, ['https://example.com'])).forEach(reached)
  })

  row('2.10: their values are in no decision log', async () => {
    const ruled = await shared({ network: { rules: kRules } })
    const log = await (await fetch(`https://${domain}/_sandlot/sandboxes/${ruled.sandboxId}/egress`)).text()
    assert.match(log, /api\.example\.com/)
    assert.ok(!log.includes('s3cret'), 'a value is in the decision log')
  })

  row('2.10: what is beyond their limits is 400, in the words of the cloud', async () => {
    const many = (count, value) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`h${index}.test`, value]))
    for (const [rules, message] of [
      [many(11, []), 'Network rules can have at most 10 domains.'],
      [{ 'a.test': [{}, {}] }, 'Domain "a.test" can have at most 1 transform rule.'],
      [{ '*.a.test': [] }, 'Rule domain "*.a.test" is not a valid domain name.'],
      [{ 'a.test:8443': [] }, 'Rule domain "a.test:8443" is not a valid domain name.'],
      [{ 'a.test:443': [] }, 'Rule domain "a.test:443" is not a valid domain name.'],
      [{ '1.1.1.1': [] }, 'Rule domain "1.1.1.1" is not a valid domain name.'],
      [{ ['a'.repeat(129)]: [] }, `Rule domain "${'a'.repeat(129)}" exceeds maximum length of 128 characters.`],
      [rulesFor('a.test', many(21, 'x')), 'Domain "a.test" can have at most 20 headers per rule.'],
      [rulesFor('a.test', { 'a b': 'x' }), 'Header name "a b" in rule for domain "a.test" must contain only valid HTTP token characters.'],
      [rulesFor('a.test', { ['n'.repeat(65)]: 'x' }), `Header name "${'n'.repeat(65)}" in rule for domain "a.test" exceeds maximum length of 64 characters.`],
      [rulesFor('a.test', { A: 'x\r\nB: y' }), 'Value for header "A" in rule for domain "a.test" contains invalid characters.'],
      [rulesFor('a.test', { A: 'v'.repeat(2049) }), 'Value for header "A" in rule for domain "a.test" exceeds maximum length of 2048 characters.'],
    ]) {
      const error = await failure(() => Sandbox.create({ network: { rules } }), SandboxError)
      assert.ok(error.message.endsWith(message), error.message)
      const { status, json } = await api('PUT', `/sandboxes/${(await shared({ network: { rules: kRules } })).sandboxId}/network`, { rules })
      assert.deepEqual([status, json], [400, { code: 400, message }])
    }
    for (const rules of [[], 5, { 'a.test': {} }, { 'a.test': [{ transform: [] }] }, { 'a.test': [{ transform: { headers: { A: 1 } } }] }]) {
      const { status, json } = await api('POST', '/sandboxes', { templateID: 'base', network: { rules } })
      assert.equal(status, 400)
      assert.match(json.message, /^validation error: /)
    }
  })
})

networkRows(import.meta.url, 'public URLs of other sandboxes', (sdk, { row }) => {
  for (const [name, options] of ownDoor.rows(sdk.family)) {
    row(name, async () => {
      const outcome = (await ownDoor.outcomes(sdk))[name]
      assert.equal(outcome, 'ok', outcome ?? 'it did not run')
    }, options)
  }
})
