"""Hashes of the pieces of a file: checked, kept, and which piece is due. Pure."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Iterator
from typing import Final

from engine.digests import HEX_LENGTHS
from engine.errors import BadRequest
from engine.transfer.plan import Stretch
from engine.transfer.ranges import RangeMap
from engine.types import Pieces

MAX_PIECES: Final = 1 << 17  # 128 GiB in pieces of 1 MiB; the row of the download holds them


def check_pieces(pieces: Pieces) -> Pieces:
    """BadRequest for what can be no list of piece hashes."""
    if pieces.algorithm not in HEX_LENGTHS:
        raise BadRequest(f"{pieces.algorithm!r} is not a digest known here: use one of {', '.join(HEX_LENGTHS)}.")
    if pieces.length <= 0 or not 1 <= len(pieces.hashes) <= MAX_PIECES:
        raise BadRequest(f"A file has 1 to {MAX_PIECES} pieces, each longer than nothing.")
    digits = HEX_LENGTHS[pieces.algorithm]
    if not all(len(each) == digits and set(each) <= set("0123456789abcdef") for each in pieces.hashes):
        raise BadRequest(f"The {pieces.algorithm} hash of a piece is {digits} hexadecimal digits in lower case.")
    return pieces


def pieces_text(pieces: Pieces) -> str:
    """As the download's row keeps them."""
    return f"{pieces.algorithm} {pieces.length} {b64encode(bytes.fromhex(''.join(pieces.hashes))).decode()}"


def read_pieces(text: str | None) -> Pieces | None:
    """The inverse of `pieces_text`; None for what somebody edited."""
    try:
        algorithm, length, coded = (text or "").split(" ")
        digits, found = HEX_LENGTHS[algorithm], b64decode(coded, validate=True).hex()
        hashes = tuple(found[start : start + digits] for start in range(0, len(found), digits))
        return check_pieces(Pieces(algorithm, int(length), hashes))
    except (ValueError, KeyError, BadBase64, BadRequest):
        return None


def fits(pieces: Pieces, size: int) -> bool:
    return len(pieces.hashes) == -(-size // pieces.length)


def widened(stretch: Stretch, length: int, size: int | None) -> Stretch:
    """The whole pieces that it touches."""
    start, end = stretch[0] // length * length, -(-stretch[1] // length) * length
    return start, end if size is None else min(end, size)


def due(pieces: Pieces, size: int, here: RangeMap, checked: RangeMap) -> Iterator[int]:
    """Pieces that are here and not checked yet, ascending."""
    for start, end in checked.missing(0, size):
        first = start // pieces.length
        for index in range(first, -(-end // pieces.length)):
            if here.covers(index * pieces.length, min((index + 1) * pieces.length, size)):
                yield index
