"""Paths of a torrent's files: safe, unique and always the same for the same torrent. Pure.

Each component becomes a name that a file can have. Where two files end up with one path, or a file with that of a
folder, the later one becomes `stem~2.ext`. Twins by case stay: this is Linux.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from engine.safe_names import MAX_NAME, cut, safe_name, split_extension

Path = tuple[str, ...]


class _Tree:
    """What each folder holds so far. Numbers are remembered, or 100,000 equal names would take hours."""

    def __init__(self) -> None:
        self._names: dict[Path, set[str]] = {}
        self._next: dict[Path, int] = {}

    def free(self, folder: Path, name: str) -> Path:
        """A path for `name` that nothing has yet, and that is taken from here on."""
        names = self._names.setdefault(folder, set())
        if name in names:
            stem, extension = split_extension(name)
            number = self._next.get((*folder, name), 2)
            while (candidate := _numbered(stem, number, extension)) in names:
                number += 1
            self._next[(*folder, name)] = number + 1
            name = candidate
        names.add(name)
        return (*folder, name)


def safe_paths(raw: Sequence[tuple[bytes, ...]]) -> list[Path]:
    """In the order of `raw`. Empty components are left out, but for the last."""
    tree = _Tree()
    folders: dict[Path, Path] = {(): ()}  # by the path that was asked for
    result = []
    for components in raw:
        asked: Path = ()
        for part in filter(None, components[:-1]):
            above, asked = folders[asked], (*asked, safe_name(part, "_"))
            if asked not in folders:
                folders[asked] = tree.free(above, asked[-1])
        result.append(tree.free(folders[asked], safe_name(components[-1] if components else b"", "_")))
    return result


def _numbered(stem: str, number: int, extension: str) -> str:
    suffix = f"~{number}{extension}"
    return cut(stem, MAX_NAME - len(os.fsencode(suffix))) + suffix
