// Checks every row against a running emulator, and writes docs/compatibility/envd.md and cloud-api.md from what it saw.
//   sandlot exec --internet fake -- node tests/compat/run.mjs             # writes the tables
//   sandlot exec --internet fake -- node tests/compat/run.mjs --check     # compares with the committed ones instead
//   ... --only 'Upload' prints the rows of matching areas (or with matching words) and writes nothing
// The last line counts. A row that fails is in its table as such, and fails the run.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Cloud } from './support/cloud.mjs'
import { gaps } from './support/coverage.mjs'
import { intros } from './support/intros.mjs'
import { stopOthers } from './support/other.mjs'
import { api, Sandbox } from './support/sandbox.mjs'
import { areas, difference, eachOf, render, runArea } from './support/table.mjs'
import './rows/frame.mjs'
import './rows/download.mjs'
import './rows/upload.mjs'
import './rows/signature.mjs'
import './rows/protocol.mjs'
import './rows/process.mjs'
import './rows/filesystem.mjs'
import './rows/watch.mjs'
import './rows/guest.mjs'
import './rows/proxy.mjs'
import './rows/robustness.mjs'
import './rows/cloud/every-route.mjs'
import './rows/cloud/create.mjs'
import './rows/cloud/create-network.mjs'
import './rows/cloud/sandboxes.mjs'
import './rows/cloud/lifecycle.mjs'
import './rows/cloud/network.mjs'
import './rows/cloud/snapshots.mjs'
import './rows/cloud/records.mjs'
import './rows/cloud/templates.mjs'
import './rows/cloud/volumes.mjs'
import './rows/cloud/volume-files.mjs'
import './rows/cloud/secrets.mjs'
import './rows/cloud/accounts.mjs'

const kSideBySide = 5
const kFolder = fileURLToPath(new URL('../../docs/compatibility/', import.meta.url))
const checkOnly = process.argv.includes('--check')
const only = process.argv[process.argv.indexOf('--only') + 1]
const narrowed = process.argv.includes('--only')

if (narrowed) {
  for (const one of areas) if (!one.name.includes(only)) one.rows = one.rows.filter((row) => row.sent.includes(only))
  areas.splice(0, areas.length, ...areas.filter((one) => one.rows.length))
}

function report(one, row) {
  if (row.failed) process.stdout.write(`FAILED ${one.name}: ${row.sent} (${row.section})\n       wanted ${row.expected.words}\n       ${row.failed}\n`)
  else if (narrowed) process.stdout.write(`ok     ${one.name}: ${row.sent} (${row.ms} ms)\n`)
}

const open = (options) => (options.cloud ? new Cloud() : Sandbox.open(options.create))

// What is wrong with a committed table; writes it instead, unless only checks were asked for.
function settle(name) {
  const file = `${kFolder}${name}.md`
  const table = render(name, intros[name])
  if (!checkOnly) {
    mkdirSync(kFolder, { recursive: true })
    writeFileSync(file, table)
    return []
  }
  let committed = ''
  try { committed = readFileSync(file, 'utf8') } catch { /* then every line differs */ }
  const lines = difference(committed, table)
  return lines.length ? [`docs/compatibility/${name}.md would change (make compat writes it):\n${lines.join('\n')}`] : []
}

const started = Date.now()
const problems = []
// Long ones first, so that no area runs alone at the end.
const queue = [...areas].sort((a, b) => (b.options.seconds ?? 1) - (a.options.seconds ?? 1))
await eachOf(queue, kSideBySide, async (one) => {
  const begun = Date.now()
  problems.push(...(await runArea(one, open, report)))
  if (process.env.SANDLOT_COMPAT_TIMES) console.log(`${one.name}: ${one.rows.length} rows in ${Date.now() - begun} ms`)
})

await stopOthers()

for (const [path, id] of [['/v2/sandboxes', 'sandboxID'], ['/snapshots', 'snapshotID'], ['/volumes', 'volumeID']]) {
  const left = await api('GET', path)
  if (left.json?.length) problems.push(`left behind: ${left.json.map((one) => one[id])}`)
}

const rows = areas.flatMap((one) => one.rows)
const failed = rows.filter((row) => row.failed).length
if (!narrowed) {
  problems.push(...(await gaps()))
  for (const name of Object.keys(intros)) problems.push(...settle(name))
}
for (const problem of problems) console.log(problem)
const bad = failed + problems.length
console.log(`compatibility: ${rows.length - failed} passed, ${bad} failed (${((Date.now() - started) / 1000).toFixed(1)} s)`)
process.exit(bad || !rows.length ? 1 : 0)
