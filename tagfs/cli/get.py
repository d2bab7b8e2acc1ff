"""`tagfs get`: copy an item, or a folder with all in it, out of the store, waiting until it is whole. Blocking."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial

from tagfs.cli import exits
from tagfs.cli.copying import copy_out
from tagfs.cli.ls import pages
from tagfs.cli.output import warn
from tagfs.cli.progress import work
from tagfs.cli.refs import resolve
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.client import Client
from tagfs.control.views_items import ItemView
from tagfs.control.views_work import ContentView, WorkView
from tagfs.escape import escape


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("item", metavar="ITEM", help="a path inside the mount, a name, or id:ID")
    parser.add_argument(
        "destination", metavar="DEST", nargs="?", default=".", help="a directory, a new file, or - for standard output"
    )
    parser.add_argument("--no-wait", action="store_true", help="fail when the item is not whole yet")
    parser.add_argument("--force", action="store_true", help="replace DEST when it exists")


def _run(options: argparse.Namespace, session: Session) -> int:
    (ref,) = resolve([options.item], session.info())
    with session.client() as client, work("get") as report:
        locate = partial(_locate, client, report, wait=not options.no_wait)
        (item,) = client.call("show", {"items": [ref]}, tuple[ItemView, ...])
        target = options.destination
        if target == "-":
            if item.kind == "folder":
                raise UsageError("A folder needs a directory to be copied to: name one instead of -.")
            with open(locate(item.id).path, "rb") as source:
                shutil.copyfileobj(source, sys.stdout.buffer, 1 << 20)
            return exits.OK
        if os.path.isdir(target):
            target = os.path.join(target, item.name)
        if item.kind != "folder":
            return exits.OK if _copy(locate(item.id), target, replace=options.force) else exits.FAILED
        if os.path.lexists(target) and not options.force:
            warn(f"{escape(target)} exists already; --force writes into it.")
            return exits.FAILED
        whole = True
        for inside, path in tree(client, item, target):
            if inside.kind == "folder":
                os.makedirs(path, exist_ok=True)
            elif inside.state != "skipped":
                whole &= _copy(locate(inside.id), path, replace=options.force)
    return exits.OK if whole else exits.FAILED


def _locate(client: Client, report: Callable[[WorkView], None], item: int, *, wait: bool) -> ContentView:
    view: ContentView = client.call(
        "locate", {"item": f"id:{item}", "wait": wait}, ContentView, report=(WorkView, report)
    )
    return view


def _copy(content: ContentView, target: str, *, replace: bool) -> bool:
    """Whether the bytes are at `target` now; said if not."""
    with open(content.path, "rb") as source:  # from here on the bytes stay, whatever becomes of the item
        try:
            copy_out(source.fileno(), target, content, replace=replace)
        except FileExistsError:
            warn(f"{escape(target)} exists already; --force replaces it.")
            return False
    return True


def tree(client: Client, folder: ItemView, path: str) -> Iterator[tuple[ItemView, str]]:
    """A folder and all that is in it, each with where it goes: a directory before what is in it. Of two of one name the
    later shows its id, as in the mount."""
    yield folder, path
    pending = [(folder, path)]
    while pending:
        above, where = pending.pop()
        names: set[str] = set()
        for item in pages(client, {"folder": f"id:{above.id}"}):
            stem, ext = os.path.splitext(item.name)
            name = f"{stem}~{item.id}{ext}" if item.name in names else item.name
            names.add(name)
            yield item, os.path.join(where, name)
            if item.kind == "folder":
                pending.append((item, os.path.join(where, name)))


VERBS = {
    "get": Verb(
        about="The copy has the item's time and is there whole or not at all. It takes no space of its own where "
        "the filesystem can share blocks (reflink). cp from the mount does the same without either.",
        examples=(
            "tagfs get debian.iso ~/Downloads",
            "tagfs get id:4711 - | tar tz",
            "tagfs get album /media/stick                        # a folder, with all that is in it",
            "tagfs get --no-wait debian.iso /mnt",
        ),
        declare=_declare,
        run=_run,
    )
}
