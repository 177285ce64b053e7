// Snapshots, clones, forks, resets: what is copied is files (docs/snapshots.md).
import assert from 'node:assert/strict'
import { endpoint } from '../../support/endpoint.mjs'
import { inSeconds, novita, unused } from '../../support/cloud.mjs'
import { holds } from '../../support/reach.mjs'
import { exchange } from '../../support/wire.mjs'
import { aboutOne } from './sandboxes.mjs'

const kFiles = { differs: 'the files only, no processes and no memory yet: the header `X-Sandlot-Contents` says so' }
const wrong = (name, reason) => `validation error: request body has an error: Error at "/${name}": ${reason}`
const post = (c, s, what, body) => c.call('POST', `/sandboxes/${s.id}/${what}`, body)

async function withFile(c, options) {
  const s = await c.open(options)
  await s.run('echo copied > ~/file')
  return s
}
const hasFile = async (s) => assert.equal((await s.run('cat ~/file')).stdout, 'copied\n')
const contents = (row) => row.header('X-Sandlot-Contents', 'what is in the copy: `filesystem`', async (c, make) => {
  assert.equal((await make(c)).headers['x-sandlot-contents'], 'filesystem')
}, { differs: "Sandlot's own" })

endpoint('POST /sandboxes/{sandboxID}/snapshots', 'snapshot', {}, (row) => {
  row.call('201; a sandbox made of it has the files; the source goes on', async (c) => {
    const s = await withFile(c)
    const { pid } = await s.background('exec sleep 300').then(({ call, pid }) => (call.leave(), { pid }))
    const { snapshotID } = (await c.snapshot(s)).json
    await hasFile(await c.open({ templateID: snapshotID }))
    assert.equal((await s.process('List')).json.processes[0].pid, pid)
  }, kFiles)
  row.call('201 of a paused one, which stays so', async (c) => {
    const s = await withFile(c)
    await c.pause(s)
    const { snapshotID } = (await c.snapshot(s)).json
    assert.equal((await c.detail(s)).state, 'paused')
    await hasFile(await c.open({ templateID: snapshotID }))
  })
  row.body('name', 'E2B: it is kept in lower case, without spaces around it', async (c) => {
    const name = unused('Named')
    const { json } = await c.snapshot(await c.shared(), { name: ` ${name}:V2 ` })
    assert.deepEqual([json.snapshotID, json.names], [`${name.toLowerCase()}:v2`, [`${name.toLowerCase()}:v2`]])
    await c.open({ templateID: `${name}:V2` })
  })
  row.body('name', 'E2B: the name under which it can be used, with a tag or without', async (c) => {
    const s = await withFile(c)
    const name = unused('named')
    assert.equal((await c.snapshot(s, { name })).json.snapshotID, `${name}:default`)
    assert.equal((await c.snapshot(s, { name: `${name}:v2` })).json.snapshotID, `${name}:v2`)
    for (const templateID of [name, `${name}:v2`]) {
      const copy = await c.open({ templateID })
      assert.equal(copy.created.alias, name)
      await hasFile(copy)
    }
  })
  row.answer('snapshotID', 'what create takes as `templateID`: `<id>:default`, or the name with its tag', async (c) => {
    const { snapshotID } = (await c.snapshot(await c.open())).json
    assert.match(snapshotID, /^[a-z0-9]{20}:default$/)
    await c.open({ templateID: snapshotID })
  })
  row.answer('names', 'its names, with their tags', async (c) => {
    const s = await c.open()
    const name = unused('named')
    assert.deepEqual((await c.snapshot(s, { name })).json.names, [`${name}:default`])
    assert.deepEqual((await c.snapshot(s)).json.names, [])
  })
  contents({ header: (name, words, check, options) => row.header(name, words, (c) => check(c, async () => c.snapshot(await c.shared())), options) })
  row.error(400, '`"name":5`', wrong('name', 'value must be a string'), async (c) => post(c, await c.shared(), 'snapshots', { name: 5 }))
  row.error(400, '`"name":"a b"`', '…', async (c) => post(c, await c.shared(), 'snapshots', { name: 'a b' }))
  row.error(409, 'the name of another template', "Alias 'base' is already used", async (c) => post(c, await c.shared(), 'snapshots', { name: 'base' }))
  aboutOne(row, (c, id) => c.call('POST', `/sandboxes/${id}/snapshots`, {}))
})

