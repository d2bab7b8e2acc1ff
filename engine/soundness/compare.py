"""What disagrees between the rows of the catalogue and the files of the store. Pure; imports types.

    rows ─────────┐
                  ├─▶ compare ─▶ faults ─▶ recheck (they may have changed meanwhile) ─▶ report ─▶ mending, if asked for
    inventory ────┘

Both were read while everything goes on, so a fault is true once it is found a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from engine.soundness.faults import Fault, FaultKind
from engine.soundness.inventory import Inventory
from engine.types import Blob, Item


@dataclass(frozen=True, slots=True)
class Staged:
    """What a row says of a file in staging: at least `size` bytes."""

    item: Item
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Rows:
    blobs: Sequence[Blob]
    lost: Sequence[Item]  # state missing, with a blob
    staged: Sequence[Staged]
    staging_in_use: Collection[str]


def compare(rows: Rows, found: Inventory, *, old: Callable[[float], bool]) -> Iterator[Fault]:
    """`old`: whether a file in staging that was last changed then cannot be anybody's any more."""
    yield from _blobs(rows, found)
    for path in found.foreign:
        yield Fault(FaultKind.FOREIGN, "this file is no blob and does not belong here", path=path)
    yield from _staging(rows, found, old)


def _blobs(rows: Rows, found: Inventory) -> Iterator[Fault]:
    for blob in rows.blobs:
        stored = found.blobs.get(blob.sha256)
        if stored is None:
            yield Fault(FaultKind.MISSING, "the content is missing from the store", blob.sha256)
        elif stored.size != blob.size:
            why = f"the content has {stored.size} bytes instead of {blob.size}"
            yield Fault(FaultKind.SIZE, why, blob.sha256)
        elif stored.writable:
            yield Fault(FaultKind.MODE, "the file of the content can be written to", blob.sha256)
    sizes = {blob.sha256: blob.size for blob in rows.blobs}
    for item in rows.lost:
        stored = found.blobs.get(item.sha256 or "")
        if stored is not None and stored.size == sizes.get(item.sha256 or ""):
            why = "the item counts as missing, and its content is in the store"
            yield Fault(FaultKind.FOUND, why, item.sha256, item.id, item.name)
    for sha256 in sorted(found.blobs.keys() - sizes.keys()):
        why = "no item uses this content, and the catalogue does not know it; it only costs space"
        yield Fault(FaultKind.ORPHAN, why, sha256)


def _staging(rows: Rows, found: Inventory, old: Callable[[float], bool]) -> Iterator[Fault]:
    for staged in rows.staged:
        size, _ = found.staging.get(staged.name, (0, 0.0))
        if size < staged.size:
            why = f"of what has arrived {staged.size - size} bytes are not in staging any more"
            yield Fault(FaultKind.STAGING, why, None, staged.item.id, staged.item.name, path=f"staging/{staged.name}")
    known = frozenset(rows.staging_in_use)
    for name, (_, changed) in sorted(found.staging.items()):
        if name.partition(".")[0] not in known and old(changed):
            why = "this file was being stored, and no item waits for it; the next start removes it"
            yield Fault(FaultKind.STRAY, why, path=f"staging/{name}")
