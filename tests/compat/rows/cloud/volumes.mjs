// Volumes, and mounting them into a sandbox that runs (docs/volumes.md).
import assert from 'node:assert/strict'
import { endpoint } from '../../support/endpoint.mjs'
import { unused } from '../../support/cloud.mjs'
import { aboutOne } from './sandboxes.mjs'

const wrong = (name, reason) => `validation error: request body has an error: Error at "/${name}": ${reason}`
const kGone = 'Volume nobody not found'
const kMiB = 1 << 20
const get = async (c, { volumeID }) => (await c.done(200, 'GET', `/volumes/${volumeID}`)).json
// What `df` says in a sandbox that has it: bytes and inodes.
async function room(c, volume) {
  const s = await c.open({ volumeMounts: [{ name: volume.name, path: '/data' }] })
  const { stdout } = await s.run('df -B1 --output=size,itotal /data | tail -1')
  await s.close()
  return stdout.trim().split(/\s+/).map(Number)
}

endpoint('POST /volumes', 'a new volume', {}, (row) => {
  row.call('201', async (c) => { await c.volume() })
  row.body('name', 'letters, digits, `_`, `-`; mounts name it', async (c) => {
    const name = unused('A_b-1')
    assert.equal((await c.volume({ name })).name, name)
  })
  row.body('quotaSizeGiB', 'Novita: how large it is; absent: as the disk', async (c) => {
    const [bytes] = await room(c, await c.volume({ quotaSizeGiB: 1 }))
    assert.ok(bytes > 900 * kMiB && bytes <= 1024 * kMiB, `${bytes}`)
  })
  row.body('quotaInodes', 'Novita: how many files; absent: 1000 to the GiB', async (c) => {
    for (const [quotaInodes, least] of [[4000, 4000], [undefined, 1000]]) {
      const [, inodes] = await room(c, await c.volume({ quotaSizeGiB: 1, quotaInodes }))
      assert.ok(inodes >= least && inodes < least * 1.3, `${inodes}`)
    }
  })
  row.answer('volumeID', 'its id', async (c) => {
    const one = await c.volume()
    assert.equal((await get(c, one)).volumeID, one.volumeID)
    assert.notEqual(one.volumeID, (await c.volume()).volumeID)
  })
  row.answer('name', 'as it was sent', async (c) => {
    const name = unused('volume')
    assert.equal((await c.volume({ name })).name, name)
  })
  row.answer('token', 'opens its files, and nobody else\'s', async (c) => {
    const [one, two] = [await c.volume(), await c.volume()]
    const stat = (token) => c.call('GET', `/volumecontent/${one.volumeID}/path?path=/`, undefined, { headers: { Authorization: `Bearer ${token}` } })
    assert.deepEqual([(await stat(one.token)).status, (await stat(two.token)).status], [200, 401])
  })
  row.answer('quotaSizeGiB', 'Novita: as it was sent; absent when it was not', async (c) => {
    assert.equal((await c.volume({ quotaSizeGiB: 2 })).quotaSizeGiB, 2)
    assert.ok(!('quotaSizeGiB' in (await c.volume())))
  })
  row.answer('usedSizeBytes', 'Novita: what is in it', async (c) => assert.ok((await c.volume()).usedSizeBytes < kMiB))
  row.answer('domain', 'E2B: absent: its files are at the API itself', async (c) => assert.ok(!('domain' in (await c.volume()))))
  row.error(400, 'a name that is taken', '…already exists…', async (c) => c.call('POST', '/volumes', { name: (await c.volume()).name }))
  for (const [body, name, reason] of [
    [{}, 'name', 'property "name" is missing'], [{ name: 5 }, 'name', 'value must be a string'],
    [{ name: 'a b' }, 'name', 'string doesn\'t match the regular expression "^[a-zA-Z0-9_-]+$"'],
    [{ name: 'x', quotaSizeGiB: 0 }, 'quotaSizeGiB', 'number must be at least 1'], [{ name: 'x', quotaSizeGiB: 0.5 }, 'quotaSizeGiB', 'value must be an integer'],
    [{ name: 'x', quotaInodes: 5 }, 'quotaInodes', 'quotaInodes needs quotaSizeGiB'],
    [{ name: 'x', quotaSizeGiB: 2, quotaInodes: 1e9 }, 'quotaInodes', 'number must be at most 2097152 in 2 GiB'],
  ]) row.error(400, `\`${JSON.stringify(body)}\``, wrong(name, reason), (c) => c.call('POST', '/volumes', body))
  row.error(400, 'no JSON', 'Error when parsing request: …', (c) => c.call('POST', '/volumes', '{'))
})

