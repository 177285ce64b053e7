"""The policy part of bench.py: what a network policy of a hundred entries costs, at create and when it is replaced, beside
one bare `iptables-restore` of the very text that is in the slot, and whether that stays flat from 1 to 300 sandboxes."""

import json
import os
import pathlib
import subprocess
import sys
import time

from harness import HERE, KEY, LineProgram, Samples, Sandbox, Workspace, http, interleave, now_us

ENTRIES = 100
MANY = 300
HEADERS = ["Content-Type: application/json", f"X-API-KEY: {KEY}"]


def lists(number, domains=("example.com",)):
    """A policy of ENTRIES entries; another `number`, other kernel rules."""
    allow = [*domains, *(f"93.{number}.{i}.0/24" for i in range(ENTRIES - 1 - len(domains)))]
    return {"allowOut": allow, "denyOut": ["0.0.0.0/0"]}


def create_request(network=None):
    body = {"templateID": "base", "timeout": 3600}
    if network:
        body["network"] = network
    return http("POST", "api.localhost", "/sandboxes", json.dumps(body).encode(), HEADERS)


def timed(emulator, wire, expected):
    begin = now_us()
    status, body = emulator.api.exchange(wire)
    took = now_us() - begin
    if status != expected:
        raise RuntimeError(f"{status} {body.decode(errors='replace')}")
    return body, took


def create(emulator, wire):
    body, took = timed(emulator, wire, 201)
    return Sandbox(json.loads(body)), took


class Replacer:
    """Replaces the policy of one sandbox by one that differs from the last."""

    def __init__(self, emulator, sandbox, policies):
        self.emulator, self.turn = emulator, 0
        path = f"/sandboxes/{sandbox.id}/network"
        self.wires = [http("PUT", "api.localhost", path, json.dumps(policy).encode(), HEADERS) for policy in policies]

    def __call__(self):
        self.turn += 1
        return timed(self.emulator, self.wires[self.turn % len(self.wires)], 204)[1]


def slot_rules(sandbox):
    """(the program that restores them, the rules in the sandbox's slot)."""
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and sandbox.id in pathlib.Path(f"/proc/{entry}/cgroup").read_text():
                for backend in ("iptables-legacy", "iptables-nft"):
                    saved = subprocess.run(["nsenter", f"--net=/proc/{entry}/ns/net", f"{backend}-save", "-t", "filter"],
                                           capture_output=True, text=True)
                    if "SANDLOT_OUT" in saved.stdout:
                        return f"{backend}-restore", saved.stdout
        except OSError:
            pass
    raise RuntimeError("the sandbox has no rules")


class PolicyBench:
    def __init__(self, bench, workspace):
        self.bench, self.report, self.pairs = bench, bench.report, bench.options.pairs
        self.emulator = bench.emulator(workspace, "policy")
        self.floor = workspace.keep(
            LineProgram(["unshare", "--net", sys.executable, str(HERE / "restore_floor.py")], "ready"))
        self.directory = workspace.directory("rules")
        self.subject, _ = create(self.emulator, create_request(lists(1)))
        self.other, _ = create(self.emulator, create_request(lists(3)))
        self.texts = []
        for number in (2, 3):
            Replacer(self.emulator, self.subject, [lists(number)])()
            self.texts.append(self.directory / f"rules-{number}")
            self.program, text = slot_rules(self.subject)
            self.texts[-1].write_text(text)
        self.turn = 0

    def restore(self, program=None, fresh=False):
        self.turn += 1
        words = ["fresh"] * fresh + [program or self.program, str(self.texts[self.turn % 2])]
        return float(self.floor.ask(" ".join(words))[1])

    def creates(self):
        """(with a policy, without, bare restore), interleaved."""
        restricted, plain, bare = Samples(), Samples(), Samples()
        wires = create_request(lists(1)), create_request()

        def one(wire, samples):
            sandbox, took = create(self.emulator, wire)
            samples.append(took)
            time.sleep(0.05)
            self.emulator.kill(sandbox)

        interleave(self.pairs, 0.05, lambda: one(wires[0], restricted), lambda: one(wires[1], plain),
                   lambda: bare.append(self.restore(fresh=True)))
        return restricted, plain, bare

    def replacements(self):
        """(kernel rules change, only TCP rules change, bare restore by the same program, by plain iptables-restore)."""
        kernel, proxy, bare, usual = Samples(), Samples(), Samples(), Samples()
        change_kernel = Replacer(self.emulator, self.subject, [lists(2), lists(3)])
        names = [lists(3, (name,)) for name in ("a.example.com", "b.example.com")]
        change_proxy = Replacer(self.emulator, self.other, names)
        interleave(self.pairs, 0.02, lambda: kernel.append(change_kernel()), lambda: bare.append(self.restore()),
                   lambda: proxy.append(change_proxy()))
        for _ in range(self.pairs):
            usual.append(self.restore("iptables-restore"))
        return kernel, proxy, bare, usual

    def run(self):
        self.report.quiet("policy, 1 alive")
        creates, puts = {1: self.creates()}, {1: self.replacements()}
        others = [create(self.emulator, create_request(lists(i % 200)))[0] for i in range(MANY)]
        time.sleep(2)
        self.report.quiet(f"policy, {MANY} alive")
        creates[MANY], puts[MANY] = self.creates(), self.replacements()
        for sandbox in others:
            self.emulator.kill(sandbox)
        self.rows(creates, puts)

    def rows(self, creates, puts):
        restricted, plain, bare = creates[1]
        rest = Samples(a - b for a, b in zip(restricted, bare))
        self.report.row(f"POST /sandboxes with a policy of {ENTRIES} entries, less one bare restore", rest, "us", plain,
                        "without a policy", target=1.5,
                        note=f"whole p50 {restricted.quantile(0.5):.0f}, {self.program} in a fresh namespace {bare.quantile(0.5):.0f}")
        self.report.row(f"POST /sandboxes with a policy, {MANY} alive", creates[MANY][0], "us", restricted, "1 alive", target=1.2,
                        note=f"without a policy in the same minutes: "
                             f"{creates[MANY][1].quantile(0.5) / plain.quantile(0.5):.2f}x; bare restore: "
                             f"{creates[MANY][2].quantile(0.5) / bare.quantile(0.5):.2f}x")
        kernel, proxy, bare, usual = puts[1]
        self.report.row("PUT /network, kernel rules change", kernel, "us", bare, f"bare {self.program} of the same text", target=1.3,
                        note=f"plain iptables-restore of the same text: p50 {usual.quantile(0.5):.0f}")
        self.report.row("PUT /network, only TCP rules change", proxy, "us", target=1000)
        for index, name in enumerate(("kernel rules change", "only TCP rules change")):
            self.report.row(f"PUT /network, {name}, {MANY} alive", puts[MANY][index], "us", puts[1][index], "1 alive", target=1.3,
                            note=f"bare restore in the same minutes: "
                                 f"{puts[MANY][2].quantile(0.5) / bare.quantile(0.5):.2f}x")


def policy(bench):
    with Workspace() as workspace:
        PolicyBench(bench, workspace).run()
