// A sandbox as the rows see it: its address through the front door and, where a row needs it, straight to the daemon.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { domain } from '../../sdk/support/sdks.mjs'
import { exchange, stream, unary } from './wire.mjs'

export { domain }
const kPort = Number(domain.split(':')[1])
const kRelay = fileURLToPath(new URL('relay.mjs', import.meta.url))

export const frontDoor = (host) => ({ port: kPort, host: `${host}:${kPort}` })

// The control plane: the status and, if it is one, the JSON of the answer.
export async function api(method, path, body) {
  const reply = await exchange(frontDoor(`api.${domain.split(':')[0]}`), {
    method, path, headers: { 'X-API-Key': process.env.E2B_API_KEY, 'Content-Type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  })
  return { ...reply, json: reply.text ? JSON.parse(reply.text) : undefined }
}

export class Sandbox {
  static async open({ secure = false, ...options } = {}) {
    const created = await api('POST', '/sandboxes', { templateID: 'base', timeout: 120, secure, ...options })
    if (created.status !== 201) throw new Error(`create: ${created.status} ${created.text}`)
    return new Sandbox(created.json)
  }

  constructor(created) {
    this.created = created
    this.id = created.sandboxID
    this.token = created.envdAccessToken
    this.cleanup = []
    // With the token by default: rows about the token take `bare`.
    this.bare = this.at(49983)
    this.target = { ...this.bare, headers: this.token ? { 'X-Access-Token': this.token } : {} }
  }

  at(port) { return frontDoor(`${port}-${this.id}.${domain.split(':')[0]}`) }

  // The agent's pid on this machine: of the processes in the sandbox's cgroup, the one that is called envd.
  get agent() {
    this.agentPid ??= readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).find((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(this.id) &&
          readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'envd' && /^NSpid:.*\t1$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
      } catch {
        return false // gone meanwhile
      }
    })
    if (!this.agentPid) throw new Error('the agent was not found among the processes of this machine')
    return this.agentPid
  }

  descriptors() { return readdirSync(`/proc/${this.agent}/fd`).length }

  // A command as the sandbox's root, but with what a command of the sandbox itself may not do: mounting.
  inside(...argv) {
    return execFileSync('nsenter', ['-t', String(this.agent), '-U', '-m', '-S', '0', '-G', '0', ...argv], { stdio: ['ignore', 'pipe', 'pipe'] })
  }

  // The daemon itself, without the front door.
  async direct() {
    if (this.directTarget) return this.directTarget
    const folder = mkdtempSync(join(tmpdir(), 'sandlot-compat-'))
    const socketPath = join(folder, 'envd')
    const relay = spawn('nsenter', ['-t', String(this.agent), '-n', process.execPath, kRelay, socketPath], {
      stdio: ['pipe', 'pipe', 'inherit'], env: { PATH: process.env.PATH },
    })
    this.cleanup.push(() => { relay.stdin.end(); relay.unref(); rmSync(folder, { recursive: true }) })
    await new Promise((resolve, reject) => {
      relay.stdout.once('data', resolve)
      relay.once('exit', (code) => reject(new Error(`the relay ended with ${code}`)))
    })
    this.directTarget = { socketPath, host: 'localhost:49983', headers: this.target.headers }
    return this.directTarget
  }

  get(path, query, options) { return this.http('GET', path, query, options) }
  post(path, query, options) { return this.http('POST', path, query, options) }
  http(method, path, query = {}, options = {}) {
    const text = new URLSearchParams(query).toString()
    return exchange(options.target ?? this.target, { method, path: text ? `${path}?${text}` : path, ...options })
  }

  upload(query, content, { headers, ...options } = {}) {
    return this.post('/files', query, { body: content, headers: { 'Content-Type': 'application/octet-stream', ...headers }, ...options })
  }

  async write(path, content, options) {
    const reply = await this.upload({ path }, content, options)
    if (reply.status !== 200) throw new Error(`upload of ${path}: ${reply.status} ${reply.text}`)
  }

  process(method, message, options) { return unary(options?.target ?? this.target, `process.Process/${method}`, message, options) }
  files(method, message, options) { return unary(options?.target ?? this.target, `filesystem.Filesystem/${method}`, message, options) }
  start(request, options) { return stream(options?.target ?? this.target, 'process.Process/Start', request, options) }
  connect(request, options) { return stream(options?.target ?? this.target, 'process.Process/Connect', request, options) }
  watch(request, options) { return stream(options?.target ?? this.target, 'filesystem.Filesystem/WatchDir', request, options) }

  // A command that runs to its end: { pid, stdout, stderr, pty, end, messages, error }.
  async run(command, { user, headers, ...config } = {}) {
    const call = await this.start(shell(command, config), { user, headers })
    return outcome(await call.rest_of())
  }

  // A command in the background: the call and its pid.
  async background(request, options) {
    const call = await this.start(typeof request === 'string' ? shell(request) : request, options)
    const first = await call.next()
    if (!first?.event?.start) throw new Error(`no start event: ${JSON.stringify(first ?? call.endFrame)}`)
    return { call, pid: first.event.start.pid }
  }

  async close() {
    for (const action of this.cleanup.reverse()) action()
    await api('DELETE', `/sandboxes/${this.id}`)
  }
}

export const shell = (command, { stdin = false, tag, ...config } = {}) => ({
  process: { cmd: '/bin/bash', args: ['-c', command], ...config }, stdin, ...(tag === undefined ? {} : { tag }),
})

export const decode = (text) => Buffer.from(text, 'base64').toString()
export const encode = (text) => Buffer.from(text).toString('base64')

export function outcome(reply) {
  const bytes = (kind) => Buffer.concat(reply.messages.map((m) => Buffer.from(m.event?.data?.[kind] ?? '', 'base64')))
  return {
    ...reply, pid: reply.messages[0]?.event?.start?.pid, end: reply.messages.find((m) => m.event?.end)?.event.end,
    stdout: bytes('stdout').toString(), stderr: bytes('stderr').toString(), pty: bytes('pty').toString(),
  }
}
