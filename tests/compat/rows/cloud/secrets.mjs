// Secrets, in both families' shapes (docs/secrets.md). The far end is the fake internet, which says what it was sent.
import assert from 'node:assert/strict'
import { endpoint, refused } from '../../support/endpoint.mjs'
import { e2b, kTime, novita, unused } from '../../support/cloud.mjs'

const kHost = 'api.example.com'
const wrong = (name, reason) => `validation error: request body has an error: Error at "/${name}": ${reason}`
const kInvalid = 'Invalid secrets request'

// One of Novita's (with hosts) or of E2B's, which goes with the area.
async function made(c, headers = novita, more = {}) {
  const body = { name: unused('secret'), value: unused('value'), ...(headers === novita ? { hosts: [kHost] } : {}), ...more }
  const { json } = await c.done(201, 'POST', '/secrets', body, { headers })
  c.after(() => c.call('DELETE', `/secrets/${body.name}`, undefined, { headers: e2b }))
  return { ...body, json }
}
const get = async (c, { name }, headers = novita) => (await c.done(200, 'GET', `/secrets/${name}`, undefined, { headers })).json
// What the host sees of a header in which the sandbox sends its variable KEY.
const sent = async (s, host = kHost) => JSON.parse((await s.run(`curl -s -m 5 -H "X-Key: $KEY" https://${host}/headers`)).stdout).headers['X-Key'][0]
const withKey = (c, { name }) => c.open({ secrets: { KEY: name } })
// What E2B's clients do with one: a header rule that names it.
const ruled = async (c, name) => {
  const s = await c.open({ network: { rules: { [kHost]: [{ transform: { headers: { 'X-Key': `\${e2b.secrets.${name}}` } } }] } } })
  return JSON.parse((await s.run(`curl -s -m 5 https://${kHost}/headers`)).stdout || '{}').headers?.['X-Key'][0]
}

endpoint(['POST /sandboxes', 'POST /v2/sandboxes'], 'create: secrets', {}, (row) => {
  row.body('secrets', 'Novita: variables and the secrets that they stand for: processes see a placeholder, its hosts the value', async (c) => {
    const secret = await made(c)
    const s = await withKey(c, secret)
    assert.equal((await s.run('echo $KEY')).stdout.trim(), secret.json.placeholder)
    assert.deepEqual([await sent(s), await sent(s, 'example.com')], [secret.value, secret.json.placeholder])
  })
  row.error(400, 'a secret that nobody has', '…nobody…', (c) => c.call('POST', '/sandboxes', { templateID: 'base', secrets: { KEY: 'nobody' } }))
  row.error(400, '`"secrets":{"KEY":1}`', wrong('secrets/KEY', 'value must be a string'), (c) => c.call('POST', '/sandboxes', { templateID: 'base', secrets: { KEY: 1 } }))
  row.error(400, 'a variable that `envVars` has, too', 'envVars and secrets both define "KEY"', async (c) => c.call('POST', '/sandboxes', { templateID: 'base', envVars: { KEY: 'x' }, secrets: { KEY: (await made(c)).name } }))
})

