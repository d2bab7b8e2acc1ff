"""One large file over a line of 100 ms and 20 MB/s a connection: tagfs's segments against aria2c -x16 -s16."""

from __future__ import annotations

from pathlib import Path

from bench.contest import Contender, Result, contest, table
from bench.relay import relay
from bench.transfer.content import fill, renew
from bench.transfer.http_large import aria2c, curl
from bench.transfer.ours import fresh
from tests.support.nginx import nginx

RTT = 0.1
RATE = 20e6
AS_MANY = "[transfer]\nsplit = 16\nmax_connections_per_host = 16\n"  # as aria2c is told, whose default is one


def measure(folder: Path, mib: int, rounds: int) -> None:
    served = folder / "served"
    served.mkdir()
    large = served / "large.bin"
    fill(large, mib)
    out = folder / "out"

    def before(number: int) -> None:
        renew(large)
        (served / f"{number}.bin").hardlink_to(large)

    with (
        nginx(folder / "nginx", served) as server,
        relay(server.port, rtt=RTT, rate=RATE) as port,
    ):

        def url(number: int) -> str:
            return f"http://127.0.0.1:{port}/{number}.bin"

        def tagfs(number: int) -> Result:
            with fresh(folder, AS_MANY) as ours:
                return ours.link(url(number))

        standings = contest(
            [
                aria2c(16, url, out),
                Contender("tagfs", tagfs),
                *([curl(url, out)] if mib <= 512 else []),  # its one connection takes 54 s for 1 GiB
            ],
            rounds,
            before=before,
            after=lambda: out.unlink(missing_ok=True),
        )
    table(standings, "aria2c -x16", ("MB/s", lambda wall: mib * 1.048576 / wall))
