// What the vendor's documentation shows first: a public URL, and a server inside the sandbox. The same calls in the
// same order, nothing added between them.
import assert from 'node:assert/strict'
import { Sandbox } from 'novita-sandbox/code-interpreter'
import { domain, it } from './support/sdks.mjs'

it('the public URL of a sandbox', async () => {
  const sandbox = await Sandbox.create()
  const host = sandbox.getHost(3000)
  assert.equal(`https://${host}`, `https://3000-${sandbox.sandboxId}.${domain}`)
  await sandbox.kill()
  assert.equal(await sandbox.isRunning(), false)
})

it('a server inside the sandbox, fetched at once', async () => {
  const sandbox = await Sandbox.create()
  const commandHandle = await sandbox.commands.run('python -m http.server 3000', { background: true })
  const response = await fetch(`https://${sandbox.getHost(3000)}`)
  const data = await response.text()
  await commandHandle.kill()
  await sandbox.kill()
  assert.equal(response.status, 200)
  assert.match(data, /<title>Directory listing for \/<\/title>/)
  for (const name of ['.bash_logout', '.bashrc', '.profile']) assert.ok(data.includes(`<a href="${name}">${name}</a>`), data)
})

it('the same ten times over, without a sleep', async () => {
  for (let i = 0; i < 10; ++i) {
    const sandbox = await Sandbox.create({ allowInternetAccess: true })
    const commandHandle = await sandbox.commands.run('python -m http.server 3000', { background: true })
    const response = await fetch(`https://${sandbox.getHost(3000)}`)
    assert.match(await response.text(), /\.bashrc/)
    await commandHandle.kill()
    await sandbox.kill()
  }
})
