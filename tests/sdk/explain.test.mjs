// The decision log and `explain`, for sandboxes that the SDKs made: what a test author sees of a policy that blocks.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { after, before, describe } from 'node:test'
import { promisify } from 'node:util'
import { Emulator } from './support/emulator.mjs'
import { isFake, kAll, setNetwork } from './support/network.mjs'
import { domain, eachSdk, it } from './support/sdks.mjs'
import { background, eventually, open, run } from './support/sandbox.mjs'

const kEmulator = `https://${domain}`
const control = (path, options, base = kEmulator) => fetch(`${base}/_sandlot/${path}`, options)
const log = async (id, query = '', base) => (await control(`sandboxes/${id}/egress?${query}`, undefined, base)).json()

async function explain(id, question, base) {
  const response = await control(`sandboxes/${id}/explain`, { method: 'POST', body: JSON.stringify(question) }, base)
  return { status: response.status, ...(await response.json()) }
}

const curl = (url, options = '') => `curl -sSk -m 8 -o /dev/null ${options} ${url}`
const via = (url, address) => curl(url, `--resolve ${new URL(url).hostname}:${new URL(url).port || (url.startsWith('https') ? 443 : 80)}:${address}`)
const kJudged = ['decision', 'matchType', 'rule', 'protocol', 'destinationIP', 'destinationPort', 'serverName']

// Asks explain, does it, and compares: with what came of it and with what is on record. Returns what explain said.
async function agree(sandbox, question, command = curl(question.url), base = kEmulator) {
  const connections = async () => (await log(sandbox.sandboxId, '', base)).filter((line) => !line.dns && !line.open)
  const before = (await connections()).length
  const said = await explain(sandbox.sandboxId, question, base)
  const { exitCode } = await run(sandbox, command)
  const line = await eventually('a connection on record', async () => (await connections())[before])
  const judged = (from) => Object.fromEntries(kJudged.map((key) => [key, from[key]]))
  const about = `${JSON.stringify(question)}: ${command}`
  assert.deepEqual(judged(said), judged(line), about)
  assert.equal(said.dials[0] ?? null, line.dialed, about)
  if (said.decision === 'blocked' || line.dialed) assert.equal(exitCode === 0, said.decision === 'allowed', `${about} ends with ${exitCode}`)
  return said
}

// The network after what explain advises.
function advised({ allowOut = [], denyOut = [], ...rest }, change) {
  const quoted = [...change.matchAll(/"([^"]+)"/g)].map(([, entry]) => entry)
  const outs = [...change.matchAll(/allowOut\[(\d+)\]=/g)].map(([, index]) => Number(index))
  const isDomain = (entry) => /[^\d./]/.test(entry)
  const stays = (entry, index) => !outs.includes(index) && !(isDomain(entry) && change.includes('every domain of allowOut'))
  const opens = change.startsWith('to allow it, add to allowOut: ')
  assert.ok(opens || change.startsWith('to block it, '), change)
  return opens ? { ...rest, allowOut: [...allowOut, ...quoted], denyOut } : { ...rest, allowOut: allowOut.filter(stays), denyOut: [...denyOut, ...quoted] }
}

