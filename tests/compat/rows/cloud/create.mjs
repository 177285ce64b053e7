// POST /sandboxes and /v2/sandboxes, but for `network` (create-network.mjs) and `secrets` (secrets.mjs).
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../../../sdk/support/sandbox.mjs'
import { endpoint } from '../../support/endpoint.mjs'
import { inSeconds, unused } from '../../support/cloud.mjs'
import { domain, frontDoor } from '../../support/sandbox.mjs'
import { exchange } from '../../support/wire.mjs'

const kRoutes = ['POST /sandboxes', 'POST /v2/sandboxes']
const kPaths = ['/sandboxes', '/v2/sandboxes']
const bad = (name, reason) => `validation error: request body has an error: Error at "/${name}": ${reason}`
const create = (c, body) => c.call('POST', '/sandboxes', { templateID: 'base', ...body })
const bootId = async (s) => (await s.run('cat /proc/sys/kernel/random/boot_id')).stdout
const state = async (c, s) => (await c.detail(s)).state
// Lets it reach its end in a second.
const end = (c, s) => c.done(204, 'POST', `/sandboxes/${s.id}/timeout`, { timeout: 1 })
const paused = (c, s) => eventually('it is paused', async () => (await state(c, s)) === 'paused')
const gone = (c, s) => eventually('it is gone', () => c.isGone(s))

