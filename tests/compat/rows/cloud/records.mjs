// What is written down of sandboxes: metrics, events, logs, the quota; and memory that is plugged in.
import assert from 'node:assert/strict'
import { eventually } from '../../../sdk/support/sandbox.mjs'
import { endpoint } from '../../support/endpoint.mjs'
import { kTime } from '../../support/cloud.mjs'
import { control } from '../../support/reach.mjs'
import { aboutOne } from './sandboxes.mjs'

const now = () => Math.floor(Date.now() / 1000)
const parameter = (name, reason) => `validation error: parameter "${name}" in query has an error: ${reason}`
const kMetric = ['timestamp', 'timestampUnix', 'cpuCount', 'cpuUsedPct', 'memUsed', 'memTotal', 'memCache', 'diskUsed', 'diskTotal']

// A sandbox that works, with two samples: they come every five seconds.
const sampled = (c) => (c.sampled ??= (async () => {
  const s = await c.open()
  const { call } = await s.background('while :; do :; done')
  call.leave()
  const samples = await eventually('two samples', async () => {
    const { json } = await c.done(200, 'GET', `/sandboxes/${s.id}/metrics`)
    return json.length >= 2 && json
  })
  return { s, samples }
})())

endpoint('GET /sandboxes/{sandboxID}/metrics', 'what it used', { seconds: 12 }, (row) => {
  row.call('200: a sample every five seconds, oldest first; none in the first moments', async (c) => {
    assert.deepEqual((await c.done(200, 'GET', `/sandboxes/${(await c.open()).id}/metrics`)).json.length <= 1, true)
    const [first, second] = (await sampled(c)).samples
    assert.ok(Math.abs(second.timestampUnix - first.timestampUnix - 5) <= 1)
  })
  row.call('a paused one keeps them', async (c) => {
    const s = await c.open()
    const path = `/sandboxes/${s.id}/metrics`
    await eventually('a sample', async () => (await c.done(200, 'GET', path)).json.length)
    await c.pause(s)
    assert.ok((await c.done(200, 'GET', path)).json.length)
  })
  row.query('start', 'samples of that second and later (Unix time)', async (c) => {
    const { s, samples: [first, second] } = await sampled(c)
    const { json } = await c.done(200, 'GET', `/sandboxes/${s.id}/metrics?start=${second.timestampUnix}`)
    assert.deepEqual(json[0], second)
    assert.ok(!json.some((one) => one.timestampUnix === first.timestampUnix))
  })
  row.query('end', 'samples of that second and earlier', async (c) => {
    const { s, samples: [first] } = await sampled(c)
    assert.deepEqual((await c.done(200, 'GET', `/sandboxes/${s.id}/metrics?end=${first.timestampUnix}`)).json, [first])
  })
  row.answer(['timestamp', 'timestampUnix'], 'the same moment, as RFC 3339 and in seconds', async (c) => {
    for (const one of (await sampled(c)).samples) {
      assert.match(one.timestamp, kTime)
      assert.equal(one.timestampUnix, Math.floor(Date.parse(one.timestamp) / 1000))
      assert.ok(Math.abs(one.timestampUnix - now()) < 60)
    }
  })
  row.answer('cpuCount', 'as in the detail', async (c) => {
    const { s, samples } = await sampled(c)
    assert.equal(samples[0].cpuCount, (await c.detail(s)).cpuCount)
  })
  row.answer('cpuUsedPct', 'of all its processors: 50 for one loop on two', async (c) => {
    const { cpuUsedPct } = (await sampled(c)).samples.at(-1)
    assert.ok(cpuUsedPct > 1 && cpuUsedPct <= 100, `${cpuUsedPct}`)
  })
  row.answer(['memUsed', 'memTotal', 'memCache'], 'bytes; the total is `memoryMB`', async (c) => {
    const { s, samples } = await sampled(c)
    const one = samples.at(-1)
    assert.equal(one.memTotal, (await c.detail(s)).memoryMB * 2 ** 20)
    assert.ok(one.memUsed > 0 && one.memUsed < one.memTotal && one.memCache >= 0)
  })
  row.answer(['diskUsed', 'diskTotal'], 'bytes: `diskSizeMB`, and what the disk of the data directory cannot give of it any more', async (c) => {
    const { s, samples } = await sampled(c)
    const one = samples.at(-1)
    const size = (await c.detail(s)).diskSizeMB * 2 ** 20
    assert.ok(one.diskTotal > 0 && (size === 0 || one.diskTotal <= size), `${one.diskTotal} of ${size}`)
    assert.ok(one.diskUsed >= 0 && one.diskUsed <= one.diskTotal)
  }, { differs: 'a sandbox has no disk of its own here' })
  row.error(400, '`start=now`', parameter('start', 'value must be an integer'), async (c) => c.call('GET', `/sandboxes/${(await c.shared()).id}/metrics?start=now`))
  row.error(400, '`start=-1`', parameter('start', 'number must be at least 0'), async (c) => c.call('GET', `/sandboxes/${(await c.shared()).id}/metrics?start=-1`))
  row.error(400, '`start=5&end=4`', "'end' is before 'start'", async (c) => c.call('GET', `/sandboxes/${(await c.shared()).id}/metrics?start=5&end=4`))
  aboutOne(row, (c, id) => c.call('GET', `/sandboxes/${id}/metrics`))
})

