"""Network namespaces of the benchmark's own, and the links between them. Used by egress.py."""

import contextlib
import ctypes
import os
import pathlib
import subprocess
import time

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def entered(path):
    """Sockets made and programs started inside belong to the namespace; they stay there afterwards."""
    with open("/proc/thread-self/ns/net") as here, open(path) as there:
        def enter(namespace):
            if LIBC.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns {namespace.name}")
        enter(there)
        try:
            yield
        finally:
            enter(here)


class Netns:
    """A namespace that lives as long as the process that sleeps in it. Loopback is up."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        self.path = f"/proc/{self.process.pid}/ns/net"
        for _ in range(200):
            if os.stat(self.path).st_ino != os.stat("/proc/self/ns/net").st_ino:
                break
            time.sleep(0.01)
        else:
            raise RuntimeError("unshare --net did not work")
        # The machine's default may pace (BBR), which halves what loopback and veth carry: no yardstick for a proxy.
        self.sysctl("tcp_congestion_control", "reno")
        self.ip("link set lo up")

    def stop(self):
        self.process.kill()
        self.process.wait()

    def entered(self):
        return entered(self.path)

    def ip(self, line):
        with self.entered():
            subprocess.run(["ip", *line.split()], check=True)

    def sysctl(self, name, value):
        with self.entered():
            pathlib.Path("/proc/sys/net/ipv4", name).write_text(value)

    def link(self, name, address, other, other_name, other_address):
        self.ip(f"link add {name} type veth peer name {other_name} netns {other.process.pid}")
        for side, link, own in ((self, name, address), (other, other_name, other_address)):
            side.ip(f"address add {own} dev {link}")
            side.ip(f"link set {link} up")
