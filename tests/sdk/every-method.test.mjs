// Calls every public method of both SDKs, and every option of create, and looks at what the server answered:
//   * a route that answers 404, 405, 500 or 502 to a sound call is missing;
//   * a 501 must carry a reason and must be listed in not-built.json;
//   * what not-built.json lists must answer 501: an option in it that "works" was silently dropped.
// A method of an SDK that has no row here fails as well, so a new release of an SDK shows what it added.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { Sandbox as Interpreter } from 'novita-sandbox/code-interpreter'
import { recorded } from './support/recorder.mjs'
import { sdks } from './support/sdks.mjs'
import { surface } from './support/surface.mjs'

const notBuilt = JSON.parse(readFileSync(new URL('./not-built.json', import.meta.url), 'utf8'))
const bytes = (text) => new TextEncoder().encode(text)

// One row per method: name -> call. A row that makes no request says so with `local`; a row whose sound answer is an
// error names its class.
const local = (call) => ({ call, local: true })
const fails = (type, call) => ({ call, fails: type })

function sandboxRows(sdk) {
  const { Sandbox } = sdk
  return {
    'Sandbox.create': async () => { await (await Sandbox.create({ timeoutMs: 30_000 })).kill() },
    'Sandbox.list': (c) => Sandbox.list().nextItems(),
    'paginator.hasNext': local(() => Sandbox.list().hasNext),
    'paginator.nextToken': local(() => Sandbox.list().nextToken),
    'paginator.nextItems': (c) => Sandbox.list({ limit: 1, query: { state: ['running'], metadata: { a: 'b' } } }).nextItems(),
    'Sandbox.connect': (c) => Sandbox.connect(c.id),
    'Sandbox.getInfo': (c) => Sandbox.getInfo(c.id),
    'Sandbox.getFullInfo': (c) => Sandbox.getFullInfo(c.id),
    'Sandbox.setTimeout': (c) => Sandbox.setTimeout(c.id, 120_000),
    'Sandbox.pause': (c) => c.onAnother((id) => Sandbox.pause(id)),
    'Sandbox.betaPause': (c) => c.onAnother((id) => Sandbox.betaPause(id)),
    'Sandbox.kill': (c) => c.onAnother((id) => Sandbox.kill(id)),
    'Sandbox.getMetrics': (c) => Sandbox.getMetrics(c.id),
    'Sandbox.createSnapshot': (c) => c.brief(Sandbox.createSnapshot(c.id)),
    'Sandbox.listSnapshots': (c) => Sandbox.listSnapshots().nextItems(),
    'Sandbox.deleteSnapshot': (c) => c.brief(Sandbox.createSnapshot(c.id)),
    'sandbox.connect': (c) => c.sandbox.connect(),
    'sandbox.getHost': local((c) => c.sandbox.getHost(3000)),
    'sandbox.isRunning': (c) => c.sandbox.isRunning(),
    'sandbox.setTimeout': (c) => c.sandbox.setTimeout(120_000),
    'sandbox.getInfo': (c) => c.sandbox.getInfo(),
    'sandbox.getMetrics': (c) => c.sandbox.getMetrics({ start: new Date(Date.now() - 60_000), end: new Date() }),
    'sandbox.pause': (c) => c.onAnother((_, other) => other.pause()),
    'sandbox.betaPause': (c) => c.onAnother((_, other) => other.betaPause()),
    'sandbox.kill': (c) => c.onAnother((_, other) => other.kill()),
    'sandbox.createSnapshot': (c) => c.brief(c.sandbox.createSnapshot()),
    'sandbox.listSnapshots': (c) => c.sandbox.listSnapshots().nextItems(),
    'sandbox.getMcpUrl': local((c) => c.sandbox.getMcpUrl()),
    // There is no gateway in `base`: the token's file is missing.
    'sandbox.getMcpToken': fails(sdk.FileNotFoundError, (c) => c.sandbox.getMcpToken()),
    'sandbox.uploadUrl': local((c) => c.sandbox.uploadUrl('x', { useSignatureExpiration: 10 })),
    'sandbox.downloadUrl': local((c) => c.sandbox.downloadUrl('x')),
    ...(sdk.family === 'novita' ? novitaRows(sdk) : e2bRows(sdk)),
  }
}