endpoint('GET /volumes', 'the volumes', {}, (row) => {
  row.call('200: in the order of their creation', async (c) => {
    const made = [await c.volume(), await c.volume()].map((one) => one.volumeID)
    const listed = (await c.done(200, 'GET', '/volumes')).json.map((one) => one.volumeID)
    assert.deepEqual(listed.filter((id) => made.includes(id)), made)
  })
  row.answer(['volumeID', 'name', 'quotaSizeGiB', 'usedSizeBytes'], 'as in `GET /volumes/{volumeID}`; no token', async (c) => {
    const one = await c.volume({ quotaSizeGiB: 1 })
    const listed = (await c.done(200, 'GET', '/volumes')).json.find((each) => each.volumeID === one.volumeID)
    const { token, ...rest } = await get(c, one)
    assert.deepEqual(listed, rest)
  })
})

endpoint('GET /volumes/{volumeID}', 'one volume', {}, (row) => {
  row.answersLike('POST /volumes', '', 'the fields of `POST /volumes`, the same as there', async (c) => {
    const one = await c.volume()
    assert.deepEqual(await get(c, one), one)
  })
  row.answer('usedSizeBytes', 'at that moment', async (c) => {
    const one = await c.volume()
    const s = await c.open({ volumeMounts: [{ name: one.name, path: '/data' }] })
    await s.run('head -c 3000000 /dev/urandom > /data/file; sync')
    const { usedSizeBytes } = await get(c, one)
    assert.ok(usedSizeBytes >= 3_000_000 && usedSizeBytes < 4_000_000, `${usedSizeBytes}`)
    await s.close()
  })
  row.error(404, 'one that is not there', kGone, (c) => c.call('GET', '/volumes/nobody'))
})

endpoint('PATCH /volumes/{volumeID}', 'a larger quota (Novita)', {}, (row) => {
  const patch = (c, one, body) => c.call('PATCH', `/volumes/${one.volumeID}`, body)
  row.call('200; with neither field it changes nothing', async (c) => {
    const one = await c.volume({ quotaSizeGiB: 1 })
    assert.equal((await patch(c, one, {})).json.quotaSizeGiB, 1)
  })
  row.body('quotaSizeGiB', 'it is so large from then on', async (c) => {
    const one = await c.volume({ quotaSizeGiB: 1 })
    assert.equal((await patch(c, one, { quotaSizeGiB: 2, quotaInodes: 2000 })).json.quotaSizeGiB, 2)
    const [bytes] = await room(c, one)
    assert.ok(bytes > 1800 * kMiB && bytes <= 2048 * kMiB, `${bytes}`)
  })
  row.body('quotaInodes', 'taken; their number grows with the size, in the proportion of the creation', async (c) => {
    const one = await c.volume({ quotaSizeGiB: 1 })
    assert.equal((await patch(c, one, { quotaSizeGiB: 2, quotaInodes: 2000 })).status, 200)
    const [, inodes] = await room(c, one)
    assert.ok(inodes >= 2000 && inodes < 2600, `${inodes}`)
  }, { differs: 'ext4 cannot do otherwise; it is what SDKs ask for' })
  row.answersLike('POST /volumes', '', 'the fields of `POST /volumes`', async (c) => {
    const one = await c.volume({ quotaSizeGiB: 1 })
    assert.deepEqual(Object.keys((await patch(c, one, { quotaSizeGiB: 2 })).json), Object.keys(one))
  })
  row.error(400, 'less than it has', '…', async (c) => patch(c, await c.volume({ quotaSizeGiB: 2 }), { quotaSizeGiB: 1 }))
  row.error(400, 'of a volume without one', '…', async (c) => patch(c, await c.volume(), { quotaSizeGiB: 1 }))
  row.error(400, '`{"quotaSizeGiB":"x"}`', wrong('quotaSizeGiB', 'value must be an integer'), async (c) => patch(c, await c.volume(), { quotaSizeGiB: 'x' }))
  row.error(404, 'one that is not there', kGone, (c) => c.call('PATCH', '/volumes/nobody', { quotaSizeGiB: 1 }))
})

