// Sandboxes that reach each other's public URLs: under *.localhost they cannot (a resolver inside takes such a name for the
// sandbox itself), so these checks run in an emulator of their own, with a domain of its own. The rows are listed for
// network-rules.test.mjs; this file, started under `sandlot exec --domain`, runs them and prints {row: 'ok' or what failed}.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { domain, sdks } from './sdks.mjs'
import { run } from './sandbox.mjs'

const kAll = '0.0.0.0/0'
const kSecret = 's3cret-own-door'
const here = fileURLToPath(import.meta.url)

// `world` has the sandboxes that all checks share: `httpbin`, and `asker`, which has no policy.
const checks = {
  "2.9: a sandbox reaches another's public URL, by the name and port that clients use": {
    differs: 'needs `--domain`: under `*.localhost` a sandbox finds itself',
    async check({ httpbin, asker }) {
      const host = httpbin.getHost(8080)
      for (const url of [`https://${host}`, `http://${host}`, `https://${host.split(':')[0]}`, `http://${host.split(':')[0]}`]) {
        const { stdout } = await asker.commands.run(`curl -sS -m 10 ${url}/get?a=b`)
        assert.deepEqual(JSON.parse(stdout).args, { a: ['b'] }, url)
      }
      const { stdout } = await asker.commands.run(`python3 -c "import urllib.request; print(urllib.request.urlopen('https://${host}/status/200').status)"`)
      assert.equal(stdout, '200\n')
    },
  },
  '2.9: under its own policy, in which the other is a host like others': {
    async check({ Sandbox, httpbin, made }) {
      const host = httpbin.getHost(8080)
      const [name] = host.split(':')
      const of = async (network) => made(await Sandbox.create({ network }))
      const status = async (sandbox, url) => (await run(sandbox, `curl -sS -m 5 -o /dev/null -w '%{http_code}' ${url}`))
      const closed = await of({ denyOut: [kAll] })
      assert.equal((await status(closed, `--resolve ${name}:443:198.18.0.1 https://${name}/get`)).exitCode, 35)
      assert.equal((await status(closed, `--resolve ${host}:198.18.0.1 https://${host}/get`)).exitCode, 35)
      const open = await of({ denyOut: [kAll], allowOut: [name] })
      for (const url of [`https://${host}/get`, `https://${name}/get`, `http://${host}/get`]) assert.equal((await status(open, url)).stdout, '200', url)
      assert.notEqual((await status(open, `https://49983-${httpbin.sandboxId}.${domain}/health`)).exitCode, 0)
    },
  },
  "2.9: and under the other's: a private one wants its traffic token": {
    async check({ Sandbox, asker, made }) {
      const closed = made(await Sandbox.create('httpbin', { network: { allowPublicTraffic: false } }))
      const ask = (options) => asker.commands.run(`curl -sS -m 10 -o /dev/null -w '%{http_code}' ${options} https://${closed.getHost(8080)}/get`)
      assert.equal((await ask('')).stdout, '403')
      assert.equal((await ask(`-H 'e2b-traffic-access-token: ${closed.trafficAccessToken}'`)).stdout, '200')
    },
  },
  '2.9: the API of the emulator is out of reach': {
    differs: "the cloud's API can be reached from sandboxes, with a key",
    async check({ httpbin, asker }) {
      const [name, port] = domain.split(':')
      assert.equal((await run(asker, `curl -sS -m 5 https://api.${domain}/sandboxes`)).exitCode, 6, 'no such name')
      for (const host of [`api.${name}`, name, 'localhost', `api.${domain}`]) {
        for (const path of ['/sandboxes', '/_sandlot/state']) {
          const { stdout } = await asker.commands.run(`curl -sS -m 5 -H 'Host: ${host}' -H 'X-API-Key: x' https://${httpbin.getHost(8080)}${path} -w ' %{http_code}'`)
          assert.equal(stdout, 'The control plane cannot be reached from a sandbox.\n 403')
        }
      }
      assert.notEqual((await run(asker, `curl -sSk -m 5 --resolve api.${domain}:198.18.0.1 https://api.${name}:${port}/sandboxes -w ' %{http_code}'`)).stdout.slice(-3), '200')
    },
  },
  '2.10: a host of `rules` may be a public URL, with its port': {
    only: 'e2b',
    differs: 'in the cloud public URLs have no port, and a host with one is 400',
    async check({ Sandbox, httpbin, made }) {
      const host = httpbin.getHost(8080)
      const rules = { [host]: [{ transform: { headers: { 'X-Test-Token': kSecret } } }] }
      const asker = made(await Sandbox.create({ network: { rules } }))
      const ask = async (url) => JSON.parse((await asker.commands.run(`curl -sS -m 10 ${url}/headers`)).stdout).headers['X-Test-Token']
      assert.deepEqual(await ask(`https://${host}`), [kSecret])
      assert.deepEqual(await ask(`http://${host}`), [kSecret])
      assert.equal(await ask(`https://${host.split(':')[0]}`), undefined, 'another port')
      assert.deepEqual((await asker.getInfo()).network.rules, rules)
    },
  },
  "2.10: `rules` values are not in the emulator's log": {
    only: 'e2b',
    // The emulator's: after its end, see outcomes().
    async check() {},
  },
}
const kLogRow = Object.keys(checks).at(-1)