endpoint('GET /snapshots', 'the snapshots', {}, (row) => {
  const some = (c) => (c.some ??= (async () => {
    const s = await c.open()
    const name = unused('listed')
    const made = []
    for (const body of [{}, { name }, { name: `${name}:v2` }]) made.unshift((await c.snapshot(s, body)).json)
    return { s, name, made }
  })())
  const list = (c, pairs) => c.done(200, 'GET', `/snapshots?${new URLSearchParams(pairs)}`)
  const names = ({ json }) => json.map((one) => one.snapshotID)
  row.call('200: newest first', async (c) => {
    const { s, made } = await some(c)
    assert.deepEqual((await list(c, { sandboxID: s.id })).json, made)
  })
  row.query('sandboxID', 'those of this sandbox', async (c) => {
    const { s, made } = await some(c)
    assert.equal((await list(c, { sandboxID: s.id })).json.length, made.length)
    assert.equal((await list(c, { sandboxID: `${s.id}-6532622b` })).json.length, made.length)
    assert.deepEqual((await list(c, { sandboxID: 'nobody' })).json, [])
  })
  row.error(400, '`sandboxID` that is none', 'Invalid sandbox ID', (c) => c.call('GET', '/snapshots?sandboxID=NO_ID'))
  row.query('name', 'E2B: those of this name; a tag narrows it; a team before it is ignored, and so are capitals', async (c) => {
    const { name } = await some(c)
    assert.equal((await list(c, { name: ` ${name.toUpperCase()}` })).json.length, 2)
    assert.deepEqual(names(await list(c, { name })), [`${name}:v2`, `${name}:default`])
    assert.deepEqual(names(await list(c, { name: `${name}:v2` })), [`${name}:v2`])
    assert.equal((await list(c, { name: `team/${name}` })).json.length, 2)
    assert.deepEqual((await list(c, { name: 'nobody' })).json, [])
  })
  row.query('limit', 'that many to a page, 100 at most and when absent', async (c) => {
    const { s, made } = await some(c)
    assert.deepEqual((await list(c, { sandboxID: s.id, limit: 2 })).json, made.slice(0, 2))
    assert.deepEqual((await list(c, { sandboxID: s.id, limit: 500 })).json, made)
  })
  row.query('nextToken', 'the page after the one that named it', async (c) => {
    const { s, made } = await some(c)
    const nextToken = (await list(c, { sandboxID: s.id, limit: 2 })).headers['x-next-token']
    assert.deepEqual((await list(c, { sandboxID: s.id, limit: 2, nextToken })).json, made.slice(2))
  })
  row.header('X-Next-Token', 'there when a page follows', async (c) => {
    const { s } = await some(c)
    assert.ok((await list(c, { sandboxID: s.id, limit: 1 })).headers['x-next-token'])
    assert.equal((await list(c, { sandboxID: s.id })).headers['x-next-token'], undefined)
  })
  row.answersLike('POST /sandboxes/{sandboxID}/snapshots', '', 'the fields of `POST /sandboxes/{sandboxID}/snapshots`, the same as there', async (c) => {
    const { s, made } = await some(c)
    assert.deepEqual((await list(c, { sandboxID: s.id })).json[0], made[0])
  })
  row.error(400, '`limit=0`', 'validation error: parameter "limit" in query has an error: number must be at least 1', (c) => c.call('GET', '/snapshots?limit=0'))
  row.error(400, '`nextToken=x`', 'Invalid next token', (c) => c.call('GET', '/snapshots?nextToken=x'))
})

endpoint('DELETE /templates/{templateID}', 'delete a snapshot', {}, (row) => {
  const remove = (c, id) => c.call('DELETE', `/templates/${encodeURIComponent(id)}`)
  row.call('204; nothing can be made of it any more', async (c) => {
    const { snapshotID } = (await c.snapshot(await c.shared())).json
    const reply = await remove(c, snapshotID)
    assert.deepEqual([reply.status, reply.text], [204, ''])
    assert.equal((await c.call('POST', '/sandboxes', { templateID: snapshotID })).status, 404)
  })
  row.error(404, 'one that is not there', '…not found…', (c) => remove(c, 'nobody:default'))
  for (const state of ['running', 'paused']) {
    row.error(400, `a ${state} sandbox is made of it`, `cannot delete template '…' because there are ${state} sandboxes using it`, async (c) => {
      const { snapshotID } = (await c.snapshot(await c.shared())).json
      const s = await c.open({ templateID: snapshotID })
      if (state === 'paused') await c.pause(s)
      return remove(c, snapshotID)
    })
  }
  row.laterWith('deleting a template that is no snapshot', '', (c) => remove(c, 'base'))
})

