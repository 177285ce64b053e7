// The public methods of an SDK, found by reflection: what every-method.test.mjs must have a row for.
// `kPrivate` names what the type declarations mark private or protected.
const kPrivate = new Set([
  'Sandbox.defaultTemplate', 'Sandbox.defaultMcpTemplate', 'Sandbox.defaultSandboxTimeoutMs', 'sandbox.resolveApiOpts',
  'sandbox.fileUrl', 'Sandbox.cloneSandboxes', 'Sandbox.createSandbox', 'Sandbox.connectSandbox', 'Sandbox.resetSandbox',
  'Sandbox.forkSandbox', 'sandbox.jupyterHeaders', 'sandbox.jupyterUrl', 'commands.start', 'handle.handleEvents',
  'handle.iterateEvents', 'handle.flushDecoders', 'watch.handleEvents', 'watch.iterateEvents', 'git.runGit', 'git.runShell',
  'git.getRemoteUrl', 'git.resolveRemoteName', 'git.withRemoteCredentials', 'git.hasUpstream', 'paginator.updatePagination',
  'Secret.base',
  'Sandbox.boundOpts', 'Volume.boundOpts', 'Template.boundOpts', 'Secret.boundOpts',
  'Sandbox.resolveOpts', 'Volume.resolveOpts', 'Template.resolveOpts', 'Secret.resolveOpts',
])

function namesOf(object, end) {
  const names = new Set()
  for (let at = object; at && at !== end; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) {
      if (!['constructor', 'length', 'name', 'prototype'].includes(name) && !name.startsWith('_')) names.add(name)
    }
  }
  return names
}
const statics = (type) => namesOf(type, Function.prototype)
const methods = (type) => namesOf(type.prototype, Object.prototype)

// `examples`: live objects whose classes are not exported (commands, files, pty, git, handle, watch, paginator).
export function surface(sdk, examples, Interpreter) {
  const found = new Set()
  const add = (prefix, names) => names.forEach((name) => { if (!kPrivate.has(`${prefix}.${name}`)) found.add(`${prefix}.${name}`) })
  add('Sandbox', statics(sdk.Sandbox))
  add('sandbox', methods(sdk.Sandbox))
  if (Interpreter) add('sandbox', methods(Interpreter))
  for (const [name, object] of Object.entries(examples)) add(name, methods(object.constructor))
  for (const type of ['Volume', 'Secret', 'TemplateApi']) if (sdk[type]) add(type, statics(sdk[type]))
  if (sdk.Volume) add('volume', methods(sdk.Volume))
  add('Template', new Set([...Object.getOwnPropertyNames(sdk.Template)].filter((name) => !['length', 'name', 'prototype'].includes(name))))
  return found
}
