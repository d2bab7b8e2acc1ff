"""`tagfs backup` and `tagfs restore`: a second copy of everything, and back from it. Blocking.

The daemon makes backups, since it knows one moment of everything; a backup is restored where no daemon runs.
"""

from __future__ import annotations

import argparse
import os

from tagfs.amounts import counted
from tagfs.cli import exits
from tagfs.cli.common import declare_json
from tagfs.cli.display import size
from tagfs.cli.output import json_value, say, warn
from tagfs.cli.progress import work
from tagfs.cli.session import Session
from tagfs.cli.verb import Verb
from tagfs.control.views_work import BackupView, WorkView
from tagfs.daemon.restore import restore
from tagfs.escape import escape


def _declare_backup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="a new or empty folder, or one that holds an earlier backup")
    parser.add_argument("--copy", action="store_true", help="copy contents even where a second name would do")
    parser.add_argument("--prune", action="store_true", help="remove contents from DIR that nothing names any more")
    declare_json(parser)


def _backup(options: argparse.Namespace, session: Session) -> int:
    params = {"path": os.path.abspath(options.folder), "copies": options.copy, "prune": options.prune}
    with session.client() as client, work("backup") as report:
        made: BackupView = client.call("backup", params, BackupView, report=(WorkView, report))
    if options.json:
        json_value(made)
    else:
        removed = f", {made.removed} removed" if made.removed else ""
        new = f"{made.copied} new, {size(made.copied_bytes)}"
        say(f"{counted(made.blobs, 'content')}, {size(made.bytes)}: {new}{removed}")
    if made.missing_total:
        warn(
            f"{counted(made.missing_total, 'content')} could not be copied as they should be: tagfs verify says which."
        )
    return exits.FAILED if made.missing_total else exits.OK


def _declare_restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="what tagfs backup wrote")
    parser.add_argument("--replace", action="store_true", help="put the catalogue that is there aside")


def _restore(options: argparse.Namespace, session: Session) -> int:
    folder = os.path.abspath(options.folder)
    with work("restore") as report:

        def told(done: int, total: int) -> None:
            report(WorkView("copying", "", done, total, 0, 0))

        restored = restore(folder, session.state, told, replace=options.replace)
    say(
        f"{counted(restored.items, 'item')}, {counted(restored.blobs, 'content')}, "
        f"{restored.copied} of them copied to {escape(session.state)}"
    )
    if restored.missing:
        missing = counted(restored.missing, "content")
        warn(f"{missing} could not be restored: after tagfs mount, tagfs verify --repair says of what.")
    return exits.FAILED if restored.missing else exits.OK


VERBS = {
    "backup": Verb(
        about="The catalogue as of one moment, and every content that it names, while everything goes on. Called again "
        "with the same DIR only what is new is copied; until it is whole, DIR holds the earlier one. On the same "
        "file system contents get a second name and take no space.",
        examples=("tagfs backup /media/disk/tagfs", "tagfs backup --prune ~/backup && echo whole"),
        declare=_declare_backup,
        run=_backup,
    ),
    "restore": Verb(
        about="Into the state directory, on which no daemon may run, and which has no catalogue yet. With --replace "
        "that and what was arriving goes to quarantine below it. Contents that are there stay. Afterwards mount it.",
        examples=("tagfs restore /media/disk/tagfs", "tagfs restore --state ~/again ~/backup && tagfs mount ~/T"),
        declare=_declare_restore,
        run=_restore,
    ),
}
