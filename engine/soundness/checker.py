"""`tagfs verify`: finds what does not agree, while everything goes on. Trio thread; scans, listings, hashes in threads.

    inventory ─▶ rows ─▶ compare ─▶ is it still so? ─▶ (each byte, where asked) ─▶ which items does it concern?

The folders are read before the rows: what is stored meanwhile is then no orphan. State: none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import trio

from engine.blobs import BlobStore
from engine.blobs.gc import GRACE
from engine.blobs.verify import Damage, damage_of
from engine.ports import Catalogue, Index
from engine.soundness.compare import compare
from engine.soundness.faults import Fault, FaultKind
from engine.soundness.inventory import Inventory, take
from engine.soundness.rows import read_rows, staged_end, staging_in_use
from engine.types import Item

AT_ONCE: Final = 200  # contents whose items are asked for together; files that are looked at before others get a turn
SHARES: Final = 1 << 32  # contents are divided into subsets by the first 32 bits of their digests


@dataclass(frozen=True, slots=True)
class Step:
    """How far it is. `name` is the content that is read."""

    name: str = ""
    blobs: int = 0
    blobs_total: int = 0
    read: int = 0
    read_total: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    faults: Sequence[Fault]
    blobs: int
    read: int  # bytes


@dataclass(frozen=True, slots=True)
class Subset:
    """Part `number` (from 1) of `parts` of about the same size, the same ones each time."""

    number: int
    parts: int

    def has(self, sha256: str) -> bool:
        return int(sha256[:8], 16) * self.parts // SHARES == self.number - 1


ALL: Final = Subset(1, 1)


class Checker:
    def __init__(
        self, catalogue: Catalogue, index: Index, store: BlobStore, *, clock: Callable[[], float] = time.time
    ) -> None:
        """`clock` gives seconds since the epoch, as dates of files do."""
        self._catalogue = catalogue
        self._index = index
        self._store = store
        self._clock = clock

    async def run(self, told: Callable[[Step], None], *, data: bool = False, subset: Subset = ALL) -> Found:
        told(Step())
        faults = await self.check_database()
        faults += [Fault(FaultKind.INDEX, sentence) for sentence in await self._index.check()]
        async with self._store.keep_all():  # a row goes before its file: in between it would look like an orphan
            inventory = await self._store.disk.run(take, self._store.root)
            rows = await read_rows(self._catalogue)
            known = {blob.sha256: blob.size for blob in rows.blobs}
            staging = frozenset(await staging_in_use(self._catalogue))
            wrong = set()
            for number, fault in enumerate(
                compare(rows, inventory, old=lambda changed: self._clock() - changed > GRACE)
            ):
                if number % AT_ONCE == AT_ONCE - 1:
                    await trio.lowlevel.checkpoint()
                if self.is_still_so(fault, staging):
                    faults.append(fault)
                    if fault.kind is not FaultKind.MODE:  # whoever gave himself the right may have written
                        wrong.add(fault.sha256)
        read = 0
        if data:
            there = [sha256 for sha256 in known if sha256 in inventory.blobs and sha256 not in wrong]
            damages, read = await self._read([sha256 for sha256 in there if subset.has(sha256)], inventory, told)
            faults += [_fault(damage) for damage in damages]
        return Found(await self._with_items(faults), len(known), read)

    async def check_database(self) -> list[Fault]:
        return [Fault(FaultKind.CATALOGUE, sentence) for sentence in await self._catalogue.check()]

    def is_still_so(self, fault: Fault, staging: frozenset[str]) -> bool:
        """`staging`: the names that are in use now."""
        sha256 = fault.sha256 or ""
        match fault.kind:
            case FaultKind.MISSING:  # else it was collected since
                return self._catalogue.blob(sha256) is not None and not self._store.exists(sha256)
            case FaultKind.ORPHAN:  # somebody is about to name it, has done so, or it is gone
                in_use = self._store.in_use(sha256, GRACE) or self._catalogue.blob(sha256) is not None
                return not in_use and self._store.exists(sha256)
            case FaultKind.SIZE:
                row, size = self._catalogue.blob(sha256), self._store.size(sha256)
                return row is not None and size is not None and size != row.size
            case FaultKind.STAGING:  # it grew, with its row, or became a blob, whose row comes
                download = None if fault.item is None else self._catalogue.download(fault.item)
                if download is None or self._store.has_left(download.staging):
                    return False
                return self._store.staged_size(download.staging) < staged_end(download.ranges)
            case FaultKind.STRAY:
                path = fault.path or ""
                return path.rpartition("/")[2].partition(".")[0] not in staging and self._store.has_file(path)
            case FaultKind.FOREIGN:
                return self._store.has_file(fault.path or "")
            case _:
                return True

    async def _read(
        self, blobs: Sequence[str], inventory: Inventory, told: Callable[[Step], None]
    ) -> tuple[list[Damage], int]:
        total = sum(inventory.blobs[sha256].size for sha256 in blobs)
        damages, read = [], 0
        for number, sha256 in enumerate(blobs):

            async def progress(more: int, number: int = number, sha256: str = sha256) -> None:
                nonlocal read
                read += more
                told(Step(sha256, number, len(blobs), read, total))

            damage = await damage_of(self._store, sha256, progress)
            if damage is not None and self._catalogue.blob(sha256) is not None:  # else it was collected meanwhile
                damages.append(damage)
        return damages, read

    async def _with_items(self, faults: Sequence[Fault]) -> list[Fault]:
        """Each with the first item that it concerns. Content that all its items are known to miss is no fault."""
        asked = list(dict.fromkeys(fault.sha256 for fault in faults if fault.sha256 is not None and fault.item is None))
        items: dict[str, list[Item]] = {}
        for start in range(0, len(asked), AT_ONCE):
            for item in await self._catalogue.holders(asked[start : start + AT_ONCE]):
                items.setdefault(item.sha256 or "", []).append(item)
        return [
            _of(fault, holders)
            for fault in faults
            if not (holders := items.get(fault.sha256 or "", []))
            or fault.kind is not FaultKind.MISSING
            or any(item.state.whole for item in holders)
        ]


def _of(fault: Fault, items: Sequence[Item]) -> Fault:
    return replace(fault, item=items[0].id, name=items[0].name) if items and fault.item is None else fault


def _fault(damage: Damage) -> Fault:
    kind = FaultKind.UNREADABLE if damage.unreadable else FaultKind.DAMAGED
    sentence = damage.reason.removesuffix(".").removeprefix(f"The content {damage.sha256} ")
    return Fault(kind, f"the content {sentence}", damage.sha256)
