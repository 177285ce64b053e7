// Snapshots, clones, forks and resets: what is in a copy, that the source goes on, and who may delete what.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { isFake } from './support/network.mjs'
import { domain, eachSdk, it } from './support/sdks.mjs'
import { background, eventually, everyItem, failure, get, killAfter, open, ownMetadata, run, url } from './support/sandbox.mjs'

// The control plane without an SDK: for what no SDK sends, and for headers.
async function api(method, path, body) {
  const answer = await fetch(`http://${domain}${path}`, {
    method, headers: { connection: 'close', 'Content-Type': 'application/json' }, body: body === undefined ? undefined : JSON.stringify(body),
  })
  const text = await answer.text()
  return { status: answer.status, headers: answer.headers, json: text ? JSON.parse(text) : undefined }
}

const sh = async (sandbox, command, options) => (await sandbox.commands.run(command, options)).stdout.trim()

eachSdk('snapshots', (sdk) => {
  const { Sandbox, SandboxError } = sdk

  // Sandboxes of it die before it does: hooks run in the order in which they were made.
  async function snapshotOf(t, sandbox, ...options) {
    const snapshot = await sandbox.createSnapshot(...options)
    t.after(async () => {
      const mine = (await everyItem(Sandbox.list())).filter((item) => `${item.templateId}:default` === snapshot.snapshotId)
      await Promise.all(mine.map((item) => Sandbox.kill(item.sandboxId)))
      await Sandbox.deleteSnapshot(snapshot.snapshotId).catch(() => {})
    })
    return snapshot.snapshotId
  }

  it('everything about the files is in it', async (t) => {
    const source = await open(t, sdk)
    await source.commands.run(
      [
        'cd /home/user && umask 022',
        'echo plain > plain && chmod 640 plain && chown user:user plain && touch -d 2020-02-02T02:02:02Z plain',
        'cp /bin/true suid && chmod 4755 suid',
        'ln plain hard && ln -s plain soft && mkfifo fifo && mkdir -m 1777 sticky',
        'truncate -s 1G sparse && echo end >> sparse',
        'rm /etc/issue && rm -r /etc/skel && mkdir /etc/skel && echo new > /etc/skel/only',
        'mv /usr/share/doc /usr/share/moved && echo mine > /usr/bin/mine && rm /usr/bin/env',
        "setfattr -n user.note -v kept plain 2>/dev/null || python3 -c \"import os; os.setxattr('plain', 'user.note', b'kept')\"",
      ].join(' && '),
      { user: 'root' },
    )
    const look = [
      'cd /home/user && stat -c "%n %a %u %g %h %F" plain suid hard soft fifo sticky sparse && stat -c %Y plain && cat hard && readlink soft',
      'du -k sparse | cut -f1 && tail -c 4 sparse && ls /etc/skel && cat /etc/skel/only /usr/bin/mine',
      'ls /etc/issue /usr/bin/env /usr/share/doc 2>&1 | wc -l && ls /usr/share/moved | wc -l',
      "python3 -c \"import os; print(os.getxattr('plain', 'user.note'))\"",
    ].join(' && ')
    const before = await sh(source, look, { user: 'root' })
    const id = await snapshotOf(t, source)
    const copy = await open(t, sdk, id)
    assert.equal(await sh(copy, look, { user: 'root' }), before)
    assert.match(before, /suid 4755 0 0/)
    // The copy is its own: neither sees what the other does.
    await copy.files.write('/home/user/plain', 'changed')
    await source.files.write('/home/user/late', 'x')
    assert.equal(await source.files.read('/home/user/plain'), 'plain\n')
    assert.equal(await copy.files.exists('/home/user/late'), false)
    assert.equal(`${(await copy.getInfo()).templateId}:default`, id)
  })

  it('what runs in the source goes on, and its streams are not cut', async (t) => {
    const source = await open(t, sdk)
    const lines = []
    const process = await source.commands.run('for i in $(seq 100); do echo $i; sleep 0.02; done', {
      background: true, onStdout: (text) => lines.push(text), timeoutMs: 0,
    })
    await source.commands.run('dd if=/dev/urandom of=/home/user/large bs=1M count=64 2>/dev/null')
    for (let round = 0; round < 3; round++) await snapshotOf(t, source)
    assert.equal((await process.wait()).exitCode, 0)
    assert.equal(lines.join(''), [...Array(100).keys()].map((i) => `${i + 1}\n`).join(''))
    assert.equal((await source.getInfo()).state, 'running')
  })

  it('a snapshot of a sandbox of a snapshot has both, and needs the first one no more', async (t) => {
    const first = await open(t, sdk)
    await first.commands.run('echo 1 > /home/user/one; echo 1 > /home/user/both', { user: 'root' })
    const one = await first.createSnapshot()
    const second = await open(t, sdk, one.snapshotId)
    await second.commands.run('echo 2 > /home/user/two; echo 2 > /home/user/both; rm /home/user/one; touch /usr/local/two', { user: 'root' })
    const two = await snapshotOf(t, second)
    await failure(() => Sandbox.deleteSnapshot(one.snapshotId), SandboxError, /^400: cannot delete template .* because there are running sandboxes using it/)
    await second.kill()
    assert.equal(await Sandbox.deleteSnapshot(one.snapshotId), true)
    assert.equal(await Sandbox.deleteSnapshot(one.snapshotId), false)
    await failure(() => Sandbox.create(one.snapshotId), SandboxError, /^404: /)
    const third = await open(t, sdk, two)
    assert.equal(await sh(third, 'cat /home/user/both /home/user/two; ls /home/user/one /usr/local/two 2>/dev/null || true'), '2\n2\n/usr/local/two')
  })

  it('a paused source stays paused, and a paused user of a snapshot keeps it', async (t) => {
    const source = await open(t, sdk)
    const process = await background(source, 'sleep 600')
    await source.files.write('/home/user/file', 'before')
    await source.pause()
    const id = await snapshotOf(t, source)
    assert.equal((await source.getInfo()).state, 'paused')
    const copy = await open(t, sdk, id)
    assert.equal(await copy.files.read('/home/user/file'), 'before')
    assert.deepEqual(await copy.commands.list(), [])
    await copy.pause()
    await failure(() => Sandbox.deleteSnapshot(id), SandboxError, /^400: cannot delete template .* because there are paused sandboxes using it/)
    await source.connect()
    assert.equal((await source.commands.list())[0].pid, process.pid)
  })

  it('the list has pages, and those of one sandbox', async (t) => {
    const source = await open(t, sdk)
    const ids = []
    for (let i = 0; i < 5; i++) ids.unshift(await snapshotOf(t, source))
    const listed = async (options) => (await everyItem(Sandbox.listSnapshots(options))).map((item) => item.snapshotId)
    assert.deepEqual(await listed({ sandboxId: source.sandboxId }), ids)
    assert.deepEqual(await listed({ sandboxId: source.sandboxId, limit: 2 }), ids)
    assert.deepEqual(await listed({ sandboxId: 'nobody' }), [])
    assert.ok((await listed({ limit: 100 })).length >= 5)
    const pages = Sandbox.listSnapshots({ sandboxId: source.sandboxId, limit: 2 })
    assert.equal((await pages.nextItems()).length, 2)
    assert.equal(pages.hasNext, true)
  })

  it('nobody by that name', async () => {
    assert.equal(await Sandbox.deleteSnapshot('nosuch:default'), false)
    assert.equal(await Sandbox.deleteSnapshot('../../etc'), false)
    await failure(() => Sandbox.createSnapshot('inosuchsandbox'), sdk.SandboxNotFoundError)
  })
})

