"""A process with a catalogue, for tests that kill it, fill its disk or break it.

tag PATH    adds items and tags them for ever; prints `NAME TAG` once a tag is acknowledged
fill DIR    runs on a file system of 1 MiB mounted over DIR until it is full, makes room, goes on
fail PATH   runs into a file size limit, which SQLite reports as an I/O error
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import trio

from engine.catalogue import open_catalogue
from engine.errors import CatalogueFailed, StoreFull
from engine.ports import Edit
from tests.support.catalogue import whole

TASKS = 8


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def tag(path: str) -> None:
    async def worker(number: int) -> None:
        item = await catalogue.add(whole(f"item{number}"))
        for count in range(1_000_000):
            await catalogue.edit(item.id, Edit(add=[f"t{number}-{count}"]))
            say(f"{item.name} t{number}-{count}")

    async with open_catalogue(path) as catalogue, trio.open_nursery() as nursery:
        for number in range(TASKS):
            nursery.start_soon(worker, number)


async def fill(folder: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=True)
    ballast = Path(folder, "ballast")
    ballast.write_bytes(bytes(300_000))
    async with open_catalogue(f"{folder}/catalogue.db") as catalogue:
        item = await catalogue.add(whole("first"))
        try:
            for number in range(1_000_000):
                await catalogue.add(whole(f"f{number}", "a", "b"))
        except StoreFull:
            say("full")
        ballast.unlink()
        await catalogue.edit(item.id, Edit(add=["again"]))
        say("freed")
        say("sound" if await catalogue.check() == [] else "broken")


async def fail(path: str) -> None:
    async def caller(word: str) -> None:
        with trio.CancelScope(shield=True):
            try:
                for number in range(1_000_000):
                    await catalogue.add(whole(f"{word}{number}"))
            except CatalogueFailed:
                say(word)

    try:
        async with open_catalogue(path) as catalogue, trio.open_nursery() as nursery:
            resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
            nursery.start_soon(caller, "caller")
            nursery.start_soon(caller, "caller")
    except CatalogueFailed:
        say("service")


if __name__ == "__main__":
    trio.run({"tag": tag, "fill": fill, "fail": fail}[sys.argv[1]], sys.argv[2])
