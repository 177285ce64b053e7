// What should not be sent: a clear error with the cloud's code each time, and nothing left behind.
import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { domain, eachSdk, it } from './support/sdks.mjs'
import { background, eventually, everyItem, failure, killAfter, open, ownMetadata } from './support/sandbox.mjs'

eachSdk('bad input', (sdk) => {
  const { Sandbox, SandboxError, SandboxNotFoundError, NotFoundError, InvalidArgumentError } = sdk

  for (const template of ['nope', 'no/such/template', '../../etc', 'x'.repeat(3000), 'ünïcode', 'a b']) {
    it(`the template ${JSON.stringify(template.slice(0, 20))} is unknown`, async () => {
      const metadata = ownMetadata()
      await failure(() => Sandbox.create(template, { metadata }), SandboxError, /^(400|404): ./)
      assert.deepEqual(await everyItem(Sandbox.list({ query: { metadata } })), [])
    })
  }

  it('an unknown template is 404', async () => {
    await failure(() => Sandbox.create('nope'), SandboxError, /^404: .*nope/)
    await failure(() => Sandbox.create('base:nope'), SandboxError, /^404: .*'base' with tag 'nope'/)
  })

  const wrong = [
    ['metadata with a number', { metadata: { test: 5 } }],
    ['metadata that is a list', { metadata: ['x'] }],
    ['environment with an object', { envs: { A: { b: 1 } } }],
    ['an environment name with an equals sign', { envs: { 'A=B': 'x' } }],
    ['an environment value with a NUL', { envs: { A: 'x\0y' } }],
    ['a timeout that is no number', { timeoutMs: 'soon' }],
    ['a negative timeout', { timeoutMs: -5000 }],
    ['a timeout that no integer holds', { timeoutMs: 1e300 }],
  ]
  for (const [what, options] of wrong) {
    it(`${what} is refused`, async (t) => {
      const before = new Set((await everyItem(Sandbox.list())).map((item) => item.sandboxId))
      let sandbox
      const error = await Sandbox.create(options).then((created) => { sandbox = created }, (failed) => failed)
      if (sandbox) killAfter(t, sdk, sandbox.sandboxId)
      assert.ok(error instanceof SandboxError, `accepted, or another error: ${error?.stack}`)
      assert.match(error.message, /^400: ./)
      assert.ok(before)
    })
  }

  for (const id of ['inosuchsandbox', 'UPPER', 'with-dash', 'a/b', '../x', '%41', 'x'.repeat(500), 'ü', ' ']) {
    it(`the id ${JSON.stringify(id.slice(0, 20))} is nobody's`, async () => {
      await failure(() => Sandbox.getInfo(id), Error)
      await failure(() => Sandbox.connect(id), Error)
      await failure(() => Sandbox.setTimeout(id, 1000), Error)
      const killed = await Sandbox.kill(id).catch((error) => error)
      assert.ok(killed === false || killed instanceof Error, `kill: ${killed}`)
    })
  }

  it('timeouts out of range are refused and change nothing', async (t) => {
    const sandbox = await open(t, sdk)
    const { endAt } = await sandbox.getInfo()
    for (const timeoutMs of [-60_000, 1e300]) {
      await failure(() => sandbox.setTimeout(timeoutMs), SandboxError, /^400: ./)
    }
    assert.equal((await sandbox.getInfo()).endAt.getTime(), endAt.getTime())
  })

  it('list refuses limits and tokens that are nonsense', async () => {
    const first = (options) => Sandbox.list(options).nextItems()
    for (const options of [{ limit: -1 }, { limit: 'many' }, { nextToken: 'not a token' }, { query: { state: ['sleeping'] } }]) {
      await failure(() => first(options), SandboxError, /^400: ./)
    }
  })

  it('a command line longer than the kernel takes fails without harm', async (t) => {
    const sandbox = await open(t, sdk)
    await failure(() => sandbox.commands.run(`: ${'x'.repeat(300_000)}`), SandboxError)
    assert.equal((await sandbox.commands.run('echo fine')).stdout, 'fine\n')
    assert.deepEqual(await sandbox.commands.list(), [])
  })

  it('an environment that cannot be is refused by commands', async (t) => {
    const sandbox = await open(t, sdk)
    await failure(() => sandbox.commands.run('true', { envs: { A: 'x\0y' } }), SandboxError)
    assert.equal((await sandbox.commands.run('echo fine')).stdout, 'fine\n')
  })

  it('input for a process that is gone is an error', async (t) => {
    const sandbox = await open(t, sdk)
    await failure(() => sandbox.commands.sendStdin(999_999, 'x'), NotFoundError)
    await failure(() => sandbox.commands.closeStdin(999_999), NotFoundError)
    const handle = await background(sandbox, 'sleep 600')
    await failure(() => sandbox.commands.sendStdin(handle.pid, 'x'), SandboxError, /stdin not enabled or closed/)
    await failure(() => sandbox.pty.resize(handle.pid, { cols: 1, rows: 1 }), SandboxError, /tty not assigned/)
  })

  it('paths that cannot be are refused', async (t) => {
    const sandbox = await open(t, sdk)
    await failure(() => sandbox.files.list('/tmp/\0x'), SandboxError)
    await failure(() => sandbox.files.read('/tmp/\0x'), SandboxError)
    await failure(() => sandbox.files.write(`/tmp/${'x'.repeat(300)}`, ''), SandboxError)
    await failure(() => sandbox.files.makeDir(`/tmp/${'y'.repeat(300)}`), SandboxError)
    await failure(() => sandbox.files.rename('/tmp', '/tmp/into/itself'), SandboxError)
    await failure(() => sandbox.files.write([{ path: '/tmp/same', data: '1' }, { path: '/tmp/same', data: '2' }]), InvalidArgumentError, /same path/)
    assert.equal(await sandbox.isRunning(), true)
  })

  it('a sandbox that removes its own files still answers and dies', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.commands.run('rm -rf /bin/bash /usr/bin/bash /etc/passwd', { user: 'root' })
    await failure(() => sandbox.commands.run('true'), Error)
    assert.equal(await sandbox.isRunning(), true)
    assert.equal(await Sandbox.kill(sandbox.sandboxId), true)
  })

  it('a fork bomb is held by the limit of its own sandbox', async (t) => {
    const sandbox = await open(t, sdk)
    const neighbour = await open(t, sdk)
    await sandbox.commands.run('python3 -c "import os\nwhile True:\n  try: os.fork()\n  except OSError: os._exit(0)"', { timeoutMs: 3_000 })
      .catch(() => {})
    assert.equal((await neighbour.commands.run('echo fine')).stdout, 'fine\n')
    // It may have died of it; what matters is that it can be removed.
    await Sandbox.kill(sandbox.sandboxId)
    await failure(() => Sandbox.getInfo(sandbox.sandboxId), SandboxNotFoundError)
  })

  it('memory beyond the limit kills the command, not the sandbox', async (t) => {
    const sandbox = await open(t, sdk)
    await failure(() => sandbox.commands.run('python3 -c "x = bytearray(3 << 30); print(len(x))"'), SandboxError)
    await eventually('the sandbox answers', async () => (await sandbox.commands.run('echo fine')).stdout === 'fine\n')
  })
})