eachSdk('snapshots with names', (sdk) => {
  const { Sandbox, SandboxError } = sdk

  it('a name, with or without a tag, is a template', async (t) => {
    const name = `snap-${randomUUID()}`
    const source = await open(t, sdk)
    const made = []
    t.after(() => Promise.all(made.map((id) => Sandbox.deleteSnapshot(id))))
    for (const [reference, text] of [[name, 'first'], [`${name}:v2`, 'second'], [name, 'third']]) {
      await source.files.write('/home/user/file', text)
      const snapshot = await source.createSnapshot({ name: reference })
      made.push(snapshot.snapshotId)
      assert.equal(snapshot.snapshotId, reference.includes(':') ? reference : `${name}:default`)
      assert.deepEqual(snapshot.names, [snapshot.snapshotId])
    }
    // The name has moved on from the first one.
    const texts = []
    for (const reference of [name, `${name}:default`, `${name}:v2`, `team/${name}`]) {
      const copy = await Sandbox.create(reference)
      texts.push(await copy.files.read('/home/user/file'))
      assert.equal((await copy.getInfo()).name, name)
      await copy.kill()
    }
    assert.deepEqual(texts, ['third', 'third', 'second', 'third'])
    const listed = async (query) => (await everyItem(Sandbox.listSnapshots({ name: query }))).length
    assert.deepEqual([await listed(name), await listed(`${name}:v2`), await listed(`team/${name}`), await listed(`${name}:v3`)], [2, 1, 2, 0])
    await failure(() => Sandbox.create(`${name}:v3`), SandboxError, /^404: /)
  })

  for (const name of ['base', 'a b', 'x:y:z', '../etc', 'é', 'x'.repeat(200), ':v1']) {
    it(`the name ${JSON.stringify(name.slice(0, 20))} is refused, and nothing is left`, async (t) => {
      const source = await open(t, sdk)
      await failure(() => source.createSnapshot({ name }), SandboxError, name === 'base' ? /^409: / : /^400: /)
      assert.deepEqual(await everyItem(source.listSnapshots()), [])
    })
  }
}, { only: 'e2b' })

