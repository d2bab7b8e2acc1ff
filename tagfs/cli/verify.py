"""`tagfs verify`: check catalogue and store. Blocking."""

from __future__ import annotations

import argparse

from tagfs.cli import exits
from tagfs.cli.common import declare_json
from tagfs.cli.display import size
from tagfs.cli.output import json_value, say
from tagfs.cli.progress import work
from tagfs.cli.session import Session
from tagfs.cli.verb import Verb
from tagfs.control.views_work import FaultView, VerifyView, WorkView
from tagfs.escape import escape


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", action="store_true", help="read and hash every blob as well")
    declare_json(parser)


def _run(options: argparse.Namespace, session: Session) -> int:
    with session.client() as client, work("verify") as report:
        found: VerifyView = client.call("verify", {"data": options.data}, VerifyView, report=(WorkView, report))
    if options.json:
        json_value(found)
    else:
        for fault in found.faults:
            say(_line(fault))
        if found.faults_total > len(found.faults):
            say(f"... and {found.faults_total - len(found.faults)} more")
        read = f", {size(found.bytes)} read" if options.data else ""
        say(f"{found.items} items, {found.blobs} blobs{read}: {found.faults_total or 'no'} faults")
    return exits.FAULTS if found.faults_total else exits.OK


def _line(fault: FaultView) -> str:
    item = "" if fault.item is None else f"id:{fault.item} {escape(fault.name or '')}: "
    return f"{fault.kind}: {item}{escape(fault.sentence)}"


VERBS = {
    "verify": Verb(
        about="Without --data: that every item's blob is there with its size, and that the catalogue is sound. With "
        "it, that every byte still is what it was. Exit code 5 when there are faults.",
        examples=("tagfs verify", "tagfs verify --data --json > report.json"),
        declare=_declare,
        run=_run,
    )
}
