"""The catalogue's side of one arriving item: each step of its life as one durable write. On the trio thread.

State: `row`, the download row as it should be. It is written whole at checkpoints, so that its range map, validators
and staging name always belong together. `home` is the URL that the validators are of (None: the first one), `location`
where redirects led from there, as the next checkpoint will keep them.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import trio

from engine.disk import Disk, kill_point
from engine.errors import DigestMismatch
from engine.known import known, recorded
from engine.ports import Blobs, Catalogue, Edit
from engine.sources.stream import Head
from engine.sources.urls import name_of
from engine.transfer.live import SUFFIX
from engine.transfer.options import PIECES, Location, read_options, with_place
from engine.transfer.pieces import read_pieces
from engine.transfer.ranges import RangeMap
from engine.transfer.staged import StagedFile
from engine.transfer.version import Version
from engine.types import Blob, Download, ItemId, State

UNVERIFIED: Final = "user.tagfs.unverified"

_log = logging.getLogger(__name__)


def new_staging_name() -> str:
    return secrets.token_hex(16)


class Record:
    """One item and its row. `urls` are its mirrors, in order."""

    def __init__(self, catalogue: Catalogue, blobs: Blobs, row: Download) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self.row = row
        self.options = read_options(row.options)
        self.pieces = read_pieces(row.options.get(PIECES))
        self.home: str | None = self.options.home
        self.location: Location | None = self.options.location
        self.urls = [source.url for source in catalogue.sources(row.item) if source.url]

    @property
    def item(self) -> ItemId:
        return self.row.item

    async def started(self) -> None:
        await self._catalogue.edit(self.item, Edit(state=State.DOWNLOADING))

    async def described(self, head: Head, size: int | None) -> None:
        """What the first answer says of name, size, time and digests. A name that the user chose or changed stays."""
        edit = self.described_by(head, size)
        if edit != Edit():
            await self._catalogue.edit(self.item, edit)
        self.row = replace(self.row, digests={**head.digests, **self.row.digests})

    def described_by(self, head: Head, size: int | None) -> Edit:
        """What `described` changes of the item. An empty edit for one that has gone."""
        item = self._catalogue.item(self.item)
        if item is None:
            return Edit()
        name = head.name or name_of(head.url)
        renames = not self.row.name_fixed and item.name == name_of(self.urls[0]) and name != item.name
        return Edit(
            name=name if renames else None,
            size=size if size != item.size else None,
            mtime_if_unset=head.last_modified_ns,
        )

    async def checkpoint(self, ranges: RangeMap, version: Version) -> None:
        """`ranges` are durable. Nothing is written for a version that could not be recognised again."""
        if version.validator is None:
            return
        self.row = replace(
            self.row,
            size=version.size,
            etag=version.etag,
            last_modified=version.last_modified,
            ranges=str(ranges),
            options=with_place(self.row.options, self.home, self.location),
        )
        await self._catalogue.update_download(self.row)

    async def noted(self, version: Version) -> None:
        """What the file is, for the case that nothing of it had to be made durable."""
        row = self.row
        if (row.size, row.etag, row.last_modified) != (version.size, version.etag, version.last_modified):
            await self.checkpoint(RangeMap.parse(row.ranges), version)

    async def moved(self, home: str, location: Location | None, version: Version) -> None:
        """The same bytes go on to arrive from another place, which has validators of its own."""
        self.home, self.location = home, location
        await self.checkpoint(RangeMap.parse(self.row.ranges), version)

    async def begin_anew(self) -> None:
        """A new, empty staging file under a new name, and the old one removed. In this order: a row that names no
        file begins from nothing, a row that names another version's file would mix them."""
        old = self.row.staging
        self.home = None
        self.row = replace(
            self.row,
            staging=new_staging_name(),
            size=None,
            etag=None,
            last_modified=None,
            ranges="",
            options=with_place(self.row.options, None, self.location),
        )
        await self._catalogue.update_download(self.row)
        self._discard(old)

    def known_content(self, digests: Mapping[str, str], size: int | None) -> Blob | None:
        """The blob that has one of these digests, if it is in the store with its full size (R13)."""
        return recorded(self._catalogue, self._blobs, digests, size)

    async def look_closer(self, size: int, disk: Disk) -> Blob | None:
        """The blob that has one of the digests promised, if need be after hashing those of this size. OSError."""
        return await known(self._catalogue, self._blobs, disk, self.row.digests, size)

    async def adopt(self, blob: Blob) -> bool:
        """The content is in the store already. False, and nothing is done, where it is not what it was (R13): then it
        is fetched, which heals it. OSError."""
        self._blobs.hold(blob.sha256)
        try:
            if not await self._blobs.is_sound(blob.sha256, blob.size):
                return False
            self._discard(self.row.staging)
            with trio.CancelScope(shield=True):
                await self._complete(blob.sha256, blob.size, {}, None)
            return True
        finally:
            self._blobs.release(blob.sha256)

    async def finish(self, file: StagedFile) -> None:
        """All bytes are in the staging file: make a blob of it. DigestMismatch, StoreFull, OSError.

        Shielded, for a blob that is placed while its row is not written would be fetched a second time. What remains
        to be hashed and synced is bounded by the checkpoints.
        """
        if self.options.size not in (None, file.size):
            raise DigestMismatch(f"The file has {file.size} bytes, but {self.options.size} were promised.")
        with trio.CancelScope(shield=True):
            done = await self._blobs.ingest(file.name, self.row.digests)
            if done.size != file.size:
                raise RuntimeError(f"item {self.item}: {done.size} bytes were stored of a file of {file.size}")
            if not file.is_length_verified and not self.row.digests:
                _log.info("item %d: no length was announced, and the connection just ended", self.item)
                await self._catalogue.edit(self.item, Edit(set_xattrs={UNVERIFIED: b"length"}))
            self._blobs.discard_staging(file.name + SUFFIX)
            await self._complete(done.sha256, done.size, done.digests, done.mime)
            kill_point("finish.committed")

    async def failed(self, why: str) -> None:
        """For good. What is here stays, for the user may want it tried again."""
        await self._set(State.FAILED, why, attempts=self.row.attempts, retry_at_ns=None)

    async def later(self, why: str, attempts: int, retry_at_ns: int) -> None:
        await self._set(State.QUEUED, why, attempts=attempts, retry_at_ns=retry_at_ns)

    async def starved(self, why: str, now_ns: int) -> None:
        """Paused by us and not by the user, which the time of the next look says."""
        await self._set(State.PAUSED, why, attempts=self.row.attempts, retry_at_ns=now_ns)

    async def paused(self) -> None:
        await self._set(State.PAUSED, None, attempts=self.row.attempts, retry_at_ns=None)

    async def queued(self) -> None:
        """By the user, who wants it tried afresh."""
        await self._set(State.QUEUED, None, attempts=0, retry_at_ns=None)

    async def _set(self, state: State, why: str | None, *, attempts: int, retry_at_ns: int | None) -> None:
        if (attempts, retry_at_ns) != (self.row.attempts, self.row.retry_at_ns):
            self.row = replace(self.row, attempts=attempts, retry_at_ns=retry_at_ns)
            await self._catalogue.update_download(self.row)
        await self._catalogue.edit(self.item, Edit(state=state, error=why))

    async def _complete(self, sha256: str, size: int, digests: Mapping[str, str], mime: str | None) -> None:
        await self._catalogue.complete(
            self.item, sha256, size, digests=digests, mtime_ns=None, keep_old=False, mime=mime
        )

    def _discard(self, staging: str) -> None:
        self._blobs.discard_staging(staging)
        self._blobs.discard_staging(staging + SUFFIX)