endpoint('POST /sandboxes/{sandboxID}/clone', 'clones (Novita)', {}, (row) => {
  async function clone(c, s, body = {}) {
    const reply = await c.done(201, 'POST', `/sandboxes/${s.id}/clone`, body)
    return { reply, made: reply.json.sandboxes.map((one) => c.adopt(one)), json: reply.json }
  }
  row.call('201; each has the files, metadata, environment and policy of the source, which goes on', async (c) => {
    const options = { metadata: { a: unused('clone') }, envVars: { KEPT: 'yes' }, network: { denyOut: ['1.1.1.1'] } }
    const s = await withFile(c, options)
    const { made: [copy] } = await clone(c, s)
    await hasFile(copy)
    const detail = await c.detail(copy)
    assert.deepEqual([detail.metadata, detail.network], [options.metadata, options.network])
    assert.equal((await copy.run('echo $KEPT')).stdout, 'yes\n')
    await holds(copy, { 'https://1.1.1.1/': 'blocked' })
    assert.equal((await c.detail(s)).state, 'running')
  }, kFiles)
  row.call('of a paused one, which stays so', async (c) => {
    const s = await withFile(c)
    await c.pause(s)
    await hasFile((await clone(c, s)).made[0])
    assert.equal((await c.detail(s)).state, 'paused')
  })
  row.body('count', 'that many; 1 when absent', async (c) => {
    const s = await c.open()
    assert.equal((await clone(c, s, { count: 3 })).made.length, 3)
    assert.equal((await clone(c, s)).made.length, 1)
  })
  row.body('strict', '`true`: all or none; `false` and absent: as many as can be', async (c) => {
    for (const [strict, status, count] of [[true, 429, 0], [false, 201, 1]]) {
      assert.deepEqual(await c.limited((call) => cloneAtTheLimit(call, strict)), { status, made: count })
    }
  })
  row.body('timeout', 'each lives so many seconds', async (c) => {
    const { made: [copy] } = await clone(c, await c.open(), { timeout: 50 })
    inSeconds((await c.detail(copy)).endAt, 50)
  })
  row.body('timeout', 'absent: what is left to a running source, 300 seconds for a paused one', async (c) => {
    const s = await c.open({ timeout: 77 })
    inSeconds((await c.detail((await clone(c, s)).made[0])).endAt, 77)
    await c.pause(s)
    inSeconds((await c.detail((await clone(c, s)).made[0])).endAt, 300)
  })
  row.body('nodeID', 'any will do: there is one node', async (c) => {
    assert.equal((await clone(c, await c.open(), { nodeID: 'any' })).made.length, 1)
  }, { differs: 'the cloud has several' })
  row.answersLike('POST /sandboxes', 'sandboxes', 'a list, with the fields of `POST /sandboxes` but for `alias`; ids and tokens of their own', async (c) => {
    const s = await c.open({ network: { allowPublicTraffic: false } })
    const { json: { sandboxes: [one] } } = await clone(c, s)
    assert.deepEqual(Object.keys(one), Object.keys(s.created).filter((name) => name !== 'alias'))
    for (const name of ['sandboxID', 'envdAccessToken', 'trafficAccessToken']) assert.ok(one[name] && one[name] !== s.created[name], name)
    assert.equal(one.clientID, '')
  })
  row.answer('snapshotTemplateId', 'what they were made of; can be used as a template while one of them lives', async (c) => {
    const { json } = await clone(c, await withFile(c))
    await hasFile(await c.open({ templateID: json.snapshotTemplateId }))
  })
  contents({ header: (name, words, check, options) => row.header(name, words, (c) => check(c, async () => (await clone(c, await c.shared())).reply), options) })
  for (const [body, name, reason] of [[{ count: 0 }, 'count', 'number must be at least 1'], [{ count: 101 }, 'count', 'number must be at most 100'], [{ strict: 1 }, 'strict', 'value must be a boolean'], [{ timeout: -1 }, 'timeout', 'number must be at least 0'], [{ nodeID: 1 }, 'nodeID', 'value must be a string']]) {
    row.error(400, `\`${JSON.stringify(body).slice(1, -1)}\``, wrong(name, reason), async (c) => post(c, await c.shared(), 'clone', body))
  }
  aboutOne(row, (c, id) => c.call('POST', `/sandboxes/${id}/clone`, {}))
})

