// What a sandbox reaches, and the canary's word for it. A probe is a line:
//   https://NAME[:PORT][/PATH]      curl; with " via ADDRESS" the sandbox believes the name to be there, with
//   http://ADDRESS host NAME        " host NAME" it sends this Host header
//   tcp ADDRESS:PORT [TEXT]         connects, sends the text, waits for the first bytes
//   udp ADDRESS:PORT                a datagram that is echoed
//   dns ADDRESS [tcp]               asks for a name of its own
//   ping ADDRESS
// One test at a time: the canary cannot say which sandbox a packet came from.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { domain } from './sdks.mjs'
import { get } from './sandbox.mjs'

const kProbe = readFileSync(new URL('probe.py', import.meta.url), 'utf8')
export const kAll = '0.0.0.0/0'

// Over one connection, plain: asked twice for every probe.
async function control(path, options) {
  const answer = await fetch(`http://${domain}/_sandlot/fakenet/${path}`, options)
  return { status: answer.status, text: await answer.text() }
}
const listed = await control('hosts')
export const isFake = listed.status === 200
const hosts = isFake ? JSON.parse(listed.text).hosts : []

// The control plane without an SDK: for what no SDK sends.
export async function api(method, path, body, headers = { 'X-API-Key': process.env.NOVITA_API_KEY }) {
  const answer = await get(`https://api.${domain}${path}`, {
    method, headers: { 'Content-Type': 'application/json', ...headers }, body: body === undefined ? undefined : JSON.stringify(body),
  })
  return { status: answer.status, json: answer.text ? JSON.parse(answer.text) : undefined }
}

// Where the fake internet has this name, or the address itself.
export function addressOf(name) {
  if (/^[\d.]+$/.test(name)) return name
  const wanted = name.toLowerCase().replace(/\.$/, '')
  const matches = hosts.flatMap((host) => host.names.map((pattern) => [pattern, host.addresses[0]]))
    .filter(([pattern]) => pattern === wanted || (pattern.startsWith('*.') && wanted.endsWith(pattern.slice(1))))
    .sort(([a], [b]) => a.startsWith('*') - b.startsWith('*') || b.length - a.length)
  assert.ok(matches.length, `the fake internet has no ${name}`)
  return matches[0][1]
}

// Whether something answers there; a closed port is known to the canary only.
const isServed = ({ address, port, protocol }) => {
  const host = hosts.find((one) => one.addresses.includes(address))
  return protocol === 'icmp' || (host && (protocol === 'udp' ? `udp/${port}` : `${port}`) in host.ports)
}

// The probe that a line stands for; `protocol`, `address` and `port` are where its packets would be seen.
function parse(line) {
  const [kind, target, ...rest] = line.split(' ')
  if (kind.includes('://')) {
    const url = new URL(kind)
    // As written: URL would take the final dot of a name and its case away.
    const name = kind.split('/')[2].split(':')[0]
    const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
    const arguments_ = ['-k']
    if (target === 'via') arguments_.push('--resolve', `${name}:${port}:${rest[0]}`)
    if (target === 'host') arguments_.push('-H', `Host: ${rest[0]}`)
    return { kind: 'curl', url: kind, arguments: arguments_, protocol: 'tcp', address: target === 'via' ? rest[0] : addressOf(name), port }
  }
  const [address, port] = target.split(':')
  if (kind === 'tcp') return { kind, protocol: 'tcp', address, port: Number(port), send: rest.join(' ') }
  if (kind === 'udp') return { kind, protocol: 'udp', address, port: Number(port), send: randomUUID() }
  if (kind === 'ping') return { kind, protocol: 'icmp', address, port: 0 }
  if (kind === 'dns') return { kind, protocol: rest[0] === 'tcp' ? 'tcp' : 'udp', stream: rest[0] === 'tcp', address, port: 53, name: `q-${randomUUID()}.example.com` }
  throw new Error(`no such probe: ${line}`)
}

const prepared = new Set()

// Long enough where an answer is expected. Where none is, the canary is the proof, and waiting adds nothing to it.
const kPatience = 5
const kSilence = 0.15

