"""A transfer manager on a real catalogue and a real store, with what tests ask of it.

async with rig(tmp_path) as here:
    item = await here.add(server.url("/x"))
    await here.until(item, State.COMPLETE)
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import trio

from engine.blobs import BlobStore
from engine.catalogue import SqliteCatalogue, open_catalogue
from engine.ports import AddRequest
from engine.sources.config import HttpConfig
from engine.transfer.config import TransferConfig
from engine.transfer.manager import TransferManager
from engine.types import Item, ItemId, State

QUICK = TransferConfig(
    backoff_first=0.01,
    backoff_max=0.05,
    space_check=0.02,
    reserve=0,
    http=HttpConfig(connect_timeout=30.0, header_timeout=30.0, read_timeout=30.0),
)
ENDS = (State.COMPLETE, State.FAILED, State.PAUSED)


class Rig:
    def __init__(self, catalogue: SqliteCatalogue, store: BlobStore, manager: TransferManager, root: Path) -> None:
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

    async def add(self, *urls: str, **fields) -> Item:
        return await self.manager.add(AddRequest(urls, **fields))

    def item(self, item: Item | ItemId) -> Item:
        found = self.catalogue.item(item if isinstance(item, int) else item.id)
        assert found is not None
        return found

    async def until(self, item: Item, *states: State) -> Item:
        """The item once it is in one of `states`; by default at an end of any kind."""
        return await self.when(item, lambda found: found.state in (states or ENDS))

    async def when(self, item: Item, test: Callable[[Item], bool]) -> Item:
        with trio.fail_after(120):
            while not test(found := self.item(item)):
                await self._changed.wait()
        return found

    async def here(self, item: Item, count: int) -> None:
        """Until `count` bytes of it have arrived. Progress has no event; 1 ms is how often the test looks."""
        with trio.fail_after(120):
            while (progress := self.manager.progress(item.id)) is not None and progress.done < count:
                await trio.sleep(0.001)

    async def waiting(self, item: Item, count: int = 1) -> None:
        """Until so many reads wait for it."""
        with trio.fail_after(120):
            while len(self.manager._roster.jobs[item.id].arrival.waiters) < count:
                await trio.sleep(0.001)

    def content(self, item: Item) -> bytes:
        found = self.item(item)
        assert found.state is State.COMPLETE, f"{found.state}: {found.error}"
        assert found.sha256 is not None
        with open(self.store.path(found.sha256), "rb") as file:
            return file.read()

    async def read(self, item: Item, offset: int, length: int, patience: float = 120.0) -> bytes:
        reader = self.manager.reader(item.id)
        assert reader is not None
        return await reader.pread(offset, length, trio.current_time() + patience)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The manager at work, for rigs that do not run it."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.manager.run)
            yield
            nursery.cancel_scope.cancel()

    @property
    def staged(self) -> list[str]:
        return sorted(os.listdir(self.root / "staging"))


@asynccontextmanager
async def rig(root: Path, *, run: bool = True, **settings) -> AsyncIterator[Rig]:
    """A fresh start on the state directory `root`. Without `run`, the manager does not."""
    http = replace(QUICK.http, **settings.pop("http", {}))
    config = replace(QUICK, http=http, **settings)
    root.mkdir(exist_ok=True)
    async with open_catalogue(str(root / "catalogue.sqlite")) as catalogue:
        store = BlobStore(root)
        await store.sweep([row.staging for row in await catalogue.downloads()])
        manager = TransferManager(catalogue, store, config)
        here = Rig(catalogue, store, manager, root)
        if not run:
            yield here
            return
        async with here.running():
            yield here
