"""Which of the two languages of queries a text is in. Pure."""

from __future__ import annotations

from enum import StrEnum


class Spelling(StrEnum):
    """How the text of a query is to be read."""

    EXPRESSION = "expression"  # movie and not watched
    PATH = "path"  # movie/-/watched, as below /tags
