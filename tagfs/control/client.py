"""A blocking client of the control socket, for the command line. Light: start-up time is what it is made for.

Imports neither trio nor the engine. Not to be shared between threads.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from tagfs.control.address import peer, short, trusted
from tagfs.control.codec import Mismatch, from_json, to_json
from tagfs.control.errors import Code, VerbError, WireError
from tagfs.control.protocol import (
    MAX_CALLS,
    MAX_REPLY,
    Failure,
    LineBuffer,
    Progress,
    Reply,
    Request,
    Result,
    decode_reply,
    encode_request,
)

CHUNK = 1 << 18


class NoDaemon(Exception):
    """Nobody answers; the text is one sentence."""


class Client:
    """A connection to the daemon whose socket is at `path`. NoDaemon when there is none or it is somebody else's."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with short(path) as address:
                self._socket.connect(address)
        except OSError as error:  # not there, refused, folder gone
            self._socket.close()
            raise NoDaemon("No daemon runs on this state directory.") from error
        _pid, uid = peer(self._socket)
        if not trusted(uid):
            self._socket.close()
            raise NoDaemon(f"The control socket belongs to another user (uid {uid}); it is not to be trusted.")
        self._lines = LineBuffer(MAX_REPLY)
        self._replies: list[Reply] = []
        self._last = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def call(
        self,
        method: str,
        params: Mapping[str, object],
        result: Any = None,
        *,
        report: tuple[Any, Callable[[Any], None]] | None = None,
    ) -> Any:
        """The verb's answer, as type `result` (None: whatever it is). `report` is the type of the progress views and
        what to do with each. VerbError as the daemon says; NoDaemon when it ends meanwhile."""
        call = self._send(method, params)
        while True:
            reply = self._receive()
            if isinstance(reply, Progress):
                if report is not None and reply.id == call:
                    report[1](_read(reply.value, report[0]))
                continue
            return _value(reply, result)

    def call_each(self, method: str, each: Iterable[Mapping[str, object]], result: Any) -> Iterator[Any]:
        """The answers to many calls of one verb, in their order, each a value or a VerbError (not raised).

        Up to MAX_CALLS are under way together, so that the daemon commits them as a group; the daemon takes in that
        many before it stops reading, so a client that only sends cannot block.
        """
        waiting: list[int] = []
        done: dict[object, Any] = {}
        for params in each:
            waiting.append(self._send(method, params))
            while len(waiting) >= MAX_CALLS:
                yield self._next_of(waiting, done, result)
        while waiting:
            yield self._next_of(waiting, done, result)

    def _next_of(self, waiting: list[int], done: dict[object, Any], result: Any) -> Any:
        call = waiting.pop(0)
        while call not in done:
            reply = self._receive()
            if isinstance(reply, Progress):
                continue
            try:
                done[reply.id] = _value(reply, result)
            except VerbError as error:
                if reply.id is None:
                    raise
                done[reply.id] = error
        return done.pop(call)

    def _send(self, method: str, params: Mapping[str, object]) -> int:
        self._last += 1
        line = encode_request(Request(self._last, method, to_json(params)))
        with suppress(BrokenPipeError, ConnectionResetError):  # what it said before it closed is still to be read
            self._socket.sendall(line)
        return self._last

    def _receive(self) -> Reply:
        while not self._replies:
            try:
                chunk = self._socket.recv(CHUNK)
            except OSError as error:
                raise NoDaemon("The daemon has ended.") from error
            if not chunk:
                raise NoDaemon("The daemon ended before it answered.")
            try:
                self._replies += [decode_reply(line) for line in self._lines.feed(chunk)]
            except WireError as error:
                raise NoDaemon(f"The daemon's answer cannot be read: {error.message}") from error
        return self._replies.pop(0)


def _value(reply: Result | Failure, kind: Any) -> Any:
    if isinstance(reply, Failure):
        code = Code(reply.code) if reply.code in Code.__members__.values() else Code.FAILED
        raise VerbError(code, reply.message, reply.data if isinstance(reply.data, dict) else None)
    return reply.value if kind is None else _read(reply.value, kind)


def _read(value: object, kind: Any) -> Any:
    try:
        return from_json(value, kind, strict=False)
    except Mismatch as error:
        raise NoDaemon(f"The daemon speaks another version: {error}. Restart it.") from error
