// Sections 2.6, 2.7 and 4: filesystem.Filesystem without its watchers, and what an entry looks like.
import assert from 'node:assert/strict'
import { area, bytes, rpc, that } from '../support/table.mjs'

const stat = async (s, path, options) => {
  const reply = await s.files('Stat', { path }, options)
  assert.equal(reply.status, 200, reply.text)
  return reply.json.entry
}
const paths = async (s, request, options) => {
  const reply = await s.files('ListDir', request, options)
  assert.equal(reply.status, 200, reply.text)
  return (reply.json.entries ?? []).map((entry) => entry.path)
}

area('Filesystem: Stat, MakeDir, Move, Remove', {}, (row) => {
  for (const [method, request] of [['Stat', { path: '/' }], ['MakeDir', { path: '/tmp/x' }], ['Move', { source: '/tmp/x', destination: '/tmp/y' }], ['ListDir', { path: '/' }], ['Remove', { path: '/tmp/x' }]]) {
    row('2.7', `\`${method}\` as an unknown user`, rpc('unauthenticated', "invalid username: 'ghost'"), (s) => s.files(method, request, { user: 'ghost' }))
  }
  for (const [method, request] of [['Stat', { path: '~ghost' }], ['MakeDir', { path: '~ghost/x' }], ['Move', { source: '~ghost', destination: '/tmp/y' }], ['Move', { source: '/tmp/y', destination: '~ghost' }], ['ListDir', { path: '~ghost' }], ['Remove', { path: '~ghost' }]]) {
    row('1.11, 2.7', `\`${method}\` of ${request.destination === '~ghost' ? 'the destination ' : ''}\`~ghost\``, rpc('invalid_argument', '…'), (s) => s.files(method, request))
  }
  row('2.7', '`Stat` of what is not there', rpc('not_found', 'file not found: lstat /nope: no such file or directory'), (s) => s.files('Stat', { path: '/nope' }))
  row('2.7, 9.9', '`Stat` of a relative path that is not there', rpc('not_found', 'file not found: lstat /home/user/nope: no such file or directory'), (s) => s.files('Stat', { path: 'nope' }))
  row('2.7, 9.9', 'the same as root', rpc('not_found', 'file not found: lstat /root/nope: no such file or directory'), (s) => s.files('Stat', { path: 'nope' }, { user: 'root' }))
  row('2.7', '`Stat` of a path that leads through a file', rpc('internal', '…'), (s) => s.files('Stat', { path: '/etc/passwd/x' }))
  row('2.7', '`Stat` of a broken link', that('200: it is lstat'), async (s) => {
    await s.run('ln -s /nowhere /tmp/broken')
    assert.equal((await stat(s, '/tmp/broken')).path, '/tmp/broken')
  })
  row('2.7', '`MakeDir`', that("the entry; parents too, mode 0755, the user's"), async (s) => {
    const reply = await s.files('MakeDir', { path: '/tmp/a/b/c' })
    assert.equal(reply.json.entry.path, '/tmp/a/b/c')
    assert.equal((await s.run('stat -c "%a %U:%G" /tmp/a /tmp/a/b /tmp/a/b/c')).stdout, '755 user:user\n'.repeat(3))
  })
  row('2.7, 9.10', '`MakeDir` below a directory of root, as user', that('made; the directory above stays'), async (s) => {
    await s.run('mkdir -m 700 /srv/kept', { user: 'root' })
    assert.equal((await s.files('MakeDir', { path: '/srv/kept/x' })).status, 200)
    assert.equal((await s.run('stat -c "%a %U" /srv/kept /srv/kept/x', { user: 'root' })).stdout, '700 root\n755 user\n')
  })
  row('2.7', '`MakeDir` of a directory', rpc('already_exists', 'directory already exists: /tmp/a'), (s) => s.files('MakeDir', { path: '/tmp/a' }))
  row('2.7', '`MakeDir` of a file', rpc('invalid_argument', 'path already exists but it is not a directory: /etc/passwd'), (s) => s.files('MakeDir', { path: '/etc/passwd' }))
  row('2.7', '`MakeDir` below a file', rpc('internal', '…'), (s) => s.files('MakeDir', { path: '/etc/passwd/x' }))
  row('2.7', '`Move` of a file', that('the entry of the destination; its parents are made; metadata moves along'), async (s) => {
    await s.write('/tmp/from', 'x', { headers: { 'X-Metadata-Kept': 'yes' } })
    const reply = await s.files('Move', { source: '/tmp/from', destination: '/tmp/new/parent/to' })
    assert.equal(reply.json.entry.path, '/tmp/new/parent/to')
    assert.deepEqual(reply.json.entry.metadata, { kept: 'yes' })
    assert.equal((await s.files('Stat', { path: '/tmp/from' })).status, 404)
    assert.equal((await stat(s, '/tmp/new/parent')).owner, 'user')
  })
  row('2.7', '`Move` onto a file', that('replaces it'), async (s) => {
    await s.write('/tmp/m1', 'one')
    await s.write('/tmp/m2', 'two')
    assert.equal((await s.files('Move', { source: '/tmp/m1', destination: '/tmp/m2' })).status, 200)
    assert.equal((await s.run('cat /tmp/m2')).stdout, 'one')
  })
  row('2.7', '`Move` of a directory', that('with what is in it'), async (s) => {
    await s.write('/tmp/d1/f', 'x')
    assert.equal((await s.files('Move', { source: '/tmp/d1', destination: '/tmp/d2' })).json.entry.type, 'FILE_TYPE_DIRECTORY')
    assert.equal((await stat(s, '/tmp/d2/f')).size, '1')
  })
  row('2.7', '`Move` of what is not there', rpc('not_found', 'source file not found: …'), (s) => s.files('Move', { source: '/tmp/nope', destination: '/tmp/x' }))
  row('2.7', '`Move` of a directory onto one that is not empty', rpc('internal', 'error renaming: …'), async (s) => {
    await s.write('/tmp/e1/f', 'x')
    await s.write('/tmp/e2/f', 'x')
    return s.files('Move', { source: '/tmp/e1', destination: '/tmp/e2' })
  })
  row('2.7', '`Move` to another file system', rpc('internal', 'error renaming: …'), (s) => s.files('Move', { source: '/tmp/m2', destination: '/dev/shm/m2' }))
  row('2.7', '`Move` below a file', rpc('internal', '…'), (s) => s.files('Move', { source: '/tmp/m2', destination: '/etc/passwd/x' }))
  row('2.7', '`Remove` of a file', bytes(200, '{}'), async (s) => {
    const reply = await s.files('Remove', { path: '/tmp/m2' })
    assert.equal((await s.files('Stat', { path: '/tmp/m2' })).status, 404)
    return reply
  })
  row('2.7', '`Remove` of a tree', bytes(200, '{}'), async (s) => {
    await s.run('mkdir -p /tmp/tree/{a,b,c}/{d,e}; touch /tmp/tree/{a,b}/{f,g}')
    const reply = await s.files('Remove', { path: '/tmp/tree' })
    assert.equal((await s.files('Stat', { path: '/tmp/tree' })).status, 404)
    return reply
  })
  row('2.7', '`Remove` of a link to a directory', that('the link alone goes'), async (s) => {
    await s.run('mkdir /tmp/kept; touch /tmp/kept/f; ln -s kept /tmp/link')
    assert.equal((await s.files('Remove', { path: '/tmp/link' })).status, 200)
    assert.equal((await stat(s, '/tmp/kept/f')).name, 'f')
  })
  row('2.7', '`Remove` of what is not there', bytes(200, '{}'), (s) => s.files('Remove', { path: '/tmp/nope/nothing' }))
  row('2.7', '`Remove` of what cannot be removed', rpc('internal', 'error removing file or directory: …'), (s) => s.files('Remove', { path: '/proc/self' }))
})

