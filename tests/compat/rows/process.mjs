// Sections 2.3-2.5: process.Process.
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../../sdk/support/sandbox.mjs'
import { area, bytes, rpc, that } from '../support/table.mjs'
import { decode, encode, outcome, shell } from '../support/sandbox.mjs'
import { envelope, stream } from '../support/wire.mjs'

const rest_of = async (call) => (await call).rest_of()
const kEmpty = bytes(200, '{}')
const terminal = (command, size = { cols: 80, rows: 24 }) => ({ process: { cmd: '/bin/bash', args: ['-c', command], envs: { TERM: 'xterm-256color' } }, pty: { size } })

area('Start: launch', {}, (row) => {
  row('2.3', 'a command', that('`{"event":{"start":{"pid":N}}}` first, N its pid in the sandbox'), async (s) => {
    const reply = await s.run('echo $$')
    assert.deepEqual(Object.keys(reply.messages[0].event.start), ['pid'])
    assert.equal(reply.stdout, `${reply.pid}\n`)
  })
  row('2.3', '`echo out; echo err >&2`', that('`data.stdout` and `data.stderr`'), async (s) => {
    const reply = await s.run('echo out; echo err >&2')
    assert.deepEqual([reply.stdout, reply.stderr], ['out\n', 'err\n'])
  })
  const ends = (words, command, end) => row('2.4', words, that(`\`${JSON.stringify({ end })}\``), async (s) => assert.deepEqual((await s.run(command)).end, end))
  ends('`exit 0`', 'exit 0', { exited: true, status: 'exit status 0' })
  ends('`exit 3`', 'exit 3', { exitCode: 3, exited: true, status: 'exit status 3', error: 'exit status 3' })
  ends('`exit 255`', 'exit 255', { exitCode: 255, exited: true, status: 'exit status 255', error: 'exit status 255' })
  for (const [name, shown] of [['KILL', 'killed'], ['TERM', 'terminated'], ['HUP', 'hangup'], ['INT', 'interrupt'], ['PIPE', 'broken pipe'], ['ALRM', 'alarm clock'], ['USR1', 'user defined signal 1']]) {
    ends(`ended by SIG${name}`, `trap - ${name}; kill -${name} $$; sleep 5`, { exitCode: -1, status: `signal: ${shown}`, error: `signal: ${shown}` })
  }
  for (const [name, shown] of [['SEGV', 'segmentation fault'], ['ABRT', 'aborted'], ['FPE', 'floating point exception'], ['BUS', 'bus error'], ['ILL', 'illegal instruction'], ['QUIT', 'quit']]) {
    ends(`ended by SIG${name}, no core written`, `ulimit -c 0; exec sh -c 'kill -${name} $$; sleep 5'`, { exitCode: -1, status: `signal: ${shown}`, error: `signal: ${shown}` })
  }
  row('2.4, 9.6', 'a command that does not exist', that('no RPC error: start, text on stderr, end with exit code 127'), async (s) => {
    const reply = outcome(await rest_of(s.start({ process: { cmd: '/no/such/thing' }, stdin: false })))
    assert.ok(reply.pid && reply.stderr.includes('/no/such/thing'), reply.stderr)
    assert.deepEqual(reply.end, { exitCode: 127, exited: true, status: 'exit status 127', error: 'exit status 127' })
    assert.deepEqual(reply.endFrame, {})
  })
  row('2.4', 'a file that may not be executed', that('the same with exit code 126'), async (s) => {
    const reply = outcome(await rest_of(s.start({ process: { cmd: '/etc/passwd' }, stdin: false })))
    assert.equal(reply.end.exitCode, 126)
    assert.ok(reply.stderr)
  })
  row('2.4', 'a command by its name alone', that('found in the PATH'), async (s) => assert.equal(outcome(await rest_of(s.start({ process: { cmd: 'echo', args: ['found'] }, stdin: false }))).stdout, 'found\n'))
  row('2.4, 9.6', '`cwd` that does not exist', rpc('invalid_argument', "cwd '/nope' does not exist"), (s) => rest_of(s.start(shell('true', { cwd: '/nope' }))))
  row('2.4', '`cwd` that does not exist, relative', rpc('invalid_argument', "cwd '/home/user/nope' does not exist"), (s) => rest_of(s.start(shell('true', { cwd: 'nope' }))))
  row('2.4', '`cwd` that is a file', rpc('invalid_argument', "error starting process '/bin/bash': fork/exec /bin/sh: not a directory"), (s) => rest_of(s.start(shell('true', { cwd: '/etc/passwd' }))))
  row('2.4', '`cwd` of somebody else', rpc('invalid_argument', "error starting process '/bin/bash': fork/exec /bin/sh: permission denied"), (s) => rest_of(s.start(shell('true', { cwd: '/root' }))))
  row('2.4', '`cwd` of somebody else, with a terminal', rpc('invalid_argument', '…'), (s) => rest_of(s.start({ ...terminal('true'), process: { cmd: '/bin/bash', cwd: '/root' } })))
  row('1.11', '`cwd: ~ghost`', rpc('invalid_argument', '…'), (s) => rest_of(s.start(shell('true', { cwd: '~ghost' }))))
  for (const [cwd, user, shown] of [[undefined, undefined, '/home/user'], ['', undefined, '/home/user'], ['~', undefined, '/home/user'], ['/tmp', undefined, '/tmp'], ['sub', undefined, '/home/user/sub'], [undefined, 'root', '/root']]) {
    row('1.11, 2.4', `${cwd === undefined ? 'no `cwd`' : `\`cwd: "${cwd}"\``}${user ? `, as ${user}` : ''}`, that(`\`${shown}\``), async (s) => {
      await s.files('MakeDir', { path: 'sub' })
      assert.equal((await s.run('pwd', { user, ...(cwd === undefined ? {} : { cwd }) })).stdout, `${shown}\n`)
    })
  }
  row('2.4', 'as user', that("uid 1000, gid 1000, the user's groups"), async (s) => {
    assert.match((await s.run('id')).stdout, /^uid=1000\(user\) gid=1000\(user\) groups=.*\b\d+\(sudo\)/)
  })
  row('2.4', 'as root', that('uid 0, gid 0'), async (s) => assert.match((await s.run('id', { user: 'root' })).stdout, /^uid=0\(root\) gid=0\(root\)/))
  row('2.4', 'nice and oom score', that('nice 0; `oom_score_adj` 100, writable by the process'), async (s) => {
    assert.equal((await s.run('nice; cat /proc/$$/oom_score_adj; echo 200 > /proc/$$/oom_score_adj; cat /proc/$$/oom_score_adj')).stdout, '0\n100\n200\n')
  })
  row('2.4', 'environment without `envs`', that('PATH, HOME, USER, LOGNAME and `E2B_*`; nothing else'), async (s) => {
    const reply = outcome(await rest_of(s.start({ process: { cmd: '/usr/bin/env' }, stdin: false })))
    const found = Object.fromEntries(reply.stdout.trim().split('\n').map((line) => [line.split('=')[0], line.slice(line.indexOf('=') + 1)]))
    assert.deepEqual(Object.keys(found).sort(), ['E2B_EVENTS_ADDRESS', 'E2B_SANDBOX', 'E2B_SANDBOX_ID', 'E2B_TEMPLATE_ID', 'HOME', 'LOGNAME', 'PATH', 'USER'])
    assert.deepEqual([found.HOME, found.USER, found.LOGNAME, found.E2B_SANDBOX], ['/home/user', 'user', 'user', 'true'])
  })
  row('2.4', 'environment as root', that('HOME=/root, USER and LOGNAME root'), async (s) => assert.equal((await s.run('echo $HOME $USER $LOGNAME', { user: 'root' })).stdout, '/root root root\n'))
  row('2.4', '`envs`', that('win over everything'), async (s) => {
    assert.equal((await s.run('echo $A $HOME $E2B_SANDBOX', { envs: { A: 'b c', HOME: '/x', E2B_SANDBOX: 'no' } })).stdout, 'b c /x no\n')
  })
  row('2.4', '`bash -l` as user and as root', that('/etc/profile sets the PATH: with the sbin directories for root alone'), async (s) => {
    const path = async (user) => outcome(await rest_of(s.start({ process: { cmd: '/bin/bash', args: ['-l', '-c', 'echo $PATH'] }, stdin: false }, { user }))).stdout
    assert.match(await path('root'), /(^|:)\/usr\/sbin(:|\n)/)
    assert.doesNotMatch(await path('user'), /\/usr\/sbin/)
  })
  row('2.4, 9.5', 'no `stdin`', that('a pipe that stays open'), async (s) => {
    const { call, pid } = await s.background({ process: { cmd: '/bin/cat' } })
    assert.equal((await s.process('SendInput', { process: { pid }, input: { stdin: encode('x') } })).status, 200)
    assert.equal(decode((await call.next()).event.data.stdout), 'x')
    await s.process('CloseStdin', { process: { pid } })
    assert.equal((await call.rest_of()).messages.at(-1).event.end.status, 'exit status 0')
  })
  row('2.4, 9.5', '`stdin: true`', that('the same'), async (s) => {
    const { call, pid } = await s.background({ process: { cmd: '/bin/cat' }, stdin: true })
    assert.equal((await s.process('CloseStdin', { process: { pid } })).status, 200)
    assert.equal((await call.rest_of()).messages.at(-1).event.end.status, 'exit status 0')
  })
  row('2.4, 9.5', '`stdin: false`', that('/dev/null'), async (s) => assert.equal((await s.run('readlink /proc/self/fd/0; cat')).stdout, '/dev/null\n'))
})

