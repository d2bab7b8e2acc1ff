"""Tells what the blobs are that came before anybody looked: after an upgrade, or while libmagic was missing.

On the trio thread, the looking in a disk thread. In small steps, each durable; what a kill interrupts the next start
goes on with. Imports errors, ports.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

import trio

from engine.errors import StoreFull
from engine.ports import Blobs, Catalogue

STEP: Final = 64  # blobs: some 20 ms of a disk thread, and one commit
FULL: Final = 60.0  # seconds between two tries while the catalogue has no space
PAUSE: Final = 0.02  # seconds between two steps, for whoever waits for the disk or the writer

_log = logging.getLogger(__name__)


async def look_at_old_blobs(catalogue: Catalogue, blobs: Blobs, *, pause: float = PAUSE) -> int:
    """Once through all of them; returns how many were told. Those that cannot be read are left for the next start."""
    after, told = 0, 0
    while step := await catalogue.blobs_to_look_at(after, STEP):
        after = step[-1].id
        try:
            looks = await blobs.looks([blob.sha256 for blob in step])
        except OSError as error:
            _log.warning("%d blobs could not be looked at: %s", len(step), error)
            continue
        found = {blob.sha256: mime for blob, mime in zip(step, looks, strict=True) if mime is not None}
        if found:
            await _tell(catalogue, found)
            told += len(found)
        await trio.sleep(pause)
    if told:
        _log.info("what %d blobs are is known by their content", told)
    return told


async def _tell(catalogue: Catalogue, found: Mapping[str, str]) -> None:
    """With patience while the catalogue has no space."""
    while True:
        try:
            await catalogue.set_media_types(found)
        except StoreFull as error:
            _log.info("what blobs are is noted when there is space again: %s", error)
            await trio.sleep(FULL)
        else:
            return
