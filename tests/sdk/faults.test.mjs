// Faults of one sandbox, as a test of somebody's application meets them: what its client sees, for how long, and what is
// there afterwards. The clock and the list of faults are everybody's, so these tests run one after the other.
import assert from 'node:assert/strict'
import { api } from './support/network.mjs'
import { domain, eachSdk, it } from './support/sdks.mjs'
import { background, eventually, failure, get, open, run } from './support/sandbox.mjs'

async function control(method, path, body) {
  const answer = await get(`https://${domain}/_sandlot/${path}`, { method, body: body && JSON.stringify(body) })
  return { status: answer.status, body: JSON.parse(answer.text) }
}
const faultsOf = (sandbox) => `sandboxes/${sandbox.sandboxId}/faults`

// Its description, while it lasts.
async function inflict(sandbox, fault) {
  const { status, body } = await control('POST', faultsOf(sandbox), fault)
  assert.equal(status, 201, JSON.stringify(body))
  assert.equal(body.type, fault.type)
  assert.equal(body.sandboxID, sandbox.sandboxId)
  return body
}
async function standing(sandbox) {
  const { status, body } = await control('GET', faultsOf(sandbox))
  assert.equal(status, 200)
  return body
}
const types = async (sandbox) => (await standing(sandbox)).map((fault) => fault.type)
async function heal(sandbox, removed) {
  assert.deepEqual(await control('DELETE', faultsOf(sandbox)), { status: 200, body: { removed } })
}
const kFull = /No space left on device/

