"""`tagfs trash`: what is in it, out of it, and gone. Blocking."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from tagfs.amounts import seconds
from tagfs.amounts import size as bytes_of
from tagfs.cli import exits
from tagfs.cli.common import CHUNK, declare_json
from tagfs.cli.display import UNKNOWN, columns, instant, item_line, size
from tagfs.cli.output import json_list, json_value, say
from tagfs.cli.refs import resolve
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.client import Client
from tagfs.control.views_history import EmptiedView, TrashPage, TrashView
from tagfs.control.views_items import ItemView
from tagfs.escape import escape


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=["list", "restore", "empty"], default="list", help="default: list")
    parser.add_argument("items", metavar="ITEM", nargs="*", help="a path below /trash, a name there, or id:ID")
    parser.add_argument("--older-than", metavar="AGE", help="empty: only what was trashed before then, such as 30d")
    parser.add_argument("--keep-size", metavar="SIZE", help="empty: only the oldest, until the rest is no more: 10G")
    declare_json(parser)


def _run(options: argparse.Namespace, session: Session) -> int:
    if options.action != "empty" and (options.older_than is not None or options.keep_size is not None):
        raise UsageError("--older-than and --keep-size belong to tagfs trash empty.")
    if options.action == "list" and options.items:
        raise UsageError("What shall become of these? Say restore or empty before them.")
    if options.action == "restore" and not options.items:
        raise UsageError("Which items? Name what is to leave the trash.")
    with session.client() as client:
        {"list": _list, "restore": _restore, "empty": _empty}[options.action](client, options, session)
    return exits.OK


def _list(client: Client, options: argparse.Namespace, session: Session) -> None:
    pages = list(_pages(client))
    things = sorted((view for page in pages for view in page.items), key=lambda view: (view.trashed, view.id))
    if options.json:
        json_list(reversed(things))
        return
    for line in columns(map(_row, reversed(things)), right=[2]):
        say(line)
    last = pages[-1]
    if things:
        say(f"{last.total} in the trash, {size(last.size)}; ending all of it frees {size(last.frees)}")


def _pages(client: Client) -> Iterator[TrashPage]:
    after: int | None = 0
    while after is not None:
        page: TrashPage = client.call("trash", {"after": after}, TrashPage)
        yield page
        after = page.next


def _row(view: TrashView) -> tuple[str, ...]:
    where = f"{view.folder}/" if view.folder else ",".join(view.tags)
    name = f"{view.name}/" if view.kind == "folder" else view.name
    return f"id:{view.id}", instant(view.trashed), size(view.size), escape(where) or UNKNOWN, escape(name)


def _restore(client: Client, options: argparse.Namespace, session: Session) -> None:
    refs = resolve(options.items, session.info())
    restored: list[ItemView] = []
    for at in range(0, len(refs), CHUNK):
        restored += client.call("trash_restore", {"items": refs[at : at + CHUNK]}, tuple[ItemView, ...])
    if options.json:
        json_list(restored)
        return
    for item in restored:
        say(f"restored {item_line(item)}")


def _empty(client: Client, options: argparse.Namespace, session: Session) -> None:
    params: dict[str, object] = {"items": resolve(options.items, session.info())}
    if options.older_than is not None:
        params["older_than"] = seconds(options.older_than)
        if params["older_than"] is None:
            raise UsageError(f"{escape(options.older_than)} is no age; write one such as 12h or 30d.")
    if options.keep_size is not None:
        params["keep_size"] = bytes_of(options.keep_size)
        if params["keep_size"] is None:
            raise UsageError(f"{escape(options.keep_size)} is no size; write one such as 500M or 10G.")
    gone: EmptiedView = client.call("trash_empty", params, EmptiedView)
    if options.json:
        json_value(gone)
        return
    say(f"{gone.items} ended for good; {size(gone.freed)} come back within two hours")
    if gone.freed < gone.size:
        say(f"{size(gone.size - gone.freed)} stay, since other items use the same content")


VERBS = {
    "trash": Verb(
        about="Without more it lists what was removed, the last first: when, its size, the folder it was in or its "
        "tags, and its name. restore puts items back where they were, with their tags. empty ends them for good: those "
        "named, those that an age and a size single out, or all. What has ended cannot be brought back.",
        examples=(
            "tagfs trash",
            "tagfs trash restore id:4711",
            "tagfs trash empty --older-than 30d",
            "tagfs trash empty --keep-size 10G",
            "tagfs trash empty                       # all of it",
        ),
        declare=_declare,
        run=_run,
    )
}
