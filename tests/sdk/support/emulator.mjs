// Emulators of a test's own, which it may kill. Over plain HTTP: their CA is not the one that Node was told of.
import { spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'

// The program that runs these tests: an ancestor of this process.
function sandlot() {
  for (let pid = process.ppid; pid > 1;) {
    const program = readlinkSync(`/proc/${pid}/exe`)
    if (program.endsWith('/sandlot')) return program
    pid = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1])
  }
  throw new Error('these tests run under `sandlot exec`')
}

// One at a time, in a data directory that they leave to each other.
export class Emulator {
  constructor(...options) {
    this.directory = mkdtempSync(`${tmpdir()}/sandlot-restart-`)
    this.options = options
  }
  get dataDirectory() { return `${this.directory}/data` }
  // What all of them have said.
  get log() { return readFileSync(`${this.directory}/log`, 'utf8') }

  async start() {
    const place = ['--data-dir', this.dataDirectory, '--run-dir', `${this.directory}/run`]
    const log = openSync(`${this.directory}/log`, 'a')
    this.process = spawn(sandlot(), ['serve', '--port', '0', '--pool', '1', ...this.options, ...place], { stdio: ['ignore', 'pipe', log] })
    closeSync(log)
    const line = await new Promise((resolve) => this.process.stdout.once('data', resolve))
    this.base = `http://127.0.0.1:${JSON.parse(line).port}`
    this.connection = { apiUrl: this.base, sandboxUrl: this.base, apiKey: 'e2b_0000' }
  }
  async end(signal) {
    const ended = new Promise((resolve) => this.process.once('exit', resolve))
    this.process.kill(signal)
    await ended
  }
  remove() {
    rmSync(this.directory, { recursive: true })
  }
}
