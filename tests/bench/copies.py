"""The part `copies` of bench.py: snapshots and clones of a sandbox that has written 1 GiB beside those of one that has written
1 MiB, on a file system with reflinks (XFS) and on one without (ext4), each on an image of the benchmark's own; and what a clone
takes of the disk, by what it writes."""

import json
import os
import subprocess
import time

from harness import Emulator, Samples, Sandbox, Workspace, now_us
from lifecycle import api, create, run_script, timed

FILE = "/home/user/written"
MIB = 1 << 20
WRITES = (0, 1, 64)  # MiB that clones overwrite of the big file
SNAPSHOT = api("POST", "/sandboxes/{}/snapshots", {})
CLONE = api("POST", "/sandboxes/{}/clone", {"count": 1})
# In a mount namespace of its own the image is mounted and becomes the data directory's disk; the loop device goes with it.
MOUNT = 'mount -o loop "$0" "$1" && shift && exec "$@"'


class Disk:
    """An image with a file system of `kind`, and an emulator on it."""

    def __init__(self, bench, workspace, kind, *options):
        self.kind, directory = kind, workspace.directory(kind)
        image = workspace.path / f"{kind}.image"
        with open(image, "wb") as file:
            file.truncate(16 << 30)
        subprocess.run([f"mkfs.{kind}", "-q", *options, image], check=True)
        inside = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", MOUNT, image, directory]
        self.emulator = workspace.keep(Emulator(bench.options.binary, directory, inside=inside))
        # As the emulator sees it.
        self.root = f"/proc/{self.emulator.process.pid}/root{directory}"
        self.emulator.kill(create(self.emulator))
        time.sleep(1)

    def used_mib(self):
        """When everything is written out."""
        directory = os.open(self.root, os.O_RDONLY)
        os.sync()
        figures = os.fstatvfs(directory)
        os.close(directory)
        return (figures.f_blocks - figures.f_bfree) * figures.f_frsize / MIB

    def copy_ms(self, source):
        """`cp` by a person: the yardstick of a byte-by-byte copy, written out as a snapshot is."""
        target = f"{self.root}/copy"
        begin = now_us()
        subprocess.run(["cp", "--reflink=never", source, target], check=True)
        subprocess.run(["sync", "--file-system", target], check=True)
        took = (now_us() - begin) / 1e3
        os.unlink(target)
        return took


class CopiesBench:
    def __init__(self, bench, disk):
        self.report, self.disk, self.emulator = bench.report, disk, disk.emulator
        self.rounds, self.sizes = max(3, bench.options.rounds), (1, bench.options.mib)
        self.name = {"xfs": "XFS, reflinks", "ext4": "ext4, none"}[disk.kind]

    def run(self):
        self.report.quiet(f"copies, {self.name}")
        figures = {size: self.of_one_that_wrote(size) for size in self.sizes}
        small, big = (figures[size] for size in self.sizes)
        size = f"{self.sizes[1]} MiB"
        reflinks = self.disk.kind == "xfs"
        first = f"; the first one {big['snapshot'][0]:.0f}; of 1 MiB: {small['snapshot'][0]:.0f}"
        for call in ("snapshot", "clone"):
            # The first two copies of a sandbox without reflinks copy everything; later ones what has changed.
            skip = 0 if call == "clone" or reflinks else 2
            self.report.row(f"{call} of a sandbox that wrote {size}, {self.name}", big[call][skip:], "ms", small[call][skip:],
                            "of one that wrote 1 MiB", target=2 if reflinks else None,
                            note=f"cp --reflink=never and sync of the file: {big['cp']:.0f} ms" + (first if call == "snapshot" else ""))
        for written, (took, used) in big["writes"].items():
            self.report.row(f"disk that a clone takes which overwrites {written} MiB of the {size}, {self.name}", [used], "MiB",
                            target=2 * written + 4 if reflinks else None, note=f"writing them, fsync included: {took:.0f} ms")

    def of_one_that_wrote(self, mib):
        sandbox = create(self.emulator)
        run_script(self.emulator, sandbox, f"head -c {mib}M /dev/zero > {FILE} && sync -f {FILE}")
        figures = {"snapshot": Samples(), "clone": Samples(), "writes": {}}
        source = self.file_of(sandbox)
        figures["cp"] = min(self.disk.copy_ms(source) for _ in range(2))
        for _ in range(self.rounds + 2):
            time.sleep(0.2)
            figures["snapshot"].append(timed(self.emulator, SNAPSHOT(sandbox), 201)[1] / 1e3)
        for _ in range(self.rounds):
            time.sleep(0.2)
            answer, took = timed(self.emulator, CLONE(sandbox), 201)
            figures["clone"].append(took / 1e3)
            self.emulator.kill(self.clone_of(answer))
        if mib > 1:
            figures["writes"] = {written: self.clone_that_writes(sandbox, written) for written in WRITES}
        self.emulator.kill(sandbox)
        return figures

    def clone_that_writes(self, sandbox, mib):
        """(milliseconds of the writing, MiB of disk that the clone and its writing took)."""
        time.sleep(2)
        before = self.disk.used_mib()
        clone = self.clone_of(timed(self.emulator, CLONE(sandbox), 201)[0])
        begin = now_us()
        if mib:
            run_script(self.emulator, clone, f"dd if=/dev/zero of={FILE} bs=1M count={mib} conv=notrunc,fsync status=none")
        took = (now_us() - begin) / 1e3
        used = self.disk.used_mib() - before
        self.emulator.kill(clone)
        return took, used

    @staticmethod
    def clone_of(answer):
        return Sandbox(json.loads(answer)["sandboxes"][0])

    def file_of(self, sandbox):
        """Where the sandbox's file lies on the disk."""
        found = subprocess.run(["find", f"{self.disk.root}/data/sandboxes", "-path", f"*/{sandbox.id}/*", "-name",
                                os.path.basename(FILE)], check=True, capture_output=True, text=True).stdout.split()
        if not found:
            raise RuntimeError("the sandbox's file is not on the disk")
        return found[0]


def copies(bench):
    for kind, options in (("xfs", ("-m", "reflink=1")), ("ext4", ("-F",))):
        with Workspace() as workspace:
            CopiesBench(bench, Disk(bench, workspace, kind, *options)).run()