area('Start: output and end', { seconds: 5 }, (row) => {
  row('2.4', '1 MB on stdout', that('complete and in order; no event over 32 KiB'), async (s) => {
    const reply = await s.run('seq 1 150000')
    assert.equal(reply.stdout, Array.from({ length: 150000 }, (_, i) => `${i + 1}\n`).join(''))
    const largest = Math.max(...reply.messages.map((m) => Buffer.from(m.event.data?.stdout ?? '', 'base64').length))
    assert.ok(largest <= 32768, String(largest))
  })
  row('2.4', '1 MB on a terminal', that('complete; no event over 16 KiB'), async (s) => {
    const reply = outcome(await rest_of(s.start(terminal('stty -opost; seq 1 150000'))))
    assert.equal(reply.pty.length, 938895)
    const largest = Math.max(...reply.messages.map((m) => Buffer.from(m.event.data?.pty ?? '', 'base64').length))
    assert.ok(largest <= 16384, String(largest))
  })
  row('2.4, 9.24', 'bytes that are no UTF-8', that('as they are'), async (s) => {
    const reply = await rest_of(s.start(shell("printf '\\377\\376\\000\\200'")))
    assert.equal(Buffer.from(reply.messages[1].event.data.stdout, 'base64').toString('hex'), 'fffe0080')
  })
  row('2.4', 'characters of several bytes, in pieces', that('the same bytes in the end'), async (s) => {
    const reply = await s.run("for i in 1 2 3; do printf '\\342\\202'; sleep 0.05; printf '\\254'; done")
    assert.equal(reply.stdout, '€€€')
  })
  row('2.4', 'a grandchild that holds stdout', that('the end waits for it'), async (s) => {
    const started = Date.now()
    const reply = await s.run('(sleep 0.7; echo late) & echo early')
    assert.equal(reply.stdout, 'early\nlate\n')
    assert.ok(Date.now() - started >= 650)
  })
  row('2.4', 'a grandchild with its own stdout', that('the end does not wait'), async (s) => {
    const started = Date.now()
    await s.run('sleep 30 > /dev/null 2>&1 &')
    assert.ok(Date.now() - started < 20_000)
  })
  for (const signal of ['SIGNAL_SIGKILL', 'SIGNAL_SIGTERM']) {
    row('2.4', `${signal} while a grandchild holds stdout`, that('the end is not held back'), async (s) => {
      const { call, pid } = await s.background('trap exit TERM; sleep 30 & wait')
      await s.process('SendSignal', { process: { pid }, signal })
      const started = Date.now()
      await call.rest_of()
      assert.ok(Date.now() - started < 20_000)
    })
  }
  row('2.4', 'a client that does not read', that('the process waits; nothing is lost when it reads on'), async (s) => {
    const { call, pid } = await s.background('head -c 40000000 /dev/zero; echo done > /tmp/wrote-all')
    call.request.res?.pause()
    await pause(700)
    assert.equal((await s.files('Stat', { path: '/tmp/wrote-all' })).status, 404, 'it was not held back')
    assert.equal((await s.process('List')).json.processes.filter((one) => one.pid === pid).length, 1)
    call.request.res.resume()
    const total = (await call.rest_of()).messages.reduce((sum, m) => sum + Buffer.from(m.event.data?.stdout ?? '', 'base64').length, 0)
    assert.equal(total, 40000000)
  })
  row('2.4', 'a client that leaves, and much output after that', that('read and thrown away: the process gets to its end'), async (s) => {
    const { call } = await s.background('sleep 0.2; head -c 4000000 /dev/zero; touch /tmp/unread-done')
    call.leave()
    await eventually('the command got to its end', async () => (await s.files('Stat', { path: '/tmp/unread-done' })).status === 200)
  })
  row('2.4, 9.7', 'a client that leaves', that('the process lives on'), async (s) => {
    const { call, pid } = await s.background('sleep 60')
    call.leave()
    await pause(200)
    assert.equal((await s.run(`kill -0 ${pid}`)).end.exitCode, undefined)
    await s.process('SendSignal', { process: { pid }, signal: 9 })
  })
  row('2.4, 9.7', '`Connect-Timeout-Ms` expires', that('`deadline_exceeded`; that pid is killed, its children are not'), async (s) => {
    const { call, pid } = await s.background('sleep 61 & echo $!; wait', { headers: { 'Connect-Timeout-Ms': '2000' } })
    const child = decode((await call.next()).event.data.stdout).trim()
    rpc('deadline_exceeded', 'context deadline exceeded').verify(await call.rest_of())
    await eventually('it is gone', async () => (await s.run(`kill -0 ${pid}`)).end.exitCode === 1)
    assert.equal((await s.run(`kill -0 ${child} && kill ${child}`)).end.exitCode, undefined)
  })
  row('2.4', '`Connect-Timeout-Ms` of a client that has left', that('the process is killed all the same'), async (s) => {
    const { call, pid } = await s.background('sleep 60', { headers: { 'Connect-Timeout-Ms': '1500' } })
    call.leave()
    await eventually('it is gone', async () => (await s.run(`kill -0 ${pid}`)).end.exitCode === 1)
  })
})

