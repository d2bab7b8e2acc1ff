"""A daemon in a process of its own, for the benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def mounted(
    state: str, mountpoint: str, config: str = "", wrap: Sequence[str] = ()
) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """(process, seconds from start until the mount answered). `config` is TOML; `wrap` is a command that becomes the
    daemon after it has done something to itself."""
    os.makedirs(mountpoint, exist_ok=True)
    environ = {**compiled(), "TAGFS_STATE": state, "TAGFS_CONFIG": state + ".toml"}
    Path(environ["TAGFS_CONFIG"]).write_text(config)
    started = time.perf_counter()
    with open(state + ".log", "ab") as log:
        command = [*wrap, sys.executable, "-m", "tagfs", "mount", mountpoint, "-f"]
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        while not os.path.isdir(os.path.join(mountpoint, "tags")):
            if process.poll() is not None or time.perf_counter() - started > 60:
                raise SystemExit(f"the daemon did not mount: {Path(state + '.log').read_text()}")
            time.sleep(0.005)  # another process has no event to wait for
        yield process, time.perf_counter() - started
    finally:
        process.terminate()
        process.wait(30)
        subprocess.run(["fusermount3", "-u", "-z", mountpoint], check=False, capture_output=True)  # if it died
        for line in Path(state + ".log").read_text(errors="replace").splitlines():
            if " INFO " not in line:  # nothing but the start and the end is expected
                print(f"  daemon: {line}")


def compiled() -> dict[str, str]:
    """The environment in which Python keeps what it has compiled, as pip does where tagfs is installed: without it,
    each start compiles 700 files, which takes longer than all the rest."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    cache = os.path.join(tempfile.gettempdir(), f"tagfs-bench-{os.getuid()}", "pycache")
    return {**environ, "PYTHONPYCACHEPREFIX": cache}


def memory_mb(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """(resident, peak) in MB."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":" in line
    )
    return int(fields["VmRSS"].split()[0]) / 1000, int(fields["VmHWM"].split()[0]) / 1000
