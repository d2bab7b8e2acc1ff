"""One large file from nginx on loopback: tagfs, SHA-256 and durable store included, beside curl and curl | sha256sum.

python -m bench.download [--mib 1024] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.daemon import mounted
from tests.support.nginx import nginx

MIB = 1 << 20


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mib", type=int, default=1024)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        top = Path(folder)
        (top / "served").mkdir()
        for number in range(chosen.rounds):  # a file that is there already is not fetched: a fresh one each round
            fill(top / f"served/{number}.bin", chosen.mib)
        with nginx(top / "nginx", top / "served") as server, mounted(f"{folder}/state", f"{folder}/mnt") as (daemon, _):
            contenders: dict[str, Callable[[int], None]] = {
                "curl": lambda number: run(f"curl -s -o {folder}/out {server.url(f'{number}.bin')}"),
                "curl + sha256sum": lambda number: run(
                    f"curl -s {server.url(f'{number}.bin')} | tee {folder}/out | sha256sum > /dev/null"
                ),
                "tagfs": lambda number: download(f"{folder}/mnt", server.url(f"{number}.bin")),
            }
            times: dict[str, list[float]] = {name: [] for name in contenders}
            cpu: list[float] = []
            for number in range(chosen.rounds):
                for name, fetch in contenders.items():
                    before = cpu_seconds(daemon.pid)
                    started = time.perf_counter()
                    fetch(number)
                    times[name].append(time.perf_counter() - started)
                    if name == "tagfs":
                        cpu.append(cpu_seconds(daemon.pid) - before)
                    Path(f"{folder}/out").unlink(missing_ok=True)
            base = median(times["curl"])
            for name, measured in times.items():
                extra = f", {median(cpu):.2f} s of CPU" if name == "tagfs" else ""
                print(f"{name:<17} {median(measured):6.2f} s  {median(measured) / base:.2f}x curl{extra}")


def fill(path: Path, mib: int) -> None:
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))


def run(command: str) -> None:
    subprocess.run(command, shell=True, check=True)


def download(mountpoint: str, url: str) -> None:
    """From `ln -s` until the item is whole: hashed, fsynced, renamed and committed."""
    file = os.path.join(mountpoint, "files", url.rpartition("/")[2])
    os.symlink(url, file)
    while os.getxattr(file, "user.tagfs.state") != b"complete":
        time.sleep(0.005)  # another process has no event to wait for


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
