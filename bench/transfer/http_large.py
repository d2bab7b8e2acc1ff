"""One large file from nginx on loopback: tagfs, SHA-256 and durable store included, against curl and aria2c."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.contest import Contender, Result, contest, run, table
from bench.transfer.content import fill, hashing, renew
from bench.transfer.ours import fresh
from tests.support.nginx import nginx


def measure(folder: Path, mib: int, rounds: int) -> None:
    served = folder / "served"
    served.mkdir()
    large = served / "large.bin"
    fill(large, mib)
    out = folder / "out"
    hashes: list[float] = []

    def before(number: int) -> None:
        renew(large)
        (served / f"{number}.bin").hardlink_to(large)
        hashes.append(hashing(large))

    with nginx(folder / "nginx", served) as server:

        def tagfs(number: int) -> Result:
            with fresh(folder) as ours:
                return ours.link(server.url(f"{number}.bin"))

        standings = contest(
            [
                curl(lambda number: server.url(f"{number}.bin"), out),
                curl_and_sum(lambda number: server.url(f"{number}.bin"), out),
                aria2c(1, lambda number: server.url(f"{number}.bin"), out),
                aria2c(16, lambda number: server.url(f"{number}.bin"), out),
                Contender("tagfs", tagfs),
            ],
            rounds,
            before=before,
            after=lambda: out.unlink(missing_ok=True),
        )
    table(standings, "curl", ("MB/s", lambda wall: mib * 1.048576 / wall))
    without_hash(standings["tagfs"].results, standings["curl"].results if "curl" in standings else [], median(hashes))


def without_hash(own: list[Result], curls: list[Result], hashed: float) -> None:
    if own and curls:
        rest = median(one.cpu for one in own) - hashed
        ratio = rest / median(one.cpu for one in curls)
        print(f"  tagfs without the {hashed:.2f} s of CPU that hashlib takes: {rest:.2f} s, {ratio:.2f} x curl's")


def curl(url: Callable[[int], str], out: Path) -> Contender:
    return Contender("curl", lambda number: run(["curl", "-sf", "-o", str(out), url(number)]), ("curl",))


def curl_and_sum(url: Callable[[int], str], out: Path) -> Contender:
    def both(number: int) -> Result:
        return run(["bash", "-c", f"set -o pipefail; curl -sf {url(number)} | tee {out} | sha256sum"])

    return Contender("curl | tee | sha256sum", both, ("curl", "sha256sum"))


def aria2c(connections: int, url: Callable[[int], str], out: Path) -> Contender:
    """Without preallocation, which only costs time here, and with pieces as small as it takes them."""

    def fetch(number: int) -> Result:
        options = [f"-x{connections}", f"-s{connections}", "-k1M", "--file-allocation=none", "--no-conf", "-q"]
        return run(["aria2c", *options, "-d", str(out.parent), "-o", out.name, url(number)])

    return Contender(f"aria2c -x{connections}", fetch, ("aria2c",))
