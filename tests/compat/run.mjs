// Checks every row of the daemon's contract against a running sandbox and writes docs/compatibility/envd.md from what it saw.
//   sandlot exec --internet none -- node tests/compat/run.mjs             # writes the table
//   sandlot exec --internet none -- node tests/compat/run.mjs --check     # compares with the committed one instead
//   ... --only 'Upload' prints the rows of matching areas (or with matching words) and writes nothing
// The last line counts. A row that fails is in the table as such, and fails the run.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { api, Sandbox } from './support/sandbox.mjs'
import { areas, difference, render, runArea } from './support/table.mjs'
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

const kSideBySide = 5
const kTable = fileURLToPath(new URL('../../docs/compatibility/envd.md', import.meta.url))
const checkOnly = process.argv.includes('--check')
const only = process.argv[process.argv.indexOf('--only') + 1]
const narrowed = process.argv.includes('--only')

if (narrowed) {
  for (const one of areas) if (!one.name.includes(only)) one.rows = one.rows.filter((row) => row.sent.includes(only))
  areas.splice(0, areas.length, ...areas.filter((one) => one.rows.length))
}

const intro = [
  '# envd: what is sent, what is answered',
  '',
  'Written by `make compat`: every row is a request that was sent to a sandbox and whose answer was compared in that run.',
  '"section" is the section of the daemon\'s contract that the row is about. `make test` does the same and fails when a line',
  'of this file would change. In an error of an RPC the code implies the status (a unary call) or stands in the end frame',
  '(a stream). "…" stands for words that the contract leaves open.',
  '',
  'Not in the table, because nothing outside can bring it about: an init while another holds its lock (503; this daemon has no',
  'such lock), a call without any default user (`no user specified`, `username not provided`: tests/envd) and the codes that no',
  'call answers with (`canceled` reaches nobody: its client has left). What SDKs make of the answers is tested in `tests/sdk`.',
  '',
]

function report(one, row) {
  if (row.failed) process.stdout.write(`FAILED ${one.name}: ${row.sent} (${row.section})\n       wanted ${row.expected.words}\n       ${row.failed}\n`)
  else if (narrowed) process.stdout.write(`ok     ${one.name}: ${row.sent} (${row.ms} ms)\n`)
}

const started = Date.now()
const problems = []
// Long ones first, so that no area runs alone at the end.
const queue = [...areas].sort((a, b) => (b.options.seconds ?? 1) - (a.options.seconds ?? 1))
const worker = async () => {
  for (let one; (one = queue.shift());) {
    const begun = Date.now()
    problems.push(...(await runArea(one, (options) => Sandbox.open(options.create), report)))
    if (process.env.SANDLOT_COMPAT_TIMES) console.log(`${one.name}: ${one.rows.length} rows in ${Date.now() - begun} ms`)
  }
}
await Promise.all(Array.from({ length: kSideBySide }, worker))

const left = await api('GET', '/sandboxes')
if (left.json?.length) problems.push(`left behind: ${left.json.map((one) => one.sandboxID)}`)

const rows = areas.flatMap((one) => one.rows)
const failed = rows.filter((row) => row.failed).length
if (!narrowed) {
  const table = render(intro)
  if (checkOnly) {
    let committed = ''
    try { committed = readFileSync(kTable, 'utf8') } catch { /* then every line differs */ }
    const lines = difference(committed, table)
    if (lines.length) problems.push(`docs/compatibility/envd.md would change (make compat writes it):\n${lines.join('\n')}`)
  } else {
    mkdirSync(dirname(kTable), { recursive: true })
    writeFileSync(kTable, table)
  }
}
for (const problem of problems) console.log(problem)
const bad = failed + problems.length
console.log(`compatibility: ${rows.length - failed} passed, ${bad} failed (${((Date.now() - started) / 1000).toFixed(1)} s)`)
process.exit(bad || !rows.length ? 1 : 0)
