"""A control group that bounds the memory of a command, page cache included. Needs root."""

import os
import subprocess
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


class MemoryGroup:
    """`with MemoryGroup(bytes) as group: group.run(...)`; versions 1 and 2 of the interface."""

    def __init__(self, limit_bytes: int):
        self.limit = limit_bytes
        self.version1 = (ROOT / "memory/memory.limit_in_bytes").exists()
        self.path = (ROOT / "memory" if self.version1 else ROOT) / f"sluice_bench_{os.getpid()}"

    def __enter__(self) -> "MemoryGroup":
        if not self.version1:
            (ROOT / "cgroup.subtree_control").write_text("+memory")
        self.path.mkdir()
        (self.path / ("memory.limit_in_bytes" if self.version1 else "memory.max")).write_text(str(self.limit))
        return self

    def __exit__(self, *_: object) -> None:
        for _ in range(50):
            try:
                self.path.rmdir()
                return
            except OSError:  # its last process is still on its way out
                time.sleep(0.1)

    def _enter(self) -> None:
        with open(self.path / "cgroup.procs", "w") as group:
            group.write(str(os.getpid()))

    def start(self, command: list, **options: object) -> subprocess.Popen:
        return subprocess.Popen([str(word) for word in command], preexec_fn=self._enter, **options)

    def run(self, command: list, **options: object) -> subprocess.CompletedProcess:
        return subprocess.run([str(word) for word in command], preexec_fn=self._enter, **options)

    def peak_bytes(self) -> int:
        """Page cache included; 0 where the kernel does not say."""
        name = "memory.max_usage_in_bytes" if self.version1 else "memory.peak"
        try:
            return int((self.path / name).read_text())
        except (OSError, ValueError):
            return 0
