"""Which files of a torrent somebody wants: `1-3,7`, counted from 1 as they are listed, or a pattern as `*.mkv`.

Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from engine.errors import BadRequest
from engine.sources.torrent.metadata import Metainfo

SELECT: Final = "select"  # the option of a torrent that holds it, as the user said

_NUMBERS: Final = re.compile(r"\s*\d{1,18}(-\d{1,18})?(\s*,\s*\d{1,18}(-\d{1,18})?)*\s*", re.ASCII)


def check_select(text: str) -> str:
    """BadRequest for what selects nothing that there could be."""
    if not text.strip():
        raise BadRequest("A selection is numbers as 1-3,7 or a pattern as *.mkv, this one is empty.")
    if _NUMBERS.fullmatch(text):
        for first, last in _spans(text):
            if not 1 <= first <= last:
                raise BadRequest(f"The files of a torrent are counted from 1, {text!r} selects others.")
    return text


def unwanted(meta: Metainfo, select: str | None, positions: Sequence[tuple[int, int]]) -> set[int]:
    """Indexes of files that are not selected. `positions` are what the link says (BEP 53), ranges with both ends;
    `select` goes first. BadRequest where a selection leaves nothing."""
    everything = range(len(meta.files))
    if meta.is_single or (select is None and not positions):
        return set()
    if select is None:
        chosen = {
            index
            for index, file in enumerate(meta.files)
            if any(first <= file.position <= last for first, last in positions)
        }
    elif _NUMBERS.fullmatch(select):
        chosen = {index for first, last in _spans(select) for index in everything[first - 1 : last]}
    else:
        chosen = {index for index, file in enumerate(meta.files) if _matches(file.path, select)}
    if not chosen:
        raise BadRequest("None of the files of this torrent is selected.")
    return set(everything) - chosen


def _spans(text: str) -> list[tuple[int, int]]:
    parts = [part.strip().partition("-") for part in text.split(",")]
    return [(int(first), int(last or first)) for first, _, last in parts]


def _matches(path: tuple[str, ...], pattern: str) -> bool:
    """By the name alone, or by the whole path where the pattern has a slash."""
    return fnmatchcase("/".join(path) if "/" in pattern else path[-1], pattern)
