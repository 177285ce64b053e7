// Sections 5.1-5.6 and 5.11: what a sandbox finds around itself.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { eventually } from '../../sdk/support/sandbox.mjs'
import { area, that } from '../support/table.mjs'
import { exchange } from '../support/wire.mjs'

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
  holds('5.1', '/.e2b', 'ENV_ID and TEMPLATE_ID of its template, BUILD_ID', async (s) => {
    const lines = (await out(s, 'cat /.e2b')).trimEnd().split('\n')
    assert.deepEqual(lines.slice(0, 2), [`ENV_ID=${s.created.templateID}`, `TEMPLATE_ID=${s.created.templateID}`])
    assert.match(lines[2], /^BUILD_ID=[0-9a-f-]{36}$/)
    assert.equal(lines.length, 3)
  })
  holds('5.1', '/etc/hostname, `hostname`', '`e2b.local`', async (s) => assert.equal(await out(s, 'cat /etc/hostname; hostname'), 'e2b.local\ne2b.local\n'))
  for (const line of ['127.0.0.1 localhost', '::1 localhost ip6-localhost ip6-loopback', 'fe00:: ip6-localnet', 'ff00:: ip6-mcastprefix', '127.0.1.1 e2b.local', '192.0.2.1 events.e2b.local']) {
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
  holds('5.1', '/dev/fuse', 'mode 666, and it opens', async (s) => assert.equal(await out(s, "stat -c '%a %F' /dev/fuse; exec 3<>/dev/fuse && echo open"), '666 character special file\nopen\n'))
  holds('5.1', '/etc/profile.d/shell.sh', '`export SHELL=/bin/bash`', async (s) => assert.equal(await out(s, 'cat /etc/profile.d/shell.sh'), 'export SHELL=/bin/bash\n'))
  holds('5.1', '`bash -l` with a ~/.bashrc and a ~/.profile of its own', 'both read by /etc/profile, the second once more by bash itself', async (s) => {
    assert.equal(await out(s, 'mkdir /tmp/home; echo echo rc > /tmp/home/.bashrc; echo echo profile > /tmp/home/.profile; HOME=/tmp/home bash -l -c true'), 'rc\nprofile\nprofile\n')
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
  // What only the real daemon and its orchestrator need of one another.
  row('5.3', '`PUT http://169.254.169.254/latest/api/token`, the metadata service', that('nobody answers'), async (s) => {
    assert.notEqual((await s.run("curl -s --noproxy '*' -m 1 -X PUT -H 'X-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token")).end.exitCode ?? 0, 0)
  }, { differs: 'only the daemon asks it; this one gets its configuration from the emulator' })
  row('5.3', '`GET http://events.e2b.local/me`, the event server', that('the name is known; nobody answers'), async (s) => {
    assert.match(await out(s, 'getent hosts events.e2b.local'), /^192\.0\.2\.1\s/)
    assert.notEqual((await s.run("curl -s --noproxy '*' -m 1 http://events.e2b.local/me")).end.exitCode ?? 0, 0)
  }, { differs: 'optional; nothing in a sandbox has to reach the orchestrator' })
  holds('5.4', '`root` and `user`', 'no password', async (s) => {
    const fields = (await out(s, "grep -E '^(root|user):' /etc/shadow | cut -d: -f1,2", 'root')).trim().split('\n').sort()
    for (const line of fields) assert.match(line, /^(root|user):[!*]*$/)
    assert.equal(fields.length, 2)
  })
  holds('5.4', '/etc/sudoers', '`user ALL=(ALL:ALL) NOPASSWD: ALL`', async (s) => assert.ok((await out(s, 'cat /etc/sudoers', 'root')).split('\n').includes('user ALL=(ALL:ALL) NOPASSWD: ALL')))
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
  holds('5.4', 'everything below /usr/local and /code', 'mode 777', async (s) => assert.equal(await out(s, 'find /usr/local /code ! -type l ! -perm -0777'), ''))
  holds('5.4', 'where `pip install` goes without sudo', 'below /usr/local, and writable', async (s) => {
    await out(s, `python3 -c '
import os, sysconfig
paths = sysconfig.get_paths(scheme="posix_local")
for path in (paths["purelib"], paths["scripts"]):
    os.makedirs(path, exist_ok=True)
    assert path.startswith("/usr/local/") and os.access(path, os.W_OK), path'`)
  })
  holds('5.4', 'the working directory of a command', 'the home of its user', async (s) => assert.equal(await out(s, 'pwd') + await out(s, 'pwd', 'root'), '/home/user\n/root\n'))
  holds('5.4', '/usr/local and /code', 'writable by everybody', async (s) => assert.equal(await out(s, 'touch /usr/local/x /usr/local/bin/x /usr/local/lib/x /code/x && echo yes'), 'yes\n'))
  for (const tool of ['bash', 'sleep', 'cat', 'echo', 'touch', 'ls', 'ln', 'realpath', 'pwd', 'kill', 'rm', 'mkdir', 'sudo', 'curl', 'python', 'python3', 'git', 'tput', 'pgrep', 'node']) {
    holds('5.6', `\`${tool}\``, 'there', async (s) => { await out(s, `bash -l -c 'command -v ${tool}'`) })
  }
  holds('5.6', '`mcp-gateway`', 'not there', async (s) => assert.equal((await s.run('command -v mcp-gateway')).end.exitCode, 1))
  holds('5.6', '`git daemon`', 'there', async (s) => { await out(s, 'test -x "$(git --exec-path)/git-daemon"') })
  holds('5.6', '`git init --initial-branch`', 'known: git 2.28 or later', async (s) => { await out(s, 'git init -q --initial-branch=trunk /tmp/repository && grep -q trunk /tmp/repository/.git/HEAD') })
  holds('5.6', '`git push` over `git daemon` with receive-pack on 127.0.0.1', 'arrives', async (s) => {
    await out(s, `cd /tmp && git init -q --bare served.git && touch served.git/git-daemon-export-ok
      git daemon --reuseaddr --base-path=/tmp --enable=receive-pack --listen=127.0.0.1 --port=9419 --detach --pid-file=/tmp/git.pid
      git -C /tmp init -q work && cd work && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m one
      for i in $(seq 100); do git push -q git://127.0.0.1:9419/served.git HEAD:main 2>/dev/null && break; sleep 0.1; done
      kill "$(cat /tmp/git.pid)"; git -C /tmp/served.git log --format=%s main | grep -q one`)
  })
  holds('5.6', 'terminfo of `xterm-256color`', 'there', async (s) => assert.equal(await out(s, 'TERM=xterm-256color tput colors'), '256\n'))
  holds('5.6', 'a process of `python3 -m http.server`, seen by `pgrep`', 'found', async (s) => { await out(s, 'cd /tmp; python3 -m http.server 4711 >/dev/null 2>&1 & sleep 0.1; pgrep -f "http.server 4711" && kill $!') })
  // Everything else of a template that is made of this machine's /usr is as this machine has it.
  const kMachine = { differs: "`base` is made of this machine's `/usr`" }
  const kPackages = {
    systemd: '/usr/bin/systemctl', 'systemd-sysv': '/usr/sbin/init', 'openssh-server': '/usr/sbin/sshd', sudo: '/usr/bin/sudo', chrony: '/usr/sbin/chronyd',
    socat: '/usr/bin/socat', curl: '/usr/bin/curl', 'ca-certificates': '/usr/sbin/update-ca-certificates', fuse3: '/usr/bin/fusermount3',
    iptables: '/usr/sbin/iptables', git: '/usr/bin/git', 'nfs-common': '/usr/sbin/mount.nfs', less: '/usr/bin/less', nftables: '/usr/sbin/nft',
    'iputils-ping': '/usr/bin/ping', jq: '/usr/bin/jq', iproute2: '/usr/bin/ip',
  }
  for (const [name, path] of Object.entries(kPackages)) {
    row('5.5', `the package ${name}`, that('there when the machine has it'), async (s) => {
      assert.equal((await s.run(`test -e ${path}`)).end.exitCode ?? 0, existsSync(path) ? 0 : 1)
    }, kMachine)
  }
  for (const command of ['python3 --version', 'node --version', 'git --version']) {
    row('5.6', `\`${command}\``, that("the machine's"), async (s) => {
      const program = command.split(' ')[0]
      if (!existsSync(`/usr/bin/${program}`)) return // a machine may have it elsewhere, where no sandbox looks
      assert.equal(await out(s, `bash -l -c '${command}'`), execFileSync('/bin/bash', ['-c', `PATH=/usr/bin:/bin; ${command}`]).toString())
    }, kMachine)
  }
  row('5.6', 'pip, yarn, gh, build-essential, libbluetooth-dev, tk-dev, uuid-dev', that('there when the machine has them'), async (s) => {
    for (const path of ['/usr/bin/pip', '/usr/bin/yarn', '/usr/bin/gh', '/usr/bin/gcc', '/usr/bin/make', '/usr/include/bluetooth/bluetooth.h', '/usr/include/tk.h', '/usr/include/uuid/uuid.h']) {
      assert.equal((await s.run(`test -e ${path}`)).end.exitCode ?? 0, existsSync(path) ? 0 : 1, path)
    }
  }, kMachine)
  row('5.6', 'the user and the group `node`', that('system accounts'), async (s) => assert.match(await out(s, 'getent passwd node; getent group node'), /^node:[^:]*:[1-9]\d{2}:.*\nnode:[^:]*:[1-9]\d{2}:/))
  row('5.5', 'pid 1', that('the daemon, as root, and the parent of every command'), async (s) => {
    assert.equal(await out(s, 'cat /proc/1/comm; stat -c %U /proc/1; echo $PPID'), 'envd\nroot\n1\n')
  }, { differs: 'there is no systemd; the daemon cannot be restarted, its end is the end of the sandbox' })
  row('5.5', 'nice and oom score of the daemon', that('nice 0; its commands are ended before it'), async (s) => {
    const [nice, own, command] = (await out(s, "cut -d' ' -f19 /proc/1/stat; cat /proc/1/oom_score_adj; cat /proc/$$/oom_score_adj")).trim().split('\n').map(Number)
    assert.equal(nice, 0)
    assert.ok(own < command, `${own} ${command}`)
  }, { differs: 'the limits of a sandbox are its own; nobody outside is to be outrun' })
})

// 5.11: the gateway itself is in no template here; a script stands for it.
area('The MCP gateway', {}, (row) => {
  const kGateway = `#!/bin/bash
[ "$1" = --config ] || { echo "usage" >&2; exit 2; }
mkdir -p /etc/mcp-gateway /tmp/gateway && printf %s "$GATEWAY_ACCESS_TOKEN" > /etc/mcp-gateway/.token
id -un > /tmp/gateway/mcp; printf %s "$2" >> /tmp/gateway/mcp
cd /tmp/gateway; setsid python3 -m http.server 50005 >/dev/null 2>&1 </dev/null &
`
  const config = JSON.stringify({ server: { key: "a 'quoted' value" } })
  const quoted = `'${config.replaceAll("'", "'\\''")}'`
  row('5.11', '`mcp-gateway --config …` in `base`', that('exit code 127, and the shell says why'), async (s) => {
    const reply = await s.run(`mcp-gateway --config ${quoted}`, { user: 'root', envs: { GATEWAY_ACCESS_TOKEN: 'secret' } })
    assert.equal(reply.end.exitCode, 127)
    assert.match(reply.stderr, /mcp-gateway: command not found/)
  })
  row('5.11', '`mcp-gateway --config …` where there is one, as root', that('it gets the configuration and `GATEWAY_ACCESS_TOKEN`'), async (s) => {
    await s.write('/usr/local/bin/mcp-gateway', kGateway)
    await s.run('chmod 755 /usr/local/bin/mcp-gateway', { user: 'root' })
    const reply = await s.run(`mcp-gateway --config ${quoted}`, { user: 'root', envs: { GATEWAY_ACCESS_TOKEN: 'secret' } })
    assert.equal(reply.end.exitCode, undefined, reply.stderr)
    assert.equal((await s.get('/files', { path: '/tmp/gateway/mcp' })).text, `root\n${config}`)
  })
  row('5.11', '`GET /files` of /etc/mcp-gateway/.token, as root', that('the token'), async (s) => assert.equal((await s.get('/files', { path: '/etc/mcp-gateway/.token', username: 'root' })).text, 'secret'))
  row('5.11', 'port 50005, path /mcp', that('the gateway'), async (s) => {
    await eventually('it answers', async () => (await exchange(s.at(50005), { path: '/mcp' })).text === `root\n${config}`)
  })
})