function novitaRows({ Sandbox, Novita }) {
  return {
    'Sandbox.betaCreate': async () => { await (await Sandbox.betaCreate({ autoPause: false, timeoutMs: 30_000 })).kill() },
    'Sandbox.clone': async (c) => c.end((await Sandbox.clone(c.id, { count: 1 })).sandboxes),
    'Sandbox.commit': fails(Error, (c) => Sandbox.commit(c.id)),
    'Sandbox.hotplugMemory': (c) => Sandbox.hotplugMemory(c.id, 1024),
    'Sandbox.resize': (c) => Sandbox.resize(c.id, { memoryMiB: 1024 }),
    'Sandbox.mountVolume': (c) => c.withVolume((made) => Sandbox.mountVolume(c.id, made.name, '/mnt/a').then(() => c.sandbox.unmountVolume('/mnt/a'))),
    'Sandbox.unmountVolume': (c) => c.withVolume((made) => c.sandbox.mountVolume(made.name, '/mnt/b').then(() => Sandbox.unmountVolume(c.id, '/mnt/b'))),
    'Sandbox.reset': (c) => Sandbox.reset(c.id),
    'Sandbox.setNetwork': (c) => Sandbox.setNetwork(c.id, { denyOut: ['8.8.8.8'] }),
    'Sandbox.getQuota': () => Sandbox.getQuota(),
    'Sandbox.getEvents': () => Sandbox.getEvents({ limit: 1 }),
    'sandbox.commit': fails(Error, (c) => c.sandbox.commit()),
    'sandbox.hotplugMemory': (c) => c.sandbox.hotplugMemory(1024),
    'sandbox.resize': (c) => c.sandbox.resize({ memoryMiB: 1024 }),
    'sandbox.mountVolume': (c) => c.withVolume((made) => c.sandbox.mountVolume(made.name, '/mnt/c').then(() => c.sandbox.unmountVolume('/mnt/c'))),
    'sandbox.unmountVolume': (c) => c.withVolume((made) => c.sandbox.mountVolume(made.name, '/mnt/d').then(() => c.sandbox.unmountVolume('/mnt/d', { force: true }))),
    'sandbox.reset': (c) => c.sandbox.reset(),
    'sandbox.setNetwork': (c) => c.sandbox.setNetwork({ allowOut: ['1.1.1.1'] }),
    'sandbox.trafficAccessToken': local((c) => c.sandbox.trafficAccessToken),
    'sandbox.runCode': (c) => c.interpreter.runCode('1 + 1'),
    'sandbox.createCodeContext': (c) => c.interpreter.createCodeContext(),
    'sandbox.listCodeContexts': (c) => c.interpreter.listCodeContexts(),
    'sandbox.removeCodeContext': (c) => c.interpreter.removeCodeContext('context'),
    'sandbox.deleteCodeContext': (c) => c.interpreter.deleteCodeContext('context'),
    'sandbox.restartCodeContext': (c) => c.interpreter.restartCodeContext('context'),
    'client.sandbox': async () => {
      const client = new Novita({})
      const sandbox = await client.sandbox.create({ timeoutMs: 30_000 })
      await client.sandbox.list().nextItems()
      await client.sandbox.getInfo(sandbox.sandboxId)
      await client.sandbox.kill(sandbox.sandboxId)
    },
    'client.codeInterpreter': async () => {
      const client = new Novita({})
      const sandbox = await client.codeInterpreter.create({ timeoutMs: 30_000 })
      await client.codeInterpreter.kill(sandbox.sandboxId)
    },
  }
}

function e2bRows({ Sandbox, E2B }) {
  return {
    'Sandbox.fork': async (c) => c.end(await Sandbox.fork(c.id, { count: 1 })),
    'Sandbox.updateNetwork': (c) => Sandbox.updateNetwork(c.id, { denyOut: ['8.8.8.8'] }),
    'sandbox.fork': async (c) => c.end(await c.sandbox.fork()),
    'sandbox.updateNetwork': (c) => c.sandbox.updateNetwork({}),
    'client.Sandbox': async () => {
      const { Sandbox: Bound } = new E2B({})
      const sandbox = await Bound.create({ timeoutMs: 30_000 })
      await Bound.list().nextItems()
      await Bound.kill(sandbox.sandboxId)
    },
  }
}