endpoint('GET /sandboxes/metrics', 'the newest sample of several', { seconds: 7 }, (row) => {
  row.query('sandbox_ids', 'which, with commas between; unknown ones, and those without a sample yet, are left out', async (c) => {
    const [one, two] = [await c.open(), await c.open()]
    await eventually('both', async () => {
      const { json } = await c.done(200, 'GET', `/sandboxes/metrics?sandbox_ids=${one.id},${two.id},inobody`)
      return JSON.stringify(Object.keys(json.sandboxes).sort()) === JSON.stringify([one.id, two.id].sort())
    })
  })
  row.answer('sandboxes', 'by id, with the fields of `GET /sandboxes/{sandboxID}/metrics`', async (c) => {
    const s = await c.open()
    const samples = await eventually('a sample', async () => {
      const { json } = await c.done(200, 'GET', `/sandboxes/${s.id}/metrics`)
      return json.length && json
    })
    const { sandboxes } = (await c.done(200, 'GET', `/sandboxes/metrics?sandbox_ids=${s.id}`)).json
    assert.deepEqual(Object.keys(sandboxes[s.id]), kMetric)
    assert.ok(sandboxes[s.id].timestampUnix >= samples[0].timestampUnix)
  }, { open: true })
  row.error(400, 'no `sandbox_ids`', parameter('sandbox_ids', 'value is required but missing'), (c) => c.call('GET', '/sandboxes/metrics'))
  row.error(400, '101 of them', parameter('sandbox_ids', 'maximum number of items is 100'), (c) => c.call('GET', `/sandboxes/metrics?sandbox_ids=${Array(101).fill('i').join(',')}`))
})

endpoint('GET /sandboxes/quota', 'how much may be used, and is (Novita)', { sideBySide: 1 }, (row) => {
  const quota = async (c) => (await c.done(200, 'GET', '/sandboxes/quota')).json
  const kUnlimited = 2 ** 31 - 1
  row.answer(['limit', 'limit.concurrentInstances', 'limit.concurrentVcpu', 'limit.concurrentRamMb'], 'as large as can be', async (c) => {
    const { limit } = await quota(c)
    assert.deepEqual([limit.concurrentInstances, limit.concurrentVcpu, limit.concurrentRamMb], [kUnlimited, kUnlimited, kUnlimited])
  }, { differs: 'there is no plan here; with `--max-sandboxes N` they are N times the largest sandbox' })
  row.answer('limit.concurrentInstances', 'with `--max-sandboxes 2`: 2, 2 times 8 processors, 2 times 8 GiB', (c) => c.limited(async (call) => {
    const { limit } = (await call('GET', '/sandboxes/quota')).json
    assert.deepEqual([limit.concurrentInstances, limit.concurrentVcpu, limit.concurrentRamMb], [2, 16, 16384])
  }))
  row.answer(['limit.maxLengthHours', 'limit.diskMb', 'limit.maxVcpu', 'limit.maxRamMb'], '1, 20480, 8, 8192: the life that timeouts are cut to; disk and size of the paid plan', async (c) => {
    const { limit } = await quota(c)
    assert.deepEqual([limit.maxLengthHours, limit.diskMb, limit.maxVcpu, limit.maxRamMb], [1, 20480, 8, 8192])
  })
  row.answer(['usage', 'usage.concurrentInstances', 'usage.concurrentVcpu', 'usage.concurrentRamMb'], 'of those that run', (c) => c.limited(async (call) => {
    const usage = async () => Object.values((await call('GET', '/sandboxes/quota')).json.usage)
    assert.deepEqual(await usage(), [0, 0, 0])
    const { json: { sandboxID } } = await call('POST', '/sandboxes', { templateID: 'base' })
    const { json: { cpuCount, memoryMB } } = await call('GET', `/sandboxes/${sandboxID}`)
    assert.deepEqual(await usage(), [1, cpuCount, memoryMB])
    await call('POST', `/sandboxes/${sandboxID}/pause`)
    assert.deepEqual(await usage(), [0, 0, 0])
  }))
})

