"""What an examination says. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, but not as well as it could, or not for long
    FAULT = "fault"  # something does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` is one word. `advice` is a sentence that says what to do, empty where nothing is to be done."""

    about: str
    verdict: Verdict
    sentence: str
    advice: str = ""


def ok(about: str, sentence: str) -> Finding:
    return Finding(about, Verdict.OK, sentence)


def warning(about: str, sentence: str, advice: str) -> Finding:
    return Finding(about, Verdict.WARNING, sentence, advice)


def fault(about: str, sentence: str, advice: str) -> Finding:
    return Finding(about, Verdict.FAULT, sentence, advice)
