"""import_catalogue: reads what `export` wrote. Trio thread; the file is read and parsed in threads.

some 1,000 lines ─▶ parsed, their contents looked for in the store and held ─▶ one transaction ─▶ the next
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import trio

from engine.errors import BadRequest, EngineError
from engine.loaded import MAX_LINE, ItemLine, Line, Loading, Numbered, parse, parse_header
from tagfs.amounts import counted
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Report
from tagfs.control.views import LoadedView, SkippedView, WorkView
from tagfs.service.base import Part, verb

BATCH = 1_000  # lines of a transaction: some 0.3 s of the writer's time
BATCH_BYTES = 8 << 20  # of a transaction, if its lines are long


class Loader(Part):
    @verb
    async def import_catalogue(self, path: str, *, report: Report[WorkView]) -> LoadedView:
        loading = Loading()
        try:
            file = await trio.to_thread.run_sync(_opened, path)
        except OSError as error:
            raise VerbError(Code.NOT_FOUND, f"{path} cannot be read: {error.strerror}.") from error
        with file:
            try:
                await self._load(file, loading, report)
            except EngineError as error:
                text = str(error).removesuffix(".")
                sofar = (
                    f"The lines before made {counted(loading.made, 'item')}." if loading.made else "Nothing was made."
                )
                raise VerbError(Code.BAD_REQUEST, f"{text[:1].upper()}{text[1:]}. {sofar}") from error
        skipped = tuple(SkippedView(path, f"Line {number}: {why}.") for number, why in loading.skipped)
        return LoadedView(loading.made, loading.known, loading.missing, skipped, loading.skipped_total)

    async def _load(self, file: BinaryIO, loading: Loading, report: Report[WorkView]) -> None:
        total, read, number = await trio.to_thread.run_sync(_header, file), 0, 1
        made = 0
        while True:
            lines, number, wrong, end = await trio.to_thread.run_sync(_batch, file, number)
            read += sum(isinstance(one.line, ItemLine) for one in lines)
            if wrong is not None:
                raise wrong
            if lines:
                try:
                    await self._take_in(lines, loading)
                except EngineError:
                    loading.made = made
                    raise
                made = loading.made
            report(WorkView("loading", "", read, total, 0, 0))
            if end:
                break
        if read < total:
            raise BadRequest(f"the file ends after {read} of {total} items")

    async def _take_in(self, lines: list[Numbered], loading: Loading) -> None:
        wanted = {one.line.sha256 for one in lines if isinstance(one.line, ItemLine) and one.line.sha256 is not None}
        with self._held(wanted):
            sizes = await trio.to_thread.run_sync(lambda: {sha256: self.store.size(sha256) for sha256 in wanted})
            found = [_with_size(one, sizes) for one in lines]
            with trio.CancelScope(shield=True):
                await self.catalogue.load(found, loading)

    @contextmanager
    def _held(self, wanted: set[str]) -> Iterator[None]:
        """Nothing of it is collected meanwhile."""
        for sha256 in wanted:
            self.store.hold(sha256)
        try:
            yield
        finally:
            for sha256 in wanted:
                self.store.release(sha256)


def _opened(path: str) -> BinaryIO:
    return open(path, "rb", opener=_without_waiting)


def _without_waiting(path: str, flags: int) -> int:
    """A pipe or a device would be waited for, perhaps for ever."""
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is no regular file")
    return fd


def _header(file: BinaryIO) -> int:
    try:
        return parse_header(file.readline(MAX_LINE + 1))
    except BadRequest as error:
        raise BadRequest(f"line 1: {error}") from error


def _batch(file: BinaryIO, number: int) -> tuple[list[Numbered], int, BadRequest | None, bool]:
    """The lines after line `number`, the number of the last, what is wrong with it, and whether the file ends."""
    lines: list[Numbered] = []
    size = 0
    while len(lines) < BATCH and size < BATCH_BYTES:
        data = file.readline(MAX_LINE + 1)
        if not data:
            return lines, number, None, True
        number += 1
        size += len(data)
        try:
            line: Line | None = parse(data)
        except BadRequest as error:
            return [], number, BadRequest(f"line {number}: {error}"), False
        if line is not None:
            lines.append(Numbered(number, line))
    return lines, number, None, False


def _with_size(one: Numbered, sizes: dict[str, int | None]) -> Numbered:
    if not isinstance(one.line, ItemLine) or one.line.sha256 is None:
        return one
    return Numbered(one.number, one.line, sizes[one.line.sha256])
