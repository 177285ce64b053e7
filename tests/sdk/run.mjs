// Runs the SDK tests (all, or the files named) and then checks that they left no sandbox behind.
//   sandlot exec --internet fake -- node run.mjs [FILE...]
// Node's own reporter prints each test; the last line is a summary. Files end when their last test does (forceExit): the
// SDKs leave timers behind that would hold each of them for another minute.
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { Sandbox } from 'novita-sandbox'

const here = fileURLToPath(new URL('.', import.meta.url))
const given = process.argv.slice(2)
const files = given.length ? given : readdirSync(here).filter((name) => name.endsWith('.test.mjs')).sort()

const counts = { passed: 0, failed: 0, skipped: 0 }
const failures = []
const stream = run({ files: files.map((file) => here + file), concurrency: 1, timeout: 900_000, forceExit: true })
const count = (kind) => (event) => {
  // Only tests are counted: a suite, and a file that Node reports as a test, are not.
  if (event.details?.type === 'suite' || files.some((file) => here + file === event.name)) return
  if (event.skip || event.todo) counts.skipped++
  else counts[kind]++
  if (kind === 'failed') failures.push(event.name)
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
counts.failed = failures.length
process.stdout.write(`\n${failures.map((name) => `FAILED ${name}\n`).join('')}`)
console.log(`SDK tests: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = counts.failed || !counts.passed ? 1 : 0
