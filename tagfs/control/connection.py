"""One client of the control socket: lines in, calls side by side, replies and progress out. trio thread.

    run ── line ──▶ _call (a task each, MAX_CALLS at most) ── dispatch.call ──▶ send
                       ├─ _pump: the newest progress, at most one each PROGRESS_INTERVAL
                       └─ what the verb sends, each of it

State: a connection owns its calls and its stream; nothing of it outlives `run`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import trio

from tagfs.control import dispatch
from tagfs.control.codec import to_json
from tagfs.control.errors import Code, WireError
from tagfs.control.protocol import (
    MAX_CALLS,
    MAX_LINE,
    CallId,
    Failure,
    LineBuffer,
    Progress,
    Reply,
    Request,
    decode_request,
    encode_reply,
)
from tagfs.control.verbs import Verbs

log = logging.getLogger(__name__)

PROGRESS_INTERVAL = 0.1  # seconds


class Connection:
    """Serves `verbs` to the client at the other end of `stream`. Replies come in the order in which calls end."""

    def __init__(self, stream: trio.SocketStream, verbs: Verbs) -> None:
        self._stream = stream
        self._verbs = verbs
        self._calls = trio.Semaphore(MAX_CALLS)
        self._sending = trio.Lock()
        self._torn = False  # a message was cut by cancellation: whatever follows would be misread

    async def run(self) -> None:
        """Until the client closes its side and its calls have ended. Calls that report or send are cancelled then,
        the others run to their end: half an edit helps nobody. Never raises but for cancellation."""
        lines = LineBuffer(MAX_LINE)
        async with trio.open_nursery() as brief, trio.open_nursery() as long:
            try:
                async for chunk in self._stream:
                    for line in lines.feed(chunk):
                        await self._start(line, brief, long)
            except WireError as error:  # a line without end: where the next message would begin is unknown
                await self.send(Failure(None, error.code, error.message))
            except trio.BrokenResourceError:
                log.debug("a client went away")
            long.cancel_scope.cancel()

    async def send(self, reply: Reply) -> None:
        """Waits while the client does not read. A client that is gone is no error."""
        try:
            line = encode_reply(reply)
        except (TypeError, ValueError):  # a view with NaN or a foreign type in it
            log.exception("a reply cannot be written as JSON")
            line = encode_reply(Failure(reply.id, Code.INTERNAL, "The daemon failed to do this; its log says where."))
        async with self._sending:
            if self._torn:
                return
            self._torn = True
            try:
                await self._stream.send_all(line)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                log.debug("a client went away before its answer")
            else:
                self._torn = False

    async def _start(self, line: bytes, brief: trio.Nursery, long: trio.Nursery) -> None:
        try:
            request = decode_request(line)
        except WireError as error:
            await self.send(Failure(error.request, error.code, error.message))
            return
        await self._calls.acquire()  # full: the client's next request waits in the socket
        method = dispatch.METHODS.get(request.method)
        (long if method is not None and method.long else brief).start_soon(self._call, request)

    async def _call(self, request: Request) -> None:
        try:
            latest = _Latest()

            async def send(view: object) -> None:
                await self.send(Progress(request.id, to_json(view)))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pump, request.id, latest)
                reply = await dispatch.call(self._verbs, request, latest.put, send)
                latest.close()
            await self.send(reply)
        finally:
            self._calls.release()

    async def _pump(self, call: CallId, latest: _Latest) -> None:
        # Ends by itself rather than by cancellation, which could cut a message in two.
        while (view := await latest.take()) is not None:
            await self.send(Progress(call, to_json(view)))
            with trio.move_on_after(PROGRESS_INTERVAL):
                await latest.closed.wait()


@dataclass(slots=True)
class _Latest:
    """A mailbox for one view: a newer one replaces an older one that nobody took."""

    closed: trio.Event = field(default_factory=trio.Event)
    _view: object | None = None
    _wake: trio.Event = field(default_factory=trio.Event)

    def put(self, view: object) -> None:
        self._view = view
        self._wake.set()

    def close(self) -> None:
        self.closed.set()
        self._wake.set()

    async def take(self) -> object | None:
        """The newest view; None once closed."""
        await self._wake.wait()
        if self.closed.is_set():
            return None
        self._wake = trio.Event()
        view, self._view = self._view, None
        return view
