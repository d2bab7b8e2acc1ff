"""Changes of the history in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tagfs.amounts import counted
from tagfs.cli.display import instant
from tagfs.control.views_history import ChangeView
from tagfs.escape import escape

_CAME_OR_WENT: Final = {
    "made": "made",
    "ended": "ended for good",
    "dropped": "given up",
    "given": "moved over",
    "removed": "removed",
}


def line(change: ChangeView) -> str:
    """`#812  2026-11-25 21:03  mount     tagged +movie -todo: id:4711 film.mkv`"""
    undone = f" (undone by #{change.undone})" if change.undone is not None else ""
    undoes = f" (undoes #{change.undoes})" if change.undoes is not None else ""
    head = f"#{change.call:<5}  {instant(change.at)}  {change.cause:<8}  "
    return f"{head}{words(change)}{undoes}{undone}"


def words(change: ChangeView) -> str:
    """What happened, and to which items."""
    told = ", ".join(_told(change))
    return f"{told}: {_items(change)}" if change.count else told


def _told(change: ChangeView) -> Iterator[str]:
    what = change.what
    for key, word in _CAME_OR_WENT.items():
        if key in what:
            yield "kept in the trash" if key == "made" and "trash" in what else word
    if "nothing" in what:
        yield "nothing was left to do"
    if "tag" in what:
        yield _tag(what["tag"])
    if "relation" in what:
        yield _relation(what["relation"])
    if "query" in what:
        yield _query(what["query"])
    tags = [*(f"+{escape(tag)}" for tag in what.get("add", ())), *(f"-{escape(tag)}" for tag in what.get("remove", ()))]
    if tags:
        yield " ".join(["tagged", *tags])
    if "name" in what:
        yield f"renamed from {escape(what['name'][0])}"
    if "folder" in what:
        yield f"moved from {_folder(what['folder'][0])} to {_folder(what['folder'][1])}"
    if what.get("trash"):
        yield "put into the trash" if what["trash"] == ("in",) else "taken out of the trash"
    if "content" in what:
        yield "new content"


def _tag(parts: tuple[str, ...]) -> str:
    event, *names = parts
    old, *new = map(escape, names)
    word = "made" if event == "created" else event
    return f"tag {old} {word}{' to' if event == 'renamed' else ''} {' '.join(new)}".rstrip()


def _relation(parts: tuple[str, ...]) -> str:
    event, tag, kind, other = parts
    return f"{'said' if event == 'related' else 'took back'} that {escape(tag)} {kind} {escape(other)}"


def _query(parts: tuple[str, ...]) -> str:
    event, name, rest = parts
    if event == "renamed":
        return f"query {escape(name)} renamed to {escape(rest)}"
    return f"query {escape(name)} {'saved' if event == 'saved' else 'deleted'} ({escape(rest)})"


def _folder(number: str) -> str:
    return f"folder id:{number}" if number else "the top"


def _items(change: ChangeView) -> str:
    shown = [f"id:{item.id} {escape(item.name or '(ended)')}" for item in change.items]
    more = change.count - len(shown)
    if change.count == 1:
        return shown[0]
    return f"{counted(change.count, 'item')}, {', '.join(shown)}{f' and {more} more' if more else ''}"
