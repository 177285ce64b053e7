// Rows: what is sent, what has to come back, and the check that decides. A row whose check did not run, or failed, cannot
// look like one that passed: its last column is written here, after the check.
import assert from 'node:assert/strict'

const kRowDeadlineMs = 40_000
const kHttpStatus = {
  canceled: 499, unknown: 500, invalid_argument: 400, deadline_exceeded: 504, not_found: 404, already_exists: 409,
  permission_denied: 403, resource_exhausted: 429, failed_precondition: 400, aborted: 409, out_of_range: 400,
  unimplemented: 501, internal: 500, unavailable: 503, data_loss: 500, unauthenticated: 401,
}

export const areas = []

// One area is one sandbox (or several); its rows run one after the other (`sideBySide` at once), areas side by side.
// `table`: the file in docs/compatibility that it stands in.
export function area(name, options, body) {
  const rows = []
  areas.push({ name, options, rows, table: options.table ?? 'envd' })
  body((section, sent, expected, check, rowOptions = {}) => rows.push({ section, sent, expected, check, ...rowOptions }))
}

// Texts end in "…" where the rest is not the contract's (the words of an operating system, say).
export function sameText(actual, wanted) {
  if (wanted.endsWith('…')) assert.ok(String(actual).startsWith(wanted.slice(0, -1)), `${JSON.stringify(actual)} does not begin with ${JSON.stringify(wanted)}`)
  else assert.equal(actual, wanted)
}

export function sameHeaders(reply, headers) {
  for (const [name, value] of Object.entries(headers)) {
    const actual = reply.headers[name.toLowerCase()]
    if (value === undefined) assert.equal(actual, undefined, `header ${name}`)
    else if (value instanceof RegExp) assert.match(String(actual), value, `header ${name}`)
    else assert.equal(actual, value, `header ${name}`)
  }
}

const quoted = (text) => (text ? ` \`${text}\`` : '')
const headerList = (headers) => Object.entries(headers).filter(([, value]) => typeof value === 'string').map(([name, value]) => `, \`${name}: ${value}\``).join('')

function sameStatus(reply, wanted) {
  if (reply.status !== wanted) assert.fail(`status ${reply.status} instead of ${wanted}: ${reply.text.slice(0, 300)}`)
}

// A REST error: {"code":…,"message":…}, exactly these two keys.
export const rest = (status, message) => ({
  words: `${status} JSON${quoted(message)}`,
  verify(reply) {
    sameStatus(reply, status)
    const body = JSON.parse(reply.text)
    assert.deepEqual(Object.keys(body).sort(), ['code', 'message'])
    assert.equal(body.code, status)
    sameText(body.message, message)
    sameHeaders(reply, { 'Content-Type': 'application/json; charset=utf-8', 'X-Content-Type-Options': 'nosniff' })
  },
})

export const text = (status, body, headers = {}) => ({
  words: `${status} text${quoted(body)}${headerList(headers)}`,
  verify(reply) {
    sameStatus(reply, status)
    sameText(reply.text.replace(/\n$/, ''), body)
    sameHeaders(reply, { 'Content-Type': /^text\/plain/, ...headers })
  },
})

export const empty = (status, headers = {}) => ({
  words: `${status}, empty${headerList(headers)}`,
  verify(reply) {
    sameStatus(reply, status)
    assert.equal(reply.text, '')
    sameHeaders(reply, headers)
  },
})

export const bytes = (status, content, headers = {}, words) => ({
  words: words ?? `${status}${quoted(content)}${headerList(headers)}`,
  verify(reply) {
    sameStatus(reply, status)
    assert.equal(reply.text, content)
    sameHeaders(reply, headers)
  },
})

export const json = (value, words) => ({
  words: words ?? `200 \`${JSON.stringify(value)}\``,
  verify(reply) {
    sameStatus(reply, 200)
    assert.match(reply.headers['content-type'], /^application\/json/)
    assert.deepEqual(JSON.parse(reply.text), value)
  },
})