endpoint('POST /sandboxes/{sandboxID}/hotplug-memory', 'more memory (Novita)', {}, (row) => {
  const plug = (c, s, body) => c.call('POST', `/sandboxes/${s.id}/hotplug-memory`, body)
  row.call('204', async (c) => assert.equal((await plug(c, await c.open(), { requested_size_mib: 512 })).status, 204))
  row.body('requested_size_mib', 'so much in addition to what the template gives; processes can use it; 0 takes it away', async (c) => {
    const s = await c.open()
    const { memoryMB } = await c.detail(s)
    const fits = async () => (await s.run(`python3 -c "b = bytearray(${memoryMB + 100} << 20); print('fits')"`)).stdout.includes('fits')
    assert.equal(await fits(), false)
    await plug(c, s, { requested_size_mib: 512 })
    assert.equal((await c.detail(s)).memoryMB, memoryMB + 512)
    assert.equal(await fits(), true)
    assert.equal((await plug(c, s, { requested_size_mib: 0 })).status, 204)
    assert.equal((await c.detail(s)).memoryMB, memoryMB)
  })
  for (const [body, reason] of [[{}, 'property "requested_size_mib" is missing'], [{ requested_size_mib: '1' }, 'value must be an integer'], [{ requested_size_mib: 3 }, 'number must be a multiple of 2'], [{ requested_size_mib: -2 }, 'number must be at least 0']]) {
    row.error(400, `\`${JSON.stringify(body)}\``, `validation error: request body has an error: Error at "/requested_size_mib": ${reason}`, async (c) => plug(c, await c.shared(), body))
  }
  row.error(400, 'more than the largest sandbox', '…', async (c) => plug(c, await c.shared(), { requested_size_mib: 8194 }))
  row.error(409, 'less than what is in use', '…', async (c) => {
    const s = await c.open()
    const { memoryMB } = await c.detail(s)
    await plug(c, s, { requested_size_mib: 512 })
    const { call } = await s.background(`exec python3 -c "import time; b = bytearray(${memoryMB + 100} << 20); open('/tmp/full', 'w'); time.sleep(60)"`)
    call.leave()
    await eventually('it is full', async () => (await s.run('ls /tmp/full')).end.exitCode === undefined)
    return plug(c, s, { requested_size_mib: 0 })
  })
  row.error(409, 'a paused one', 'Sandbox "…" is paused', async (c) => {
    const s = await c.open()
    await c.pause(s)
    return plug(c, s, { requested_size_mib: 2 })
  })
  aboutOne(row, (c, id) => c.call('POST', `/sandboxes/${id}/hotplug-memory`, { requested_size_mib: 2 }))
})