area('List, input, signals', {}, (row) => {
  const running = (s, request) => s.background(request)
  row('2.5', '`List`: nothing runs', kEmpty, (s) => s.process('List'))
  row('2.5', '`List`: two commands', that('config as it was sent (cmd, args, envs, cwd), pid, tag'), async (s) => {
    const one = await running(s, { process: { cmd: '/bin/sleep', args: ['60'], envs: { A: 'b' }, cwd: '/tmp' }, tag: 'mine', stdin: false })
    const two = await running(s, { process: { cmd: '/bin/sleep', args: ['61'] } })
    const { processes } = (await s.process('List')).json
    assert.deepEqual(processes.sort((a, b) => a.pid - b.pid), [
      { config: { cmd: '/bin/sleep', args: ['60'], envs: { A: 'b' }, cwd: '/tmp' }, pid: one.pid, tag: 'mine' },
      { config: { cmd: '/bin/sleep', args: ['61'] }, pid: two.pid },
    ])
    for (const { pid } of [one, two]) await s.process('SendSignal', { process: { pid }, signal: 9 })
  })
  row('2.5', '`List`: what a command itself started', that('is not in it'), async (s) => {
    const { call, pid } = await running(s, 'sleep 60 & sleep 60 & wait')
    assert.deepEqual((await s.process('List')).json.processes.map((one) => one.pid), [pid])
    await s.process('SendSignal', { process: { pid }, signal: 9 })
    await call.rest_of()
  })
  for (const [method, more] of [['Update', {}], ['SendInput', { input: { stdin: '' } }], ['SendSignal', { signal: 9 }], ['CloseStdin', {}]]) {
    row('2.3', `\`${method}\` of a pid that is not there`, rpc('not_found', 'process with pid 999999 not found'), (s) => s.process(method, { process: { pid: 999999 }, ...more }))
    row('2.3', `\`${method}\` of a tag that is not there`, rpc('not_found', 'process with tag nope not found'), (s) => s.process(method, { process: { tag: 'nope' }, ...more }))
    row('2.3', `\`${method}\` with neither`, rpc('unimplemented'), (s) => s.process(method, more))
  }
  row('2.3', '`Connect` to a pid that is not there', rpc('not_found', 'process with pid 999999 not found'), (s) => rest_of(s.connect({ process: { pid: 999999 } })))
  row('2.3', '`Connect` to a tag that is not there', rpc('not_found', 'process with tag nope not found'), (s) => rest_of(s.connect({ process: { tag: 'nope' } })))
  row('2.3', '`Connect` to neither', rpc('unimplemented'), (s) => rest_of(s.connect({})))
  row('2.5', '`List`, `SendSignal` to what this daemon did not start', rpc('not_found', 'process with pid 1 not found'), (s) => s.process('SendSignal', { process: { pid: 1 }, signal: 9 }))
  row('2.3', 'by tag', that('`SendInput`, `CloseStdin`, `Connect` find it'), async (s) => {
    const { call } = await running(s, { process: { cmd: '/bin/cat' }, tag: 'by tag' })
    const other = await s.connect({ process: { tag: 'by tag' } })
    await other.next()
    kEmpty.verify(await s.process('SendInput', { process: { tag: 'by tag' }, input: { stdin: encode('hi') } }))
    assert.equal(decode((await other.next()).event.data.stdout), 'hi')
    kEmpty.verify(await s.process('CloseStdin', { process: { tag: 'by tag' } }))
    await call.rest_of()
  })
  row('2.3', 'by tag, the last of several', that('found: the search is complete'), async (s) => {
    const all = []
    for (const tag of ['t1', 't2', undefined, 't3']) all.push(await running(s, { ...shell('sleep 60'), ...(tag ? { tag } : {}) }))
    kEmpty.verify(await s.process('SendSignal', { process: { tag: 't3' }, signal: 9 }))
    for (const { pid } of all.slice(0, 3)) await s.process('SendSignal', { process: { pid }, signal: 9 })
  })
  row('2.5', '`SendInput`', kEmpty, async (s) => {
    const { call, pid } = await running(s, { process: { cmd: '/bin/cat' } })
    const reply = await s.process('SendInput', { process: { pid }, input: { stdin: encode('abc') } })
    assert.equal(decode((await call.next()).event.data.stdout), 'abc')
    await s.process('CloseStdin', { process: { pid } })
    return reply
  })
  const withCat = async (s, request, action) => {
    const { call, pid } = await running(s, request)
    try {
      return await action(pid)
    } finally {
      call.leave()
      await s.process('SendSignal', { process: { pid }, signal: 9 })
    }
  }
  const cat = { process: { cmd: '/bin/cat' } }
  row('2.5', '`SendInput` of no bytes', kEmpty, (s) => withCat(s, cat, (pid) => s.process('SendInput', { process: { pid }, input: { stdin: '' } })))
  row('2.5', '`SendInput` without input', rpc('unimplemented'), (s) => withCat(s, cat, (pid) => s.process('SendInput', { process: { pid } })))
  row('2.5', '`SendInput` of a process with `stdin: false`', rpc('internal', 'error writing to stdin: stdin not enabled or closed'), (s) => withCat(s, shell('sleep 60'), (pid) => s.process('SendInput', { process: { pid }, input: { stdin: encode('x') } })))
  row('2.5', '`SendInput` after `CloseStdin`', rpc('internal', 'error writing to stdin: stdin not enabled or closed'), (s) => withCat(s, { ...shell('sleep 60'), stdin: true }, async (pid) => {
    await s.process('CloseStdin', { process: { pid } })
    return s.process('SendInput', { process: { pid }, input: { stdin: encode('x') } })
  }))
  row('2.5', '`SendInput` of stdin to a terminal', rpc('internal', 'error writing to stdin: tty assigned to process — input should be written to the pty, not the stdin'), (s) => withCat(s, terminal('sleep 60'), (pid) => s.process('SendInput', { process: { pid }, input: { stdin: encode('x') } })))
  row('2.5', '`SendInput` of pty to a pipe', rpc('internal', 'error writing to tty: tty not assigned to process — input should be written to the stdin, not the tty'), (s) => withCat(s, cat, (pid) => s.process('SendInput', { process: { pid }, input: { pty: encode('x') } })))
  row('2.5', '`CloseStdin`, twice', kEmpty, (s) => withCat(s, { ...shell('sleep 60'), stdin: true }, async (pid) => {
    kEmpty.verify(await s.process('CloseStdin', { process: { pid } }))
    return s.process('CloseStdin', { process: { pid } })
  }))
  row('2.5', '`CloseStdin` of a process with `stdin: false`', kEmpty, (s) => withCat(s, shell('sleep 60'), (pid) => s.process('CloseStdin', { process: { pid } })))
  row('2.5', '`CloseStdin` of a terminal', rpc('unknown', 'error closing stdin: cannot close stdin for PTY process — send Ctrl+D (0x04) instead'), (s) => withCat(s, terminal('sleep 60'), (pid) => s.process('CloseStdin', { process: { pid } })))
  for (const [signal, shown] of [['SIGNAL_SIGKILL', 'killed'], ['SIGNAL_SIGTERM', 'terminated']]) {
    row('2.5', `\`SendSignal\` ${signal}`, that(`\`{}\`; end \`signal: ${shown}\``), async (s) => {
      const { call, pid } = await running(s, { process: { cmd: '/bin/sleep', args: ['60'] } })
      kEmpty.verify(await s.process('SendSignal', { process: { pid }, signal }))
      assert.deepEqual((await call.rest_of()).messages.at(-1).event.end, { exitCode: -1, status: `signal: ${shown}`, error: `signal: ${shown}` })
    })
  }
  row('2.5, 9.15', '`SendSignal` SIGKILL, then `kill -0` at once', that('no such process: it was reaped'), async (s) => {
    for (let i = 0; i < 5; i++) {
      const { pid } = await running(s, { process: { cmd: '/bin/sleep', args: ['60'] } })
      await s.process('SendSignal', { process: { pid }, signal: 9 })
      assert.equal((await s.run(`kill -0 ${pid} 2>/dev/null`)).end.exitCode, 1)
    }
  })
  row('2.5', '`SendSignal` to a shell with a child', that('the child lives on'), async (s) => {
    const { call, pid } = await running(s, 'sleep 62 & echo $!; wait')
    const child = decode((await call.next()).event.data.stdout).trim()
    await s.process('SendSignal', { process: { pid }, signal: 'SIGNAL_SIGTERM' })
    await call.rest_of()
    assert.equal((await s.run(`kill ${child}`)).end.exitCode, undefined)
  })
  for (const signal of [0, 1, 2, 'SIGNAL_UNSPECIFIED']) {
    row('2.5', `\`SendSignal\` ${signal}`, rpc('unimplemented', 'invalid signal: …'), (s) => withCat(s, cat, (pid) => s.process('SendSignal', { process: { pid }, signal })))
  }
  row('2.5', '`SendSignal` to a process that has ended', that('`not_found`, or `internal` `error sending signal: os: process already finished`'), async (s) => {
    const { pid } = await s.run('true')
    const reply = await s.process('SendSignal', { process: { pid }, signal: 9 })
    assert.ok([`process with pid ${pid} not found`, 'error sending signal: os: process already finished'].includes(reply.json.message), reply.text)
  })
  row('2.5', '`SendSignal` to a command that has ended while a grandchild holds its stdout', rpc('internal', 'error sending signal: os: process already finished'), async (s) => {
    const { call, pid } = await running(s, 'sleep 60 & echo $!')
    const child = decode((await call.next()).event.data.stdout).trim()
    await eventually('it is gone', async () => (await s.run(`kill -0 ${pid}`)).end.exitCode === 1)
    const reply = await s.process('SendSignal', { process: { pid }, signal: 15 })
    await s.run(`kill ${child}`)
    call.leave()
    return reply
  })
  const streamInput = async (s, ...messages) => {
    const call = await stream(s.target, 'process.Process/StreamInput', Buffer.concat(messages.map((m) => envelope(JSON.stringify(m)))))
    return call.rest_of()
  }
  row('2.5', '`StreamInput`: start, data, keepalive, data', that('`{}` and the end frame; the input arrived'), async (s) => {
    const { call, pid } = await running(s, cat)
    const reply = await streamInput(s, { start: { process: { pid } } }, { data: { input: { stdin: encode('one ') } } }, { keepalive: {} }, { data: { input: { stdin: encode('two') } } })
    assert.deepEqual([reply.messages, reply.endFrame], [[{}], {}])
    await s.process('CloseStdin', { process: { pid } })
    assert.equal(outcome(await call.rest_of()).stdout, 'one two')
  })
  row('2.5', '`StreamInput`, data while it is open', that('the process gets it at once'), async (s) => {
    const { call, pid } = await running(s, cat)
    const input = await stream(s.target, 'process.Process/StreamInput', undefined)
    input.send({ start: { process: { pid } } })
    input.send({ data: { input: { stdin: encode('now') } } })
    assert.equal(decode((await call.next()).event.data.stdout), 'now')
    input.finish()
    assert.deepEqual((await input.rest_of()).endFrame, {})
    call.leave()
    await s.process('SendSignal', { process: { pid }, signal: 9 })
  })
  row('2.5', '`StreamInput` that does not begin with start', rpc('invalid_argument', '…'), (s) => streamInput(s, { data: { input: { stdin: '' } } }))
  row('2.5', '`StreamInput` to a pid that is not there', rpc('not_found', 'process with pid 999999 not found'), (s) => streamInput(s, { start: { process: { pid: 999999 } } }))
  row('2.5', '`StreamInput` to neither pid nor tag', rpc('unimplemented'), (s) => streamInput(s, { start: { process: {} } }))
})

