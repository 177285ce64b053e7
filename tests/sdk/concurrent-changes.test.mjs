// Many calls about one sandbox at the same time: its policy, its pause, its resume, its end. Whatever the order was, there was
// one: no call fails in a way that no order explains, what is shown afterwards is what one of them asked for, and it holds.
import assert from 'node:assert/strict'
import { api } from './support/network.mjs'
import { domain, eachSdk, it } from './support/sdks.mjs'
import { eventually, get, open } from './support/sandbox.mjs'

const kLists = [['1.1.1.1/32'], ['9.9.9.9/32'], ['1.1.1.1/32', '9.9.9.9/32'], []]
const state = async () => JSON.parse((await get(`https://${domain}/_sandlot/state`)).text)

// Whether a TCP connection and a datagram are answered from there.
async function reaches(sandbox, address) {
  const { stdout } = await sandbox.commands.run(`python3 -c '
import socket
def tcp():
    with socket.create_connection(("${address}", 9000), 2) as s: s.sendall(b"x"); return s.recv(1)
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s: s.settimeout(0.7); s.sendto(b"x", ("${address}", 7777)); return s.recv(1)
for way in (tcp, udp):
    try: print(1 if way() else 0, end="")
    except OSError: print(0, end="")'`)
  return stdout
}

eachSdk('changes at the same time', (sdk) => {
  const { Sandbox } = sdk
  const path = (sandbox) => `/sandboxes/${sandbox.sandboxId}`
  const calls = {
    put: (sandbox, i) => api('PUT', `${path(sandbox)}/network`, { denyOut: kLists[i % kLists.length] }),
    connect: (sandbox) => api('POST', `${path(sandbox)}/connect`, { timeout: 120 }),
    pause: (sandbox) => api('POST', `${path(sandbox)}/pause`),
    resume: (sandbox) => api('POST', `${path(sandbox)}/resume`, { timeout: 120 }),
    kill: (sandbox) => api('DELETE', path(sandbox)),
  }
  const may = {
    put: [204, 404, 409], connect: [200, 201, 404], pause: [204, 404, 409], resume: [201, 404, 409], kill: [204, 404],
  }
  // All of them at once; what each of them came to.
  async function together(sandbox, names) {
    const answers = await Promise.all(names.map(async (name, i) => ({ name, i, ...await calls[name](sandbox, i) })))
    for (const { name, status, json } of answers) assert.ok(may[name].includes(status), `${name}: ${status} ${JSON.stringify(json)}`)
    return answers
  }
  const rotated = (names, by) => names.map((_, i) => names[(i + by) % names.length])

  it('policies, pauses and resumes leave one of the policies in force', async (t) => {
    for (let round = 0; round < 5; round++) {
      const sandbox = await open(t, sdk)
      const names = rotated(['put', 'pause', 'put', 'connect', 'put', 'resume', 'put', 'pause', 'put', 'connect'], round * 3)
      const answers = await together(sandbox, names)
      const again = await Sandbox.connect(sandbox.sandboxId)
      const { network, state: shown } = await again.getInfo()
      assert.equal(shown, 'running')
      const asked = answers.filter(({ name, status }) => name === 'put' && status === 204).map(({ i }) => kLists[i % kLists.length])
      asked.push(...(asked.length ? [] : [[]])) // each of them met a pause
      const denied = network?.denyOut ?? []
      assert.ok(asked.some((list) => JSON.stringify(list) === JSON.stringify(denied)), JSON.stringify(denied))
      for (const address of ['1.1.1.1', '9.9.9.9']) {
        assert.equal(await reaches(again, address), denied.includes(`${address}/32`) ? '00' : '11', `${address} with ${denied}`)
      }
    }
  })

  it('the last of many policies, each answered before the next is sent, is in force', async (t) => {
    const sandbox = await open(t, sdk)
    const moving = Promise.all([together(sandbox, ['pause', 'connect']), together(sandbox, ['connect', 'pause'])])
    for (let i = 0; i < 12; i++) {
      // A paused one refuses; the next connect is not far.
      await eventually(`policy ${i}`, async () => {
        const { status } = await calls.put(sandbox, i % 2)
        if (status !== 204) await calls.connect(sandbox)
        return status === 204
      })
    }
    await moving
    const again = await Sandbox.connect(sandbox.sandboxId)
    assert.deepEqual((await again.getInfo()).network.denyOut, kLists[1])
    assert.deepEqual([await reaches(again, '1.1.1.1'), await reaches(again, '9.9.9.9')], ['11', '00'])
  })

  it('an end in the middle is an end: nothing answers afterwards, and nothing is left', async (t) => {
    const counts = async () => (await state()).counts
    let before = await counts()
    let steady = 0
    // What earlier tests ended is removed in the background, and the pool of networks filled.
    await eventually('the emulator rests', async () => {
      const now = await counts()
      steady = JSON.stringify(now) === JSON.stringify(before) ? steady + 1 : 0
      before = now
      return steady === 20
    })
    for (let round = 0; round < 5; round++) {
      const sandbox = await open(t, sdk)
      await together(sandbox, rotated(['put', 'pause', 'connect', 'kill', 'put', 'connect', 'put', 'pause', 'kill'], round * 2))
      for (const name of ['put', 'connect', 'pause', 'resume', 'kill']) {
        const { status, json } = await calls[name](sandbox, 0)
        assert.equal(status, 404, `${name} after the end: ${JSON.stringify(json)}`)
      }
      assert.ok(!(await state()).sandboxes.some(({ id, sandboxID }) => (id ?? sandboxID) === sandbox.sandboxId))
    }
    let left
    await eventually(() => `${JSON.stringify(left)} of ${JSON.stringify(before)}`, async () => {
      const now = await counts()
      left = Object.keys(now).filter((kind) => now[kind] > (before[kind] ?? 0)).map((kind) => `${kind}: ${now[kind]}`)
      return left.length === 0
    })
  })
}, { concurrency: 1 })
