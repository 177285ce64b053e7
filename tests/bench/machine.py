"""nginx, wrk, pinning and what the kernel says about memory and CPU time. Used by bench.py."""

import os
import re
import socket
import subprocess
import time

from harness import family


class Nginx:
    """nginx with one worker; `main` and `http` are lines of its configuration, `inside` what it is started by."""

    def __init__(self, directory, main, http, inside=()):
        (directory / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; {main} pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
{http}}}
""")
        self.process = subprocess.Popen([*inside, "nginx", "-p", directory, "-c", directory / "nginx.conf"],
                                        stdin=subprocess.DEVNULL)
        time.sleep(0.5)
        if self.process.poll() is not None:
            raise RuntimeError("nginx did not start")

    def worker(self):
        return [pid for pid in family(self.process.pid) if pid != self.process.pid][-1]

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class ProxyNginx(Nginx):
    """Before `backend`, on core 0, in the sandbox's network namespace."""

    def __init__(self, directory, inside, backend):
        super().__init__(directory, "worker_cpu_affinity 01;", f"""
  keepalive_requests 100000000;
  upstream sandbox {{ server {backend}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:8080;
    location / {{ proxy_pass http://sandbox; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
""", inside)


class FileNginx(Nginx):
    """Serves and accepts (PUT) files of its directory on a loopback port."""

    def __init__(self, directory):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (directory / "www").mkdir(exist_ok=True)
        directory.chmod(0o755)
        super().__init__(directory, "user root;", f"""
  sendfile on; client_max_body_size 0;
  server {{ listen 127.0.0.1:{self.port}; root {directory}/www; location / {{ dav_methods PUT; }} }}
""")


def pin(pid, core):
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {core})


def own_cpu_us(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")


def wrk(pid, inside, connections, url, seconds, *headers):
    """One run on core 1: requests per second, p50 in us, CPU us per request of process `pid`."""
    before = own_cpu_us(pid)
    text = subprocess.run([*inside, "taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
                           *[part for header in headers for part in ("-H", header)], url],
                          check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(text)
    requests = int(re.search(r"(\d+) requests in", text)[1])
    p50, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", text).groups()
    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
            "p50": float(p50) * {"us": 1, "ms": 1e3, "s": 1e6}[unit], "cpu_us": (own_cpu_us(pid) - before) / requests}


def meminfo_kb():
    fields = dict(line.split(":") for line in open("/proc/meminfo"))
    return {key: int(fields[key].split()[0]) for key in ("Slab", "AnonPages", "PageTables", "KernelStack", "Percpu")}


def status_kb(pid, key):
    match = re.search(rf"^{key}:\s+(\d+)", open(f"/proc/{pid}/status").read(), re.M)
    return int(match[1]) if match else 0


def smaps_kb(pid, key):
    match = re.search(rf"^{key}:\s+(\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M)
    return int(match[1]) if match else 0
