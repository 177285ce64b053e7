// Endpoints of the REST API as areas of rows: what a call takes, what it answers, how it refuses. Which rows there are is
// written down here, so that coverage.mjs can tell what has none.
import assert from 'node:assert/strict'
import { area, that } from './table.mjs'

const kColumns = ['where', 'name', 'what holds', 'state']

// endpoint -> { names: the answer's fields, open: those whose members are anybody's (metadata, say) }
export const answered = new Map()
// Names that have a row as part of a body or of a query.
export const taken = new Set()

// "POST /sandboxes" or several of them, which do the same; `title`: what they do, in a few words.
export function endpoint(keys, title, options, body) {
  const routes = [keys].flat()
  for (const key of routes) if (!answered.has(key)) answered.set(key, { names: new Set(), open: new Set(), like: [] })
  const name = `${routes.map((key) => `\`${key}\``).join(', ')}${routes[0] ? ': ' : ''}${title}`
  const settings = { table: 'cloud-api', columns: kColumns, sideBySide: 3, cells: (row) => [row.section, row.sent, row.expected.words, row.result], ...options, cloud: true }
  area(name, settings, (row) => body(new Rows(row, routes)))
}

function notBuilt(reason) {
  const [what, why] = reason.split(': ')
  return `${what} is not built yet in Sandlot ${why ? `…: ${why}` : '…'}`
}

const code = (name) => (name ? `\`${name}\`` : '')

class Rows {
  constructor(row, routes) {
    this.row = row
    this.routes = routes
  }

  // What the call does as a whole.
  call(words, check, options) { this.row('call', '', that(words), check, options) }
  header(name, words, check, options) { this.row('header', code(name), that(words), check, options) }

  // A member of the body, `a.b` inside of another; a parameter of the query.
  body(name, words, check, options) { this.takes('body', name, words, check, options) }
  query(name, words, check, options) { this.takes('query', name, words, check, options) }
  takes(where, name, words, check, options) {
    for (const part of name.split('.')) taken.add(part)
    this.row(where, code(name), that(words), check, options)
  }

  // A field of the answer, or several with one meaning. `open`: its own members are anybody's.
  answer(names, words, check, { open, ...options } = {}) {
    const list = [names].flat()
    for (const key of this.routes) {
      for (const name of list) {
        answered.get(key).names.add(name)
        if (open) answered.get(key).open.add(name)
      }
    }
    this.row('answer', list.map(code).join(', '), that(words), check, options)
  }

  // The fields below `prefix` are those of another endpoint's answer.
  answersLike(other, prefix, words, check, options) {
    for (const key of this.routes) answered.get(key).like.push({ other, prefix })
    if (prefix) for (const key of this.routes) answered.get(key).names.add(prefix)
    this.row('answer', prefix ? code(prefix) : 'all', that(words), check, options)
  }

  // `check` returns the reply. A "…" in the message stands for what differs.
  error(status, when, message, check, options) {
    this.row('error', String(status), { words: message === '…' ? when : `${when}: \`${message}\``, verify: (reply) => refused(reply, status, message) }, check, options)
  }

  // A member of the body that is answered with 501 and this reason: "what" or "what: why".
  later(names, reason, check, when = '') {
    for (const name of [names].flat()) for (const part of name.split('.')) taken.add(part)
    this.row('body', [names].flat().map(code).join(', '), { words: `501${when}`, verify: (reply) => refused(reply, 501, notBuilt(reason)) }, check, { later: reason })
  }

  // A whole route that answers 501; `fields`: what it would take and answer.
  laterWith(reason, fields, check) {
    this.row('call', '', { words: `501${fields && `. Its fields: ${fields}`}`, verify: (reply) => refused(reply, 501, notBuilt(reason)) }, check, { later: reason })
  }
}

// An error of the API: {"code", "message"}, exactly these, the code that of the status.
export function refused(reply, status, message) {
  if (reply.status !== status) assert.fail(`status ${reply.status} instead of ${status}: ${reply.text.slice(0, 300)}`)
  assert.match(reply.headers['content-type'], /^application\/json/)
  const body = JSON.parse(reply.text)
  assert.deepEqual(Object.keys(body), ['code', 'message'])
  assert.equal(body.code, status)
  const pattern = message.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^]*')
  assert.match(body.message, new RegExp(`^${pattern}$`))
}
