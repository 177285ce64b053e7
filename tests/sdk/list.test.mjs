// Listing: filters, order, paging. Every test finds its own sandboxes by metadata, so neighbours do not disturb it.
import assert from 'node:assert/strict'
import { eachSdk, it } from './support/sdks.mjs'
import { everyItem, open, ownMetadata } from './support/sandbox.mjs'

const ids = (items) => items.map((item) => item.sandboxId)

eachSdk('list', (sdk) => {
  const { Sandbox } = sdk
  const list = (options) => everyItem(Sandbox.list(options))

  it('holds what getInfo holds', async (t) => {
    const metadata = ownMetadata()
    const sandbox = await open(t, sdk, { metadata })
    const [item] = await list({ query: { metadata } })
    const info = await sandbox.getInfo()
    for (const key of ['sandboxId', 'templateId', 'state', 'cpuCount', 'memoryMB', 'envdVersion', 'metadata']) {
      assert.deepEqual(item[key], info[key], key)
    }
    assert.equal(item.startedAt.getTime(), info.startedAt.getTime())
    assert.equal(item.endAt.getTime(), info.endAt.getTime())
  })

  const odd = [
    ['a space and an ampersand', { 'my key': 'v&1' }],
    ['a percent sign', { '100%': '%41%2525' }],
    ['plus and equals', { 'a+b=c': '1+1=2' }],
    ['other alphabets', { ключ: '値 ü 🙂' }],
    ['slashes, quotes, brackets', { '/path?x#y': '"\'[]{};,\\' }],
    ['an empty value', { nothing: '' }],
  ]
  for (const [what, pairs] of odd) {
    it(`finds metadata with ${what}`, async (t) => {
      const mark = ownMetadata()
      const wanted = await open(t, sdk, { metadata: { ...mark, ...pairs } })
      await open(t, sdk, { metadata: { ...mark, other: 'x' } })
      assert.deepEqual(ids(await list({ query: { metadata: { ...mark, ...pairs } } })), [wanted.sandboxId])
      const [key] = Object.keys(pairs)
      assert.deepEqual(await list({ query: { metadata: { ...mark, [key]: 'something else' } } }), [])
    })
  }

  it('every pair of the filter must match', async (t) => {
    const mark = ownMetadata()
    const both = await open(t, sdk, { metadata: { ...mark, a: '1', b: '2' } })
    await open(t, sdk, { metadata: { ...mark, a: '1' } })
    assert.deepEqual(ids(await list({ query: { metadata: { ...mark, a: '1', b: '2' } } })), [both.sandboxId])
    assert.equal((await list({ query: { metadata: mark } })).length, 2)
  })

  it('filters by state', async (t) => {
    const metadata = ownMetadata()
    const [running, paused] = [await open(t, sdk, { metadata }), await open(t, sdk, { metadata })]
    await paused.pause()
    assert.deepEqual(ids(await list({ query: { metadata, state: ['running'] } })), [running.sandboxId])
    assert.deepEqual(ids(await list({ query: { metadata, state: ['paused'] } })), [paused.sandboxId])
    const all = new Set([running.sandboxId, paused.sandboxId])
    assert.deepEqual(new Set(ids(await list({ query: { metadata, state: ['running', 'paused'] } }))), all)
    assert.deepEqual(new Set(ids(await list({ query: { metadata } }))), all)
  })

  it('pages of one over three, newest first', async (t) => {
    const metadata = ownMetadata()
    const created = []
    for (let i = 0; i < 3; ++i) created.unshift((await open(t, sdk, { metadata })).sandboxId)
    const paginator = Sandbox.list({ query: { metadata }, limit: 1 })
    const seen = []
    for (let page = 0; page < 3; ++page) {
      assert.equal(paginator.hasNext, true)
      const items = await paginator.nextItems()
      assert.equal(items.length, 1)
      seen.push(items[0].sandboxId)
    }
    assert.deepEqual(seen, created)
    assert.equal(paginator.hasNext, false)
    await assert.rejects(() => paginator.nextItems())
  })

  it('a page token starts a new paginator where the old one stopped', async (t) => {
    const metadata = ownMetadata()
    const created = []
    for (let i = 0; i < 3; ++i) created.unshift((await open(t, sdk, { metadata })).sandboxId)
    const first = Sandbox.list({ query: { metadata }, limit: 2 })
    assert.deepEqual(ids(await first.nextItems()), created.slice(0, 2))
    assert.ok(first.nextToken)
    const second = Sandbox.list({ query: { metadata }, limit: 2, nextToken: first.nextToken })
    assert.deepEqual(ids(await second.nextItems()), created.slice(2))
    assert.equal(second.hasNext, false)
  })

  it('one that was resumed is the newest, and nobody is on two pages', async (t) => {
    const metadata = ownMetadata()
    const [oldest, middle, newest] = [await open(t, sdk, { metadata }), await open(t, sdk, { metadata }), await open(t, sdk, { metadata })]
    await oldest.pause()
    const pages = Sandbox.list({ query: { metadata }, limit: 1 })
    const seen = await pages.nextItems()
    await oldest.connect()
    while (pages.hasNext) seen.push(...await pages.nextItems())
    assert.deepEqual(ids(seen), [newest, middle].map((one) => one.sandboxId))
    const all = await everyItem(Sandbox.list({ query: { metadata }, limit: 1 }))
    assert.deepEqual(ids(all), [oldest, newest, middle].map((one) => one.sandboxId))
  })

  it('an empty result is one empty page', async () => {
    const paginator = Sandbox.list({ query: { metadata: ownMetadata() } })
    assert.deepEqual(await paginator.nextItems(), [])
    assert.equal(paginator.hasNext, false)
  })
})

eachSdk('list, the newer filters', (sdk) => {
  const { Sandbox } = sdk

  it('orders upwards', async (t) => {
    const metadata = ownMetadata()
    const created = []
    for (let i = 0; i < 3; ++i) created.push((await open(t, sdk, { metadata })).sandboxId)
    assert.deepEqual(ids(await everyItem(Sandbox.list({ query: { metadata }, order: 'asc', limit: 2 }))), created)
    assert.deepEqual(ids(await everyItem(Sandbox.list({ query: { metadata }, order: 'desc' }))), created.toReversed())
  })

  it('startedAfter includes the instant itself', async (t) => {
    const metadata = ownMetadata()
    await open(t, sdk, { metadata })
    const second = await open(t, sdk, { metadata })
    const { startedAt } = await second.getInfo()
    assert.deepEqual(ids(await everyItem(Sandbox.list({ query: { metadata, startedAfter: startedAt } }))), [second.sandboxId])
  })

  it('filters by template', async (t) => {
    const metadata = ownMetadata()
    const sandbox = await open(t, sdk, 'base', { metadata })
    const { templateId } = await sandbox.getInfo()
    assert.deepEqual(ids(await everyItem(Sandbox.list({ query: { metadata, template: templateId } }))), [sandbox.sandboxId])
    assert.deepEqual(await everyItem(Sandbox.list({ query: { metadata, template: 'no-such-template' } })), [])
  })
}, { only: 'e2b' })
