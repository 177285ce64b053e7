// NET-48 to NET-53: what a blocked connection looks like from inside, and from outside.
import assert from 'node:assert/strict'
import { blocked, holds, kAll, look } from './support/network.mjs'
import { networkRows } from './support/rows.mjs'

networkRows(import.meta.url, 'blocked connections', (sdk, { row, shared }) => {
  const closed = () => shared({ network: { allowOut: ['8.8.8.8'], denyOut: [kAll] } })
  const tcp = (port, more = {}) => ({ kind: 'tcp', address: '93.184.216.34', port, ...more })

  const kRequest = 'GET / HTTP/1.1\r\nHost: example.com\r\n\r\n'

  row('NET-48: connect() to a blocked address succeeds at once, on every port', async () => {
    await holds(sdk, await closed(), { blocks: ['https://93.184.216.34', ...[80, 22, 12345].map((port) => `tcp 93.184.216.34:${port} ${kRequest}`)] })
    // The fastest of three, because the machine may be busy.
    const times = []
    for (let i = 0; i < 3; i++) times.push(await look(await closed(), [80, 443, 22, 12345].map((port) => tcp(port, { wait: 0.01, send: '' }))))
    for (const index of [0, 1, 2, 3]) {
      const fastest = Math.min(...times.map((found) => found[index].connectMs))
      assert.ok(fastest < 100, `${fastest} ms`)
    }
  })

  row('NET-49: on 80 and 443 it stays open until the client has said something; elsewhere it is closed at once', async () => {
    const [http, tls, ssh] = await look(await closed(), [tcp(80, { pause: 2, send: kRequest }), tcp(443, { pause: 2, send: 'x' }), tcp(22)])
    for (const found of [http, tls]) {
      blocked(found)
      assert.ok(found.ms > 1900, `closed after ${found.ms} ms`)
    }
    blocked(ssh)
    assert.ok(ssh.ms < 1000, `closed after ${ssh.ms} ms`)
  })

  row('NET-50: nothing of it is delivered: no byte, no connection, no SYN', async () => {
    const long = 'x'.repeat(600)
    const [first] = await look(await closed(), [tcp(443, { send: long }), tcp(22, { send: long }), tcp(80, { send: `GET /${long} HTTP/1.1\r\nHost: example.com\r\n\r\n` }), tcp(9000, { send: long })])
    assert.deepEqual(first.canary.counters, [])
    assert.equal(first.canary.packets, 0)
    await holds(sdk, await closed(), { blocks: [`tcp 93.184.216.34:9000 ${long}`, `tcp 93.184.216.34:80 ${kRequest}`] })
  })

  row('NET-51: only an answer tells: curl ends with 52 (http) and 35 (https), ssh and others read an end', async () => {
    const found = await look(await closed(), ['http://93.184.216.34', 'https://93.184.216.34', 'tcp 93.184.216.34:22', 'tcp 93.184.216.34:9000 x'])
    assert.deepEqual(found.slice(0, 2).map((one) => one.exit), [52, 35])
    for (const one of found) blocked(one)
    const { stdout } = await (await closed()).commands.run(`python3 -c "
import socket, ssl
try:
    ssl.create_default_context().wrap_socket(socket.create_connection(('93.184.216.34', 443)), server_hostname='example.com')
    print('handshake')
except OSError as error:
    print('no handshake')"`)
    assert.equal(stdout, 'no handshake\n')
  })

  row('NET-52: an allowed address with a closed port looks the same: the dialling comes after the accepting', async () => {
    const [web, raw] = await look(await closed(), ['http://8.8.8.8:81', 'tcp 8.8.8.8:12345'])
    assert.ok([52, 56].includes(web.exit), `curl ended with ${web.exit}`)
    assert.deepEqual([raw.connect, raw.ok], ['ok', false])
    assert.ok(['eof', 'reset'].includes(raw.end))
    assert.ok(web.seen && raw.seen, 'it was dialled')
  })

  row('NET-53: no promise: a name is judged before anything is dialled, so an allowed one works on the first attempt', async () => {
    await holds(sdk, await shared({ network: { allowOut: ['example.com'], denyOut: [kAll] } }), { reaches: ['https://example.com'] })
  })

  row('2.7: protocols in which the server speaks first work, and so does half-closing', async () => {
    const open = await shared({})
    const [ssh, echo] = await look(open, ['tcp 93.184.216.34:22', tcp(9000, { send: 'hello', half: true })])
    assert.match(ssh.text, /^SSH-2\.0-/)
    assert.match(echo.text, /hello.*after-half-close/s)
  })

  row('2.6: there is no IPv6', async () => {
    const { stdout } = await (await shared({})).commands.run('curl -sS --max-time 3 "https://[2606:4700:4700::1111]" 2>/dev/null; echo $?')
    assert.equal(stdout, '7\n')
  })
})
