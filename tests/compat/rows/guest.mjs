// Sections 5.1-5.6: what a sandbox finds around itself.
import assert from 'node:assert/strict'
import { area, that } from '../support/table.mjs'

const out = async (s, command, user) => {
  const reply = await s.run(command, { user })
  assert.equal(reply.end.exitCode, undefined, `${command}: ${reply.stderr}`)
  return reply.stdout
}

area('The guest', { seconds: 3 }, (row) => {
  const holds = (section, sent, words, check) => row(section, sent, that(words), check)
  holds('5.1', '/run/e2b/.E2B_SANDBOX', '`true`, mode 0444', async (s) => assert.equal(await out(s, 'cat /run/e2b/.E2B_SANDBOX; stat -c " %a" /run/e2b/.E2B_SANDBOX'), 'true 444\n'))
  holds('5.1', '/run/e2b/.E2B_SANDBOX_ID', "the sandbox's id, no newline", async (s) => assert.equal(await out(s, 'cat /run/e2b/.E2B_SANDBOX_ID'), s.id))
  holds('5.1', '/run/e2b/.E2B_TEMPLATE_ID', "the template's id, no newline", async (s) => assert.equal(await out(s, 'cat /run/e2b/.E2B_TEMPLATE_ID'), s.created.templateID))
  holds('5.1', '/.e2b', 'ENV_ID, TEMPLATE_ID, BUILD_ID', async (s) => assert.deepEqual((await out(s, 'cat /.e2b')).trim().split('\n').map((line) => line.split('=')[0]), ['ENV_ID', 'TEMPLATE_ID', 'BUILD_ID']))
  holds('5.1', '/etc/hostname, `hostname`', '`e2b.local`', async (s) => assert.equal(await out(s, 'cat /etc/hostname; hostname'), 'e2b.local\ne2b.local\n'))
  for (const line of ['127.0.0.1 localhost', '::1 localhost ip6-localhost ip6-loopback', '127.0.1.1 e2b.local', '192.0.2.1 events.e2b.local']) {
    holds('5.1', '/etc/hosts', `\`${line}\``, async (s) => {
      const lines = (await out(s, 'cat /etc/hosts')).split('\n').map((one) => one.trim().split(/\s+/).join(' '))
      assert.ok(lines.includes(line), lines.join(' / '))
    })
  }
  holds('5.1', '/etc/resolv.conf', 'a `nameserver` that works here', async (s) => assert.match(await out(s, 'cat /etc/resolv.conf'), /^nameserver \S+$/m))
  holds('5.1', '/etc/profile', 'sets PS1 to `\\w \\$ `, reads ~/.bashrc and ~/.profile', async (s) => {
    const profile = await out(s, 'cat /etc/profile')
    assert.match(profile, /PS1=.*\\w \\\$ /)
    assert.match(profile, /\.bashrc/)
    assert.match(profile, /\.profile/)
  })
  holds('5.1', '`bash -l`', 'SHELL=/bin/bash', async (s) => assert.equal(await out(s, 'bash -l -c "echo \\$SHELL"'), '/bin/bash\n'))
  holds('5.1', '/etc/ssl/certs/ca-certificates.crt', 'a CA bundle', async (s) => assert.match(await out(s, 'head -c 400000 /etc/ssl/certs/ca-certificates.crt'), /BEGIN CERTIFICATE/))
  holds('5.1', 'fs.inotify.max_user_watches', 'at least 65536', async (s) => assert.ok(Number(await out(s, 'cat /proc/sys/fs/inotify/max_user_watches')) >= 65536))
  for (const name of ['E2B_SANDBOX', 'E2B_SANDBOX_ID', 'E2B_TEMPLATE_ID', 'E2B_EVENTS_ADDRESS']) {
    holds('5.2', `\`$${name}\``, { E2B_SANDBOX: '`true`', E2B_SANDBOX_ID: "the sandbox's id", E2B_TEMPLATE_ID: "the template's id", E2B_EVENTS_ADDRESS: '`http://192.0.2.1`' }[name], async (s) => {
      const wanted = { E2B_SANDBOX: 'true', E2B_SANDBOX_ID: s.id, E2B_TEMPLATE_ID: s.created.templateID, E2B_EVENTS_ADDRESS: 'http://192.0.2.1' }[name]
      assert.equal(await out(s, `echo $${name}`), `${wanted}\n`)
    })
  }
  holds('5.4', '`user` in /etc/passwd', 'uid and gid 1000, /home/user, /bin/bash', async (s) => assert.match(await out(s, 'getent passwd user'), /^user:[^:]*:1000:1000:[^:]*:\/home\/user:\/bin\/bash\n$/))
  holds('5.4', 'the groups of `user`', 'sudo among them', async (s) => assert.match(await out(s, 'id -nG'), /\bsudo\b/))
  holds('5.4', '`sudo` as user', 'no password asked', async (s) => assert.equal(await out(s, 'sudo -n id -un'), 'root\n'))
  holds('5.4', '`sudo` of a command with its own environment', 'not seen by the next command', async (s) => {
    assert.equal((await s.run('sudo -n echo "$FOO"', { envs: { FOO: 'bar' } })).stdout, 'bar\n')
    assert.equal(await out(s, 'sudo -n echo "$FOO"'), '\n')
  })
  for (const name of ['.bashrc', '.profile', '.bash_logout']) {
    holds('5.4', `/home/user/${name}`, '-rw-r--r-- user user', async (s) => assert.equal(await out(s, `stat -c '%A %U %G' ~/${name}`), '-rw-r--r-- user user\n'))
  }
  holds('5.4', '/usr/local and /code', 'writable by everybody', async (s) => assert.equal(await out(s, 'touch /usr/local/x /usr/local/bin/x /usr/local/lib/x /code/x && echo yes'), 'yes\n'))
  for (const tool of ['bash', 'sleep', 'cat', 'echo', 'touch', 'ls', 'ln', 'realpath', 'pwd', 'kill', 'rm', 'mkdir', 'sudo', 'curl', 'python', 'python3', 'git', 'tput', 'pgrep', 'node']) {
    holds('5.6', `\`${tool}\``, 'there', async (s) => { await out(s, `bash -l -c 'command -v ${tool}'`) })
  }
  holds('5.6', '`mcp-gateway`', 'not there', async (s) => assert.equal((await s.run('command -v mcp-gateway')).end.exitCode, 1))
  holds('5.6', '`git daemon`', 'there', async (s) => { await out(s, 'test -x "$(git --exec-path)/git-daemon"') })
})
