// Section 3: watchers, as a stream (WatchDir) and polled (CreateWatcher, GetWatcherEvents, RemoveWatcher).
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../../sdk/support/sandbox.mjs'
import { area, bytes, rpc, that } from '../support/table.mjs'
import { envelope, fields, proto } from '../support/wire.mjs'

const rest_of = async (call) => (await call).rest_of()
const short = ({ type, name }) => `${type.replace('EVENT_TYPE_', '')} ${name}`

// A fresh directory that is watched, by polling: act, then the events, as "CREATE name".
async function polled(s, action, { before, ...options } = {}) {
  s.directories = (s.directories ?? 0) + 1
  const path = `/home/user/w${s.directories}`
  await s.run(`mkdir ${path}; cd ${path}; ${before ?? 'true'}`)
  const { json } = await s.files('CreateWatcher', { path, ...options })
  await action(path)
  const reply = await s.files('GetWatcherEvents', { watcherId: json.watcherId })
  assert.equal(reply.status, 200, reply.text)
  await s.files('RemoveWatcher', { watcherId: json.watcherId })
  return reply.json.events ?? []
}
const shell = (s, command) => async (path) => {
  const reply = await s.run(command, { cwd: path })
  assert.equal(reply.end.exitCode, undefined, reply.stderr)
}

for (const [title, open] of [['WatchDir', (s, request, options) => rest_of(s.watch(request, options))], ['CreateWatcher', (s, request, options) => s.files('CreateWatcher', request, options)]]) {
  area(`${title}: errors`, {}, (row) => {
    row('3.3', 'a path that is not there', rpc('not_found', 'path /nope not found: …'), (s) => open(s, { path: '/nope' }))
    row('3.3', 'a relative path that is not there', rpc('not_found', 'path /home/user/nope not found: …'), (s) => open(s, { path: 'nope' }))
    row('3.3', 'a file', rpc('invalid_argument', 'path /etc/passwd not a directory: …'), (s) => open(s, { path: '/etc/passwd' }))
    row('3.3, 1.11', '`~ghost`', rpc('invalid_argument', '…'), (s) => open(s, { path: '~ghost' }))
    row('3.3', 'an unknown user', rpc('unauthenticated', "invalid username: 'ghost'"), (s) => open(s, { path: '/tmp' }, { user: 'ghost' }))
  })
}

// A FUSE mount with a server of a few answers stands for every network file system.
const kFuseServer = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other'.encode()
if libc.mount(b'compat', sys.argv[1].encode(), b'fuse', 6, options): sys.exit(os.strerror(ctypes.get_errno()))
if os.fork(): os._exit(0)
os.setsid()
for number in range(3): os.dup2(os.open('/dev/null', os.O_RDWR), number)
while True:
    try: request = os.read(fd, 1 << 20)
    except InterruptedError: continue
    except OSError: break
    size, code, unique = struct.unpack_from('IIQ', request)
    bodies = {26: struct.pack('IIIIHHI', 7, 31, 0, 0, 0, 0, 4096) + bytes(40), 3: struct.pack('QII', 0, 0, 0) + struct.pack('QQQQQQIIIIIIIII', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 0) + bytes(4), 17: bytes(80)}
    if code in (2, 42): continue
    body = bodies.get(code)
    os.write(fd, struct.pack('IiQ', 16 + len(body or b''), 0 if body is not None else -38, unique) + (body or b''))