eachSdk('deep stacks', (sdk) => {
  const { Sandbox } = sdk

  it('forty generations of snapshots of snapshots, each with what those before it did', async (t) => {
    const generations = 40
    const ids = []
    t.after(async () => {
      for (const id of ids) await Sandbox.deleteSnapshot(id)
    })
    let sandbox = await Sandbox.create({ timeoutMs: 300_000 })
    const seen = []
    for (let n = 0; n < generations; n++) {
      // A file that stays, one that the next but one removes, a directory that is replaced and one that moves.
      await sandbox.commands.run(
        [
          `cd /home/user && echo ${n} > file-${n} && echo ${n} > brief-${n} && rm -f brief-${n - 2}`,
          `mkdir -p moving-${n} && touch moving-${n}/a && if [ -d moving-${n - 1} ]; then rmdir moving-${n} 2>&- || rm -r moving-${n}; mv moving-${n - 1} moving-${n}; fi`,
          `echo ${n} > moving-${n}/from-${n} && rm -rf again && mkdir again && echo ${n} > again/only-${n}`,
          `mv /usr/share/doc-${n - 1} /usr/share/doc-${n} 2>&- || mv /usr/share/doc /usr/share/doc-${n}`,
          n % 10 === 5 ? 'rm /usr/bin/env' : n % 10 === 6 ? 'cp /bin/true /usr/bin/env' : 'true',
        ].join(' && '),
        { user: 'root' },
      )
      const look = `cd /home/user && ls -R . && cat file-* again/* && ls /usr/share/doc-${n} | wc -l && ls /usr/bin/env 2>&1`
      seen.push({ look, shows: (await run(sandbox, look)).stdout })
      const { snapshotId } = await sandbox.createSnapshot()
      ids.push(snapshotId)
      await sandbox.kill()
      sandbox = await Sandbox.create(snapshotId, { timeoutMs: 300_000 })
    }
    assert.equal((await run(sandbox, seen.at(-1).look)).stdout, seen.at(-1).shows)
    assert.match(seen.at(-1).shows, /file-0\n/)
    assert.match(seen.at(-1).shows, /from-0\n/)
    assert.doesNotMatch(seen.at(-1).shows, /only-38|brief-37/)
    await sandbox.kill()
    // Those on which others were built show what they showed, and go in any order.
    for (const n of [0, 14, 15, 16, 17, 31, 32, 33]) {
      const copy = await Sandbox.create(ids[n])
      assert.equal((await run(copy, seen[n].look)).stdout, seen[n].shows, `generation ${n}`)
      await copy.kill()
    }
    await Promise.all(ids.splice(0, generations - 1).map((id) => Sandbox.deleteSnapshot(id)))
    const last = await Sandbox.create(ids[0])
    assert.equal((await run(last, seen.at(-1).look)).stdout, seen.at(-1).shows)
    await last.kill()
  })
}, { only: 'novita' })