if (!isFake) {
  describe('decision log', { skip: 'this emulator runs without --internet fake' }, () => {})
} else {
  eachSdk('decision log', (sdk) => {
    it('names the entry that blocked, and the one that let pass', async (t) => {
      const network = { allowOut: ['api.example.com'], denyOut: ['0.0.0.0/0'] }
      const sandbox = await open(t, sdk, { network })
      await run(sandbox, 'curl -sS -m 5 https://1.1.1.1')
      await run(sandbox, 'curl -sS https://api.example.com')
      const [blocked, allowed] = await eventually('two connections on record', async () => {
        const tls = (await log(sandbox.sandboxId)).filter((line) => line.protocol === 'tls' && !line.open)
        return tls.length === 2 && tls
      })
      assert.equal(blocked.decision, 'blocked')
      assert.equal(blocked.rule, 'denyOut[0]=0.0.0.0/0')
      assert.equal(blocked.destinationIP, '1.1.1.1')
      assert.equal(blocked.dialed, null)
      assert.equal(allowed.decision, 'allowed')
      assert.equal(allowed.matchType, 'domain')
      assert.equal(allowed.rule, 'allowOut[0]=api.example.com')
      assert.equal(allowed.dialed, '93.184.216.35:443')
      assert.ok(allowed.bytesIn > 0 && allowed.bytesOut > 0)
      assert.deepEqual((await log(sandbox.sandboxId, 'decision=blocked')).map((line) => line.id), [blocked.id])
    })

    it('explain says it before anything is sent, and what to change', async (t) => {
      const sandbox = await open(t, sdk, { network: { denyOut: ['0.0.0.0/0'] } })
      const verdict = await explain(sandbox.sandboxId, { url: 'https://github.com/' })
      assert.equal(verdict.decision, 'blocked')
      assert.equal(verdict.rule, 'denyOut[0]=0.0.0.0/0')
      assert.deepEqual(verdict.trace.at(-1), { rule: 'denyOut[0]=0.0.0.0/0', matched: true })
      assert.equal(verdict.change, 'to allow it, add to allowOut: "github.com"')
      assert.equal(verdict.dns.decision, 'blocked')
      assert.deepEqual(await log(sandbox.sandboxId), [])

      const update = sdk.family === 'novita' ? 'setNetwork' : 'updateNetwork'
      await sdk.Sandbox[update](sandbox.sandboxId, { allowOut: ['github.com'], denyOut: ['0.0.0.0/0'] })
      const after = await explain(sandbox.sandboxId, { url: 'https://github.com/' })
      assert.equal(after.decision, 'allowed')
      assert.equal((await run(sandbox, 'curl -sS -o /dev/null https://github.com/')).exitCode, 0)
    })

    it('a sandbox that never was is 404, a question that cannot be meant is 400', async (t) => {
      const sandbox = await open(t, sdk)
      assert.equal((await explain('nobody', { url: 'https://example.com' })).status, 404)
      assert.equal((await explain(sandbox.sandboxId, { url: 'gopher://example.com' })).status, 400)
      assert.equal((await control('sandboxes/nobody/egress')).status, 404)
      assert.equal((await control(`sandboxes/${sandbox.sandboxId}/egress?decision=no`)).status, 400)
    })

    it('can be followed while it grows', async (t) => {
      const sandbox = await open(t, sdk)
      const stop = new AbortController()
      t.after(() => stop.abort())
      const response = await control(`sandboxes/${sandbox.sandboxId}/egress?follow=true`, { signal: stop.signal })
      assert.equal(response.headers.get('content-type'), 'application/x-ndjson')
      await run(sandbox, 'curl -s -o /dev/null http://1.1.1.1')
      let text = ''
      for await (const chunk of response.body) {
        text += Buffer.from(chunk).toString()
        if (text.includes('"open":false')) break
      }
      const line = JSON.parse(text.trimEnd().split('\n').at(-1))
      assert.equal(line.destinationIP, '1.1.1.1')
      assert.equal(line.rule, 'default')
    })
  })

  // A sandbox whose requests to example.com are changed on their way: by header rules, or where an SDK has none by a secret.
  async function changing(t, sdk, network) {
    if (sdk.family === 'e2b') {
      const rules = { 'example.com': [{ transform: { headers: { 'X-Token': 'x' } } }] }
      return [await open(t, sdk, { network: { ...network, rules } }), { ...network, rules }]
    }
    const name = `test-${randomUUID()}`
    await sdk.Secret.create({ name, value: 'v', hosts: ['example.com'] })
    t.after(() => sdk.Secret.delete(name))
    return [await open(t, sdk, { network, secretEnvs: { TOKEN: name } }), network]
  }

  eachSdk('explain agrees with what happens', (sdk) => {
    const kElsewhere = { ip: '9.9.9.9', port: 443, serverName: 'example.com' }
    const elsewhere = via('https://example.com', '9.9.9.9')

    it('where header rules or secrets name the host', async (t) => {
      const [sandbox] = await changing(t, sdk, {})
      assert.deepEqual((await agree(sandbox, kElsewhere, elsewhere)).dials, ['93.184.216.34:443'])
      assert.deepEqual((await agree(sandbox, { ...kElsewhere, serverName: 'github.com' }, via('https://github.com', '9.9.9.9'))).dials, ['9.9.9.9:443'])
      await agree(sandbox, { url: 'https://example.com' })
      await agree(sandbox, { url: 'http://example.com' })
      await agree(sandbox, { ...kElsewhere, port: 80 }, via('http://example.com', '9.9.9.9'))
    })

    it('where they name it and its own address is denied, and what is advised opens it', async (t) => {
      const expected = [
        [{ denyOut: ['93.184.216.34'] }, 'denyOut[0]=93.184.216.34'],
        [{ denyOut: ['93.184.216.34', '9.9.9.9'] }, 'denyOut[1]=9.9.9.9'],
        [{ allowOut: ['9.9.9.9'], denyOut: [kAll] }, 'denyOut[0]=0.0.0.0/0'],
      ]
      for (const [network, rule] of expected) {
        const [sandbox, sent] = await changing(t, sdk, network)
        const said = await agree(sandbox, kElsewhere, elsewhere)
        assert.deepEqual([said.decision, said.rule], ['blocked', rule])
        await setNetwork(sdk, sandbox, advised(sent, said.change))
        assert.equal((await agree(sandbox, kElsewhere, elsewhere)).decision, 'allowed', said.change)
      }
    })

    it('where a name has an internal address beside a public one, only that, or each in turn', async (t) => {
      const sandbox = await open(t, sdk, { network: { allowOut: ['*.rebind.test', 'rebind.test'], denyOut: [kAll] } })
      const said = await agree(sandbox, { url: 'https://mixed.rebind.test' }, curl('https://mixed.rebind.test', '--connect-timeout 4'))
      assert.deepEqual([said.decision, said.dials], ['allowed', ['93.184.216.34:443']])
      for (let i = 0; i < 4; i++) {
        await agree(sandbox, { ip: '1.1.1.1', port: 443, serverName: 'flip.rebind.test' }, via('https://flip.rebind.test', '1.1.1.1'))
      }
      const inside = await explain(sandbox.sandboxId, { url: 'https://rebind.test' })
      assert.deepEqual([inside.decision, inside.rule], ['blocked', 'internal'])
    })

    it('on ports and in protocols where names do not count', async (t) => {
      const sandbox = await open(t, sdk, { network: { allowOut: ['example.com'], denyOut: [kAll] } })
      for (const url of ['https://example.com', 'http://example.com', 'https://example.com:80', 'http://example.com:443', 'https://example.com:8443', 'http://93.184.216.34']) {
        await agree(sandbox, { url })
      }
      const dns = await agree(sandbox, { url: 'tcp://8.8.8.8:53' }, 'true <>/dev/tcp/8.8.8.8/53')
      assert.deepEqual([dns.rule, dns.dials], ['nameserver', []])
    })

    it('what is advised to block an allowed one blocks it, whatever else allows it', async (t) => {
      const networks = [
        [{ allowOut: ['1.1.1.1', '1.1.1.0/24'], denyOut: [kAll] }, 'https://1.1.1.1'],
        [{ allowOut: ['example.com', '93.184.216.34', '1.1.1.1'], denyOut: [kAll] }, 'https://example.com'],
        [{ allowOut: ['1.1.1.1', '1.1.0.0/16'], denyOut: ['9.9.9.9'] }, 'https://1.1.1.1'],
        [{ allowOut: ['github.com', '8.8.8.8'], denyOut: [kAll] }, 'https://8.8.8.8'],
        [{}, 'https://1.1.1.1'],
      ]
      const sandbox = await open(t, sdk)
      for (const [network, url] of networks) {
        await setNetwork(sdk, sandbox, network)
        const said = await agree(sandbox, { url })
        assert.equal(said.decision, 'allowed', url)
        await setNetwork(sdk, sandbox, advised(network, said.change))
        const after = via(url, said.destinationIP)
        const { port, serverName } = { port: said.destinationPort, serverName: said.serverName }
        assert.equal((await agree(sandbox, { ip: said.destinationIP, port, serverName }, after)).decision, 'blocked', said.change)
      }
    })

    it('schemes are known in any case', async (t) => {
      const sandbox = await open(t, sdk)
      const said = await explain(sandbox.sandboxId, { url: 'HTTPS://Example.com/' })
      assert.deepEqual([said.status, said.destinationPort], [200, 443])
    })
  })

  // Under *.localhost a sandbox finds itself, so this takes an emulator with a domain of its own.
  eachSdk("explain agrees at other sandboxes' public URLs", (sdk) => {
    const emulator = new Emulator('--internet', 'fake', '--domain', 'sandlot.test')
    before(() => emulator.start())
    after(async () => { await emulator.end('SIGTERM'); emulator.remove() })

    it('on every port that clients use, allowed and denied', async (t) => {
      const make = (network) => open(t, sdk, { ...emulator.connection, network })
      const server = await make()
      const host = `3000-${server.sandboxId}.sandlot.test`
      await background(server, 'cd /tmp && mkdir empty && cd empty && python3 -m http.server 3000')
      const asker = await make()
      await eventually('a server', async () => (await run(asker, curl(`http://${host}`, '-f'))).exitCode === 0)
      const port = new URL(emulator.base).port
      const urls = [`https://${host}`, `http://${host}`, `https://${host}:${port}`, `http://${host}:${port}`]
      const open_ = await make({ allowOut: [host], denyOut: [kAll] })
      for (const url of urls) {
        const said = await agree(open_, { url }, curl(url), emulator.base)
        assert.deepEqual([said.decision, said.matchType], ['allowed', 'domain'], url)
        await agree(asker, { url }, curl(url), emulator.base)
      }
      const closed = await make({ denyOut: [kAll] })
      for (const url of urls) {
        const said = await agree(closed, { url }, via(url, '198.18.0.1'), emulator.base)
        assert.deepEqual([said.decision, said.change], ['blocked', `to allow it, add to allowOut: "${host}"`], url)
      }
    })

    it('the command says the same', async (t) => {
      const sandbox = await open(t, sdk, { ...emulator.connection, network: { denyOut: [kAll] } })
      const sandlot = promisify(execFile).bind(undefined, process.env.SANDLOT_BINARY)
      const { stdout } = await sandlot(['explain', '--run-dir', `${emulator.directory}/run`, sandbox.sandboxId, 'HTTPS://Example.com'])
      assert.match(stdout, /^blocked: HTTPS:\/\/Example\.com \(tls 93\.184\.216\.34:443, shows the name example\.com\)\nrule: denyOut/)
    })
  })

  eachSdk('explain agrees without an internet', (sdk) => {
    const emulator = new Emulator('--internet', 'none', '--domain', 'sandlot.test')
    before(() => emulator.start())
    after(async () => { await emulator.end('SIGTERM'); emulator.remove() })

    it("where a name that is allowed is shown at the emulator's own door: nothing is dialled", async (t) => {
      const sandbox = await open(t, sdk, { ...emulator.connection, network: { allowOut: ['example.com'], denyOut: [kAll] } })
      const question = { ip: '198.18.0.1', port: 443, serverName: 'example.com' }
      const said = await agree(sandbox, question, via('https://example.com', '198.18.0.1'), emulator.base)
      assert.deepEqual([said.decision, said.dials, said.trace.at(-1).rule], ['allowed', [], 'the name has no address: nothing is dialled'])
      const [line] = await log(sandbox.sandboxId, '', emulator.base)
      assert.equal(line.closeReason, 'not connected')
      await agree(sandbox, { ip: '1.1.1.1', port: 443 }, curl('https://1.1.1.1'), emulator.base)
    })
  }, { only: 'novita' })
}
