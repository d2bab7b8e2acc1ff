"""All downloads behind one port: streams and torrents. Pure delegation; on the trio thread. Composed by `tagfs.app`.

add: by what is asked for          everything else: by who the item belongs to
"""

from __future__ import annotations

from engine.formats.magnet import is_magnet
from engine.ports import AddRequest, Progress, RangeReader
from engine.torrents.manager import TorrentManager
from engine.transfer.manager import TransferManager
from engine.types import Item, ItemId


class Downloads:
    """Implements `ports.Transfers`."""

    def __init__(self, streams: TransferManager, torrents: TorrentManager) -> None:
        self._streams = streams
        self._torrents = torrents

    async def add(self, request: AddRequest) -> Item:
        if request.torrent is not None or any(map(is_magnet, request.urls)):
            return await self._torrents.add(request)
        return await self._streams.add(request)

    def reader(self, item: ItemId) -> RangeReader | None:
        return self._of(item).reader(item)

    def progress(self, item: ItemId) -> Progress | None:
        return self._of(item).progress(item)

    async def pause(self, item: ItemId) -> None:
        await self._of(item).pause(item)

    async def resume(self, item: ItemId) -> None:
        await self._of(item).resume(item)

    async def stop(self, item: ItemId) -> None:
        await self._of(item).stop(item)

    async def skip(self, item: ItemId) -> None:
        await self._torrents.skip(item)

    def mode(self, item: ItemId) -> str | None:
        return self._of(item).mode(item)

    async def set_mode(self, item: ItemId, mode: str) -> None:
        await self._of(item).set_mode(item, mode)

    def _of(self, item: ItemId) -> TransferManager | TorrentManager:
        """Streams are asked first: they know without a look into the catalogue."""
        return self._torrents if not self._streams.owns(item) and self._torrents.owns(item) else self._streams