eachSdk('clone', (sdk) => {
  const { Sandbox, SandboxError, SandboxNotFoundError } = sdk

  it('clones have the files, the environment, the metadata and the rest of the life', async (t) => {
    const metadata = ownMetadata()
    const source = await open(t, sdk, { metadata, envs: { KEPT: 'yes' }, timeoutMs: 100_000, network: { allowPublicTraffic: false } })
    await source.files.write('/home/user/file', 'there')
    await background(source, 'sleep 600')
    const { sandboxes, snapshotTemplateId } = await Sandbox.clone(source.sandboxId, { count: 2 })
    sandboxes.forEach((copy) => killAfter(t, sdk, copy.sandboxId))
    assert.equal(new Set([source, ...sandboxes].map((one) => one.sandboxId)).size, 3)
    for (const copy of sandboxes) {
      assert.equal(await copy.files.read('/home/user/file'), 'there')
      assert.equal(await sh(copy, 'echo $KEPT'), 'yes')
      const info = await copy.getInfo()
      assert.deepEqual(info.metadata, metadata)
      assert.ok(Math.abs(info.endAt - (await source.getInfo()).endAt) < 5000)
      assert.equal((await get(url(copy, 3000))).status, 403)
      assert.ok(copy.trafficAccessToken && copy.trafficAccessToken !== source.trafficAccessToken)
    }
    assert.equal((await source.commands.list()).length, 1)
    // As long as a clone lives, more can be made of what it was made of; nobody lists it.
    const more = await open(t, sdk, snapshotTemplateId)
    assert.equal(await more.files.read('/home/user/file'), 'there')
    assert.deepEqual(await everyItem(source.listSnapshots()), [])
    await Promise.all([...sandboxes, more].map((copy) => copy.kill()))
    await eventually('it is gone', async () => {
      try {
        await (await Sandbox.create(snapshotTemplateId)).kill()
        return false
      } catch (error) {
        return error.message.startsWith('404')
      }
    })
  })

  it('a copy has the memory that was plugged into its source, running or paused; a reset takes it away', async (t) => {
    const source = await open(t, sdk)
    const { memoryMB } = await source.getInfo()
    await source.resize({ memoryMiB: 1024 })
    const fits = `python3 -c "b = bytearray(${memoryMB + 400} << 20); print('fits')"`
    const check = async (copy) => {
      assert.equal((await copy.getInfo()).memoryMB, memoryMB + 1024)
      assert.equal(await sh(copy, fits), 'fits')
      await copy.kill()
    }
    const clone = async () => (await Sandbox.clone(source.sandboxId)).sandboxes[0]
    await check(await clone())
    const [{ sandbox: fork }] = (await api('POST', `/sandboxes/${source.sandboxId}/fork`, { timeout: 60 })).json
    await check(await Sandbox.connect(fork.sandboxID))
    await source.pause()
    await check(await clone())
    const { snapshotId } = await source.createSnapshot()
    await check(await Sandbox.create(snapshotId))
    assert.equal(await Sandbox.deleteSnapshot(snapshotId), true)
    assert.equal(await source.reset(), true)
    assert.equal((await source.getInfo()).memoryMB, memoryMB)
  })

  it('a clone of a clone, and of a paused one, which stays so', async (t) => {
    const source = await open(t, sdk)
    await source.files.write('/home/user/a', 'a')
    const [one] = (await Sandbox.clone(source.sandboxId, { timeoutMs: 60_000 })).sandboxes
    killAfter(t, sdk, one.sandboxId)
    await one.files.write('/home/user/b', 'b')
    await one.pause()
    const [two] = (await Sandbox.clone(one.sandboxId)).sandboxes
    killAfter(t, sdk, two.sandboxId)
    assert.equal((await one.getInfo()).state, 'paused')
    await one.kill()
    assert.equal(await sh(two, 'cd /home/user; cat a b'), 'ab')
    assert.ok(Math.abs((await two.getInfo()).endAt - Date.now() - 300_000) < 5000)
  })

  it('what cannot be is refused', async (t) => {
    const source = await open(t, sdk)
    await failure(() => Sandbox.clone('inosuchsandbox'), SandboxNotFoundError)
    await failure(() => Sandbox.clone(source.sandboxId, { count: 0 }), SandboxError, /^400: .*at least 1/)
    await failure(() => Sandbox.clone(source.sandboxId, { count: 101 }), SandboxError, /^400: .*at most 100/)
    const id = source.sandboxId
    for (const [path, body] of [['clone', { count: 'x' }], ['clone', { strict: 1 }], ['clone', { count: 1.5 }], ['clone', []], ['clone', { timeout: -1 }],
      ['fork', { count: 0 }], ['snapshots', { name: 5 }], ['reset', { resume: 'yes' }], ['commit', { alias: {} }]]) {
      const answer = await api('POST', `/sandboxes/${id}/${path}`, body)
      assert.deepEqual([answer.status, answer.json.code], [400, 400], `${path} ${JSON.stringify(body)}`)
    }
    assert.equal((await api('GET', '/snapshots?limit=x')).status, 400)
    assert.equal((await api('GET', '/snapshots?nextToken=x')).status, 400)
    assert.equal((await api('DELETE', '/templates/base')).status, 501)
    assert.equal((await source.getInfo()).state, 'running')
  })

  it('the answers say that memory is not in a copy, and a commit is a snapshot', async (t) => {
    const source = await open(t, sdk)
    const alias = `commit-${randomUUID()}`
    const committed = await api('POST', `/sandboxes/${source.sandboxId}/commit`, { alias })
    assert.equal(committed.status, 201)
    assert.equal(committed.headers.get('x-sandlot-contents'), 'filesystem')
    assert.deepEqual([committed.json.names, committed.json.templateType], [[`${alias}:default`], 'snapshot_template'])
    const listed = await sdk.Template.list({ templateType: 'snapshot_template' }).nextPage()
    assert.ok(listed.templates.some((item) => item.templateId === committed.json.templateID))
    assert.equal(await sdk.Template.exists(alias), true)
    assert.equal(await Sandbox.deleteSnapshot(alias), true)
    assert.equal(await sdk.Template.exists(alias), false)
    const clone = await api('POST', `/sandboxes/${source.sandboxId}/clone`, { nodeID: 'any' })
    assert.deepEqual([clone.status, clone.headers.get('x-sandlot-contents')], [201, 'filesystem'])
    assert.equal(clone.json.sandboxes[0].clientID, '')
    await Sandbox.kill(clone.json.sandboxes[0].sandboxID)
  })
}, { only: 'novita' })

