// Run by network-lists.test.mjs under an emulator with --network-immutable true: prints "refused".
//   node immutable.mjs SDK
import assert from 'node:assert/strict'
import { api, setNetwork } from './network.mjs'
import { sdks } from './sdks.mjs'

const sdk = sdks.find(({ name }) => name === process.argv[2])
const sandbox = await sdk.Sandbox.create({ network: { denyOut: ['1.1.1.1'] } })
try {
  await assert.rejects(() => setNetwork(sdk, sandbox, { denyOut: [] }), (error) => error instanceof sdk.SandboxError && /fixed once a sandbox exists/.test(error.message))
  const { status, json } = await api('PUT', `/sandboxes/${sandbox.sandboxId}/network`, {})
  assert.deepEqual([status, json.code], [409, 409])
  const connected = await api('POST', `/sandboxes/${sandbox.sandboxId}/connect`, { timeout: 60, network: { allowPublicTraffic: false } })
  assert.equal(connected.status, 409)
  assert.deepEqual((await sandbox.getInfo()).network.denyOut, ['1.1.1.1'])
  assert.equal((await (await sdk.Sandbox.connect(sandbox.sandboxId)).commands.run('echo on')).stdout, 'on\n')
} finally {
  await sandbox.kill()
}
console.log('refused')
process.exit(0)
