"""The daemon under load: a command's output, files beside nginx, many streams, watches, memory under bulk. Parts of
bench.py."""

import base64
import os
import pathlib
import selectors
import time

from harness import Connection, Samples, Workspace, envelopes, exit_of, family, http, interleave, now_us, run_ended
from machine import FileNginx, status_kb

MIB = 1 << 20
SINK = bytearray(4 * MIB)
LAST_CHUNK = b"0\r\n\r\n"


def stream_seconds(port, wire):
    """Sends a request and reads its chunked answer to the end without looking at it."""
    connection = Connection(port)
    begin = now_us()
    connection.socket.sendall(wire)
    tail, total = b"", 0
    while not tail.endswith(LAST_CHUNK):
        count = connection.socket.recv_into(SINK)
        if not count:
            raise RuntimeError("the stream broke off")
        total += count
        tail = (tail + bytes(SINK[max(0, count - 64):count]))[-64:]
    connection.close()
    return (now_us() - begin) / 1e6, total


def stdout(bench):
    """1 GiB from `head` through Start, beside the same encoding and framing in one thread over a socket pair."""
    size = bench.options.mib * MIB
    with Workspace() as workspace:
        emulator = bench.emulator(workspace, "stdout")
        sandbox, _ = emulator.create()
        wire = sandbox.start_request("/usr/bin/head", "-c", str(size), "/dev/zero")
        ours, floor = Samples(), Samples()

        def step_ours():
            took, total = stream_seconds(emulator.port, wire)
            if total < size * 4 / 3:
                raise RuntimeError(f"only {total} bytes arrived")
            ours.append(size / MIB / took)

        def step_floor():
            floor.append(size / MIB / float(run_ended([bench.options.tools / "sandlot_stream_floor", str(size)])))

        bench.report.quiet("standard output")
        interleave(bench.options.rounds, 0.2, step_ours, step_floor)
    bench.report.row(f"{bench.options.mib} MiB of standard output through Start", ours, "MiB/s", floor,
                     "the same base64 and frames in one thread, over a socket pair", sense="more", target=0.6)


def download_seconds(port, wire, size):
    connection = Connection(port)
    begin = now_us()
    connection.socket.sendall(wire)
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.socket.recv(4096)
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"download: {head[:200]!r}")
    left = size - (len(head) - head.find(b"\r\n\r\n") - 4)
    while left > 0:
        count = connection.socket.recv_into(SINK, min(left, len(SINK)))
        if not count:
            raise RuntimeError("the download broke off")
        left -= count
    took = (now_us() - begin) / 1e6
    connection.close()
    return took


def upload_seconds(port, head, size):
    """`head` carries the whole request's head; the body is zeros."""
    block = memoryview(bytes(min(size, 4 * MIB)))
    connection = Connection(port)
    begin = now_us()
    connection.socket.sendall(head)
    left = size
    while left > 0:
        part = block[:min(left, len(block))]
        connection.socket.sendall(part)
        left -= len(part)
    answer = connection.socket.recv(65536)
    took = (now_us() - begin) / 1e6
    connection.close()
    if answer[9:12] not in (b"200", b"201", b"204"):
        raise RuntimeError(f"upload: {answer[:200]!r}")
    return took


def files(bench):
    """1 MiB and 1 GiB up and down beside nginx, one worker, which keeps its files on the same disk."""
    with Workspace() as workspace:
        emulator = bench.emulator(workspace, "files")
        sandbox, _ = emulator.create()
        nginx = workspace.keep(FileNginx(workspace.directory("nginx")))
        envd, binary = sandbox.host(49983), "Content-Type: application/octet-stream"
        for size, times in ((MIB, bench.options.pairs), (bench.options.mib * MIB, bench.options.rounds)):
            name = f"{size // MIB} MiB"
            up = http("POST", envd, "/files?path=/tmp/file", b"", [binary, *sandbox.headers], length=size)
            down = http("GET", envd, "/files?path=/tmp/file", b"", sandbox.headers)
            put, get = http("PUT", "localhost", "/file", length=size), http("GET", "localhost", "/file")
            taken = {key: Samples() for key in ("up", "put", "down", "get")}
            rate = lambda key, took: taken[key].append(size / MIB / took)
            bench.report.quiet(f"files of {name}")
            interleave(times, 0.05, lambda: rate("up", upload_seconds(emulator.port, up, size)),
                       lambda: rate("put", upload_seconds(nginx.port, put, size)))
            interleave(times, 0.05, lambda: rate("down", download_seconds(emulator.port, down, size)),
                       lambda: rate("get", download_seconds(nginx.port, get, size)))
            bench.report.row(f"upload of {name}", taken["up"], "MiB/s", taken["put"], "nginx, PUT", sense="more", target=0.6)
            bench.report.row(f"download of {name}", taken["down"], "MiB/s", taken["get"], "nginx, GET", sense="more", target=0.6)


