// What the server has and the table has not: routes, fields that its parsers read, fields of its answers.
import { answered, taken } from './endpoint.mjs'
import { call, routeOf, seen } from './cloud.mjs'
import { fields, misread, routes } from './sources.mjs'

const covers = (key, field, prefix = '') => {
  const { names, open, like } = answered.get(key) ?? { names: new Set(), open: new Set(), like: [] }
  if (names.has(field)) return true
  if ([...open].some((name) => field.startsWith(`${name}.`))) return true
  return like.some(({ other, prefix: below }) => (below === '' ? covers(other, field) : field.startsWith(`${below}.`) && covers(other, field.slice(below.length + 1))))
}

// The methods that the running emulator has on a path: those that it names when it is asked for another one.
async function methodsOf(path) {
  const reply = await call('PURGE', path)
  return reply.status === 405 ? reply.headers.allow.split(', ') : []
}

export async function gaps() {
  const problems = misread()
  const known = new Set(routes.map(({ key }) => key))
  for (const key of known) if (!answered.has(key)) problems.push(`no row about ${key} (tests/compat/rows/cloud)`)
  for (const key of answered.keys()) if (key && !known.has(key)) problems.push(`rows about ${key}, which the server has not`)
  for (const pattern of new Set(routes.map(({ path }) => path))) {
    const path = pattern.replace(/\{\w+\}/g, 'abc')
    for (const method of await methodsOf(path)) {
      if (!routeOf(method, path)) problems.push(`no row about ${method} ${pattern}, which the emulator answers`)
    }
  }
  for (const [name, file] of fields) if (!taken.has(name)) problems.push(`no row about '${name}', which fakeapi/cloud/${file} reads from a body or a query`)
  for (const [key, names] of seen) {
    for (const name of names) if (!covers(key, name)) problems.push(`no row about '${name}' in the answer of ${key}`)
  }
  return problems
}
