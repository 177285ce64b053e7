// What the server knows, read from its sources: its routes, and the names of the fields that its parsers read. Without it
// nobody would notice a route or a field that has no row. The running emulator is asked for the methods of every path
// as well (coverage.mjs), so that a misread source shows.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const kFolder = fileURLToPath(new URL('../../../fakeapi/cloud/', import.meta.url))

const sources = readdirSync(kFolder).filter((name) => name.endsWith('.cc')).map((name) => ({
  name, text: readFileSync(kFolder + name, 'utf8').replace(/\/\/.*$/gm, ''),
}))

const every = (pattern) => sources.flatMap(({ name, text }) => [...text.matchAll(pattern)].map((match) => ({ file: name, match })))

// Routes are registered as add("GET", "/path", ...) and stand in not_built.cc as NotBuiltRoute{"GET", "/path", "what"}.
const kRoute = /\b(?:add\(|NotBuiltRoute\{)\s*"([A-Z]+)",\s*"(\/[^"]*)"(?:,\s*"([^"]*)"\})?/g

export const routes = every(kRoute).map(({ match: [, method, path, missing] }) => ({ method, path, missing, key: `${method} ${path}` }))

// Every way in which a parser asks for a member of a body or of a query. A new one belongs here.
const kReads = [
  /BodyKey\{"(\w+)"/g,
  /(?:\.|->)(?:boolean|text|required_text|integer|seconds|string_map|string_list|object|list|nested|require|drop_null)\("(\w+)"/g,
  /\b(?:text|number)\((?:object|request), "(\w+)"/g,
  /\b(?:positive|query_value)\([^;"]*?, "(\w+)"/g,
  /\bobject\.find\("(\w+)"/g,
  /\bparse_text\(body, "(\w+)"/g,
  /\b(?:key|name) [!=]= "(\w+)"/g,
]

export const fields = new Map(kReads.flatMap((pattern) => every(pattern)).map(({ file, match: [, name] }) => [name, file]))

// The calls that pass on what stands somewhere else.
const kForwarding = new Set(['route.method', 'std::string_view method', 'std::string(method', 'method'])

// What this file should have found, and would not have if the sources were written in another way.
export function misread() {
  const problems = []
  for (const name of ['templateID', 'timeout', 'egressProxy', 'headers', 'count', 'quotaInodes', 'sandboxID', 'template_type', 'depth', 'startTime', 'search', 'startedAfter', 'alias', 'sandbox_ids', 'hosts']) {
    if (!fields.has(name)) problems.push(`the sources were not understood: no parser reads '${name}'`)
  }
  for (const { file, match: [call, first] } of every(/(?<!headers\.)\badd\(\s*(?!"[A-Z]+",\s*"\/)([^,)]*)/g)) {
    if (!kForwarding.has(first)) problems.push(`${file}: a route that is not written as add("METHOD", "/path", ...): ${call}`)
  }
  return problems
}
