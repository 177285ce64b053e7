// Emulators of another kind than the one that the rows run under: one with limits and one that counts creates. Each is
// started when the first row asks for it; rows take turns.
import { spawn } from 'node:child_process'
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export const kKey = 'the-only-key'
const kFlags = {
  limited: ['--auth', 'strict', '--api-key', kKey, '--max-sandboxes', '2', '--network-immutable', 'true'],
  counting: ['--create-rate', '1/h'],
}
const running = new Map()

async function start(kind) {
  const directory = mkdtempSync(join(tmpdir(), `sandlot-${kind}-`))
  const flags = ['serve', '--port', '0', '--internet', 'none', '--pool', '0', '--log-level', 'warn', '--data-dir', join(directory, 'data'), '--run-dir', join(directory, 'run'), ...kFlags[kind]]
  // `sandlot exec` is our parent.
  const child = spawn(process.env.SANDLOT_BINARY ?? readlinkSync(`/proc/${process.ppid}/exe`), flags, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const port = await new Promise((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => { if (line.startsWith('{')) resolve(JSON.parse(line).port) })
    ended.then((code) => reject(new Error(`an emulator ended with ${code}`)))
  })
  return {
    target: { port, host: `api.localhost:${port}` }, turn: Promise.resolve(),
    async stop() {
      child.kill('SIGTERM')
      await ended
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

// Calls `action(target)` when nobody else uses that emulator.
export async function inOther(kind, action) {
  if (!running.has(kind)) running.set(kind, start(kind))
  const emulator = await running.get(kind)
  const result = emulator.turn.then(() => action(emulator.target))
  emulator.turn = result.catch(() => {})
  return result
}

export async function stopOthers() {
  for (const emulator of running.values()) await (await emulator.catch(() => undefined))?.stop()
}
