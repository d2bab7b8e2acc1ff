"""`tagfs ls`: the items that match a query. Blocking."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from tagfs.cli import exits
from tagfs.cli.common import declare_expression, declare_json
from tagfs.cli.display import UNKNOWN, columns, instant, percent, size
from tagfs.cli.output import json_list, nul_terminated, say
from tagfs.cli.queries import spelled
from tagfs.cli.refs import folder_at
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.client import Client
from tagfs.control.views_items import ItemPage, ItemView
from tagfs.escape import escape


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "query",
        metavar="QUERY",
        nargs="*",
        help="an expression, or a path as below /tags; all items. Or a folder item, as id:ID or a path in the mount",
    )
    declare_expression(parser)
    parser.add_argument("--trash", action="store_true", help="what is in the trash instead")
    style = parser.add_mutually_exclusive_group()
    style.add_argument("-l", "--long", action="store_true", help="with id, state, size, time of adding and tags")
    style.add_argument("--ids", action="store_true", help="print id:ID instead of names, for xargs and other verbs")
    style.add_argument(
        "-0", "--null", action="store_true", help="names byte for byte, each ended by NUL instead of a line break"
    )
    declare_json(style)


def _run(options: argparse.Namespace, session: Session) -> int:
    text = " ".join(options.query) or None
    if options.trash and text is not None:
        raise UsageError("--trash lists all of the trash; a query does not apply there.")
    folder = None if text is None or options.expression else folder_at(text, session.info())
    params: dict[str, object] = {"trashed": options.trash}
    if folder is not None:
        params["folder"] = folder
    elif text is not None:
        params["query"], params["spelling"] = spelled(text, session.info(), expression=options.expression)
    with session.client() as client:
        items = pages(client, params)
        if options.json:
            json_list(items)
        elif options.ids:
            for item in items:
                say(f"id:{item.id}")
        else:
            _print(sorted(items, key=lambda item: (item.name, item.id)), options)
    return exits.OK


def pages(client: Client, params: dict[str, object]) -> Iterator[ItemView]:
    """All items that `ls` with `params` answers, in id order, page by page."""
    after: int | None = 0
    while after is not None:
        page: ItemPage = client.call("ls", {**params, "after": after}, ItemPage)
        yield from page.items
        after = page.next


def _print(items: Sequence[ItemView], options: argparse.Namespace) -> None:
    if options.null:
        nul_terminated(item.name for item in items)
        return
    lines = columns(map(_row, items), right=[2]) if options.long else (escape(item.name) for item in items)
    for line in lines:
        say(line)


def _row(item: ItemView) -> tuple[str, ...]:
    arriving = item.state in ("queued", "downloading", "paused", "failed") and item.done
    state = f"{item.state} {percent(item.done, item.size)}" if arriving else item.state
    return (
        f"id:{item.id}", state, size(item.size), instant(item.added), escape(",".join(item.tags)) or UNKNOWN,
        escape(item.name),
    )  # fmt: skip


VERBS = {
    "ls": Verb(
        about="Names are sorted, and escaped like \\x1b where they hold what a terminal would act upon. Several "
        "words are one query. Several items may have one name; --ids and -l tell them apart.",
        examples=(
            "tagfs ls id:4711                                    # what is in this folder",
            "tagfs ls 'movie and (1080p or 2160p) and not watched'",
            "tagfs ls movie/1080p/+/movie/2160p/-/watched        # a path, as below /tags",
            "tagfs ls -l 'state:failed'",
            "tagfs ls --ids 'size:4G..' | xargs -r tagfs tag -t large",
        ),
        declare=_declare,
        run=_run,
    )
}