async function runAll(sdk) {
  const { Sandbox } = sdk
  const all = []
  const made = (sandbox) => (all.push(sandbox), sandbox)
  const results = {}
  try {
    const world = { Sandbox, made, httpbin: made(await Sandbox.create('httpbin')), asker: made(await Sandbox.create()) }
    await Promise.all(ownDoor.rows(sdk.family).map(async ([name]) => {
      results[name] = await checks[name].check(world).then(() => 'ok', (error) => String(error.stack ?? error))
    }))
  } finally {
    await Promise.all(all.map((sandbox) => sandbox.kill()))
  }
  return results
}

const started = new Map()

export const ownDoor = {
  rows: (family) => Object.entries(checks).filter(([, { only }]) => !only || only === family).map(([name, { differs }]) => [name, { differs }]),

  // Starts the emulator, once for each SDK.
  outcomes(sdk) {
    if (!started.has(sdk.name)) started.set(sdk.name, this.start(sdk))
    return started.get(sdk.name)
  },

  async start(sdk) {
    const directory = mkdtempSync(join(tmpdir(), 'sandlot-own-door-'))
    const { SANDLOT_ROWS, NODE_TEST_CONTEXT, ...env } = process.env
    const flags = ['--internet', 'fake', '--port', '0', '--pool', '2', '--domain', 'sandlot.test', '--log-level', 'debug', '--data-dir', join(directory, 'data'), '--run-dir', join(directory, 'run')]
    const { stdout, stderr } = await new Promise((resolve) => execFile(process.env.SANDLOT_BINARY, ['exec', ...flags, '--', process.execPath, here], {
      env: { ...env, SANDLOT_SDK: sdk.name, SANDLOT_OWN_DOOR: '1' }, timeout: 50_000, maxBuffer: 64 << 20,
    }, (error, stdout, stderr) => resolve({ stdout, stderr: stderr + (error ?? '') })))
    rmSync(directory, { recursive: true, force: true })
    const line = stdout.split('\n').find((one) => one.startsWith('{"2.')) ?? assert.fail(`no outcome: ${stdout}${stderr}`.slice(-4000))
    const results = JSON.parse(line)
    assert.match(stderr, /sandbox\.created/, 'the log is not a log')
    if (stderr.includes(kSecret)) results[kLogRow] = 'a value is in the log'
    return results
  },
}

if (process.env.SANDLOT_OWN_DOOR) {
  console.log(JSON.stringify(await runAll(sdks[0])))
  process.exit(0) // the SDKs leave timers behind
}