area('Filesystem: ListDir', {}, (row) => {
  const kTree = 'mkdir -p /tmp/t/subdir1/subdir1_1 /tmp/t/subdir1/subdir1_2 /tmp/t/subdir2/subdir2_1; touch /tmp/t/file1.txt /tmp/t/subdir1/subdir1_1/deep /tmp/t/Upper /tmp/t/.hidden'
  row('2.7', 'no `depth`', that('what is in it, not itself; sorted by bytes'), async (s) => {
    await s.run(kTree)
    assert.deepEqual(await paths(s, { path: '/tmp/t' }), ['.hidden', 'Upper', 'file1.txt', 'subdir1', 'subdir2'].map((name) => `/tmp/t/${name}`))
  })
  row('2.7', '`depth: 0` and `depth: 1`', that('the same'), async (s) => {
    for (const depth of [0, 1]) assert.equal((await paths(s, { path: '/tmp/t', depth })).length, 5)
  })
  row('2.7', '`depth: 2`', that('depth first, a directory before what is in it'), async (s) => {
    assert.deepEqual(await paths(s, { path: '/tmp/t', depth: 2 }), ['.hidden', 'Upper', 'file1.txt', 'subdir1', 'subdir1/subdir1_1', 'subdir1/subdir1_2', 'subdir2', 'subdir2/subdir2_1'].map((name) => `/tmp/t/${name}`))
  })
  row('2.7', '`depth: 100`', that('everything'), async (s) => assert.equal((await paths(s, { path: '/tmp/t', depth: 100 })).length, 9))
  row('2.7', 'an empty directory', bytes(200, '{}'), async (s) => {
    await s.run('mkdir /tmp/void')
    return s.files('ListDir', { path: '/tmp/void' })
  })
  row('2.7', 'a link to a directory', that('followed; paths begin as they were asked for'), async (s) => {
    await s.run('ln -s t /tmp/alias')
    assert.equal((await paths(s, { path: '/tmp/alias' }))[0], '/tmp/alias/.hidden')
  })
  row('2.7', 'a link to a directory inside', that('not followed'), async (s) => {
    await s.run('mkdir /tmp/outer; ln -s ../t /tmp/outer/in')
    assert.deepEqual(await paths(s, { path: '/tmp/outer', depth: 5 }), ['/tmp/outer/in'])
  })
  row('1.11, 2.7', 'a relative path', that('below the home of the user'), async (s) => {
    await s.run('mkdir -p ~/rel; touch ~/rel/f')
    assert.deepEqual(await paths(s, { path: 'rel' }), ['/home/user/rel/f'])
  })
  row('2.7', 'what is not there', rpc('not_found', 'path not found: …'), (s) => s.files('ListDir', { path: '/nope' }))
  row('2.7', 'a file', rpc('invalid_argument', 'path is not a directory: /etc/passwd'), (s) => s.files('ListDir', { path: '/etc/passwd' }))
  row('2.7', 'a link to itself', rpc('failed_precondition', 'cyclic symlink or chain >255 links at "/tmp/loop"'), async (s) => {
    await s.run('ln -s loop /tmp/loop')
    return s.files('ListDir', { path: '/tmp/loop' })
  })
  row('2.7', '3,000 entries', that('all of them, sorted'), async (s) => {
    await s.run('mkdir /tmp/many; cd /tmp/many; touch $(seq 1 3000)')
    const found = await paths(s, { path: '/tmp/many' })
    assert.deepEqual(found, Array.from({ length: 3000 }, (_, i) => `/tmp/many/${i + 1}`).sort())
  })
  row('2.7', 'a directory of root, as user', that('listed: the rights of root'), async (s) => {
    await s.run('mkdir -m 700 /root/private; touch /root/private/f', { user: 'root' })
    assert.deepEqual(await paths(s, { path: '/root/private' }), ['/root/private/f'])
  })
})

