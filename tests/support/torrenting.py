"""A torrent manager on a real catalogue and a real store, with what tests ask of it.

async with torrents(tmp_path) as here:
    item = await here.add(torrent.data)              # or a magnet link
    await here.until(item, State.SEEDING)
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import libtorrent as lt
import trio

from engine.blobs import BlobStore
from engine.catalogue import SqliteCatalogue, open_catalogue
from engine.ports import AddRequest
from engine.sources.torrent.config import TorrentConfig
from engine.torrents.manager import TorrentManager
from engine.types import Item, ItemId, State

# Nobody counts the seconds of a stop here: what a busy machine does not get done would be hashed at the next start.
QUIET = TorrentConfig(
    listen="127.0.0.1:0",
    outgoing="127.0.0.1",
    dht=False,
    pex=False,
    private_addresses=True,
    seed_ratio=0.0,
    stop_deadline=100.0,
)
PATIENCE = 200  # seconds; guards against a hang alone


class Torrents:
    def __init__(self, catalogue: SqliteCatalogue, store: BlobStore, manager: TorrentManager, root: Path) -> None:
        self.catalogue = catalogue
        self.store = store
        self.manager = manager
        self.root = root
        self._changed = trio.Event()
        catalogue.observe(self)

    def apply(self, changes, tags) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def settle(self, changes, tags) -> None:
        pass

    async def add(self, what: bytes | str, **fields) -> Item:
        if isinstance(what, bytes):
            return await self.manager.add(AddRequest(torrent=what, **fields))
        return await self.manager.add(AddRequest([what], **fields))

    def item(self, item: Item | ItemId) -> Item:
        found = self.catalogue.item(item if isinstance(item, int) else item.id)
        assert found is not None
        return found

    async def until(self, item: Item | ItemId, *states: State) -> Item:
        return await self.when(item, lambda found: found.state in states)

    async def when(self, item: Item | ItemId, test: Callable[[Item], bool]) -> Item:
        with trio.move_on_after(PATIENCE) as scope:
            while not test(self.item(item)):
                await self._changed.wait()
        assert not scope.cancelled_caught, self.item(item)
        return self.item(item)

    async def here(self, item: Item, count: int) -> None:
        """Until `count` bytes of it have arrived. Progress has no event; 1 ms is how often the test looks."""
        with trio.fail_after(PATIENCE):
            while (progress := self.manager.progress(item.id)) is None or progress.done < count:
                await trio.sleep(0.001)

    def content(self, item: Item | ItemId) -> bytes:
        found = self.item(item)
        assert found.state.whole, (found.state, found.error)
        assert found.sha256 is not None
        return Path(self.store.path(found.sha256)).read_bytes()

    async def tree(self, folder: Item) -> dict[str, Item]:
        """The files below a folder item, by path."""
        found = {}
        for item in await self.catalogue.children(folder.id):
            if item.kind == "folder":
                found |= {f"{item.name}/{path}": child for path, child in (await self.tree(item)).items()}
            else:
                found[item.name] = item
        return found

    async def read(self, item: Item | ItemId, offset: int, length: int, patience: float = 150.0) -> bytes:
        reader = self.manager.reader(self.item(item).id)
        assert reader is not None
        return await reader.pread(offset, length, trio.current_time() + patience)

    async def read_back(self) -> int:
        """Blocks of 16 KiB that libtorrent read from its files to hash them."""
        session = self.manager._session
        hear, told = session._hear, trio.Event()
        found: dict[str, int] = {}

        def listen(alert: lt.alert) -> None:
            if isinstance(alert, lt.session_stats_alert):
                found.update(alert.values)
                told.set()
            else:
                hear(alert)

        session._hear = listen
        try:
            session._session.post_session_stats()
            with trio.fail_after(PATIENCE):
                await told.wait()
        finally:
            session._hear = hear
        return found["disk.num_read_back"]

    async def in_session(self, item: Item) -> None:
        """Until it is known what is on disk."""
        with trio.fail_after(PATIENCE):
            while (job := self.manager._roster.jobs.get(item.id)) is None or job.swarm is None or not job.swarm._checks:
                await trio.sleep(0.001)

    @property
    def port(self) -> int:
        """Where our session listens."""
        session = self.manager._session._session
        assert session is not None
        return int(session.listen_port())

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def folders(self) -> list[str]:
        return sorted(os.listdir(self.root / "torrents"))


@asynccontextmanager
async def torrents(root: Path, **settings) -> AsyncIterator[Torrents]:
    """A fresh start on the state directory `root`."""
    root.mkdir(exist_ok=True)
    async with open_catalogue(str(root / "catalogue.sqlite")) as catalogue:
        store = BlobStore(root)
        manager = TorrentManager(catalogue, store, str(root), replace(QUIET, **settings))
        async with trio.open_nursery() as nursery:
            await nursery.start(manager.run)
            yield Torrents(catalogue, store, manager, root)
            nursery.cancel_scope.cancel()
        assert await catalogue.check() == []
