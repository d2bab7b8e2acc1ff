"""`tagfs verify`: check catalogue and store. Blocking."""

from __future__ import annotations

import argparse

from tagfs.amounts import counted
from tagfs.cli import exits
from tagfs.cli.common import declare_json
from tagfs.cli.display import size
from tagfs.cli.output import json_value, say
from tagfs.cli.progress import work
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.views_work import FaultView, VerifyView, WorkView
from tagfs.escape import escape


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", action="store_true", help="read and hash every blob as well")
    parser.add_argument("--subset", metavar="N/M", help="with --data: only the Nth of M parts of about the same size")
    parser.add_argument("--repair", action="store_true", help="mend what can be mended; nothing is deleted")
    declare_json(parser)


def _run(options: argparse.Namespace, session: Session) -> int:
    if options.subset is not None and not options.data:
        raise UsageError("--subset says which blobs --data reads: it needs that.")
    params = {"data": options.data, "subset": options.subset, "repair": options.repair}
    with session.client() as client, work("verify") as report:
        found: VerifyView = client.call("verify", params, VerifyView, report=(WorkView, report))
    left = found.faults_total - found.mended_total
    if options.json:
        json_value(found)
    else:
        for fault in found.faults:
            say(_line(fault))
        if found.faults_total > len(found.faults):
            say(f"... and {found.faults_total - len(found.faults)} more")
        read = f", {size(found.bytes)} read" if options.data else ""
        mended = f", {found.mended_total} mended" if found.mended_total else ""
        faults = counted(found.faults_total, "fault") if found.faults_total else "no faults"
        say(f"{counted(found.items, 'item')}, {counted(found.blobs, 'blob')}{read}: {faults}{mended}")
    return exits.FAULTS if left else exits.MENDED if found.mended_total else exits.OK


def _line(fault: FaultView) -> str:
    if fault.item is not None:
        where = f"id:{fault.item} {escape(fault.name or '')}: "
    else:
        where = f"{escape(fault.path or fault.sha256 or '')}: " if fault.path or fault.sha256 else ""
    done = f"; mended: {escape(fault.mended)}" if fault.mended else f" (comes about when {escape(fault.cause)})"
    return f"{escape(fault.kind)}: {where}{escape(fault.sentence)}{done}"


VERBS = {
    "verify": Verb(
        about="Without --data: that every item's blob is there with its size, and that catalogue, index and staging "
        "agree. With it, that every byte still is what it was. Exit code 5 when there are faults, 6 when --repair has "
        "mended all of them.",
        examples=("tagfs verify", "tagfs verify --data --subset 3/30", "tagfs verify --data --repair --json > report"),
        declare=_declare,
        run=_run,
    )
}
