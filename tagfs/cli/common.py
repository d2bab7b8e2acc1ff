"""Arguments that several verbs share, and calls over many items. Blocking."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping

from tagfs.cli.refs import resolve
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError
from tagfs.control.client import Client
from tagfs.control.views_items import ItemView

CHUNK = 1000  # items a call: keeps a request far below the protocol's limit on lines


def declare_items(parser: argparse.ArgumentParser, *, at_least_one: bool = True) -> None:
    parser.add_argument(
        "items",
        metavar="ITEM",
        nargs="+" if at_least_one else "*",
        help="a path inside the mount, a name, or id:ID",
    )


def declare_tags(parser: argparse.ArgumentParser, help: str) -> None:
    parser.add_argument("-t", "--tag", dest="tags", metavar="TAG[,TAG]", action="append", default=[], help=help)


def declare_json(parser: argparse._ActionsContainer, help: str = "print JSON; docs/cli.md lists the keys") -> None:
    parser.add_argument("--json", action="store_true", help=help)


def declare_expression(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-e", "--expression", action="store_true", help="QUERY is an expression even though it has a slash"
    )


def tag_names(given: Iterable[str]) -> tuple[str, ...]:
    """The tags of all -t, each a comma-separated list, without repetition."""
    names = [name for words in given for name in words.split(",")]
    if "" in names:
        raise UsageError("A tag name must not be empty: -t TAG or -t TAG,TAG.")
    return tuple(dict.fromkeys(names))


def over_items(
    session: Session, client: Client, verb: str, items: Iterable[str], params: Mapping[str, object]
) -> Iterator[ItemView]:
    """Call `verb` with all of `items`, resolved first, in chunks; the items that it answers with."""
    refs = resolve(items, session.info())
    for at in range(0, len(refs), CHUNK):
        yield from client.call(verb, {"items": refs[at : at + CHUNK], **params}, tuple[ItemView, ...])
