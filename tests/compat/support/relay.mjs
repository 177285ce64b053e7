// Run inside a sandbox's network namespace (nsenter): passes connections to a Unix socket on to the daemon's own port, so that
// a row can reach it without the front door. Both halves of a connection close on their own, as they would without it.
import net from 'node:net'

const [path] = process.argv.slice(2)
net.createServer({ allowHalfOpen: true }, (client) => {
  const daemon = net.connect({ host: '127.0.0.1', port: 49983, allowHalfOpen: true })
  client.on('error', () => daemon.destroy())
  daemon.on('error', () => client.destroy())
  client.pipe(daemon)
  daemon.pipe(client)
  client.on('close', () => daemon.destroy())
  daemon.on('close', () => client.destroy())
}).listen({ path, backlog: 4096 }, () => console.log('ready'))
process.stdin.on('end', () => process.exit()).resume() // ends with the runner
