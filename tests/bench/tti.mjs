// Create to first finished command through the vendor's SDKs, as a program of theirs would do it:
//   node tti.mjs PACKAGE ROUNDS      (run by bench.py under `sandlot exec`, which sets the variables)
// Prints one JSON line: milliseconds of create, of commands.run('true') and of both together, one entry per round.
import { createRequire } from 'node:module'
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'

const [name, rounds] = process.argv.slice(2)
const require = createRequire(new URL('../sdk/package.json', import.meta.url))
const { Sandbox } = await import(pathToFileURL(require.resolve(name)))

const result = { create: [], run: [], total: [] }
for (let round = -3; round < Number(rounds); round++) {
  const start = performance.now()
  const sandbox = await Sandbox.create({ timeoutMs: 60_000 })
  const created = performance.now()
  await sandbox.commands.run('true')
  const end = performance.now()
  await sandbox.kill()
  if (round >= 0) {
    // The first rounds load code and open connections.
    result.create.push(created - start)
    result.run.push(end - created)
    result.total.push(end - start)
  }
  await pause(50)
}
console.log(JSON.stringify(result))
process.exit(0)
