// Reading templates; building them is not there yet.
import assert from 'node:assert/strict'
import { endpoint } from '../../support/endpoint.mjs'
import { e2b, kTime, novita, unused } from '../../support/cloud.mjs'

const kBuild = 'building a template'
const kCounts = { differs: 'nothing is counted here' }

// A template as the lists have it.
function facts(row, item) {
  row.answer('templateID', 'what create takes, and sandboxes show', async (c) => assert.equal((await item(c)).templateID, (await c.shared()).created.templateID))
  row.answer('buildID', 'a UUID', async (c) => assert.match((await item(c)).buildID, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/))
  row.answer('buildStatus', '`ready`: what is listed can be used', async (c) => assert.equal((await item(c)).buildStatus, 'ready'))
  row.answer(['names', 'aliases'], 'its names; the same without what stands before a `/`', async (c) => {
    const one = await item(c)
    assert.deepEqual([one.names, one.aliases], [['base'], ['base']])
  })
  row.answer(['cpuCount', 'memoryMB', 'diskSizeMB', 'envdVersion'], 'what its sandboxes have', async (c) => {
    const one = await item(c)
    const detail = await c.detail(await c.shared())
    for (const name of ['cpuCount', 'memoryMB', 'diskSizeMB', 'envdVersion']) assert.equal(one[name], detail[name], name)
  })
  row.answer('public', '`true`: there is one team', async (c) => assert.equal((await item(c)).public, true))
  row.answer(['createdAt', 'updatedAt'], 'RFC 3339, UTC; the same, as long as nothing is rebuilt', async (c) => {
    const one = await item(c)
    assert.match(one.createdAt, kTime)
    assert.equal(one.updatedAt, one.createdAt)
  })
  row.answer(['buildCount', 'spawnCount', 'lastSpawnedAt'], '1, 0, `null`', async (c) => {
    const one = await item(c)
    assert.deepEqual([one.buildCount, one.spawnCount, one.lastSpawnedAt], [1, 0, null])
  }, kCounts)
  row.answer('createdBy', '`null`: nobody', async (c) => assert.equal((await item(c)).createdBy, null))
  row.answer('templateType', 'Novita: `template_build`', async (c) => assert.equal((await item(c)).templateType, 'template_build'), { differs: 'E2B has no such field, and gets it too' })
}
const base = (list) => list.find((one) => one.names.includes('base'))

endpoint('GET /templates', 'the templates', {}, (row) => {
  row.call('200: a list, newest first', async (c) => assert.ok(base((await c.done(200, 'GET', '/templates')).json)))
  row.query('teamID', 'any will do: there is one team', async (c) => {
    assert.deepEqual((await c.done(200, 'GET', '/templates?teamID=any')).json, (await c.done(200, 'GET', '/templates')).json)
  }, { differs: 'the cloud has several' })
  facts(row, async (c) => base((await c.done(200, 'GET', '/templates')).json))
})

