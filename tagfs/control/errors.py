"""What a verb may answer instead of a result, and what goes wrong on the wire. Imports nothing of tagfs."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class Code(IntEnum):
    """Error codes on the wire. Negative ones are JSON-RPC's own, positive ones are tagfs's."""

    PARSE = -32700  # not JSON, not UTF-8, or too long
    INVALID_REQUEST = -32600  # JSON, but no request
    UNKNOWN_METHOD = -32601
    INVALID_PARAMS = -32602
    INTERNAL = -32603  # a bug: the traceback is in the daemon's log
    FAILED = 1  # could not be done; the message says why
    NOT_FOUND = 2  # no such item, tag or blob
    AMBIGUOUS = 3  # several items have the name; the message lists their `id:ID`s
    BAD_REQUEST = 4  # can never work as asked: a malformed query, tag name, digest or URL
    EXISTS = 5
    IN_USE = 6  # a tag that items carry
    NO_SPACE = 7
    BUSY = 8  # too many connections
    STOPPING = 9


class VerbError(Exception):
    """The answer of a verb that could not be done. `message` is one sentence for the user."""

    def __init__(self, code: Code, message: str, data: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class WireError(Exception):
    """A message that cannot be understood. `code` is what to answer, `request` the id to answer to, where known."""

    def __init__(self, code: Code, message: str, request: int | str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.request = request