// Where two sandboxes may run: one does, and two clones of it are asked for.
async function cloneAtTheLimit(call, strict) {
  const { json: { sandboxID } } = await call('POST', '/sandboxes', { templateID: 'base' })
  const reply = await call('POST', `/sandboxes/${sandboxID}/clone`, { count: 2, strict })
  return { status: reply.status, made: (await call('GET', '/sandboxes')).json.length - 1 }
}

endpoint('POST /sandboxes/{sandboxID}/fork', 'forks (E2B)', {}, (row) => {
  async function fork(c, s, body) {
    const reply = await c.done(201, 'POST', `/sandboxes/${s.id}/fork`, body)
    return { reply, made: reply.json.filter((one) => one.sandbox).map((one) => c.adopt(one.sandbox)), json: reply.json }
  }
  row.call('201, without a body as well; each has the files of the source, which goes on', async (c) => {
    const s = await withFile(c)
    const { made: [copy] } = await fork(c, s)
    await hasFile(copy)
    assert.equal((await c.detail(s)).state, 'running')
  }, kFiles)
  row.body('count', 'that many; 1 when absent', async (c) => {
    const s = await c.open()
    assert.equal((await fork(c, s, { count: 2 })).made.length, 2)
    assert.equal((await fork(c, s, {})).made.length, 1)
  })
  row.body('timeout', 'each lives so many seconds; 15 when absent', async (c) => {
    const s = await c.open()
    inSeconds((await c.detail((await fork(c, s, { timeout: 50 })).made[0])).endAt, 50)
    inSeconds((await c.detail((await fork(c, s, {})).made[0])).endAt, 15)
  })
  row.answersLike('POST /sandboxes', 'sandbox', 'of each that started, with the fields of `POST /sandboxes` but for `alias`', async (c) => {
    const s = await c.open()
    const { json } = await fork(c, s)
    assert.deepEqual(Object.keys(json[0]), ['sandbox'])
    assert.deepEqual(Object.keys(json[0].sandbox), Object.keys(s.created).filter((name) => name !== 'alias'))
  })
  row.answer('sandbox.templateID', 'of what it was copied from, which has no name', async (c) => {
    const s = await c.open()
    const { made: [copy] } = await fork(c, s)
    assert.notEqual(copy.created.templateID, s.created.templateID)
    assert.equal((await c.detail(copy)).templateID, copy.created.templateID)
  }, { differs: "E2B shows that of the source's template" })
  row.answer(['error', 'error.code', 'error.message'], 'of each that did not start, in place of `sandbox`', async (c) => {
    await c.limited(async (call) => {
      const { json: { sandboxID } } = await call('POST', '/sandboxes', { templateID: 'base' })
      await call('POST', '/sandboxes', { templateID: 'base' })
      const reply = await call('POST', `/sandboxes/${sandboxID}/fork`, { count: 1 })
      assert.equal(reply.status, 201)
      assert.deepEqual(reply.json.map((one) => Object.keys(one)), [['error']])
      assert.equal(reply.json[0].error.code, 429)
      assert.ok(reply.json[0].error.message)
    })
  })
  row.error(400, '`"count"` as large as `--max-sandboxes`', 'Count must be lower than the maximum number of concurrent sandboxes (2)', (c) => c.limited(async (call) => {
    const { json: { sandboxID } } = await call('POST', '/sandboxes', { templateID: 'base' })
    return call('POST', `/sandboxes/${sandboxID}/fork`, { count: 2 })
  }))
  contents({ header: (name, words, check, options) => row.header(name, words, (c) => check(c, async () => (await fork(c, await c.shared())).reply), options) })
  for (const [body, name, reason] of [[{ count: 0 }, 'count', 'number must be at least 1'], [{ count: 101 }, 'count', 'number must be at most 100'], [{ timeout: 'x' }, 'timeout', 'value must be an integer']]) {
    row.error(400, `\`${JSON.stringify(body).slice(1, -1)}\``, wrong(name, reason), async (c) => post(c, await c.shared(), 'fork', body))
  }
  row.error(400, '`"timeout":0`', 'Timeout must be greater than 0', async (c) => post(c, await c.shared(), 'fork', { timeout: 0 }))
  row.error(409, 'a paused one', "Sandbox '…' is paused and cannot be forked; resume it first", async (c) => {
    const s = await c.open()
    await c.pause(s)
    return post(c, s, 'fork', {})
  })
  aboutOne(row, (c, id) => c.call('POST', `/sandboxes/${id}/fork`, {}))
})

