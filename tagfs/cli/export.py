"""`tagfs export`: the whole catalogue as JSON lines. Blocking."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from tagfs.cli import exits
from tagfs.cli.copying import refuse_special
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.views_work import LinesView
from tagfs.escape import escape


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", nargs="?", default="-", help="a new file, or - for standard output (-)")
    parser.add_argument("-f", "--force", action="store_true", help="replace FILE")
    parser.add_argument("--secrets", action="store_true", help="URLs with the passwords and tokens in them")


def _run(options: argparse.Namespace, session: Session) -> int:
    if options.file == "-":
        _export(session, options, sys.stdout)
        return exits.OK
    if not options.force and os.path.lexists(options.file):
        raise UsageError(f"{escape(options.file)} is there already; --force replaces it.")
    refuse_special(options.file)
    with _replacing(options.file) as target:
        _export(session, options, target)
    return exits.OK


def _export(session: Session, options: argparse.Namespace, target: TextIO) -> None:
    def put(view: LinesView) -> None:
        target.writelines(f"{line}\n" for line in view.lines)

    with session.client() as client:
        client.call("export", {"secrets": options.secrets}, report=(LinesView, put))


@contextmanager
def _replacing(path: str) -> Iterator[TextIO]:
    """A new file that takes the name when it is whole and on the disk; only its owner may read it."""
    beside = os.path.join(os.path.dirname(path) or ".", f".{secrets.token_hex(8)}.part")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "w", encoding="ascii") as file:
            yield file
            file.flush()
            os.fsync(fd)
        os.replace(beside, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise


VERBS = {
    "export": Verb(
        about="All items, tags, relations and saved queries, one JSON object a line, as of one moment, while "
        "everything goes on. docs/export-format.md describes it. The contents are not in it: they are in the folder "
        "blobs of the state directory, by their SHA-256.",
        examples=(
            "tagfs export catalogue.jsonl",
            "tagfs export | jq -r 'select(.tags) | .name'",
            "tagfs export | zstd > catalogue.jsonl.zst",
        ),
        declare=_declare,
        run=_run,
    )
}