function processRows(sdk) {
  return {
    'commands.run': (c) => c.sandbox.commands.run('echo x', { cwd: '/tmp', envs: { A: 'b' }, user: 'root', timeoutMs: 5_000 }),
    'commands.list': (c) => c.sandbox.commands.list(),
    'commands.connect': (c) => c.withCat(async (cat) => { await (await c.sandbox.commands.connect(cat.pid)).disconnect() }),
    'commands.sendStdin': (c) => c.withCat((cat) => c.sandbox.commands.sendStdin(cat.pid, 'x')),
    'commands.closeStdin': (c) => c.withCat(async (cat) => { await c.sandbox.commands.closeStdin(cat.pid); await cat.wait() }),
    'commands.kill': (c) => c.withCat((cat) => c.sandbox.commands.kill(cat.pid)),
    'commands.supportsStdinClose': local((c) => assert.equal(c.sandbox.commands.supportsStdinClose, true)),
    'handle.wait': async (c) => { await (await c.sandbox.commands.run('true', { background: true })).wait() },
    'handle.disconnect': (c) => c.withCat((cat) => cat.disconnect()),
    'handle.kill': (c) => c.withCat((cat) => cat.kill()),
    'handle.exitCode': (c) => c.withCat((cat) => assert.equal(cat.exitCode, undefined)),
    'handle.error': (c) => c.withCat((cat) => assert.equal(cat.error, undefined)),
    'handle.stdout': (c) => c.withCat((cat) => assert.equal(cat.stdout, '')),
    'handle.stderr': (c) => c.withCat((cat) => assert.equal(cat.stderr, '')),
    ...(sdk.family === 'e2b' ? {
      'handle.sendStdin': (c) => c.withCat((cat) => cat.sendStdin('x')),
      'handle.closeStdin': (c) => c.withCat((cat) => cat.closeStdin()),
    } : {}),
    'pty.create': (c) => c.withTerminal(() => {}),
    'pty.sendInput': (c) => c.withTerminal((terminal) => c.sandbox.pty.sendInput(terminal.pid, bytes('x'))),
    'pty.resize': (c) => c.withTerminal((terminal) => c.sandbox.pty.resize(terminal.pid, { cols: 90, rows: 20 })),
    'pty.connect': (c) => c.withTerminal(async (terminal) => {
      await (await c.sandbox.pty.connect(terminal.pid, { onData() {} })).disconnect()
    }),
    'pty.kill': (c) => c.withTerminal((terminal) => c.sandbox.pty.kill(terminal.pid)),
  }
}

function fileRows(sdk) {
  return {
    'files.write': (c) => c.sandbox.files.write('a', 'x'),
    'files.writeFiles': (c) => c.sandbox.files.writeFiles([{ path: 'b', data: 'x' }]),
    'files.read': (c) => c.sandbox.files.read('a'),
    'files.list': (c) => c.sandbox.files.list('.', { depth: 2 }),
    'files.makeDir': (c) => c.sandbox.files.makeDir('folder'),
    'files.exists': (c) => c.sandbox.files.exists('a'),
    'files.getInfo': (c) => c.sandbox.files.getInfo('a'),
    'files.rename': (c) => c.sandbox.files.rename('b', 'c'),
    'files.remove': (c) => c.sandbox.files.remove('c'),
    'files.watchDir': async (c) => { await (await c.sandbox.files.watchDir('.', () => {})).stop() },
    'watch.stop': async (c) => { await (await c.sandbox.files.watchDir('folder', () => {}, { recursive: true })).stop() },
    'option files.write octet-stream': (c) => c.sandbox.files.write('o', 'x', { useOctetStream: true }),
    'option files.write gzip': async (c) => {
      await c.sandbox.files.write('g', 'zipped', { gzip: true, useOctetStream: true })
      assert.equal(await c.sandbox.files.read('g'), 'zipped')
    },
    'option files.read gzip': async (c) => assert.equal(await c.sandbox.files.read('a', { gzip: true }), 'x'),
    ...(sdk.family === 'e2b' ? {
      'option files.write metadata': async (c) => {
        await c.sandbox.files.write('m', 'x', { metadata: { author: 'ada' } })
        assert.deepEqual((await c.sandbox.files.getInfo('m')).metadata, { author: 'ada' })
      },
      'option files.watchDir includeEntry': async (c) => {
        await (await c.sandbox.files.watchDir('.', () => {}, { includeEntry: true })).stop()
      },
    } : {}),
  }
}

