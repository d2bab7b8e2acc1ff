"""The last things that went wrong, for `/.tagfs/errors`. Bounded; trio thread."""

from __future__ import annotations

import time
from collections import deque

from tagfs.escape import tame

KEPT = 200


class Faults:
    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=KEPT)

    def add(self, sentence: str) -> None:
        """Remember one sentence, without anything that a terminal acts upon; equal neighbours once."""
        text = tame(sentence)
        if not self._lines or not self._lines[-1].endswith(f"  {text}"):
            self._lines.append(f"{time.strftime('%Y-%m-%dT%H:%M:%S')}  {text}")

    def text(self) -> str:
        """One line each, oldest first."""
        return "".join(f"{line}\n" for line in self._lines)