endpoint('GET /sandboxes/events', 'what happened to sandboxes (Novita)', { seconds: 3 }, (row) => {
  const find = async (c, pairs) => (await c.done(200, 'GET', `/sandboxes/events?${new URLSearchParams(pairs)}`)).json
  const names = async (c, pairs) => (await find(c, pairs)).items.map((one) => one.eventName)
  // One sandbox with a whole life.
  const life = (c) => (c.life ??= (async () => {
    const s = await c.open()
    await c.pause(s)
    await c.done(201, 'POST', `/sandboxes/${s.id}/connect`, { timeout: 60 })
    await c.done(204, 'DELETE', `/sandboxes/${s.id}`)
    return { s, sandboxID: s.id }
  })())
  const kLife = ['delete', 'connect', 'resume', 'pause', 'create']
  row.call('200: newest first', async (c) => {
    const { sandboxID } = await life(c)
    assert.deepEqual(await names(c, { sandboxID }), kLife)
  })
  row.query('sandboxID', 'those of this sandbox; a part of the id is enough', async (c) => {
    const { sandboxID } = await life(c)
    assert.deepEqual(await names(c, { sandboxID: sandboxID.slice(2, 16) }), kLife)
  })
  row.query('templateID', 'those of sandboxes of this template; a part of the id is enough', async (c) => {
    const { sandboxID, s } = await life(c)
    assert.equal((await names(c, { sandboxID, templateID: s.created.templateID.slice(1, 12) })).length, 5)
    assert.deepEqual(await names(c, { sandboxID, templateID: 'nobody' }), [])
  })
  row.query('events', 'those of these names, with commas between', async (c) => {
    const { sandboxID } = await life(c)
    assert.deepEqual(await names(c, { sandboxID, events: 'create,delete' }), ['delete', 'create'])
  })
  row.query('state', '`success` or `failed`', async (c) => {
    const { sandboxID } = await life(c)
    assert.equal((await names(c, { sandboxID, state: 'success' })).length, 5)
    assert.deepEqual(await names(c, { sandboxID, state: 'failed' }), [])
  })
  row.query('startTime', 'from that second on (Unix time); absent: 30 days before the end', async (c) => {
    const { sandboxID } = await life(c)
    assert.equal((await names(c, { sandboxID, startTime: now() - 100 })).length, 5)
    assert.equal((await names(c, { sandboxID, startTime: now() + 50, endTime: now() + 100 })).length, 0)
  })
  row.query('endTime', 'to that second; absent: now', async (c) => {
    const { sandboxID } = await life(c)
    assert.deepEqual(await names(c, { sandboxID, endTime: now() - 1000 }), [])
    assert.equal((await names(c, { sandboxID, endTime: now() + 1 })).length, 5)
  })
  row.query('orderAsc', '`true`: oldest first', async (c) => {
    const { sandboxID } = await life(c)
    assert.deepEqual(await names(c, { sandboxID, orderAsc: 'true' }), kLife.toReversed())
    assert.deepEqual(await names(c, { sandboxID, orderAsc: 'false' }), kLife)
  })
  row.query('offset', 'leaves out so many', async (c) => {
    const { sandboxID } = await life(c)
    assert.deepEqual(await names(c, { sandboxID, offset: 3 }), kLife.slice(3))
  })
  row.query('limit', 'at most so many; 10 when absent, 100 at most', async (c) => {
    const { sandboxID } = await life(c)
    assert.deepEqual(await names(c, { sandboxID, limit: 2 }), kLife.slice(0, 2))
    const s = await c.open()
    for (let i = 0; i < 11; i++) await c.done(200, 'POST', `/sandboxes/${s.id}/connect`, { timeout: 60 })
    assert.equal((await names(c, { sandboxID: s.id })).length, 10)
    assert.equal((await names(c, { sandboxID: s.id, limit: 100 })).length, 12)
  })
  row.answer(['total', 'hasMore'], 'how many match, and whether some come after these', async (c) => {
    const { sandboxID } = await life(c)
    for (const [limit, hasMore] of [[2, true], [5, false]]) {
      const found = await find(c, { sandboxID, limit })
      assert.deepEqual([found.total, found.hasMore], [5, hasMore])
    }
  })
  row.answer(['items', 'items.eventID'], 'each its own', async (c) => {
    const { items } = await find(c, { sandboxID: (await life(c)).sandboxID })
    assert.equal(new Set(items.map((one) => one.eventID)).size, 5)
    assert.equal(typeof items[0].eventID, 'string')
  })
  row.answer(['items.recordAt', 'items.sandboxID', 'items.templateID', 'items.templateName'], 'when (Unix time), and whose', async (c) => {
    const { s, sandboxID } = await life(c)
    for (const one of (await find(c, { sandboxID })).items) {
      assert.ok(Number.isInteger(one.recordAt) && Math.abs(one.recordAt - now()) < 60)
      assert.deepEqual([one.sandboxID, one.templateID, one.templateName], [sandboxID, s.created.templateID, 'base'])
    }
  })
  row.answer('items.eventName', '`create`, `pause`, `resume`, `connect`, `timeout`, `delete`', async (c) => {
    assert.deepEqual(await names(c, { sandboxID: (await life(c)).sandboxID }), kLife)
    const s = await c.open({ timeout: 1 })
    await eventually('it is gone', () => c.isGone(s))
    assert.deepEqual(await names(c, { sandboxID: s.id }), ['delete', 'timeout', 'create'])
  })
  row.answer(['items.state', 'items.statusCode', 'items.errorMsg'], '`success`, the status of the answer, no words; `failed`, 500 and a reason when its daemon died', async (c) => {
    const { items } = await find(c, { sandboxID: (await life(c)).sandboxID })
    assert.deepEqual(items.map((one) => [one.state, one.errorMsg]), Array(5).fill(['success', '']))
    assert.equal(items.at(-1).statusCode, 201)
    // Its daemon dies: it ends, and nobody asked for that.
    const s = await c.open()
    await control('POST', `sandboxes/${s.id}/faults`, { type: 'kill_daemon' })
    await eventually('it is gone', () => c.isGone(s))
    const failed = (await find(c, { sandboxID: s.id, state: 'failed' })).items
    assert.deepEqual(failed.map((one) => [one.eventName, one.statusCode]), [['delete', 500]])
    assert.ok(failed[0].errorMsg)
  })
  for (const [query, message] of [
    ['limit=0', parameter('limit', 'number must be at least 1')], ['limit=101', parameter('limit', 'number must be at most 100')],
    ['offset=-1', parameter('offset', 'number must be at least 0')], ['orderAsc=yes', parameter('orderAsc', 'value must be a boolean')],
    ['startTime=now', parameter('startTime', 'value must be an integer')], ['startTime=5&endTime=4', "'endTime' must be after 'startTime'"],
    ['startTime=0', 'the time range must not exceed 60 days'],
  ]) row.error(400, `\`${query}\``, message, (c) => c.call('GET', `/sandboxes/events?${query}`))
})

