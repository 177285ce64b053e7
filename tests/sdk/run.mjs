// Runs the SDK tests (all, or the files named) and then checks that they left no sandbox behind, and that
// docs/compatibility/network.md says what the rows of the network contract have just shown.
//   sandlot exec --internet fake -- node run.mjs [FILE...]
//   sandlot exec --internet fake -- node run.mjs --write-table     runs the network's rows and writes that file
// Node's own reporter prints each test; the last line is a summary. Files end when their last test does (forceExit): the
// SDKs leave timers behind that would hold each of them for another minute.
import { readdirSync, readlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { Sandbox } from 'novita-sandbox'
import { isNetworkFile, NetworkTable } from './support/network-table.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const writesTable = process.argv.includes('--write-table')
const given = process.argv.slice(2).filter((name) => !name.startsWith('--'))
const every = readdirSync(here).filter((name) => name.endsWith('.test.mjs')).sort()
const files = given.length ? given : writesTable ? every.filter(isNetworkFile) : every

// For tests that need an emulator of another kind: `sandlot exec` is our parent.
process.env.SANDLOT_BINARY ??= readlinkSync(`/proc/${process.ppid}/exe`)

const counts = { passed: 0, failed: 0, skipped: 0 }
const failures = []
const broken = new Set() // files with a failed test
const table = new NetworkTable()
const stream = run({ files: files.map((file) => here + file), concurrency: 1, timeout: 900_000, forceExit: true })
const count = (kind) => (event) => {
  // Only tests are counted: a suite, and a file that Node reports as a test, are not, unless the file failed by itself.
  if (event.details?.type === 'suite') return
  const isFile = files.some((file) => here + file === event.name)
  if (isFile && (kind !== 'failed' || broken.has(event.name))) return
  if (kind === 'failed') broken.add(isFile ? event.name : event.file)
  if (event.skip || event.todo) counts.skipped++
  else counts[kind]++
  if (kind === 'failed') {
    const { error } = event.details ?? {}
    failures.push(`${event.name}: ${String((error?.cause ?? error)?.message ?? error).split('\n').filter(Boolean).slice(0, 4).join(' / ').slice(0, 300)}`)
  }
}
stream.on('test:pass', count('passed'))
stream.on('test:fail', count('failed'))
stream.compose(spec).pipe(process.stdout)
await new Promise((resolve) => stream.on('end', resolve))

try {
  const left = Sandbox.list()
  while (left.hasNext) {
    for (const sandbox of await left.nextItems()) {
      failures.push(`left behind: ${sandbox.sandboxId} ${JSON.stringify(sandbox.metadata)}`)
    }
  }
} catch (error) {
  failures.push(`the emulator does not answer any more: ${error}`)
}
if (every.filter(isNetworkFile).every((name) => files.includes(name))) failures.push(...table.settle(writesTable))
counts.failed = failures.length
process.stdout.write(`\n${failures.map((name) => `FAILED ${name}\n`).join('')}`)
console.log(`SDK tests: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = counts.failed || !counts.passed ? 1 : 0
