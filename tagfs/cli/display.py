"""Sizes, times and items as people read them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tagfs.amounts import shown
from tagfs.control.views_items import ItemView
from tagfs.escape import escape

UNKNOWN = "-"


def size(count: float | None) -> str:
    """`1.5 GiB`; bytes below 1 KiB as they are."""
    return UNKNOWN if count is None else shown(count)


def rate(count: float) -> str:
    return f"{size(count)}/s" if count else UNKNOWN


def duration(seconds: float | None) -> str:
    """`47s`, `3m20s`, `5h07m`, `12d3h`."""
    if seconds is None:
        return UNKNOWN
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600}h"


def percent(done: int, total: int | None) -> str:
    """Never 100 % before all is here."""
    if total is None:
        return UNKNOWN
    return f"{done * 100 // total}%" if total else "100%"


def instant(text: str) -> str:
    """`2026-11-23 10:00` of an RFC 3339 text; it is UTC."""
    return text[:16].replace("T", " ")


def item_line(item: ItemView) -> str:
    """What a verb says it has done something to: `id:4711 name`."""
    return f"id:{item.id} {escape(item.name)}"


def columns(rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> list[str]:
    """Lines with aligned columns, those in `right` to the right. The last column is never padded: names go there."""
    table = list(rows)
    aligned = set(right)
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in table), strict=True)]
    return ["  ".join([*_pad(row, widths, aligned), row[-1]]) for row in table]


def _pad(row: Sequence[str], widths: Sequence[int], right: set[int]) -> list[str]:
    return [
        cell.rjust(width) if at in right else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(row[:-1], widths, strict=True))
    ]