// In this order they make a repository, its remote and a clone.
function gitRows() {
  const git = (call) => (c) => call(c.sandbox.git)
  return {
    'git.configureUser': git((g) => g.configureUser('Ada', 'ada@example.com')),
    'git.setConfig': git((g) => g.setConfig('pull.rebase', 'false')),
    'git.getConfig': async (c) => assert.equal(await c.sandbox.git.getConfig('pull.rebase'), 'false'),
    'git.init': async (c) => {
      await c.sandbox.git.init('remote.git', { bare: true, initialBranch: 'main' })
      await c.sandbox.git.init('repo', { initialBranch: 'main' })
      await c.sandbox.files.write('repo/file', '1')
    },
    'git.status': async (c) => assert.equal((await c.sandbox.git.status('repo')).untrackedCount, 1),
    'git.add': git((g) => g.add('repo')),
    'git.commit': git((g) => g.commit('repo', 'first', { allowEmpty: true })),
    'git.createBranch': git((g) => g.createBranch('repo', 'side')),
    'git.checkoutBranch': git((g) => g.checkoutBranch('repo', 'main')),
    'git.branches': async (c) => assert.deepEqual((await c.sandbox.git.branches('repo')).branches.sort(), ['main', 'side']),
    'git.deleteBranch': git((g) => g.deleteBranch('repo', 'side', { force: true })),
    'git.remoteAdd': git((g) => g.remoteAdd('repo', 'origin', '/home/user/remote.git')),
    'git.remoteGet': async (c) => assert.equal(await c.sandbox.git.remoteGet('repo', 'origin'), '/home/user/remote.git'),
    'git.push': git((g) => g.push('repo', { remote: 'origin', branch: 'main', setUpstream: true })),
    'git.pull': git((g) => g.pull('repo', { remote: 'origin', branch: 'main' })),
    'git.clone': async (c) => {
      await c.sandbox.git.clone('/home/user/remote.git', { path: '/home/user/copy' })
      assert.equal(await c.sandbox.files.read('copy/file'), '1')
    },
    'git.restore': async (c) => {
      await c.sandbox.files.write('repo/file', 'changed')
      await c.sandbox.git.restore('repo', { paths: ['file'] })
      assert.equal(await c.sandbox.files.read('repo/file'), '1')
    },
    'git.reset': git((g) => g.reset('repo', { mode: 'hard', target: 'HEAD' })),
    'git.dangerouslyAuthenticate': git((g) => g.dangerouslyAuthenticate({ username: 'ada', password: 'not-a-secret' })),
  }
}

