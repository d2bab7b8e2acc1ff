"""The truth about items, tags, blobs and downloads, in one SQLite file. See store for the map."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from engine.catalogue.reserve import SIZE as RESERVE
from engine.catalogue.store import SqliteCatalogue

__all__ = ["RESERVE", "SqliteCatalogue", "open_catalogue"]


@asynccontextmanager
async def open_catalogue(
    path: str, *, clock: Callable[[], int] = time.time_ns, reserve: int = 0
) -> AsyncIterator[SqliteCatalogue]:
    """The catalogue in the file `path`, made or migrated as needed, and its service for as long as the body runs.

    `clock` gives nanoseconds since the epoch; `reserve` bytes are kept for a full disk (see `reserve`). EngineError if
    the file cannot be used. CatalogueFailed cancels the body and comes out when the database fails. What was submitted
    before the body ends is committed.
    """
    catalogue = SqliteCatalogue(path, clock, reserve)
    keeping = trio.CancelScope()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(catalogue.serve)
            nursery.start_soon(_keep, catalogue, keeping)
            try:
                yield catalogue
            finally:
                keeping.cancel()
                catalogue.stop()
    except BaseExceptionGroup as group:
        # One error, the body's or the service's, comes out as itself: callers above need no `except*`.
        raise _single(group) from None
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(catalogue.close)


async def _keep(catalogue: SqliteCatalogue, scope: trio.CancelScope) -> None:
    with scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(catalogue.keep_reserve)
            nursery.start_soon(catalogue.keep_pages)


def _single(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
