"""Lines of an export become items, tags, relations and queries. On the writer thread, within a transaction.

    line ─▶ means an item that is there ─▶ its tags are added
         └▶ has content in the store, or is a folder or symlink ─▶ made whole
         └▶ else ─▶ made `missing`; the same line makes it whole once its content is in the store

An item is made as it was: times, trash, mode. Rules and suggestions leave it alone, since what they did to it is in the
file already, and so is what somebody took off again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from engine.catalogue import checks, points
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import content, items, relations, saved, tagging
from engine.catalogue.writes.items import INSERT_SOURCE, INSERT_XATTR
from engine.errors import BadRequest, EngineError, NameTaken
from engine.formats.magnet import parse_magnet, public_magnet
from engine.loaded import ItemLine, Line, Loading, Numbered, QueryLine, RelationLine, TagLine
from engine.sources.urls import check_url, source_of
from engine.types import LAST_ITEM_ID, BlobId, Kind, Source, SourceKind, State
from query.errors import show

INSERT: Final = (
    "INSERT INTO item (name, kind, state, size, blob, mtime_ns, mtime_given, added_ns, mode, target, error,"
    " trashed_ns, parent, looked) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 2)"
)
NEWEST: Final = "SELECT ifnull(max(id), 0) FROM item"
ALIKE: Final = (
    " AND name = ? AND id > ? AND id <= ? AND kind = ? AND parent IS ? AND (trashed_ns IS NOT NULL) = ?"
    " AND blob IS ? AND target IS ? AND (blob IS NOT NULL OR kind <> 'file' OR error IS ?) ORDER BY id LIMIT 1"
)
BY_BLOB: Final = "SELECT id FROM item WHERE blob = ?" + ALIKE  # noqa: S608 -- constants, no values
IN_FOLDER: Final = "SELECT id FROM item WHERE parent = ?" + ALIKE  # noqa: S608 -- constants, no values
LIVE: Final = "SELECT id FROM item WHERE trashed_ns IS NULL" + ALIKE  # noqa: S608 -- constants, no values
TRASHED: Final = "SELECT id FROM item WHERE trashed_ns IS NOT NULL" + ALIKE  # noqa: S608 -- constants, no values

LISTED: Final = 1_000  # lines that were left out, with their reasons
TARGET_MAX: Final = 4_095  # bytes, as of every symlink
XATTRS: Final = "user."  # others mean something to the kernel
OWN_XATTRS: Final = "user.tagfs."  # computed, and never stored

Row = tuple[Any, ...]


def load(transaction: Transaction, lines: Sequence[Numbered], loading: Loading) -> None:
    """See ports.Catalogue.load."""
    if loading.newest is None:
        ((loading.newest,),) = transaction.connection.execute(NEWEST).fetchall()
    for one in lines:
        try:
            _load(transaction, one, loading)
        except EngineError as error:
            raise BadRequest(f"line {one.number}: {error}") from error


def _load(transaction: Transaction, one: Numbered, loading: Loading) -> None:
    line: Line = one.line
    match line:
        case TagLine(name):
            tagging.tag_to_use(transaction, checks.tag_name(name))
        case RelationLine(relation):
            for name in (relation.tag, relation.other):
                tagging.tag_to_use(transaction, checks.tag_name(name))
            with suppress(NameTaken):
                relations.relate(transaction, relation)
        case QueryLine(name, text, added_ns):
            with suppress(NameTaken):
                saved.save(transaction, name, text, added_ns)
        case ItemLine():
            _item(transaction, one.number, line, one.stored, loading)


def _item(transaction: Transaction, number: int, line: ItemLine, stored: int | None, loading: Loading) -> None:
    _check(line)
    if line.parent is not None and line.parent not in loading.folders:
        raise BadRequest(f"no folder {line.parent} came before it")
    if line.kind is Kind.FOLDER and line.id in loading.folders:
        raise BadRequest(f"there was a folder {line.id} before")
    parent = None if line.parent is None else loading.folders[line.parent]
    if line.parent is not None and parent is None:
        _leave_out(number, line, "its folder was left out", loading)
        return
    name, tags = checks.name_bytes(line.name), checks.tag_names(line.tags)
    target = None if line.target is None else checks.file_bytes(line.target, "target")
    blob, size = _content(transaction, line, stored)
    error = _error(line, blob)
    same = (line.kind.value, parent, line.trashed_ns is not None)
    found = _there(transaction, (name, *same, blob, target, error), loading)
    if found is None and blob is not None:
        found = _there(transaction, (name, *same, None, target, _gone(line)), loading)
        if found is not None:
            whole = (str(line.sha256), size or 0)
            content.complete(transaction, found, *whole, digests={}, mtime_ns=None, keep_old=False, mime=line.mime)
    if found is not None:
        _meet(transaction, found, tags, loading)
    elif (
        parent is not None
        and line.trashed_ns is None
        and points.has_namesake(transaction.connection, parent, line.name, 0)
    ):
        _leave_out(number, line, f"there is another {show(line.name)} in its folder", loading)
        return
    else:
        state = State.MISSING if line.kind is Kind.FILE and blob is None else State.COMPLETE
        found = _make(transaction, line, (name, state, size, blob, target, error, parent), tags)
        loading.made += 1
        loading.missing += state is State.MISSING
        if parent is not None and parent not in loading.made_folders:
            items.touch(transaction, parent)
    if line.kind is Kind.FOLDER:
        loading.folders[line.id] = found
        if found > (loading.newest or 0):
            loading.made_folders.add(found)


def _check(line: ItemLine) -> None:
    if (line.kind is Kind.SYMLINK) != (line.target is not None):
        raise BadRequest("a symlink has a target, and nothing else has")
    if line.target is not None and not 1 <= len(checks.file_bytes(line.target, "target")) <= TARGET_MAX:
        raise BadRequest(f"a target has 1 to {TARGET_MAX} bytes")
    if line.sha256 is not None:
        checks.sha256_hex(line.sha256)
        if line.kind is not Kind.FILE:
            raise BadRequest("only a file has content")
    for name in line.xattrs:
        if not name.startswith(XATTRS) or name.startswith(OWN_XATTRS):
            raise BadRequest(f"the attribute {show(name)} cannot be set")


def _content(transaction: Transaction, line: ItemLine, stored: int | None) -> tuple[BlobId | None, int | None]:
    """The blob and the size. What a blob's size is, the store knows better than the file."""
    if line.kind is Kind.SYMLINK:
        return None, len(checks.file_bytes(line.target or "", "target"))
    if line.sha256 is None or stored is None:
        return None, line.size
    found = points.blob(transaction.connection, line.sha256)
    if found is not None and found.size != stored:
        return None, line.size  # damaged: `tagfs verify` says how
    return content.blob_to_use(transaction, line.sha256, stored, {}, line.mime), stored