// Both logs of a sandbox that was made and paused.
const logged = (c) => (c.logged ??= (async () => {
  const s = await c.open()
  await c.pause(s)
  return s
})())
const kLines = ['Sandbox created', 'Sandbox paused']
const kOwnLines = { differs: "what happened to the sandbox; the cloud's collector has lines of its daemon as well" }

endpoint('GET /sandboxes/{sandboxID}/logs', 'its log', {}, (row) => {
  const logs = async (c, query = '') => (await c.done(200, 'GET', `/sandboxes/${(await logged(c)).id}/logs${query}`)).json
  row.call('200: oldest first; of a killed one, too', async (c) => {
    assert.deepEqual((await logs(c)).logEntries.map((one) => one.message), kLines)
    const s = await c.open()
    await c.done(204, 'DELETE', `/sandboxes/${s.id}`)
    assert.equal((await c.done(200, 'GET', `/sandboxes/${s.id}/logs`)).json.logEntries.at(-1).message, 'Sandbox killed')
  }, kOwnLines)
  row.query('start', 'lines of that millisecond and later (Unix time)', async (c) => {
    const { logEntries: [, second] } = await logs(c)
    assert.deepEqual((await logs(c, `?start=${Math.floor(Date.parse(second.timestamp))}`)).logEntries.at(-1), second)
    assert.deepEqual((await logs(c, `?start=${Date.now() + 60_000}`)).logEntries, [])
  })
  row.query('limit', 'the first so many; 1000 when absent', async (c) => assert.deepEqual((await logs(c, '?limit=1')).logEntries.map((one) => one.message), kLines.slice(0, 1)))
  row.answer(['logs', 'logs.timestamp', 'logs.line'], 'the older form: each line is the whole entry, as JSON', async (c) => {
    const { logs: lines, logEntries } = await logs(c)
    assert.deepEqual(lines.map((one) => JSON.parse(one.line)), logEntries)
    assert.deepEqual(lines.map((one) => one.timestamp), logEntries.map((one) => one.timestamp))
  })
  row.answer(['logEntries', 'logEntries.timestamp', 'logEntries.level', 'logEntries.message', 'logEntries.fields'], 'when, how grave (`debug`, `info`, `warn`, `error`), what, and more about it as texts', async (c) => {
    for (const one of (await logs(c)).logEntries) {
      assert.match(one.timestamp, kTime)
      assert.equal(one.level, 'info')
      assert.ok(one.message && Object.values(one.fields).every((value) => typeof value === 'string'))
    }
  }, { open: true })
  row.error(400, '`start=now`', parameter('start', 'value must be an integer'), async (c) => c.call('GET', `/sandboxes/${(await logged(c)).id}/logs?start=now`))
  row.error(400, '`limit=1001`', parameter('limit', 'number must be at most 1000'), async (c) => c.call('GET', `/sandboxes/${(await logged(c)).id}/logs?limit=1001`))
  aboutOne(row, (c, id) => c.call('GET', `/sandboxes/${id}/logs`))
})