area('Entries', {}, (row) => {
  row('4', 'a file', that('name, type, path, size, mode 420, `-rw-r--r--`, owner, group, modifiedTime; nothing else'), async (s) => {
    await s.write('/tmp/entry', 'four')
    const { modifiedTime, ...others } = await stat(s, '/tmp/entry')
    assert.deepEqual(others, { name: 'entry', type: 'FILE_TYPE_FILE', path: '/tmp/entry', size: '4', mode: 0o644, permissions: '-rw-r--r--', owner: 'user', group: 'user' })
    assert.ok(Math.abs(Date.parse(modifiedTime) - Date.now()) < 60_000)
  })
  row('4', 'a new directory', that('`FILE_TYPE_DIRECTORY`, mode 493, `drwxr-xr-x`, a size above 0'), async (s) => {
    const { entry } = (await s.files('MakeDir', { path: '/tmp/dir' })).json
    assert.deepEqual([entry.type, entry.mode, entry.permissions, Number(entry.size) > 0], ['FILE_TYPE_DIRECTORY', 0o755, 'drwxr-xr-x', true])
  })
  row('4', 'a link to a file', that("type and mode of the target; `Lrwxrwxrwx`, the link's own size, `symlinkTarget` resolved"), async (s) => {
    await s.run('cd ~; echo x > test_file.txt; chmod 600 test_file.txt; ln -s test_file.txt l')
    const entry = await stat(s, 'l')
    assert.deepEqual([entry.type, entry.mode, entry.permissions, entry.size, entry.symlinkTarget, entry.path], ['FILE_TYPE_FILE', 0o600, 'Lrwxrwxrwx', '13', '/home/user/test_file.txt', '/home/user/l'])
  })
  row('4', 'a link to a directory', that('`FILE_TYPE_DIRECTORY`, `symlinkTarget`'), async (s) => {
    await s.run('ln -s /tmp/dir /tmp/todir')
    const entry = await stat(s, '/tmp/todir')
    assert.deepEqual([entry.type, entry.symlinkTarget], ['FILE_TYPE_DIRECTORY', '/tmp/dir'])
  })
  row('4', 'a broken link', that('no type, no mode; `symlinkTarget` is its own path'), async (s) => {
    await s.run('ln -s /nowhere /tmp/broken')
    const entry = await stat(s, '/tmp/broken')
    assert.deepEqual([entry.type, entry.mode, entry.symlinkTarget], [undefined, undefined, '/tmp/broken'])
  })
  const kind = (words, command, path, wanted, user) => row('4', words, that(`\`${wanted.permissions}\`${'type' in wanted ? ', no type' : ''}`), async (s) => {
    if (command) assert.equal((await s.run(command, { user })).end.exitCode, undefined, command)
    const entry = await stat(s, path)
    assert.deepEqual(Object.fromEntries(Object.keys(wanted).map((key) => [key, entry[key]])), wanted)
  })
  kind('a fifo', 'mkfifo -m 644 /tmp/fifo', '/tmp/fifo', { permissions: 'prw-r--r--', type: undefined, mode: 0o644 })
  kind('a socket', "rm -f /tmp/sock; python3 -c 'import socket,os; socket.socket(socket.AF_UNIX).bind(\"/tmp/sock\"); os.chmod(\"/tmp/sock\", 0o755)'", '/tmp/sock', { permissions: 'Srwxr-xr-x', type: undefined })
  kind('/dev/null', undefined, '/dev/null', { permissions: 'Dcrw-rw-rw-', type: undefined, mode: 0o666 })
  kind('/tmp, which is sticky', undefined, '/tmp', { permissions: 'dtrwxrwxrwx', mode: 0o777 })
  kind('a setuid program', 'cp /bin/true /tmp/su; chmod 4755 /tmp/su', '/tmp/su', { permissions: 'urwxr-xr-x', mode: 0o755 })
  kind('a setgid directory', 'mkdir /tmp/sg; chmod 2775 /tmp/sg', '/tmp/sg', { permissions: 'dgrwxrwxr-x', mode: 0o775 })
  kind('setuid, setgid and sticky', 'touch /tmp/all; chmod 7644 /tmp/all', '/tmp/all', { permissions: 'ugtrw-r--r--', mode: 0o644 })
  kind('a file without any permission', 'touch /tmp/bare; chmod 0 /tmp/bare', '/tmp/bare', { permissions: '----------', mode: undefined })
  kind('a file of ids without names', 'touch /tmp/odd; chown 4242:4343 /tmp/odd', '/tmp/odd', { permissions: '-rw-r--r--', owner: '4242', group: '4343' }, 'root')
  row('4', 'xattrs `user.e2b.*`', that('`metadata` without the prefix; others and values that are no UTF-8 left out'), async (s) => {
    await s.run(`touch /tmp/x; python3 -c '
import os
os.setxattr("/tmp/x", "user.e2b.colour", b"blue")
os.setxattr("/tmp/x", "user.e2b.bad", b"\\xff\\xfe")
os.setxattr("/tmp/x", "user.other", b"1")'`)
    assert.deepEqual((await stat(s, '/tmp/x')).metadata, { colour: 'blue' })
  })
  row('4', 'the metadata of a link', that("its target's"), async (s) => {
    await s.run('ln -s x /tmp/tox')
    assert.deepEqual((await stat(s, '/tmp/tox')).metadata, { colour: 'blue' })
  })
  row('4, 9.17', '`os.setxattr` by user and by root', that('both may set `user.*` attributes'), async (s) => {
    for (const user of ['user', 'root']) {
      assert.equal((await s.run(`touch ~/xattr && python3 -c 'import os; os.setxattr(os.path.expanduser("~/xattr"), "user.e2b.a", b"1")'`, { user })).end.exitCode, undefined)
    }
  })
  row('2.1', '`User-Agent: connect-python`', that('the whole entry, no `X-E2B-Legacy-SDK`'), async (s) => {
    const reply = await s.files('Stat', { path: '/tmp/entry' }, { headers: { 'User-Agent': 'connect-python' } })
    assert.equal(reply.json.entry.size, '4')
    assert.equal(reply.headers['x-e2b-legacy-sdk'], undefined)
  }, { differs: 'the SDKs that needed less are too old for this API' })
  row('4', 'a path with a name in other letters', that('as it is'), async (s) => {
    await s.write('/tmp/žluť 🐎', 'x')
    assert.equal((await stat(s, '/tmp/žluť 🐎')).name, 'žluť 🐎')
  })
})
