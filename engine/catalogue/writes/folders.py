"""Folder items: what makes one of an item, and what is in it. On the writer thread, within a transaction.

A torrent of 100,000 files becomes as many rows in one transaction: numbers are given out in one run, so that what is in
a folder is nearly one stretch of a bitmap, and the facts of each are put together here instead of read back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Final

from engine.catalogue import checks
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes.content import DROP_DOWNLOAD
from engine.errors import BadRequest, EngineError
from engine.ports import FolderFile
from engine.types import LAST_ITEM_ID, Change, Facts, Item, ItemId, Kind, State

MAKE_FOLDER: Final = "UPDATE item SET kind = 'folder', size = ? WHERE id = ?"
NEXT_NUMBER: Final = "SELECT seq + 1 FROM sqlite_sequence WHERE name = 'item'"
INSERT_CHILD: Final = (
    "INSERT INTO item (id, name, kind, state, size, mtime_ns, mtime_given, added_ns, mode, parent)"
    " VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?)"
)
FOLDER_MODE: Final = 0o755

Row = tuple[int, bytes, str, str, int | None, int, int, int, int]


def unpack(transaction: Transaction, item: int, files: Sequence[FolderFile]) -> list[ItemId]:
    """See ports.Catalogue.unpack. BadRequest for an item that has content, and for paths that contradict each other."""
    folder = transaction.item(item)
    if folder.kind is not Kind.FILE or folder.blob is not None:
        raise BadRequest(f"item {item} has content already and cannot become a folder")
    with transaction.changing(item):
        transaction.connection.execute(MAKE_FOLDER, (sum(file.size for file in files), item))
        transaction.connection.execute(DROP_DOWNLOAD, (item,))
    ((first,),) = transaction.connection.execute(NEXT_NUMBER).fetchall()
    tree = _Tree(folder, first, transaction.clock(), buried=not transaction.facts(item).live)
    ids = [tree.file(file) for file in files]
    if tree.next - 1 > LAST_ITEM_ID:
        raise EngineError("the catalogue has given out all item numbers")
    transaction.connection.executemany(INSERT_CHILD, tree.rows)
    transaction.changes.extend(tree.changes())
    return ids


class _Tree:
    """Rows for what is below one folder, parents before what is in them."""

    def __init__(self, top: Item, first: int, now: int, *, buried: bool) -> None:
        self.next = first
        self.rows: list[Row] = []
        self._state = top.state
        self._buried = buried
        self._now = now
        self._folders: dict[tuple[str, ...], int] = {(): top.id}
        self._files: set[tuple[str, ...]] = set()

    def file(self, file: FolderFile) -> ItemId:
        if not file.path or file.path in self._folders or file.path in self._files:
            raise BadRequest(f"the path {checks.stored_text('/'.join(file.path))!r} is there twice in one folder")
        parent = self._folder(file.path[:-1])
        self._files.add(file.path)
        return self._row(file.path[-1], parent, Kind.FILE, state=file.state, size=file.size, mode=file.mode)

    def changes(self) -> Iterator[Change]:
        """They have no tags of their own, no sources and no blob yet."""
        for number, name, kind, state, size, _, added_ns, _, parent in self.rows:
            facts = Facts(
                name=os.fsdecode(name),
                kind=Kind(kind),
                state=State(state),
                size=size,
                sha256=None,
                added_ns=added_ns,
                trashed=False,
                parent=ItemId(parent),
                buried=self._buried,
            )
            yield Change(ItemId(number), None, facts)

    def _folder(self, path: tuple[str, ...]) -> int:
        """Its number; it is made where there is none."""
        depth = len(path)
        while path[:depth] not in self._folders:  # torrents nest deeper than Python calls
            depth -= 1
        parent = self._folders[path[:depth]]
        for end in range(depth + 1, len(path) + 1):
            if path[:end] in self._files:
                raise BadRequest(
                    f"the path {checks.stored_text('/'.join(path[:end]))!r} is a file and a folder at once"
                )
            parent = self._folders[path[:end]] = self._row(
                path[end - 1], parent, Kind.FOLDER, state=self._state, size=None, mode=FOLDER_MODE
            )
        return parent

    def _row(self, name: str, parent: int, kind: Kind, *, state: State, size: int | None, mode: int) -> ItemId:
        number = self.next
        self.next += 1
        stored = checks.name_bytes(name)
        self.rows.append((number, stored, kind.value, state.value, size, self._now, self._now, mode, parent))
        return ItemId(number)
