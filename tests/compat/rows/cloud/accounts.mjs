// Teams, keys, nodes, administration: there is one team and one node here.
import assert from 'node:assert/strict'
import { endpoint } from '../../support/endpoint.mjs'

endpoint('GET /teams', 'the teams', {}, (row) => {
  const team = async (c, headers) => {
    const { json } = await c.done(200, 'GET', '/teams', undefined, { headers })
    assert.equal(json.length, 1)
    return json[0]
  }
  row.call('200: one', async (c) => { await team(c) }, { differs: 'the cloud has those of the user' })
  row.answer(['teamID', 'name'], 'a UUID; `Sandlot`', async (c) => {
    const one = await team(c)
    assert.match(one.teamID, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    assert.equal(one.name, 'Sandlot')
  })
  row.answer('apiKey', 'the key that the request came with, as `X-API-Key` or as a bearer token', async (c) => {
    assert.equal((await team(c, { 'X-API-Key': 'mine' })).apiKey, 'mine')
    assert.equal((await team(c, { 'X-API-Key': undefined, Authorization: 'Bearer mine' })).apiKey, 'mine')
  }, { differs: 'the cloud has a key of the team' })
  row.answer('isDefault', '`true`', async (c) => assert.equal((await team(c)).isDefault, true))
})

for (const [key, title, reason, fields, body] of [
  ['GET /teams/{teamID}/metrics', "a team's sandboxes over time", 'reading team metrics', '`start`, `end`; answers `timestamp`, `timestampUnix`, `concurrentSandboxes`, `sandboxStartRate`'],
  ['GET /teams/{teamID}/metrics/max', 'the most of it', 'reading team metrics', '`start`, `end`, `metric`; answers `timestamp`, `timestampUnix`, `value`'],
  ['GET /api-keys', 'the keys', 'managing API keys', 'answers a list of keys'],
  ['POST /api-keys', 'a new key', 'managing API keys', '`name`', { name: 'x' }],
  ['PATCH /api-keys/{apiKeyID}', 'rename a key', 'managing API keys', '`name`', { name: 'x' }],
  ['DELETE /api-keys/{apiKeyID}', 'delete a key', 'managing API keys', 'none'],
  ['POST /access-tokens', 'a new access token', 'managing access tokens', '`name`', { name: 'x' }],
  ['DELETE /access-tokens/{accessTokenID}', 'delete an access token', 'managing access tokens', 'none'],
  ['GET /nodes', 'the nodes', 'reading nodes', '`clusterID`; answers a list of nodes'],
  ['GET /nodes/{nodeID}', 'one node', 'reading nodes', '`clusterID`; answers a node'],
  ['POST /nodes/{nodeID}', 'change a node', 'changing nodes', '`status`', { status: 'draining' }],
  ['GET /admin/sandboxes/running-counts', 'running sandboxes by team', 'administration', 'answers numbers by team'],
  ['POST /admin/teams/{teamID}/sandboxes/kill', "kill a team's sandboxes", 'administration', 'answers `killedCount`, `failedCount`'],
  ['POST /admin/teams/{teamID}/builds/cancel', "cancel a team's builds", 'administration', 'answers `cancelledCount`, `failedCount`'],
  ['POST /admin/teams/{teamID}/api-keys', 'a new key for a team', 'administration', '`name`', { name: 'x' }],
  ['DELETE /admin/teams/{teamID}/api-keys/{apiKeyID}', "delete a team's key", 'administration', 'none'],
]) {
  const [method, path] = key.split(' ')
  endpoint(key, title, {}, (row) => row.laterWith(reason, fields, (c) => c.call(method, path.replace(/\{\w+\}/g, 'abc'), body)))
}
