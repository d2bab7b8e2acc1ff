"""`tagfs verify --repair`: what is done about each kind of fault. Trio thread.

No file is deleted: what is not what it should be goes to `quarantine/`, for it may be all that is left of something.
The rows say so before it goes, and before content counts as found again it is hashed.

    damaged, wrong size     its items are `missing` (commit) ─▶ the file goes to quarantine/
    orphan                  hashed ─▶ an item of its own, named by its hash, with the tag `recovered`
State: none.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from engine.blobs import BlobStore
from engine.blobs.verify import damage_of
from engine.errors import CatalogueFailed, EngineError
from engine.ports import Catalogue, Index, NewItem
from engine.soundness.checker import Checker
from engine.soundness.faults import Fault, FaultKind
from engine.soundness.rows import staging_in_use
from engine.types import Item, Source, SourceKind

RECOVERED: Final = "recovered"
IMPORTED: Final = Source(SourceKind.IMPORT, "", "", "")
FETCHED_AGAIN: Final = "what is gone of it is fetched again"

_log = logging.getLogger(__name__)


class Mender:
    def __init__(self, catalogue: Catalogue, index: Index, store: BlobStore, checker: Checker) -> None:
        self._catalogue = catalogue
        self._index = index
        self._store = store
        self._checker = checker

    async def mend(self, faults: Sequence[Fault]) -> list[Fault]:
        """The same faults, each with what was done about it. What cannot be mended now stays as it is."""
        still = await self._still_wrong({fault.kind for fault in faults})
        async with self._store.keep_all():
            return [await self._mend_one(fault, still) for fault in faults]

    async def _mend_one(self, fault: Fault, still: set[str]) -> Fault:
        if fault.kind in (FaultKind.CATALOGUE, FaultKind.INDEX):
            done = None if fault.sentence in still else "set right by what it follows from"
        elif not self._checker.is_still_so(fault, frozenset(await staging_in_use(self._catalogue))):
            done = "it is not so any more"
        else:
            done = await self._try(fault)
        if done is not None:
            _log.info("mended: %s: %s: %s", fault.sha256 or fault.path or fault.kind.value, fault.sentence, done)
        return replace(fault, mended=done)

    async def _still_wrong(self, kinds: set[FaultKind]) -> set[str]:
        """What of the database and the index cannot be set right."""
        if not kinds & {FaultKind.CATALOGUE, FaultKind.INDEX}:
            return set()
        try:
            if FaultKind.CATALOGUE in kinds:
                await self._catalogue.mend()
        except CatalogueFailed:
            raise
        except EngineError as error:
            _log.error("the catalogue cannot be mended: %s", error)
        await self._index.renew()
        return {*await self._catalogue.check(), *await self._index.check()}

    async def _try(self, fault: Fault) -> str | None:
        try:
            return await self._mend(fault)
        except CatalogueFailed:
            raise
        except (EngineError, OSError) as error:
            _log.error("%s cannot be mended: %s", fault.sha256 or fault.path, error)
            return None

    async def _mend(self, fault: Fault) -> str | None:
        sha256, path = fault.sha256 or "", fault.path or ""
        match fault.kind:
            case FaultKind.MISSING:
                return await self._missing(sha256)
            case FaultKind.SIZE:
                return await self._size(sha256)
            case FaultKind.DAMAGED | FaultKind.UNREADABLE:
                if await damage_of(self._store, sha256) is None:
                    return "it is right when it is read again"
                return await self._lose(sha256, fault.sentence)
            case FaultKind.MODE:
                await self._store.protect(sha256)
                return "it is read-only again; what is in it, verify --data says"
            case FaultKind.ORPHAN:
                return await self._adopt(sha256)
            case FaultKind.FOUND:
                return await self._find(sha256)
            case FaultKind.FOREIGN | FaultKind.STRAY:
                return f"it is {await self._store.quarantine(path)} now"
            case FaultKind.STAGING:
                return await self._fetch_again(fault)
            case _:
                return None

    async def _missing(self, sha256: str) -> str | None:
        items = await self._catalogue.lose_content(sha256, "its content is missing from the store")
        if items:
            return _now_missing(len(items))
        if await self._catalogue.forget_blob(sha256):
            return "the catalogue does not name it any more, for no item did"
        return None

    async def _size(self, sha256: str) -> str | None:
        size = self._store.size(sha256)
        if size is not None and await damage_of(self._store, sha256) is None:
            await self._catalogue.set_blob_size(sha256, size)
            return f"it is whole with {size} bytes, and the catalogue says so now"
        return await self._lose(sha256, "the content has not its size any more")

    async def _lose(self, sha256: str, why: str) -> str:
        items = await self._catalogue.lose_content(sha256, why)
        kept = await self._store.quarantine(self._store.path(sha256))
        return f"the file is {kept} now" + (f", and {_now_missing(len(items))}" if items else "")

    async def _adopt(self, sha256: str) -> str:
        self._store.touch(sha256)
        if await damage_of(self._store, sha256) is not None:
            kept = await self._store.quarantine(self._store.path(sha256))
            return f"it is not what its name says: it is {kept} now"
        size = self._store.size(sha256)
        (mime,) = await self._store.looks([sha256])
        new = NewItem(sha256, tags=[RECOVERED], size=size, sha256=sha256, mime=mime, sources=[IMPORTED])
        item: Item = await self._catalogue.add(new)
        return f"it is item {item.id} now, named by its hash, with the tag {RECOVERED}"

    async def _find(self, sha256: str) -> str | None:
        size = self._store.size(sha256)
        if size is None or await damage_of(self._store, sha256) is not None:
            return None
        items = await self._catalogue.find_content(sha256, size)
        return f"{_items(len(items), 'has', 'have')} it again" if items else None

    async def _fetch_again(self, fault: Fault) -> str | None:
        row = None if fault.item is None else self._catalogue.download(fault.item)
        if row is None:
            return None
        await self._catalogue.update_download(replace(row, ranges=""))
        return FETCHED_AGAIN


def _now_missing(count: int) -> str:
    return f"{_items(count, 'misses', 'miss')} it now; tagfs resume fetches such as have a URL"


def _items(count: int, one: str, several: str) -> str:
    return f"1 item {one}" if count == 1 else f"{count} items {several}"
