// files.watchDir: what happens below a directory is told.
import assert from 'node:assert/strict'
import { eachSdk, it } from './support/sdks.mjs'
import { eventually, failure, open } from './support/sandbox.mjs'

// Events of a watched directory, and a way to wait for one of them.
async function watch(t, sandbox, path, options = {}) {
  const events = []
  const handle = await sandbox.files.watchDir(path, (event) => events.push(event), options)
  t.after(() => handle.stop())
  const until = (type, name) => eventually(
    () => `${type} of ${name}: ${JSON.stringify(events)}`,
    () => events.find((event) => event.type === type && event.name === name),
  )
  return { events, until, handle }
}

eachSdk('watchDir', (sdk) => {
  const { FileNotFoundError, SandboxError } = sdk

  it('tells of creation, writing, renaming and removal', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.files.makeDir('watched')
    const { until } = await watch(t, sandbox, 'watched')
    await sandbox.files.write('watched/file.txt', 'one')
    await until('create', 'file.txt')
    await until('write', 'file.txt')
    await sandbox.files.rename('watched/file.txt', 'watched/other.txt')
    await until('rename', 'file.txt')
    await until('create', 'other.txt')
    await sandbox.files.remove('watched/other.txt')
    await until('remove', 'other.txt')
  })

  it('what a command changes is told too', async (t) => {
    const sandbox = await open(t, sdk)
    const { until } = await watch(t, sandbox, '/tmp')
    await sandbox.commands.run('touch /tmp/by-hand && chmod 600 /tmp/by-hand')
    await until('create', 'by-hand')
    await until('chmod', 'by-hand')
  })

  it('recursion follows directories that come later', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.files.makeDir('tree/old')
    const { until } = await watch(t, sandbox, 'tree', { recursive: true })
    await sandbox.files.write('tree/old/a.txt', 'a')
    await until('write', 'old/a.txt')
    await sandbox.files.makeDir('tree/new')
    await until('create', 'new')
    await sandbox.files.write('tree/new/b.txt', 'b')
    await until('write', 'new/b.txt')
  })

  it('without recursion sub-directories are silent', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.files.makeDir('flat/sub')
    const { events, until } = await watch(t, sandbox, 'flat')
    await sandbox.files.write('flat/sub/a.txt', 'a')
    await sandbox.files.write('flat/b.txt', 'b')
    await until('write', 'b.txt')
    assert.deepEqual(events.filter((event) => event.name.startsWith('sub')), [])
  })

  it('a stopped watch is silent', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.files.makeDir('quiet')
    const { events, until, handle } = await watch(t, sandbox, 'quiet')
    await sandbox.files.write('quiet/a.txt', 'a')
    await until('write', 'a.txt')
    await handle.stop()
    const before = events.length
    await sandbox.files.write('quiet/b.txt', 'b')
    await sandbox.commands.run('sleep 0.2')
    assert.equal(events.length, before)
  })

  it('a missing directory and a file are errors', async (t) => {
    const sandbox = await open(t, sdk)
    await failure(() => sandbox.files.watchDir('/nowhere', () => {}), FileNotFoundError)
    await sandbox.files.write('file.txt', '')
    await failure(() => sandbox.files.watchDir('file.txt', () => {}), SandboxError)
  })
})
