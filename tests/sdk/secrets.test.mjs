// Secrets: a sandbox sees a placeholder, the hosts that may have it see the value (novita-sandbox's `secretEnvs`, E2B's
// `Secret.fill` in header rules). The far end is the fake internet, which says what it was sent.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { Emulator } from './support/emulator.mjs'
import { domain, eachSdk, it } from './support/sdks.mjs'
import { api, isFake, kAll, setNetwork } from './support/network.mjs'
import { everyItem, eventually, failure, killAfter, open, run } from './support/sandbox.mjs'

const kAllowed = 'api.example.com'
const freshName = () => `test-${randomUUID()}`
const freshValue = () => `sk-live-${randomUUID()}`

// What the server at this URL saw: {name: [value, ...]}.
async function headersAt(sandbox, url, options) {
  const { stdout } = await sandbox.commands.run(`curl -sS -m 10 ${options} ${url}`)
  return JSON.parse(stdout).headers
}
const authorization = async (sandbox, url = `https://${kAllowed}/headers`, options = '-H "Authorization: Bearer $TOKEN"') =>
  (await headersAt(sandbox, url, options)).Authorization?.[0]

// What a client outside may ask the emulator about itself.
const control = async (path) => (await fetch(`https://${domain}/_sandlot/${path}`)).text()

