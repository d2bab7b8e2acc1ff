"""All that reads what a stranger wrote, as functions of bytes. What they take has the properties asserted here; what
they refuse, they refuse by the errors that tests.fuzz.targets lists."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import trio

from engine.formats.magnet import magnet_uri, parse_magnet
from engine.formats.read import read
from engine.loaded import parse
from engine.safe_names import is_safe
from engine.sources.disposition import disposition_name
from engine.sources.headers import MAX_SIZE, MAX_WAIT, MIN_WAIT, read_head
from engine.sources.redirects import first_hop, follow
from engine.sources.torrent.config import TorrentConfig
from engine.sources.torrent.metadata import read_metainfo
from engine.sources.torrent.paths import safe_paths
from engine.sources.urls import check_url, origin_of
from query.ast import Query
from query.errors import QueryError
from query.normalise import normalise
from query.parse import parse_expression, parse_path
from query.path_builder import Complete
from query.render import render_expression, render_path
from tagfs.control.dispatch import call
from tagfs.control.errors import Code
from tagfs.control.protocol import Failure, LineBuffer, decode_reply, decode_request, encode_reply
from tagfs.escape import escape, tame
from tagfs.vfs.xattrs import tags_edit
from tests.support.memory_verbs import MemoryVerbs

_URL: Final = "https://example.org/a/b"


# -- what people write -------------------------------------------------------------------------------------------------
def expression(data: bytes) -> None:
    query = parse_expression(os.fsdecode(data))
    assert parse_expression(render_expression(query)) == query
    _spelled_as_path(query)


def _spelled_as_path(query: Query) -> None:
    with suppress(QueryError):  # some have no path
        again = parse_path(render_path(query))
        assert isinstance(again, Complete)


def path(data: bytes) -> None:
    found = parse_path([os.fsdecode(part) for part in data.split(b"/")])
    if isinstance(found, Complete):
        again = parse_path(render_path(found.query))
        assert isinstance(again, Complete)
        assert normalise(again.query) == normalise(found.query)


def tag_list(data: bytes) -> None:
    edit = tags_edit(data.decode(errors="replace"))
    assert edit.tags is None or not (edit.add or edit.remove)


def terminal(data: bytes) -> None:
    text = os.fsdecode(data)
    for shown in (escape(text), tame(text)):
        assert all(byte >= 0x20 and byte != 0x7F for byte in shown.encode())


# -- what lies in the inbox --------------------------------------------------------------------------------------------
def dropped(name: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        reading = read(name, data)
        assert len(reading.faults) + len(reading.notes) < 1000
        for wanted in reading.wanted:
            assert wanted.torrent is not None or wanted.urls or wanted.magnet
            assert wanted.name is None or is_safe(wanted.name)

    return run


def magnet(data: bytes) -> None:
    found = parse_magnet(data.decode(errors="surrogateescape"))
    assert parse_magnet(magnet_uri(found)) == found


def torrent(data: bytes) -> None:
    found = read_metainfo(data, TorrentConfig(max_files=1000))
    _check_paths(file.path for file in found.files)
    assert is_safe(found.name)
    assert sum(file.size for file in found.files) <= found.size


def torrent_paths(data: bytes) -> None:
    raw = [tuple(part for part in line.split(b"/")) for line in data.split(b"\n")[:200]]
    found = safe_paths(raw)
    assert len(found) == len(raw)
    _check_paths(found)


def _check_paths(paths: Iterable[tuple[str, ...]]) -> None:
    seen = list(paths)
    assert len(set(seen)) == len(seen)
    assert all(is_safe(part) for parts in seen for part in parts)


# -- what servers send -------------------------------------------------------------------------------------------------
def disposition(data: bytes) -> None:
    name = disposition_name(data.decode("latin-1"))
    assert name is None or is_safe(name)


def headers(data: bytes) -> None:
    lines = [line.partition(b":") for line in data.split(b"\n")]
    fields = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, _, value in lines]
    head = read_head(206, _URL, fields, now=1e9)
    assert head.name is None or is_safe(head.name)
    assert head.length is None or 0 <= head.length <= MAX_SIZE
    assert head.retry_after is None or MIN_WAIT <= head.retry_after <= MAX_WAIT
    part = head.content_range
    if part is not None and part.start is not None and part.end is not None:
        assert 0 <= part.start < part.end <= (part.total or MAX_SIZE) <= MAX_SIZE
    for mirror in head.mirrors:
        check_url(mirror.url)


def redirect(data: bytes) -> None:
    hop = first_hop(_URL, {"Cookie": "secret"})
    found = follow(hop, data.decode("latin-1"), from_public=True, allow_downgrade=False, allow_private=False)
    assert found.url.startswith("https://")
    assert found.public_only
    assert not found.headers or origin_of(found.url) == origin_of(_URL)


# -- what comes by the socket, or from an export -----------------------------------------------------------------------
def control(data: bytes) -> None:
    for line in LineBuffer(limit=1 << 14).feed(data):
        request = decode_request(line)
        if request.method != "shutdown":
            reply = trio.run(call, MemoryVerbs(), request, lambda _view: None, _sent)
            assert not isinstance(reply, Failure) or reply.code != Code.INTERNAL, reply
            decode_reply(encode_reply(reply).rstrip(b"\n"))


async def _sent(_view: object) -> None:
    await trio.lowlevel.checkpoint()


def control_reply(data: bytes) -> None:
    decode_reply(data)


def exported(data: bytes) -> None:
    for line in data.rstrip(b"\n").split(b"\n"):
        parse(line)
