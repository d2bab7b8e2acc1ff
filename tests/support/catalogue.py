"""What tests of the catalogue and of those above it share: records of events, and short ways to make items."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from engine.ports import NewItem
from engine.types import Change, Source, SourceKind, TagChange


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def whole(name: str, *tags: str, content: str | None = None, host: str = "example.org") -> NewItem:
    """A complete file whose blob is named after its content (by default its name)."""
    text = name if content is None else content
    url = f"https://{host}/{name}"
    return NewItem(
        name, tags=tags, size=len(text), sha256=sha(text), sources=[Source(SourceKind.HTTP, url, url, host)]
    )  # fmt: skip


class Recorder:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.applied: list[tuple[Sequence[Change], Sequence[TagChange]]] = []
        self.settled: list[tuple[Sequence[Change], Sequence[TagChange]]] = []

    def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        self.applied.append((changes, tags))

    async def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        self.settled.append((changes, tags))

    @property
    def changes(self) -> list[Change]:
        return [change for changes, _ in self.applied for change in changes]

    @property
    def tag_changes(self) -> list[TagChange]:
        return [tag for _, tags in self.applied for tag in tags]
