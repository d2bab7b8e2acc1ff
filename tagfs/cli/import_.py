"""`tagfs import`: copy files and folders in. The daemon reads them. Blocking."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile

from tagfs.amounts import counted
from tagfs.cli import exits
from tagfs.cli.common import declare_json, declare_tags, tag_names
from tagfs.cli.display import size
from tagfs.cli.output import json_value, say, warn
from tagfs.cli.progress import work
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.views_work import ImportView, LoadedView, WorkView
from tagfs.daemon.mountinfo import tagfs_mount_of
from tagfs.escape import escape


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", metavar="PATH", nargs="*", help="a file, or a directory with all files below it")
    declare_tags(parser, "tags of the items")
    parser.add_argument(
        "--catalogue", metavar="FILE", help="instead of PATHs what tagfs export wrote, or - for standard input"
    )
    declare_json(parser)


def _run(options: argparse.Namespace, session: Session) -> int:
    if options.catalogue is not None:
        if options.paths or options.tags:
            raise UsageError("--catalogue goes without PATH and --tag.")
        return _load(options, session)
    if not options.paths:
        raise UsageError("What is to be imported? Name a PATH, or --catalogue FILE.")
    paths = tuple(map(_outside, options.paths))
    with session.client() as client, work("import") as report:
        done: ImportView = client.call(
            "import", {"paths": paths, "tags": tag_names(options.tags)}, ImportView, report=(WorkView, report)
        )
    if options.json:
        json_value(done)
    else:
        shared = f", {done.shared} of them known already" if done.shared else ""
        say(f"{counted(done.items, 'item')}, {size(done.bytes)}{shared}")
    return _left_out(done)


def _left_out(done: ImportView | LoadedView) -> int:
    for skipped in done.skipped:
        warn(f"{escape(skipped.path)} was left out: {escape(skipped.reason)}")
    if done.skipped_total > len(done.skipped):
        warn(f"{done.skipped_total - len(done.skipped)} more were left out.")
    return exits.FAILED if done.skipped_total else exits.OK


def _load(options: argparse.Namespace, session: Session) -> int:
    if options.catalogue != "-":
        return _load_file(_outside(options.catalogue), options, session)
    with tempfile.NamedTemporaryFile(prefix="tagfs-") as copy:  # only its owner may read it
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        return _load_file(copy.name, options, session)


def _load_file(path: str, options: argparse.Namespace, session: Session) -> int:
    with session.client() as client, work("import") as report:
        done: LoadedView = client.call("import_catalogue", {"path": path}, LoadedView, report=(WorkView, report))
    if options.json:
        json_value(done)
    else:
        missing = f", {done.missing} of them without their content" if done.missing else ""
        say(f"{counted(done.items, 'item')} made{missing}, {done.known} known already")
    return _left_out(done)


def _outside(path: str) -> str:
    """The absolute path. The daemon must not read its own mount: it would wait for itself."""
    if tagfs_mount_of(os.stat(path).st_dev) is not None:
        raise UsageError(f"{escape(path)} lies on a tagfs mount already.")
    return os.path.abspath(path)


VERBS = {
    "import": Verb(
        about="Each regular file becomes an item with its own name and time; the bytes are stored once however many "
        "names they have. The originals stay as they are. Symlinks below a directory and special files are "
        "left out, with a reason each, and the exit code is 1 then.",
        examples=(
            "tagfs import ~/Downloads/*.iso -t iso",
            "tagfs import ~/Music -t music",
            "tagfs import --catalogue catalogue.jsonl",
        ),
        declare=_declare,
        run=_run,
    )
}
