"""`tagfs tag` and `tagfs untag`. Blocking."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable

from tagfs.amounts import counted
from tagfs.cli import exits
from tagfs.cli.common import declare_expression, declare_items, declare_json, declare_tags, over_items, tag_names
from tagfs.cli.output import json_list, json_value, say
from tagfs.cli.progress import work
from tagfs.cli.queries import spelled
from tagfs.cli.refs import resolve
from tagfs.cli.session import Session
from tagfs.cli.verb import NotFound, UsageError, Verb
from tagfs.control.views_work import RetaggedView, WorkView
from tagfs.escape import escape

MAX_BATCH = 12 << 20  # bytes of references: what a request holds with room to spare, some 1,000,000 of id:ID

MARK = "\0"  # before a change that argparse would take for an option; no argument of a process holds it


def _declare(parser: argparse.ArgumentParser) -> None:
    declare_items(parser, at_least_one=False)
    declare_tags(parser, "tags to put on")
    many = parser.add_mutually_exclusive_group()
    many.add_argument(
        "--where",
        metavar="QUERY",
        help="instead of ITEMs all that match; then +TAG to put one on, -TAG to take one off",
    )
    many.add_argument(
        "--batch", action="store_true", help="instead of ITEMs lines of standard input: ITEM, a tab, and +TAG,-TAG"
    )
    declare_expression(parser)
    parser.add_argument("-n", "--dry-run", action="store_true", help="with --where: only say how many it would change")
    parser.add_argument("-0", "--null", action="store_true", help="with --batch: each line ends with NUL instead")
    declare_json(parser, "print the items as they are afterwards, or the numbers; docs/cli.md lists the keys")


def _reword(arguments: list[str]) -> list[str]:
    """After `--where QUERY`, `+a` and `-b` are changes, whatever options begin like that: argparse would take `-todo`
    for `-t odo`."""
    words = [*arguments]
    for at, word in enumerate(words):
        if word == "--where" or word.startswith("--where="):
            start = at + (2 if word == "--where" else 1)
            return words[:start] + [_changed(word) for word in words[start:]]
        if word == "--":
            break
    return words


def _changed(word: str) -> str:
    return MARK + word if word.startswith("-") and not word.startswith("--") else word


def _run(options: argparse.Namespace, session: Session) -> int:
    if options.where is None and options.dry_run:
        raise UsageError("--dry-run goes with --where.")
    if options.null and not options.batch:
        raise UsageError("-0 goes with --batch.")
    if options.where is not None:
        return _where(options, session)
    if options.batch:
        return _batch(options, session)
    if not options.items:
        raise UsageError("Which items? Name some, or use --where QUERY or --batch.")
    return _each("add")(options, session)


def _where(options: argparse.Namespace, session: Session) -> int:
    words = [word.removeprefix(MARK) for word in options.items]
    changes = [
        *(f"+{tag}" for tag in tag_names(options.tags)),
        *(change for word in words for change in word.split(",")),
    ]
    if not changes:
        raise UsageError("Which tags? Name them after the query, +TAG to put one on and -TAG to take one off.")
    for change in changes:
        if len(change) < 2 or change[0] not in "+-":
            raise UsageError(f"With --where a change is +TAG or -TAG, not {escape(change) or 'nothing'}.")
    add = tuple(change[1:] for change in changes if change.startswith("+"))
    remove = tuple(change[1:] for change in changes if change.startswith("-"))
    query, spelling = spelled(options.where, session.info(), expression=options.expression)
    params = {"query": query, "spelling": spelling, "add": add, "remove": remove, "dry_run": options.dry_run}
    with session.client() as client, work("tag") as report:
        done: RetaggedView = client.call("tag_where", params, RetaggedView, report=(WorkView, report))
    return _tell(done, options, "would be changed" if options.dry_run else "changed")


def _batch(options: argparse.Namespace, session: Session) -> int:
    if options.items or options.tags:
        raise UsageError("--batch reads items and tags from standard input; leave them out.")
    items: list[str] = []
    edits: dict[str, int] = {}
    which: list[int] = []
    info, room = session.info(), MAX_BATCH
    for number, line in enumerate(_lines(null=options.null), 1):
        item, tab, edit = line.rpartition("\t")  # a tag holds no tab, a name may
        if not tab or not item:
            raise UsageError(f"Line {number} is not ITEM, a tab, and +TAG,-TAG: {escape(line)}")
        try:
            [ref] = resolve([item], info)
        except (NotFound, UsageError) as error:
            raise type(error)(f"Line {number}: {error} Nothing was changed.") from error
        room -= len(ref)
        if room < 0:
            raise UsageError(f"Line {number} is one too many for one batch. Nothing was changed.")
        items.append(ref)
        which.append(edits.setdefault(edit, len(edits)))
    if not items:
        return _tell(RetaggedView(0, 0), options, "changed")
    params = {"items": items, "edits": list(edits), "which": which}
    with session.client() as client, work("tag") as report:
        done: RetaggedView = client.call("tag_batch", params, RetaggedView, report=(WorkView, report))
    return _tell(done, options, "changed")


def _lines(*, null: bool) -> Iterable[str]:
    """Of standard input, as file names are read."""
    text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    lines = text.split("\0" if null else "\n")
    return lines[:-1] if lines[-1] == "" else lines


def _tell(done: RetaggedView, options: argparse.Namespace, what: str) -> int:
    if options.json:
        json_value(done)
    else:
        say(f"{done.changed} of {counted(done.items, 'item')} {what}")
    return exits.OK


def _each(key: str) -> Callable[[argparse.Namespace, Session], int]:
    def run(options: argparse.Namespace, session: Session) -> int:
        tags = tag_names(options.tags)
        if not tags:
            raise UsageError("Which tags? Name them with -t TAG.")
        with session.client() as client:
            changed = over_items(session, client, "tag", options.items, {key: tags})
            if options.json:
                json_list(changed)
            else:
                list(changed)
        return exits.OK

    return run


def _declare_untag(parser: argparse.ArgumentParser) -> None:
    declare_items(parser)
    declare_tags(parser, "tags to take off")
    declare_json(parser, "print the items as they are afterwards; docs/cli.md lists the keys")


VERBS = {
    "tag": Verb(
        about="Tags that do not exist yet are made. The same as setfattr -n user.tags -v +TAG FILE. With --where and "
        "--batch all is one transaction: done whole or, where something is wrong, not at all.",
        examples=(
            "tagfs tag ~/T/files/debian.iso -t linux,iso",
            "tagfs tag ~/T/tags/movie/*1080p* -t 1080p -t year:1979",
            "tagfs tag id:4711 -t todo",
            "tagfs tag --where 'movie and added:30d..' +archive -new",
            "tagfs ls --json todo | jq -r '.[] | \"id:\\(.id)\\t+done,-todo\"' | tagfs tag --batch",
        ),
        declare=_declare,
        run=_run,
        reword=_reword,
    ),
    "untag": Verb(
        about="Items stay where else they are; one without any tag is found by is:untagged and in /files.",
        examples=("tagfs untag ~/T/tags/todo/* -t todo", "tagfs untag debian.iso -t iso,amd64"),
        declare=_declare_untag,
        run=_each("remove"),
    ),
}
