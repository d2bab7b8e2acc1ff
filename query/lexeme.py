"""What the two lexers hand to lark. Imports nothing of tagfs; pure.

lark's own Token is a str, made for slices of one text. Our tokens come from path components and carry finished
leaves, so that the grammars deal with structure alone; lark only looks at `type`, and borrows the position attributes
for the token that marks the end.
"""

from __future__ import annotations

from typing import ClassVar

from query.ast import Compare, Leaf, Op, Range, Tag


class Lexeme:
    """A token of a grammar.

    type     the terminal's name in the .lark file
    payload  what the terminal stands for, if its name does not say it
    at       0-based index of the component, or column in the expression
    text     as it was typed, for messages
    """

    __slots__ = ("at", "payload", "text", "type")

    start_pos: ClassVar[None] = None
    line: ClassVar[None] = None
    column: ClassVar[None] = None
    end_line: ClassVar[None] = None
    end_column: ClassVar[None] = None
    end_pos: ClassVar[None] = None

    def __init__(self, type_: str, at: int, text: str, payload: Payload = None) -> None:
        self.type = type_
        self.at = at
        self.text = text
        self.payload = payload


Payload = Tag | Compare | Range | tuple[Leaf, ...] | Op | str | None
