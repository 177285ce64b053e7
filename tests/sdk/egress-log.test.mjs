// The decision log about the ends of connections: how many bytes they carried, and why they are over.
import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { domain, eachSdk, it } from './support/sdks.mjs'
import { eventually, get, open } from './support/sandbox.mjs'

const rules = { 'api.example.com': [{ transform: { headers: { 'X-Token': 'x' } } }] }

// The one connection to this port that is on record, once it is over.
const ended = (sandbox, port) => eventually('a connection that is over', async () => {
  const lines = await (await fetch(`https://${domain}/_sandlot/sandboxes/${sandbox.sandboxId}/egress`)).json()
  const found = lines.filter((line) => line.destinationPort === port && !line.dns && !line.open)
  return found.length === 1 && found[0]
})

const python = (sandbox, program) => sandbox.commands.run(`python3 - <<'EOF'\n${program}\nEOF`)

const isFake = (await get(`https://${domain}/_sandlot/fakenet/hosts`)).status === 200

if (!isFake) {
  describe('ends of connections', { skip: 'this emulator runs without --internet fake' }, () => {})
} else {
  eachSdk('ends of connections', (sdk) => {
    it('a question to 8.8.8.8 over TCP is counted', async (t) => {
      const sandbox = await open(t, sdk)
      const { stdout } = await python(sandbox, `
import socket, struct
name = b''.join(bytes([len(label)]) + label for label in b'example.com'.split(b'.')) + b'\\0'
question = struct.pack('>HHHHHH', 7, 0x100, 1, 0, 0, 0) + name + struct.pack('>HH', 1, 1)
s = socket.create_connection(('8.8.8.8', 53))
sent = received = 0
for _ in range(2):
    s.sendall(struct.pack('>H', len(question)) + question)
    sent += 2 + len(question)
    size = 2 + struct.unpack('>H', s.recv(2, socket.MSG_WAITALL))[0]
    received += 2 + len(s.recv(size - 2, socket.MSG_WAITALL))
s.close()
print(sent, received)`)
      const { bytesOut, bytesIn, closeReason } = await ended(sandbox, 53)
      assert.deepEqual([`${bytesOut} ${bytesIn}\n`, closeReason], [stdout, 'ended'])
    })

    for (const network of sdk.family === 'e2b' ? [{}, { rules }] : [{}]) {
      it(`one that its program resets says so${network.rules ? ', with header rules too' : ''}`, async (t) => {
        const sandbox = await open(t, sdk, { network })
        await python(sandbox, `
import socket, ssl, struct
s = ssl.create_default_context().wrap_socket(socket.create_connection(('api.example.com', 443)), server_hostname='api.example.com')
s.sendall(b'GET / HTTP/1.1\\r\\nHost: api.example.com\\r\\n\\r\\n')
assert s.recv(1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
s.close()`)
        const { bytesIn, closeReason } = await ended(sandbox, 443)
        assert.equal(closeReason, 'reset')
        assert.ok(bytesIn > 0)
      })
    }

    if (sdk.family === 'e2b') it("what is answered in the server's place is not the server's", async (t) => {
      const sandbox = await open(t, sdk, { network: { rules } })
      const { stdout } = await sandbox.commands.run("curl -sS -o /dev/null -w '%{http_code}' -H 'Host: api.example.com' -H 'Content-Length: 1' -H 'Transfer-Encoding: chunked' -d x http://api.example.com/")
      assert.equal(stdout, '400')
      const { bytesOut, bytesIn, closeReason } = await ended(sandbox, 80)
      assert.deepEqual([bytesOut, bytesIn, closeReason], [0, 0, 'ended'])
    })
  })
}