area('Connect to a process', { seconds: 32 }, (row) => {
  row('2.5, 9.8', '`Connect` to a running command', that('start with its pid, then what comes from now on; no replay'), async (s) => {
    const { call, pid } = await s.background({ ...shell('echo before; while read line; do echo "got $line"; done'), stdin: true })
    await call.next()
    const other = await s.connect({ process: { pid } })
    assert.deepEqual(await other.next(), { event: { start: { pid } } })
    await s.process('SendInput', { process: { pid }, input: { stdin: encode('x\n') } })
    assert.equal(decode((await other.next()).event.data.stdout), 'got x\n')
    await s.process('CloseStdin', { process: { pid } })
    assert.deepEqual((await other.rest_of()).messages.at(-1), { event: { end: { exited: true, status: 'exit status 0' } } })
  })
  row('2.5', 'three subscribers', that('each gets everything'), async (s) => {
    const { call, pid } = await s.background({ ...shell('read; seq 1 5000'), stdin: true })
    const others = await Promise.all([1, 2].map(() => s.connect({ process: { pid } })))
    for (const other of others) await other.next()
    await s.process('SendInput', { process: { pid }, input: { stdin: encode('\n') } })
    const outputs = (await Promise.all([call, ...others].map((one) => one.rest_of()))).map((reply) => outcome(reply).stdout)
    assert.equal(outputs[0].length, 23893)
    assert.ok(outputs[1] === outputs[0] && outputs[2] === outputs[0])
  })
  row('2.5', '`Connect-Timeout-Ms` of a Connect', that('`deadline_exceeded` for this stream alone; the process lives'), async (s) => {
    const { call, pid } = await s.background('sleep 60')
    const reply = await rest_of(s.connect({ process: { pid } }, { headers: { 'Connect-Timeout-Ms': '200' } }))
    rpc('deadline_exceeded', 'context deadline exceeded').verify(reply)
    assert.equal((await s.run(`kill -0 ${pid}`)).end.exitCode, undefined)
    call.leave()
    await s.process('SendSignal', { process: { pid }, signal: 9 })
  })
  row('2.1, 2.5', '`Keepalive-Ping-Interval: 1` of a Connect', that('a keepalive'), async (s) => {
    const { call, pid } = await s.background('sleep 60')
    const other = await s.connect({ process: { pid } }, { headers: { 'Keepalive-Ping-Interval': '1' } })
    await other.next()
    assert.deepEqual(await other.next(), { event: { keepalive: {} } })
    other.leave()
    call.leave()
    await s.process('SendSignal', { process: { pid }, signal: 9 })
  })
  row('2.5', '`Connect` to a process that has ended: within 30 s, and after', that('start and its end event; then `not_found`. It is in no list'), async (s) => {
    const { pid } = await s.run('exit 7')
    assert.equal((await s.process('List')).text, '{}')
    const reply = await rest_of(s.connect({ process: { pid } }))
    assert.deepEqual(reply.messages, [{ event: { start: { pid } } }, { event: { end: { exitCode: 7, exited: true, status: 'exit status 7', error: 'exit status 7' } } }])
    await pause(23_000)
    assert.equal((await rest_of(s.connect({ process: { pid } }))).messages.length, 2)
    await pause(9_000)
    rpc('not_found', `process with pid ${pid} not found`).verify(await rest_of(s.connect({ process: { pid } })))
  }, { deadlineMs: 80_000 })
})

