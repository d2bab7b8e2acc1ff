"""`tagfs add`: start downloads. Blocking."""

from __future__ import annotations

import argparse
import os
import re
import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from tagfs.cli import exits
from tagfs.cli.common import declare_json, declare_tags, tag_names
from tagfs.cli.display import item_line
from tagfs.cli.output import json_list, say, warn
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.client import Client
from tagfs.control.errors import VerbError
from tagfs.control.protocol import MAX_CONTENT
from tagfs.control.views_added import AddedView
from tagfs.control.views_items import ItemView
from tagfs.escape import escape

_URL = re.compile(r"[a-z][a-z0-9+.-]*://|magnet:", re.IGNORECASE)
_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([KMG]?)", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_DIGEST = re.compile(r"([a-z0-9-]+):([0-9a-f]+)", re.IGNORECASE)


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources",
        metavar="WHAT",
        nargs="*",
        help="a URL, a magnet link, a file (.torrent .magnet .meta4 .metalink .url .webloc .desktop, or a .txt with a "
        "link a line), or - for standard input",
    )
    declare_tags(parser, "tags of the downloads")
    parser.add_argument("--name", help="name of the file, instead of the server's")
    parser.add_argument(
        "--digest", metavar="ALGORITHM:HEX", action="append", default=[], help="what the content must hash to"
    )
    parser.add_argument("--mirrors", action="store_true", help="all URLs are mirrors of one file")
    parser.add_argument(
        "--select", metavar="FILES", help="of a torrent only these: numbers and ranges (1-3,7), or a pattern ('*.mkv')"
    )
    parser.add_argument(
        "-i",
        "--input",
        metavar="FILE",
        help="also what FILE (- for standard input) lists: one download a line, options indented below it as for aria2",
    )
    parser.add_argument(
        "-H", "--header", metavar="NAME:VALUE", action="append", default=[], help="send this to the URL's server, too"
    )
    parser.add_argument(
        "-o", "--option", metavar="NAME=VALUE", action="append", default=[], help="as docs/downloads.md lists them"
    )
    parser.add_argument("--cookies", metavar="FILE", help="a Netscape cookies file, as browsers export it")
    parser.add_argument("--limit-rate", metavar="RATE", help="bytes a second at most, such as 500K or 2M")
    parser.add_argument("--allow-downgrade", action="store_true", help="follow redirects from https to http")
    parser.add_argument("--any-type", action="store_true", help="accept a web page where the name promises a file")
    parser.add_argument(
        "--on-demand", action="store_true", help="fetch only what is read, as it is read, and keep that"
    )
    parser.add_argument("--paused", action="store_true", help="do not begin before tagfs resume")
    declare_json(parser)


def _run(options: argparse.Namespace, session: Session) -> int:
    urls, files, missing = _sorted_out(options.sources)
    for source in missing:
        warn(f"{escape(source)} is neither a URL nor a magnet link, and there is no such file.")
    downloads = [tuple(urls)] if options.mirrors and urls else [(url,) for url in urls]
    if options.input:
        files.append(_content(options.input, as_list=True))
    if not downloads and not files and not missing:
        raise UsageError("There is nothing to add: give a URL, a magnet link or a file, or -i FILE.")
    digests = dict(map(_digest, options.digest))
    if (options.name or digests) and (len(downloads) > 1 or files):
        raise UsageError("--name and --digest are for one download; give one URL, or --mirrors.")
    common = {
        "tags": tag_names(options.tags), "paused": options.paused, "options": _options(options),
        "select": options.select,
    }  # fmt: skip
    failed = [exits.NOT_FOUND] if missing else []
    with session.client() as client:
        calls = ({"urls": urls, "digests": digests, "name": options.name, **common} for urls in downloads)
        added = chain(_added(client, calls, failed), _added_by_files(client, files, common, failed))
        if options.json:
            json_list(added)
        else:
            for item in added:
                say(item_line(item))
    return max(failed, default=exits.OK)


def _added(client: Client, calls: Iterable[Mapping[str, object]], failed: list[int]) -> Iterator[ItemView]:
    for answer in client.call_each("add", calls, ItemView):
        if isinstance(answer, VerbError):
            warn(answer.message)
            failed.append(exits.of(answer.code))
        else:
            yield answer


