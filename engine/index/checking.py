"""Whether the index shows what the catalogue holds. On the trio thread; what is compared is read on the writer thread,
so that both are of the same moment.

Pure over the parts of two indexes: the one in use, and one that was made of what was just read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pyroaring import BitMap

from engine.types import TagCount

SHOWN: Final = 10  # items that a sentence names


def of_items(what: str, shown: BitMap, true: BitMap) -> Iterator[str]:
    """Items that are in one of the two alone."""
    for word, items in (("leaves out", true - shown), ("shows", shown - true)):
        if items:
            named = ", ".join(map(str, items[:SHOWN])) + (", ..." if len(items) > SHOWN else "")
            yield f"{what} {word} {len(items)} items wrongly: {named}"


def of_tags(shown: list[TagCount], true: list[TagCount]) -> Iterator[str]:
    """Tags, and how many live items carry them."""
    counts, right = ({count.name: count.items for count in counts} for counts in (shown, true))
    for name in sorted(counts.keys() | right.keys()):
        if name not in counts:
            yield f"the index does not know the tag {name!r}"
        elif name not in right:
            yield f"the index knows a tag {name!r} that does not exist"
        elif counts[name] != right[name]:
            yield f"the index counts {counts[name]} items with the tag {name!r}, and there are {right[name]}"
