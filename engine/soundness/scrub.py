"""Reads everything again, slowly, in the background, so that what a disk changed by itself is known while there may
still be a second copy somewhere. Trio thread; the hashing in disk threads.

    wait ─▶ a pass: every content in the order of digests, at most `rate` bytes a second ─▶ wait until it is time again

What is damaged is told in the log and in each item that has it, and is not relied on any more; nothing is moved or
deleted: that is for `tagfs verify --repair`. State: how far the pass is, in `scrub.json` too, which may be some minutes
behind after a crash.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import trio

from engine.blobs import BlobStore
from engine.blobs.verify import Damage, damage_of
from engine.disk import MIB, own_file
from engine.errors import CatalogueFailed, EngineError
from engine.ports import Catalogue, Edit
from engine.types import Blob

FILE: Final = "scrub.json"
SETTLE: Final = 600.0  # seconds after the start: others have more urgent things to read then
LOOK: Final = 3_600.0  # seconds between two looks at the date
SAVE: Final = 60.0  # seconds between two notes of how far it is
MAX_DAMAGED: Final = 1_000  # that are remembered by name
WORD: Final = "its content is damaged"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scrub:
    """A pass. Instants are seconds since the epoch; `ended` is None while it goes on. `cursor`: the last content that
    was read. `damaged`: of this pass and of those before, as far as they were not read anew and found to be right."""

    began: float
    ended: float | None = None
    cursor: str = ""
    read: int = 0
    total: int = 0
    damaged: tuple[str, ...] = ()


class Scrubber:
    """`every` seconds a pass begins; None: never. `clock` gives seconds since the epoch."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: BlobStore,
        *,
        every: float | None,
        rate: int,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = trio.sleep,
    ) -> None:
        self._catalogue = catalogue
        self._store = store
        self._path = os.path.join(store.root, FILE)
        self._every = every
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._saved = -SAVE
        self.now = _load(self._path)  # None: there never was a pass

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """For ever. What fails is tried again at the next look; only a broken catalogue ends it."""
        task_status.started()
        if self._every is None:
            return
        await self._sleep(SETTLE)
        while True:
            try:
                if self.is_due():
                    await self.read_all()
            except CatalogueFailed:
                raise
            except (EngineError, OSError) as error:
                _log.error("the contents could not be read again: %s", error)
            await self._sleep(LOOK)

    def is_due(self) -> bool:
        """A pass goes on or is to begin. One that began in the future did so by a clock that was wrong."""
        now, last = self._clock(), self.now
        if last is None or last.ended is None or self._every is None:
            return self._every is not None
        return last.began > now or now - last.began >= self._every

    async def read_all(self) -> None:
        """The rest of the pass, or a new one."""
        found = sorted((blob for blob in await self._catalogue.blobs()), key=lambda blob: blob.sha256)
        if self.now is None or self.now.ended is not None:
            self.now = Scrub(self._clock(), damaged=self.now.damaged if self.now else ())
        left = [blob for blob in found if blob.sha256 > self.now.cursor]
        self.now = replace(self.now, total=self.now.read + sum(blob.size for blob in left))
        for blob in left:
            damage = await damage_of(self._store, blob.sha256, self._pace, step=MIB)
            await self._note(blob, damage)
            self.now = replace(self.now, cursor=blob.sha256)
            await self._save()
        self.now = replace(self.now, ended=self._clock(), total=self.now.read)
        await self._save(always=True)
        _log.info("all %d contents were read again, %d are damaged", len(found), len(self.now.damaged))

    async def _pace(self, count: int) -> None:
        assert self.now is not None
        self.now = replace(self.now, read=self.now.read + count)
        await self._sleep(count / self._rate if self._rate else 0)

    async def _note(self, blob: Blob, damage: Damage | None) -> None:
        assert self.now is not None
        was_damaged = blob.sha256 in self.now.damaged
        if damage is None:
            if was_damaged:
                await self._tell(blob.sha256, None)
                self._set_damaged([one for one in self.now.damaged if one != blob.sha256])
        elif self._catalogue.blob(blob.sha256) is not None:  # else it was collected while it was read
            self._store.doubt(blob.sha256)
            why = "it cannot be read" if damage.unreadable else "its bytes have changed"
            await self._tell(blob.sha256, f"{WORD}: {why}; tagfs verify --data --repair")
            if not was_damaged:
                self._set_damaged([*self.now.damaged, blob.sha256][-MAX_DAMAGED:])

    def _set_damaged(self, damaged: Sequence[str]) -> None:
        assert self.now is not None
        self.now = replace(self.now, damaged=tuple(damaged))

    async def _tell(self, sha256: str, error: str | None) -> None:
        """In each item that has it: what is wrong with it, or that nothing is any more."""
        for item in await self._catalogue.holders([sha256]):
            if item.state.whole and (error is not None or (item.error or "").startswith(WORD)):
                if error is not None:
                    _log.error("item %d: %s", item.id, error)
                await self._catalogue.edit(item.id, Edit(state=item.state, error=error))

    async def _save(self, *, always: bool = False) -> None:
        if always or trio.current_time() - self._saved >= SAVE:
            self._saved = trio.current_time()
            await self._store.disk.run(_write, self._path, self.now)


def _load(path: str) -> Scrub | None:
    """What the last daemon noted; None for nothing that can be understood."""
    try:
        with open(path, encoding="ascii", opener=own_file) as file:
            found = json.load(file)
        return Scrub(**{**found, "damaged": tuple(found["damaged"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(path: str, scrub: Scrub | None) -> None:
    if scrub is not None:
        with open(f"{path}.new", "w", encoding="ascii", opener=own_file) as file:
            json.dump(asdict(scrub), file)
        os.replace(f"{path}.new", path)
