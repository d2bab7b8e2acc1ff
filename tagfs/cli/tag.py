"""`tagfs tag` and `tagfs untag`. Blocking."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from tagfs.cli import exits
from tagfs.cli.common import declare_items, declare_json, declare_tags, over_items, tag_names
from tagfs.cli.output import json_list
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb


def _declare(text: str) -> Callable[[argparse.ArgumentParser], None]:
    def declare(parser: argparse.ArgumentParser) -> None:
        declare_items(parser)
        declare_tags(parser, text)
        declare_json(parser, "print the items as they are afterwards; docs/cli.md lists the keys")

    return declare


def _run(key: str) -> Callable[[argparse.Namespace, Session], int]:
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


VERBS = {
    "tag": Verb(
        about="Tags that do not exist yet are made. The same as setfattr -n user.tags -v +TAG FILE.",
        examples=(
            "tagfs tag ~/T/files/debian.iso -t linux,iso",
            "tagfs tag ~/T/tags/movie/*1080p* -t 1080p -t year:1979",
            "tagfs tag id:4711 -t todo",
        ),
        declare=_declare("tags to put on"),
        run=_run("add"),
    ),
    "untag": Verb(
        about="Items stay where else they are; one without any tag is found by is:untagged and in /files.",
        examples=("tagfs untag ~/T/tags/todo/* -t todo", "tagfs untag debian.iso -t iso,amd64"),
        declare=_declare("tags to take off"),
        run=_run("remove"),
    ),
}
