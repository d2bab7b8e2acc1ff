r"""Messages and their bytes: JSON-RPC 2.0, one object a line, UTF-8. Pure; both sides of the socket.

    -> {"jsonrpc":"2.0","id":1,"method":"ls","params":{"query":"movie"}}\n
    <- {"jsonrpc":"2.0","method":"progress","params":{"id":1,"value":{...}}}\n       any number, long calls only
    <- {"jsonrpc":"2.0","id":1,"result":{...}}\n
    <- {"jsonrpc":"2.0","id":1,"error":{"code":2,"message":"...","data":null}}\n

https://www.jsonrpc.org/specification, with these limits: params by name only, ids are numbers or texts, no batches, no
requests without id (one that cannot be answered cannot be refused either). File names that are not UTF-8 travel as lone
surrogates (`\udc80`..`\udcff`), which `json` writes as plain ASCII escapes and reads back unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tagfs.control.errors import Code, WireError

MAX_CONTENT = 16 << 20  # bytes of a file that travels in a request, as base64
MAX_LINE = MAX_CONTENT // 3 * 4 + (1 << 20)  # bytes of a request, newline included
MAX_REPLY = 1 << 26  # bytes of a reply: a page of 1,000 items with very long names and 100s of tags each fits
MAX_CALLS = 32  # of one connection at once; further requests wait in the socket

CallId = int | str


@dataclass(frozen=True, slots=True)
class Request:
    id: CallId
    method: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    id: CallId
    value: Any


@dataclass(frozen=True, slots=True)
class Failure:
    """`id` is None when the request was too broken to have one."""

    id: CallId | None
    code: int
    message: str
    data: Any = None


@dataclass(frozen=True, slots=True)
class Progress:
    id: CallId
    value: Any


Reply = Result | Failure | Progress


@dataclass(slots=True)
class LineBuffer:
    """Cuts a stream into lines. Holds less than `limit` bytes: a longer line is a WireError, after which the stream
    cannot be trusted any more and the buffer must not be used."""

    limit: int
    _pending: bytearray = field(default_factory=bytearray)
    _scanned: int = 0  # so many bytes of _pending hold no newline: keeps many small chunks linear

    def feed(self, chunk: bytes | bytearray) -> Iterator[bytes]:
        """The lines that `chunk` completes, without their newline."""
        self._pending += chunk
        while (end := self._pending.find(b"\n", self._scanned)) >= 0:
            line = bytes(self._pending[:end])
            del self._pending[: end + 1]
            self._scanned = 0
            if len(line) >= self.limit:
                raise self._too_long()
            yield line
        self._scanned = len(self._pending)
        if self._scanned >= self.limit:
            raise self._too_long()

    def _too_long(self) -> WireError:
        return WireError(Code.PARSE, f"A message may have {self.limit} bytes at most.")


def encode_request(request: Request) -> bytes:
    return _line({"jsonrpc": "2.0", "id": request.id, "method": request.method, "params": request.params})


def encode_reply(reply: Reply) -> bytes:
    match reply:
        case Result(call, value):
            return _line({"jsonrpc": "2.0", "id": call, "result": value})
        case Failure(call, code, message, data):
            return _line({"jsonrpc": "2.0", "id": call, "error": {"code": code, "message": message, "data": data}})
        case Progress(call, value):
            return _line({"jsonrpc": "2.0", "method": "progress", "params": {"id": call, "value": value}})


def decode_request(line: bytes) -> Request:
    """WireError for anything that is not a request of ours; its `request` is the id to answer to where there is one."""
    message = _object(line)
    call = message.get("id")
    if isinstance(call, bool) or not isinstance(call, int | str):
        raise WireError(Code.INVALID_REQUEST, "A request needs an id that is a number or a text.")
    method, params = message.get("method"), message.get("params", {})
    if message.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise WireError(Code.INVALID_REQUEST, 'A request needs "jsonrpc":"2.0" and a method.', call)
    if not isinstance(params, dict):
        raise WireError(Code.INVALID_PARAMS, "Parameters go by name: params must be an object.", call)
    return Request(call, method, params)


def decode_reply(line: bytes) -> Reply:
    """WireError for what no daemon of ours sends."""
    message = _object(line)
    call = message.get("id")
    match message:
        case {"method": "progress", "params": {"id": int() | str() as of, "value": value}}:
            return Progress(of, value)
        case {"error": {"code": int(code), "message": str(text), **rest}}:
            return Failure(call if isinstance(call, int | str) else None, code, text, rest.get("data"))
        case {"result": value} if isinstance(call, int | str):
            return Result(call, value)
    raise WireError(Code.INVALID_REQUEST, "This is not a reply.")


def _object(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # ValueError: not UTF-8, not JSON, NaN, 4,300 digits
        raise WireError(Code.PARSE, "A message must be one line of JSON in UTF-8.") from error
    if not isinstance(message, dict):
        raise WireError(Code.INVALID_REQUEST, "A message must be one JSON object; batches are not supported.")
    return message


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
