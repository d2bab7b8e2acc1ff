"""What runs beside tagfs: pyfuse3's own example passthrough, and a careful one (`bench.passthrough`)."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from bench.scale.catalogues import folder


def example() -> str | None:
    """pyfuse3's `examples/passthroughfs.py` of the version that is installed, from its source distribution; None
    where that cannot be had."""
    number = version("pyfuse3")
    kept = Path(folder(), f"passthroughfs-{number}.py")
    if not kept.exists():
        with tempfile.TemporaryDirectory() as place:
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--no-binary",
                "pyfuse3",
                "--dest",
                place,
                f"pyfuse3=={number}",
            ]
            if subprocess.run(command, check=False, capture_output=True).returncode:
                print("  pyfuse3's source distribution cannot be had: its example is left out")
                return None
            [archive] = Path(place).glob("pyfuse3-*.tar.gz")
            with tarfile.open(archive) as tar:
                file = tar.extractfile(f"pyfuse3-{number}/examples/passthroughfs.py")
                assert file is not None
                kept.write_bytes(file.read())
    return str(kept)


def careful() -> list[str]:
    return [sys.executable, "-m", "bench.passthrough"]


@contextmanager
def passing(command: Sequence[str], source: str, mountpoint: str) -> Iterator[subprocess.Popen[bytes]]:
    """A passthrough of `source` while the body runs."""
    os.makedirs(mountpoint, exist_ok=True)
    process = subprocess.Popen([*command, source, mountpoint])
    try:
        started = time.perf_counter()
        while not os.path.ismount(mountpoint):
            if process.poll() is not None or time.perf_counter() - started > 30:
                raise SystemExit(f"{command} did not mount")
            time.sleep(0.01)  # another process has no event to wait for
        yield process
    finally:
        subprocess.run(["fusermount3", "-u", "-z", mountpoint], check=False, capture_output=True)
        process.terminate()
        process.wait(30)