endpoint(kRoutes, 'create', { seconds: 6, sideBySide: 6 }, (row) => {
  row.call('201: both routes are the same operation', async (c) => {
    const made = []
    for (const path of kPaths) made.push(await c.open({ path }))
    assert.deepEqual(Object.keys(made[0].created), Object.keys(made[1].created))
    for (const one of made) assert.equal((await one.run('echo alive')).stdout, 'alive\n')
  })
  row.call('keys that nobody knows are ignored', async (c) => { await c.open({ nobodyKnowsThis: { a: 1 } }) })

  row.body('templateID', 'the template: its name, its id, either with `:default`, a name with a team before it; capitals and spaces around do not matter', async (c) => {
    const { templateID } = (await c.shared()).created
    for (const reference of ['base', templateID, 'base:default', `${templateID}:default`, ' BASE ', 'Base:Default']) {
      assert.equal((await c.open({ templateID: reference })).created.templateID, templateID)
    }
    const name = unused('of-a-team')
    const { snapshotID } = (await c.snapshot(await c.shared(), { name })).json
    const [of] = [await c.open({ templateID: `team/${name}` })]
    assert.equal(`${of.created.alias}:default`, snapshotID)
  })
  row.body('timeout', 'it ends so many seconds later', async (c) => {
    const s = await c.open({ timeout: 40 })
    const { startedAt, endAt } = await c.detail(s)
    assert.ok(Math.abs(Date.parse(endAt) - Date.parse(startedAt) - 40_000) < 3000, `${startedAt} to ${endAt}`)
    await gone(c, await c.open({ timeout: 1 }))
  })
  row.body('timeout', 'absent: 300 seconds', async (c) => {
    inSeconds((await c.detail(await c.open({ timeout: undefined }))).endAt, 300)
  }, { differs: "E2B's server says 15 here; its SDK and Novita's documentation say 300" })
  row.body('timeout', 'more than an hour is an hour', async (c) => {
    inSeconds((await c.detail(await c.open({ timeout: 7200 }))).endAt, 3600)
  }, { differs: 'as Novita documents it; E2B answers 400' })
  row.body('secure', '`true`: the daemon wants the token that the answer has', async (c) => {
    const s = await c.open({ secure: true })
    assert.ok(s.token)
    assert.equal((await exchange(s.bare, { path: '/envs' })).status, 401)
    assert.equal((await s.get('/envs')).status, 200)
  })
  row.body('secure', '`false`: there is no token, and everybody may', async (c) => {
    const s = await c.open({ secure: false })
    assert.ok(!('envdAccessToken' in s.created))
    assert.equal((await exchange(s.bare, { path: '/envs' })).status, 200)
  })
  row.body('secure', 'absent: `true`', async (c) => {
    for (const path of kPaths) assert.ok((await c.open({ path })).token)
  }, { differs: "E2B's older route takes `false`; no SDK leaves it out there" })
  row.body('metadata', 'is shown, and finds the sandbox in the lists', async (c) => {
    const metadata = { purpose: unused('metadata'), 'a key': 'v&=1' }
    const s = await c.open({ metadata })
    assert.deepEqual((await c.detail(s)).metadata, metadata)
    const listed = (await c.done(200, 'GET', `/v2/sandboxes?metadata=purpose%3D${metadata.purpose}`)).json
    assert.deepEqual(listed.map((one) => one.sandboxID), [s.id])
  })
  row.body('metadata.idle_timeout', 'Novita: ends a sandbox that nobody has used for so many seconds', async (c) => {
    inSeconds((await c.detail(await c.open({ metadata: { idle_timeout: '60' } }))).endAt, 120)
    await gone(c, await c.open({ metadata: { idle_timeout: '1' } }))
  })
  row.body('metadata.long_running', 'Novita: `"true"` lets it live longer than an hour', async (c) => {
    inSeconds((await c.detail(await c.open({ timeout: 7200, metadata: { long_running: 'true' } }))).endAt, 7200)
  })
  row.body('envVars', 'every process in it has them; a variable of the command wins', async (c) => {
    const s = await c.open({ envVars: { FROM_CREATE: 'a b', WON: 'lost' } })
    assert.equal((await s.run('echo "$FROM_CREATE" $WON', { envs: { WON: 'won' } })).stdout, 'a b won\n')
  })
  row.body('autoPause', '`true`: at its end it is paused, not killed', async (c) => {
    const s = await c.open({ autoPause: true })
    assert.equal((await c.detail(s)).lifecycle.onTimeout, 'pause')
    await end(c, s)
    await paused(c, s)
    await c.done(201, 'POST', `/sandboxes/${s.id}/connect`, { timeout: 60 })
    assert.equal((await s.run('echo again')).stdout, 'again\n')
  })
  row.body('autoPause', '`false` and absent: killed', async (c) => {
    const both = [await c.open({ timeout: 1, autoPause: false }), await c.open({ timeout: 1 })]
    for (const s of both) await gone(c, s)
  })
  for (const [keeps, words] of [[true, '`true` and absent: the processes are there after the resume'], [false, '`false`: only the files are, and `boot_id` is another']]) {
    row.body('autoPauseMemory', words, async (c) => {
      for (const autoPauseMemory of keeps ? [true, undefined] : [false]) {
        const one = await c.open({ autoPause: true, autoPauseMemory })
        const before = await bootId(one)
        const { call } = await one.background('echo kept > /tmp/kept; exec sleep 300')
        call.leave()
        await end(c, one)
        await paused(c, one)
        await c.done(201, 'POST', `/sandboxes/${one.id}/connect`, { timeout: 60 })
        assert.equal((await one.process('List')).json.processes?.length ?? 0, keeps ? 1 : 0)
        assert.equal((await bootId(one)) === before, keeps)
        assert.equal((await one.run('cat /tmp/kept')).stdout, 'kept\n')
      }
    })
  }
  for (const enabled of [true, false]) {
    row.body('autoResume.enabled', enabled ? '`true`: a request to any port resumes it when it is paused' : '`false` and absent: it stays paused', async (c) => {
      const variants = [{ autoResume: { enabled } }, ...(enabled ? [] : [{}])]
      for (const variant of variants) {
        const s = await c.open({ autoPause: true, secure: false, ...variant })
        assert.equal((await c.detail(s)).lifecycle.autoResume, enabled)
        await c.pause(s)
        const reply = await exchange(s.at(49983), { path: '/health' })
        assert.equal(reply.status, enabled ? 204 : 502)
        assert.equal(await state(c, s), enabled ? 'running' : 'paused')
        if (enabled) inSeconds((await c.detail(s)).endAt, 300)
      }
    })
  }
  row.body('volumeMounts.name', 'the volume of this name', async (c) => {
    const volume = await c.volume()
    const [one, two] = [await c.open({ volumeMounts: [{ name: volume.name, path: '/data' }] }), await c.open({ volumeMounts: [{ name: volume.name, path: '/other' }] })]
    await one.run('echo shared > /data/file')
    assert.equal((await two.run('cat /other/file')).stdout, 'shared\n')
    await Promise.all([one.close(), two.close()])
  })
  row.body('volumeMounts.path', 'is mounted here', async (c) => {
    const volume = await c.volume()
    const s = await c.open({ volumeMounts: [{ name: volume.name, path: '/deep/in/it' }] })
    assert.match((await s.run('cat /proc/mounts')).stdout, / \/deep\/in\/it /)
    assert.deepEqual((await c.detail(s)).volumeMounts, [{ name: volume.name, path: '/deep/in/it' }])
    await s.close()
  })
  row.body('mcp', 'taken, `null` too: it is the SDK that starts the gateway in the sandbox', async (c) => {
    for (const mcp of [{ server: { url: 'x' } }, null]) await c.open({ mcp })
  })
  row.later('nodeID', 'choosing a node with nodeID', (c) => create(c, { nodeID: 'n1' }))
  row.later(['iam.tokens', 'iam.tokens.audience', 'iam.tokens.tokenType'], 'workload identity with iam', (c) => create(c, { iam: { tokens: { t: { audience: 'a', tokenType: 'jwt' } } } }))

  row.answer('sandboxID', 'new each time; lower-case letters and digits, so that it fits into a host name', async (c) => {
    const ids = [await c.open(), await c.open()].map((s) => s.id)
    assert.notEqual(ids[0], ids[1])
    for (const id of ids) assert.match(id, /^i[a-z0-9]{20}$/)
  })
  row.answer('templateID', 'that of the template, whatever it was called', async (c) => {
    const { templateID } = (await c.open({ templateID: 'base' })).created
    const known = (await c.done(200, 'GET', '/templates/aliases/base')).json
    assert.equal(templateID, known.templateID)
  })
  row.answer('alias', "the template's name", async (c) => assert.equal((await c.shared()).created.alias, 'base'))
  row.answer('clientID', 'empty: older SDKs would make it part of the id', async (c) => assert.equal((await c.shared()).created.clientID, ''))
  row.answer('envdVersion', "the daemon's, three numbers", async (c) => assert.match((await c.shared()).created.envdVersion, /^\d+\.\d+\.\d+$/))
  row.answer('envdAccessToken', "with `secure` only: the daemon's token, the same after pause and connect", async (c) => {
    const s = await c.open()
    await c.pause(s)
    const again = (await c.done(201, 'POST', `/sandboxes/${s.id}/connect`, { timeout: 60 })).json
    assert.equal(again.envdAccessToken, s.token)
    assert.equal((await s.get('/envs')).status, 200)
    assert.ok(!('envdAccessToken' in (await c.open({ secure: false })).created))
  })
  row.answer('trafficAccessToken', '`null`, unless the sandbox is private', async (c) => {
    assert.equal((await c.shared()).created.trafficAccessToken, null)
    const s = await c.open({ network: { allowPublicTraffic: false } })
    assert.equal(typeof s.created.trafficAccessToken, 'string')
  })
  row.answer('domain', '`null` when the API was asked as `api.<domain>`, else the domain with its port', async (c) => {
    const { json } = await c.done(201, 'POST', '/sandboxes', { templateID: 'base' }, { target: frontDoor('localhost') })
    const other = c.adopt(json)
    assert.equal(other.created.domain, domain)
    assert.equal((await c.shared()).created.domain, null)
  })

  for (const [what, body, message] of [
    ['no body', '', 'validation error: request body has an error: value is required but missing'],
    ['half a document', '{"templateID":', 'Error when parsing request: …'],
    ['a list', '[]', bad('', 'value must be an object')],
    ['no `templateID`', '{}', bad('templateID', 'property "templateID" is missing')],
    ['`templateID: ""`', '{"templateID":""}', 'Invalid template reference: template ID cannot be empty'],
  ]) row.error(400, what, message, (c) => c.call('POST', '/sandboxes', body))
  for (const [body, name, reason] of [
    [{ templateID: 5 }, 'templateID', 'value must be a string'],
    [{ timeout: '60' }, 'timeout', 'value must be an integer'],
    [{ timeout: 1.5 }, 'timeout', 'value must be an integer'],
    [{ timeout: -1 }, 'timeout', 'number must be at least 0'],
    [{ timeout: 2 ** 31 }, 'timeout', 'number must be at most 2147483647'],
    [{ timeout: null }, 'timeout', 'Value is not nullable'],
    [{ secure: 'yes' }, 'secure', 'value must be a boolean'],
    [{ metadata: { a: 1 } }, 'metadata/a', 'value must be a string'],
    [{ metadata: [] }, 'metadata', 'value must be an object'],
    [{ envVars: { a: 1 } }, 'envVars/a', 'value must be a string'],
    [{ autoPause: 1 }, 'autoPause', 'value must be a boolean'],
    [{ autoPauseMemory: 1 }, 'autoPauseMemory', 'value must be a boolean'],
    [{ autoResume: {} }, 'autoResume/enabled', 'property "enabled" is missing'],
    [{ volumeMounts: {} }, 'volumeMounts', 'value must be an array'],
    [{ volumeMounts: [{ name: 'x' }] }, 'volumeMounts/0/path', 'property "path" is missing'],
    [{ mcp: 'x' }, 'mcp', 'value must be an object'],
  ]) row.error(400, `\`${JSON.stringify(body).slice(1, -1)}\``, bad(name, reason), (c) => create(c, body))
  row.error(400, '`"envVars":{"A=B":"x"}`', bad('envVars/A=B', '…'), (c) => create(c, { envVars: { 'A=B': 'x' } }), { differs: 'the cloud takes a name that no process can have' })
  row.error(400, '`"timeout":0`', 'Timeout must be greater than 0', (c) => create(c, { timeout: 0 }))
  row.error(400, '`"autoPauseMemory":false` without `autoPause`', 'autoPauseMemory=false only applies when autoPause is true.', (c) => create(c, { autoPauseMemory: false }))
  row.error(400, '`"autoPauseMemory":false` with `autoResume`', 'autoPauseMemory=false (filesystem-only auto-pause) cannot be combined with autoResume: …', (c) => create(c, { autoPause: true, autoPauseMemory: false, autoResume: { enabled: true } }))
  row.error(400, '`"metadata":{"idle_timeout":"soon"}`', 'metadata.idle_timeout must be a whole number of seconds, as a string', (c) => create(c, { metadata: { idle_timeout: 'soon' } }))
  row.error(400, 'a volume that nobody has, a path that is none: all at once', "invalid mounts:…#0: volume 'nobody' not found…#1: path must be absolute…", async (c) => create(c, { volumeMounts: [{ name: 'nobody', path: '/x' }, { name: (await c.volume()).name, path: 'x' }] }))
  row.error(404, 'an unknown template', "template 'nope' not found", (c) => create(c, { templateID: 'nope' }))
  row.error(404, 'a tag that the template has not', "template 'base' with tag 'v9' not found", (c) => create(c, { templateID: 'base:v9' }))
  row.call('what is refused leaves nothing behind', async (c) => {
    const mark = unused('refused')
    const replies = [await create(c, { metadata: { mark }, timeout: 0 }), await create(c, { metadata: { mark }, templateID: 'nope' }), await create(c, { metadata: { mark }, nodeID: 'n' })]
    assert.deepEqual(replies.map((reply) => reply.status), [400, 404, 501])
    await pause(100)
    assert.deepEqual((await c.done(200, 'GET', `/v2/sandboxes?metadata=mark%3D${mark}`)).json, [])
  })
})