endpoint('POST /secrets', 'a new secret', {}, (row) => {
  row.call('201 for both families, each with its own shape; never the value', async (c) => {
    for (const headers of [novita, e2b]) {
      const { json, value } = await made(c, headers)
      assert.ok(!JSON.stringify(json).includes(value))
      assert.equal('placeholder' in json, headers === novita)
    }
  })
  row.body('name', 'what it is called from then on', async (c) => {
    for (const headers of [novita, e2b]) {
      const { name, json } = await made(c, headers)
      assert.equal(json.name, name)
    }
  })
  row.body('value', 'what its hosts see', async (c) => {
    const secret = await made(c)
    assert.equal(await sent(await withKey(c, secret)), secret.value)
    const other = await made(c, e2b)
    assert.equal(await ruled(c, other.name), other.value)
  })
  row.body('hosts', 'Novita: names, and `*.name` for what is below one: they see it, others do not', async (c) => {
    const s = await withKey(c, await made(c, novita, { hosts: ['*.example.com'] }))
    assert.match(await sent(s), /^value-/)
    assert.match(await sent(s, 'example.com'), /^novita_secret_/)
  })
  row.body('description', 'Novita: shown', async (c) => assert.equal((await made(c, novita, { description: 'for tests' })).json.description, 'for tests'))
  row.body('metadata', 'E2B: shown', async (c) => assert.deepEqual((await made(c, e2b, { metadata: { a: 'b' } })).json.metadata, { a: 'b' }))
  row.answer('name', 'as it was sent; E2B: in lower case', async (c) => {
    const name = unused('Mixed')
    assert.equal((await made(c, novita, { name })).json.name, name)
    assert.equal((await made(c, e2b, { name: `${name}-2` })).json.name, `${name}-2`.toLowerCase())
  })
  row.answer('hosts', 'Novita: in lower case, each once', async (c) => assert.deepEqual((await made(c, novita, { hosts: ['A.example', 'a.example', '*.b.example'] })).json.hosts, ['a.example', '*.b.example']))
  row.answer('placeholder', 'Novita: what sandboxes see: `novita_secret_` and 32 hex digits', async (c) => assert.match((await made(c)).json.placeholder, /^novita_secret_[0-9a-f]{32}$/))
  row.answer('description', 'Novita: as it was sent, `null` when it was not', async (c) => assert.equal((await made(c)).json.description, null))
  row.answer(['hasSecret', 'status'], 'Novita: `true`, `active`', async (c) => {
    const { hasSecret, status } = (await made(c)).json
    assert.deepEqual([hasSecret, status], [true, 'active'])
  })
  row.answer('secretID', 'E2B: begins with `sec_`; can be used in place of the name', async (c) => {
    const { json } = await made(c, e2b)
    assert.match(json.secretID, /^sec_/)
    assert.deepEqual(await get(c, { name: json.secretID }, e2b), json)
  })
  row.answer('currentVersion', 'E2B: 1; one more with each change', async (c) => {
    const { name, json } = await made(c, e2b)
    assert.equal(json.currentVersion, 1)
    await c.done(200, 'POST', `/secrets/${name}`, { value: 'next' }, { headers: e2b })
    assert.equal((await get(c, { name }, e2b)).currentVersion, 2)
  })
  row.answer('metadata', 'E2B: as it was sent, `{}` when it was not', async (c) => assert.deepEqual((await made(c, e2b)).json.metadata, {}), { open: true })
  row.answer(['createdAt', 'updatedAt'], 'RFC 3339, UTC; Novita: the second one only', async (c) => {
    const { createdAt, updatedAt } = (await made(c, e2b)).json
    for (const time of [createdAt, updatedAt, (await made(c)).json.updatedAt]) assert.match(time, kTime)
  })
  for (const [body, name, reason] of [[{ value: 'x', hosts: ['a.b'] }, 'name', 'property "name" is missing'], [{ name: 'x', hosts: ['a.b'] }, 'value', 'property "value" is missing'], [{ name: 'x', value: 'y' }, 'hosts', 'property "hosts" is missing'], [{ name: 'x', value: 'y', hosts: 'a' }, 'hosts', 'value must be an array']]) {
    row.error(400, `Novita: \`${JSON.stringify(body)}\``, wrong(name, reason), (c) => c.call('POST', '/secrets', body, { headers: novita }))
  }
  row.error(400, 'Novita: a name that is none', 'secret name "a b" must be 1-128 characters and contain only letters, numbers, dots, underscores, and hyphens', (c) => c.call('POST', '/secrets', { name: 'a b', value: 'x', hosts: ['a.b'] }, { headers: novita }))
  row.error(400, 'E2B: whatever is wrong', kInvalid, async (c) => {
    for (const body of [{ value: 'x' }, { name: 'x' }, { name: 'a b', value: 'x' }]) refused(await c.call('POST', '/secrets', body, { headers: e2b }), 400, kInvalid)
    return c.call('POST', '/secrets', { name: 'x', value: 'y', metadata: 'z' }, { headers: e2b })
  })
  row.error(409, 'Novita: a name that is taken', '…already exists…', async (c) => c.call('POST', '/secrets', { name: (await made(c)).name, value: 'x', hosts: ['a.b'] }, { headers: novita }))
  row.error(409, 'E2B: a name that is taken', 'Secret cannot be modified in its current state', async (c) => c.call('POST', '/secrets', { name: (await made(c, e2b)).name, value: 'x' }, { headers: e2b }))
})

