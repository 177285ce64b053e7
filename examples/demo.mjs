// What `make demo` shows: runs the two examples next to this file as they are, and watches the emulator meanwhile.
// Exits with 0 only if the page that was fetched from inside the sandbox lists .bashrc, and each sandbox was seen while
// its example ran and is gone afterwards. Run it with `sandlot exec --internet none -- node examples/demo.mjs`.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setTimeout as pause } from 'node:timers/promises'

const domain = process.env.NOVITA_DOMAIN
if (!domain) {
  console.error('NOVITA_DOMAIN is not set: run this under `sandlot exec --internet none -- node examples/demo.mjs`')
  process.exit(2)
}

// The control API answers on the same port as everything else, in plain http too.
async function sandboxIds() {
  const response = await fetch(`http://${domain}/_sandlot/state`)
  if (!response.ok) throw new Error(`/_sandlot/state answered ${response.status}: ${await response.text()}`)
  return (await response.json()).sandboxes.map((sandbox) => sandbox.id)
}

const kReset = process.stdout.isTTY ? '\x1b[0m' : ''
const kDim = process.stdout.isTTY ? '\x1b[2m' : ''
const say = (text) => console.log(`${kDim}${text}${kReset}`)
const milliseconds = (since) => `${(performance.now() - since).toFixed(0)} ms`

// Runs one example. Returns its output and the ids that /_sandlot/state showed while it ran.
async function watch(example) {
  say(`\n$ node examples/${example}`)
  const start = performance.now()
  const child = spawn(process.execPath, [fileURLToPath(new URL(example, import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  let exit
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
    process.stdout.write(text)
    say(`    [${milliseconds(start)} after the start of node]`)
  })
  child.on('close', (code, signal) => { exit = code ?? signal })
  const seen = new Set()
  while (exit === undefined) {
    for (const id of await sandboxIds()) {
      if (!seen.has(id)) say(`    [/_sandlot/state shows ${id} after ${milliseconds(start)}]`)
      seen.add(id)
    }
    await pause(2)
  }
  const left = await sandboxIds()
  say(`    [finished with ${exit} after ${milliseconds(start)}; /_sandlot/state now shows ${left.length ? left.join(', ') : 'no sandbox'}]`)
  return { output, exit, seen, left }
}

const before = await sandboxIds()
const problems = before.length ? [`sandboxes existed before: ${before}`] : []
for (const example of ['public-url.mjs', 'server.mjs']) {
  const { output, exit, seen, left } = await watch(example)
  const [id] = seen
  if (exit !== 0) problems.push(`${example} ended with ${exit}`)
  if (seen.size !== 1) problems.push(`${example}: /_sandlot/state showed ${seen.size} sandboxes while it ran, not one`)
  else if (!output.includes(`https://3000-${id}.`)) problems.push(`${example}: the address does not name the sandbox ${id}`)
  if (left.length) problems.push(`${example}: still there afterwards: ${left}`)
  if (example === 'server.mjs' && !output.includes('.bashrc')) problems.push('the page does not list .bashrc')
}
if (problems.length) {
  console.error(`\nThe demo failed:\n${problems.map((problem) => `  ${problem}\n`).join('')}`)
  process.exit(1)
}
say('\nThe page came from inside a sandbox: .bashrc is in its listing, and both sandboxes are gone.')