`
area('Watching a network file system', {}, (row) => {
  const kPath = '/mnt/net'
  const mounted = (s) => {
    if (s.networkMounted) return
    s.inside('mkdir', '-p', kPath)
    s.inside('/usr/bin/python3', '-c', kFuseServer, kPath)
    s.networkMounted = true
  }
  const kRefused = rpc('invalid_argument', `cannot watch path on network filesystem: ${kPath}`)
  row('3.3', '`WatchDir`', kRefused, (s) => { mounted(s); return rest_of(s.watch({ path: kPath })) })
  row('3.3, 3.4', '`CreateWatcher`', kRefused, (s) => { mounted(s); return s.files('CreateWatcher', { path: kPath }) })
  row('3.3', '`WatchDir` with `allowNetworkMounts`', that('`{"start":{}}`'), async (s) => {
    mounted(s)
    const call = await s.watch({ path: kPath, allowNetworkMounts: true })
    assert.deepEqual(await call.next(), { start: {} })
    call.leave()
  })
  row('3.3, 3.4', '`CreateWatcher` with `allow_network_mounts`', that('an id'), async (s) => {
    mounted(s)
    assert.match((await s.files('CreateWatcher', { path: kPath, allow_network_mounts: true })).json.watcherId, /^w/)
  })
})

area('WatchDir: the stream', { seconds: 4 }, (row) => {
  const watched = async (s, request = {}, options) => {
    const { path } = (await s.files('MakeDir', { path: `/home/user/d${(s.count = (s.count ?? 0) + 1)}` })).json.entry
    const call = await s.watch({ path, ...request }, options)
    assert.deepEqual(await call.next(), { start: {} })
    return { call, path }
  }
  row('3.3', 'a directory', that('`{"start":{}}` first; what happens after it is seen'), async (s) => {
    const { call, path } = await watched(s)
    await s.write(`${path}/f`, 'x')
    assert.deepEqual(await call.next(), { filesystem: { name: 'f', type: 'EVENT_TYPE_CREATE' } })
    call.leave()
  })
  row('2.1, 3.3', '`Keepalive-Ping-Interval: 1`', that('`{"keepalive":{}}`'), async (s) => {
    const { call } = await watched(s, {}, { headers: { 'Keepalive-Ping-Interval': '1' } })
    assert.deepEqual(await call.next(), { keepalive: {} })
    call.leave()
  })
  row('3.3', '`Connect-Timeout-Ms: 1500`', rpc('deadline_exceeded', 'context deadline exceeded'), async (s) => (await watched(s, {}, { headers: { 'Connect-Timeout-Ms': '1500' } })).call.rest_of())
  row('3.3', 'a client that leaves', that('the agent lets go of its inotify descriptor'), async (s) => {
    await pause(100)
    const before = s.descriptors()
    const { call } = await watched(s)
    call.leave()
    await eventually('it is closed', () => s.descriptors() <= before)
  })
  row('2.6', 'as `application/connect+proto`', that('start{}, then filesystem{name, type}'), async (s) => {
    const { path } = (await s.files('MakeDir', { path: '/home/user/bits' })).json.entry
    const call = await s.watch(envelope(proto([1, path])), { codec: 'proto' })
    assert.equal(fields(await call.next())[1][0].length, 0)
    await s.write(`${path}/f`, 'x')
    const event = fields(fields(await call.next())[2][0])
    assert.deepEqual([event[1].toString(), event[2]], ['f', [1]])
    call.leave()
  })
  row('3.1, 3.2', 'the directory is removed', that('REMOVE of `.`'), async (s) => {
    const { call, path } = await watched(s)
    await s.run(`rmdir ${path}`)
    assert.deepEqual(short((await call.next()).filesystem), 'REMOVE .')
    call.leave()
  })
  row('3.2', 'a tree of 3,000 directories moves in', that('its arrival alone; everything in it is under watch then'), async (s) => {
    await s.run("python3 -c 'import os\nfor i in range(30):\n for j in range(100): os.makedirs(f\"/home/user/large/{i}/{j}\")'")
    const { call, path } = await watched(s, { recursive: true })
    await s.run(`mv ~/large ${path}/large`)
    assert.deepEqual(await call.next(), { filesystem: { name: 'large', type: 'EVENT_TYPE_CREATE' } })
    await s.run(`mkdir ${path}/large/0/0/first ${path}/large/29/99/last`)
    assert.deepEqual([short((await call.next()).filesystem), short((await call.next()).filesystem)], ['CREATE large/0/0/first', 'CREATE large/29/99/last'])
    call.leave()
  })
  row('3.2', 'the directory moves away', that('RENAME of `.`'), async (s) => {
    const { call, path } = await watched(s)
    await s.run(`mv ${path} ${path}.gone`)
    assert.deepEqual(short((await call.next()).filesystem), 'RENAME .')
    call.leave()
  })
})

area('Watchers: events', {}, (row) => {
  const events = (sent, command, wanted, options = {}) => row(options.section ?? '3.1', sent, that(wanted.length ? wanted.map((one) => `\`${one}\``).join(', ') : 'nothing'), async (s) => {
    assert.deepEqual((await polled(s, typeof command === 'string' ? shell(s, command) : (path) => command(s, path), options)).map(short), wanted)
  })
  events('`mkdir d`', 'mkdir d', ['CREATE d'])
  events('`ln -s x l`', 'ln -s x l', ['CREATE l'])
  events('`rm f`', 'rm f', ['REMOVE f'], { before: 'touch f' })
  events('`rmdir d`', 'rmdir d', ['REMOVE d'], { before: 'mkdir d' })
  events('`mv f g`', 'mv f g', ['RENAME f', 'CREATE g'], { before: 'touch f' })
  events('`mv f /tmp`', 'mv f /tmp/moved-out', ['RENAME f'], { before: 'touch f' })
  events('`mv /tmp/f .`', 'mv /tmp/moved-in f', ['CREATE f'], { before: 'touch /tmp/moved-in' })
  events('`chmod 600 f`', 'chmod 600 f', ['CHMOD f'], { before: 'touch f' })
  events('`cat f`, `ls`', 'cat f; ls', [], { before: 'touch f' })
  events('`echo x >> f`', 'echo x >> f', ['WRITE f'], { before: 'touch f' })
  events('a change of the directory itself', 'chmod 700 .', ['CHMOD .'])
  events('something in a sub-directory, not recursive', 'touch d/f', [], { before: 'mkdir d', section: '3.2' })
  events('something in a sub-directory, recursive', 'mkdir d/e', ['CREATE d/e'], { before: 'mkdir d', recursive: true, section: '3.2' })
  events('a new sub-directory and, a moment later, another in it, recursive', async (s, path) => {
    await s.run(`mkdir ${path}/new`)
    await s.run(`mkdir ${path}/new/inner`)
  }, ['CREATE new', 'CREATE new/inner'], { recursive: true, section: '3.2' })
  events('a sub-directory renamed, then something in it, recursive', async (s, path) => {
    await s.run(`mv ${path}/d ${path}/e`)
    await s.run(`mkdir ${path}/e/f`)
  }, ['RENAME d', 'CREATE e', 'CREATE e/f'], { before: 'mkdir d', recursive: true, section: '3.2' })
  events('`rm -r d`, recursive', 'rm -r d', ['REMOVE d/f', 'REMOVE d'], { before: 'mkdir d; touch d/f', recursive: true, section: '3.2' })
  events('a link to a directory, recursive', 'touch /tmp/outside/f', [], { before: 'mkdir -p /tmp/outside; ln -s /tmp/outside l', recursive: true, section: '3.2' })
  events('an upload of a new file', (s, path) => s.write(`${path}/f`, 'small'), ['CREATE f', 'CHMOD f', 'WRITE f'], { section: '1.7' })
  events('an upload of an empty file', (s, path) => s.write(`${path}/f`, ''), ['CREATE f', 'CHMOD f'], { section: '1.7, 9.16' })
  row('1.7', 'an upload over a file', that('`CHMOD f`, `WRITE f` (truncated), `WRITE f`; the kernel makes one of two equal events that nobody has read yet'), async (s) => {
    const found = (await polled(s, (path) => s.write(`${path}/f`, 'new'), { before: 'echo old > f' })).map(short)
    assert.ok(['CHMOD f,WRITE f', 'CHMOD f,WRITE f,WRITE f'].includes(found.join()), found.join())
  })
  events('`MakeDir`', (s, path) => s.files('MakeDir', { path: `${path}/d` }), ['CREATE d', 'CHMOD d'], { section: '2.7, 3.1' })
  events('an upload into a watched tree, recursive', (s, path) => s.write(`${path}/d/f`, 'small'), ['CREATE d/f', 'CHMOD d/f', 'WRITE d/f'], { before: 'mkdir d', recursive: true, section: '1.7, 3.4' })
  row('3.5', '`includeEntry`', that('the entry with CREATE and WRITE; none with RENAME and REMOVE'), async (s) => {
    const found = await polled(s, async (path) => { await s.write(`${path}/f`, 'four'); await s.run('mv f g', { cwd: path }) }, { includeEntry: true })
    for (const event of found) {
      const present = event.name === 'g'
      if (present) assert.deepEqual([event.entry.name, event.entry.size, event.entry.path.startsWith('/home/user/w')], ['g', '4', true])
      if (event.type === 'EVENT_TYPE_RENAME') assert.equal(event.entry, undefined)
    }
    assert.ok(found.some((event) => event.name === 'g'))
  })
  row('3.5', 'no `includeEntry`', that('`{"name":…,"type":…}` alone'), async (s) => {
    for (const event of await polled(s, (path) => s.write(`${path}/f`, 'x'))) assert.deepEqual(Object.keys(event).sort(), ['name', 'type'])
  })
  row('3.1', '1,000 files', that('1,000 times CREATE, in order'), async (s) => {
    const found = await polled(s, shell(s, 'for i in $(seq 1000); do mkdir $i; done'))
    assert.deepEqual(found.map(short), Array.from({ length: 1000 }, (_, i) => `CREATE ${i + 1}`))
  })
})