eachSdk('secrets', (sdk) => {
  if (!isFake) return
  const { Sandbox, Secret, SecretError, SandboxError } = sdk

  // One that is deleted with its test.
  async function secret(t, options = {}) {
    const made = { name: freshName(), value: freshValue(), hosts: [kAllowed], ...options }
    const binding = await Secret.create(made)
    t.after(() => Secret.delete(made.name).catch(() => {}))
    return { ...made, binding }
  }
  const withToken = (t, { name }, options = {}) => open(t, sdk, { secretEnvs: { TOKEN: name }, ...options })

  it('are made, listed, read, replaced, deleted; no answer has the value', async (t) => {
    const { name, value, binding } = await secret(t, { hosts: ['API.example.com', '*.Example.org', 'api.example.com'], description: 'a key' })
    assert.match(binding.placeholder, /^novita_secret_[0-9a-f]{32}$/)
    assert.deepEqual({ ...binding, placeholder: '', updatedAt: '' },
      { name, hosts: ['api.example.com', '*.example.org'], placeholder: '', description: 'a key', hasSecret: true, status: 'active', updatedAt: '' })
    assert.ok(Math.abs(Date.now() - new Date(binding.updatedAt)) < 60_000)
    assert.deepEqual(await Secret.get(name), binding)
    assert.deepEqual((await Secret.list()).find((one) => one.name === name), binding)
    const replaced = await Secret.update({ name, value: freshValue(), hosts: ['c.test'] })
    assert.deepEqual({ ...replaced, updatedAt: '' }, { ...binding, hosts: ['c.test'], updatedAt: '' })
    assert.ok(!JSON.stringify([await Secret.list(), replaced]).includes('sk-live'), value)
    assert.equal(await Secret.delete(name), name)
    assert.equal((await Secret.list()).some((one) => one.name === name), false)
  })

  it('errors are 404 and 409, and change nothing', async (t) => {
    const { name, binding } = await secret(t)
    await failure(Secret.create({ name, value: 'other', hosts: ['b.test'] }), SecretError, /^409: .*already exists/)
    assert.deepEqual(await Secret.get(name), binding)
    const nobody = freshName()
    for (const call of [() => Secret.get(nobody), () => Secret.delete(nobody), () => Secret.update({ name: nobody, value: 'x', hosts: ['b.test'] })]) {
      await failure(call, SecretError, /^404: .*not found/)
    }
    await failure(Secret.create({ name: freshName(), value: 'two\nlines', hosts: ['b.test'] }), SecretError, /^400: value contains/)
  })

  it('the sandbox sees the placeholder, an allowed host the value', async (t) => {
    const made = await secret(t)
    const sandbox = await withToken(t, made)
    assert.equal((await sandbox.commands.run('echo $TOKEN')).stdout, `${made.binding.placeholder}\n`)
    assert.equal(await authorization(sandbox), `Bearer ${made.value}`)
    const both = await headersAt(sandbox, `https://${kAllowed}/headers`, '-H "X-Key: $TOKEN" -H "X-Two: $TOKEN,$TOKEN;q=$TOKEN" -H "X-Cut: ${TOKEN%?}"')
    assert.deepEqual([both['X-Key'], both['X-Two']], [[made.value], [`${made.value},${made.value};q=${made.value}`]])
    assert.deepEqual(both['X-Cut'], [made.binding.placeholder.slice(0, -1)], 'a part of it is none')
    const { stdout } = await sandbox.commands.run(`python3 -c "
import json, os, urllib.request
ask = urllib.request.Request('https://${kAllowed}/headers', headers={'X-Key': os.environ['TOKEN']})
print(json.load(urllib.request.urlopen(ask))['headers']['X-Key'][0])"`)
    assert.equal(stdout.trim(), made.value)
  })

  it('every other host gets the placeholder, under its own certificate', async (t) => {
    const made = await secret(t)
    const sandbox = await withToken(t, made)
    const held = `Bearer ${made.binding.placeholder}`
    for (const host of ['example.com', 'other.example.com', 'github.com']) {
      assert.equal(await authorization(sandbox, `https://${host}/headers`), held, host)
    }
    const issuer = async (name) => (await sandbox.commands.run(`curl -sSvo /dev/null https://${name}/ 2>&1 | grep issuer:`)).stdout
    assert.match(await issuer(kAllowed), /CN=Sandlot egress CA/)
    assert.match(await issuer('example.com'), /CN=Sandlot fake internet CA/)
    // Another Host on a connection to the allowed one.
    assert.equal(await authorization(sandbox, `https://${kAllowed}/headers`, '-H "Authorization: Bearer $TOKEN" -H "Host: other.example.com"'), held)
    // The allowed name at another's address: it is dialled where it really is.
    assert.equal(await authorization(sandbox, `https://${kAllowed}/headers`, `-H "Authorization: Bearer $TOKEN" --resolve ${kAllowed}:443:140.82.112.4`), `Bearer ${made.value}`)
  })

  it('a wildcard covers every depth below the name, and not the name', async (t) => {
    const made = await secret(t, { hosts: ['*.example.com'] })
    const sandbox = await withToken(t, made)
    for (const host of [kAllowed, 'a.b.example.com']) assert.equal(await authorization(sandbox, `https://${host}/headers`), `Bearer ${made.value}`, host)
    assert.equal(await authorization(sandbox, 'https://example.com/headers'), `Bearer ${made.binding.placeholder}`)
  })

  it('plain http, the path, the body and what is encoded stay as they are', async (t) => {
    const made = await secret(t)
    const sandbox = await withToken(t, made)
    assert.equal(await authorization(sandbox, `http://${kAllowed}/headers`), `Bearer ${made.binding.placeholder}`)
    const { stdout } = await sandbox.commands.run(`curl -sS -m 10 "https://${kAllowed}/path-$TOKEN" -d "$TOKEN"`)
    assert.match(stdout, new RegExp(`path=/path-${made.binding.placeholder} body-bytes=${made.binding.placeholder.length}`))
    assert.equal(await authorization(sandbox, `https://${kAllowed}/headers`, '-u "me:$TOKEN"'), `Basic ${btoa(`me:${made.binding.placeholder}`)}`)
  })

  it('one sandbox has several, another sandbox none of them', async (t) => {
    const one = await secret(t)
    const two = await secret(t, { hosts: ['example.org'] })
    const sandbox = await open(t, sdk, { envs: { PLAIN: 'p' }, secretEnvs: { ONE: one.name, TWO: two.name, AGAIN: one.name } })
    const sent = '-H "X-One: $ONE" -H "X-Two: $TWO" -H "X-Again: $AGAIN" -H "X-Plain: $PLAIN"'
    const at = async (host) => {
      const seen = await headersAt(sandbox, `https://${host}/headers`, sent)
      return ['X-One', 'X-Two', 'X-Again', 'X-Plain'].map((name) => seen[name][0])
    }
    assert.deepEqual(await at(kAllowed), [one.value, two.binding.placeholder, one.value, 'p'])
    assert.deepEqual(await at('example.org'), [one.binding.placeholder, two.value, one.binding.placeholder, 'p'])
    const stranger = await open(t, sdk)
    assert.equal(await authorization(stranger, `https://${kAllowed}/headers`, `-H "Authorization: ${one.binding.placeholder}"`), one.binding.placeholder)
  })

  it('a policy that denies the host denies it still', async (t) => {
    const made = await secret(t)
    const closed = await withToken(t, made, { network: { denyOut: [kAll] } })
    const { exitCode } = await run(closed, `curl -sS -m 10 --resolve ${kAllowed}:443:93.184.216.35 https://${kAllowed}/headers -H "Authorization: $TOKEN"`)
    assert.equal(exitCode, 35, 'accepted, and closed before TLS')
    const listed = await withToken(t, made, { network: { denyOut: [kAll], allowOut: [kAllowed] } })
    assert.equal(await authorization(listed), `Bearer ${made.value}`)
  })

  it('a running sandbox keeps its version through updates, deletion and changes of its network, until it is resumed', async (t) => {
    const made = await secret(t)
    const sandbox = await withToken(t, made)
    await sandbox.files.write('/tmp/ask.py', `
import http.client, json, os, ssl, sys
c = http.client.HTTPSConnection('${kAllowed}', context=ssl.create_default_context())
for line in sys.stdin:
    c.request('GET', '/headers', headers={'X-Key': os.environ['TOKEN']})
    print(json.load(c.getresponse())['headers']['X-Key'][0], flush=True)
`)
    let said = ''
    const command = await sandbox.commands.run('python3 /tmp/ask.py', { background: true, stdin: true, onStdout: (text) => { said += text } })
    const ask = async () => {
      const before = said.length
      await sandbox.commands.sendStdin(command.pid, 'next\n')
      await eventually('an answer', () => said.length > before && said.endsWith('\n'))
      return said.slice(before).trim()
    }
    assert.equal(await ask(), made.value)
    const next = freshValue()
    await Secret.update({ name: made.name, value: next, hosts: ['example.net'] })
    const keeps = async (when) => {
      assert.equal(await ask(), made.value, `${when}, on an open connection`)
      assert.equal(await authorization(sandbox), `Bearer ${made.value}`, when)
      assert.equal(await authorization(sandbox, 'https://example.net/headers'), `Bearer ${made.binding.placeholder}`, `${when}, a host of the next version`)
    }
    await keeps('updated')
    await setNetwork(sdk, sandbox, { denyOut: ['9.9.9.9/32'] })
    await keeps('with another network')
    await Sandbox.connect(sandbox.sandboxId)
    await keeps('connected to')
    const other = await withToken(t, made)
    assert.equal(await authorization(other, 'https://example.net/headers'), `Bearer ${next}`, 'one that is made now')
    await sandbox.pause()
    await Sandbox.connect(sandbox.sandboxId)
    assert.equal(await authorization(sandbox, 'https://example.net/headers'), `Bearer ${next}`, 'resumed')
    assert.equal(await authorization(sandbox), `Bearer ${made.binding.placeholder}`, 'a host that is gone')
    await Secret.delete(made.name)
    assert.equal(await authorization(sandbox, 'https://example.net/headers'), `Bearer ${next}`, 'deleted')
    // Another one of that name is not the one that the sandbox was given.
    const again = await Secret.create({ name: made.name, value: freshValue(), hosts: [kAllowed, 'example.net'] })
    assert.notEqual(again.placeholder, made.binding.placeholder)
    assert.equal(await authorization(sandbox, 'https://example.net/headers'), `Bearer ${next}`, 'made anew')
    await sandbox.pause()
    await Sandbox.connect(sandbox.sandboxId)
    for (const host of [kAllowed, 'example.net']) assert.equal(await authorization(sandbox, `https://${host}/headers`), `Bearer ${made.binding.placeholder}`, `${host}: dead`)
  })

  it('the newest version: after pause and connect, also without memory, and in a sandbox that was reset', async (t) => {
    const made = await secret(t)
    const sandbox = await withToken(t, made)
    const update = async () => {
      const value = freshValue()
      await Secret.update({ name: made.name, value, hosts: [kAllowed] })
      return `Bearer ${value}`
    }
    for (const memory of [true, false]) {
      const before = await authorization(sandbox)
      const running = await update()
      assert.equal(await authorization(sandbox), before)
      await api('POST', `/sandboxes/${sandbox.sandboxId}/pause`, { memory })
      const next = memory ? await update() : running
      await Sandbox.connect(sandbox.sandboxId)
      assert.equal(await authorization(sandbox), next, memory ? 'of the time of the resume' : 'without memory')
    }
    const next = await update()
    await sandbox.reset()
    assert.equal(await authorization(sandbox), next)
  })

  it('a sandbox that starts anew has what its secret is by then', async (t) => {
    const made = await secret(t)
    const sandbox = await withToken(t, made, { lifecycle: { onTimeout: 'pause' } })
    await api('POST', `/sandboxes/${sandbox.sandboxId}/pause`, { memory: false })
    await Secret.delete(made.name)
    const deleted = await Sandbox.connect(sandbox.sandboxId)
    assert.equal(await authorization(deleted), `Bearer ${made.binding.placeholder}`, 'without one it starts all the same')
    await api('POST', `/sandboxes/${sandbox.sandboxId}/pause`, { memory: false })
    const value = freshValue()
    const fresh = await Secret.create({ name: made.name, value, hosts: [kAllowed] })
    const again = await Sandbox.connect(sandbox.sandboxId)
    assert.equal((await again.commands.run('echo $TOKEN')).stdout, `${fresh.placeholder}\n`)
    assert.equal(await authorization(again), `Bearer ${value}`)
  })

  it('clones have it; what is made of a snapshot has not, and may be given others', async (t) => {
    const made = await secret(t)
    const other = await secret(t)
    const sandbox = await withToken(t, made)
    const next = freshValue()
    await Secret.update({ name: made.name, value: next, hosts: [kAllowed] })
    const { sandboxes } = await Sandbox.clone(sandbox.sandboxId, { count: 1 })
    for (const clone of sandboxes) killAfter(t, sdk, clone.sandboxId)
    assert.equal(await authorization(await Sandbox.connect(sandboxes[0].sandboxId)), `Bearer ${next}`)
    assert.equal(await authorization(sandbox), `Bearer ${made.value}`, 'the source stood still for a moment, and was not resumed')
    const { snapshotId } = await sandbox.createSnapshot()
    t.after(() => Sandbox.deleteSnapshot(snapshotId))
    const plain = await sdk.Sandbox.create(snapshotId)
    const given = await sdk.Sandbox.create(snapshotId, { secretEnvs: { TOKEN: other.name } })
    try {
      assert.equal((await plain.commands.run('echo "[$TOKEN]"')).stdout, '[]\n')
      assert.equal(await authorization(given), `Bearer ${other.value}`)
    } finally {
      await Promise.all([plain.kill(), given.kill()])
    }
    await Secret.delete(made.name)
    await failure(() => Sandbox.clone(sandbox.sandboxId, { count: 1 }), SandboxError, /secret '.*' not found/)
    assert.equal((await sandbox.commands.run('echo on')).stdout, 'on\n')
  })

  it('what a create asks for wrongly is 400 and makes nothing', async (t) => {
    const made = await secret(t)
    const metadata = { test: randomUUID() }
    await failure(Sandbox.create({ metadata, secretEnvs: { A: made.name, B: freshName() } }), SandboxError, /secret '.*' not found/)
    for (const [body, message] of [
      [{ envVars: { A: '1' }, secrets: { A: made.name } }, /both define/],
      [{ secrets: { '1A': made.name } }, /must be a valid sandbox environment variable name/],
      [{ secrets: { A: 'no name' } }, /secret name .* must be/],
      [{ secrets: { A: 1 } }, /must be a string/],
      [{ secrets: [made.name] }, /must be an object/],
    ]) {
      const { status, json } = await api('POST', '/sandboxes', { templateID: 'base', metadata, ...body })
      assert.equal(status, 400)
      assert.match(json.message, message)
    }
    const left = await everyItem(Sandbox.list({ query: { metadata } }))
    assert.deepEqual(left, [])
  })

  it('the value is nowhere in the sandbox, and nowhere in what the emulator says of itself', async (t) => {
    const made = await secret(t)
    const sandbox = await withToken(t, made)
    // Without looking at the answer, which says the value.
    await sandbox.commands.run(`curl -sSf -o /dev/null https://${kAllowed}/headers -H "X-Key: $TOKEN"`)
    const tail = made.value.slice(3) // so that the search does not find itself
    // In environments, command lines, everything that pid 1 is made of, and all files.
    const { stdout } = await sandbox.commands.run(`python3 - <<'EOF'
import glob, os, re
wanted = ('sk-' + '${tail}').encode()
known = os.environ['TOKEN'].encode()
found = []
holders = 0
for path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):
    if path.split('/')[2] == str(os.getpid()): continue
    try:
        text = open(path, 'rb').read()
        if wanted in text: found.append(path)
        if known in text: holders += 1
    except OSError: pass
try:
    memory = open('/proc/1/mem', 'rb', 0)
    for line in open('/proc/1/maps'):
        begin, end = (int(x, 16) for x in re.match('([0-9a-f]+)-([0-9a-f]+)', line).groups())
        try:
            memory.seek(begin)
            if wanted in memory.read(end - begin): found.append(line)
        except (OSError, ValueError, OverflowError): pass
except OSError: pass
for top in ['/etc', '/home', '/root', '/tmp', '/run', '/var']:
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            try:
                if os.path.isfile(path) and wanted in open(path, 'rb').read(): found.append(path)
            except OSError: pass
print(found, holders > 0)
EOF`, { user: 'root' })
    assert.equal(stdout.trim(), '[] True', 'no value; and the placeholder is found in that way')
    const said = {}
    for (const path of ['requests', 'state', 'metrics', `sandboxes/${sandbox.sandboxId}/egress`]) said[path] = await control(path)
    said.events = JSON.stringify((await api('GET', '/sandboxes/events?limit=100')).json)
    said.logs = JSON.stringify((await api('GET', `/sandboxes/${sandbox.sandboxId}/logs`)).json)
    said.info = JSON.stringify((await api('GET', `/sandboxes/${sandbox.sandboxId}`)).json)
    said.secrets = JSON.stringify(await Secret.list())
    assert.match(said.requests, /\/secrets/, 'the journal saw the call')
    assert.match(said[`sandboxes/${sandbox.sandboxId}/egress`], /api\.example\.com/)
    for (const [where, text] of Object.entries(said)) assert.ok(!text.includes(made.value), `in ${where}`)
  })
}, { only: 'novita' })

