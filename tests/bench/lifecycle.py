"""The parts `pause` and `paused` of bench.py: what pausing and going on cost beside the kernel's own freezer, what the first
request to a paused sandbox costs, and what many paused sandboxes cost while nothing happens."""

import glob
import json
import os
import time

from harness import KEY, Connection, Samples, Sandbox, Workspace, exit_of, family, http, interleave, now_us

HEADERS = ["Content-Type: application/json", f"X-API-KEY: {KEY}"]
SETTLED = 1.5  # seconds after a pause: what it leaves to do in the background is over


def api(method, path, body=None):
    """`path` with {}: of a sandbox."""
    text = b"" if body is None else json.dumps(body).encode()
    return lambda sandbox=None: http(method, "api.localhost", path.format(sandbox.id if sandbox else ""), text, HEADERS)


PAUSE = api("POST", "/sandboxes/{}/pause")
CONNECT = api("POST", "/sandboxes/{}/connect", {"timeout": 3600})


def timed(emulator, wire, *expected):
    """(body, microseconds) of a request over the kept connection."""
    begin = now_us()
    status, body = emulator.api.exchange(wire)
    took = now_us() - begin
    if status not in expected:
        raise RuntimeError(f"{status} {body.decode(errors='replace')}")
    return body, took


def create(emulator, **settings):
    body, _ = timed(emulator, api("POST", "/sandboxes", {"templateID": "base", "timeout": 3600, **settings})(), 201)
    return Sandbox(json.loads(body))


def run_script(emulator, sandbox, script):
    """Runs it with bash; returns when it has ended well."""
    connection = Connection(emulator.port)
    connection.socket.settimeout(120)
    exit_of(connection.exchange(sandbox.start_request("/bin/bash", "-c", script))[1])
    connection.close()


def hierarchy(kind, option):
    """Where a cgroup hierarchy is mounted, or None."""
    for line in open("/proc/self/mountinfo"):
        left, right = line.split(" - ")
        name, _, options = right.split()[:3]
        if name == kind and (option is None or option in options.split(",")):
            return left.split()[4]
    return None


class BareFreezer:
    """The freezer of a running sandbox's own cgroup, by its files: version 2 wherever that is mounted, else version 1. Waits by
    reading the state over and over, so that nothing can be faster."""

    def __init__(self, sandbox):
        root, self.words, names = hierarchy("cgroup2", None), (b"0", b"1"), ("cgroup.freeze", "cgroup.events")
        self.states = b"frozen 0", b"frozen 1"
        if root is None:
            root, self.words, names = hierarchy("cgroup", "freezer"), (b"THAWED", b"FROZEN"), ("freezer.state",) * 2
            self.states = self.words
        found = glob.glob(f"{root}/**/sandlot/*/{sandbox.id}", recursive=True)
        if not found:
            raise RuntimeError(f"no cgroup of {sandbox.id} in {root}")
        self.control = os.open(f"{found[0]}/{names[0]}", os.O_WRONLY)
        self.state = os.open(f"{found[0]}/{names[1]}", os.O_RDONLY)
        self.processes = len(open(f"{found[0]}/cgroup.procs").read().split())

    def set(self, frozen):
        """Microseconds until the kernel says that it is so."""
        begin = now_us()
        os.write(self.control, self.words[frozen])
        while self.states[frozen] not in os.pread(self.state, 256, 0):
            pass
        return now_us() - begin

    def stop(self):
        os.close(self.control)
        os.close(self.state)


