// docs/compatibility/network.md, from the rows that ran (rows.mjs writes one line for each and for each SDK).
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { difference } from '../../compat/support/table.mjs'

const kTable = fileURLToPath(new URL('../../../docs/compatibility/network.md', import.meta.url))
const kNumbers = 73 // NET-1 to NET-73

const kIntro = [
  '# Network: what is promised, what holds',
  '',
  'Written by `make compat`: every row is a test that ran through the published SDKs against the fake internet (or, where no',
  'SDK sends such a thing, through the API). "Blocked" means that the canary at the far end saw no connection, no byte, no',
  'SYN, and that the same request from a sandbox without a policy did arrive. `make test` does the same and fails when a line',
  'of this file would change. The tests are `tests/sdk/network-*.test.mjs`; their names are the rows.',
  '',
]

export const isNetworkFile = (name) => /^network-.*\.test\.mjs$/.test(name)

const escaped = (words) => words.replaceAll('|', '\\|')
const numberOf = (row) => row.number.replace('NET-', '').split('.').map(Number)
const byNumber = (a, b) => numberOf(a)[0] - numberOf(b)[0] || (numberOf(a)[1] ?? 0) - (numberOf(b)[1] ?? 0)

// One row for each name: the SDKs that it ran with, and the worst of its results.
function merged(lines) {
  const rows = new Map()
  for (const line of lines) {
    const [number, words] = line.name.split(/: (.*)/s)
    const row = rows.get(line.name) ?? { ...line, number, words, sdks: new Set() }
    row.sdks.add(line.sdk === 'novita' ? 'novita-sandbox' : 'e2b')
    row.failed ||= line.failed
    rows.set(line.name, row)
  }
  return [...rows.values()]
}

function result(row) {
  if (row.failed) return '**FAILS**'
  if (row.later) return `not yet: ${row.later}`
  return row.differs ? `differs: ${row.differs}` : 'same'
}

function section(title, rows) {
  const lines = rows.map((row) => `| ${row.number} | ${escaped(row.words)} | ${row.later ? '' : [...row.sdks].join(', ')} | ${escaped(result(row))} |`)
  return ['', `## ${title}`, '', '| number | what | with | result |', '| --- | --- | --- | --- |', ...lines]
}

function render(rows) {
  const failing = rows.filter((row) => row.failed).length
  const later = rows.filter((row) => row.later).length
  const differing = rows.filter((row) => row.differs && !row.failed).length
  return [
    ...kIntro,
    `${rows.length} rows: ${rows.length - failing - later - differing} the same, ${differing} that differ on purpose, ${later} not yet, ${failing} failing.`,
    ...section('What the documentation promises', rows.filter((row) => row.number.startsWith('NET-')).sort(byNumber)),
    ...section('Beyond it: bad input, disguises, isolation', rows.filter((row) => !row.number.startsWith('NET-')).sort(byNumber)),
    '',
  ].join('\n')
}

// Made before the tests run (they find the file's name in the environment), settled after.
export class NetworkTable {
  #directory = mkdtempSync(join(tmpdir(), 'sandlot-rows-'))

  constructor() {
    process.env.SANDLOT_ROWS = join(this.#directory, 'rows.jsonl')
    process.on('exit', () => rmSync(this.#directory, { recursive: true, force: true }))
  }

  // What is wrong with the committed table, or, with `write`, writes it. Nothing when no rows ran (no fake internet), or
  // when SANDLOT_SDK left some out.
  settle(write) {
    let lines = []
    try {
      lines = readFileSync(process.env.SANDLOT_ROWS, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line))
    } catch { /* then none ran */ }
    if (!lines.length || process.env.SANDLOT_SDK) return write ? ['no table was written: not all rows ran'] : []
    const rows = merged(lines)
    const problems = []
    for (let number = 1; number <= kNumbers; number++) {
      if (!rows.some((row) => row.number === `NET-${number}`)) problems.push(`no row about NET-${number}`)
    }
    const table = render(rows)
    if (write) {
      writeFileSync(kTable, table)
      return problems
    }
    let committed = ''
    try { committed = readFileSync(kTable, 'utf8') } catch { /* then every line differs */ }
    const changed = difference(committed, table)
    if (changed.length) problems.push(`docs/compatibility/network.md would change (make compat writes it):\n${changed.join('\n')}`)
    return problems
  }
}
