"""The live file: believed only when whole, and only in its place."""

import os
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.transfer.live import LiveFile, place_of, read_live
from engine.transfer.ranges import RangeMap
from engine.transfer.version import Version

VERSION = Version(10_000, '"v1"', "Mon, 01 Jan 2024 00:00:00 GMT")
RANGES = RangeMap([(0, 4096), (8192, 9000), (9999, 10_000)])


@pytest.fixture(scope="module")
def fd(tmp_path_factory):
    fd = os.open(tmp_path_factory.mktemp("live") / "f", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


@pytest.fixture(scope="module")
def whole(fd):
    os.ftruncate(fd, 0)
    LiveFile(fd, place_of(fd), VERSION).write(RANGES)
    return os.pread(fd, 1 << 16, 0)


def put(fd, data):
    os.ftruncate(fd, 0)
    os.pwrite(fd, data, 0)
    return read_live(fd, place_of(fd))


def test_round_trip_and_shrinking(fd, whole):
    live = put(fd, whole)
    assert (live.version, live.ranges) == (VERSION, RANGES)
    file = LiveFile(fd, place_of(fd), VERSION)
    file.write(RangeMap([(n * 10, n * 10 + 5) for n in range(500)]))
    file.write(RANGES)
    assert read_live(fd, place_of(fd)).ranges == RANGES


@pytest.mark.parametrize("field", ["boot", "mount", "device", "inode"])
def test_not_believed_elsewhere(fd, whole, field):
    place = place_of(fd)
    os.pwrite(fd, whole, 0)
    assert read_live(fd, replace(place, **{field: 7 if field in ("device", "inode") else "other"})) is None


@settings(max_examples=500)
@given(st.data())
def test_torn_flipped_and_cut_ones_are_refused(fd, whole, data):
    torn = bytearray(whole)
    for position in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        torn[position] ^= data.draw(st.integers(1, 255))
    torn = bytes(torn[: data.draw(st.integers(0, len(whole)))])
    if torn != whole:
        assert put(fd, torn) is None


def test_of_5000_damaged_ones_none_is_believed(fd, whole):
    chance = random.Random(1)
    for _ in range(5000):
        bent = bytearray(whole)
        match chance.randrange(3):
            case 0:
                bent[chance.randrange(len(bent))] ^= 1 << chance.randrange(8)
            case 1:
                del bent[chance.randrange(len(bent)) :]
            case 2:
                start = chance.randrange(len(bent))
                bent[start : start + 20] = chance.randbytes(20)
        assert bytes(bent) == whole or put(fd, bytes(bent)) is None


@given(st.binary(max_size=300))
def test_garbage_is_refused(fd, garbage):
    assert put(fd, garbage) is None


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_garbage_with_the_right_frame_is_refused(fd, garbage, crc):
    assert put(fd, b"tagfs live 1\n" + crc.to_bytes(4, "little") + len(garbage).to_bytes(4, "little") + garbage) is None
