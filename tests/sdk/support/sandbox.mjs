// Opening sandboxes that are killed with their test, waiting for conditions, and plain HTTP to a sandbox.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

export const kDeadlineMs = 15_000

// A sandbox that dies with the test. `template` may be left out.
export async function open(t, sdk, ...createArguments) {
  const last = createArguments.at(-1)
  const options = typeof last === 'object' ? createArguments.pop() : {}
  const sandbox = await sdk.Sandbox.create(...createArguments, { timeoutMs: 120_000, ...options })
  killAfter(t, sdk, sandbox.sandboxId)
  return sandbox
}

export function killAfter(t, sdk, sandboxId) {
  t.after(() => sdk.Sandbox.kill(sandboxId))
}

// Metadata by which a test finds its own sandboxes among those of its neighbours.
export const ownMetadata = () => ({ test: randomUUID() })

// Asks `probe` until it returns something truthy, and returns that. A probe that throws counts as "not yet".
// `what` may be a function, which sees the state at the end.
export async function eventually(what, probe, deadlineMs = kDeadlineMs) {
  const end = Date.now() + deadlineMs
  let problem
  for (;;) {
    try {
      const value = await probe()
      if (value) return value
      problem = undefined
    } catch (error) {
      problem = error
    }
    if (Date.now() > end) {
      const text = typeof what === 'function' ? what() : what
      assert.fail(`not within ${deadlineMs} ms: ${text}${problem ? ` (last: ${problem.stack ?? problem})` : ''}`)
    }
    await pause(25)
  }
}

// The error that `action` fails with, checked for its class and, if given, for its message.
export async function failure(action, type, message) {
  let value
  try {
    value = await (typeof action === 'function' ? action() : action)
  } catch (error) {
    if (!(error instanceof type)) {
      assert.fail(`expected ${type.name}, got ${error?.constructor?.name}: ${error?.stack ?? error}`)
    }
    if (message) assert.match(String(error.message), message)
    return error
  }
  assert.fail(`expected ${type.name}, but it succeeded with ${JSON.stringify(value)}`)
}

// Every page of a paginator.
export async function everyItem(paginator) {
  const items = []
  while (paginator.hasNext) items.push(...(await paginator.nextItems()))
  return items
}

export const url = (sandbox, port, path = '/') => `https://${sandbox.getHost(port)}${path}`

// Fetches without a keep-alive connection being held for later, so that a file of tests ends at once.
export async function get(address, options = {}) {
  const response = await fetch(address, { ...options, headers: { connection: 'close', ...options.headers } })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

// Runs a command that may fail: its result, or the error with its exit code and output.
export async function run(sandbox, command) {
  try {
    return await sandbox.commands.run(command)
  } catch (error) {
    if (error.exitCode === undefined) throw error
    return error
  }
}

// Starts a command in the background whose failure is not this test's subject (killed with its sandbox).
export async function background(sandbox, command, options = {}) {
  const handle = await sandbox.commands.run(command, { background: true, timeoutMs: 0, ...options })
  handle.wait().catch(() => {})
  return handle
}
