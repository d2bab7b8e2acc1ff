"""Who copies, and to where: real processes, and paths of the mount as text."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tagfs.mount.copiers import COPIERS, copy_by, stated_by
from tagfs.vfs.tree import Stated
from tagfs.vfs.xattrs import Copy
from tests.support.world import World


@contextmanager
def running(program: Path, where: Path) -> Iterator[int]:
    """A program of that name that stands there."""
    shutil.copy(shutil.which("cat") or "/bin/cat", program)
    with subprocess.Popen([program], cwd=where, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.stdout.read(1) == b"x"  # by now it is itself
        yield process.pid
        process.stdin.close()


@pytest.mark.parametrize("name", [*sorted(COPIERS), "cat"])
async def test_a_copier_is_known_by_its_name_and_rsync_by_where_it_stands(
    world: World, tmp_path: Path, name: str
) -> None:
    await world.item("f", "a")
    where = tmp_path / "mnt/tags/a"
    where.mkdir(parents=True)
    context = replace(world.context, mountpoint=str(tmp_path / "mnt"))
    with running(tmp_path / name, where) as pid:
        expected = Copy(Stated(("a",)) if name == "rsync" else None)
        assert await copy_by(context, pid) == (expected if name in COPIERS else None)
        assert await copy_by(world.context, pid) == (Copy(None) if name in COPIERS else None)  # not in this mount
        os.rename(where, tmp_path / "mnt/tags/gone")
        assert await copy_by(context, pid) == (Copy(None) if name in COPIERS else None)
    assert await copy_by(context, pid) is await copy_by(context, 0) is None


async def test_what_a_path_states(world: World) -> None:
    await world.item("f", "a", "b", "k:v")
    await world.folder("D", {"E/f": b""}, "a")
    for path, tags in {
        "/": (), "/files": (), "/files/D": (), "/tags/a": ("a",), "/tags/a/b": ("a", "b"), "/tags/a/k:v": ("a", "k:v"),
        "/tags/a/D": ("a",), "/tags/a/D/E": ("a",),
    }.items():  # fmt: skip
        assert (await stated_by(world.context, path)).tags == tags, path
    with pytest.raises(FileNotFoundError):
        await stated_by(world.context, "/tags/none")
    with pytest.raises(NotADirectoryError):
        await stated_by(world.context, "/tags/a/f")
