"""Dataclasses to JSON values and back, by their annotations. Pure; any thread.

Known types: None, bool, int, float, str, StrEnum, `X | None`, tuple[X, ...], Mapping[str, X] and dataclasses of these.
Reading is strict, so that whatever passes has the type that it claims: no bool for an int, no int beyond 64 bits, no
NaN, and no text that `os.fsencode` refuses (a lone surrogate outside U+DC80..U+DCFF).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

_MAX_INT = 2**63
_MAX_FLOAT = 1e300  # far from infinity, which JSON does not have
_NOT_A_NAME = re.compile("[\ud800-\udc7f\udd00-\udfff]")


class Mismatch(Exception):
    """A value does not have the type wanted; the text says where and what, as `items[0] must be a text`."""


def to_json(value: object) -> Any:
    """What `json.dumps` takes for a value of the known types."""
    if is_dataclass(value):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(entry) for entry in value]
    return value


def from_json(value: object, kind: Any, *, where: str = "value", strict: bool = True) -> Any:
    """`value`, as `json.loads` gave it, as `kind`. Mismatch otherwise. Without `strict`, keys that a dataclass does
    not have are ignored: an older client understands a newer daemon."""
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        options = get_args(kind)
        if value is None and NoneType in options:
            return None
        (only,) = (option for option in options if option is not NoneType)
        return from_json(value, only, where=where, strict=strict)
    if origin is tuple:
        return _read_tuple(value, get_args(kind)[0], where, strict)
    if origin is Mapping:
        return _read_mapping(value, get_args(kind)[1], where, strict)
    if is_dataclass(kind):
        return _read_dataclass(value, kind, where, strict)
    return _read_plain(value, kind, where)


def _read_tuple(value: object, kind: Any, where: str, strict: bool) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise Mismatch(f"{where} must be a list")
    return tuple(from_json(entry, kind, where=f"{where}[{at}]", strict=strict) for at, entry in enumerate(value))


def _read_mapping(value: object, kind: Any, where: str, strict: bool) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Mismatch(f"{where} must be an object")
    return {
        _read_plain(key, str, where): from_json(entry, kind, where=f"{where}.{key}", strict=strict)
        for key, entry in value.items()
    }


def _read_dataclass(value: object, kind: Any, where: str, strict: bool) -> Any:
    if not isinstance(value, dict):
        raise Mismatch(f"{where} must be an object")
    hints = type_hints(kind)
    read: dict[str, Any] = {}
    for field in fields(kind):
        if field.name in value:
            read[field.name] = from_json(
                value[field.name], hints[field.name], where=f"{where}.{field.name}", strict=strict
            )
        elif field.default is MISSING and field.default_factory is MISSING:
            raise Mismatch(f"{where}.{field.name} is missing")
    if strict and (unknown := value.keys() - hints.keys()):
        raise Mismatch(f"{where} does not have {min(unknown)!a}")
    return kind(**read)


def _read_plain(value: object, kind: Any, where: str) -> Any:
    if kind is NoneType and value is None:
        return None
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool) and -_MAX_INT <= value < _MAX_INT:
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MAX_FLOAT:
        return float(value)
    if kind is str and isinstance(value, str) and not _NOT_A_NAME.search(value):
        return value
    if isinstance(kind, type) and issubclass(kind, StrEnum) and isinstance(value, str):
        try:
            return kind(value)
        except ValueError:
            raise Mismatch(f"{where} must be one of {', '.join(kind)}") from None
    raise Mismatch(f"{where} must be {_WORDS.get(kind, 'something else')}")


_WORDS = {NoneType: "null", bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


@cache
def type_hints(thing: Any) -> Mapping[str, Any]:
    """`typing.get_type_hints`, kept: it evaluates source text."""
    return get_type_hints(thing)