endpoint('DELETE /volumes/{volumeID}', 'destroy a volume', {}, (row) => {
  row.call('204; it is gone', async (c) => {
    const one = await c.volume()
    assert.equal((await c.done(204, 'DELETE', `/volumes/${one.volumeID}`)).text, '')
    assert.equal((await c.call('GET', `/volumes/${one.volumeID}`)).status, 404)
  })
  row.error(404, 'one that is not there', kGone, (c) => c.call('DELETE', '/volumes/nobody'))
  row.error(409, 'one that a sandbox has', '…mounted…', async (c) => {
    const one = await c.volume()
    const s = await c.open({ volumeMounts: [{ name: one.name, path: '/data' }] })
    const reply = await c.call('DELETE', `/volumes/${one.volumeID}`)
    await s.close()
    return reply
  }, { differs: 'the cloud does not say what it does' })
})

endpoint('POST /sandboxes/{sandboxID}/volume-mounts', 'mount (Novita)', {}, (row) => {
  const mount = (c, s, body) => c.call('POST', `/sandboxes/${s.id}/volume-mounts`, body)
  const both = async (c) => [await c.open(), await c.volume()]
  row.call('200; at once, in the running sandbox', async (c) => {
    const [s, { name }] = await both(c)
    assert.equal((await mount(c, s, { name, path: '/mnt/data' })).status, 200)
    assert.match((await s.run('cat /proc/mounts')).stdout, / \/mnt\/data /)
    await s.close()
  })
  row.body('name', 'the name of the volume', async (c) => {
    const [s, { name }] = await both(c)
    const other = await c.open({ volumeMounts: [{ name, path: '/data' }] })
    await other.run('echo there > /data/file')
    await mount(c, s, { name, path: '/here' })
    assert.equal((await s.run('cat /here/file')).stdout, 'there\n')
    await Promise.all([s.close(), other.close()])
  })
  row.body('path', 'where: absolute and clean; made when it is missing', async (c) => {
    const [s, { name }] = await both(c)
    await mount(c, s, { name, path: '/a/b/c' })
    assert.equal((await s.run('stat -c %m /a/b/c')).stdout, '/a/b/c\n')
    await s.close()
  })
  row.answersLike('GET /sandboxes/{sandboxID}', '', 'the fields of `GET /sandboxes/{sandboxID}`, with the mount among `volumeMounts`', async (c) => {
    const [s, { name }] = await both(c)
    const { name: alias, ...json } = (await mount(c, s, { name, path: '/data' })).json
    assert.deepEqual(json, await c.detail(s))
    assert.deepEqual(json.volumeMounts, [{ name, path: '/data' }])
    await s.close()
  })
  row.answer('name', "the template's name, as `alias`: the SDK looks here", async (c) => {
    const [s, { name }] = await both(c)
    assert.equal((await mount(c, s, { name, path: '/data' })).json.name, 'base')
    await s.close()
  })
  for (const [body, name, reason] of [[{ path: '/x' }, 'name', 'property "name" is missing'], [{ name: 'x' }, 'path', 'property "path" is missing'], [{ name: 1, path: '/x' }, 'name', 'value must be a string']]) {
    row.error(400, `\`${JSON.stringify(body)}\``, wrong(name, reason), async (c) => mount(c, await c.shared(), body))
  }
  const kUnsaid = { differs: 'the cloud does not say what it does' }
  row.error(400, 'a volume that nobody has', '…not found…', async (c) => mount(c, await c.shared(), { name: 'nobody', path: '/x' }), kUnsaid)
  for (const [path, message] of [['x', '…path must be absolute'], ['/x/../y', "…path must not contain any '.' or '..' components"], ['/', '…path cannot be the root directory'], ['/proc', "…path '/proc' belongs to the system"]]) {
    row.error(400, `\`"path":"${path}"\``, message, async (c) => mount(c, await c.shared(), { name: (await c.volume()).name, path }), kUnsaid)
  }
  row.error(409, 'a path that has a volume', '…already used…', async (c) => {
    const [s, { name }] = await both(c)
    await mount(c, s, { name, path: '/data' })
    const reply = await mount(c, s, { name, path: '/data' })
    await s.close()
    return reply
  }, kUnsaid)
  row.error(409, 'a paused one', 'Sandbox "…" is paused', async (c) => {
    const [s, { name }] = await both(c)
    await c.pause(s)
    return mount(c, s, { name, path: '/data' })
  })
  aboutOne(row, (c, id) => c.call('POST', `/sandboxes/${id}/volume-mounts`, { name: 'x', path: '/x' }))
})