endpoint('POST /sandboxes/{sandboxID}/reset', 'back to the template (Novita)', {}, (row) => {
  const reset = (c, s, body = {}) => c.done(200, 'POST', `/sandboxes/${s.id}/reset`, body)
  row.call('200, without a body as well; the files are those of the template, what ran is gone; id, token, environment and policy stay', async (c) => {
    const s = await withFile(c, { envVars: { KEPT: 'yes' }, network: { denyOut: ['1.1.1.1'] } })
    const { call } = await s.background('exec sleep 300')
    call.leave()
    await reset(c, s, undefined)
    assert.equal((await s.run('ls ~/file 2>/dev/null; echo $KEPT')).stdout, 'yes\n')
    assert.deepEqual((await s.process('List')).json.processes ?? [], [])
    await holds(s, { 'https://1.1.1.1/': 'blocked' })
  })
  row.body('resume', '`false`: paused afterwards; `true` and absent: running', async (c) => {
    const s = await c.open()
    for (const [body, state] of [[{ resume: false }, 'paused'], [{ resume: true }, 'running'], [{}, 'running']]) {
      await reset(c, s, body)
      assert.equal((await c.detail(s)).state, state)
    }
  })
  row.body('timeout', 'it lives so many seconds from now', async (c) => {
    const s = await c.open()
    await reset(c, s, { timeout: 50 })
    inSeconds((await c.detail(s)).endAt, 50)
  })
  row.body('secure', 'what the sandbox is', async (c) => { await reset(c, await c.open(), { secure: true }) })
  row.later('secure', 'changing `secure` of an existing sandbox', async (c) => post(c, await c.shared(), 'reset', { secure: false }), ' for what it is not')
  row.body('network', 'as at connect', async (c) => {
    const s = await c.open()
    await reset(c, s, { network: { denyOut: ['1.1.1.1'] } })
    await holds(s, { 'https://1.1.1.1/': 'blocked' })
  })
  row.body('allowPublicTraffic', 'as at connect', async (c) => {
    const s = await c.open()
    await reset(c, s, { allowPublicTraffic: false })
    assert.equal((await exchange(s.at(3000), { path: '/' })).status, 403)
  })
  row.answer('trafficAccessToken', 'of a private one; else the object is empty', async (c) => {
    assert.deepEqual((await reset(c, await c.open())).json, {})
    const s = await c.open({ network: { allowPublicTraffic: false } })
    assert.deepEqual((await reset(c, s)).json, { trafficAccessToken: s.created.trafficAccessToken })
  })
  row.error(400, '`"resume":"yes"`', wrong('resume', 'value must be a boolean'), async (c) => post(c, await c.shared(), 'reset', { resume: 'yes' }))
  row.error(400, '`"network":{"denyOut":["x"]}`', 'invalid denied CIDR x', async (c) => post(c, await c.shared(), 'reset', { network: { denyOut: ['x'] } }))
  aboutOne(row, (c, id) => c.call('POST', `/sandboxes/${id}/reset`, {}))
})

endpoint('POST /sandboxes/{sandboxID}/commit', "snapshot as a template (Novita's older domains)", {}, (row) => {
  async function commit(c, body) {
    const s = await withFile(c)
    const reply = await c.done(201, 'POST', `/sandboxes/${s.id}/commit`, body)
    c.keepSnapshot(reply.json.templateID)
    return reply
  }
  row.call('201; a sandbox made of it has the files', async (c) => {
    await hasFile(await c.open({ templateID: (await commit(c)).json.templateID }))
  }, kFiles)
  row.body('alias', 'the name under which it can be used', async (c) => {
    const alias = unused('committed')
    assert.deepEqual((await commit(c, { alias })).json.names, [`${alias}:default`])
    await hasFile(await c.open({ templateID: alias }))
  })
  row.answersLike('GET /v2/templates', '', "the fields of a template in Novita's list; `templateType` is `snapshot_template`", async (c) => {
    const { json } = await commit(c)
    const listed = (await c.done(200, 'GET', '/v2/templates?template_type=snapshot_template&limit=100', undefined, { headers: novita })).json
    assert.deepEqual(Object.keys(json).sort(), Object.keys(listed.templates.find((one) => one.templateID === json.templateID)).sort())
    assert.equal(json.templateType, 'snapshot_template')
  })
  contents({ header: (name, words, check, options) => row.header(name, words, (c) => check(c, () => commit(c)), options) })
  row.error(400, '`"alias":{}`', wrong('alias', 'value must be a string'), async (c) => post(c, await c.shared(), 'commit', { alias: {} }))
  aboutOne(row, (c, id) => c.call('POST', `/sandboxes/${id}/commit`, {}))
})
