"""What a verb is to the command line. Imports argparse for its type only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from tagfs.cli.session import Session


class UsageError(Exception):
    """Arguments that argparse cannot judge; one sentence, exit code 2."""


class NotFound(Exception):
    """An argument names what is not there; one sentence, exit code 4."""


@dataclass(frozen=True, slots=True)
class Verb:
    """`declare` adds arguments to a parser, `run` does the work and returns the exit code.

    `reword` may put the arguments into a form that argparse can take.

    `about` is the paragraph of `tagfs VERB --help`, `examples` are lines as a person would type them.
    """

    about: str
    examples: tuple[str, ...]
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Session], int]
    reword: Callable[[list[str]], list[str]] = list