def _added_by_files(
    client: Client, files: Iterable[tuple[str, bytes]], common: Mapping[str, object], failed: list[int]
) -> Iterator[ItemView]:
    """A file that cannot be read costs itself only, and so does a line of a list."""
    for name, content in files:
        try:
            answer: AddedView = client.call(
                "add_file", {"name": name, "content": b64encode(content).decode(), **common}, AddedView
            )
        except VerbError as error:
            warn(f"{escape(name)}: {error.message}")
            failed.append(exits.of(error.code))
            continue
        for sentence in (*answer.faults, *answer.notes):
            warn(f"{escape(name)}: {sentence}")
        if answer.faults:
            failed.append(exits.USAGE)
        yield from answer.items


def _sorted_out(sources: Iterable[str]) -> tuple[list[str], list[tuple[str, bytes]], list[str]]:
    """URLs, the names and contents of files, and what is neither."""
    urls: list[str] = []
    files: list[tuple[str, bytes]] = []
    missing: list[str] = []
    for source in sources:
        if _URL.match(source):
            urls.append(source)
        elif source == "-" or os.path.exists(source):
            files.append(_content(source))
        else:
            missing.append(source)
    return urls, files, missing


def _content(file: str, *, as_list: bool = False) -> tuple[str, bytes]:
    """Name and bytes. With `as_list`, and for standard input, what is none of the other formats is a list."""
    if file == "-":
        name, content = "standard input.txt", sys.stdin.buffer.read(MAX_CONTENT + 1)
    else:
        name = os.path.basename(file) + (".txt" if as_list and not file.endswith(".txt") else "")
        with open(file, "rb") as stream:
            content = stream.read(MAX_CONTENT + 1)
    if len(content) > MAX_CONTENT:
        raise UsageError(f"{escape(file)} is larger than any torrent or list: at most {MAX_CONTENT >> 20} MiB.")
    return name, content


def _options(options: argparse.Namespace) -> dict[str, str]:
    """What the engine is told about each download, in its own words."""
    told = {"allow-downgrade": "yes"} if options.allow_downgrade else {}
    if options.any_type:
        told["any-type"] = "yes"
    if options.on_demand:
        told["mode"] = "on-demand"
    if options.cookies is not None:
        told["cookies"] = os.path.abspath(options.cookies)
    if options.limit_rate is not None:
        told["max-download"] = str(_rate(options.limit_rate))
    for option in options.option:
        name, equals, value = option.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"{escape(option)} is no option; write it as NAME=VALUE.")
        told[name.strip()] = value.strip()
    for header in options.header:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"{escape(header)} is no header; write it as NAME:VALUE.")
        told[f"header.{name.strip()}"] = value.strip()
    return told


def _rate(text: str) -> int:
    """Bytes a second; K, M and G are powers of 1024, as for curl and aria2c."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise UsageError(f"{escape(text)} is no rate; write bytes a second such as 500K or 2M.")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def _digest(text: str) -> tuple[str, str]:
    found = _DIGEST.fullmatch(text)
    if found is None:
        raise UsageError(f"{escape(text)} is no digest; write it as sha256:HEX.")
    return found[1].lower(), found[2].lower()


VERBS = {
    "add": Verb(
        about="Each download is an item at once, with its tags; prints its id and name. The name may change when "
        "the server says a better one. What a line or URL does wrong costs that download only. Lists are in the "
        "format of aria2: mirrors separated by tabs, and indented below them options such as out=NAME, "
        "checksum=sha-256=HEX, header=NAME: VALUE, pause=true and select-file=1-3.",
        examples=(
            "tagfs add https://example.org/debian.iso -t linux,iso",
            "tagfs add --digest sha256:9f86d0...0f00a08 --name debian.iso https://example.org/latest",
            "tagfs add --mirrors https://a.example/x.iso https://b.example/x.iso",
            "tagfs add debian.torrent x.meta4 'magnet:?xt=urn:btih:...' --select 1-3,7",
            "tagfs add -i list.txt -t music --paused",
            "grep -o 'https://[^\"]*iso' page.html | tagfs add -",
        ),
        declare=_declare,
        run=_run,
    )
}
