// Section 1.8: signed URLs, of GET and POST /files only.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { area, bytes, json, rest, that } from '../support/table.mjs'
import { exchange } from '../support/wire.mjs'

const sign = ({ path = '', operation, username = '', token, expiration }) =>
  `v1_${createHash('sha256').update([path, operation, username, token, ...(expiration === undefined ? [] : [expiration])].join(':')).digest('base64').replace(/=+$/, '')}`
const soon = () => Math.floor(Date.now() / 1000) + 60

area('Signed URLs', { create: { secure: true } }, (row) => {
  const get = (s, query, headers = {}) => s.get('/files', query, { target: s.bare, headers: { 'Accept-Encoding': 'identity', ...headers } })
  const put = (s, query, headers = {}) => s.upload(query, 'x', { target: s.bare, headers })
  const signed = (s, operation, { path, username, expiration }) => ({
    ...(path === undefined ? {} : { path }), ...(username === undefined ? {} : { username }),
    signature: sign({ path, operation, username, token: s.token, expiration }), ...(expiration === undefined ? {} : { signature_expiration: expiration }),
  })
  row('1.8', '`GET /files`, neither token nor signature', rest(401, 'missing signature query parameter'), (s) => get(s, { path: '/etc/hostname' }))
  row('1.8', '`POST /files`, neither token nor signature', rest(401, 'missing signature query parameter'), (s) => put(s, { path: '/tmp/x' }))
  row('1.8', '`GET /files` with a wrong token', rest(401, 'access token present in header but does not match'), (s) => get(s, { path: '/etc/hostname' }, { 'X-Access-Token': 'wrong' }))
  row('1.8', '`POST /files` with a wrong token', rest(401, 'access token present in header but does not match'), (s) => put(s, { path: '/tmp/x' }, { 'X-Access-Token': 'wrong' }))
  row('1.8', 'a wrong token and a good signature', rest(401, 'access token present in header but does not match'), (s) => get(s, signed(s, 'read', { path: '/etc/hostname' }), { 'X-Access-Token': 'wrong' }))
  row('1.8', 'the token and a bad signature', that('200: the signature is not looked at'), async (s) => assert.equal((await get(s, { path: '/etc/hostname', signature: 'v1_bad' }, { 'X-Access-Token': s.token })).status, 200))
  row('1.8', 'a bad signature', rest(401, 'invalid signature'), (s) => get(s, { path: '/etc/hostname', signature: 'v1_bad' }))
  row('1.8', 'a good signature to read', bytes(200, 'e2b.local\n'), (s) => get(s, signed(s, 'read', { path: '/etc/hostname' })))
  row('1.8', 'the same to write', rest(401, 'invalid signature'), (s) => put(s, signed(s, 'read', { path: '/etc/hostname' })))
  row('1.8', 'a good signature to write', json([{ path: '/tmp/signed', name: 'signed', type: 'file' }]), (s) => put(s, signed(s, 'write', { path: '/tmp/signed' })))
  row('1.8', 'the same to read', rest(401, 'invalid signature'), (s) => get(s, signed(s, 'write', { path: '/tmp/signed' })))
  row('1.8, 9.13', 'signed with another path of the same file', rest(401, 'invalid signature'), (s) => get(s, { ...signed(s, 'read', { path: '/etc/../etc/hostname' }), path: '/etc/hostname' }))
  row('1.8', 'signed for user, asked as root', rest(401, 'invalid signature'), (s) => get(s, { ...signed(s, 'read', { path: '/etc/hostname', username: 'user' }), username: 'root' }))
  row('1.8', 'signed with a user', bytes(200, 'e2b.local\n'), (s) => get(s, signed(s, 'read', { path: '/etc/hostname', username: 'user' })))
  row('1.8', 'signed without a path', rest(400, "path '/home/user' is a directory"), (s) => get(s, signed(s, 'read', {})))
  row('1.8', 'signed with a `path` in other letters', that('200, the path as it was after URL-decoding'), async (s) => {
    await s.write('/tmp/ü ? +&.txt', 'odd')
    assert.equal((await get(s, signed(s, 'read', { path: '/tmp/ü ? +&.txt' }))).text, 'odd')
  })
  row('1.8', 'an expiration in the future', bytes(200, 'e2b.local\n'), (s) => get(s, signed(s, 'read', { path: '/etc/hostname', expiration: soon() })))
  row('1.8', 'one in the past', rest(401, 'signature is already expired'), (s) => get(s, signed(s, 'read', { path: '/etc/hostname', expiration: 1 })))
  row('1.8', 'one in the past, to write', rest(401, 'signature is already expired'), (s) => put(s, signed(s, 'write', { path: '/tmp/late', expiration: 1 })))
  row('1.8, 9.13', 'one in the past, and a bad signature', rest(401, 'invalid signature'), (s) => get(s, { path: '/etc/hostname', signature: 'v1_bad', signature_expiration: 1 }))
  row('1.8', 'an expiration that was not signed', rest(401, 'invalid signature'), (s) => get(s, { ...signed(s, 'read', { path: '/etc/hostname' }), signature_expiration: soon() }))
  row('1.8', 'a good signature, an unknown user', rest(401, "error looking up user 'ghost': user: unknown user ghost"), (s) => get(s, signed(s, 'read', { path: '/etc/hostname', username: 'ghost' })))
  row('1.8', "the contract's test vector", that('accepted'), async (s) => {
    const open = await s.constructor.open()
    try {
      const target = { ...(await open.direct()), headers: {} }
      assert.equal((await exchange(target, { method: 'POST', path: '/init', body: '{"accessToken":"0tQG31xiMp0IOQfaz9dcwi72L1CPo8e0"}' })).status, 204)
      const query = new URLSearchParams({ path: 'hello.txt', username: 'user', signature: 'v1_gUtH/s9YCJWgCizjfUxuWfhFE4QSydOWEIIvfLwDr6E' })
      const reply = await exchange(target, { path: `/files?${query}` })
      rest(404, "path '/home/user/hello.txt' does not exist").verify(reply)
    } finally {
      await open.close()
    }
  })
  row('1.8', 'no token is set', that('no check at all'), async (s) => {
    const open = await s.constructor.open()
    try {
      assert.equal((await open.get('/files', { path: '/etc/hostname', signature: 'nonsense' })).text, 'e2b.local\n')
    } finally {
      await open.close()
    }
  })
})
