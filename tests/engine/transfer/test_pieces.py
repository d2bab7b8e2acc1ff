"""Hashes of pieces: what is wrong is fetched again, elsewhere, and nobody ever sees it."""

import hashlib
import math
import os

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadRequest
from engine.transfer import growth
from engine.transfer.pieces import check_pieces, due, fits, pieces_text, read_pieces, widened
from engine.transfer.ranges import RangeMap
from engine.types import Pieces, State
from tests.support.faultserver import Resource, fault_server
from tests.support.transfers import rig

MIB = 1 << 20
PIECE = MIB // 4
CONTENT = os.urandom(2 * MIB + 1000)
WRONG = CONTENT[: 3 * PIECE] + os.urandom(100) + CONTENT[3 * PIECE + 100 :]  # in piece 3 alone


def hashes_of(content, length=PIECE, algorithm="sha256"):
    parts = [content[start : start + length] for start in range(0, len(content), length)]
    return Pieces(algorithm, length, tuple(hashlib.new(algorithm, part).hexdigest() for part in parts))


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_the_row_keeps_them(algorithm):
    pieces = hashes_of(CONTENT, algorithm=algorithm)
    assert read_pieces(pieces_text(pieces)) == pieces


@pytest.mark.parametrize("text", [None, "", "sha256", "sha256 0 AAAA", "crc32 5 AAAA", "sha256 5 A", "sha256 5 AAAA"])
def test_what_is_none_in_a_row_is_none(text):
    assert read_pieces(text) is None


@pytest.mark.parametrize(
    "pieces", [Pieces("crc", 5, ("00",)), Pieces("md5", 0, ("0" * 32,)), Pieces("md5", 5, ()), Pieces("md5", 5, ("x",))]
)
def test_what_cannot_be_is_refused(pieces):
    with pytest.raises(BadRequest):
        check_pieces(pieces)


def test_how_many_there_must_be():
    assert fits(hashes_of(CONTENT), len(CONTENT))
    assert not fits(hashes_of(CONTENT), len(CONTENT) + PIECE)
    assert widened((5, 11), 10, 25) == (0, 20)
    assert widened((20, 25), 10, 25) == (20, 25)


stretches = st.lists(st.tuples(st.integers(0, 105), st.integers(0, 105)), max_size=6)