eachSdk('secrets of E2B', (sdk) => {
  if (!isFake || !sdk.Secret) return
  const { Sandbox, Secret, SecretError, SecretNotFoundError } = sdk

  async function secret(t, options) {
    const name = freshName()
    const value = freshValue()
    const info = await Secret.create(name, value, options)
    t.after(() => Secret.destroy(info.secretId))
    return { name, value, info }
  }
  const ruled = (t, headers, host = kAllowed) => open(t, sdk, { network: { rules: { [host]: [{ transform: { headers } }] } } })

  it('are made, found by id and by name, listed in pages, updated, destroyed once', async (t) => {
    const { name, info } = await secret(t, { metadata: { env: 'test' } })
    assert.match(info.secretId, /^sec_[0-9a-z]{26}$/)
    assert.deepEqual([info.name, info.version, info.metadata], [name, 1, { env: 'test' }])
    for (const key of [info.secretId, name, name.toUpperCase()]) assert.deepEqual(await Secret.getInfo(key), info)
    const updated = await Secret.update(info.secretId, freshValue())
    assert.deepEqual([updated.version, updated.metadata, updated.secretId], [2, { env: 'test' }, info.secretId])
    assert.deepEqual((await Secret.update(name, freshValue(), { metadata: {} })).metadata, {})
    await secret(t)
    const pages = await everyItem(Secret.list({ limit: 1 }))
    assert.equal(pages.filter((one) => one.name === name).length, 1)
    assert.ok(pages.length >= 2)
    assert.equal(await Secret.exists(name), true)
    assert.equal(await Secret.destroy(name), true)
    assert.equal(await Secret.exists(name), false)
    assert.equal(await Secret.destroy(info.secretId), false)
  })

  it('errors are of their classes, in the words of the cloud', async (t) => {
    const { name } = await secret(t)
    await failure(Secret.create(name.toUpperCase(), 'x'), SecretError, /409: Secret cannot be modified in its current state/)
    await failure(Secret.create('a.b', 'x'), SecretError, /400: Invalid secrets request/)
    await failure(Secret.create('sec_mine', 'x'), SecretError, /400: Invalid secrets request/)
    await failure(Secret.update(freshName(), 'x'), SecretNotFoundError)
    await failure(Secret.getInfo(freshName()), SecretNotFoundError)
  })

  it('a header rule is filled with the value, and shows its marker', async (t) => {
    const { name, value, info } = await secret(t)
    const headers = { Authorization: `Bearer ${Secret.fill(name)}`, 'X-Plain': 'p' }
    const sandbox = await ruled(t, headers)
    assert.equal(await authorization(sandbox, `https://${kAllowed}/headers`, '-H "Authorization: mine"'), `Bearer ${value}`)
    assert.equal(await authorization(sandbox, 'https://example.com/headers', '-H "Authorization: mine"'), 'mine')
    const { network } = await sandbox.getInfo()
    assert.deepEqual(network.rules, { [kAllowed]: [{ transform: { headers } }] })
    const next = freshValue()
    await Secret.update(info.secretId, next)
    assert.equal(await authorization(sandbox), `Bearer ${next}`)
    await sandbox.pause()
    const again = await Sandbox.connect(sandbox.sandboxId)
    assert.equal(await authorization(again), `Bearer ${next}`)
    for (const path of ['requests', `sandboxes/${sandbox.sandboxId}/egress`]) assert.ok(!(await control(path)).includes('sk-live'), path)
  })

  it('a request whose rule names no secret does not leave', async (t) => {
    const { name, info } = await secret(t)
    const sandbox = await ruled(t, { 'X-Key': Secret.fill(name) })
    const status = async () => (await sandbox.commands.run(`curl -sS -m 10 -o /dev/null -w '%{http_code}' https://${kAllowed}/headers`)).stdout
    assert.equal(await status(), '200')
    await Secret.destroy(info.secretId)
    assert.equal(await status(), '502')
    const broken = await api('POST', '/sandboxes', { templateID: 'base', network: { rules: { [kAllowed]: [{ transform: { headers: { A: '${e2b.secrets.x' } } }] } } })
    assert.deepEqual([broken.status, broken.json.message], [400, 'Network transform header contains a malformed E2B placeholder.'])
  })
}, { only: 'e2b' })

