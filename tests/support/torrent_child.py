"""A torrent manager in a process of its own, for tests that kill it.

    python -m tests.support.torrent_child STATE [ADD]

ADD is a magnet link or the path of a .torrent. A line with the number of bytes that are here is written whenever that
changes. No checkpoint is made, on however slow a machine.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import trio

from engine.types import ItemId
from tests.support.torrenting import torrents


async def main(state: Path, what: str | None) -> None:
    async with torrents(state, checkpoint_seconds=math.inf) as here:
        if what is not None:
            data = None if what.startswith("magnet:") else Path(what).read_bytes()
            item = (await here.add(what if data is None else data)).id
        else:
            item = ItemId((await here.catalogue.torrents())[0][0])
        last = -1
        while True:
            progress = here.manager.progress(item)
            done = 0 if progress is None else progress.done
            if done != last:
                os.write(1, b"%d\n" % done)
                last = done
            await trio.sleep(0.002)


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
