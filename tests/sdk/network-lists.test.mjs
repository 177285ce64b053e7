// NET-12 to NET-25 and NET-54 to NET-58: allow and deny lists, which of them wins, and changing them.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { api, blocked, holds, kAll, look, reached, setNetwork } from './support/network.mjs'
import { networkRows } from './support/rows.mjs'
import { failure } from './support/sandbox.mjs'

const run = promisify(execFile)
// The program of the `sandlot exec` that these tests run under.
function sandlot() {
  for (let pid = process.pid; pid > 1; pid = Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[1])) {
    const program = readlinkSync(`/proc/${pid}/exe`)
    if (program.endsWith('/sandlot')) return program
  }
  assert.fail('not under sandlot exec')
}

const kOpen = ['https://1.1.1.1', 'https://8.8.8.8', 'tcp 93.184.216.34:22', 'udp 93.184.216.34:7777', 'dns 8.8.8.8']

networkRows(import.meta.url, 'allow and deny lists', (sdk, { row, later, sandbox, shared }) => {
  const { Sandbox, SandboxError } = sdk
  const lists = (t, network) => sandbox(t, { network })
  // How PUT and create word a mistake: both the same.
  const refuses = async (network, message) => {
    const error = await failure(() => Sandbox.create({ network }), SandboxError)
    assert.ok(error.message.endsWith(message), error.message)
    const { status, json } = await api('PUT', `/sandboxes/${(await shared({})).sandboxId}/network`, network)
    assert.deepEqual([status, json], [400, { code: 400, message }])
  }

  row('NET-12: `network` is taken at create and shown as it was sent', async (t) => {
    for (const network of [{ allowOut: [], denyOut: [] }, { denyOut: ['8.8.8.8', '1.1.1.0/24'] }, { allowOut: ['1.1.1.1'], denyOut: [kAll] }]) {
      const { network: shown } = await (await lists(t, network)).getInfo()
      assert.deepEqual([shown.allowOut, shown.denyOut], [network.allowOut, network.denyOut])
    }
  })

  row('NET-13: entries are addresses, CIDRs and, where allowed, names', async (t) => {
    const mixed = await lists(t, { allowOut: ['1.1.1.1', '8.8.8.0/24', 'example.com'], denyOut: [kAll, '9.9.9.9'] })
    await holds(sdk, mixed, { reaches: ['https://1.1.1.1', 'https://8.8.8.4', 'https://example.com'], blocks: ['https://9.9.9.9'] })
  })

  const net14 = {
    reaches: ['https://1.1.1.1', 'https://8.8.8.8', 'https://8.8.8.4', 'dns 8.8.8.8', 'ping 1.1.1.1'],
    blocks: ['https://9.9.9.9', 'dns 9.9.9.9', 'dns 9.9.9.9 tcp', 'ping 9.9.9.9', 'udp 93.184.216.34:7777'],
  }
  row('NET-14: deny everything, allow 1.1.1.1 and 8.8.8.0/24', async () => {
    await holds(sdk, await shared({ network: { denyOut: [kAll], allowOut: ['1.1.1.1', '8.8.8.0/24'] } }), net14)
  })

  row('NET-15: deny 8.8.8.8 only: the rest is open, and names are resolved no longer', async () => {
    const restricted = await shared({ network: { denyOut: ['8.8.8.8'] } })
    await holds(sdk, restricted, { reaches: ['https://1.1.1.1', 'udp 93.184.216.34:7777'], blocks: ['https://8.8.8.8', 'dns 8.8.8.8', 'dns 8.8.8.8 tcp', 'ping 8.8.8.8'] })
    assert.equal(await restricted.files.read('/etc/resolv.conf'), 'nameserver 8.8.8.8\n', 'the only one there is')
  })

  row('NET-16: `0.0.0.0/0` is every destination', async () => {
    await holds(sdk, await shared({ network: { denyOut: [kAll] } }), { blocks: [
      'https://1.1.1.1', 'http://198.51.100.10', 'tcp 142.250.0.1:9000 x', 'http://185.125.188.26:11371', 'udp 198.51.100.12:443', 'dns 8.8.8.8', 'ping 104.16.132.229'] })
  })

  row('NET-17: the SDK exports `ALL_TRAFFIC`; the API knows no such word', async () => {
    assert.equal(sdk.ALL_TRAFFIC, kAll)
    if (sdk.family === 'e2b') {
      const chosen = await shared({ network: { denyOut: ({ allTraffic }) => [allTraffic] } })
      assert.deepEqual((await chosen.getInfo()).network.denyOut, [kAll])
    }
    await refuses({ denyOut: ['ALL_TRAFFIC'] }, 'invalid denied CIDR ALL_TRAFFIC')
  })

  row('NET-18: an allow list alone restricts nothing', async (t) => {
    await holds(sdk, await lists(t, { allowOut: ['8.8.8.8'] }), { reaches: kOpen })
  })

  row('NET-19: empty lists restrict nothing', async (t) => {
    for (const network of [{ allowOut: [] }, { denyOut: [] }, {}]) await holds(sdk, await lists(t, network), { reaches: kOpen })
  })

  row('NET-20: a denied CIDR is denied as a whole', async (t) => {
    await holds(sdk, await lists(t, { denyOut: ['1.1.1.0/24'] }), {
      reaches: ['https://8.8.8.8', 'https://1.0.0.1', 'dns 8.8.8.8'], blocks: ['https://1.1.1.1', 'https://1.1.1.2', 'dns 1.1.1.2', 'ping 1.1.1.2'],
    })
  })

  row('NET-21: everything denied and everything allowed is everything, but for private ranges; repeated and overlapping entries, too', async (t) => {
    for (const allowOut of [[kAll], [kAll, kAll], ['8.8.8.8', kAll]]) {
      await holds(sdk, await lists(t, { allowOut, denyOut: [kAll] }), { reaches: kOpen, privates: allowOut.length === 1 ? ['tcp 10.200.0.1:80 x'] : [] })
    }
  })

  row('NET-22: ranges up to 255.255.255.255', async (t) => {
    await holds(sdk, await lists(t, { denyOut: ['240.0.0.0/4', '255.255.255.255/32', '1.1.1.1'] }), { reaches: ['https://8.8.8.8', 'udp 8.8.8.8:7777'], blocks: ['https://1.1.1.1', 'udp 1.1.1.1:7777'] })
  })

  row('NET-23: entries of one list may overlap', async (t) => {
    await holds(sdk, await lists(t, { denyOut: ['10.0.0.0/8', '10.1.0.0/16', '1.1.1.0/24', '1.1.1.1'] }), { reaches: ['https://8.8.8.8'], blocks: ['https://1.1.1.1', 'https://1.1.1.2', 'udp 1.1.1.2:7777'] })
  })

  row('NET-24: `8.8.8.9/24` is 8.8.8.0/24', async (t) => {
    await holds(sdk, await lists(t, { allowOut: ['8.8.8.9/24'], denyOut: [kAll] }), { reaches: ['https://8.8.8.8', 'https://8.8.8.4', 'udp 8.8.8.4:7777'], blocks: ['https://8.8.4.4', 'udp 8.8.4.4:7777'] })
  })

  row('NET-25: an address is every port and every protocol of it', async (t) => {
    const every = (address) => [`http://${address}`, `https://${address}`, `tcp ${address}:22`, `tcp ${address}:9000 x`, `http://${address}:8080`, `dns ${address}`, `dns ${address} tcp`, `udp ${address}:7777`, `ping ${address}`]
    await holds(sdk, await lists(t, { allowOut: ['8.8.8.8'], denyOut: [kAll] }), { reaches: every('8.8.8.8'), blocks: every('1.1.1.1') })
  })

  row('NET-54: what is in both lists is allowed', async (t) => {
    await holds(sdk, await lists(t, { allowOut: ['1.1.1.1', '8.8.8.8'], denyOut: ['1.1.1.1', '9.9.9.9', '8.8.8.8'] }), {
      reaches: ['https://1.1.1.1', 'udp 1.1.1.1:7777', 'dns 8.8.8.8'], blocks: ['https://9.9.9.9', 'udp 9.9.9.9:7777'],
    })
  })

  row('NET-55: the wider allowed range beats the narrower denied one', async (t) => {
    await holds(sdk, await lists(t, { allowOut: ['8.8.8.0/24'], denyOut: ['8.8.8.8', '8.8.4.4'] }), { reaches: ['https://8.8.8.8', 'udp 8.8.8.8:7777'], blocks: ['https://8.8.4.4', 'udp 8.8.4.4:7777'] })
  })

  row('NET-56: an allowed name beats its own denied address', async (t) => {
    await holds(sdk, await lists(t, { allowOut: ['example.com'], denyOut: [kAll, '93.184.216.34'] }), {
      reaches: ['https://example.com', 'http://example.com'], blocks: ['https://93.184.216.34', 'udp 93.184.216.34:7777'],
    })
  })

  row('NET-57: settings are given at creation and hold from the first command', async (t) => {
    const first = await lists(t, { denyOut: [kAll] })
    const { stdout } = await first.commands.run('curl -sS --max-time 5 https://1.1.1.1; echo $?')
    assert.equal(stdout, '35\n')
  })

  row('NET-58: a change replaces both lists as a whole: the fifteen steps', async (t) => {
    const changing = await lists(t, { denyOut: [kAll] })
    const put = (network) => setNetwork(sdk, changing, network)
    // What the API has and the vendor's SDK does not send.
    const access = async (allowed, rest) => assert.equal((await api('PUT', `/sandboxes/${changing.sandboxId}/network`, { allow_internet_access: allowed, ...rest })).status, 204)
    const [one, eight, four, google] = ['https://1.1.1.1', 'https://8.8.8.8', 'https://8.8.8.4', 'https://google.com']
    const step = async (change, reaches, blocks) => {
      await change()
      await holds(sdk, changing, { reaches, blocks })
    }
    await step(async () => {}, [], [one, eight])
    await step(() => put({ allowOut: ['8.8.8.8'], denyOut: [kAll] }), [eight], [one])
    await step(() => put({ allowOut: ['1.1.1.1'], denyOut: [kAll] }), [one], [eight])
    await step(() => put({ allowOut: ['8.8.8.8', '1.1.1.1'], denyOut: [kAll] }), [one, eight], [four])
    await step(() => put({ allowOut: ['8.8.8.0/24'], denyOut: [kAll] }), [eight, four], [one])
    await step(() => put({ allowOut: ['google.com'], denyOut: [kAll] }), [google], [one])
    await step(() => put({ allowOut: ['google.com', '1.1.1.1'], denyOut: [kAll] }), [google, one], [four])
    await step(() => put({ denyOut: ['8.8.8.8'] }), [one], [eight])
    await step(() => put({}), [one, eight, google], [])
    await step(() => put({ allowOut: ['1.1.1.1'], denyOut: [kAll] }), [one], [eight])
    await step(() => put({ allowOut: ['1.1.1.1'] }), [one, eight], [])
    await step(() => access(false), [], [one, eight])
    await step(() => access(true), [one, eight], [])
    await step(() => access(undefined, { denyOut: ['1.1.1.1'] }), [eight], [one])
    await step(() => put({}), [one, eight], [])
  }, { differs: 'the documentation says that settings are fixed; the SDKs have this call, and the cloud answers it' })

  row('NET-58: a change is in force for UDP when the call returns, and reading it back shows it', async (t) => {
    const changing = await lists(t, {})
    await setNetwork(sdk, changing, { allowOut: ['8.8.8.8'], denyOut: [kAll] })
    await holds(sdk, changing, { reaches: ['udp 8.8.8.8:7777', 'dns 8.8.8.8'], blocks: ['udp 1.1.1.1:7777', 'dns 9.9.9.9', 'ping 1.1.1.1'] })
    const { network } = await changing.getInfo()
    assert.deepEqual([network.allowOut, network.denyOut], [['8.8.8.8'], [kAll]])
    await setNetwork(sdk, changing, {})
    await holds(sdk, changing, { reaches: ['udp 1.1.1.1:7777', 'ping 1.1.1.1'] })
  })

  row('NET-58: a connection that the new lists deny is cut', async (t) => {
    const changing = await lists(t, {})
    const reader = await changing.commands.run(
      `python3 -c "
import socket
s = socket.create_connection(('93.184.216.34', 9000))
s.sendall(b'alive')
print(s.recv(9).decode(), flush=True)
try:
    print(s.recv(9))
except ConnectionError:
    print('cut')"`, { background: true, onStdout: () => {} })
    const until = async (text) => { while (!reader.stdout.includes(text)) await new Promise((done) => setTimeout(done, 10)) }
    await until('alive')
    await setNetwork(sdk, changing, { denyOut: ['93.184.216.34'] })
    await until('cut')
  }, { differs: 'the cloud lets established connections live' })

  row('NET-58: a connection that the new lists allow goes on, allowed by name before and by address now', async (t) => {
    const changing = await lists(t, { allowOut: ['example.com'], denyOut: [kAll] })
    await changing.files.write('/tmp/turns.py', `
import http.client, ssl, sys
c = http.client.HTTPSConnection('example.com', context=ssl.create_default_context())
c.connect()
c.auto_open = 0
for turn in sys.stdin:
    try:
        c.request('GET', '/')
        answer = c.getresponse()
        answer.read()
        print(answer.status, flush=True)
    except OSError:
        print('cut', flush=True)
`)
    const talk = await changing.commands.run('python3 /tmp/turns.py', { background: true, stdin: true, onStdout: () => {} })
    const turn = async () => {
      const before = talk.stdout.length
      await changing.commands.sendStdin(talk.pid, 'next\n')
      while (talk.stdout.length === before) await new Promise((done) => setTimeout(done, 10))
      return talk.stdout.slice(before).trim()
    }
    assert.equal(await turn(), '200')
    for (const network of [{}, { allowOut: [kAll], denyOut: [kAll] }, { allowOut: ['93.184.216.34'], denyOut: [kAll] }, { allowOut: ['*', '1.1.1.1'], denyOut: [kAll] }]) {
      await setNetwork(sdk, changing, network)
      assert.equal(await turn(), '200', JSON.stringify(network))
    }
    await talk.kill()
  })

  row('NET-58: an unknown sandbox is 404, and a refused change changes nothing', async (t) => {
    const closed = await lists(t, { denyOut: [kAll] })
    await failure(() => setNetwork(sdk, closed, { allowOut: ['example.com'] }), SandboxError, /ALL_TRAFFIC/)
    await holds(sdk, closed, { blocks: ['https://1.1.1.1', 'udp 1.1.1.1:7777'] })
    assert.equal((await api('PUT', '/sandboxes/inosuchsandboxanywhere/network', {})).status, 404)
  })

  // An emulator of its own; the SDK's settings come from its `exec`.
  row('NET-58: with `network-immutable` a change is refused', async () => {
    const { stdout } = await run(sandlot(), ['exec', '--internet', 'none', '--network-immutable', 'true', '--port', '0', '--pool', '0',
      '--', process.execPath, fileURLToPath(new URL('support/immutable.mjs', import.meta.url)), sdk.name])
    assert.match(stdout, /^refused$/m)
  })

  row('1.9: what is no address and no CIDR is refused in `denyOut`, by its own name', async () => {
    for (const entry of ['not-a-cidr', '', 'example.com', '1.2.3.4:80', '1.2.3', '1.2.3.4/33', '010.0.0.1', ' 8.8.8.8', '0.0.0.0', '0.0.0.0/8', '0.0.0.0/32', '::', '::/0', '::/128']) {
      await refuses({ denyOut: [entry] }, `invalid denied CIDR ${entry}`)
    }
    for (const entry of ['0.0.0.0', '0.0.0.0/24', '::']) await refuses({ allowOut: [entry] }, `invalid allowed address ${entry}`)
  })

  row('1.9: the length of a CIDR may have leading zeros, an address may not', async (t) => {
    await holds(sdk, await lists(t, { allowOut: ['8.8.8.0/024'], denyOut: ['0.0.0.0/0', '1.1.1.1/0032'] }), { reaches: ['https://8.8.8.4', 'udp 8.8.8.4:7777'], blocks: ['https://1.1.1.1'] })
    await holds(sdk, await lists(t, { denyOut: ['1.1.1.1/032'] }), { reaches: ['https://8.8.8.8'], blocks: ['https://1.1.1.1', 'udp 1.1.1.1:7777'] })
    await refuses({ denyOut: ['08.8.8.8/24'] }, 'invalid denied CIDR 08.8.8.8/24')
  })

  row('1.9: the first mistake is the one that is named: denied before allowed, in the order of the lists', async () => {
    await refuses({ denyOut: [kAll, 'b.test', 'a.test'], allowOut: ['0.0.0.0', 'example.com'] }, 'invalid denied CIDR b.test')
    await refuses({ denyOut: ['1.1.1.1'], allowOut: ['example.com', '::', '0.0.0.0'] }, 'invalid allowed address ::')
  })

  row('1.9: names that can never match are taken and match nothing', async (t) => {
    const allowOut = ['', 'exa mple', 'http://example.com', 'example.com:443', '1.1.1.1:443', 'a.*.com', 'x*.com', '*oogle.com', '*.', '*.*.com', '2001:db8::1']
    await holds(sdk, await lists(t, { allowOut, denyOut: [kAll] }), { blocks: ['https://example.com', 'https://google.com', 'https://1.1.1.1'] })
  })

  row('1.9: an IPv4-mapped entry is the IPv4 address', async (t) => {
    await holds(sdk, await lists(t, { allowOut: ['::ffff:8.8.8.8'], denyOut: [kAll] }), { reaches: ['https://8.8.8.8', 'dns 8.8.8.8'], blocks: ['https://1.1.1.1'] })
  }, { differs: 'in the cloud it may fail to apply' })

  row('1.9: wrong types are 400 `validation error`', async () => {
    for (const network of [null, { denyOut: '0.0.0.0/0' }, { denyOut: [1] }, { allowOut: {} }, { allowOut: [null] }, { denyOut: null }]) {
      const { status, json } = await api('POST', '/sandboxes', { templateID: 'base', network })
      assert.equal(status, 400, JSON.stringify(network))
      assert.match(json.message, /^validation error: ./)
    }
  })

  row('1.9: more than 4096 entries are refused', async () => {
    const many = Array.from({ length: 4097 }, (_, i) => `77.${i >> 8}.${i & 255}.1`)
    await refuses({ denyOut: many }, 'network lists can have at most 4096 entries')
  }, { differs: 'the cloud has no limit' })

  row('6.4: two sandboxes with opposite lists do not see each other\'s', async (t) => {
    const [a, b] = [await lists(t, { denyOut: [kAll] }), await lists(t, { denyOut: ['8.8.8.8'] })]
    await holds(sdk, a, { blocks: ['udp 8.8.8.8:7777', 'udp 1.1.1.1:7777', 'https://8.8.8.8'] })
    await holds(sdk, b, { blocks: ['udp 8.8.8.8:7777', 'https://8.8.8.8'], reaches: ['udp 1.1.1.1:7777'] })
    await setNetwork(sdk, b, { allowOut: ['8.8.8.8/32'] })
    await holds(sdk, b, { reaches: ['udp 8.8.8.8:7777', 'https://8.8.8.8'] })
    for (const found of await look(a, ['udp 8.8.8.8:7777', 'https://8.8.8.8'], 0.15)) blocked(found)
    for (const found of await look(b, ['udp 8.8.8.8:7777'])) reached(found)
  })
})