@given(stretches, stretches)
def test_due_are_those_that_are_here_and_not_checked(here, checked):
    have = RangeMap((a, min(b, 105)) for a, b in here)
    done = RangeMap((a // 10 * 10, min(a // 10 * 10 + 10, 105)) for a, _ in checked)
    wanted = [
        n for n in range(11) if have.covers(n * 10, min(n * 10 + 10, 105)) and not done.covers(n * 10, n * 10 + 1)
    ]
    assert list(due(Pieces("md5", 10, ("",) * 11), 105, have, done)) == wanted


@given(stretches, st.integers(0, 105), st.integers(0, 105))
def test_ranges_can_be_taken_out(here, start, end):
    ranges = RangeMap(here)
    wanted = {n for a, b in here for n in range(a, b)} - set(range(start, end))
    ranges.remove(start, end)
    assert {n for a, b in ranges for n in range(a, b)} == wanted
    assert ranges.total == len(wanted)
    assert RangeMap.parse(str(ranges)) == ranges


@pytest.fixture
async def server(monkeypatch):
    monkeypatch.setattr(growth, "WORTH", math.inf)  # a slow machine would get further connections
    async with fault_server() as server:
        yield server


async def test_a_wrong_piece_is_fetched_again_from_another_place(server, tmp_path):
    async with rig(tmp_path, split=2) as here:
        urls = [server.add("/a", Resource(WRONG)), server.add("/b", Resource(CONTENT, etag='"b"'))]
        item = await here.add(*urls, pieces=hashes_of(CONTENT))
        assert here.content(await here.until(item)) == CONTENT
    assert server.ranges("/a") == [None]
    assert [start for start, _ in server.ranges("/b")] == [3 * PIECE]  # and perhaps what /a had not sent yet


async def test_a_piece_that_was_wrong_once_is_fetched_again(server, tmp_path):
    resource = Resource(WRONG)

    async def handler(request, stream):
        resource.content = WRONG if len(server.requests) == 1 else CONTENT
        await resource(request, stream)

    async with rig(tmp_path, skip=PIECE // 2) as here:
        item = await here.add(server.add("/x", handler), pieces=hashes_of(CONTENT, algorithm="sha1"))
        assert here.content(await here.until(item)) == CONTENT
    assert server.ranges("/x")[1:] == [(3 * PIECE, 4 * PIECE)]


async def test_a_piece_that_stays_wrong_is_a_sentence(server, tmp_path):
    async with rig(tmp_path, skip=PIECE // 2) as here:
        item = await here.until(await here.add(server.add("/x", Resource(WRONG)), pieces=hashes_of(CONTENT)))
        assert item.state is State.FAILED
        assert item.error == "Piece 3 of the file is wrong each time it is fetched."
    assert server.ranges("/x").count(None) == 1


async def test_right_pieces_of_a_wrong_whole_are_a_sentence(server, tmp_path):
    async with rig(tmp_path) as here:
        url = server.add("/x", Resource(CONTENT))
        item = await here.add(url, pieces=hashes_of(CONTENT), digests={"sha256": "0" * 64})
        item = await here.until(item)
        assert item.state is State.FAILED
        assert item.error.startswith("Each piece is right, and the whole is not: ")
    assert len(server.requests) == 1


async def test_a_file_of_another_size_is_not_fetched(server, tmp_path):
    async with rig(tmp_path) as here:
        item = await here.until(await here.add(server.add("/x", Resource(CONTENT[:MIB])), pieces=hashes_of(CONTENT)))
        assert item.state is State.FAILED
        assert "pieces" in item.error


async def test_readers_see_right_bytes_alone(server, tmp_path):
    """The wrong ones are here long before the right ones, which a reader has to wait for."""
    right = Resource(CONTENT, etag='"b"', hold_at=3 * PIECE + 10, hold_ranges=True)
    async with rig(tmp_path) as here:
        item = await here.add(server.add("/a", Resource(WRONG)), server.add("/b", right), pieces=hashes_of(CONTENT))
        await right.held.wait()
        assert await here.read(item, 0, 3 * PIECE) == CONTENT[: 3 * PIECE]
        reader = here.manager.reader(item.id)
        assert not reader.have(3 * PIECE, 1)
        async with trio.open_nursery() as nursery:

            async def read():
                at = 3 * PIECE - 50
                assert await reader.pread(at, 200, trio.current_time() + 120) == CONTENT[at : at + 200]

            nursery.start_soon(read)
            await here.waiting(item)
            right.release.set()
        assert here.content(await here.until(item)) == CONTENT


async def test_what_an_earlier_run_left_is_looked_at(server, tmp_path):
    """Bytes that rotted on the disk between two runs are fetched again, and only those."""
    resource = Resource(CONTENT, hold_at=6 * PIECE)
    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", resource), pieces=hashes_of(CONTENT))
        await resource.held.wait()
        await here.here(item, 6 * PIECE)
        path = here.store.staging_path(here.catalogue.download(item.id).staging)
    with open(path, "r+b") as file:
        file.seek(PIECE + 5)
        file.write(b"rot" * 9)
    resource.release.set()
    async with rig(tmp_path, skip=PIECE // 2) as here:
        assert here.content(await here.until(item, State.COMPLETE)) == CONTENT
    assert sorted(server.ranges("/x")[1:]) == [(PIECE, 2 * PIECE), (6 * PIECE - 4096, None)]


async def test_a_digest_beside_the_pieces_is_checked_while_it_arrives(server, tmp_path):
    async with rig(tmp_path, split=2) as here:
        urls = [server.add("/a", Resource(WRONG)), server.add("/b", Resource(CONTENT, etag='"b"'))]
        digests = {"sha512": hashlib.sha512(CONTENT).hexdigest()}
        item = await here.add(*urls, pieces=hashes_of(CONTENT), digests=digests)
        assert here.content(await here.until(item)) == CONTENT