// The same without an SDK, for what an SDK does not let through.
describe('bad requests', { concurrency: 4 }, () => {
  const api = (path, options = {}) =>
    fetch(`https://api.${domain}${path}`, { ...options, headers: { 'X-API-KEY': process.env.NOVITA_API_KEY, connection: 'close', ...options.headers } })
  const json = { 'Content-Type': 'application/json' }

  async function refused(response, code) {
    assert.equal(response.status, code)
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
    const body = await response.json()
    assert.equal(body.code, code)
    assert.ok(body.message.length > 0)
  }

  const bodies = [
    ['no body', undefined],
    ['an empty body', ''],
    ['half a document', '{"templateID":"base"'],
    ['something after the document', '{"templateID":"base"} x'],
    ['a list', '[]'],
    ['a number', '5'],
    ['null', 'null'],
    ['no template', '{}'],
    ['a template that is a number', '{"templateID":5}'],
    ['a timeout that is text', '{"templateID":"base","timeout":"60"}'],
    ['a timeout with a fraction', '{"templateID":"base","timeout":1.5}'],
    ['metadata that is a list', '{"templateID":"base","metadata":[1]}'],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['a document that is too deep', `{"templateID":"base","metadata":${'['.repeat(100_000)}`],
  ]
  for (const path of ['/sandboxes', '/v2/sandboxes']) {
    for (const [what, body] of bodies) {
      it(`POST ${path} with ${what} is 400`, async () => refused(await api(path, { method: 'POST', headers: json, body }), 400))
    }
  }

  it('a body beyond the limit is refused and the connection survives for others', async () => {
    const response = await api('/sandboxes', { method: 'POST', headers: json, body: `{"templateID":"${'x'.repeat(40 << 20)}"}` })
      .catch((error) => error)
    assert.ok(response instanceof Error || [400, 413].includes(response.status), `${response.status}`)
    assert.equal((await api('/health')).status, 200)
  })

  it('unknown routes and methods are JSON errors', async () => {
    await refused(await api('/no/such/route'), 404)
    await refused(await api('/sandboxes/inosuchsandbox'), 404)
    await refused(await api('/sandboxes/inosuchsandbox', { method: 'DELETE' }), 404)
    await refused(await api('/sandboxes/inosuchsandbox/timeout', { method: 'POST', headers: json, body: '{"timeout":5}' }), 404)
    const method = await api('/sandboxes/inosuchsandbox', { method: 'PATCH', headers: json, body: '{}' })
    assert.ok([404, 405].includes(method.status))
    assert.ok((await method.json()).message)
  })
})
