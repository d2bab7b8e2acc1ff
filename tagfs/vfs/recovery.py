"""What was written and is not stored: after a crash or a stop, and where the storing has failed. Trio thread.

State: none but the rows and the files in staging.
"""

from __future__ import annotations

from engine.ports import Catalogue
from engine.types import Item, ItemId, SourceKind, State
from tagfs.vfs.sealing import Sealer


class Recovery:
    def __init__(self, catalogue: Catalogue, sealer: Sealer) -> None:
        self._catalogue = catalogue
        self._sealer = sealer

    async def run(self) -> None:
        """At the start. In the trash, too: what is written there is still somebody's."""
        live = await self._catalogue.items([row.item for row in await self._catalogue.downloads()])
        for item in [*live, *await self._catalogue.trash_list()]:
            row = self._catalogue.download(item.id)
            failed = item.state is State.FAILED and self._is_written(item.id)
            if row is not None and (item.state is State.WRITING or failed):
                await self._sealer.recover(item, row.staging)
        for number, staging in await self._catalogue.drafts():
            found = self._catalogue.item(number)
            if found is not None and staging in self._catalogue.staged(number):  # not superseded by a later one
                await self._sealer.recover_draft(found, staging)

    def kept(self, item: Item) -> str | None:
        """The path of the bytes of a new item that failed to be stored; None for every other item."""
        if item.state is not State.FAILED or not self._is_written(item.id):
            return None
        row = self._catalogue.download(item.id)
        return None if row is None else self._sealer.kept(row.staging)

    async def retry(self, item: Item) -> bool:
        """Store once more such an item; False for every other."""
        row = self._catalogue.download(item.id)
        if row is None or self.kept(item) is None:
            return False
        await self._sealer.recover(item, row.staging)
        return True

    def _is_written(self, item: ItemId) -> bool:
        return any(source.kind is SourceKind.MOUNT for source in self._catalogue.sources(item))
