"""Everything below the kernel, put together as `tagfs.app` does: real catalogue, index, store, transfers and nodes.

What the kernel would cache is written down instead (`Recorder`), so that tests can ask what it was told to forget.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio
from pyroaring import BitMap

from engine.blobs import BlobStore
from engine.catalogue import SqliteCatalogue, open_catalogue
from engine.index import BitmapIndex
from engine.ports import NewItem
from engine.soundness.rows import staging_in_use
from engine.transfer.manager import TransferManager
from engine.types import Item, Kind, Source, SourceKind
from tagfs.intake.drops import DropStore
from tagfs.vfs import numbers
from tagfs.vfs.context import Context
from tagfs.vfs.drafts import Drafts
from tagfs.vfs.faults import Faults
from tagfs.vfs.inbox import Inbox
from tagfs.vfs.nodes import root
from tagfs.vfs.settling import NO_ITEMS
from tagfs.vfs.tree import Directory, Node
from tagfs.vfs.views import Views
from tagfs.vfs.walk import walk
from tests.support.folders import Files, make_folder

MOUNTPOINT = "/nowhere/mnt"


@dataclass
class Recorder:
    """A `tagfs.vfs.settling.Kernel` that writes down what it is told to forget."""

    names: list[tuple[int, str]] = field(default_factory=list)
    inodes: list[int] = field(default_factory=list)

    async def forget(self, names: Sequence[tuple[int, str]], inodes: Sequence[int], items: BitMap = NO_ITEMS) -> None:
        self.names += names
        self.inodes += [*inodes, *items]

    def forget_attributes(self, inodes: Iterable[int]) -> None:
        self.inodes += inodes

    def in_use(self) -> BitMap:
        return BitMap()

    def clear(self) -> None:
        self.names.clear()
        self.inodes.clear()


@dataclass
class World:
    catalogue: SqliteCatalogue
    index: BitmapIndex
    store: BlobStore
    views: Views
    drafts: Drafts
    context: Context
    kernel: Recorder
    nursery: trio.Nursery

    async def node(self, path: str) -> Node:
        return await walk(self.context, path)

    async def directory(self, path: str) -> Directory:
        node = await self.node(path)
        assert isinstance(node, Directory)
        return node

    async def names(self, path: str) -> list[str]:
        return sorted(entry.name for entry in (await (await self.directory(path)).snapshot()).entries)

    async def item(self, name: str, *tags: str, content: bytes | None = None) -> Item:
        """A whole item, whose content (by default its name) is in the store."""
        data = os.fsencode(name) if content is None else content
        staging, fd = self.store.create_staging()
        os.write(fd, data)
        os.close(fd)
        blob = await self.store.ingest(staging, {})
        source = Source(SourceKind.IMPORT, "", "", "")
        return await self.catalogue.add(
            NewItem(name, tags=tags, size=blob.size, sha256=blob.sha256, sources=[source])
        )  # fmt: skip

    async def folder(self, name: str, files: Files, *tags: str) -> Item:
        """A whole folder item."""
        return await make_folder(self.catalogue, self.store, name, files, tags)

    async def link(self, name: str, target: str, *tags: str) -> Item:
        return await self.catalogue.add(NewItem(name, kind=Kind.SYMLINK, target=target, tags=tags))


@asynccontextmanager
async def open_world(folder: Path, *, facets: bool = False) -> AsyncIterator[World]:
    """`folder` is the state directory: opening it once more is a restart. Drafts run; transfers are not started."""
    async with open_catalogue(str(folder / "catalogue.sqlite")) as catalogue:
        index = await BitmapIndex.open(catalogue)
        store = BlobStore(folder)
        await store.sweep(await staging_in_use(catalogue))
        transfers = TransferManager(catalogue, store)
        views = Views(catalogue, index)
        catalogue.observe(views)
        drafts = Drafts(catalogue, store, transfers)
        drafts.overwritten = views.overwritten
        catalogue.observe(drafts.pages)
        faults = Faults()
        inbox = Inbox(
            DropStore(str(folder)), catalogue, transfers, faults, first=numbers.DROP_BASE, live=lambda: index.live
        )
        context = Context(
            catalogue=catalogue,
            index=index,
            transfers=transfers,
            blobs=store,
            views=views,
            drafts=drafts,
            inbox=inbox,
            faults=faults,
            store=str(folder),
            mountpoint=MOUNTPOINT,
            facets=facets,
        )
        context.nodes.update(root.build(context, status=lambda: "status\n", version="0"))
        kernel = Recorder()
        views.connect(kernel)
        async with trio.open_nursery() as nursery:
            await nursery.start(drafts.run)
            await nursery.start(inbox.run)
            yield World(catalogue, index, store, views, drafts, context, kernel, nursery)
            nursery.cancel_scope.cancel()
