"""Tells what the blobs are that came before anybody looked: after an upgrade, or while libmagic was missing.

On the trio thread, the looking in a disk thread. In small steps, each durable; what a kill interrupts the next start
goes on with. Imports ports.
"""

from __future__ import annotations

import logging
from typing import Final

import trio

from engine.ports import Blobs, Catalogue

STEP: Final = 64  # blobs: some 20 ms of a disk thread, and one commit
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
            await catalogue.set_media_types(found)
            told += len(found)
        await trio.sleep(pause)
    if told:
        _log.info("what %d blobs are is known by their content", told)
    return told