class PauseBench:
    def __init__(self, bench, workspace):
        self.bench, self.report, self.pairs = bench, bench.report, bench.options.pairs
        self.workspace, self.emulator = workspace, bench.emulator(workspace, "pause")

    def run(self):
        for more in (0, 50):
            self.against_freezer(more)
        self.first_request()

    def against_freezer(self, more):
        """Two sandboxes that are the same: one is paused by the API, the other one frozen by its cgroup's files."""
        ours, twin = create(self.emulator), create(self.emulator)
        for sandbox in (ours, twin):
            run_script(self.emulator, sandbox, f"for ((i = 0; i < {more}; ++i)); do sleep 7200 &>/dev/null & done")
        bare = self.workspace.keep(BareFreezer(twin))
        pauses, refused, resumes, freezes, thaws = Samples(), Samples(), Samples(), Samples(), Samples()
        self.report.quiet(f"pause, {bare.processes} processes")

        def step_ours():
            pauses.append(timed(self.emulator, PAUSE(ours), 204)[1])
            time.sleep(0.02)
            refused.append(timed(self.emulator, PAUSE(ours), 409)[1])
            time.sleep(0.02)
            resumes.append(timed(self.emulator, CONNECT(ours), 201)[1])

        def step_bare():
            freezes.append(bare.set(True))
            time.sleep(0.02)
            thaws.append(bare.set(False))

        interleave(self.pairs, 0.02, step_ours, step_bare)
        what = f"{bare.processes} process{'es' if bare.processes > 1 else ''}"
        self.report.row(f"POST /pause, {what}", pauses, "us", freezes, "bare freezer", target=2)
        # The medians, not the pairs: a pair's difference has the noise of both.
        exchange = refused.quantile(0.5)
        self.report.row(f"the same less an exchange that pauses nothing, {what}", [took - exchange for took in pauses], "us", freezes,
                        "bare freezer", target=2, note=f"POST /pause that is refused (409): p50 {exchange:.0f}")
        bare_thaw = thaws.quantile(0.5)
        self.report.row(f"POST /connect to a paused one, {what}, less the bare thaw", [took - bare_thaw for took in resumes], "us",
                        target=1000, note=f"bare thaw: p50 {bare_thaw:.0f}")
        for sandbox in (ours, twin):
            self.emulator.kill(sandbox)

    def first_request(self):
        """Over new connections: to a running sandbox, to one that was paused a moment ago, and to one that has been paused
        for long enough to have given its memory back."""
        sandbox = create(self.emulator, autoPause=True, autoResume={"enabled": True})
        keep, _ = self.bench.probe(self.emulator, sandbox, f"pause-{os.getpid()}")
        wire = http("GET", sandbox.host(7000), "/")
        self.report.quiet("auto-resume")

        def ask():
            begin = now_us()
            connection = Connection(self.emulator.port)
            status, body = connection.exchange(wire)
            took = (now_us() - begin) / 1e3
            connection.close()
            if status != 200:
                raise RuntimeError(f"{status} {body!r}")
            return took

        def woken(after):
            timed(self.emulator, PAUSE(sandbox), 204)
            time.sleep(after)
            return ask()

        running, soon, later = Samples(), Samples(), Samples()
        ask()
        interleave(self.pairs, 0.02, lambda: running.append(ask()), lambda: soon.append(woken(0.02)))
        for _ in range(max(5, self.pairs // 10)):
            later.append(woken(SETTLED))
        usual = running.quantile(0.5)
        for name, took in (("a moment ago", soon), (f"{SETTLED} s ago", later)):
            self.report.row(f"first request to a sandbox paused {name}, less the same to a running one",
                            [one - usual for one in took], "ms", target=5, note=f"to a running one: p50 {usual:.2f}")
        keep.close()
        self.emulator.kill(sandbox)


def pause(bench):
    with Workspace() as workspace:
        PauseBench(bench, workspace).run()


def processor_ns(pids):
    """Time on a processor of all threads, in nanoseconds; of processes that are still there."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            total += int(open(f"/proc/{pid}/task/{task}/schedstat").read().split()[0])
    return total


def idle_percent(emulator, seconds):
    """Of one core, of the server and everything below it."""
    pids = family(emulator.process.pid)
    before = processor_ns(pids)
    time.sleep(seconds)
    return 100 * (processor_ns(pids) - before) / (seconds * 1e9)


class PausedBench:
    def __init__(self, bench, workspace):
        self.report, self.pairs, self.count = bench.report, bench.options.pairs, bench.options.paused
        self.seconds = 2 * bench.options.seconds
        self.emulator = bench.emulator(workspace, "paused")

    def run(self):
        none = idle_percent(self.emulator, self.seconds)
        for _ in range(self.count):
            timed(self.emulator, PAUSE(create(self.emulator)), 204)
        time.sleep(2 * SETTLED)
        self.report.quiet(f"{self.count} paused")
        self.report.row(f"idle CPU of the emulator, {self.count} paused sandboxes", [idle_percent(self.emulator, self.seconds)],
                        "% of a core", target=1, note=f"with none: {none:.2f} %; over {self.seconds} s")
        for number, wire in enumerate(self.pages(), 1):
            took = Samples(timed(self.emulator, wire, 200)[1] / 1e3 for _ in range(self.pairs))
            self.report.row(f"GET /v2/sandboxes, {self.count} paused, page {number}", took, "ms", target=5)
        took = Samples(timed(self.emulator, api("GET", "/sandboxes")(), 200)[1] / 1e3 for _ in range(self.pairs))
        self.report.row(f"GET /sandboxes (none of the {self.count} is running)", took, "ms", target=5)

    def pages(self):
        """The requests for the first, the second and the last page."""
        wires, path = [], "/v2/sandboxes?state=paused&limit=100"
        while path:
            wires.append(api("GET", path)())
            timed(self.emulator, wires[-1], 200)
            token = self.emulator.api.header("x-next-token")
            path = token and f"/v2/sandboxes?state=paused&limit=100&nextToken={token}"
        return wires[:2] + wires[2:][-1:]


def paused(bench):
    with Workspace() as workspace:
        PausedBench(bench, workspace).run()