area('Terminals', {}, (row) => {
  row('2.4', 'a terminal where none can be had', rpc('invalid_argument', "error starting pty with command '/bin/bash' in dir '/home/user' with '90' cols and '30' rows: …"), async (s) => {
    await s.run('mv /dev/ptmx /dev/ptmx.away && touch /dev/ptmx', { user: 'root' })
    const reply = await rest_of(s.start(terminal('true', { cols: 90, rows: 30 })))
    await s.run('mv /dev/ptmx.away /dev/ptmx', { user: 'root' })
    return reply
  })
  row('2.5', 'a terminal of 100 x 30', that('`stty size` says 30 100; output in `data.pty`'), async (s) => assert.equal(outcome(await rest_of(s.start(terminal('stty size', { cols: 100, rows: 30 })))).pty, '30 100\r\n'))
  row('2.5', '`tput cols`', that('the columns'), async (s) => assert.equal(outcome(await rest_of(s.start(terminal('tput cols', { cols: 123, rows: 30 })))).pty.trim(), '123'))
  row('2.5', '`exit` typed into `bash -i -l`', that('end with exit code 0'), async (s) => {
    const { call, pid } = await s.background({ process: { cmd: '/bin/bash', args: ['-i', '-l'], envs: { TERM: 'xterm-256color' } }, pty: { size: { cols: 80, rows: 24 } } })
    kEmpty.verify(await s.process('SendInput', { process: { pid }, input: { pty: encode('exit\n') } }))
    assert.deepEqual((await call.rest_of()).messages.at(-1), { event: { end: { exited: true, status: 'exit status 0' } } })
  })
  row('2.4', 'a command on a terminal', that('leads a session whose controlling terminal it is'), async (s) => {
    const reply = outcome(await rest_of(s.start(terminal('ps -o sid=,tty= -p $$; echo $$'))))
    const [sid, tty, pid] = reply.pty.trim().split(/\s+/)
    assert.equal(sid, pid)
    assert.match(tty, /^pts\/\d+$/)
  })
  row('2.5', '`Update`', that('`{}`; SIGWINCH, and the new size'), async (s) => {
    const { call, pid } = await s.background(terminal('trap "stty size; exit" WINCH; echo up; while :; do sleep 0.1; done'))
    await call.next()
    kEmpty.verify(await s.process('Update', { process: { pid }, pty: { size: { cols: 111, rows: 44 } } }))
    assert.equal(outcome(await call.rest_of()).pty, '44 111\r\n')
  })
  row('2.5', '`Update` of a process without a terminal', rpc('internal', 'error resizing tty: tty not assigned to process'), async (s) => {
    const { call, pid } = await s.background('sleep 60')
    const reply = await s.process('Update', { process: { pid }, pty: { size: { cols: 1, rows: 1 } } })
    await s.process('SendSignal', { process: { pid }, signal: 9 })
    call.leave()
    return reply
  })
  row('2.5', '`Update` without `pty`', kEmpty, async (s) => {
    const { call, pid } = await s.background('sleep 60')
    const reply = await s.process('Update', { process: { pid } })
    await s.process('SendSignal', { process: { pid }, signal: 9 })
    call.leave()
    return reply
  })
  row('2.5, 9.8', '`Connect` to a terminal', that('what is typed after it is seen; nothing from before'), async (s) => {
    const { call, pid } = await s.background(terminal('stty -echo; echo ready; while read line; do echo "[$line]"; done'))
    await eventually('it is ready', async () => decode((await call.next())?.event?.data?.pty ?? '').includes('ready'))
    const other = await s.connect({ process: { pid } })
    await other.next()
    await s.process('SendInput', { process: { pid }, input: { pty: encode('second\n') } })
    assert.equal(decode((await other.next()).event.data.pty), '[second]\r\n')
    await s.process('SendInput', { process: { pid }, input: { pty: encode('\x04') } })
    assert.equal((await other.rest_of()).messages.at(-1).event.end.status, 'exit status 0')
  })
  row('2.5', 'Ctrl-C typed', that('ends what runs, not the shell'), async (s) => {
    const { call, pid } = await s.background(terminal('trap "echo interrupted" INT; echo ready; sleep 60; echo after'))
    await eventually('it is ready', async () => decode((await call.next())?.event?.data?.pty ?? '').includes('ready'))
    await pause(200)
    await s.process('SendInput', { process: { pid }, input: { pty: encode('\x03') } })
    assert.match(outcome(await call.rest_of()).pty, /interrupted\r\nafter\r\n$/)
  })
})
