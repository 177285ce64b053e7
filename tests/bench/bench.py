#!/usr/bin/env python3
"""Measures Sandlot beside its yardsticks in the same, interleaved run and prints ratios (docs/performance.md).

  bench.py create | tti | exec | stdout | files | streams | watch | flat | proxy | policy | egress | decision-log | pause |
           copies | paused | memory | all
           [--binary FILE] [--tools DIR] [--json FILE] [--pairs N] ...

Needs root, crun, haproxy, iproute2, nginx, wrk, xfsprogs, node. Makes everything in namespaces and in a directory under /var/tmp, and
removes it. The figures are reported, never asserted: exit code 1 means that a part could not be measured."""

import argparse
import gc
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from harness import (HERE, Connection, CrunPath, Emulator, Floor, Samples, Workspace, exit_of, family, http, interleave,
                     now_us, process_table, run_ended)
from machine import ProxyNginx, meminfo_kb, pin, smaps_kb, status_kb, wrk
from report import Report
import copies
import egress
import envd
import lifecycle
import policy

REPOSITORY = HERE.parent.parent
GAP = 0.05  # seconds between steps: what one leaves to do in the background is not in the next one's time


class Bench:
    def __init__(self, options):
        self.options, self.report = options, Report(options.quiet)
        self.floor_program = options.tools / "sandlot_floor"
        self.probe_program = options.tools / "sandbox_probe"

    def emulator(self, workspace, name, *flags, internet="none"):
        emulator = workspace.keep(Emulator(self.options.binary, workspace.directory(name), *flags, internet=internet))
        for _ in range(3):  # template derived, pool filled, code touched
            emulator.kill(emulator.create()[0])
        time.sleep(1)
        return emulator

    def floor(self, workspace):
        return workspace.keep(Floor(self.floor_program, workspace.directory("floor")))

    # --- a, f: create and delete ---------------------------------------------------------------------------------

    def create(self):
        with Workspace() as workspace:
            floor = self.floor(workspace)
            emulator = self.emulator(workspace, "warm")
            self.create_warm(emulator, floor)
            self.create_against_crun(workspace, emulator)
            self.create_flat(emulator, floor)
        with Workspace() as workspace:
            floor = self.floor(workspace)
            self.create_empty(self.emulator(workspace, "empty", "--pool", "0"), floor)

    def pairs_with_floor(self, emulator, floor, pairs, command="fresh"):
        ours, yard, kills, destroys, floor_cpu = Samples(), Samples(), Samples(), Samples(), Samples()

        def step_ours():
            sandbox, took = emulator.create()
            ours.append(took)
            time.sleep(GAP)
            kills.append(emulator.kill(sandbox))

        def step_floor():
            number, wall, cpu = floor.call(command)
            yard.append(wall)
            time.sleep(GAP)
            _, destroyed, cpu2 = floor.call(f"kill {number}")
            destroys.append(destroyed)
            floor_cpu.append(cpu + cpu2)

        before = emulator.cpu_us()
        interleave(pairs, GAP, step_ours, step_floor)
        time.sleep(1)
        return ours, yard, kills, destroys, (emulator.cpu_us() - before) / len(ours), sum(floor_cpu) / len(floor_cpu)

    def create_warm(self, emulator, floor):
        self.report.quiet("create, warm pool")
        ours, yard, kills, destroys, cpu, floor_cpu = self.pairs_with_floor(emulator, floor, self.options.pairs)
        self.report.row("POST /sandboxes, warm pool", ours, "us", yard, "floor-fresh", target=1, aim=0.5, cpu_us=cpu,
                        note=f"CPU: create + refill + kill; the floor's {floor_cpu:.0f}")
        self.create_spaced(emulator, floor, "warm pool")
        self.report.row("DELETE /sandboxes/{id}", kills, "us", destroys, "floor destroy", target=6, aim=3)
        floor.call("fill-slots 4")
        slots, pools = Samples(), Samples()
        for _ in range(self.options.pairs):
            time.sleep(GAP / 2)
            number, wall, _ = floor.call("slot")
            slots.append(wall)
            floor.call(f"kill {number}")
            floor.call("fill-pool 1")
            time.sleep(GAP / 2)
            number, wall, _ = floor.call("pool")
            pools.append(wall)
            floor.call(f"kill {number}")
        self.report.row("the same beside floor-slots (context)", ours, "us", slots, "floor-slots")
        self.report.row("the same beside floor-pool (context)", ours, "us", pools, "floor-pool")

    def create_spaced(self, emulator, floor, name):
        """Creates 50 ms apart: a wait for the kernel's read-copy-update (8-30 ms) would show. The floor, which has none,
        runs in the same minute: on a busy machine it is late as well."""
        def spaced(create, kill):
            took = Samples()
            for _ in range(self.options.pairs):
                time.sleep(GAP / 2)
                made, wall = create()
                took.append(wall)
                time.sleep(GAP / 2)
                kill(made)
            return took

        ours = spaced(emulator.create, emulator.kill)
        yard = spaced(lambda: floor.call("fresh")[:2], lambda number: floor.call(f"kill {number}"))
        slow, floor_slow = (sum(1 for wall in took if wall >= 8000) for took in (ours, yard))
        self.report.row(f"creates of 8 ms or more, {name}, {GAP * 1000:.0f} ms apart", [slow], f"of {len(ours)}", target=0,
                        note=f"us: p50 {ours.quantile(0.5):.0f}, p99 {ours.quantile(0.99):.0f}, slowest {max(ours):.0f}; "
                             f"floor-fresh: {floor_slow} of {len(yard)}, slowest {max(yard):.0f}")

    def create_against_crun(self, workspace, emulator):
        self.report.quiet("create beside crun")
        crun = self.crun(workspace)
        ours, yard = Samples(), Samples()

        def step_ours():
            sandbox, took = emulator.create()
            ours.append(took)
            time.sleep(GAP)
            emulator.kill(sandbox)

        def step_crun():
            number, took = crun.create()
            yard.append(took)
            crun.timed(f"delete {number}")

        interleave(self.options.pairs, GAP, step_ours, step_crun)
        self.report.row("POST /sandboxes, warm pool", ours, "us", yard, "overlay + 9 x ip + crun run", sense="faster",
                        target=20, aim=40)

    def crun(self, workspace):
        skeleton = workspace.path / "floor" / "skeleton"
        if not skeleton.exists():
            self.floor(workspace)
        return workspace.keep(CrunPath(workspace.directory("crun"), skeleton))

    def create_empty(self, emulator, floor):
        self.report.quiet("create, no pool")
        ours, yard, _, _, cpu, floor_cpu = self.pairs_with_floor(emulator, floor, self.options.pairs)
        self.report.row("POST /sandboxes, --pool 0", ours, "us", yard, "floor-fresh", target=2.5, aim=1.5, cpu_us=cpu,
                        note=f"CPU: create + kill; the floor's {floor_cpu:.0f}")
        self.create_spaced(emulator, floor, "--pool 0")

    def create_flat(self, emulator, floor):
        alive, by_mark = [], {}
        for mark in (1, 10, 100):
            while len(alive) < mark:
                alive.append(emulator.create()[0])
            time.sleep(1)
            self.report.quiet(f"create at {mark} alive")
            by_mark[mark] = self.pairs_with_floor(emulator, floor, self.options.pairs)
        for mark in (10, 100):
            floor_growth = by_mark[mark][1].quantile(0.5) / by_mark[1][1].quantile(0.5)
            self.report.row(f"POST /sandboxes, warm pool, {mark} alive", by_mark[mark][0], "us", by_mark[1][0], "1 alive",
                            target=1.5, aim=1.2, note=f"floor-fresh in the same minutes: {floor_growth:.2f}x")
        for sandbox in alive:
            emulator.kill(sandbox)

    # --- b: time to the first command ----------------------------------------------------------------------------

    def tti(self):
        with Workspace() as workspace:
            emulator = self.emulator(workspace, "tti")
            self.report.quiet("first command, raw")
            total, first = Samples(), Samples()
            for _ in range(self.options.pairs):
                time.sleep(GAP)
                begin = now_us()
                sandbox, created = emulator.create()
                connection = Connection(emulator.port)
                _, body = connection.exchange(sandbox.start_request("/bin/bash", "-l", "-c", "true"))
                total.append((now_us() - begin) / 1e3)
                first.append(total[-1] - created / 1e3)
                exit_of(body)
                connection.close()
                emulator.kill(sandbox)
            self.report.row("create to first `true` finished, raw client", total, "ms", target=15, aim=5,
                            note=f"of it the command, its connection included: {first.quantile(0.5):.2f}")
        for package in ("e2b", "novita-sandbox"):
            with Workspace() as workspace:
                self.report.quiet(f"first command, {package}")
                directory = workspace.directory("tti")
                output = run_ended(
                    [self.options.binary, "exec", "--data-dir", directory / "data", "--run-dir", directory / "run",
                     "--internet", "none", "--", "node", HERE / "tti.mjs", package, str(self.options.pairs)])
                result = json.loads(output.strip().splitlines()[-1])
                part = {name: Samples(result[name]).quantile(0.5) for name in ("create", "run")}
                self.report.row(f"create to first `true` finished, `{package}` over https", result["total"], "ms", target=80,
                                aim=40, note=f"create {part['create']:.1f}, command {part['run']:.1f}")

    # --- c: commands in a warm sandbox ---------------------------------------------------------------------------

    def probe(self, emulator, sandbox, token):
        """Writes the probe into the sandbox, starts it as the default user; returns (connection, pid on this machine)."""
        writer = Connection(emulator.port)
        status, answer = writer.exchange(http("POST", sandbox.host(49983), "/files?path=/tmp/sandbox_probe",
                                              self.probe_program.read_bytes(),
                                              ["Content-Type: application/octet-stream", *sandbox.headers]))
        if status != 200:
            raise RuntimeError(f"upload: {status} {answer!r}")
        exit_of(writer.exchange(sandbox.start_request("/bin/chmod", "755", "/tmp/sandbox_probe"))[1])
        writer.socket.sendall(sandbox.start_request("/tmp/sandbox_probe", "7000", token))
        for _ in range(100):
            time.sleep(0.05)
            for pid in process_table():
                try:
                    if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() == f"/tmp/sandbox_probe\0{7000}\0{token}\0".encode():
                        return writer, pid
                except OSError:
                    pass
        raise RuntimeError("the probe does not run")

    def exec(self):
        with Workspace() as workspace:
            emulator = self.emulator(workspace, "exec")
            sandbox, _ = emulator.create()
            keep, _ = self.probe(emulator, sandbox, f"exec-{os.getpid()}")
            crun = self.crun(workspace)
            number, _ = crun.create()
            self.report.quiet("commands.run('true')")
            envd, public = Connection(emulator.port), Connection(emulator.port)
            start = sandbox.start_request("/bin/bash", "-l", "-c", "true")
            probe = http("GET", sandbox.host(7000), "/exec")
            ours, inside, outside = Samples(), Samples(), Samples()

            def step_ours():
                begin = now_us()
                _, body = envd.exchange(start)
                ours.append(now_us() - begin)
                exit_of(body)

            def step_inside():
                inside.append(float(public.exchange(probe)[1]))

            def step_crun():
                outside.append(crun.timed(f"exec {number}"))

            for step in (step_ours, step_inside, step_crun):
                step()
            del ours[:], inside[:], outside[:]
            interleave(self.options.pairs, GAP / 2, step_ours, step_inside, step_crun)
            if min(inside) <= 0:
                raise RuntimeError("bash did not run inside the sandbox")
            crun.ask(f"delete {number}")
            for connection in (keep, envd, public):
                connection.close()
        self.report.row("commands.run('true') (raw Connect, keep-alive)", ours, "us", inside,
                        "floor-exec: the same in the same sandbox", target=2, aim=1.3)
        self.report.row("commands.run('true')", ours, "us", outside, "crun exec /bin/bash -l -c true", sense="faster",
                        target=1, aim=2)

    # --- d: public URLs ------------------------------------------------------------------------------------------

    def proxy(self):
        with Workspace() as workspace:
            emulator = self.emulator(workspace, "proxy")
            sandbox, _ = emulator.create()
            keep, backend = self.probe(emulator, sandbox, f"proxy-{os.getpid()}")
            inside = ["nsenter", f"--net=/proc/{backend}/ns/net"]
            nginx = workspace.keep(ProxyNginx(workspace.directory("nginx"), inside, "127.0.0.1:7000"))
            # The proxy under test alone on core 0; the client and the backend, the same for both, on core 1.
            pin(emulator.process.pid, 0)
            pin(backend, 1)
            ours = lambda connections: wrk(emulator.process.pid, [], connections, f"http://127.0.0.1:{emulator.port}/",
                                           self.options.seconds, f"Host: {sandbox.host(7000)}")
            theirs = lambda connections: wrk(nginx.worker(), inside, connections, "http://127.0.0.1:8080/", self.options.seconds)
            direct = lambda connections: wrk(backend, inside, connections, "http://127.0.0.1:7000/", self.options.seconds)
            for connections in (32, 1):
                self.report.quiet(f"public URL, {connections} connections")
                a, b = [], []
                interleave(self.options.rounds, 1, lambda: a.append(ours(connections)), lambda: b.append(theirs(connections)))
                plain = direct(connections)
                pick = lambda runs, key: Samples(run[key] for run in runs)
                cpu = pick(a, "cpu_us").quantile(0.5), pick(b, "cpu_us").quantile(0.5)
                self.report.row(f"public URL, 13 bytes, keep-alive, {connections} connection(s)", pick(a, "rate"), "req/s",
                                pick(b, "rate"), "nginx, 1 worker, upstream keep-alive", sense="more", target=0.9, aim=1.1,
                                cpu_us=cpu[0], note=f"CPU of nginx {cpu[1]:.1f}; without a proxy {plain['rate']:.0f} req/s")
                self.report.row("the same, median latency", pick(a, "p50"), "us", pick(b, "p50"), "nginx",
                                aim=1 if connections == 1 else None)
            keep.close()

    # --- the daemon: envd.py ---------------------------------------------------------------------------------------

    def stdout(self):
        envd.stdout(self)

    def files(self):
        envd.files(self)

    def streams(self):
        envd.streams(self)

    def watch(self):
        envd.watch(self)

    def flat(self):
        envd.flat(self)

    # --- the internet: egress.py ---------------------------------------------------------------------------------

    def egress(self):
        egress.egress(self)

    # --- network policies: policy.py -------------------------------------------------------------------------------

    def policy(self):
        policy.policy(self)

    # --- pause, resume, snapshots, clones: lifecycle.py, copies.py ----------------------------------------------------

    def pause(self):
        lifecycle.pause(self)

    def copies(self):
        copies.copies(self)

    def paused(self):
        lifecycle.paused(self)

    # --- e: memory and start -------------------------------------------------------------------------------------

    def memory(self):
        with Workspace() as workspace:
            emulator = self.emulator(workspace, "memory")
            self.report.quiet("memory at 100")
            server0 = status_kb(emulator.process.pid, "VmRSS")
            rounds = [self.memory_round(emulator) for _ in range(3)]
            server = status_kb(emulator.process.pid, "VmRSS")
        middle = lambda key: Samples(r[key] for r in rounds).quantile(0.5)
        parts = ", ".join(f"{key} {middle(key):.0f}" for key in rounds[0])
        sums = [(r["Slab"] + r["AnonPages"] + r["PageTables"]) / 1024 for r in rounds]
        self.report.row("idle sandbox at N = 100: slab + anonymous + page tables", sums, "MiB", target=2, aim=1,
                        note=f"KiB each, from /proc/meminfo and of the agents: {parts}")
        own = [(r["Slab"] + r["agent Private_Dirty"] + r["agent VmPTE"]) / 1024 for r in rounds]
        self.report.row("the same without other programs' memory: slab + the agent's dirty pages + its page tables", own, "MiB",
                        target=2, aim=1)
        self.report.row("server, VmRSS after 3 x 100 sandboxes", [server / 1024], "MiB", target=64,
                        note=f"with none: {server0 / 1024:.1f}")
        self.start()

    def memory_round(self, emulator):
        """Growth per sandbox in KiB when 100 more are alive."""
        time.sleep(2)
        before, others = meminfo_kb(), set(family(emulator.process.pid))
        alive = [emulator.create()[0] for _ in range(100)]
        time.sleep(3)
        after, agents = meminfo_kb(), set(family(emulator.process.pid)) - others
        grown = {key: (after[key] - before[key]) / 100 for key in after}
        for key in ("Rss", "Pss", "Private_Dirty"):
            grown[f"agent {key}"] = sum(smaps_kb(pid, key) for pid in agents) / len(agents)
        grown["agent VmPTE"] = sum(status_kb(pid, "VmPTE") for pid in agents) / len(agents)
        for sandbox in alive:
            emulator.kill(sandbox)
        return grown

    def start(self):
        with Workspace() as workspace:
            directory, warm = workspace.directory("start"), Samples()
            for round_number in range(21):
                if round_number == 1:
                    self.report.quiet("serve")
                emulator = Emulator(self.options.binary, directory)
                warm.append(emulator.ready_ms)
                time.sleep(0.3)
                emulator.stop()
            self.report.row("`serve` to ready, warm", warm[1:], "ms", target=200, note=f"first start {warm[0]:.0f} ms")

    # --- what the decision log costs the egress proxy -------------------------------------------------------------------

    def decision_log(self):
        """CPU of the proxy's own thread, in turns: a proxy without the log is the yardstick."""
        self.report.quiet("decision log")
        ran = subprocess.run([self.options.tools / "decision_log_bench"], stdout=subprocess.PIPE, text=True, check=True,
                             timeout=300)
        costs = json.loads(next(line for line in ran.stdout.splitlines() if line.startswith("{")))
        for variant, name, target in (("log", "nobody follows", 1.03), ("followed", "one follower", None)):
            for key, unit, what in (("us_per_connection", "us", "short connection"), ("us_per_mib", "us", "MiB of a stream")):
                self.report.row(f"egress CPU per {what}, decision log, {name}", costs[variant][key], unit,
                                costs["none"][key], "no log", target=target)
        self.report.row("recording one connection, by itself", costs["us_per_record"], "us",
                        costs["none"]["us_per_connection"], "the proxy's CPU for it", target=0.03)