function templateRows({ Template, TemplateApi, Volume, Secret, family }) {
  const small = () => Template().fromTemplate('base').runCmd('true')
  const status = { templateId: 'template', buildId: '00000000-0000-0000-0000-000000000000' }
  const common = {
    'Template.build': () => Template.build(small(), 'every-method'),
    'Template.buildInBackground': () => Template.buildInBackground(small(), 'every-method'),
    'Template.getBuildStatus': () => Template.getBuildStatus(status),
    'Template.exists': () => Template.exists('base'),
    'Template.aliasExists': () => Template.aliasExists('base'),
    'Template.assignTags': () => Template.assignTags('base:v1', ['stable']),
    'Template.removeTags': () => Template.removeTags('base', ['stable']),
    'Template.getTags': () => Template.getTags('base'),
    'Template.toJSON': local(() => Template.toJSON(small())),
    'Template.toDockerfile': local(() => Template.toDockerfile(Template().fromImage('debian:12'))),
    'Volume.create': (c) => c.withVolume(() => {}),
    'Volume.connect': (c) => c.withVolume((made) => Volume.connect(made.volumeId)),
    'Volume.getInfo': (c) => c.withVolume((made) => Volume.getInfo(made.volumeId)),
    'Volume.list': () => Volume.list(),
    'Volume.destroy': (c) => c.withVolume(() => {}),
  }
  if (family === 'novita') {
    return {
      ...common,
      'Template.get': () => Template.get('base'),
      'Template.list': () => Template.list().nextPage(),
      'TemplateApi.get': () => TemplateApi.get('base'),
      'TemplateApi.listTemplates': () => TemplateApi.listTemplates(),
      'TemplateApi.deleteTemplate': async (c) => TemplateApi.deleteTemplate((await c.sandbox.createSnapshot()).snapshotId),
      'Volume.updateQuota': (c) => c.withVolume((made) => Volume.updateQuota(made.volumeId, { quotaSizeGiB: 2 }), { quotaSizeGiB: 1 }),
      'Secret.create': (c) => c.withSecret(() => {}),
      'Secret.list': () => Secret.list(),
      'Secret.get': (c) => c.withSecret((name) => Secret.get(name)),
      'Secret.update': (c) => c.withSecret((name) => Secret.update({ name, value: 'y', hosts: ['example.org'] })),
      'Secret.delete': (c) => c.withSecret(() => {}),
    }
  }
  return {
    ...common,
    'volume.list': (c) => c.withVolume((made) => made.list('/')),
    'volume.makeDir': (c) => c.withVolume((made) => made.makeDir('/x')),
    'volume.getInfo': (c) => c.withVolume((made) => made.getInfo('/')),
    'volume.exists': (c) => c.withVolume((made) => made.exists('/')),
    'volume.updateMetadata': (c) => c.withVolume((made) => made.updateMetadata('/', { mode: 0o777 })),
    'volume.readFile': (c) => c.withVolume((made) => made.writeFile('/x', 'data').then(() => made.readFile('/x'))),
    'volume.writeFile': (c) => c.withVolume((made) => made.writeFile('/x', 'data')),
    'volume.remove': (c) => c.withVolume((made) => made.makeDir('/x').then(() => made.remove('/x'))),
    'Secret.create': (c) => c.withSecret(() => {}),
    'Secret.update': (c) => c.withSecret((name) => Secret.update(name, 'y')),
    'Secret.getInfo': (c) => c.withSecret((name) => Secret.getInfo(name)),
    'Secret.list': () => Secret.list().nextItems(),
    'Secret.exists': (c) => c.withSecret((name) => Secret.exists(name)),
    'Secret.destroy': (c) => c.withSecret(() => {}),
    'Secret.fill': local(() => Secret.fill('secret')),
    'Secret.iamToken': local(() => Secret.iamToken({ audience: 'a', tokenType: 'JWT-SVID' })),
  }
}

