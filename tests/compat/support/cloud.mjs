// The REST API as its rows use it: calls, and sandboxes, volumes and snapshots that go with their area. Every answer is
// noted, field by field, for coverage.mjs.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { frontDoor, domain, Sandbox } from './sandbox.mjs'
import { exchange } from './wire.mjs'
import { inOther, kKey } from './other.mjs'
import { routes } from './sources.mjs'

const kBase = domain.split(':')[0]
export const novita = { 'X-Novita-SDK-Name': 'sdk_js', 'User-Agent': 'novita-sandbox-sdk-js/2.1.1' }
export const e2b = { 'User-Agent': 'e2b-js-sdk/2.51.0' }

const patterns = routes.map(({ method, path, key }) => ({
  method, key, literal: path.split('/').filter((part) => !part.startsWith('{')).length,
  expression: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`),
})).sort((a, b) => b.literal - a.literal)

export const routeOf = (method, path) => patterns.find((one) => one.method === method && one.expression.test(path.split('?')[0]))?.key

// endpoint -> the fields that its answers had: "a", "a.b"; lists do not count as a level.
export const seen = new Map()

function note(key, value, prefix = '') {
  if (Array.isArray(value)) for (const item of value) note(key, item, prefix)
  else if (value && typeof value === 'object') {
    for (const [name, inner] of Object.entries(value)) {
      seen.get(key).add(prefix + name)
      note(key, inner, `${prefix}${name}.`)
    }
  }
}

// One call of the API. `body` is sent as JSON, text and bytes as they are. The answer's JSON is in `json`.
export async function call(method, path, body, { headers = {}, target = frontDoor(`api.${kBase}`) } = {}) {
  const raw = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) || Array.isArray(body)
  const reply = await exchange(target, {
    method, path, body: raw ? body : JSON.stringify(body),
    headers: { 'X-API-Key': process.env.E2B_API_KEY, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
  })
  try { reply.json = reply.text ? JSON.parse(reply.text) : undefined } catch { /* a file's content */ }
  const key = routeOf(method, path)
  if (key && reply.status < 300) {
    if (!seen.has(key)) seen.set(key, new Set())
    note(key, reply.json)
  }
  return reply
}

// The same, and it must have succeeded.
export async function done(status, ...args) {
  const reply = await call(...args)
  assert.equal(reply.status, status, `${args[0]} ${args[1]}: ${reply.status} ${reply.text.slice(0, 300)}`)
  return reply
}

export const unused = (prefix) => `${prefix}-${randomBytes(6).toString('hex')}`

// About now plus so many seconds, of a time in an answer.
export function inSeconds(text, seconds, slack = 10) {
  const off = (Date.parse(text) - Date.now()) / 1000 - seconds
  assert.ok(Math.abs(off) < slack, `${text} is ${off.toFixed(1)} s off`)
}

export const kTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/

// `action` gets a call() for another emulator; what it leaves there is killed.
const elsewhere = (kind, action) => inOther(kind, async (target) => {
  const there = (method, path, body, headers) => call(method, path, body, { target, headers: { 'X-API-Key': kKey, ...headers } })
  try {
    return await action(there)
  } finally {
    for (const { sandboxID } of (await there('GET', '/v2/sandboxes')).json) await there('DELETE', `/sandboxes/${sandboxID}`)
  }
})

// What the rows of one area share.
export class Cloud {
  #sandboxes = []
  #volumes = []
  #snapshots = []
  #later = []
  #shared

  call = call
  done = done

  // A sandbox that goes with the area. Made as an SDK would: secure, by POST /sandboxes unless `path` says otherwise.
  async open({ path = '/sandboxes', headers, ...body } = {}) {
    const reply = await done(201, 'POST', path, { templateID: 'base', timeout: 120, ...body }, { headers })
    return this.adopt(reply.json)
  }

  adopt(created) {
    const sandbox = new Sandbox(created)
    this.#sandboxes.push(sandbox)
    return sandbox
  }

  // One for all rows that change nothing.
  shared() {
    this.#shared ??= this.open()
    return this.#shared
  }

  // Where two sandboxes may run, with one key, and a policy is for ever (other.mjs). `action` gets a call() for it.
  limited(action) { return elsewhere('limited', action) }
  // Where one sandbox an hour is created.
  counting(action) { return elsewhere('counting', action) }

  async detail(sandbox) { return (await done(200, 'GET', `/sandboxes/${sandbox.id}`)).json }
  async pause(sandbox, body) { await done(204, 'POST', `/sandboxes/${sandbox.id}/pause`, body) }
  async isGone(sandbox) { return (await call('GET', `/sandboxes/${sandbox.id}`)).status === 404 }

  async volume(body = {}) {
    const { json } = await done(201, 'POST', '/volumes', { name: unused('volume'), ...body })
    this.#volumes.push(json.volumeID)
    return json
  }

  async snapshot(sandbox, body = {}) {
    const reply = await done(201, 'POST', `/sandboxes/${sandbox.id}/snapshots`, body)
    this.#snapshots.push(reply.json.snapshotID)
    return reply
  }
  keepSnapshot(id) { this.#snapshots.push(id) }

  // At the end of the area, when its sandboxes have gone.
  after(action) { this.#later.push(action) }

  async close() {
    await Promise.all(this.#sandboxes.map((sandbox) => sandbox.close()))
    for (const action of this.#later) await action()
    for (const id of this.#snapshots) await call('DELETE', `/templates/${encodeURIComponent(id)}`)
    for (const id of this.#volumes) await call('DELETE', `/volumes/${id}`)
  }
}
