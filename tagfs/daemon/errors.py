"""Why a daemon does not start. Imports nothing."""

from __future__ import annotations


class StartError(Exception):
    """The daemon cannot run; `str(error)` is one sentence, `exit_code` what the process ends with."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