// Tries the probes, objects or lines, all at once. Each gets its outcome (see probe.py) and `seen`: what arrived.
export async function look(sandbox, lines, giveUp = kPatience, patience = kPatience) {
  if (!prepared.has(sandbox.sandboxId)) {
    await sandbox.files.write('/tmp/probe.py', kProbe)
    prepared.add(sandbox.sandboxId)
  }
  const probes = lines.map((line) => (typeof line === 'string' ? { line, ...parse(line) } : { line: JSON.stringify(line), protocol: 'tcp', ...line }))
  assert.equal((await control('canary', { method: 'DELETE' })).status, 200)
  const { stdout } = await sandbox.commands.run(`python3 -IS /tmp/probe.py '${JSON.stringify(probes).replaceAll("'", "'\\''")}' ${giveUp} ${patience}`)
  const canary = JSON.parse((await control('canary')).text)
  assert.equal(canary.lost, 0, 'the canary lost packets: it proves nothing')
  return JSON.parse(stdout).map((outcome, index) => {
    const { line, protocol, address, port, name, kind } = probes[index]
    const at = canary.counters.find((one) => one.protocol === protocol && one.address === address && (one.port ?? 0) === port)
    // Sandlot's own forwarder asks the same address; the name tells whose question it was.
    const seen = kind === 'dns' && address === '8.8.8.8'
      ? canary.events.some((event) => event.kind === 'query' && event.text.includes(name))
      : at !== undefined
    return { line, kind, address, port, protocol, canary, seen, ...outcome }
  })
}

const text = ({ canary, ...found }) => JSON.stringify(found)

const isSilent = (found) => found.kind === 'ping' || found.kind === 'udp' || (found.kind === 'dns' && found.protocol === 'udp')

export function reached(found) {
  assert.ok(found.ok, `not reached: ${text(found)}`)
  assert.ok(found.seen, `answered, and yet the canary saw nothing: ${text(found)}`)
}

// BLOCKED-TCP: accepted, then closed without a byte; BLOCKED-UDP: no answer. Nothing arrived, not even a SYN.
export function blocked(found) {
  assert.ok(!found.ok, `answered: ${text(found)}`)
  assert.ok(!found.seen, `something arrived: ${text(found)}`)
  if (isSilent(found)) assert.ok(found.timeout, `not silent: ${text(found)}`)
  else if (found.kind === 'dns') assert.ok(found.eof, `not closed: ${text(found)}`)
  else if (found.kind === 'curl') assert.ok((found.line.startsWith('https') ? [35] : [52, 56]).includes(found.exit), `not accepted and closed: ${text(found)}`)
  else {
    assert.equal(found.connect, 'ok', text(found))
    assert.ok(['eof', 'reset'].includes(found.end), `not closed: ${text(found)}`)
  }
}

// What the kernel throws away: not even accepted.
export function dropped(found) {
  assert.ok(!found.ok, `answered: ${text(found)}`)
  assert.ok(!found.seen, `something arrived: ${text(found)}`)
  if (found.kind === 'curl') assert.equal(found.exit, 28, text(found))
  else if (found.kind === 'tcp') assert.equal(found.connect, 'timeout', text(found))
  else assert.ok(found.timeout, text(found))
}

let free
const proved = new Set()

// The other half of every "blocked": the same request from a sandbox without any policy arrives.
async function controls(sdk, lines) {
  const missing = lines.filter((line) => !proved.has(line))
  if (!missing.length) return
  free ??= await sdk.Sandbox.create({ timeoutMs: 300_000 })
  for (const found of await look(free, missing)) {
    assert.ok(found.seen, `from a sandbox without a policy nothing arrives either: ${text(found)}`)
    if (isServed(found)) assert.ok(found.ok, `not even answered without a policy: ${text(found)}`)
    proved.add(found.line)
  }
}

// For `after`: kills the sandbox without a policy. What it proved stays proved for the rest of the file.
export async function forgetControls() {
  await free?.kill()
  free = undefined
}

// What the sandbox reaches and what not. `privates` are addresses nobody reaches: they have no positive control.
export async function holds(sdk, sandbox, { reaches = [], blocks = [], privates = [] }) {
  if (blocks.length) {
    (await look(sandbox, blocks, kSilence)).forEach(blocked)
    await controls(sdk, blocks)
  }
  if (privates.length) (await look(sandbox, privates, kSilence, kSilence)).forEach(dropped)
  if (reaches.length) (await look(sandbox, reaches)).forEach(reached)
}

// PUT /sandboxes/{id}/network under the name it has in the SDK.
export const setNetwork = (sdk, sandbox, network) =>
  sdk.family === 'novita' ? sandbox.setNetwork(network) : sandbox.updateNetwork(network)