endpoint('GET /secrets', 'the secrets', {}, (row) => {
  const list = (c, query = '', headers = e2b) => c.done(200, 'GET', `/secrets${query}`, undefined, { headers })
  row.answersLike('POST /secrets', 'secrets', 'Novita: a list, with the fields of `POST /secrets`, the same as there', async (c) => {
    const { name, json } = await made(c)
    assert.deepEqual((await list(c, '', novita)).json.secrets.find((one) => one.name === name), json)
  })
  row.answersLike('POST /secrets', '', 'E2B: a list with the fields of `POST /secrets`, the same as there', async (c) => {
    const { name, json } = await made(c, e2b)
    assert.deepEqual((await list(c)).json.find((one) => one.name === name), json)
  })
  const pages = async (c, query) => {
    const seen = []
    for (let token = ''; token !== undefined;) {
      const reply = await list(c, `?${query}${token && `&nextToken=${encodeURIComponent(token)}`}`)
      assert.ok(reply.json.length <= 1)
      seen.push(...reply.json.map((one) => one.name))
      token = reply.headers['x-next-token']
    }
    return seen
  }
  row.query('limit', 'E2B: that many to a page, 100 at most and when absent', async (c) => {
    for (let i = 0; i < 2; i++) await made(c, e2b)
    assert.equal((await list(c, '?limit=1')).json.length, 1)
    assert.ok((await list(c, '?limit=500')).json.length >= 2)
  })
  row.query('nextToken', 'E2B: the page after the one that named it; oldest first', async (c) => {
    const names = [(await made(c, e2b)).name, (await made(c, e2b)).name]
    assert.deepEqual((await pages(c, 'limit=1')).filter((name) => names.includes(name)), names)
  })
  row.header('X-Next-Token', 'E2B: there when a page follows', async (c) => {
    for (let i = 0; i < 2; i++) await made(c, e2b)
    assert.ok((await list(c, '?limit=1')).headers['x-next-token'])
  })
  row.header('Cache-Control', '`no-store`, as in every answer about secrets', async (c) => assert.equal((await list(c)).headers['cache-control'], 'no-store'))
  row.error(400, 'E2B: `limit=0`, `nextToken=x`', kInvalid, async (c) => {
    refused(await c.call('GET', '/secrets?limit=0', undefined, { headers: e2b }), 400, kInvalid)
    return c.call('GET', '/secrets?nextToken=x', undefined, { headers: e2b })
  })
})

// What every call about one secret has.
function aboutOne(row, families, ask) {
  for (const [headers, family] of families) {
    row.error(404, `${family}: one that is not there`, headers === novita ? '…' : 'Secret not found', (c) => ask(c, 'nobody', headers))
    row.error(400, `${family}: what is no name`, headers === novita ? '…' : kInvalid, (c) => ask(c, 'a%20b', headers))
  }
}
const kBoth = [[novita, 'Novita'], [e2b, 'E2B']]

endpoint('GET /secrets/{secret}', 'one secret', {}, (row) => {
  row.answersLike('POST /secrets', '', 'the fields of `POST /secrets`, the same as there', async (c) => {
    for (const headers of [novita, e2b]) {
      const secret = await made(c, headers)
      assert.deepEqual(await get(c, secret, headers), secret.json)
    }
  })
  aboutOne(row, kBoth, (c, name, headers) => c.call('GET', `/secrets/${name}`, undefined, { headers }))
})

