"""`tagfs get`: copy an item out of the store, waiting until it is whole. Blocking."""

from __future__ import annotations

import argparse
import os
import shutil
import sys

from tagfs.cli import exits
from tagfs.cli.copying import copy_out
from tagfs.cli.output import warn
from tagfs.cli.progress import work
from tagfs.cli.refs import resolve
from tagfs.cli.session import Session
from tagfs.cli.verb import Verb
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
    (item,) = resolve([options.item], session.info())
    with session.client() as client, work("get") as report:
        content: ContentView = client.call(
            "locate", {"item": item, "wait": not options.no_wait}, ContentView, report=(WorkView, report)
        )
    with open(content.path, "rb") as source:  # from here on the bytes stay, whatever becomes of the item
        if options.destination == "-":
            shutil.copyfileobj(source, sys.stdout.buffer, 1 << 20)
            return exits.OK
        target = options.destination
        if os.path.isdir(target):
            target = os.path.join(target, content.name)
        try:
            copy_out(source.fileno(), target, content, replace=options.force)
        except FileExistsError:
            warn(f"{escape(target)} exists already; --force replaces it.")
            return exits.FAILED
    return exits.OK


VERBS = {
    "get": Verb(
        about="The copy has the item's time and is there whole or not at all. It takes no space of its own where "
        "the filesystem can share blocks (reflink). cp from the mount does the same without either.",
        examples=(
            "tagfs get debian.iso ~/Downloads",
            "tagfs get id:4711 - | tar tz",
            "tagfs get --no-wait debian.iso /mnt",
        ),
        declare=_declare,
        run=_run,
    )
}
