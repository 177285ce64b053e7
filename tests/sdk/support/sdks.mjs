// The SDKs under test as one table, and `eachSdk`, which runs one body of tests against every row.
// A row has the SDK's own exports plus `name`, `family` ('novita' or 'e2b') and `connection` (see below).
// SANDLOT_SDK=novita,e2b-2.51 narrows the table while debugging.
import { describe, it as plainIt } from 'node:test'
import * as novita from 'novita-sandbox'
import * as e2b from 'e2b'
import * as e2bOlder from 'e2b-2-45'

const table = [
  { ...novita, name: 'novita-sandbox-2.1', family: 'novita' },
  { ...e2b, name: 'e2b-2.51', family: 'e2b' },
  { ...e2bOlder, name: 'e2b-2.45', family: 'e2b' },
]

const wanted = (process.env.SANDLOT_SDK ?? '').split(',').filter(Boolean)
export const sdks = table.filter((sdk) => !wanted.length || wanted.some((name) => sdk.name.startsWith(name)))

// The base domain with its port, e.g. localhost:7463. Both families get the same one.
export const domain = process.env.NOVITA_DOMAIN
if (!domain || process.env.E2B_DOMAIN !== domain) {
  throw new Error('NOVITA_DOMAIN and E2B_DOMAIN are not set: run these tests under `sandlot exec -- npm test`')
}

// Tests inside one body run a few at a time: every one of them has its own sandbox.
export function eachSdk(subject, body, { concurrency = 4, only } = {}) {
  for (const sdk of sdks) {
    if (only && only !== sdk.family) continue
    describe(`${subject} [${sdk.name}]`, { concurrency }, () => body(sdk))
  }
}

// A test that hangs fails by itself, not with its whole file.
export const it = (name, body) => {
  // With anything else the test would pass without having run.
  if (typeof body !== 'function') throw new TypeError(`${name}: the second argument is the test's body`)
  return plainIt(name, { timeout: 60_000 }, body)
}
