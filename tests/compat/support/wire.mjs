// Requests as they are on the wire: plain HTTP/1.1, and Connect calls whose envelopes are made and read here, byte by byte.
// It knows no SDK: what an SDK would hide (a header, a frame, a missing end) is what the rows are about.
import http from 'node:http'
import net from 'node:net'
import { gunzipSync, gzipSync } from 'node:zlib'

const kCallDeadlineMs = 30_000

// A target is where requests go: { port, host } through the front door, { socketPath, host } straight to the daemon.
const address = (target) => (target.socketPath ? { socketPath: target.socketPath } : { host: '127.0.0.1', port: target.port })

// One request. `body`: Buffer or text (with a length), or an array of them (chunked, one chunk each).
export function exchange(target, { method = 'GET', path = '/', headers = {}, body, agent = false } = {}) {
  return new Promise((resolve, reject) => {
    const all = { Host: target.host, ...target.headers, ...headers }
    for (const name of Object.keys(all)) if (all[name] === undefined) delete all[name]
    if (body !== undefined && !Array.isArray(body)) all['Content-Length'] ??= Buffer.byteLength(body)
    const request = http.request({ ...address(target), method, path, headers: all, agent, setHost: false })
    request.setTimeout(kCallDeadlineMs, () => request.destroy(new Error(`no answer within ${kCallDeadlineMs} ms`)))
    request.on('error', reject)
    request.on('response', (response) => {
      const pieces = []
      const reply = () => {
        const bytes = Buffer.concat(pieces)
        return { status: response.statusCode, headers: response.headers, rawHeaders: response.rawHeaders, bytes, text: bytes.toString() }
      }
      response.on('data', (piece) => pieces.push(piece))
      response.on('end', () => resolve(reply()))
      response.on('error', (error) => resolve({ ...reply(), broken: error }))
    })
    if (Array.isArray(body)) {
      request.flushHeaders()
      for (const piece of body) request.write(piece)
      request.end()
    } else {
      request.end(body)
    }
  })
}

// Raw bytes in, everything that comes back until the other side closes (or `quietMs` pass without a byte) out.
export function raw(target, bytes, { end = false, quietMs = end ? 15_000 : 1000 } = {}) {
  return new Promise((resolve) => {
    const pieces = []
    const socket = net.connect(target.socketPath ? { path: target.socketPath } : { host: '127.0.0.1', port: target.port })
    let closed = false
    const done = () => { socket.destroy(); resolve({ bytes: Buffer.concat(pieces), text: Buffer.concat(pieces).toString('latin1'), closed }) }
    socket.setTimeout(quietMs, done)
    socket.on('connect', () => (end ? socket.end(bytes) : socket.write(bytes)))
    socket.on('data', (piece) => pieces.push(piece))
    socket.on('end', () => { closed = true })
    socket.on('error', () => { closed = true })
    socket.on('close', () => { closed = true; done() })
  })
}