endpoint('GET /v2/templates', 'the templates, in pages', {}, (row) => {
  const page = (c, query = '', headers = novita) => c.done(200, 'GET', `/v2/templates${query}`, undefined, { headers })
  row.call('200; Novita (`X-Novita-SDK-Name`, or a `User-Agent` that begins with `novita-`): an object with `templates`; E2B: a list', async (c) => {
    assert.ok(base((await page(c)).json.templates))
    assert.ok(base((await page(c, '', { 'User-Agent': 'Novita-CLI/1' })).json.templates))
    assert.ok(base((await page(c, '', e2b)).json))
  })
  row.query('template_type', 'Novita: `snapshot_template` are the snapshots, `template_build` and absent the others', async (c) => {
    const s = await c.open()
    const { snapshotID } = (await c.snapshot(s)).json
    const names = async (query) => (await page(c, query)).json.templates.map((one) => one.templateID)
    const [id] = snapshotID.split(':')
    assert.ok((await names('?template_type=snapshot_template&limit=100')).includes(id))
    for (const type of ['snapshot_template', 'template_build']) {
      for (const one of (await page(c, `?template_type=${type}&limit=100`)).json.templates) assert.equal(one.templateType, type)
    }
    for (const query of ['?limit=100', '?template_type=template_build&limit=100']) {
      assert.ok(!(await names(query)).includes(id))
      assert.ok((await names(query)).includes((await c.shared()).created.templateID))
    }
  })
  row.query('page', 'Novita: which page, from 1', async (c) => {
    const all = (await page(c)).json.templates
    const seen = []
    for (let number = 1; number <= all.length + 1; number++) seen.push(...(await page(c, `?limit=1&page=${number}`)).json.templates)
    assert.deepEqual(seen, all)
  })
  row.query('limit', 'that many to a page: 20 when absent for Novita, 100 for E2B; 100 at most', async (c) => {
    assert.equal((await page(c)).json.limit, 20)
    assert.equal((await page(c, '?limit=500')).json.limit, 100)
    for (const headers of [novita, e2b]) assert.equal([(await page(c, '?limit=1', headers)).json.templates ?? (await page(c, '?limit=1', headers)).json].flat().length, 1)
  })
  row.query('nextToken', 'E2B: the page after the one that named it', async (c) => {
    const all = (await page(c, '', e2b)).json
    const seen = []
    for (let token = ''; token !== undefined;) {
      const reply = await page(c, `?limit=1${token && `&nextToken=${encodeURIComponent(token)}`}`, e2b)
      seen.push(...reply.json)
      token = reply.headers['x-next-token']
    }
    assert.deepEqual(seen, all)
  })
  row.query('teamID', 'E2B: any will do: there is one team', async (c) => {
    assert.deepEqual((await page(c, '?teamID=any', e2b)).json, (await page(c, '', e2b)).json)
  }, { differs: 'the cloud has several' })
  row.header('X-Next-Token', 'E2B: there when a page follows', async (c) => {
    assert.ok((await page(c, '?limit=1', e2b)).headers['x-next-token'])
    assert.equal((await page(c, '?limit=100', e2b)).headers['x-next-token'], undefined)
  })
  row.answersLike('GET /templates', '', 'E2B: the fields of `GET /templates`, the same as there', async (c) => {
    assert.deepEqual(base((await page(c, '', e2b)).json), base((await c.done(200, 'GET', '/templates')).json))
  })
  row.answersLike('GET /templates', 'templates', 'Novita: a list, with the fields of `GET /templates`', async (c) => {
    assert.deepEqual(base((await page(c)).json.templates), base((await c.done(200, 'GET', '/templates')).json))
  })
  row.answer(['total', 'page', 'limit', 'totalPages'], 'Novita: how many there are, which page this is, how many fit on one, how many pages there are', async (c) => {
    const all = (await page(c)).json.templates.length
    const { json } = await page(c, '?limit=1&page=1')
    assert.deepEqual([json.total, json.page, json.limit, json.totalPages], [all, 1, 1, all])
  })
  for (const [query, headers] of [['limit=0', novita], ['limit=x', e2b], ['page=0', novita]]) {
    const name = query.split('=')[0]
    row.error(400, `\`${query}\``, `validation error: parameter "${name}" in query has an error: number must be at least 1`, (c) => c.call('GET', `/v2/templates?${query}`, undefined, { headers }))
  }
  row.error(400, '`nextToken=x`', 'Invalid next token', (c) => c.call('GET', '/v2/templates?nextToken=x', undefined, { headers: e2b }))
})

endpoint('GET /templates/aliases/{alias}', 'whether a name is taken', {}, (row) => {
  row.call('200 for a template and for a named snapshot', async (c) => {
    const name = unused('alias')
    await c.snapshot(await c.shared(), { name })
    for (const alias of ['base', name, `${name}:default`]) await c.done(200, 'GET', `/templates/aliases/${encodeURIComponent(alias)}`)
  })
  row.answer('templateID', 'whose name it is', async (c) => {
    assert.equal((await c.done(200, 'GET', '/templates/aliases/base')).json.templateID, (await c.shared()).created.templateID)
  })
  row.answer('public', '`true`: there is one team', async (c) => assert.equal((await c.done(200, 'GET', '/templates/aliases/base')).json.public, true))
  row.error(404, 'a name that nobody has', "template 'nope' not found", (c) => c.call('GET', '/templates/aliases/nope'))
})

