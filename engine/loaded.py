"""What `tagfs import --catalogue` reads: a line of an export as a plain value. Imports types, errors. Any thread.

    bytes ─▶ `parse` ─▶ a value ─▶ ports.Catalogue.load, some 1,000 in one transaction

The file is a stranger's. Here each field has the type that it must have and is within its bounds; what names, tags and
attributes may be, the catalogue decides as for everybody. docs/export-format.md describes the lines.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from pyroaring import BitMap

from engine.errors import BadRequest
from engine.types import Kind, SourceKind, State
from query.relations import Relation, RelationKind

VERSION: Final = 1
MAX_LINE: Final = 8 << 20  # bytes: an item with 80 attributes of the largest size fits
MAX_NUMBER: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TagLine:
    name: str


@dataclass(frozen=True, slots=True)
class RelationLine:
    relation: Relation


@dataclass(frozen=True, slots=True)
class QueryLine:
    name: str
    text: str
    added_ns: int | None


@dataclass(frozen=True, slots=True)
class ItemLine:
    """`id` and `parent` are numbers of the file, and mean something within it alone."""

    id: int
    parent: int | None
    name: str
    kind: Kind
    state: State
    size: int | None
    sha256: str | None
    mime: str | None
    mtime_ns: int | None
    mtime_given: bool
    added_ns: int | None
    trashed_ns: int | None
    mode: int
    target: str | None
    error: str | None
    tags: Sequence[str]
    xattrs: Mapping[str, bytes]
    sources: Sequence[tuple[SourceKind, str, str]]  # kind, URL, host


Line: TypeAlias = TagLine | RelationLine | QueryLine | ItemLine


@dataclass(frozen=True, slots=True)
class Numbered:
    """A line and its number, from 1. `stored`: bytes of the content in the blob store; None: it is not there."""

    number: int
    line: Line
    stored: int | None = None


@dataclass(slots=True)
class Loading:
    """How far it is, from batch to batch. Belongs to the call; the writer thread changes it while the call waits."""

    newest: int | None = None  # the last item that was there before: only up to it lines can mean one that is there
    folders: dict[int, int | None] = field(default_factory=dict)  # id in the file -> item; None: it was left out
    made_folders: BitMap = field(default_factory=BitMap)
    met: BitMap = field(default_factory=BitMap)  # items that a line meant: another line means another one
    cursors: dict[tuple[Any, ...], int] = field(default_factory=dict)  # where several are alike: the last one met
    made: int = 0
    known: int = 0
    missing: int = 0  # of those made: without content
    skipped: list[tuple[int, str]] = field(default_factory=list)  # (number of the line, why)
    skipped_total: int = 0


def parse_header(data: bytes) -> int:
    """How many items follow."""
    values = _object(data)
    if values.get("tagfs") != "catalogue":
        raise BadRequest("this is not what tagfs export writes")
    version = values.get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise BadRequest(f"it does not say its version of the format, and only version {VERSION} can be read")
    if version != VERSION:
        who = ": a newer tagfs wrote it" if version > VERSION else ""
        raise BadRequest(f"this is version {version} of the format, and only version {VERSION} can be read{who}")
    return _number(values, "items") or 0


def parse(data: bytes) -> Line | None:
    """None for a line of a kind that is not known. BadRequest, with half a sentence, for what is wrong."""
    values = _object(data)
    if "tag" in values:
        return TagLine(_needed(values, "tag"))
    if "relation" in values:
        return _relation(values["relation"])
    if "query" in values:
        return QueryLine(_file_name(values, "query"), _needed(values, "text"), _number(values, "added_ns"))
    return _item(values) if "item" in values else None


def _item(values: Mapping[str, Any]) -> ItemLine:
    item = _number(values, "item")
    mode = _number(values, "mode", high=0o7777)
    if item is None:
        raise BadRequest("'item' is not a number")
    return ItemLine(
        id=item,
        parent=_number(values, "parent"),
        name=_file_name(values, "name"),
        kind=_kind(values),
        state=_state(values),
        size=_number(values, "size"),
        sha256=_text(values, "sha256"),
        mime=_text(values, "mime"),
        mtime_ns=_number(values, "mtime_ns", low=-MAX_NUMBER - 1),
        mtime_given=_of(values, "mtime_given", bool, "true or false") or False,
        added_ns=_number(values, "added_ns"),
        trashed_ns=_number(values, "trashed_ns"),
        mode=0o644 if mode is None else mode,
        target=_of(values, "target", str, "a text"),
        error=_text(values, "error"),
        tags=[_utf8(tag, "a tag") for tag in _of(values, "tags", list, "a list") or ()],
        xattrs=_xattrs(_of(values, "xattrs", dict, "an object") or {}),
        sources=[_source(source) for source in _of(values, "sources", list, "a list") or ()],
    )


def _kind(values: Mapping[str, Any]) -> Kind:
    try:
        return Kind(_needed(values, "kind"))
    except ValueError:
        raise BadRequest("'kind' is not file, folder or symlink") from None


def _state(values: Mapping[str, Any]) -> State:
    try:
        return State(_needed(values, "state"))
    except ValueError:
        raise BadRequest("'state' is not a state of an item") from None


def _relation(value: Any) -> RelationLine:
    try:
        tag, kind, other = _of({"relation": value}, "relation", list, "[TAG, KIND, TAG]") or [None] * 3
        return RelationLine(Relation(_utf8(tag, "a tag"), RelationKind(kind), _utf8(other, "a tag")))
    except (ValueError, TypeError):
        raise BadRequest("'relation' is not [TAG, KIND, TAG]") from None


def _source(value: Any) -> tuple[SourceKind, str, str]:
    if not isinstance(value, dict):
        raise BadRequest("a source is not an object")
    try:
        kind = SourceKind(_needed(value, "kind"))
    except ValueError:
        raise BadRequest("the kind of a source is not known") from None
    return kind, _text(value, "url") or "", _text(value, "host") or ""


def _xattrs(values: Mapping[str, Any]) -> dict[str, bytes]:
    try:
        return {name: b64decode(value, validate=True) for name, value in values.items()}
    except (binascii.Error, ValueError, TypeError):
        raise BadRequest("the value of an attribute is not base64") from None


def _object(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_LINE:
        raise BadRequest(f"it is longer than {MAX_LINE >> 20} MiB")
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        raise BadRequest("it is not JSON") from None
    if not isinstance(values, dict):
        raise BadRequest("it is not a JSON object")
    return values


def _of(values: Mapping[str, Any], key: str, kind: type[Any], what: str) -> Any:
    value = values.get(key)
    if value is not None and type(value) is not kind:
        raise BadRequest(f"{key!r} is not {what}")
    return value


def _number(values: Mapping[str, Any], key: str, low: int = 0, high: int = MAX_NUMBER) -> int | None:
    value: int | None = _of(values, key, int, "a number")
    if value is not None and not low <= value <= high:
        raise BadRequest(f"{key!r} is out of range")
    return value


def _text(values: Mapping[str, Any], key: str) -> str | None:
    value = _of(values, key, str, "a text")
    return None if value is None else _utf8(value, repr(key))


def _needed(values: Mapping[str, Any], key: str) -> str:
    value = _text(values, key)
    if value is None:
        raise BadRequest(f"{key!r} is missing")
    return value


def _file_name(values: Mapping[str, Any], key: str) -> str:
    value = _of(values, key, str, "a text")
    if value is None:
        raise BadRequest(f"{key!r} is missing")
    return str(value)


def _utf8(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise BadRequest(f"{what} is not a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"{what} is not UTF-8") from None
    return value
