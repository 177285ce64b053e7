// Calls at the wrong moment: the cloud's code and words each time, and everything is as it was.
import assert from 'node:assert/strict'
import { eachSdk, it } from './support/sdks.mjs'
import { background, everyItem, failure, open, ownMetadata } from './support/sandbox.mjs'
import { api } from './support/network.mjs'

const answered = ({ status, json }) => [status, json?.code, json?.message]

eachSdk('bad moment', (sdk) => {
  const { Sandbox, SandboxError, SandboxNotFoundError } = sdk
  const mine = async (metadata) => (await everyItem(Sandbox.list({ query: { metadata } }))).map((item) => item.sandboxId)

  it('paused while it is being paused', async (t) => {
    const sandbox = await open(t, sdk)
    const process = await background(sandbox, 'sleep 600')
    const pause = () => api('POST', `/sandboxes/${sandbox.sandboxId}/pause`)
    const answers = (await Promise.all([pause(), pause(), pause()])).map(answered)
    assert.equal(answers.filter(([status]) => status === 204).length, 1)
    for (const refused of answers.filter(([status]) => status !== 204)) {
      assert.deepEqual(refused, [409, 409, `Error pausing sandbox - sandbox '${sandbox.sandboxId}' is already paused`])
    }
    assert.equal(await Sandbox.pause(sandbox.sandboxId), false)
    assert.equal((await sandbox.getInfo()).state, 'paused')
    await sandbox.connect()
    assert.deepEqual((await sandbox.commands.list()).map((listed) => listed.pid), [process.pid])
  })

  it('any call to one that was killed', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.pause()
    await sandbox.kill()
    const calls = [['resume', {}], ['connect', { timeout: 60 }], ['pause', {}], ['timeout', { timeout: 60 }], ['snapshots', {}],
      ['clone', {}], ['fork', {}], ['reset', {}], ['volume-mounts', { name: 'v', path: '/v' }]]
    for (const [call, body] of calls) {
      const refused = await api('POST', `/sandboxes/${sandbox.sandboxId}/${call}`, body)
      assert.deepEqual(answered(refused), [404, 404, `Sandbox "${sandbox.sandboxId}" doesn't exist or you don't have access to it`], call)
    }
    await failure(() => Sandbox.connect(sandbox.sandboxId), SandboxNotFoundError)
    await failure(() => Sandbox.setTimeout(sandbox.sandboxId, 1000), SandboxNotFoundError)
  })

  it('resumed while it runs', async (t) => {
    const sandbox = await open(t, sdk)
    const { endAt } = await sandbox.getInfo()
    const refused = await api('POST', `/sandboxes/${sandbox.sandboxId}/resume`, { timeout: 3000 })
    assert.deepEqual(answered(refused), [409, 409, `Sandbox ${sandbox.sandboxId} is already running`])
    assert.equal((await sandbox.getInfo()).endAt.getTime(), endAt.getTime())
  })

  it('a copy of a paused one: a clone is made of it, a fork is not, and it stays paused', async (t) => {
    const metadata = ownMetadata()
    const sandbox = await open(t, sdk, { metadata })
    await sandbox.files.write('/home/user/file', 'of the source')
    await sandbox.pause()
    const refused = await api('POST', `/sandboxes/${sandbox.sandboxId}/fork`, {})
    assert.deepEqual(answered(refused), [409, 409, `Sandbox '${sandbox.sandboxId}' is paused and cannot be forked; resume it first`])
    assert.deepEqual(await mine(metadata), [sandbox.sandboxId])
    const cloned = await api('POST', `/sandboxes/${sandbox.sandboxId}/clone`, {})
    assert.equal(cloned.status, 201)
    const copy = await Sandbox.connect(cloned.json.sandboxes[0].sandboxID)
    assert.equal(await copy.files.read('/home/user/file'), 'of the source')
    await copy.kill()
    assert.equal((await sandbox.getInfo()).state, 'paused')
    await sandbox.connect()
    assert.equal(await sandbox.files.read('/home/user/file'), 'of the source')
  })

  it('a snapshot is deleted while a sandbox is made of it', async (t) => {
    const source = await open(t, sdk)
    await source.files.write('/home/user/file', 'in it')
    const { snapshotId } = await source.createSnapshot()
    const id = snapshotId.replace(/:default$/, '')
    const sandbox = await open(t, sdk, snapshotId)
    for (const state of ['running', 'paused']) {
      if (state === 'paused') await sandbox.pause()
      await failure(() => Sandbox.deleteSnapshot(snapshotId), SandboxError, /^400: /)
      const refused = await api('DELETE', `/templates/${id}`)
      assert.deepEqual(answered(refused), [400, 400, `cannot delete template '${id}' because there are ${state} sandboxes using it`])
      const another = await Sandbox.create(snapshotId)
      assert.equal(await another.files.read('/home/user/file'), 'in it')
      await another.kill()
      assert.equal((await sandbox.getInfo()).state, state)
    }
    await sandbox.kill()
    assert.equal(await Sandbox.deleteSnapshot(snapshotId), true)
    await failure(() => Sandbox.create(snapshotId), SandboxError, /^404: /)
  })
})