// Options of create and of other calls. Each asks for something that a client could see if it were dropped.
function optionRows(sdk) {
  const { Sandbox, family } = sdk
  const create = (options, check) => async () => {
    const sandbox = await Sandbox.create({ timeoutMs: 30_000, ...options })
    try {
      await check?.(sandbox, await sandbox.getInfo())
    } finally {
      await sandbox.kill()
    }
  }
  const network = (name, value) => ({ [`option create network.${name}`]: create({ network: { [name]: value } }) })
  return {
    'option create metadata': create({ metadata: { a: 'b' } }, (_, info) => assert.deepEqual(info.metadata, { a: 'b' })),
    'option create envs': create({ envs: { A: 'b' } }, async (sandbox) =>
      assert.equal((await sandbox.commands.run('echo $A')).stdout, 'b\n')),
    'option create secure': create({ secure: true }),
    'option create allowInternetAccess true': create({ allowInternetAccess: true }),
    'option create allowInternetAccess false': create({ allowInternetAccess: false }),
    'option create lifecycle kill': create({ lifecycle: { onTimeout: 'kill' } }, (_, info) =>
      assert.equal(info.lifecycle?.onTimeout, 'kill')),
    'option create lifecycle pause': create({ lifecycle: { onTimeout: 'pause' } }, (_, info) =>
      assert.equal(info.lifecycle?.onTimeout, 'pause')),
    'option create lifecycle autoResume': create({ lifecycle: { onTimeout: 'pause', autoResume: true } }, (_, info) =>
      assert.equal(info.lifecycle?.autoResume, true)),
    ...network('allowOut', ['1.1.1.1']),
    ...network('denyOut', ['0.0.0.0/0']),
    ...network('allowPublicTraffic', false),
    ...network('maskRequestHost', 'localhost:${PORT}'),
    'option create volumeMounts': (c) => c.withVolume((made) => create({ volumeMounts: { '/mnt/x': made } }, async (sandbox) =>
      assert.match((await sandbox.commands.run('cat /proc/mounts')).stdout, / \/mnt\/x /))()),
    ...(family === 'novita' ? {
      'option create secretEnvs': (c) => c.withSecret((name) => create({ secretEnvs: { TOKEN: name } }, async (sandbox) =>
        assert.match((await sandbox.commands.run('echo $TOKEN')).stdout, /^novita_secret_[0-9a-f]+\n$/))()),
      'option create nodeId': create({ nodeId: 'node' }),
      'option betaCreate autoPause': async () => {
        const sandbox = await Sandbox.betaCreate({ autoPause: true, timeoutMs: 30_000 })
        const info = await sandbox.getInfo()
        await sandbox.kill()
        assert.equal(info.lifecycle?.onTimeout, 'pause')
      },
      'option connect network': (c) => Sandbox.connect(c.id, { network: { denyOut: ['8.8.8.8'] } }),
      'option connect allowPublicTraffic': (c) => Sandbox.connect(c.id, { allowPublicTraffic: false }),
    } : {
      ...network('rules', { 'example.com': [{ transform: { headers: { 'X-A': 'b' } } }] }),
      ...network('egressProxy', { address: 'proxy.example.com:1080' }),
      // Added after 2.45, which drops them by itself.
      ...(sdk.name === 'e2b-2.51' ? network('httpsPorts', [8443]) : {}),
      'option create iam': create({ iam: { tokens: { t: { audience: 'a', tokenType: 'JWT-SVID' } } } }),
      'option create lifecycle keepMemory': create({ lifecycle: { onTimeout: { action: 'pause', keepMemory: false } } }),
      'option pause keepMemory': (c) => c.onAnother((id) => Sandbox.pause(id, { keepMemory: false })),
      ...(sdk.name === 'e2b-2.51' ? {
        'option connect onResume reboot': (c) => c.onAnother(async (id) => {
          await Sandbox.pause(id)
          await Sandbox.connect(id, { onResume: 'reboot' })
        }),
      } : {}),
      'option createSnapshot name': (c) => c.brief(c.sandbox.createSnapshot({ name: 'named' })),
    }),
  }
}

// What a row may use: one shared sandbox, a fresh one, a running `cat`, a terminal.
async function context(sdk) {
  const sandbox = await sdk.Sandbox.create({ timeoutMs: 240_000 })
  const interpreter = sdk.family === 'novita' ? await Interpreter.create({ timeoutMs: 240_000 }) : undefined
  const started = []
  return {
    sandbox,
    interpreter,
    id: sandbox.sandboxId,
    // Ends what a row started; not part of what is judged, because the row may have ended it itself a moment before.
    async tidy() {
      for (const pid of started.splice(0)) await sandbox.commands.kill(pid).catch(() => {})
    },
    // A snapshot that is deleted at once; sandboxes that are.
    async brief(taken) {
      await sdk.Sandbox.deleteSnapshot((await taken).snapshotId)
    },
    async end(sandboxes) {
      await Promise.all(sandboxes.map((one) => one.kill()))
    },
    async onAnother(call) {
      const other = await sdk.Sandbox.create({ timeoutMs: 30_000 })
      try {
        return await call(other.sandboxId, other)
      } finally {
        await sdk.Sandbox.kill(other.sandboxId)
      }
    },
    async withVolume(call, options) {
      const made = await sdk.Volume.create(`every-method-${Date.now()}`, options)
      try {
        return await call(made)
      } finally {
        await sdk.Volume.destroy(made.volumeId)
      }
    },
    async withSecret(call) {
      const name = `every-method-${Date.now()}`
      const { Secret } = sdk
      await (sdk.family === 'novita' ? Secret.create({ name, value: 'x', hosts: ['example.com'] }) : Secret.create(name, 'x'))
      try {
        return await call(name)
      } finally {
        await (sdk.family === 'novita' ? Secret.delete(name) : Secret.destroy(name))
      }
    },
    async withCat(call) {
      const cat = await sandbox.commands.run('cat', { background: true, stdin: true })
      started.push(cat.pid)
      cat.wait().catch(() => {})
      return call(cat)
    },
    async withTerminal(call) {
      const terminal = await sandbox.pty.create({ cols: 80, rows: 24, onData() {} })
      started.push(terminal.pid)
      terminal.wait().catch(() => {})
      return call(terminal)
    },
  }
}

