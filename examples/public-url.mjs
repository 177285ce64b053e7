// Every sandbox has a public address per port. Nothing here is special to Sandlot: with NOVITA_API_KEY alone the same
// program talks to the cloud.
import { Sandbox } from 'novita-sandbox/code-interpreter'

const sandbox = await Sandbox.create()

// The port is part of the host's first label: 3000-<sandbox id>.<domain>
const host = sandbox.getHost(3000)
console.log(`The sandbox is reachable at https://${host}`)

await sandbox.kill()