export function envelope(payload, flags = 0) {
  const bytes = Buffer.from(payload)
  const head = Buffer.alloc(5)
  head[0] = flags
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

export const basic = (user, password = '') => ({ Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` })

// A unary call. `message`: an object (JSON), or bytes that are sent as they are.
export async function unary(target, method, message = {}, { codec = 'json', headers = {}, user, verb = 'POST' } = {}) {
  const body = Buffer.isBuffer(message) || typeof message === 'string' ? message : JSON.stringify(message)
  const reply = await exchange(target, {
    method: verb, path: `/${method}`, body,
    headers: { 'Content-Type': `application/${codec}`, 'Connect-Protocol-Version': '1', ...(user ? basic(user) : {}), ...headers },
  })
  if (reply.headers['content-encoding'] === 'gzip') reply.text = (reply.bytes = gunzipSync(reply.bytes)).toString()
  try { reply.json = JSON.parse(reply.text) } catch { /* not every answer is JSON */ }
  return reply
}

// A streaming call under way.
class Call {
  constructor(request) {
    this.request = request
    this.messages = [] // what arrived and was not taken yet
    this.rest = Buffer.alloc(0)
    this.waiting = []
    this.ended = false // the body is at its end, in whatever way
  }

  wake() { for (const resolve of this.waiting.splice(0)) resolve() }

  feed(piece) {
    this.rest = Buffer.concat([this.rest, piece])
    while (this.rest.length >= 5) {
      const size = this.rest.readUInt32BE(1)
      if (this.rest.length < 5 + size) break
      const flags = this.rest[0]
      let payload = this.rest.subarray(5, 5 + size)
      this.rest = this.rest.subarray(5 + size)
      if (flags & 1) payload = gunzipSync(payload)
      if (flags & 2) this.endFrame = JSON.parse(payload.toString())
      else this.messages.push(this.codec === 'json' ? JSON.parse(payload.toString()) : payload)
      if (flags & ~3) this.strange = flags
    }
    this.wake()
  }

  // The next message, or undefined at the end.
  async next(deadlineMs = kCallDeadlineMs) {
    const end = Date.now() + deadlineMs
    while (!this.messages.length) {
      if (this.ended) return undefined
      const left = end - Date.now()
      if (left <= 0) throw new Error(`no message within ${deadlineMs} ms`)
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left)
        this.waiting.push(() => { clearTimeout(timer); resolve() })
      })
    }
    return this.messages.shift()
  }

  // Everything until the end. What went wrong stands in `error` as { code, message }.
  async rest_of(deadlineMs = kCallDeadlineMs) {
    const messages = []
    for (let message; (message = await this.next(deadlineMs));) messages.push(message)
    return {
      stream: true, status: this.status, headers: this.headers, messages, endFrame: this.endFrame, broken: this.broken,
      error: this.endFrame?.error, text: this.rest.toString(),
    }
  }

  leave() { this.request.destroy() }
  send(message) { this.request.write(envelope(JSON.stringify(message))) }
  finish() { this.request.end() }
}

// Opens a streaming call and returns it when its head has arrived. `message`: an object, or bytes already in envelopes, or
// undefined to send envelopes by hand.
export function stream(target, method, message, { codec = 'json', headers = {}, user, verb = 'POST' } = {}) {
  return new Promise((resolve, reject) => {
    const all = {
      Host: target.host, ...target.headers, 'Content-Type': `application/connect+${codec}`, 'Connect-Protocol-Version': '1',
      ...(user ? basic(user) : {}), ...headers,
    }
    for (const name of Object.keys(all)) if (all[name] === undefined) delete all[name]
    const request = http.request({ ...address(target), method: verb, path: `/${method}`, headers: all, agent: false, setHost: false })
    const call = new Call(request)
    call.codec = codec
    request.on('error', (error) => { call.broken = error; call.ended = true; call.wake(); reject(error) })
    request.on('response', (response) => {
      call.status = response.statusCode
      call.headers = response.headers
      response.on('data', (piece) => (response.statusCode === 200 ? call.feed(piece) : (call.rest = Buffer.concat([call.rest, piece]))))
      response.on('end', () => { call.ended = true; call.wake() })
      response.on('error', (error) => { call.broken = error; call.ended = true; call.wake() })
      resolve(call)
    })
    if (message === undefined) request.flushHeaders()
    else request.end(Buffer.isBuffer(message) ? message : envelope(JSON.stringify(message)))
    if (message === undefined) resolve(call)
  })
}

export const gzip = (data) => gzipSync(data)

// Protobuf by hand. `fields`: [number, value] pairs; text, bytes and nested lists are length-delimited, numbers varints.
function varint(value) {
  const bytes = []
  let rest = BigInt.asUintN(64, BigInt(value))
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Buffer.from(bytes)
}

export function proto(...fields) {
  return Buffer.concat(fields.map(([number, value]) => {
    if (typeof value === 'number' || typeof value === 'boolean') return Buffer.concat([varint(number << 3), varint(Number(value))])
    const bytes = Array.isArray(value) ? proto(...value) : Buffer.from(value)
    return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes])
  }))
}

// The fields of a message: number → list of numbers or Buffers.
export function fields(bytes) {
  const found = {}
  let at = 0
  const number = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) throw new Error('a varint without an end')
      value |= BigInt(byte & 0x7f) << shift
      if (!(byte & 0x80)) return Number(value)
    }
  }
  while (at < bytes.length) {
    const key = number()
    const values = (found[key >> 3] ??= [])
    if ((key & 7) === 0) values.push(number())
    else if ((key & 7) === 2) { const size = number(); values.push(bytes.subarray(at, at += size)) }
    else throw new Error(`wire type ${key & 7}`)
  }
  return found
}

// multipart/form-data. `parts`: { name, filename, content, headers }.
export function multipart(parts, boundary = 'sandlot-boundary') {
  const pieces = []
  for (const part of parts) {
    const names = [`name="${part.name ?? 'file'}"`, ...(part.filename === undefined ? [] : [`filename="${part.filename}"`])]
    pieces.push(`--${boundary}\r\nContent-Disposition: form-data; ${names.join('; ')}\r\n${part.headers ?? ''}\r\n`, part.content, '\r\n')
  }
  pieces.push(`--${boundary}--\r\n`)
  return { body: Buffer.concat(pieces.map((piece) => Buffer.from(piece))), headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}` } }
}