def _error(line: ItemLine, blob: BlobId | None) -> str | None:
    if line.kind is Kind.FILE and blob is None:
        return _gone(line)
    return line.error if line.state.whole else None


def _gone(line: ItemLine) -> str:
    """By this sentence a line knows the item that it made without content."""
    if line.sha256 is not None:
        return f"Its content is not in the store: SHA-256 {line.sha256}."
    return line.error or "Its content was not complete when the catalogue was exported."


def _there(transaction: Transaction, same: Row, loading: Loading) -> int | None:
    """An item that is there and was not met yet; of several the first."""
    name, kind, parent, trashed, blob, target, error = same
    if not loading.newest:
        return None
    first: Row = ()
    if blob is not None:
        query, first = BY_BLOB, (blob,)
    elif parent is not None:
        query, first = IN_FOLDER, (parent,)
    else:
        query = TRASHED if trashed else LIVE
    while True:
        after = loading.cursors.get(same, 0)
        rest = (name, after, loading.newest, kind, parent, trashed, blob, target, error)
        rows = transaction.connection.execute(query, (*first, *rest)).fetchall()
        if not rows or rows[0][0] not in loading.met:
            return int(rows[0][0]) if rows else None
        loading.cursors[same] = rows[0][0]


def _meet(transaction: Transaction, item: int, tags: set[str], loading: Loading) -> None:
    loading.met.add(item)
    loading.known += 1
    more = tags.difference(points.tags(transaction.connection, item))
    if more:
        with transaction.changing(item):
            tagging.tag(transaction, item, sorted(more))


def _make(transaction: Transaction, line: ItemLine, row: Row, tags: set[str]) -> int:
    name, state, size, blob, target, error, parent = row
    now = transaction.clock()
    number = transaction.connection.execute(
        INSERT,
        (
            name, line.kind.value, state.value, size, blob, now if line.mtime_ns is None else line.mtime_ns,
            line.mtime_given, now if line.added_ns is None else line.added_ns, line.mode, target, error,
            line.trashed_ns, parent,
        ),
    ).lastrowid  # fmt: skip
    assert number is not None
    if number > LAST_ITEM_ID:
        raise EngineError("the catalogue has given out all item numbers")
    tagging.tag(transaction, number, sorted(tags))
    xattrs = [(number, *xattr) for xattr in checks.xattr_rows(line.xattrs)]
    transaction.connection.executemany(INSERT_XATTR, xattrs)
    sources = [_source(*source) for source in line.sources]
    transaction.connection.executemany(INSERT_SOURCE, items.source_rows(number, sources))
    transaction.made(number)
    return number


def _source(kind: SourceKind, url: str, host: str) -> Source:
    if kind is SourceKind.HTTP or kind is SourceKind.FTP:
        return source_of(check_url(url))
    magnet = parse_magnet(url) if kind is SourceKind.TORRENT and url else None
    return Source(kind, url, "" if magnet is None else public_magnet(magnet), host)


def _leave_out(number: int, line: ItemLine, why: str, loading: Loading) -> None:
    loading.skipped_total += 1
    if len(loading.skipped) < LISTED:
        loading.skipped.append((number, f"{show(line.name)}: {why}"))
    if line.kind is Kind.FOLDER:
        loading.folders[line.id] = None
