"""What the query language can complain about. Imports nothing of tagfs; pure values, any thread.

    ValueError ──▶ QueryError ──▶ QueryTooLong      a query that cannot be read (EINVAL, ENAMETOOLONG)
               └─▶ BadName                          a tag name that cannot exist (EINVAL)

Each carries one sentence for a person. Foreign text is shown escaped (`show`), so a message never smuggles
control or bidirectional characters into a terminal or a log line.
"""

from __future__ import annotations

from typing import Final

# Long enough to recognise what was typed, short enough that a message stays one line.
_SHOWN: Final = 48


class QueryError(ValueError):
    """A query is malformed.

    message    one sentence: what is wrong, and at which component or column
    component  0-based index of the path component at fault; None in expressions and for a query as a whole
    """

    def __init__(self, message: str, component: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.component = component


class QueryTooLong(QueryError):
    """A query passes the limits of its spelling; ENAMETOOLONG for a path."""


class BadName(ValueError):
    """A text that no tag, key or value can have; the message is one sentence."""


def show(text: str) -> str:
    """`text` quoted for a message: printable ASCII or letters only, cut to a readable length."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