endpoint('DELETE /sandboxes/{sandboxID}/volume-mounts', 'unmount (Novita)', {}, (row) => {
  const unmount = (c, s, query) => c.call('DELETE', `/sandboxes/${s.id ?? s}/volume-mounts?${query}`)
  async function mounted(c) {
    const { name } = await c.volume()
    return c.open({ volumeMounts: [{ name, path: '/data' }, { name, path: '/other' }] })
  }
  async function used(c) {
    const s = await mounted(c)
    const { call } = await s.background('cd /data; echo there; exec sleep 300')
    await call.next()
    call.leave()
    return s
  }
  row.query('path', 'which', async (c) => {
    const s = await mounted(c)
    assert.equal((await unmount(c, s, 'path=/data')).status, 200)
    assert.equal((await s.run('stat -c %m /data /other')).stdout, '/\n/other\n')
    await s.close()
  })
  row.query('force', '`true`: even while a process uses it', async (c) => {
    const s = await used(c)
    assert.equal((await unmount(c, s, 'path=/data&force=true')).status, 200)
    assert.equal((await s.run('stat -c %m /data')).stdout, '/\n')
    await s.close()
  })
  row.answersLike('GET /sandboxes/{sandboxID}', '', 'the fields of `GET /sandboxes/{sandboxID}`, the mount no longer among `volumeMounts`', async (c) => {
    const s = await mounted(c)
    const { name, ...json } = (await unmount(c, s, 'path=/data')).json
    assert.deepEqual(json, await c.detail(s))
    assert.deepEqual(json.volumeMounts.map((one) => one.path), ['/other'])
    await s.close()
  })
  row.answer('name', "the template's name, as `alias`", async (c) => {
    const s = await mounted(c)
    assert.equal((await unmount(c, s, 'path=/data')).json.name, 'base')
    await s.close()
  })
  const kUnsaid = { differs: 'the cloud does not say what it does' }
  row.error(400, 'a path without a volume', '…no volume…', async (c) => unmount(c, await c.shared(), 'path=/nothing'), kUnsaid)
  row.error(409, 'a process uses it', '…busy…', async (c) => {
    const s = await used(c)
    const reply = await unmount(c, s, 'path=/data')
    assert.equal((await c.detail(s)).volumeMounts.length, 2)
    await s.close()
    return reply
  }, kUnsaid)
  row.error(409, 'a paused one', 'Sandbox "…" is paused', async (c) => {
    const s = await mounted(c)
    await c.pause(s)
    const reply = await unmount(c, s, 'path=/data')
    await s.close()
    return reply
  })
  aboutOne(row, (c, id) => unmount(c, id, 'path=/data'))
})