def main():
    parts = ("create", "tti", "exec", "stdout", "files", "streams", "watch", "flat", "proxy", "policy", "egress", "decision-log",
             "pause", "copies", "paused", "memory")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=(*parts, "all"))
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "build/bench/sandlot")
    parser.add_argument("--tools", type=pathlib.Path, default=REPOSITORY / "build/bench/tests/bench",
                        help="directory of sandlot_floor and sandbox_probe")
    parser.add_argument("--json", type=pathlib.Path, help="write all figures to this file")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of wrk on either side")
    parser.add_argument("--seconds", type=int, default=5, help="of one run of wrk")
    parser.add_argument("--mib", type=int, default=1024, help="size of the big files and of the long output")
    parser.add_argument("--flat-mib", type=int, default=4096, help="size of the file of the part `flat`")
    parser.add_argument("--paused", type=int, default=500, help="sandboxes of the part `paused`")
    parser.add_argument("--quiet", type=int, default=60, help="wait so many seconds for a quiet machine, then go on")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root")
    gc.disable()
    bench, failed = Bench(options), []
    for part in parts if "all" in options.parts else options.parts:
        try:
            getattr(bench, part.replace("-", "_"))()
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            failed.append(part)
            print(f"# {part} could not be measured: {error}", file=sys.stderr, flush=True)
    print(f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs\n\n{bench.report.markdown()}")
    if options.json:
        options.json.write_text(json.dumps({"kernel": platform.release(), "cpus": os.cpu_count(), "loads": bench.report.loads,
                                            "rows": bench.report.rows, "not_measured": failed}, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
