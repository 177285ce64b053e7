// pty.*: a terminal that echoes, resizes, interrupts, reconnects and dies.
import assert from 'node:assert/strict'
import { eachSdk, it } from './support/sdks.mjs'
import { eventually, failure, open } from './support/sandbox.mjs'

// A terminal with everything it printed so far, and `type` and `expect` for a conversation with it.
async function terminal(sandbox, options = {}) {
  const decoder = new TextDecoder()
  const screen = { text: '' }
  const onData = (data) => { screen.text += decoder.decode(data, { stream: true }) }
  screen.handle = await sandbox.pty.create({ cols: 80, rows: 24, timeoutMs: 60_000, ...options, onData })
  screen.pid = screen.handle.pid
  screen.type = (text) => sandbox.pty.sendInput(screen.pid, new TextEncoder().encode(text))
  screen.expect = (pattern) => eventually(() => `the terminal shows ${pattern} (it shows ${JSON.stringify(screen.text)})`,
    () => pattern.test(screen.text))
  return screen
}

eachSdk('pty', (sdk) => {
  const { NotFoundError, CommandExitError } = sdk

  it('runs a shell that answers and exits with 0', async (t) => {
    const sandbox = await open(t, sdk)
    const screen = await terminal(sandbox, { envs: { NAME: 'é 漢' } })
    await screen.type('echo "<$((40+2)) $NAME $TERM>"\n')
    await screen.expect(/<42 é 漢 xterm-256color>/)
    await screen.type('tty; whoami; pwd\n')
    await screen.expect(/\/dev\/pts\/\d+\r\nuser\r\n\/home\/user\r\n/)
    await screen.type('exit\n')
    assert.equal((await screen.handle.wait()).exitCode, 0)
  })

  it('the exit code is that of the shell', async (t) => {
    const sandbox = await open(t, sdk)
    const screen = await terminal(sandbox)
    await screen.type('exit 7\n')
    assert.equal((await failure(() => screen.handle.wait(), CommandExitError)).exitCode, 7)
  })

  it('is resized while it runs', async (t) => {
    const sandbox = await open(t, sdk)
    const screen = await terminal(sandbox)
    await screen.type('echo "cols=$(tput cols)"\n')
    await screen.expect(/cols=80\r/)
    await sandbox.pty.resize(screen.pid, { cols: 100, rows: 30 })
    await screen.type('echo "cols=$(tput cols)"; stty size\n')
    await screen.expect(/cols=100\r[^]*\n30 100\r/)
  })

  it('Ctrl-C interrupts the foreground and not the shell', async (t) => {
    const sandbox = await open(t, sdk)
    const screen = await terminal(sandbox)
    await screen.type('echo rea""dy; sleep 600\n')
    await screen.expect(/ready\r\n/)
    await eventually('sleep runs', async () =>
      (await sandbox.commands.run('pgrep -x sleep || true')).stdout.trim() !== '')
    await screen.type('\x03')
    await screen.type('echo ba""ck $?\n')
    await screen.expect(/back 130\r\n/)
  })

  it('takes a user, a directory and an environment', async (t) => {
    const sandbox = await open(t, sdk)
    const screen = await terminal(sandbox, { user: 'root', cwd: '/tmp', envs: { WORD: 'given' } })
    await screen.type('echo "<$(whoami) $PWD $WORD>"\n')
    await screen.expect(/<root \/tmp given>/)
  })

  it('survives disconnect, and the next handle hears the rest', async (t) => {
    const sandbox = await open(t, sdk)
    const screen = await terminal(sandbox)
    await screen.type('echo o""ne\n')
    await screen.expect(/[\r\n]one\r\n/)
    await screen.handle.disconnect()
    let heard = ''
    const second = await sandbox.pty.connect(screen.pid, {
      onData: (data) => { heard += new TextDecoder().decode(data) },
    })
    assert.equal(second.pid, screen.pid)
    await screen.type('echo t""wo\n')
    await eventually('the second handle hears the terminal', () => /[\r\n]two\r\n/.test(heard))
    assert.ok(!/[\r\n]one\r\n/.test(heard))
    await screen.type('exit\n')
    assert.equal((await second.wait()).exitCode, 0)
  })

  it('kill ends it, and an unknown one is false', async (t) => {
    const sandbox = await open(t, sdk)
    const screen = await terminal(sandbox)
    const gone = screen.handle.wait().catch((error) => error)
    assert.equal(await sandbox.pty.kill(screen.pid), true)
    assert.ok((await gone) instanceof CommandExitError)
    await eventually('it is not listed', async () => (await sandbox.commands.list()).length === 0)
    assert.equal(await sandbox.pty.kill(screen.pid), false)
    assert.equal(await sandbox.pty.kill(999_999), false)
  })

  it('input and size for a terminal that is gone are errors', async (t) => {
    const sandbox = await open(t, sdk)
    await failure(() => sandbox.pty.sendInput(999_999, new Uint8Array([10])), NotFoundError)
    await failure(() => sandbox.pty.resize(999_999, { cols: 80, rows: 24 }), NotFoundError)
    await failure(() => sandbox.pty.connect(999_999, { onData() {} }), NotFoundError)
  })
})