// A 404 that tidying up brings about: killing the sandbox that the row has killed.
const expected404 = (row, request) =>
  request.status === 404 && request.method === 'DELETE' && request.path.startsWith('/sandboxes/') && /\.kill$/.test(row)

function judge(name, row, { error, requests }, listed) {
  const answers = requests.map((request) => `${request.method} ${request.path} ${request.status}`).join(', ')
  const message = String(error?.message ?? '')
  const refused = requests.some((request) => request.status === 501) || /unimplemented/.test(message)
  if (refused || listed) {
    assert.ok(listed, `answers 501, which not-built.json does not list (${answers}): ${message}`)
    assert.ok(refused, `not-built.json lists it, but it was not refused (${answers}): ${error?.stack ?? 'it succeeded'}`)
    assert.ok(error, 'the SDK took a 501 for success')
    assert.ok(message.replace(/[\d\s:[\]]|unimplemented/g, '').length > 10, `no reason given: ${message}`)
    return
  }
  const missing = requests.find((request) =>
    [404, 405, 500, 502, 503].includes(request.status) && !expected404(name, request) && !row.fails)
  assert.ok(!missing, `a sound call was answered badly: ${answers}`)
  if (row.fails) assert.ok(error instanceof row.fails, `expected ${row.fails.name}, got ${error?.stack ?? 'success'}`)
  else if (error) throw new Error(`it failed (${answers})`, { cause: error })
  if (!row.local && !row.fails) assert.ok(requests.length > 0, 'it made no request')
}

for (const sdk of sdks) {
  describe(`every method [${sdk.name}]`, () => {
    const rows = {
      ...sandboxRows(sdk), ...processRows(sdk), ...fileRows(sdk), ...gitRows(), ...templateRows(sdk), ...optionRows(sdk),
    }
    const listed = new Set(notBuilt[sdk.family])

    it('is called and answered', async (t) => {
      const c = await context(sdk)
      t.after(() => Promise.all([c.id, c.interpreter?.sandboxId].filter(Boolean).map((id) => sdk.Sandbox.kill(id))))
      for (const [name, given] of Object.entries(rows)) {
        const row = typeof given === 'function' ? { call: given } : given
        await t.test(name, { timeout: 30_000 }, async () => {
          const outcome = await recorded(() => row.call(c))
          await c.tidy()
          judge(name, row, outcome, listed.has(name))
        })
      }
    })

    it('has a row', async (t) => {
      const sandbox = await sdk.Sandbox.create({ timeoutMs: 30_000 })
      t.after(() => sdk.Sandbox.kill(sandbox.sandboxId))
      const handle = await sandbox.commands.run('true', { background: true })
      await handle.wait()
      const { commands, files, pty, git } = sandbox
      const examples = { commands, files, pty, git, handle, paginator: sdk.Sandbox.list() }
      const missing = [...surface(sdk, examples, sdk.family === 'novita' && Interpreter)].filter((name) => !(name in rows))
      assert.deepEqual(missing, [])
    })

    it('is known when not-built.json lists it', () => {
      const newer = sdk.name === 'e2b-2.45' ? ['option create network.httpsPorts'] : []
      assert.deepEqual([...listed].filter((name) => !(name in rows) && !newer.includes(name)), [])
    })
  })
}