// A Connect error. Of a unary call: the status that belongs to the code; of a stream: 200, and the error in the end frame.
export const rpc = (code, message = '') => ({
  words: `\`${code}\`${quoted(message)}`,
  verify(reply) {
    if (reply.stream) {
      sameStatus(reply, 200)
      assert.match(reply.headers['content-type'], /^application\/connect\+(json|proto)$/)
      assert.ok(reply.endFrame, `no end frame: ${reply.broken ?? JSON.stringify(reply.messages)}`)
      assert.deepEqual(Object.keys(reply.endFrame), ['error'], `it succeeded: ${JSON.stringify(reply.messages)}`)
      assert.equal(reply.broken, undefined)
    } else {
      sameStatus(reply, kHttpStatus[code])
      assert.equal(reply.headers['content-type'], 'application/json')
    }
    const error = reply.stream ? reply.endFrame.error : reply.json
    assert.equal(error.code, code, JSON.stringify(error))
    if (message) sameText(error.message, message)
  },
})

// The words of a row whose check asserts by itself.
export const that = (words) => ({ words, verify() {} })

const escaped = (words) => words.replaceAll('|', '\\|').replaceAll('\n', ' ')

async function within(ms, promise) {
  let timer
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`not within ${ms} ms`)), ms) })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

async function runRow(row, subject, broken) {
  const started = Date.now()
  try {
    if (broken) throw broken
    const reply = await within(row.deadlineMs ?? kRowDeadlineMs, row.check(subject))
    row.expected.verify(reply)
    row.result = row.later ? `not yet: ${row.later}` : row.differs ? `differs: ${row.differs}` : 'same'
  } catch (error) {
    row.failed = String(error?.message ?? error).split('\n').filter(Boolean).slice(0, 6).join(' / ')
    row.result = `**FAILS**: ${row.failed}`
  }
  row.ms = Date.now() - started
}

// `count` workers take what is in the list, in its order.
export async function eachOf(list, count, work) {
  const queue = [...list]
  const worker = async () => {
    while (queue.length) await work(queue.shift())
  }
  await Promise.all(Array.from({ length: count }, worker))
}

// Runs one area; `open(options)` gives what its rows check, a sandbox mostly. Rows of an area that could not be opened
// fail, each of them.
export async function runArea(one, open, report) {
  let subject
  let broken
  try {
    subject = await within(kRowDeadlineMs, open(one.options))
  } catch (error) {
    broken = error
  }
  const leftovers = []
  await eachOf(one.rows, one.options.sideBySide ?? 1, async (row) => {
    await runRow(row, subject, broken)
    report(one, row)
  })
  await subject?.close().catch((error) => leftovers.push(`${one.name}: ${error}`))
  return leftovers
}

const kColumns = ['what is sent', 'what is answered', 'section', 'result']

// One table: `intro` is its head.
export function render(name, intro) {
  const own = areas.filter((one) => one.table === name)
  const rows = own.flatMap((one) => one.rows)
  const count = (test) => rows.filter(test).length
  const failing = count((row) => row.failed)
  const differing = count((row) => row.differs && !row.failed)
  const later = count((row) => row.later && !row.failed)
  const lines = [...intro, `${rows.length} rows: ${rows.length - differing - later - failing} the same, ${differing} that differ on purpose, ${later ? `${later} not yet, ` : ''}${failing} failing.`]
  for (const one of own) {
    const { columns = kColumns, cells = (row) => [row.sent, row.expected.words, row.section, row.result] } = one.options
    lines.push('', `## ${one.name}`, '', `| ${columns.join(' | ')} |`, `|${' --- |'.repeat(columns.length)}`)
    for (const row of one.rows) lines.push(`| ${cells(row).map(escaped).join(' | ')} |`)
  }
  return lines.join('\n') + '\n'
}

// The lines that differ, as `diff` marks them. Rows are unique lines, so sets of lines say enough.
export function difference(committed, fresh) {
  const old = committed.split('\n')
  const now = fresh.split('\n')
  const [had, has] = [new Set(old), new Set(now)]
  const lines = [...old.filter((line) => !has.has(line)).map((line) => `- ${line}`), ...now.filter((line) => !had.has(line)).map((line) => `+ ${line}`)]
  return lines.length || committed === fresh ? lines : ['(the same lines in another order)']
}