area('Watchers: polling', { seconds: 3 }, (row) => {
  row('3.1, 3.4', 'more events than anybody should leave lying', rpc('internal', 'watcher error: …'), async (s) => {
    await s.run('mkdir /tmp/flood')
    const { watcherId } = (await s.files('CreateWatcher', { path: '/tmp/flood' })).json
    const flood = await s.run(`python3 -c '
import os
names = ["/tmp/flood/" + c * 250 for c in "ab"]
open(names[0], "w").close()
for i in range(10000):
    os.rename(names[i % 2], names[1 - i % 2])'`)
    assert.equal(flood.end.exitCode, undefined, flood.stderr)
    rpc('internal', 'watcher error: …').verify(await s.files('GetWatcherEvents', { watcherId })) // and it stays that way
    const reply = await s.files('GetWatcherEvents', { watcherId })
    assert.equal((await s.files('RemoveWatcher', { watcherId })).status, 200)
    return reply
  })
  row('3.4', '`CreateWatcher`', that('`{"watcherId":"w…"}`: w and 20 of a-z and 0-9'), async (s) => {
    const reply = await s.files('CreateWatcher', { path: '/tmp' })
    assert.deepEqual(Object.keys(reply.json), ['watcherId'])
    assert.match(reply.json.watcherId, /^w[a-z0-9]{20}$/)
    s.watcher = reply.json.watcherId
  })
  row('3.4', '`GetWatcherEvents`: nothing happened', bytes(200, '{}'), (s) => s.files('GetWatcherEvents', { watcherId: s.watcher }))
  row('3.4', '`GetWatcherEvents`, twice', that('the events, then `{}`'), async (s) => {
    await s.run('mkdir /tmp/polled')
    assert.deepEqual((await s.files('GetWatcherEvents', { watcher_id: s.watcher })).json.events.map(short), ['CREATE polled'])
    assert.equal((await s.files('GetWatcherEvents', { watcherId: s.watcher })).text, '{}')
  })
  row('3.4', '`RemoveWatcher`', bytes(200, '{}'), (s) => s.files('RemoveWatcher', { watcherId: s.watcher }))
  for (const method of ['GetWatcherEvents', 'RemoveWatcher']) {
    row('3.4', `\`${method}\` of one that is removed or never was`, rpc('not_found', 'watcher with id nope not found'), async (s) => {
      assert.equal((await s.files(method, { watcherId: s.watcher })).json.message, `watcher with id ${s.watcher} not found`)
      return s.files(method, { watcherId: 'nope' })
    })
  }
})
