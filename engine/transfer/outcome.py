"""How an attempt at a download ends, and what follows from it. Pure.

         ┌─ Again ─▶ queued, from a later time on ─▶ next attempt
attempt ─┼─ Again, once too often, or Lost ─▶ failed
         ├─ NoSpace ─▶ paused until there is space
         ├─ Idle ─▶ queued, without a place, until somebody reads
         └─ Done ─▶ complete
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from engine.sources.stream import Fault
from engine.transfer.config import TransferConfig

STUBBORN_TRIES: Final = 2


@dataclass(frozen=True, slots=True)
class Done:
    """The item is complete, in the catalogue too."""


@dataclass(frozen=True, slots=True)
class Again:
    """It did not work. `retry_after`: what the server asked for; `progressed`: bytes came that will be kept."""

    why: str
    fault: Fault = Fault.PASSING
    retry_after: float | None = None
    progressed: bool = False


@dataclass(frozen=True, slots=True)
class NoSpace:
    why: str


@dataclass(frozen=True, slots=True)
class Idle:
    """It is fetched on demand, and nobody demands anything."""


Outcome: TypeAlias = Done | Again | NoSpace | Idle


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after `delay` seconds, as the attempt of that number. `gate`: leave the whole host alone until then."""

    delay: float
    attempts: int
    gate: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """It counts as failed."""


def what_next(
    failure: Again, *, attempts: int, stubborn: int, mirrors_left: bool, jitter: float, config: TransferConfig
) -> Retry | Lost:
    """`attempts` and `stubborn` count the failures in a row and the stubborn ones before this; `jitter` is a random
    number in [0, 1); with `mirrors_left` there is another URL to try at once."""
    attempts = 1 if failure.progressed else attempts + 1
    if failure.fault is Fault.FINAL or (failure.fault is Fault.STUBBORN and stubborn + 1 >= STUBBORN_TRIES):
        return Retry(0.0, attempts, gate=False) if mirrors_left else Lost()
    if attempts > config.retries:
        return Lost()
    if failure.retry_after is not None:
        # A little later than asked, and not everybody at the same time.
        return Retry(failure.retry_after * (1 + jitter / 10), attempts, gate=True)
    return Retry(backoff(attempts, jitter, config), attempts, gate=False)


def backoff(attempts: int, jitter: float, config: TransferConfig) -> float:
    """Seconds before attempt `attempts` + 1: doubles each time, and half of it is chance."""
    longest = min(config.backoff_max, config.backoff_first * 2.0 ** min(attempts - 1, 60))
    return longest * (0.5 + jitter / 2)
