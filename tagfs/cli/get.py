"""`tagfs get`: copy an item, or a folder with all in it, out of the store, waiting until it is whole. Blocking."""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from functools import partial

from tagfs.cli import exits
from tagfs.cli.copying import copy_out, copy_symlink, new_folder
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
            if item.kind != "file":
                raise UsageError(
                    f"A {item.kind} has no content of its own: name a directory to copy it to instead of -."
                )
            with open(locate(item.id).path, "rb") as source:
                shutil.copyfileobj(source, sys.stdout.buffer, 1 << 20)
            return exits.OK
        if os.path.isdir(target):
            target = os.path.join(target, item.name)
        try:
            if item.kind != "folder":
                _copy(item, target, locate, replace=options.force)
            elif os.path.lexists(target := target.rstrip("/") or "/"):
                if not options.force:
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
                _fill(target, _tree(client, item), locate, replace=True)
            else:
                inside = _tree(client, item)
                with new_folder(target) as beside:
                    _fill(beside, inside, locate, replace=False)
        except FileExistsError as error:
            if error.filename != target:
                raise
            does = "writes into it" if item.kind == "folder" else "replaces it"
            warn(f"{escape(target)} exists already; --force {does}.")
            return exits.FAILED
    return exits.OK


def _locate(client: Client, report: Callable[[WorkView], None], item: int, *, wait: bool) -> ContentView:
    view: ContentView = client.call(
        "locate", {"item": f"id:{item}", "wait": wait}, ContentView, report=(WorkView, report)
    )
    return view


def _copy(item: ItemView, target: str, locate: Callable[[int], ContentView], *, replace: bool) -> None:
    """A file or a symlink, whole or not at all; FileExistsError as `copying` says."""
    if item.kind == "symlink":
        copy_symlink(item.target or "", target, replace=replace)
        return
    content = locate(item.id)
    with open(content.path, "rb") as source:  # from here on the bytes stay, whatever becomes of the item
        copy_out(source.fileno(), target, content, replace=replace)


def _fill(
    target: str, inside: Iterable[tuple[ItemView, str]], locate: Callable[[int], ContentView], *, replace: bool
) -> None:
    """All that is `inside` a folder, into the directory `target`. No symlink below it is followed: what stands where a
    directory must be is an error."""
    for item, relative in inside:
        path = os.path.join(target, relative) if relative else target
        if item.kind != "folder":
            if item.state != "skipped":
                _copy(item, path, locate, replace=replace)
        elif not os.path.lexists(path):
            os.mkdir(path)
        elif os.path.islink(path) or not os.path.isdir(path):
            raise NotADirectoryError(errno.ENOTDIR, "A folder cannot take the place of what is no directory", path)


def _tree(client: Client, folder: ItemView) -> list[tuple[ItemView, str]]:
    """A folder and all that is in it, each with its path: a directory before what is in it. All of it at once: the copy
    may come to lie in the folder. Of two of one name the later shows its id, as in the mount."""
    found, pending = [(folder, "")], [(folder, "")]
    while pending:
        above, where = pending.pop()
        names: set[str] = set()
        for item in pages(client, {"folder": f"id:{above.id}"}):
            stem, ext = os.path.splitext(item.name)
            name = f"{stem}~{item.id}{ext}" if item.name in names else item.name
            names.add(name)
            found.append((item, os.path.join(where, name)))
            if item.kind == "folder":
                pending.append(found[-1])
    return found


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
