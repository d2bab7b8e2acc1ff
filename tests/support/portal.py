"""A trio loop in a thread of its own, for tests whose driver is not async (hypothesis state machines)."""

from __future__ import annotations

import queue
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

import trio

T = TypeVar("T")
R = TypeVar("R")


class Portal(Generic[T]):
    """An async context manager entered on its own loop; `value` is what it gave. `run` calls async functions there."""

    value: T

    def __init__(self, manager: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        entered: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None

        async def main() -> None:
            self._token = trio.lowlevel.current_trio_token()
            self._stop = trio.Event()
            async with manager() as self.value:
                entered.put(None)
                await self._stop.wait()

        def thread() -> None:
            try:
                trio.run(main)
            except BaseException as error:
                self._failure = error
                entered.put(error)

        self._thread = threading.Thread(target=thread, name="portal")
        self._thread.start()
        if (failure := entered.get()) is not None:
            raise failure

    def run(self, function: Callable[..., Awaitable[R]], *args: Any) -> R:
        return trio.from_thread.run(function, *args, trio_token=self._token)

    def close(self) -> None:
        self._token.run_sync_soon(self._stop.set)
        self._thread.join()
        if self._failure is not None:
            raise self._failure
