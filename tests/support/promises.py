"""The tests that a page of docs/ names: `tests/PATH.py::NAME` in backquotes, in the last column of its tables.

As a program it prints those of the pages it is given, one a line, each once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

NAMED = re.compile(r"`(tests/[\w/]+\.py(?:::\w+)+)`")


def rows(page: Path) -> Iterator[list[str]]:
    """The cells of each row of a table, without its heads."""
    lines = page.read_text().splitlines()
    for number, line in enumerate(lines):
        head = lines[number + 1 : number + 2]
        if line.startswith("|") and not line.startswith("|--") and not (head and head[0].startswith("|--")):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def named(text: str) -> list[str]:
    return list(dict.fromkeys(NAMED.findall(text)))


if __name__ == "__main__":
    sys.stdout.write(
        "\n".join(dict.fromkeys(test for page in sys.argv[1:] for test in named(Path(page).read_text()))) + "\n"
    )