eachSdk('faults of a sandbox', (sdk) => {
  const { Sandbox } = sdk
  const clock = (change) => control('POST', 'clock', change)

  it('oom: the largest process is killed, its neighbours and the sandbox go on', async (t) => {
    const sandbox = await open(t, sdk)
    assert.equal((await control('POST', faultsOf(sandbox), { type: 'oom' })).status, 409) // nobody to kill
    const small = await background(sandbox, 'exec sleep 300')
    const large = await sandbox.commands.run(`exec python3 -c '
import time
held = b"x" * (48 << 20)
print("ready", flush=True)
time.sleep(300)'`, { background: true, timeoutMs: 0 })
    const ended = large.wait().then((result) => result, (error) => error)
    await eventually('it holds its memory', () => large.stdout.includes('ready'))
    assert.deepEqual(await control('POST', faultsOf(sandbox), { type: 'oom' }), { status: 200, body: { type: 'oom' } })
    const result = await ended
    assert.notEqual(result.exitCode, 0)
    assert.match(String(result.error ?? result), /killed|signal|137|-1|9/)
    const left = (await sandbox.commands.list()).map((one) => one.pid)
    assert.deepEqual(left, [small.pid])
    assert.deepEqual(await standing(sandbox), [])
  })

  it('disk_full: nothing can be written, everything can be read, and nothing is lost', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.files.write('/home/user/kept', 'before')
    await sandbox.files.makeDir('/home/user/tree')
    await inflict(sandbox, { type: 'disk_full' })
    const full = await failure(() => sandbox.files.write('/home/user/new', 'x'), sdk.NotEnoughSpaceError)
    assert.match(full.message, /not enough disk space available/)
    await failure(() => sandbox.files.write('/home/user/kept', 'after'), sdk.NotEnoughSpaceError)
    await assert.rejects(() => sandbox.files.makeDir('/home/user/other'))
    await assert.rejects(() => sandbox.files.remove('/home/user/kept'))
    for (const command of ['echo x > /home/user/new', 'echo x >> /home/user/kept', 'sudo touch /etc/new', 'mkdir /tmp/new',
      'mv /home/user/kept /home/user/moved', 'sudo sh -c "echo x > /usr/local/bin/new"']) {
      const result = await run(sandbox, command)
      assert.notEqual(result.exitCode, 0, command)
      assert.match(result.stderr, kFull, command)
    }
    assert.match((await run(sandbox, `python3 -c 'open("/home/user/kept", "a")'`)).stderr, /Errno 28/)
    assert.equal(await sandbox.files.read('/home/user/kept'), 'before')
    assert.match((await sandbox.commands.run('df --output=pcent /home/user')).stdout, /100%/)
    assert.equal((await sandbox.commands.run('cat /home/user/kept; ls -ld /tmp | cut -c1-10; sudo id -u')).stdout, 'beforedrwxrwxrwt\n0\n')
    await heal(sandbox, 1)
    await sandbox.files.write('/home/user/new', 'x')
    await sandbox.files.write('/home/user/kept', 'after')
    assert.deepEqual((await sandbox.files.list('/home/user')).map((entry) => entry.name).filter((name) => !name.startsWith('.')).sort(), ['kept', 'new', 'tree'])
    assert.equal((await sandbox.commands.run('cat /home/user/kept')).stdout, 'after')
  })

  it('disk_full: goes through a pause, ends with its container, and no clone has it', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.files.write('/home/user/kept', 'before')
    await inflict(sandbox, { type: 'disk_full' })
    await sandbox.pause()
    const again = await Sandbox.connect(sandbox.sandboxId)
    await failure(() => again.files.write('/home/user/new', 'x'), sdk.NotEnoughSpaceError)
    const snapshot = await again.createSnapshot()
    const other = await open(t, sdk, snapshot.snapshotId)
    t.after(() => Sandbox.deleteSnapshot(snapshot.snapshotId)) // after the sandbox
    assert.equal(await other.files.read('/home/user/kept'), 'before')
    await other.files.write('/home/user/new', 'x')
    assert.deepEqual(await standing(other), [])
    assert.equal((await api('POST', `/sandboxes/${sandbox.sandboxId}/pause`, { memory: false })).status, 204)
    assert.deepEqual(await types(sandbox), [])
    const anew = await Sandbox.connect(sandbox.sandboxId)
    await anew.files.write('/home/user/new', 'x')
    assert.equal(await anew.files.read('/home/user/kept'), 'before')
  })

  it('disk_full: a volume is no part of the disk, and none can be added meanwhile', async (t) => {
    const name = `full-${Date.now()}-${sdk.family}-${sdk.name.replace(/\W/g, '')}`
    const volume = await sdk.Volume.create(name)
    const sandbox = await open(t, sdk, { volumeMounts: { '/home/user/data': volume } })
    t.after(() => sdk.Volume.destroy(volume.volumeId)) // after the sandbox
    await sandbox.files.write('/home/user/data/kept', 'before')
    await inflict(sandbox, { type: 'disk_full' })
    await sandbox.files.write('/home/user/data/new', 'x')
    assert.equal(await sandbox.files.read('/home/user/data/kept'), 'before')
    await failure(() => sandbox.files.write('/home/user/new', 'x'), sdk.NotEnoughSpaceError)
    if (sdk.family === 'novita') await failure(() => sandbox.mountVolume(name, '/home/user/more'), sdk.SandboxError, /the disk is full, by a fault/)
    await heal(sandbox, 1)
    assert.equal(await sandbox.files.read('/home/user/data/new'), 'x')
  })

  it('bandwidth: the internet is as slow as said, both ways, and fast again', async (t) => {
    const sandbox = await open(t, sdk)
    const timed = async (bytes, way) => {
      const { stdout } = await sandbox.commands.run(`python3 -c '
import socket, time
connection = socket.create_connection(("1.1.1.1", 9000))
begin = time.time()
sent = b"x" * ${bytes}
import threading
threading.Thread(target=lambda: (connection.sendall(sent), connection.shutdown(1))).start()
count = 0
while data := connection.recv(65536): count += len(data)
print(count, time.time() - begin)'`)
      const [count, seconds] = stdout.trim().split(' ').map(Number)
      assert.ok(count > 0, way)
      return seconds
    }
    assert.ok(await timed(200_000) < 1.5)
    const made = await inflict(sandbox, { type: 'bandwidth', bytesPerSecond: 100_000 })
    assert.equal(made.bytesPerSecond, 100_000)
    const slow = await timed(200_000)
    assert.ok(slow > 1.5 && slow < 15, `${slow} s for 200 kB at 100 kB/s`)
    await inflict(sandbox, { type: 'bandwidth', bytesPerSecond: 50_000_000 })
    assert.deepEqual((await standing(sandbox)).map((fault) => fault.bytesPerSecond), [50_000_000])
    assert.ok(await timed(200_000) < 1.5)
    await inflict(sandbox, { type: 'bandwidth', bytesPerSecond: 100_000 })
    await heal(sandbox, 1)
    assert.ok(await timed(200_000) < 1.5)
    assert.equal((await control('POST', faultsOf(sandbox), { type: 'bandwidth', bytesPerSecond: 1 })).status, 400)
  })

  it('dns_nxdomain: names in the list do not exist, for as many questions as said', async (t) => {
    const sandbox = await open(t, sdk)
    const other = await open(t, sdk)
    const resolves = async (name, where = sandbox) => (await run(where, `python3 -c 'import socket; print(socket.gethostbyname("${name}"))'`)).exitCode === 0
    assert.equal(await resolves('example.com'), true)
    await inflict(sandbox, { type: 'dns_nxdomain', names: ['example.com', '*.github.com'] })
    assert.equal(await resolves('example.com'), false)
    assert.equal(await resolves('api.github.com'), false)
    assert.equal(await resolves('github.com'), true)
    assert.equal(await resolves('example.com', other), true)
    const answer = await run(sandbox, `python3 -c '
import socket
query = b"\\x12\\x34\\x01\\x00\\x00\\x01" + bytes(6) + b"\\x07eXample\\x03com\\x00\\x00\\x01\\x00\\x01"
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.settimeout(5); udp.sendto(query, ("8.8.8.8", 53))
print(udp.recv(512)[3] & 15)'`)
    assert.equal(answer.stdout, '3\n')
    assert.ok((await standing(sandbox))[0].hits >= 3)
    await heal(sandbox, 1)
    assert.equal(await resolves('example.com'), true)
    // Every name; once (a question for an IPv4 address alone is one question).
    await inflict(sandbox, { type: 'dns_nxdomain', times: 1 })
    assert.equal(await resolves('example.com'), false)
    assert.equal(await resolves('example.com'), true)
    assert.equal((await control('POST', faultsOf(sandbox), { type: 'dns_nxdomain', names: ['http://x'] })).status, 400)
  })

  it('a fault ends when its time is up, by the emulator\'s clock', async (t) => {
    t.after(() => clock({ reset: true }))
    const sandbox = await open(t, sdk, { timeoutMs: 3_600_000 })
    await inflict(sandbox, { type: 'disk_full', durationMs: 600_000 })
    await inflict(sandbox, { type: 'dns_nxdomain', durationMs: 1_200_000 })
    const { until } = await inflict(sandbox, { type: 'latency', latencyMs: 300, durationMs: 600_000 })
    assert.ok(Math.abs(new Date(until) - Date.now() - 600_000) < 60_000)
    await clock({ advance: '9m' })
    assert.deepEqual(await types(sandbox), ['disk_full', 'dns_nxdomain', 'latency'])
    await clock({ advance: '2m' })
    await eventually('two have ended', async () => (await types(sandbox)).length === 1)
    await sandbox.files.write('/home/user/new', 'x')
    await clock({ advance: '10m' })
    await eventually('all have ended', async () => !(await types(sandbox)).length)
    await inflict(sandbox, { type: 'freeze', durationMs: 600_000 })
    await assert.rejects(() => sandbox.files.read('/etc/hostname', { requestTimeoutMs: 300 }))
    await clock({ advance: '11m' })
    await eventually('it goes on', () => sandbox.files.read('/home/user/new', { requestTimeoutMs: 300 }))
    assert.deepEqual(await types(sandbox), [])
  })

  it('faults are listed and removed one by one, with those of others left alone', async (t) => {
    const [one, two] = [await open(t, sdk), await open(t, sdk)]
    const slow = await inflict(one, { type: 'bandwidth', bytesPerSecond: 100_000 })
    const frozen = await inflict(two, { type: 'freeze' })
    const all = (await control('GET', 'faults')).body
    assert.deepEqual(all.map((fault) => [fault.id, fault.type]), [[slow.id, 'bandwidth'], [frozen.id, 'freeze']])
    assert.equal((await control('DELETE', `faults/${frozen.id}`)).body.removed, 1)
    await two.files.read('/etc/hostname')
    assert.equal((await control('DELETE', `faults/${frozen.id}`)).status, 404)
    assert.deepEqual(await types(one), ['bandwidth'])
    assert.deepEqual(await control('DELETE', 'faults'), { status: 200, body: { removed: 1 } })
    assert.deepEqual((await control('GET', 'faults')).body, [])
  })

  it('a pause ends a freeze with its resume, and a kill ends everything', async (t) => {
    const sandbox = await open(t, sdk)
    await inflict(sandbox, { type: 'freeze' })
    await inflict(sandbox, { type: 'bandwidth', bytesPerSecond: 100_000 })
    await sandbox.pause()
    for (const type of ['oom', 'disk_full']) assert.equal((await control('POST', faultsOf(sandbox), { type })).status, 409, type)
    await Sandbox.connect(sandbox.sandboxId)
    assert.deepEqual(await types(sandbox), ['bandwidth'])
    await sandbox.kill()
    assert.equal((await control('GET', faultsOf(sandbox))).status, 404)
    assert.deepEqual((await control('GET', 'faults')).body, [])
    for (const type of ['oom', 'disk_full', 'dns_nxdomain', 'freeze']) assert.equal((await control('POST', faultsOf(sandbox), { type })).status, 404, type)
  })
}, { concurrency: 1 })
