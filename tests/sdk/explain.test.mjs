// The decision log and `explain`, for sandboxes that the SDKs made: what a test author sees of a policy that blocks.
import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { domain, eachSdk, it } from './support/sdks.mjs'
import { eventually, get, open, run } from './support/sandbox.mjs'

const control = (path, options) => fetch(`https://${domain}/_sandlot/${path}`, options)
const log = async (id, query = '') => (await control(`sandboxes/${id}/egress?${query}`)).json()

async function explain(id, question) {
  const response = await control(`sandboxes/${id}/explain`, { method: 'POST', body: JSON.stringify(question) })
  return { status: response.status, ...(await response.json()) }
}

const isFake = (await get(`https://${domain}/_sandlot/fakenet/hosts`)).status === 200

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
}
