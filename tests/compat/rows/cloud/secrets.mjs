// Secrets, in both families' shapes: not there yet.
import { endpoint } from '../../support/endpoint.mjs'
import { e2b, novita } from '../../support/cloud.mjs'

endpoint(['POST /sandboxes', 'POST /v2/sandboxes'], 'create: secrets', {}, (row) => {
  row.later('secrets', 'passing secrets', (c) => c.call('POST', '/sandboxes', { templateID: 'base', secrets: { KEY: 'name' } }))
})

for (const [key, title, reason, fields, body] of [
  ['GET /secrets', 'the secrets', 'listing secrets', 'Novita: answers `secrets`; E2B: `limit`, `nextToken`, answers a list', undefined],
  ['POST /secrets', 'a new secret', 'creating a secret', 'Novita: `name`, `value`, `hosts`, `description`, answers `name`, `hosts`, `placeholder`, `description`, `hasSecret`, `status`, `updatedAt`; E2B: `name`, `value`, `metadata`, answers `secretID`, `name`, `currentVersion`, `metadata`, `createdAt`, `updatedAt`', { name: 'x', value: 'v', hosts: ['example.com'] }],
  ['GET /secrets/{secret}', 'one secret', 'reading a secret', 'as `POST /secrets` answers', undefined],
  ['PUT /secrets/{secret}', 'change a secret (Novita)', 'updating a secret', '`value`, `hosts`, `description`', { value: 'v', hosts: ['example.com'] }],
  ['POST /secrets/{secret}', 'change a secret (E2B)', 'updating a secret', '`value`, `metadata`', { value: 'v' }],
  ['DELETE /secrets/{secret}', 'delete a secret', 'deleting a secret', 'Novita: answers `deleted`; E2B: 204', undefined],
]) {
  const [method, path] = key.split(' ')
  endpoint(key, title, {}, (row) => {
    for (const headers of [novita, e2b]) {
      row.laterWith(reason, `${headers === novita ? fields.split('; E2B')[0] : `E2B${fields.split('; E2B')[1] ?? `: ${fields}`}`}`, (c) => c.call(method, path.replace('{secret}', 'name'), body, { headers }))
    }
  })
}
