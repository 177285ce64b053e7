"""TCP through the egress proxy after its verdict, beside HAProxy in TCP mode with splice. A part of bench.py.

    sandbox ── switch ──┐
                        machine (sandlot, haproxy) ── internet (tcp_peer.py)
    client ─────────────┘
All of it in namespaces of the benchmark's own; the "machine" is one of them."""

import os
import socket
import subprocess
import sys

from harness import HERE, Samples, Workspace, interleave, now_us
from machine import own_cpu_us, pin
from netns import Netns, entered
from tcp_peer import ask

MIB = 1 << 20
SERVER, PORT = "93.184.216.34", 5000
MACHINE = "10.99.0.1"  # as the client sees it


class HaProxy:
    """One thread, splice in both directions, Debian's defaults otherwise."""

    def __init__(self, directory, machine):
        (directory / "haproxy.cfg").write_text(f"""
global
  nbthread 1
  maxconn 4000
defaults
  mode tcp
  option splice-request
  option splice-response
  timeout connect 10s
  timeout client 60s
  timeout server 60s
listen tcp
  bind {MACHINE}:{PORT}
  server internet {SERVER}:{PORT}
""")
        with machine.entered():
            self.process = subprocess.Popen(["haproxy", "-db", "-f", directory / "haproxy.cfg"], stdin=subprocess.DEVNULL)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Peer:
    def __init__(self, internet):
        with internet.entered():
            self.process = subprocess.Popen([sys.executable, HERE / "tcp_peer.py", SERVER, str(PORT)],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if not self.process.stdout.readline():
            raise RuntimeError("tcp_peer.py did not start")

    def stop(self):
        self.process.kill()
        self.process.wait()


class Way:
    """One way from a namespace to the server: through `pid`, or through nothing."""

    def __init__(self, namespace, address, pid=None):
        self.namespace, self.address, self.pid = namespace, address, pid
        self.rate, self.cpu = {b"U": Samples(), b"D": Samples()}, {b"U": Samples(), b"D": Samples()}
        self.latency = Samples()

    def connect(self):
        with entered(self.namespace):
            connection = socket.socket()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(60)
        connection.connect((self.address, PORT))
        return connection

    def bulk(self, what, size):
        with self.connect() as connection:
            cpu, begin = own_cpu_us(self.pid), now_us()
            ask(connection, what, size)
            self.rate[what].append(size / MIB / ((now_us() - begin) / 1e6))
            self.cpu[what].append((own_cpu_us(self.pid) - cpu) / 1e3 / (size / 1e9))

    def round_trip(self):
        begin = now_us()
        with self.connect() as connection:
            ask(connection, b"E")
            self.latency.append(now_us() - begin)


def make_network(workspace):
    """(machine, internet, client)"""
    machine, internet, client = (workspace.keep(Netns()) for _ in range(3))
    machine.link("wan", "203.0.113.2/24", internet, "machine", "203.0.113.1/24")
    machine.link("lan", f"{MACHINE}/24", client, "machine", "10.99.0.2/24")
    internet.ip(f"address add {SERVER}/32 dev lo")
    internet.ip("route add default via 203.0.113.2")
    machine.ip("route add default via 203.0.113.1")
    client.ip(f"route add default via {MACHINE}")
    machine.sysctl("ip_forward", "1")  # for the direct way
    return machine, internet, client


def egress(bench):
    with Workspace() as workspace:
        machine, internet, client = make_network(workspace)
        peer = workspace.keep(Peer(internet))
        haproxy = workspace.keep(HaProxy(workspace.directory("haproxy"), machine))
        with machine.entered():
            emulator = bench.emulator(workspace, "egress", internet="host")
            sandbox, _ = emulator.create()
            keep, inside = bench.probe(emulator, sandbox, f"egress-{os.getpid()}")
        # The proxy under test alone on core 0; both ends, the same for both, on core 1.
        own_cores = os.sched_getaffinity(0)
        pin(emulator.process.pid, 0)
        pin(haproxy.process.pid, 0)
        pin(peer.process.pid, 1)
        os.sched_setaffinity(0, {1})
        ours = Way(f"/proc/{inside}/ns/net", SERVER, emulator.process.pid)
        theirs = Way(client.path, MACHINE, haproxy.process.pid)
        direct = Way(client.path, SERVER)
        try:
            measure(bench, ours, theirs, direct)
        finally:
            os.sched_setaffinity(0, own_cores)
        keep.close()


def measure(bench, ours, theirs, direct):
    size = bench.options.mib * MIB
    for what, name in ((b"U", "from the sandbox"), (b"D", "to the sandbox")):
        for way in (ours, theirs):
            way.bulk(what, size // 8)
            del way.rate[what][:], way.cpu[what][:]
        bench.report.quiet(f"egress, {name}")
        interleave(bench.options.rounds, 0.1, lambda: ours.bulk(what, size), lambda: theirs.bulk(what, size))
        bench.report.row(f"{bench.options.mib} MiB {name} through the egress proxy", ours.rate[what], "MiB/s",
                         theirs.rate[what], "HAProxy, TCP mode, splice", sense="more", target=1)
        bench.report.row("the same, CPU of the proxy", ours.cpu[what], "ms/GB", theirs.cpu[what], "HAProxy", target=0.75)
    bench.report.quiet("egress, connect")
    for way in (ours, theirs, direct):
        way.round_trip()
        del way.latency[:]
    interleave(2 * bench.options.pairs, 0.002, ours.round_trip, theirs.round_trip, direct.round_trip)
    added = lambda way: (way.latency.quantile(0.5) - direct.latency.quantile(0.5)) / 1e3
    bench.report.row("connect and one byte there and back, through the egress proxy", ours.latency, "us", theirs.latency,
                     "HAProxy", note=f"without a proxy {direct.latency.quantile(0.5):.0f}")
    bench.report.row("what the egress proxy adds to it, p50", [added(ours)], "ms", target=0.3,
                     note=f"HAProxy adds {added(theirs):.3f}")
