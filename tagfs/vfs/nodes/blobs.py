"""/blobs: content by its SHA-256, read-only."""

from __future__ import annotations

import re
from typing import Final

from tagfs.vfs import attr, numbers
from tagfs.vfs.attr import Attr
from tagfs.vfs.context import Context
from tagfs.vfs.tree import BlobNode, Closed, Directory, Entry, Fixed, Node, Place, Snapshot, no_entry

_SHA256: Final = re.compile("[0-9a-f]{64}")


class BlobsDirectory(Directory):
    location = ("blobs",)
    number = numbers.BLOBS
    keeps = False  # blobs go without a change of any item
    place: Place = Closed("blobs are named by their content: nothing can be put here or taken away")

    def __init__(self, context: Context) -> None:
        self._context = context

    def attr(self) -> Attr:
        return attr.of_directory(self.number, self._context.views.listed_ns, writable=False)

    async def lookup(self, name: str) -> Node:
        blob = self._context.catalogue.blob(name) if _SHA256.fullmatch(name) else None
        if blob is None:
            raise no_entry(name)
        return BlobNode(blob)

    async def snapshot(self) -> Snapshot:
        started = self._context.started_ns
        return Fixed(
            [
                Entry(blob.sha256, BlobNode(blob), attr.of_blob(numbers.of_blob(blob.id), blob.size, started))
                for blob in await self._context.catalogue.blobs()
            ]
        )
