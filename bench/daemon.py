"""A daemon in a process of its own, for the benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def mounted(state: str, mountpoint: str) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """(process, seconds from start until the mount answered)."""
    os.makedirs(mountpoint, exist_ok=True)
    environ = {**os.environ, "TAGFS_STATE": state, "TAGFS_CONFIG": state + ".toml"}
    Path(environ["TAGFS_CONFIG"]).touch()
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "tagfs", "mount", mountpoint, "-f"], env=environ)
    try:
        while not os.path.isdir(os.path.join(mountpoint, "tags")):
            if process.poll() is not None or time.perf_counter() - started > 60:
                raise SystemExit("the daemon did not mount")
            time.sleep(0.005)  # another process has no event to wait for
        yield process, time.perf_counter() - started
    finally:
        process.terminate()
        process.wait(30)


def memory_mb(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """(resident, peak) in MB."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":" in line
    )
    return int(fields["VmRSS"].split()[0]) / 1000, int(fields["VmHWM"].split()[0]) / 1000