eachSdk('fork', (sdk) => {
  const { Sandbox } = sdk

  it('a fork of a paused sandbox is refused; a fork lives 15 seconds when nothing is said', async (t) => {
    const source = await open(t, sdk)
    const forked = await api('POST', `/sandboxes/${source.sandboxId}/fork`)
    assert.equal(forked.status, 201)
    const { sandbox } = forked.json[0]
    assert.ok(Math.abs((await Sandbox.getInfo(sandbox.sandboxID)).endAt - Date.now() - 15_000) < 4000)
    await Sandbox.kill(sandbox.sandboxID)
    await source.pause()
    const refused = await api('POST', `/sandboxes/${source.sandboxId}/fork`, {})
    assert.deepEqual([refused.status, refused.json.code], [409, 409])
  })
}, { only: 'e2b' })

eachSdk('what the template starts', (sdk) => {
  const { Sandbox } = sdk

  it('starts again in every copy, after a reset, and without memory', async (t) => {
    const source = await open(t, sdk, 'httpbin')
    const serves = async (sandbox) => (await get(url(sandbox, 8080, '/status/200'))).status
    assert.equal(await serves(source), 200)
    await source.files.write('/home/user/file', 'x')
    const { snapshotId } = await source.createSnapshot()
    t.after(() => Sandbox.deleteSnapshot(snapshotId))
    const made = await Sandbox.create(snapshotId)
    assert.deepEqual([await serves(made), await made.files.read('/home/user/file')], [200, 'x'])
    const calls = [api('POST', `/sandboxes/${made.sandboxId}/clone`), api('POST', `/sandboxes/${made.sandboxId}/fork`)]
    const [cloned, forked] = await Promise.all(calls)
    for (const { sandboxID } of [cloned.json.sandboxes[0], forked.json[0].sandbox]) {
      const copy = await Sandbox.connect(sandboxID)
      assert.equal(await serves(copy), 200)
      await api('POST', `/sandboxes/${sandboxID}/pause`, { memory: false })
      assert.equal(await serves(copy), 502)
      await copy.connect()
      assert.equal(await serves(copy), 200)
      await copy.kill()
    }
    assert.equal((await api('POST', `/sandboxes/${made.sandboxId}/reset`)).status, 200)
    assert.equal(await serves(made), 200)
    await made.kill()
  })
})