def streams(bench):
    """200 Start streams at once: every one delivers all of its lines and its end."""
    count, lines = 200, 20
    with Workspace() as workspace:
        emulator = bench.emulator(workspace, "streams")
        sandbox, _ = emulator.create()
        script = f"for i in $(seq {lines}); do echo line $i; sleep 0.05; done"
        wire = sandbox.start_request("/bin/bash", "-c", script)
        bench.report.quiet("200 streams")
        selector, connections, begin = selectors.DefaultSelector(), [], now_us()
        for _ in range(count):
            connection = Connection(emulator.port)
            connection.socket.sendall(wire)
            connections.append(connection)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        open_streams, cpu = count, emulator.cpu_us()
        while open_streams:
            for key, _ in selector.select(30):
                connection = key.data
                connection.rest += connection.socket.recv(65536)
                if connection.rest.endswith(LAST_CHUNK):
                    selector.unregister(connection.socket)
                    connection.close()
                    open_streams -= 1
        took, cpu = (now_us() - begin) / 1e6, emulator.cpu_us() - cpu
        complete = sum(1 for connection in connections if printed(connection.answer()[1]) == lines)
        if complete != count:
            raise RuntimeError(f"only {complete} of {count} streams were whole")
    bench.report.row("200 concurrent Start streams, 20 lines each 50 ms apart, all whole", [took], "s",
                     note=f"the lines alone take {lines * 0.05:.0f} s; CPU of everything {cpu / 1e6:.1f} s, the shells included")


def printed(body):
    text = b"".join(base64.b64decode(message["event"]["data"]["stdout"])
                    for _, message in envelopes(body) if "stdout" in message.get("event", {}).get("data", {}))
    return text.count(b"\n")


# Makes directories inside the sandbox, `rate` a second; each is one event, and its name says when it was made.
MAKER = """
import os, sys, time
rate, count = int(sys.argv[1]), int(sys.argv[2])
begin = time.monotonic_ns() + 500_000_000
for number in range(count):
    due = begin + number * 1_000_000_000 // rate
    while (left := due - time.monotonic_ns()) > 0:
        time.sleep(left / 1e9)
    os.mkdir(f"/tmp/watched/{number}-{time.monotonic_ns()}")
"""


def watch(bench):
    """1,000 events a second for 10 s through one WatchDir stream: none is lost, and how late they are."""
    rate, count = 1000, 10_000
    with Workspace() as workspace:
        emulator = bench.emulator(workspace, "watch")
        sandbox, _ = emulator.create()
        command = Connection(emulator.port)
        exit_of(command.exchange(sandbox.start_request("/bin/mkdir", "/tmp/watched"))[1])
        stream = Connection(emulator.port)
        stream.socket.sendall(sandbox.stream_request("/filesystem.Filesystem/WatchDir", {"path": "/tmp/watched"}))
        bench.report.quiet("watch")
        cpu = emulator.cpu_us()
        command.socket.sendall(sandbox.start_request("/usr/bin/python3", "-c", MAKER, str(rate), str(count)))
        late, seen = Samples(), set()
        for arrived, event in watch_events(stream):
            number, made = event["name"].split("-")
            seen.add(int(number))
            late.append((arrived - int(made)) / 1e6)
            if len(seen) == count:
                break
        cpu = emulator.cpu_us() - cpu
        exit_of(command.answer()[1])
        stream.close()
        command.close()
    bench.report.row(f"{count} watch events, {rate} a second: those lost", [count - len(seen)], "events", target=0,
                     note=f"twice: {len(late) - len(seen)}; CPU of everything {cpu / 1e6:.1f} s, the program that makes them included")
    bench.report.row("the same, from the change until the event is read", late, "ms")


def watch_events(stream):
    """(when it was read, event) until nothing comes any more."""
    while b"\r\n\r\n" not in stream.rest:
        stream.rest += stream.socket.recv(4096)
    stream.rest = stream.rest.split(b"\r\n\r\n", 1)[1]
    stream.socket.settimeout(5)
    while True:
        try:
            body = stream.chunk()  # the daemon writes whole envelopes
        except TimeoutError:
            return
        arrived = time.monotonic_ns()
        for flags, message in envelopes(body):
            if flags & 2:
                raise RuntimeError(f"the watch ended: {message}")
            if "filesystem" in message:
                yield arrived, message["filesystem"]


def flat(bench):
    """4 GiB up and down through the public URL: what the agent and the emulator grow by meanwhile."""
    size = bench.options.flat_mib * MIB
    with Workspace() as workspace:
        emulator = bench.emulator(workspace, "flat")
        sandbox, _ = emulator.create()
        keep, inside = bench.probe(emulator, sandbox, f"flat-{os.getpid()}")
        agent = agent_beside(inside, emulator)
        host, binary = sandbox.host(49983), "Content-Type: application/octet-stream"
        up = http("POST", host, "/files?path=/tmp/file", b"", [binary, *sandbox.headers], length=size)
        down = http("GET", host, "/files?path=/tmp/file", b"", sandbox.headers)
        bench.report.quiet("flat memory")
        for name, transfer in (("upload", lambda: upload_seconds(emulator.port, up, size)),
                               ("download", lambda: download_seconds(emulator.port, down, size))):
            before = {pid: reset_peak_kb(pid) for pid in (agent, emulator.process.pid)}
            took = transfer()
            for who, pid in (("agent", agent), ("emulator", emulator.process.pid)):
                grown = (status_kb(pid, "VmHWM") - before[pid]) / 1024
                bench.report.row(f"{name} of {size // MIB} MiB: peak resident memory of the {who} above idle", [grown], "MiB",
                                 target=8, note=f"idle {before[pid] / 1024:.1f}; {size / MIB / took:.0f} MiB/s")
        keep.close()


def agent_beside(pid, emulator):
    """The daemon of the sandbox in which `pid` runs."""
    space = lambda process: os.stat(f"/proc/{process}/ns/net").st_ino
    for process in family(emulator.process.pid):
        if open(f"/proc/{process}/comm").read().strip() == "envd" and space(process) == space(pid):
            return process
    raise RuntimeError("no daemon found")


def reset_peak_kb(pid):
    """Resident memory now; VmHWM counts from here."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
    return status_kb(pid, "VmRSS")
