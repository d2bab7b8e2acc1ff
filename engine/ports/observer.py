"""Who is told of each commit: the seam between the catalogue and what follows it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from engine.types import (
    Change,
    TagChange,
)


class Observer(Protocol):
    """Is told of every commit. Two steps, both on the trio thread."""

    def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        """Instant: bring own memory up to date. Never fails, never waits; order = commit order."""

    def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> Awaitable[None] | None:
        """Make the change visible outside (kernel caches). What has to wait for somebody, which few changes have to, is
        left to what comes back. Bounded by a deadline of its own. Called in the context (contextvars) of the caller
        whose change it is."""
