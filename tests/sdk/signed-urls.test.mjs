// uploadUrl and downloadUrl, used by a plain HTTP client that knows nothing of the SDK.
import assert from 'node:assert/strict'
import { eachSdk, it } from './support/sdks.mjs'
import { failure, get, open } from './support/sandbox.mjs'

const form = (content, name = 'file.txt') => {
  const body = new FormData()
  body.append('file', new Blob([content]), name)
  return { method: 'POST', body }
}

eachSdk('signed URLs', (sdk) => {
  for (const useSignatureExpiration of [undefined, 60]) {
    const kind = useSignatureExpiration ? 'with an expiration' : 'without an expiration'

    it(`downloads ${kind}`, async (t) => {
      const sandbox = await open(t, sdk)
      await sandbox.files.write('/home/user/a b.txt', 'héllo')
      const address = await sandbox.downloadUrl('/home/user/a b.txt', { useSignatureExpiration })
      assert.equal(address.includes('signature_expiration='), Boolean(useSignatureExpiration))
      const answer = await get(address)
      assert.deepEqual([answer.status, answer.text], [200, 'héllo'])
    })

    it(`uploads ${kind}`, async (t) => {
      const sandbox = await open(t, sdk)
      const answer = await get(await sandbox.uploadUrl('up/load.txt', { useSignatureExpiration }), form('content'))
      assert.equal(answer.status, 200)
      assert.deepEqual(JSON.parse(answer.text), [{ path: '/home/user/up/load.txt', name: 'load.txt', type: 'file' }])
      assert.equal(await sandbox.files.read('up/load.txt'), 'content')
    })
  }

  it('an upload URL without a path takes the path of the part', async (t) => {
    const sandbox = await open(t, sdk)
    const answer = await get(await sandbox.uploadUrl(), form('x', 'folder/named by the part.txt'))
    assert.equal(answer.status, 200)
    assert.equal(await sandbox.files.read('folder/named by the part.txt'), 'x')
  })

  it('the user is part of the signature', async (t) => {
    const sandbox = await open(t, sdk)
    const address = await sandbox.uploadUrl('who', { user: 'root' })
    assert.equal((await get(address, form('x'))).status, 200)
    assert.equal((await sandbox.files.getInfo('/root/who', { user: 'root' })).owner, 'root')
    const forged = await get(address.replace('username=root', 'username=user'), form('x'))
    assert.equal(forged.status, 401)
  })

  it('expired, wrong, missing, and for another operation are 401', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.files.write('/home/user/secret', 'x')
    const refused = async (address, message, options) => {
      const answer = await get(address, options)
      assert.equal(answer.status, 401)
      assert.deepEqual(JSON.parse(answer.text), { code: 401, message })
    }
    await refused(await sandbox.downloadUrl('/home/user/secret', { useSignatureExpiration: -120 }), 'signature is already expired')
    const good = new URL(await sandbox.downloadUrl('/home/user/secret'))
    const changed = (edit) => {
      const copy = new URL(good)
      edit(copy.searchParams)
      return copy.href
    }
    await refused(changed((query) => query.set('signature', 'v1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA')), 'invalid signature')
    await refused(changed((query) => query.set('path', '/etc/shadow')), 'invalid signature')
    await refused(changed((query) => query.delete('signature')), 'missing signature query parameter')
    await refused(good.href, 'invalid signature', form('x'))
    const other = await open(t, sdk)
    await refused(good.href.replace(sandbox.sandboxId, other.sandboxId), 'invalid signature')
    assert.equal((await get(good.href)).status, 200)
  })

  it('the wrong access token is 401', async (t) => {
    const sandbox = await open(t, sdk)
    await sandbox.files.write('/home/user/secret', 'x')
    const answer = await get(await sandbox.downloadUrl('/home/user/secret'), { headers: { 'X-Access-Token': 'wrong' } })
    assert.equal(answer.status, 401)
  })

  it('a URL of a missing file is 404, of a dead sandbox 502', async (t) => {
    const sandbox = await open(t, sdk)
    const address = await sandbox.downloadUrl('/home/user/missing')
    assert.equal((await get(address)).status, 404)
    await sandbox.kill()
    assert.equal((await get(address)).status, 502)
  })
})

eachSdk('URLs of a sandbox without a token', (sdk) => {
  it('need no signature', async (t) => {
    const sandbox = await open(t, sdk, { secure: false })
    await sandbox.files.write('/home/user/open', 'x')
    const address = await sandbox.downloadUrl('/home/user/open')
    assert.ok(!address.includes('signature'))
    assert.equal((await get(address)).text, 'x')
    await failure(() => sandbox.downloadUrl('/home/user/open', { useSignatureExpiration: 10 }), Error)
  })
}, { only: 'novita' })
