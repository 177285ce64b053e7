// Rows of the network contract: tests whose names begin with a number of it. Every row that ran writes a line for
// docs/compatibility/network.md (network-table.mjs), if run.mjs asked for it.
import { appendFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { after, describe, it as plainIt } from 'node:test'
import { sdks } from './sdks.mjs'
import { forgetControls, isFake } from './network.mjs'
import { open } from './sandbox.mjs'

function record(line) {
  if (process.env.SANDLOT_ROWS) appendFileSync(process.env.SANDLOT_ROWS, JSON.stringify(line) + '\n')
}

// `body(sdk, rows)` for the newest SDK of each family; `rows` has
//   row('NET-1: what is so', async (t) => {...}, { differs })   `differs`: why it is otherwise than in the cloud, on purpose
//   later('NET-66: what is so', 'what is missing')              listed, not run
//   sandbox(t, create options)                                  one that dies with the test
//   shared(create options)                                      one for all rows that ask for the same
export function networkRows(file, subject, body) {
  const source = basename(fileURLToPath(file))
  if (!isFake) {
    describe(subject, { skip: 'this emulator runs without --internet fake' }, () => {})
    return
  }
  const seen = new Set()
  for (const sdk of sdks) {
    if (seen.has(sdk.family)) continue
    seen.add(sdk.family)
    describe(`${subject} [${sdk.name}]`, { concurrency: 1 }, () => {
      const kept = new Map()
      const rows = {
        row(name, check, { differs } = {}) {
          const line = { source, sdk: sdk.family, name, differs }
          plainIt(name, { timeout: 60_000 }, async (t) => {
            try {
              await check(t)
            } catch (error) {
              record({ ...line, failed: true })
              throw error
            }
            record(line)
          })
        },
        later(name, reason) {
          plainIt(name, { skip: reason }, () => {})
          record({ source, sdk: sdk.family, name, later: reason })
        },
        sandbox: (t, options = {}) => open(t, sdk, options),
        async shared(options) {
          const key = JSON.stringify(options)
          if (!kept.has(key)) kept.set(key, await sdk.Sandbox.create({ timeoutMs: 300_000, ...options }))
          return kept.get(key)
        },
      }
      after(async () => {
        await forgetControls()
        await Promise.all([...kept.values()].map((sandbox) => sandbox.kill()))
      })
      body(sdk, rows)
    })
  }
}