eachSdk('secrets after the end of the emulator', (sdk) => {
  const { Sandbox, Secret, SecretError } = sdk
  const emulator = new Emulator('--internet', 'fake', '--log-level', 'debug')
  before(() => emulator.start())
  after(async () => {
    await emulator.end('SIGTERM')
    emulator.remove()
  })
  // Every file of the data directory but those of the database: nothing else has a value.
  const elsewhere = (value) => readdirSync(emulator.dataDirectory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('sandlot.db'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((path) => !path.includes('/templates/') && readFileSync(path).includes(value))

  for (const signal of ['SIGKILL', 'SIGTERM']) {
    it(`${signal}: what was acknowledged is there, and a paused sandbox uses it`, async () => {
      const { connection } = emulator
      const kept = { name: freshName(), value: freshValue(), hosts: [kAllowed] }
      const gone = freshName()
      const binding = await Secret.create(kept, connection)
      await Secret.create({ ...kept, name: gone }, connection)
      const sandbox = await Sandbox.create({ ...connection, secretEnvs: { TOKEN: kept.name } })
      assert.equal(await authorization(sandbox), `Bearer ${kept.value}`)
      await sandbox.pause()
      const value = freshValue()
      await Secret.update({ ...kept, value }, connection)
      await Secret.delete(gone, connection)
      await emulator.end(signal)
      await emulator.start()
      const now = emulator.connection
      const found = await Secret.get(kept.name, now)
      assert.deepEqual({ ...found, updatedAt: '' }, { ...binding, updatedAt: '' })
      await failure(Secret.get(gone, now), SecretError, /^404/)
      const again = await Sandbox.connect(sandbox.sandboxId, now)
      assert.equal((await again.commands.run('echo $TOKEN')).stdout, `${binding.placeholder}\n`)
      assert.equal(await authorization(again), `Bearer ${value}`)
      await again.pause()
      for (const one of [kept.value, value]) {
        assert.ok(!emulator.log.includes(one), 'in the log')
        assert.deepEqual(elsewhere(one), [])
      }
      assert.match(emulator.log, /secret\.updated/)
      await Sandbox.kill(again.sandboxId, now)
      for (const suffix of ['', '-wal', '-shm']) {
        assert.equal(statSync(`${emulator.dataDirectory}/sandlot.db${suffix}`).mode & 0o777, 0o600)
      }
    })
  }
}, { concurrency: 1, only: 'novita' })
