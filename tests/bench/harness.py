"""What the benchmarks stand on: a raw keep-alive HTTP client, the emulator and the yardsticks as processes, samples and
their quantiles. Used by bench.py only; knows nothing about what is measured. Python's standard library only."""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
KEY = "e2b_" + "0123456789" * 4


def now_us():
    return time.perf_counter_ns() / 1e3


class Samples(list):
    """Measured values of one kind, in the unit of the row they go to."""

    def quantile(self, q):
        ordered = sorted(self)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))]

    def summary(self):
        if not self:
            return None
        return {"n": len(self), "min": min(self), "p50": self.quantile(0.5), "p99": self.quantile(0.99), "max": max(self)}


def busy_percent(seconds=1.0):
    def read():
        fields = [int(x) for x in open("/proc/stat").readline().split()[1:]]
        return sum(fields[:8]), fields[3] + fields[4]

    total, idle = read()
    time.sleep(seconds)
    total2, idle2 = read()
    return 100.0 * (1 - (idle2 - idle) / max(1, total2 - total))


def wait_quiet(limit_seconds):
    """Waits for a second with less than 12 % of the machine busy; returns the last load seen."""
    end = time.monotonic() + limit_seconds
    while (busy := busy_percent()) >= 12 and time.monotonic() < end:
        pass
    return round(busy, 1)


class Connection:
    """One keep-alive connection; requests are bytes prepared before the clock starts."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.head = b""

    def close(self):
        self.socket.close()

    def _more(self):
        chunk = self.socket.recv(1 << 20)
        if not chunk:
            raise ConnectionError("closed by the server")
        self.rest += chunk

    def _line(self):
        while (end := self.rest.find(b"\r\n")) < 0:
            self._more()
        line, self.rest = self.rest[:end], self.rest[end + 2:]
        return line

    def _bytes(self, count):
        while len(self.rest) < count:
            self._more()
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def exchange(self, wire):
        """Sends a whole request; returns (status, body)."""
        self.socket.sendall(wire)
        return self.answer()

    def answer(self):
        """(status, body) of the next answer, of which `rest` may hold something already."""
        while (end := self.rest.find(b"\r\n\r\n")) < 0:
            self._more()
        head, self.rest = self.rest[:end].lower(), self.rest[end + 4:]
        self.head = head
        status = int(head[9:12])
        if (at := head.find(b"content-length:")) >= 0:
            return status, self._bytes(int(head[at + 15:].split(b"\r\n", 1)[0]))
        if b"transfer-encoding: chunked" not in head:
            return status, b""
        body = b""
        while chunk := self.chunk():
            body += chunk
        return status, body

    def header(self, name):
        """Of the last answer, in lower case; None when it has no such header."""
        for line in self.head.decode().split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key == name:
                return value.strip()
        return None

    def chunk(self):
        """The next chunk of a chunked answer whose head was read; b"" is its end."""
        data = self._bytes(int(self._line().split(b";")[0], 16))
        self._line()
        return data


def http(method, host, path, body=b"", headers=(), length=None):
    """`length`: of a body that is sent afterwards."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {length or len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Sandbox:
    def __init__(self, answer):
        self.id = answer["sandboxID"]
        token = answer.get("envdAccessToken")
        self.headers = [f"X-Access-Token: {token}"] if token else []

    def host(self, port):
        return f"{port}-{self.id}.localhost"

    def start_request(self, *argv, stdin=False):
        return self.stream_request("/process.Process/Start", {"process": {"cmd": argv[0], "args": argv[1:]}, "stdin": stdin})

    def stream_request(self, path, message):
        message = json.dumps(message).encode()
        return http("POST", self.host(49983), path, struct.pack(">BI", 0, len(message)) + message,
                    ["Content-Type: application/connect+json", "Connect-Protocol-Version: 1", *self.headers])

    def delete_request(self):
        return http("DELETE", "api.localhost", f"/sandboxes/{self.id}", b"", [f"X-API-KEY: {KEY}"])


def envelopes(body):
    """(flags, message) of every envelope of a JSON stream."""
    at = 0
    while at + 5 <= len(body):
        flags, size = struct.unpack_from(">BI", body, at)
        yield flags, json.loads(body[at + 5:at + 5 + size])
        at += 5 + size


def exit_of(body):
    """The end event of a Start stream; raises when the command did not end well."""
    end = None
    for flags, message in envelopes(body):
        if flags & 2 and "error" in message:
            raise RuntimeError(f"command failed: {message}")
        end = message.get("event", {}).get("end", end)
        data = message.get("event", {}).get("data", {})
        for stream in ("stderr",):
            if stream in data:
                raise RuntimeError("stderr: " + base64.b64decode(data[stream]).decode(errors="replace"))
    if not end or end.get("exitCode", 0) != 0:
        raise RuntimeError(f"command ended with {end}")


CREATE = http("POST", "api.localhost", "/sandboxes", b'{"templateID":"base","timeout":3600}',
              ["Content-Type: application/json", f"X-API-KEY: {KEY}"])


def process_table():
    """pid -> (parent, cpu ticks of itself and of its reaped children)."""
    table = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            fields = open(f"/proc/{entry}/stat").read().rsplit(")", 1)[1].split()
            table[int(entry)] = (int(fields[1]), sum(int(x) for x in fields[11:15]))
    return table


def family(pid, table=None):
    """`pid` and everything below it."""
    table = table or process_table()
    found, queue = [], [pid]
    while queue:
        parent = queue.pop()
        found.append(parent)
        queue += [child for child, (above, _) in table.items() if above == parent]
    return found


