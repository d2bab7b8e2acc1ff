"""What the catalogue accepts from callers: pure decisions over values. Imports query.names; any thread."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Final

from engine.errors import BadRequest
from engine.ports import NewItem
from engine.types import Kind
from query.errors import BadName, show
from query.names import check_own_tag

NAME_MAX: Final = 255  # bytes, as on every Linux filesystem
XATTR_NAME_MAX: Final = 255
XATTR_SIZE_MAX: Final = 65_536
SHA256_DIGITS: Final = frozenset("0123456789abcdef")


def name_bytes(name: str) -> bytes:
    """The stored form of an item's name; BadRequest for what no file can be called."""
    data = file_bytes(name, "name")
    if not data:
        raise BadRequest("a name cannot be empty")
    if data in (b".", b".."):
        raise BadRequest(f"{name!r} cannot be a name")
    if b"/" in data:
        raise BadRequest(f"the name {show(name)} contains a slash")
    if len(data) > NAME_MAX:
        raise BadRequest(f"the name {show(name)} is longer than {NAME_MAX} bytes")
    return data


def file_bytes(text: str, what: str) -> bytes:
    """os.fsencode; BadRequest for texts that it cannot encode and for NUL."""
    try:
        data = os.fsencode(text)
    except UnicodeEncodeError:
        raise BadRequest(f"the {what} {show(text)} is no file name") from None
    if b"\0" in data:
        raise BadRequest(f"the {what} {show(text)} contains a NUL byte")
    return data


def tag_names(names: Iterable[str]) -> set[str]:
    """The stored forms; BadRequest if one cannot be set."""
    return {tag_name(name) for name in names}


def tag_name(name: str) -> str:
    try:
        return check_own_tag(name)
    except BadName as error:
        raise BadRequest(str(error)) from None


def xattr_name(name: str) -> bytes:
    data = file_bytes(name, "attribute")
    if not 1 <= len(data) <= XATTR_NAME_MAX:
        raise BadRequest(f"an attribute's name has 1 to {XATTR_NAME_MAX} bytes, {show(name)} has not")
    return data


def xattr_rows(xattrs: Mapping[str, bytes]) -> list[tuple[bytes, bytes]]:
    """(stored name, value); BadRequest for one that cannot be stored."""
    for name, value in xattrs.items():
        if len(value) > XATTR_SIZE_MAX:
            raise BadRequest(f"the value of {show(name)} is longer than {XATTR_SIZE_MAX} bytes")
    return [(xattr_name(name), bytes(value)) for name, value in xattrs.items()]


def sha256_hex(text: str) -> str:
    if len(text) != 64 or not SHA256_DIGITS.issuperset(text):
        raise BadRequest(f"{show(text)} is not the lower-case hex of a SHA-256")
    return text


def new_item(new: NewItem) -> None:
    """The rules that tie the fields of a new item together."""
    if new.kind is Kind.FILE and new.state.whole and (new.sha256 is None or new.size is None):
        raise BadRequest("a file that is complete must name its blob and its size")
    if new.kind is not Kind.FILE and (new.sha256 is not None or new.download is not None):
        raise BadRequest("only a file has content")
    if (new.kind is Kind.SYMLINK) != (new.target is not None):
        raise BadRequest("a symlink has a target, and nothing else has")
    if new.download is not None and new.state.whole:
        raise BadRequest("an item that is complete is not downloaded")


def stored_text(text: str) -> str:
    """Text for people, made storable: what is not UTF-8 (a file name in an error) shows as \\udcXX."""
    return text.encode("utf-8", "backslashreplace").decode()