eachSdk('reset', (sdk) => {
  const { Sandbox, SandboxError, SandboxNotFoundError } = sdk

  it('the files are those of the template again; id, token and environment stay', async (t) => {
    const sandbox = await open(t, sdk, { envs: { KEPT: 'yes' }, network: { denyOut: ['8.8.8.8/32'] } })
    const address = await sandbox.downloadUrl('/etc/hostname')
    await sandbox.commands.run('rm /usr/bin/env; echo x > /home/user/file', { user: 'root' })
    await background(sandbox, 'sleep 600')
    const { endAt } = await sandbox.getInfo()
    assert.equal(await sandbox.reset(), true)
    assert.equal(await sh(sandbox, 'ls /usr/bin/env; ls /home/user/file 2>/dev/null | wc -l; echo $KEPT $E2B_SANDBOX_ID'), `/usr/bin/env\n0\nyes ${sandbox.sandboxId}`)
    assert.deepEqual(await sandbox.commands.list(), [])
    assert.equal((await get(address)).status, 200)
    const info = await sandbox.getInfo()
    assert.deepEqual([info.state, info.endAt.getTime(), info.network.denyOut], ['running', endAt.getTime(), ['8.8.8.8/32']])
  })

  it('a snapshot is the template of what was made of it', async (t) => {
    const source = await open(t, sdk)
    await source.files.write('/home/user/file', 'snapshot')
    const { snapshotId } = await source.createSnapshot()
    const sandbox = await Sandbox.create(snapshotId)
    await sandbox.files.write('/home/user/file', 'changed')
    assert.equal(await sandbox.reset({ resume: false, timeoutMs: 50_000 }), true)
    const info = await sandbox.getInfo()
    assert.equal(info.state, 'paused')
    assert.equal(await sandbox.isRunning(), false)
    await sandbox.connect()
    assert.equal(await sandbox.files.read('/home/user/file'), 'snapshot')
    // A paused one is reset, too, and runs then.
    await sandbox.files.write('/home/user/file', 'changed')
    await sandbox.pause()
    assert.equal(await sandbox.reset({ network: { allowPublicTraffic: false } }), true)
    assert.equal((await sandbox.getInfo()).state, 'running')
    assert.equal(await sandbox.files.read('/home/user/file'), 'snapshot')
    assert.equal((await get(url(sandbox, 3000))).status, 403)
    assert.equal(await sandbox.pause(), true)
    assert.equal(await sandbox.reset({ resume: false }), true)
    await sandbox.kill()
    assert.equal(await Sandbox.deleteSnapshot(snapshotId), true)
  })

  if (isFake) it('with other header rules its requests get those, and no longer the earlier ones', async (t) => {
    const sandbox = await open(t, sdk, { network: { denyOut: ['9.9.9.9/32'] } })
    const token = async (host) => JSON.parse(await sh(sandbox, `curl -sS -m 10 https://${host}/headers`)).headers['X-Token']
    const rules = (host, value) => ({ [host]: [{ transform: { headers: { 'X-Token': value } } }] })
    assert.equal(await sandbox.reset({ network: { rules: rules('api.example.com', 'one') } }), true)
    assert.deepEqual(await token('api.example.com'), ['one'])
    assert.equal(await sandbox.reset(), true)
    assert.deepEqual(await token('api.example.com'), ['one'], 'a reset that does not name them keeps them')
    assert.equal(await sandbox.reset({ network: { rules: rules('example.org', 'two') } }), true)
    assert.deepEqual([await token('api.example.com'), await token('example.org')], [undefined, ['two']])
    assert.equal(await sandbox.reset({ network: { rules: {} } }), true)
    assert.equal(await token('example.org'), undefined)
    assert.deepEqual((await sandbox.getInfo()).network.denyOut, ['9.9.9.9/32'])
  })

  it('what cannot be is refused', async (t) => {
    await failure(() => Sandbox.reset('inosuchsandbox'), SandboxNotFoundError)
    const sandbox = await open(t, sdk)
    await sandbox.files.write('/home/user/file', 'here')
    await failure(() => sandbox.reset({ secure: false }), SandboxError, /^501: /)
    await failure(() => sandbox.reset({ network: { allowOut: ['not an address!'] } }), SandboxError, /^400: /)
    assert.equal(await sandbox.files.read('/home/user/file'), 'here')
    // Two at once: the second finds it changing, or changed.
    assert.ok((await Promise.all([sandbox.reset(), sandbox.reset()])).includes(true))
    assert.equal(await sh(sandbox, 'echo on'), 'on')
  })
}, { only: 'novita' })
