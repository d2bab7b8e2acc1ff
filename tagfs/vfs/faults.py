"""The last things that went wrong, for `/.tagfs/errors`. Bounded; trio thread."""

from __future__ import annotations

import time
from collections import deque

KEPT = 200
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))}


class Faults:
    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=KEPT)

    def add(self, sentence: str) -> None:
        """Remember one sentence; control characters are shown escaped, equal neighbours once."""
        text = sentence.translate(_CONTROL).encode("utf-8", "backslashreplace").decode()
        if not self._lines or not self._lines[-1].endswith(f"  {text}"):
            self._lines.append(f"{time.strftime('%Y-%m-%dT%H:%M:%S')}  {text}")

    def text(self) -> str:
        """One line each, oldest first."""
        return "".join(f"{line}\n" for line in self._lines)