const kUuid = '00000000-0000-4000-8000-000000000000'
for (const [key, title, reason, fields, path, body] of [
  ['POST /v3/templates', 'a new template', kBuild, '`name`, `tags`, `cpuCount`, `memoryMB`, `alias`, `teamID`, `minFreeDiskMb`; answers `templateID`, `buildID`, `names`, `aliases`, `tags`, `public`', '/v3/templates', { name: 'x', tags: ['a'], cpuCount: 2, memoryMB: 1024 }],
  ['POST /v2/templates', 'a new template, older', kBuild, '`alias`, `teamID`, `cpuCount`, `memoryMB`', '/v2/templates', { alias: 'x' }],
  ['POST /templates', 'a new template, oldest', kBuild, '`dockerfile`, `alias`, `teamID`, `startCmd`, `readyCmd`, `cpuCount`, `memoryMB`', '/templates', { dockerfile: 'FROM x' }],
  ['POST /templates/{templateID}', 'rebuild, oldest', 'rebuilding a template', 'as `POST /templates`', '/templates/base', { dockerfile: 'FROM x' }],
  ['GET /templates/{templateID}/files/{hash}', 'where to upload files', "uploading a template's files", 'answers `present`, `url`, `headers`', '/templates/base/files/abc'],
  ['POST /v2/templates/{templateID}/builds/{buildID}', 'build', kBuild, '`fromImage`, `fromTemplate`, `fromImageRegistry`, `force`, `steps` (`type`, `args`, `filesHash`, `force`, `forceUpload`, `resolveSymlinks`, `gzip`), `startCmd`, `readyCmd`, `preBootScript`', `/v2/templates/base/builds/${kUuid}`, { fromImage: 'x', steps: [] }],
  ['POST /templates/{templateID}/builds/{buildID}', 'build, older', kBuild, 'none', `/templates/base/builds/${kUuid}`],
  ['GET /templates/{templateID}/builds/{buildID}/status', 'how a build is doing', kBuild, '`logsOffset`, `limit`, `level`; answers `templateID`, `buildID`, `status`, `logs`, `logEntries`, `reason`', `/templates/base/builds/${kUuid}/status?logsOffset=0`],
  ['GET /templates/{templateID}/builds/{buildID}/logs', "a build's log", kBuild, '`cursor`, `limit`, `direction`, `level`, `source`; answers `logs`', `/templates/base/builds/${kUuid}/logs`],
  ['GET /templates/{templateID}', 'one template and its builds', 'reading one template', '`limit`, `nextToken`; answers `templateID`, `builds`, `names`, `aliases`, `public`, `createdAt`, `updatedAt`, `lastSpawnedAt`, `spawnCount`', '/templates/base'],
  ['PATCH /templates/{templateID}', 'public or not, older', 'changing a template', '`public`', '/templates/base', { public: true }],
  ['PATCH /v2/templates/{templateID}', 'public or not', 'changing a template', '`public`; answers `names`', '/v2/templates/base', { public: true }],
  ['POST /templates/tags', 'tag a build', 'tagging a template', '`target`, `tags`; answers `buildID`, `tags`', '/templates/tags', { target: 'base', tags: ['x'] }],
  ['DELETE /templates/tags', 'take tags away', 'untagging a template', '`name`, `tags`, in a body', '/templates/tags', { name: 'base', tags: ['x'] }],
  ['GET /templates/{templateID}/tags', 'the tags', "reading a template's tags", 'answers `tag`, `buildID`, `createdAt`', '/templates/base/tags'],
]) endpoint(key, title, {}, (row) => row.laterWith(reason, fields, (c) => c.call(key.split(' ')[0], path, body)))
