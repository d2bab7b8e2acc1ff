"""Which texts are tag names, and how a name splits into key and value. Imports query.errors and query.builtin; pure.

A tag is a *plain tag* (`movie`) or a *pair* `key:value` (`year:2000`), split at the first colon. The same rules hold
for the tags that items carry and for the tags that a query names, so that whatever can be tagged can be asked for.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import normalize

from query.builtin import BUILTIN_KEYS
from query.errors import BadName, show

# NAME_MAX of every Linux filesystem: a tag is a directory name.
NAME_BYTES: Final = 255

# These begin operators (+ - { } @), collision suffixes (~ID) and hidden names (.tags, ., ..).
_RESERVED_LEADS: Final = frozenset("+-{}@~.")

# Unicode's control characters (category Cc, NUL among them), the path separator and the list separator.
_NEVER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f/,]")


def clean(text: str) -> str:
    """`text` in Unicode's normal form C, the only one that is stored and compared.

    Raises BadName for lone surrogates: Python's stand-ins for bytes that are not UTF-8.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadName(f"{show(text)} is not UTF-8") from None
    return normalize("NFC", text)


def split_pair(name: str) -> tuple[str, str] | None:
    """('year', '2000') for 'year:2000', None for a plain tag. Splits at the first colon and judges nothing."""
    key, colon, value = name.partition(":")
    return (key, value) if colon else None


def check_tag(name: str) -> str:
    """The stored form (NFC) of a tag's name; raises BadName for what no tag may be called."""
    text = _check_characters(name, "tag name")
    pair = split_pair(text)
    if pair is not None:
        key, value = pair
        if not key:
            raise BadName(f"the tag name {show(text)} has no key before the colon")
        if not value:
            raise BadName(f"the tag name {show(text)} has no value after the colon")
        if value == "..":
            # It would read as a range without bounds, and no path could name it otherwise.
            raise BadName(f"the tag name {show(text)} has '..' for a value, which stands for a range")
    return text


def check_own_tag(name: str) -> str:
    """`check_tag` for a tag that somebody puts on an item: the built-in keys are computed and cannot be set."""
    text = check_tag(name)
    pair = split_pair(text)
    if pair is not None and pair[0] in BUILTIN_KEYS:
        raise BadName(f"{show(text)} cannot be set: {pair[0]}: is computed by tagfs")
    return text


def check_key(key: str) -> str:
    """The stored form of a key, which follows the rules of a plain tag; raises BadName."""
    text = _check_characters(key, "key")
    if ":" in text:
        raise BadName(f"the key {show(text)} contains a colon")
    return text


def _check_characters(name: str, what: str) -> str:
    text = clean(name)
    if not text:
        raise BadName(f"a {what} cannot be empty")
    if text[0] in _RESERVED_LEADS:
        raise BadName(f"the {what} {show(text)} begins with {text[0]!r}, which is reserved")
    if found := _NEVER.search(text):
        raise BadName(f"the {what} {show(text)} contains {show(found.group())}")
    if len(text.encode()) > NAME_BYTES:
        raise BadName(f"the {what} {show(text)} is longer than {NAME_BYTES} bytes")
    return text
