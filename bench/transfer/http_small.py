"""1,000 files of 100 KiB from nginx on loopback: tagfs, each one hashed, durable and tagged, against aria2c and curl.

tagfs runs from the start of `tagfs add -i LIST` until the last item is complete. Each round has files of its own, for
what is in the store already is not fetched again.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from bench.contest import Contender, Result, contest, cpu_of, cpu_of_children, run, table, until
from bench.daemon import mounted
from bench.transfer.ours import Tagfs
from tests.support.nginx import nginx

FILES = 1000
KIB = 100


def measure(folder: Path, rounds: int) -> None:
    served, out = folder / "served", folder / "out"
    served.mkdir()
    with nginx(folder / "nginx", served) as server, mounted(f"{folder}/state", f"{folder}/mnt") as (daemon, _):
        ours = Tagfs(daemon.pid, folder)

        def aria2c(number: int) -> Result:
            return run(["aria2c", "-q", "--no-conf", "-j16", "-d", str(out), "-i", f"{folder}/{number}.txt"])

        def curl(number: int) -> Result:
            options = ["-sfZ", "--parallel-max", "16", "--create-dirs", "--output-dir", str(out)]
            return run(["curl", *options, "-K", f"{folder}/{number}.curl"])

        standings = contest(
            [
                Contender("aria2c -j16", aria2c, ("aria2c",)),
                Contender("curl -Z", curl, ("curl",)),
                Contender("tagfs", lambda number: add(ours, f"{folder}/{number}.txt", f"round{number}")),
            ],
            rounds,
            before=lambda number: fill(folder, number, server.url),
            after=lambda: shutil.rmtree(out, ignore_errors=True),
        )
    table(standings, "aria2c -j16", ("files/s", lambda wall: FILES / wall))


def fill(folder: Path, number: int, url: Callable[[str], str]) -> None:
    """The files of a round, their URLs as a list for tagfs and aria2c, and as a config for curl."""
    (folder / f"served/{number}").mkdir()
    names = [f"{number}/{index:05}.bin" for index in range(FILES)]
    for name in names:
        (folder / "served" / name).write_bytes(os.urandom(KIB << 10))
    (folder / f"{number}.txt").write_text("".join(f"{url(name)}\n" for name in names))
    (folder / f"{number}.curl").write_text("".join(f'url = "{url(name)}"\nremote-name\n' for name in names))


def add(ours: Tagfs, urls: str, tag: str) -> Result:
    """Looks at the last file until it is complete, for it is likely to be the last, and then at all."""
    started, spent, children = time.perf_counter(), cpu_of(ours.pid), cpu_of_children()
    ours.run("add", "-i", urls, "-t", tag)
    ours.wait(ours.mount / "tags" / tag / f"{FILES - 1:05}.bin")
    until(lambda: len(os.listdir(ours.mount / "tags" / tag / "state:complete")) == FILES)
    return Result(time.perf_counter() - started, cpu_of(ours.pid) - spent + cpu_of_children() - children)