class Workspace:
    """A directory on the data disk that goes away, with everything that was started in it."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="sandlot-bench-", dir="/var/tmp"))
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def directory(self, name):
        path = self.path / name
        path.mkdir(exist_ok=True)
        return path

    def keep(self, thing):
        self.stack.callback(thing.stop)
        return thing


class Emulator:
    """`sandlot serve` on a free port with data and run directories of its own; `inside` is what it is started by, and becomes."""

    def __init__(self, binary, directory, *flags, internet="none", inside=()):
        self.directory = directory
        self.log = open(directory / "log", "ab")
        started = now_us()
        self.process = subprocess.Popen(
            [*inside, binary, "serve", "--port", "0", "--data-dir", directory / "data", "--run-dir", directory / "run",
             "--internet", internet, *flags], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log)
        line = self.process.stdout.readline()
        self.ready_ms = (now_us() - started) / 1e3
        if not line:
            self.process.wait()
            raise RuntimeError(f"serve did not start:\n{(directory / 'log').read_text()[-2000:]}")
        self.port = json.loads(line)["port"]
        self.api = Connection(self.port)

    def stop(self):
        self.api.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def create(self):
        """(Sandbox, microseconds)."""
        begin = now_us()
        status, body = self.api.exchange(CREATE)
        took = now_us() - begin
        if status != 201:
            raise RuntimeError(f"create: {status} {body.decode(errors='replace')}")
        return Sandbox(json.loads(body)), took

    def kill(self, sandbox):
        wire = sandbox.delete_request()
        begin = now_us()
        status, body = self.api.exchange(wire)
        took = now_us() - begin
        if status != 204:
            raise RuntimeError(f"kill: {status} {body.decode(errors='replace')}")
        return took

    def cpu_us(self):
        """User and system time of the server, the spawner and every process below them, ended ones included."""
        table = process_table()
        return sum(table[pid][1] for pid in family(self.process.pid, table)) * 1e6 / os.sysconf("SC_CLK_TCK")


class LineProgram:
    """A program that answers every line with a line."""

    def __init__(self, argv, first_line=None):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        if first_line is not None and (line := self.process.stdout.readline().strip()) != first_line:
            raise RuntimeError(f"{argv[0]}: {line}")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer or answer[0] != "ok":
            raise RuntimeError(f"{line}: {' '.join(answer)}")
        return answer

    def stop(self):
        self.process.stdin.close()
        self.process.wait(60)


class Floor(LineProgram):
    """The floor program; it measures itself."""

    def __init__(self, program, directory):
        super().__init__([program, directory], "ready")

    def call(self, command):
        """(id, wall microseconds, cpu microseconds)."""
        _, number, wall, cpu = self.ask(command)
        return int(number), float(wall), float(cpu)


class CrunPath(LineProgram):
    """crun_path.sh in a mount and a network namespace of its own."""

    def __init__(self, directory, skeleton):
        self.directory = directory
        shutil.copytree(skeleton, directory / "skeleton", symlinks=True)
        super().__init__(["unshare", "--mount", "--net", "--propagation", "private", "/bin/sh", HERE / "crun_path.sh",
                          directory])
        self.last = 0

    def timed(self, line):
        begin = now_us()
        self.ask(line)
        return now_us() - begin

    def create(self):
        self.last = self.last % 250 + 1
        bundle = self.directory / f"bundle-{self.last}"
        bundle.mkdir(exist_ok=True)
        (bundle / "config.json").write_text(json.dumps(crun_config(self.last)))
        return self.last, self.timed(f"create {self.last}")


def crun_config(number):
    """A container like a sandbox, without the user namespace: that favours crun."""
    capabilities = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID"]
    mount = lambda target, kind, source, *options: {
        "destination": target, "type": kind, "source": source, "options": list(options)}
    return {
        "ociVersion": "1.0.0",
        "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": ["/bin/sleep", "3600"], "cwd": "/",
                    "env": ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/root", "USER=root", "LOGNAME=root"],
                    "capabilities": {name: capabilities for name in ("bounding", "effective", "permitted")}},
        "root": {"path": "rootfs"},
        "hostname": "sandbox",
        "mounts": [mount("/usr", "bind", "/usr", "bind", "ro"),
                   mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
                   mount("/dev", "tmpfs", "tmpfs", "nosuid", "mode=755"),
                   mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666"),
                   mount("/dev/shm", "tmpfs", "shm", "nosuid", "nodev", "mode=1777"),
                   mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro")],
        "linux": {
            "namespaces": [{"type": name} for name in ("pid", "mount", "ipc", "uts", "cgroup")]
                          + [{"type": "network", "path": f"/run/netns/n{number}"}],
            "cgroupsPath": f"/sandlot-bench-{os.getpid()}-{number}",
            "resources": {"memory": {"limit": 512 << 20}, "pids": {"limit": 4096}, "cpu": {"quota": 200000, "period": 100000}},
            "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["acct", "add_key", "bpf", "clock_settime", "delete_module", "finit_module", "init_module",
                           "ioperm", "iopl", "kexec_load", "keyctl", "perf_event_open", "quotactl", "reboot",
                           "request_key", "settimeofday", "swapoff", "swapon", "syslog", "userfaultfd"],
                 "action": "SCMP_ACT_ERRNO"}]},
        },
    }


def run_ended(argv, seconds=300):
    """Standard output of a program that ends well within the time; it is asked to end when it does not."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        output, errors = process.communicate(timeout=60)
    if process.returncode != 0:
        raise RuntimeError(f"{argv[0]} ended with {process.returncode}: {output[-1000:]}{errors[-3000:]}")
    return output


def interleave(pairs, gap_seconds, *steps):
    """Runs every step `pairs` times, A B A B, the order reversed in every second round, a gap before each."""
    for round_number in range(pairs):
        for step in steps if round_number % 2 == 0 else reversed(steps):
            time.sleep(gap_seconds)
            step()