endpoint('PUT /secrets/{secret}', 'change a secret (Novita)', {}, (row) => {
  const put = (c, { name }, body) => c.done(200, 'PUT', `/secrets/${name}`, { value: 'new', hosts: [kHost], ...body }, { headers: novita })
  row.body('value', 'what its hosts see; a running sandbox keeps the value that it began with until it is resumed', async (c) => {
    const secret = await made(c)
    const s = await withKey(c, secret)
    await put(c, secret, { value: 'second' })
    assert.equal(await sent(s), secret.value)
    await c.pause(s)
    await c.done(201, 'POST', `/sandboxes/${s.id}/connect`, { timeout: 60 })
    assert.equal(await sent(s), 'second')
  })
  row.body('hosts', 'who sees it from then on', async (c) => {
    const secret = await made(c)
    await put(c, secret, { hosts: ['example.com'] })
    const s = await withKey(c, secret)
    assert.deepEqual([await sent(s), await sent(s, 'example.com')], [secret.json.placeholder, 'new'])
  })
  row.body('description', 'absent: as before; `null`: none', async (c) => {
    const secret = await made(c, novita, { description: 'first' })
    for (const [body, description] of [[{}, 'first'], [{ description: 'second' }, 'second'], [{ description: null }, null]]) {
      assert.equal((await put(c, secret, body)).json.description, description)
    }
  })
  row.answersLike('POST /secrets', '', 'the fields of `POST /secrets`; the placeholder is the same', async (c) => {
    const secret = await made(c)
    const { json } = await put(c, secret, {})
    assert.deepEqual({ ...json, updatedAt: '' }, { ...secret.json, updatedAt: '' })
  })
  row.error(400, '`{"value":"x"}`', wrong('hosts', 'property "hosts" is missing'), async (c) => c.call('PUT', `/secrets/${(await made(c)).name}`, { value: 'x' }, { headers: novita }))
  aboutOne(row, kBoth.slice(0, 1), (c, name, headers) => c.call('PUT', `/secrets/${name}`, { value: 'x', hosts: ['a.b'] }, { headers }))
})

endpoint('POST /secrets/{secret}', 'change a secret (E2B)', {}, (row) => {
  const post = (c, { name }, body) => c.done(200, 'POST', `/secrets/${name}`, body, { headers: e2b })
  row.body('value', 'another version', async (c) => {
    const secret = await made(c, e2b)
    assert.equal((await post(c, secret, { value: 'second' })).json.currentVersion, 2)
    assert.equal(await ruled(c, secret.name), 'second')
  })
  row.body('metadata', 'in place of what there was; absent: as before', async (c) => {
    const secret = await made(c, e2b, { metadata: { a: 'b' } })
    assert.deepEqual((await post(c, secret, { value: 'x' })).json.metadata, { a: 'b' })
    assert.deepEqual((await post(c, secret, { value: 'x', metadata: { c: 'd' } })).json.metadata, { c: 'd' })
  })
  row.answersLike('POST /secrets', '', 'the fields of `POST /secrets`', async (c) => {
    const secret = await made(c, e2b)
    assert.deepEqual(Object.keys((await post(c, secret, { value: 'x' })).json), Object.keys(secret.json))
  })
  row.error(400, 'no `value`', kInvalid, async (c) => c.call('POST', `/secrets/${(await made(c, e2b)).name}`, {}, { headers: e2b }))
  aboutOne(row, kBoth.slice(1), (c, name, headers) => c.call('POST', `/secrets/${name}`, { value: 'x' }, { headers }))
})

endpoint('DELETE /secrets/{secret}', 'delete a secret', {}, (row) => {
  row.call('E2B: 204; nobody gets it any more; a sandbox that runs, when it is resumed', async (c) => {
    const secret = await made(c)
    const s = await withKey(c, secret)
    assert.equal(await sent(s), secret.value)
    await c.done(204, 'DELETE', `/secrets/${secret.name}`, undefined, { headers: e2b })
    assert.equal((await c.call('GET', `/secrets/${secret.name}`, undefined, { headers: novita })).status, 404)
    assert.equal(await sent(s), secret.value)
    await c.pause(s)
    await c.done(201, 'POST', `/sandboxes/${s.id}/connect`, { timeout: 60 })
    assert.equal(await sent(s), secret.json.placeholder)
  })
  row.answer('deleted', 'Novita: 200 with its name', async (c) => {
    const { name } = await made(c)
    assert.deepEqual((await c.done(200, 'DELETE', `/secrets/${name}`, undefined, { headers: novita })).json, { deleted: name })
  })
  aboutOne(row, kBoth, (c, name, headers) => c.call('DELETE', `/secrets/${name}`, undefined, { headers }))
})
