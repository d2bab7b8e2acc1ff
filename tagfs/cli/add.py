"""`tagfs add`: start downloads. Blocking."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator

from tagfs.cli import exits
from tagfs.cli.common import declare_json, declare_tags, tag_names
from tagfs.cli.display import item_line
from tagfs.cli.output import json_list, say, warn
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.errors import VerbError
from tagfs.control.views_items import ItemView
from tagfs.escape import escape

_DIGEST = re.compile(r"([a-z0-9-]+):([0-9a-f]+)", re.IGNORECASE)


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("urls", metavar="URL", nargs="*", help="http or https; each one is a download of its own")
    declare_tags(parser, "tags of the downloads")
    parser.add_argument("--name", help="name of the file, instead of the server's")
    parser.add_argument(
        "--digest", metavar="ALGORITHM:HEX", action="append", default=[], help="what the content must hash to"
    )
    parser.add_argument("--mirrors", action="store_true", help="all URLs are mirrors of one file")
    parser.add_argument(
        "-i", "--input", metavar="FILE", help="also the URLs in FILE (- for standard input), one download a line"
    )
    parser.add_argument(
        "-H", "--header", metavar="NAME:VALUE", action="append", default=[], help="send this to the URL's server, too"
    )
    parser.add_argument("--allow-downgrade", action="store_true", help="follow redirects from https to http")
    parser.add_argument("--any-type", action="store_true", help="accept a web page where the name promises a file")
    parser.add_argument("--paused", action="store_true", help="do not begin before tagfs resume")
    declare_json(parser)


def _run(options: argparse.Namespace, session: Session) -> int:
    downloads = _downloads(options)
    if not downloads:
        raise UsageError("There is nothing to add: give a URL, or -i FILE.")
    digests = dict(map(_digest, options.digest))
    if (options.name or digests) and len(downloads) > 1:
        raise UsageError("--name and --digest are for one download; give one URL, or --mirrors.")
    common = {
        "tags": tag_names(options.tags), "paused": options.paused, "digests": digests, "name": options.name,
        "options": _options(options),
    }  # fmt: skip
    failed: list[int] = []
    with session.client() as client:
        answers = client.call_each("add", ({"urls": urls, **common} for urls in downloads), ItemView)
        added = _only_items(answers, failed)
        if options.json:
            json_list(added)
        else:
            for item in added:
                say(item_line(item))
    return max(failed, default=exits.OK)


def _only_items(answers: Iterator[ItemView | VerbError], failed: list[int]) -> Iterator[ItemView]:
    for answer in answers:
        if isinstance(answer, VerbError):
            warn(answer.message)
            failed.append(exits.of(answer.code))
        else:
            yield answer


def _downloads(options: argparse.Namespace) -> list[tuple[str, ...]]:
    """The URLs of each download."""
    given = [tuple(options.urls)] if options.mirrors and options.urls else [(url,) for url in options.urls]
    return given + (_read_list(options.input) if options.input else [])


def _read_list(file: str) -> list[tuple[str, ...]]:
    """One download a line, mirrors separated by tabs; empty lines and those that begin with # do not count."""
    if file == "-":
        lines = sys.stdin.read().splitlines()
    else:
        with open(file, encoding="utf-8", errors="surrogateescape") as stream:
            lines = stream.read().splitlines()
    wanted = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return [tuple(filter(None, map(str.strip, line.split("\t")))) for line in wanted]


def _options(options: argparse.Namespace) -> dict[str, str]:
    """What the engine is told about each download, in its own words."""
    told = {"allow-downgrade": "yes"} if options.allow_downgrade else {}
    if options.any_type:
        told["any-type"] = "yes"
    for header in options.header:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"{escape(header)} is no header; write it as NAME:VALUE.")
        told[f"header.{name.strip()}"] = value.strip()
    return told


def _digest(text: str) -> tuple[str, str]:
    found = _DIGEST.fullmatch(text)
    if found is None:
        raise UsageError(f"{escape(text)} is no digest; write it as sha256:HEX.")
    return found[1].lower(), found[2].lower()


VERBS = {
    "add": Verb(
        about="Each download is an item at once, with its tags; prints its id and name. The name may change when "
        "the server says a better one. What a line or URL does wrong costs that download only.",
        examples=(
            "tagfs add https://example.org/debian.iso -t linux,iso",
            "tagfs add --digest sha256:9f86d0...0f00a08 --name debian.iso https://example.org/latest",
            "tagfs add --mirrors https://a.example/x.iso https://b.example/x.iso",
            "tagfs add -i list.txt -t music --paused",
        ),
        declare=_declare,
        run=_run,
    )
}
