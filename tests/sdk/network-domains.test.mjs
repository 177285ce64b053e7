// NET-26 to NET-47: names in allow lists.
import assert from 'node:assert/strict'
import { api, blocked, holds, kAll, look } from './support/network.mjs'
import { networkRows } from './support/rows.mjs'
import { failure } from './support/sandbox.mjs'

const kNeedsAll =
  "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' in deny out to block all other traffic."

networkRows(import.meta.url, 'names', (sdk, { row, sandbox, shared }) => {
  const { Sandbox, SandboxError } = sdk
  // Everything denied but these.
  const only = (...allowOut) => shared({ network: { allowOut, denyOut: [kAll] } })
  const net26 = { reaches: ['https://google.com', 'http://google.com'], blocks: ['https://cloudflare.com', 'http://cloudflare.com', 'tcp 104.16.132.229:22'] }

  row('NET-26: an allowed name is reached, others are not', async () => {
    await holds(sdk, await only('google.com'), net26)
  })

  row('NET-27: with a name the rest has to be denied', async () => {
    await failure(() => Sandbox.create({ network: { allowOut: ['google.com'] } }), SandboxError, /you must include 'ALL_TRAFFIC' in deny out/)
  })

  row('NET-28: `denyOut` takes no names', async () => {
    for (const denyOut of [['example.com'], [kAll, 'example.com'], ['*.example.com', kAll]]) {
      const name = denyOut.find((entry) => entry !== kAll)
      const error = await failure(() => Sandbox.create({ network: { denyOut } }), SandboxError)
      assert.ok(error.message.endsWith(`invalid denied CIDR ${name}`), error.message)
    }
  })

  row('NET-29: with a name in the list the nameserver 8.8.8.8 is allowed, over UDP and TCP', async () => {
    const named = await only('example.com')
    await holds(sdk, named, { reaches: ['dns 8.8.8.8', 'dns 8.8.8.8 tcp'], blocks: ['dns 1.1.1.1', 'dns 1.1.1.1 tcp'] })
    assert.equal((await named.commands.run('dig +short example.com')).stdout, '93.184.216.34\n')
  })

  row('NET-30: as a whole address, not its port 53 alone', async () => {
    await holds(sdk, await only('example.com'), { reaches: ['https://8.8.8.8', 'udp 8.8.8.8:7777', 'ping 8.8.8.8'], blocks: ['https://8.8.8.4'] })
  })

  row('NET-31: without a name in the list it is not', async () => {
    await holds(sdk, await only('1.1.1.1'), { reaches: ['https://1.1.1.1'], blocks: ['dns 8.8.8.8', 'dns 8.8.8.8 tcp', 'https://8.8.8.8'] })
  })

  row('NET-32: and the lists are shown without it', async () => {
    const { network } = await (await only('example.com')).getInfo()
    assert.deepEqual([network.allowOut, network.denyOut], [['example.com'], [kAll]])
  })

  row('NET-33: `*.mydomain.com` is every name below, at any depth', async () => {
    await holds(sdk, await only('*.mydomain.com'), { reaches: ['https://a.mydomain.com', 'http://a.mydomain.com', 'https://a.b.c.mydomain.com'], blocks: ['https://example.com'] })
  })

  row('NET-34: it is not `mydomain.com`, nor what merely ends the same', async () => {
    await holds(sdk, await only('*.mydomain.com'), { blocks: ['https://mydomain.com', 'http://mydomain.com', 'https://notmydomain.com', 'http://notmydomain.com'] })
  })

  row('NET-35: a name is not the names below it', async () => {
    await holds(sdk, await only('google.com'), { reaches: ['https://google.com'], blocks: ['https://www.google.com', 'http://www.google.com'] })
  })

  row('NET-36: a name without the literal `0.0.0.0/0` in `denyOut` is 400, in the words of the cloud', async () => {
    for (const network of [
      { allowOut: ['example.com'] }, { allowOut: ['example.com'], denyOut: ['1.0.0.0/8', '128.0.0.0/1'] }, { allowOut: ['*.example.com'], denyOut: [] },
      { allowOut: ['1.1.1.1', 'example.com'], denyOut: ['8.8.8.8'] },
    ]) {
      const { status, json } = await api('POST', '/sandboxes', { templateID: 'base', network })
      assert.deepEqual([status, json], [400, { code: 400, message: kNeedsAll }])
      const error = await failure(() => Sandbox.create({ network }), SandboxError)
      assert.ok(error.message.endsWith(kNeedsAll), error.message)
    }
  })

  row('NET-37: upper and lower case are the same', async () => {
    await holds(sdk, await only('Google.COM'), { reaches: ['https://google.com', 'http://google.com'], blocks: ['https://example.com'] })
    await holds(sdk, await only('google.com'), { reaches: ['https://GOOGLE.com', 'http://Google.Com'] })
  })

  row('NET-38: names, addresses and CIDRs in one list', async () => {
    await holds(sdk, await only('api.example.com', '*.github.com', '8.8.8.8', '198.51.100.0/24'), {
      reaches: ['https://api.example.com', 'https://api.github.com', 'https://8.8.8.8', 'https://198.51.100.10', 'udp 198.51.100.10:7777'],
      blocks: ['https://github.com', 'https://example.com', 'https://1.1.1.1', 'udp 1.1.1.1:7777'],
    })
  })

  row('NET-39: `*` is every connection that has a name, and nothing else', async () => {
    await holds(sdk, await only('*'), {
      reaches: ['https://google.com', 'http://example.com', 'https://deep.down.mydomain.com'],
      blocks: ['https://1.1.1.1', 'tcp 93.184.216.34:22', 'udp 93.184.216.34:7777', 'https://google.com:8443'],
    })
  })

  row('NET-40: names count for HTTP on port 80 (Host), on no other port', async () => {
    await holds(sdk, await only('example.com'), { reaches: ['http://example.com', 'http://93.184.216.34 host example.com'], blocks: ['http://example.com:8080', 'http://example.com:11371', 'http://example.com host google.com'] })
  })

  row('NET-41: and for TLS on port 443 (SNI), on no other port', async () => {
    await holds(sdk, await only('example.com'), { reaches: ['https://example.com'], blocks: ['https://example.com:8443'] })
  })

  row('NET-42: on other ports the addresses count', async () => {
    await holds(sdk, await only('example.com', '93.184.216.34/32'), { reaches: ['https://example.com:8443', 'http://example.com:8080', 'tcp 93.184.216.34:22'], blocks: ['tcp 93.184.216.35:22'] })
  })

  row('NET-43: UDP has no names: QUIC to an allowed name is blocked, to an allowed address is not', async () => {
    await holds(sdk, await only('example.com'), { blocks: ['udp 93.184.216.34:443'] })
    await holds(sdk, await only('example.com', '93.184.216.34/32'), { reaches: ['udp 93.184.216.34:443'] })
  })

  row('NET-44: https to an address has no name', async () => {
    await holds(sdk, await only('cloudflare.com'), { reaches: ['https://cloudflare.com'], blocks: ['https://1.1.1.1', 'https://104.16.132.229'] })
  })

  row('NET-45: a final dot makes no other name', async () => {
    await holds(sdk, await only('example.com'), { reaches: ['https://example.com.', 'http://example.com.', 'http://93.184.216.34 host example.com.'] })
    await holds(sdk, await only('example.com.'), { reaches: ['https://example.com', 'http://example.com'] })
  }, { differs: 'the cloud compares letter by letter' })

  row('NET-46: nor does a port in the Host header', async () => {
    await holds(sdk, await only('example.com'), { reaches: ['http://example.com host example.com:80'] })
  }, { differs: 'the cloud compares the port, too' })

  row('NET-47: lists hold after pause and connect', async (t) => {
    const byAddress = await sandbox(t, { network: { denyOut: [kAll], allowOut: ['1.1.1.1', '8.8.8.0/24'] } })
    const byName = await sandbox(t, { network: { allowOut: ['google.com'], denyOut: [kAll] } })
    const off = await sandbox(t, { allowInternetAccess: false })
    await Promise.all([byAddress, byName, off].map((one) => one.pause()))
    await Promise.all([byAddress, byName, off].map((one) => Sandbox.connect(one.sandboxId)))
    await holds(sdk, byAddress, { reaches: ['https://1.1.1.1', 'https://8.8.8.4', 'dns 8.8.8.8'], blocks: ['https://9.9.9.9', 'dns 9.9.9.9', 'udp 93.184.216.34:7777'] })
    await holds(sdk, byName, net26)
    await holds(sdk, off, { blocks: ['https://1.1.1.1', 'udp 1.1.1.1:7777'] })
    assert.deepEqual((await byAddress.getInfo()).network.allowOut, ['1.1.1.1', '8.8.8.0/24'])
    assert.equal((await off.getInfo()).allowInternetAccess, false)
  })

  row('2.8: an allowed name is dialled where the machine finds it, wherever the sandbox says it is', async () => {
    const [one, two, three] = await look(await only('example.com'), [
      'https://example.com via 9.9.9.9', 'http://example.com via 1.1.1.1', 'https://example.com via 203.0.113.99'])
    for (const found of [one, two, three]) {
      assert.match(found.body, /^server-ip=93\.184\.216\.34 .*host=example\.com /)
      assert.equal(found.seen, false, `${found.address} was touched`)
    }
  })

  row('2.8: a name beats an allowed address: the name\'s own address is dialled', async () => {
    const [found] = await look(await only('example.com', '9.9.9.9'), ['https://example.com via 9.9.9.9'])
    assert.match(found.body, /^server-ip=93\.184\.216\.34 /)
    assert.equal(found.seen, false)
  })

  row('2.8: to an allowed address any name may be named', async () => {
    const [found] = await look(await only('9.9.9.9'), ['https://example.com via 9.9.9.9'])
    assert.match(found.body, /^server-ip=9\.9\.9\.9 /)
  })

  row('2.8: an allowed name that is found at a private address is closed, and nothing arrives there', async () => {
    const named = await only('rebind.test', '*.rebind.test')
    const wanted = ['https://rebind.test via 1.1.1.1', 'http://rebind.test via 1.1.1.1', 'https://metadata.rebind.test via 1.1.1.1']
    for (const found of await look(named, wanted)) {
      blocked(found)
      for (const address of ['10.200.0.1', '169.254.169.254']) assert.ok(!found.canary.counters.some((one) => one.address === address), address)
    }
  })

  row('2.8: of a name with a public and a private address only the public one is dialled; one that alternates gains nothing', async () => {
    const named = await only('*.rebind.test')
    const isPrivate = (one) => one.address === '10.200.0.1'
    const [mixed] = await look(named, ['https://mixed.rebind.test via 1.1.1.1'])
    assert.match(mixed.body, /^server-ip=93\.184\.216\.34 /)
    assert.ok(!mixed.canary.counters.some(isPrivate))
    const flips = await look(named, Array.from({ length: 8 }, () => 'http://flip.rebind.test via 1.1.1.1'))
    for (const found of flips) assert.ok(found.ok ? found.body.startsWith('server-ip=93.184.216.34 ') : [52, 56].includes(found.exit), found.body)
    assert.ok(flips.some((found) => found.ok) && flips.some((found) => !found.ok), 'it did alternate')
    assert.ok(!flips[0].canary.counters.some(isPrivate))
  })

  row('2.7: where two readers could see two names, there is none', async () => {
    const http = (send) => ({ kind: 'tcp', address: '93.184.216.34', port: 80, send })
    const found = await look(await only('example.com'), [
      http('GET / HTTP/1.1\r\nHost: example.com\r\nHost: google.com\r\n\r\n'), http('GET / HTTP/1.1\r\nHost : example.com\r\n\r\n'),
      http('GET / HTTP/1.1\r\nHost: example.com google.com\r\n\r\n'), http('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      http('GET http://google.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n'), { ...http('GET / HTTP/1.1\r\nHost: example.com\r\n\r\n'), port: 443 },
    ], 0.15)
    found.forEach(blocked)
    const [absolute] = await look(await only('example.com'), [http('GET http://example.com/ HTTP/1.1\r\nHost: google.com\r\n\r\n')])
    assert.match(absolute.text, /^HTTP\/1\.1 200 .*server-ip=93\.184\.216\.34 /s)
  })

  row('2.7: a ClientHello that comes in pieces, or is longer than 4 KiB, has its name all the same', async () => {
    const { stdout } = await (await only('example.com')).commands.run(`python3 -c "
import socket, ssl
def shake(name, step, protocols):
    context = ssl.create_default_context()
    if protocols:
        context.set_alpn_protocols(protocols)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    peer = socket.create_connection(('9.9.9.9', 443), timeout=5)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        try:
            tls.do_handshake()
            return 'done'
        except ssl.SSLWantReadError:
            data = outgoing.read()
            for at in range(0, len(data), step):
                peer.sendall(data[at:at + step])
            try:
                data = peer.recv(65536)
            except ConnectionError:
                data = b''
            if not data:
                return 'closed'
            incoming.write(data)
long = [('x%03d' % i).ljust(250, 'x') for i in range(30)] + ['http/1.1']
print(shake('example.com', 7, None), shake('example.com', 65536, long), shake('example.com', 100, long), shake('google.com', 7, None))"`)
    assert.equal(stdout, 'done done done closed\n')
  }, { differs: 'the cloud looks at one record and 4 KiB' })

  row('2.3: private ranges stay dropped, whatever is allowed', async () => {
    const open = await shared({ network: { allowOut: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', '100.64.0.0/10', kAll], denyOut: [kAll] } })
    const everyone = ['10.200.0.1', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1']
    const privates = everyone.flatMap((address) => [`tcp ${address}:80 x`, `tcp ${address}:22`, `udp ${address}:7777`, `ping ${address}`])
    await holds(sdk, open, { privates: [...privates, 'https://10.200.0.1'] })
  })
})