endpoint('GET /v2/sandboxes/{sandboxID}/logs', 'its log, newer form', {}, (row) => {
  const logs = async (c, query = '') => (await c.done(200, 'GET', `/v2/sandboxes/${(await logged(c)).id}/logs${query}`)).json.logs
  const messages = async (c, query) => (await logs(c, query)).map((one) => one.message)
  row.call('200', async (c) => assert.equal((await logs(c)).length, 2), kOwnLines)
  row.query('direction', '`forward`: oldest first; `backward` and absent: newest first', async (c) => {
    assert.deepEqual(await messages(c, '?direction=forward'), kLines)
    for (const query of ['?direction=backward', '']) assert.deepEqual(await messages(c, query), kLines.toReversed())
  })
  row.query('cursor', 'from that millisecond on (Unix time), in that direction', async (c) => {
    const at = Date.parse((await logs(c, '?direction=forward'))[0].timestamp)
    assert.equal((await messages(c, `?cursor=${at}&direction=backward`)).at(-1), kLines[0])
    assert.deepEqual(await messages(c, `?cursor=${Date.now() + 60_000}&direction=forward`), [])
    assert.deepEqual(await messages(c, `?cursor=${at - 60_000}`), [])
  })
  row.query('limit', 'the first so many; 1000 when absent', async (c) => assert.deepEqual(await messages(c, '?limit=1'), kLines.slice(1)))
  row.query('level', 'that grave at least', async (c) => {
    assert.equal((await messages(c, '?level=info')).length, 2)
    assert.deepEqual(await messages(c, '?level=warn'), [])
  })
  row.query('search', 'those whose message has this text', async (c) => assert.deepEqual(await messages(c, '?search=paus'), ['Sandbox paused']))
  row.answer(['logs', 'logs.timestamp', 'logs.level', 'logs.message', 'logs.fields'], 'the entries of `GET /sandboxes/{sandboxID}/logs`', async (c) => {
    const older = (await c.done(200, 'GET', `/sandboxes/${(await logged(c)).id}/logs`)).json
    assert.deepEqual(await logs(c, '?direction=forward'), older.logEntries)
  }, { open: true })
  for (const [query, message] of [
    ['limit=1001', parameter('limit', 'number must be at most 1000')], ['direction=up', parameter('direction', 'value is not one of the allowed values ["forward","backward"]')],
    ['level=loud', parameter('level', 'value is not one of the allowed values ["debug","info","warn","error"]')], ['cursor=now', parameter('cursor', 'value must be an integer')],
    [`search=${'x'.repeat(257)}`, parameter('search', 'maximum length is 256')],
  ]) row.error(400, `\`${query.replace(/x+$/, 'xxx…')}\`${query.includes('xxx') ? ', 257 long' : ''}`, message, async (c) => c.call('GET', `/v2/sandboxes/${(await logged(c)).id}/logs?${query}`))
  aboutOne(row, (c, id) => c.call('GET', `/v2/sandboxes/${id}/logs`))
})
