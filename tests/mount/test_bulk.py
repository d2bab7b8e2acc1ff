"""Changes of the tags of very many items, while the kernel holds names, attributes and open files of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.mount.conftest import Mount

COUNT = 1_200  # more than are told of one by one, and more than are forgotten by name


@pytest.fixture
def many(mount: Mount, tmp_path: Path) -> Mount:
    """As many items tagged a, some of them b; all of it known to the kernel."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(COUNT):
        (folder / f"f{number}").write_text(str(number))
    mount.tagfs("import", str(folder), "-t", "a")
    mount.tagfs("tag", *(f"f{number}" for number in range(5)), "-t", "b")
    for path in ("tags/a", "tags/b", "tags/a/-/b", "files", "tags/a/+/b"):
        for entry in os.scandir(mount / path):
            entry.stat()
    return mount


def names(*numbers: int) -> list[str]:
    return sorted(f"f{number}" for number in numbers)


def test_nothing_stale_is_left_after_a_change_of_many(many: Mount) -> None:
    with open(many / "tags/a/f7") as held, open(many / "tags/a/-/b/f8") as other:
        assert "1200 of 1200 items changed" in many.tagfs("tag", "--where", "a", "+c,+d", "-a")
        for path in ("tags/a", "tags/a/-/b"):
            assert many.names(path) == []
            for name in ("f7", "f8", "f100"):
                with pytest.raises(FileNotFoundError):
                    os.stat(many / path / name)
        assert many.names("tags/a/+/b") == names(*range(5))
        assert many.names("tags/c/d") == names(*range(COUNT))
        assert held.read() == "7" and other.read() == "8"
        links = {os.stat(many / "files" / f"f{number}").st_nlink for number in range(5, COUNT)}
        assert links == {3}
        assert os.fstat(held.fileno()).st_nlink == os.stat(many / "tags/c/f7").st_nlink == 3


def test_merged_tags_are_one_everywhere(many: Mount) -> None:
    with open(many / "tags/a/f7"), open(many / "tags/b/f3"):
        assert many.tagfs("tags", "--merge", "a", "b") == "1200 items\n"
        assert not os.path.lexists(many / "tags/a") and not os.path.lexists(many / "tags/a/f7")
        assert many.names("tags/b") == names(*range(COUNT))
        assert {os.stat(many / "files" / f"f{number}").st_nlink for number in range(COUNT)} == {2}
    many.tagfs("undo")
    assert many.names("tags/a") == names(*range(COUNT))
    assert many.names("tags/b") == names(*range(5))
    assert os.stat(many / "tags/a/-/b/f7").st_nlink == 2
    assert os.stat(many / "files/f0").st_nlink == 3
