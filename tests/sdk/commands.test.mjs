// commands.*: output, exit codes, streaming, background, stdin, environment, users, timeouts, reconnecting.
import assert from 'node:assert/strict'
import { eachSdk, it } from './support/sdks.mjs'
import { background, eventually, failure, open } from './support/sandbox.mjs'

// A command that goes on when the file appears: the tests decide when, instead of sleeping.
const until = (file) => `until [ -e ${file} ]; do sleep 0.02; done`
const isAlive = async (sandbox, pid) =>
  (await sandbox.commands.run(`kill -0 ${pid} 2>/dev/null && echo yes || echo no`, { user: 'root' })).stdout === 'yes\n'

eachSdk('commands', (sdk) => {
  const { CommandExitError, InvalidArgumentError, AuthenticationError, NotFoundError, TimeoutError } = sdk

  it('returns stdout, stderr and exit code 0', async (t) => {
    const sandbox = await open(t, sdk)
    const result = await sandbox.commands.run('echo out; echo err >&2')
    assert.equal(result.exitCode, 0)
    assert.equal(result.stdout, 'out\n')
    assert.equal(result.stderr, 'err\n')
    assert.equal(result.error ?? '', '')
  })

  it('keeps quotes, dollars, backslashes, newlines and other alphabets', async (t) => {
    const sandbox = await open(t, sdk)
    const text = `'single' "double" $HOME \`tick\` \\n é 漢 🙂 !#&;|<>*?`
    const quoted = `'${text.replaceAll("'", `'\\''`)}'`
    assert.equal((await sandbox.commands.run(`printf %s ${quoted}`)).stdout, text)
    assert.equal((await sandbox.commands.run(`cat <<'END'\n${text}\n\n x\nEND`)).stdout, `${text}\n\n x\n`)
  })

  it('a failing command carries its code and both streams', async (t) => {
    const sandbox = await open(t, sdk)
    const error = await failure(
      () => sandbox.commands.run('echo out; echo err >&2; exit 3'), CommandExitError, /exit status 3/)
    assert.equal(error.exitCode, 3)
    assert.equal(error.stdout, 'out\n')
    assert.equal(error.stderr, 'err\n')
    assert.equal(error.error, 'exit status 3')
  })

  it('an unknown command exits with 127', async (t) => {
    const sandbox = await open(t, sdk)
    const error = await failure(() => sandbox.commands.run('no-such-command-here'), CommandExitError)
    assert.equal(error.exitCode, 127)
    assert.match(error.stderr, /not found/)
  })

  it('death by a signal is exit code -1', async (t) => {
    const sandbox = await open(t, sdk)
    const error = await failure(() => sandbox.commands.run('kill -TERM $$'), CommandExitError, /signal: terminated/)
    assert.equal(error.exitCode, -1)
  })

  it('runs as user in its home, with bash, python, node, git and curl', async (t) => {
    const sandbox = await open(t, sdk)
    const { stdout } = await sandbox.commands.run('whoami; id -u; pwd; echo "$HOME:$USER:$LOGNAME"')
    assert.equal(stdout, 'user\n1000\n/home/user\n/home/user:user:user\n')
    const tools = await sandbox.commands.run('python --version && python3 --version && node --version && git --version && curl --version')
    assert.match(tools.stdout, /Python 3[^]*v[2-9]\d\.[^]*git version[^]*curl /)
  })

  it('runs as root, and sudo asks for no password', async (t) => {
    const sandbox = await open(t, sdk)
    assert.equal((await sandbox.commands.run('whoami; pwd; echo $HOME', { user: 'root' })).stdout, 'root\n/root\n/root\n')
    assert.equal((await sandbox.commands.run('sudo id -u; sudo -n whoami')).stdout, '0\nroot\n')
    await sandbox.commands.run('sudo touch /etc/made-by-sudo && test -e /etc/made-by-sudo')
  })

  it('an unknown user is refused', async (t) => {
    const sandbox = await open(t, sdk)
    await failure(() => sandbox.commands.run('true', { user: 'nobody-here' }), AuthenticationError)
  })

  it('a user of your own may run commands', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.commands.run('useradd -m ada', { user: 'root' })
    assert.equal((await sandbox.commands.run('whoami; pwd', { user: 'ada' })).stdout, 'ada\n/home/ada\n')
  })

  it('takes a working directory, and refuses one that is missing', async (t) => {
    const sandbox = await open(t, sdk)
    assert.equal((await sandbox.commands.run('pwd', { cwd: '/tmp' })).stdout, '/tmp\n')
    await sandbox.files.makeDir('work dir')
    assert.equal((await sandbox.commands.run('pwd', { cwd: 'work dir' })).stdout, '/home/user/work dir\n')
    await failure(() => sandbox.commands.run('pwd', { cwd: '/not/here' }), InvalidArgumentError, /\/not\/here/)
  })

  it('environment of the sandbox, of the command, and nothing after it', async (t) => {
    const sandbox = await open(t, sdk, { envs: { SHARED: 'sandbox', OWN: 'sandbox' } })
    const show = 'echo "$SHARED $OWN ${EXTRA-none}"'
    assert.equal((await sandbox.commands.run(show, { envs: { OWN: 'command', EXTRA: 'a b' } })).stdout, 'sandbox command a b\n')
    assert.equal((await sandbox.commands.run(show)).stdout, 'sandbox sandbox none\n')
  })

  it('output is streamed while the command runs', async (t) => {
    const sandbox = await open(t, sdk)
    const out = []
    const err = []
    const result = await sandbox.commands.run(`echo first; echo warning >&2; ${until('/tmp/go')}; echo second`, {
      onStdout: async (chunk) => {
        out.push(chunk)
        // Only a chunk that arrives before the end can let the command go on.
        if (out.join('') === 'first\n') await sandbox.files.write('/tmp/go', '')
      },
      onStderr: (chunk) => { err.push(chunk) },
    })
    assert.equal(out.join(''), 'first\nsecond\n')
    assert.equal(err.join(''), 'warning\n')
    assert.equal(result.stdout, 'first\nsecond\n')
  })

  it('100 kB of multi-byte output arrive without a replacement character', async (t) => {
    const sandbox = await open(t, sdk)
    const text = 'é漢🙂x'.repeat(11_000)
    const chunks = []
    // Written in pieces that cut characters, so that no boundary falls well by luck.
    const script = `import os
data = ('é漢🙂x' * 11000).encode()
for i in range(0, len(data), 4093):
    os.write(1, data[i:i + 4093])`
    await sandbox.files.write('emit.py', script)
    const result = await sandbox.commands.run('python3 emit.py', { onStdout: (chunk) => { chunks.push(chunk) } })
    assert.equal(Buffer.byteLength(text), 110_000)
    assert.ok(result.stdout === text, 'stdout differs')
    assert.ok(!chunks.some((chunk) => chunk.includes('\uFFFD')), 'a chunk holds U+FFFD')
    assert.ok(chunks.join('') === text, 'the chunks differ')
  })

  it('5 MB of output arrive whole', async (t) => {
    const sandbox = await open(t, sdk)
    const { stdout } = await sandbox.commands.run('head -c 5000000 /dev/zero | tr "\\0" x')
    assert.equal(stdout.length, 5_000_000)
  })

  it('a background command gives its pid at once and its result later', async (t) => {
    const sandbox = await open(t, sdk)
    const handle = await sandbox.commands.run(`echo started; ${until('/tmp/go')}; echo done; exit 5`, { background: true })
    assert.ok(handle.pid > 1)
    assert.equal(handle.exitCode, undefined)
    assert.equal(await isAlive(sandbox, handle.pid), true)
    const [listed] = (await sandbox.commands.list()).filter((process) => process.pid === handle.pid)
    assert.equal(listed.cmd, '/bin/bash')
    assert.deepEqual(listed.args.slice(0, 2), ['-l', '-c'])
    await sandbox.files.write('/tmp/go', '')
    const error = await failure(() => handle.wait(), CommandExitError)
    assert.equal(error.exitCode, 5)
    assert.equal(handle.exitCode, 5)
    assert.equal(handle.stdout, 'started\ndone\n')
  })

  it('kill ends a background command', async (t) => {
    const sandbox = await open(t, sdk)
    const handle = await sandbox.commands.run('sleep 600', { background: true })
    assert.equal(await handle.kill(), true)
    assert.equal(await isAlive(sandbox, handle.pid), false)
    const error = await failure(() => handle.wait(), CommandExitError, /signal: killed/)
    assert.equal(error.exitCode, -1)
    assert.equal(await sandbox.commands.kill(handle.pid), false)
  })

  it('kill of an unknown pid is false', async (t) => {
    const sandbox = await open(t, sdk)
    assert.equal(await sandbox.commands.kill(999_999), false)
  })

  it('list holds what runs and nothing else', async (t) => {
    const sandbox = await open(t, sdk)
    assert.deepEqual(await sandbox.commands.list(), [])
    const one = await background(sandbox, 'sleep 600', { envs: { A: '1' }, cwd: '/tmp' })
    const two = await background(sandbox, 'sleep 601')
    const listed = await sandbox.commands.list()
    assert.deepEqual(listed.map((process) => process.pid).sort(), [one.pid, two.pid].sort())
    const first = listed.find((process) => process.pid === one.pid)
    assert.equal(first.args[2], 'sleep 600')
    assert.equal(first.envs.A, '1')
    assert.equal(first.cwd, '/tmp')
  })

  it('stdin is fed and closed', async (t) => {
    const sandbox = await open(t, sdk)
    const handle = await sandbox.commands.run('cat', { background: true, stdin: true })
    await sandbox.commands.sendStdin(handle.pid, 'héllo\n')
    await sandbox.commands.sendStdin(handle.pid, new TextEncoder().encode('bytes 漢\n'))
    await sandbox.commands.sendStdin(handle.pid, '')
    await eventually('cat echoes', () => handle.stdout === 'héllo\nbytes 漢\n')
    await sandbox.commands.closeStdin(handle.pid)
    const result = await handle.wait()
    assert.equal(result.exitCode, 0)
    assert.equal(result.stdout, 'héllo\nbytes 漢\n')
  })

  it('a megabyte goes through stdin', async (t) => {
    const sandbox = await open(t, sdk)
    const handle = await sandbox.commands.run('wc -c', { background: true, stdin: true })
    await sandbox.commands.sendStdin(handle.pid, 'x'.repeat(1_000_000))
    await sandbox.commands.closeStdin(handle.pid)
    assert.equal((await handle.wait()).stdout.trim(), '1000000')
  })

  it('without stdin a reader sees the end of the file', async (t) => {
    const sandbox = await open(t, sdk)
    assert.equal((await sandbox.commands.run('cat; echo end')).stdout, 'end\n')
  })

  it('a timeout fails the call and kills the process', async (t) => {
    const sandbox = await open(t, sdk)
    await failure(() => sandbox.commands.run('exec sleep 600', { timeoutMs: 500 }), TimeoutError)
    await eventually('the process is gone', async () => (await sandbox.commands.list()).length === 0)
    await failure(() => sandbox.commands.run('pgrep -x sleep'), CommandExitError)
  })

  it('a timeout of 0 is none', async (t) => {
    const sandbox = await open(t, sdk)
    assert.equal((await sandbox.commands.run('sleep 0.2; echo done', { timeoutMs: 0 })).stdout, 'done\n')
  })

  it('a command survives disconnect, and connect gets the rest and the end', async (t) => {
    const sandbox = await open(t, sdk)
    const first = await sandbox.commands.run(`echo one; ${until('/tmp/go')}; echo two; exit 4`, { background: true })
    await eventually('the first line', () => first.stdout === 'one\n')
    await first.disconnect()
    assert.equal(await isAlive(sandbox, first.pid), true)
    const heard = []
    const second = await sandbox.commands.connect(first.pid, { onStdout: (chunk) => { heard.push(chunk) } })
    assert.equal(second.pid, first.pid)
    await sandbox.files.write('/tmp/go', '')
    const error = await failure(() => second.wait(), CommandExitError)
    assert.equal(error.exitCode, 4)
    assert.equal(heard.join(''), 'two\n')
  })

  it('two handles hear the same output', async (t) => {
    const sandbox = await open(t, sdk)
    const first = await sandbox.commands.run(`${until('/tmp/go')}; echo both`, { background: true })
    const second = await sandbox.commands.connect(first.pid)
    await sandbox.files.write('/tmp/go', '')
    for (const handle of [first, second]) assert.equal((await handle.wait()).stdout, 'both\n')
  })

  it('connecting to a command that just ended gives its end', async (t) => {
    const sandbox = await open(t, sdk)
    const first = await sandbox.commands.run('exit 0', { background: true })
    await first.wait()
    assert.equal((await (await sandbox.commands.connect(first.pid)).wait()).exitCode, 0)
  })

  it('connecting to an unknown pid is an error', async (t) => {
    const sandbox = await open(t, sdk)
    await failure(() => sandbox.commands.connect(999_999), NotFoundError)
  })

  it('twenty commands run side by side', async (t) => {
    const sandbox = await open(t, sdk)
    const results = await Promise.all(Array.from({ length: 20 }, (_, i) => sandbox.commands.run(`echo ${i}; exit 0`)))
    assert.deepEqual(results.map((result) => result.stdout), Array.from({ length: 20 }, (_, i) => `${i}\n`))
  })

  it('orphans are reaped and leave no zombie', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.commands.run('for i in 1 2 3 4 5; do (sleep 0.01 & disown) ; done >/dev/null 2>&1')
    await eventually('no zombie is left', async () =>
      (await sandbox.commands.run('ps -eo stat= | grep -c "^Z" || true')).stdout.trim() === '0')
  })
})
