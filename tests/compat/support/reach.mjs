// What a sandbox reaches, and which rule decided: a request into the fake internet, and the decision log's word for it.
import assert from 'node:assert/strict'
import { eventually } from '../../sdk/support/sandbox.mjs'
import { domain, frontDoor } from './sandbox.mjs'
import { exchange } from './wire.mjs'

const kBase = domain.split(':')[0]
export const kAll = '0.0.0.0/0'

export async function control(method, path, body, target = frontDoor(kBase)) {
  const reply = await exchange(target, { method, path: `/_sandlot/${path}`, body: body && JSON.stringify(body) })
  return { status: reply.status, json: reply.text ? JSON.parse(reply.text) : undefined }
}

const fetched = (s, url) => s.run(`curl -sk -m 5 -o /dev/null -w '%{http_code}' ${url}; echo " $?"`)

// "allowed" or "blocked", and the entry of the policy that said so; the request must have fared accordingly.
export async function verdict(s, url) {
  const [status, exit] = (await fetched(s, url)).stdout.trim().split(' ')
  const host = new URL(url).hostname
  const record = await eventually(`${url} is in the decision log`, async () => {
    const { json } = await control('GET', `sandboxes/${s.id}/egress`)
    return json.findLast((one) => one.destinationIP === host || one.serverName === host)
  })
  assert.equal(exit === '0' && status !== '000', record.decision === 'allowed', `${url}: curl ended with ${exit}, the log says ${JSON.stringify(record)}`)
  return { decision: record.decision, rule: record.rule }
}

export async function holds(s, expected) {
  for (const [url, decision] of Object.entries(expected)) assert.equal((await verdict(s, url)).decision, decision, url)
}
