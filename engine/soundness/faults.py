"""What can be wrong with a store, and what makes it so. Plain values; imports types alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.types import ItemId


class FaultKind(StrEnum):
    CATALOGUE = "catalogue"
    INDEX = "index"
    MISSING = "missing"
    SIZE = "size"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"
    MODE = "mode"
    ORPHAN = "orphan"
    FOUND = "found"
    FOREIGN = "foreign"
    STAGING = "staging"
    STRAY = "stray"


CAUSES: Final = {
    FaultKind.CATALOGUE: "the disk or another program has changed the database file",
    FaultKind.INDEX: "tagfs itself is at fault; it is in memory alone",
    FaultKind.MISSING: "the file was deleted, the catalogue is newer than the blobs, or the disk lost what was synced",
    FaultKind.SIZE: "the disk lost what was synced, or another program wrote to the file",
    FaultKind.DAMAGED: "the disk changed the bytes by itself, or another program wrote to the file",
    FaultKind.UNREADABLE: "the disk fails",
    FaultKind.MODE: "another program changed it, or the state directory was copied without its modes",
    FaultKind.ORPHAN: "tagfs was killed between storing and naming it, or the catalogue is older than the blobs",
    FaultKind.FOUND: "the file came back, by a restored backup or because the same content was stored again",
    FaultKind.FOREIGN: "another program put it there",
    FaultKind.STAGING: "the file was deleted, or the catalogue is newer than it",
    FaultKind.STRAY: "tagfs was killed while it was staged",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`sentence` says what is wrong. `item`, `name`: the first of the items that it concerns; `path`: of a file below
    the state directory that has no digest. `mended`: what was done about it, None where nothing was."""

    kind: FaultKind
    sentence: str
    sha256: str | None = None
    item: ItemId | None = None
    name: str | None = None
    path: str | None = None
    mended: str | None = None

    @property
    def cause(self) -> str:
        return CAUSES[self.kind]
