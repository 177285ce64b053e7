// Starts a web server inside a sandbox and fetches a page from it at once, over https, from outside. Nothing here is
// special to Sandlot: with NOVITA_API_KEY alone the same program talks to the cloud.
import { Sandbox } from 'novita-sandbox/code-interpreter'

const sandbox = await Sandbox.create()

// The server goes on in the background; it serves the directory it was started in, the home of `user`.
const server = await sandbox.commands.run('python -m http.server 3000', { background: true })
const address = `https://${sandbox.getHost(3000)}`
console.log('Server started at:', address)

const response = await fetch(address)
const page = await response.text()
console.log('The server answered:', page)

await server.kill()
await sandbox.kill()
