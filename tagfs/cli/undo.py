"""`tagfs undo` and `tagfs redo`. Blocking."""

from __future__ import annotations

import argparse
import re

from tagfs.amounts import counted
from tagfs.cli import exits
from tagfs.cli.changes import words
from tagfs.cli.common import declare_json
from tagfs.cli.output import json_list, say
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.errors import VerbError
from tagfs.control.views_history import UndoneView
from tagfs.escape import escape

_CALL = re.compile(r"#?([0-9]{1,18})")


def _declare_undo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("change", metavar="CHANGE", nargs="?", help="its number, as tagfs log prints it; the last one")
    _declare_steps(parser)


def _declare_steps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--steps", metavar="N", type=int, help="so many, one after the other; 1")
    declare_json(parser)


def _undo(options: argparse.Namespace, session: Session) -> int:
    if options.change is None:
        return _walk(options, session, redo=False)
    if options.steps is not None:
        raise UsageError("-n walks back from the last change: leave it out where you name one.")
    named = _CALL.fullmatch(options.change)
    if named is None:
        raise UsageError(f"{escape(options.change)} is no number of a change; tagfs log prints them.")
    with session.client() as client:
        _say(options, [client.call("undo", {"call": int(named[1])}, UndoneView)])
    return exits.OK


def _redo(options: argparse.Namespace, session: Session) -> int:
    return _walk(options, session, redo=True)


def _walk(options: argparse.Namespace, session: Session, *, redo: bool) -> int:
    steps = 1 if options.steps is None else options.steps
    if steps < 1:
        raise UsageError("-n takes a number from 1 on.")
    done: list[UndoneView] = []
    refused: VerbError | None = None
    with session.client() as client:
        while len(done) < steps and refused is None:
            try:
                done.append(client.call("undo", {"redo": redo}, UndoneView))
            except VerbError as error:
                refused = error
    _say(options, done, redo=redo)
    if refused is not None:  # each step is a change of its own: those before this one stay done
        raise refused
    return exits.OK


def _say(options: argparse.Namespace, done: list[UndoneView], *, redo: bool = False) -> None:
    if options.json:
        json_list(done)
        return
    for undone in done:
        for change in undone.changes:
            say(f"{'took back' if redo else 'undid'} #{undone.call}: {words(change)}")
        if undone.missing:
            say(f"{counted(undone.missing, 'item')} ended for good since")


VERBS = {
    "undo": Verb(
        about="Takes back the last change of tags, names, content, folders or the trash that was made in the mount or "
        "on the command line, all of it at once; called again, the one before it. An item that the change made goes to "
        "the trash. Where something was changed since, it says so and does nothing. What ended for good stays gone.",
        examples=("tagfs undo", "tagfs undo -n 3", "tagfs undo '#812'"),
        declare=_declare_undo,
        run=_undo,
    ),
    "redo": Verb(
        about="Takes back the last undo, and called again the one before it, until something else is changed.",
        examples=("tagfs redo", "tagfs redo -n 3"),
        declare=_declare_steps,
        run=_redo,
    ),
}
