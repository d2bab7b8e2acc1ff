"""Folder items without a torrent: made by the engine as a torrent makes them, and filled at once."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from uuid import uuid4

import trio

from engine.blobs import BlobStore
from engine.catalogue import SqliteCatalogue, open_catalogue
from engine.ports import Edit, FolderFile, NewDownload, NewItem
from engine.types import Item, ItemId, Kind, State
from tagfs.daemon.state import lock

Files = Mapping[str, bytes]  # path below the folder -> content


async def make_folder(
    catalogue: SqliteCatalogue, store: BlobStore, name: str, files: Files, tags: Collection[str] = ()
) -> Item:
    """Whole: all content is in the store."""
    item = await catalogue.add(NewItem(name, state=State.QUEUED, tags=tags, download=NewDownload(uuid4().hex)))
    ids = await catalogue.unpack(
        item.id, [FolderFile(tuple(path.split("/")), len(data)) for path, data in files.items()]
    )
    for number, data in zip(ids, files.values(), strict=True):
        staging, fd = store.create_staging()
        os.write(fd, data)
        os.close(fd)
        blob = await store.ingest(staging, {})
        await catalogue.complete(number, blob.sha256, blob.size, digests={}, mtime_ns=None, keep_old=False)
    folders = {item.id} | {folder for number in ids for folder in catalogue.ancestors(number)}
    await catalogue.edit_many([(folder, Edit(state=State.COMPLETE)) for folder in sorted(folders)])
    made = catalogue.item(item.id)
    assert made is not None
    assert made.kind is Kind.FOLDER
    return made


def prepare(state: Path, folders: Mapping[str, tuple[Files, Collection[str]]]) -> dict[str, ItemId]:
    """Make folders, name -> (files, tags), in a state directory that no daemon uses yet."""

    async def make() -> dict[str, ItemId]:
        async with open_catalogue(str(state / "catalogue.sqlite")) as catalogue:
            store = BlobStore(state)
            return {
                name: (await make_folder(catalogue, store, name, files, tags)).id
                for name, (files, tags) in folders.items()
            }

    state.mkdir(mode=0o700, exist_ok=True)
    held = lock(str(state))
    try:
        return trio.run(make)
    finally:
        os.close(held)
