"""log, undo and trash on a real mount: what the kernel had cached before an undo is not what it says afterwards."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.mount.conftest import Mount

NAMES = [f"f{number:02}" for number in range(40)]


def tree(mount: Mount) -> dict[str, object]:
    """What programs see: listings, by name and by number, and what is in the files."""
    seen: dict[str, object] = {}
    tags = (f"tags/{tag}" for tag in mount.names("tags"))
    for folder in (*(os.path.relpath(path, mount.top) for path, _, _ in os.walk(mount / "files")), "trash", *tags):
        for name in mount.names(folder):
            path = mount / folder / name
            seen[f"{folder}/{name}"] = (path.stat().st_ino, path.read_bytes() if path.is_file() else None)
    for path in ("files/f", "files/g", "tags/a/f", "tags/b/f", "tags/b/g", "trash/f"):
        seen[f"is {path}"] = os.path.lexists(mount / path)  # also names that the kernel may know as absent
    return seen


def refusal(mount: Mount, *words: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "tagfs", *words]
    done = subprocess.run(command, env=mount.environ, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stderr


def test_each_step_is_taken_back_and_done_again_on_every_path(mount: Mount) -> None:
    os.mkdir(mount / "tags/a")
    os.makedirs(mount / "files/dir/sub")
    mount.put("tags/a/f", "one")
    seen = [tree(mount)]
    for step in (
        "setfattr -n user.tags -v +b files/f",
        "mv files/f files/g",
        "rm tags/a/g",
        "mv files/g tags/a/f",
        "mv tags/b tags/c",
        "mv files/f files/dir/f",
        "mv files/dir/f files/dir/sub/g",
        "mv files/dir/sub files/other",
        "mv files/other/g files/f",
        "mv -T files/other files/dir",  # over an empty one
        "rmdir files/dir",
        "rm files/f",
        "mv trash/f files/",
    ):
        mount.sh(step)
        seen.append(tree(mount))
    for then in seen[-2::-1]:
        mount.tagfs("undo")
        assert tree(mount) == then
    for then in seen[1:]:
        mount.tagfs("redo")
        assert tree(mount) == then
    assert refusal(mount, "redo") == (4, "tagfs: There is nothing to redo.\n")
    assert mount.tagfs("verify").endswith("no faults\n")


@pytest.mark.parametrize("write", ["printf two >files/f", "printf two >files/t && mv files/t files/f"])
def test_content_that_was_written_over_comes_back_also_out_of_the_page_cache(mount: Mount, write: str) -> None:
    file = mount.put("files/f", "one")
    assert file.read_bytes() == b"one"
    mount.sh(write)
    mount.wait_for(lambda: file.read_bytes() == b"two")
    mount.settle(file)
    with file.open("rb") as reader:  # whoever has it open goes on with what he opened
        mount.tagfs("undo")
        assert file.read_bytes() == b"one"
        assert file.stat().st_size == 3
        assert reader.read() == b"two"
    assert [(mount / "trash" / name).read_bytes() for name in mount.names("trash") if name.startswith("f")] == [b"two"]
    mount.tagfs("redo")
    assert file.read_bytes() == b"two"


def test_the_trash_is_listed_restored_and_emptied(mount: Mount) -> None:
    os.mkdir(mount / "tags/a")
    mount.put("tags/a/f", "x" * 2048)
    mount.sh("rm files/f")
    assert re.fullmatch(r"id:\d+  \S+ \S+  2\.0 KiB  a  f\n1 in the trash, .* frees 2\.0 KiB\n", mount.tagfs("trash"))
    mount.tagfs("trash", "restore", str(mount / "trash/f"))
    assert (mount.names("tags/a"), mount.names("trash")) == (["f"], [])
    mount.sh("rm files/f")
    assert mount.tagfs("trash", "empty").startswith("1 ended for good; 2.0 KiB come back")
    assert mount.names("trash") == []
    code, sentence = refusal(mount, "undo")
    assert code == 1
    assert re.fullmatch(
        r"tagfs: change \d+ ended 'f' for good, which nothing brings back; earlier .* by their number\n", sentence
    )


@pytest.mark.parametrize("applied", [False, True])
def test_an_undo_that_is_killed_happened_whole_or_not_at_all(mount: Mount, applied: bool) -> None:
    for name in NAMES:
        mount.put(f"files/{name}", name)
    mount.tagfs("tag", *(str(mount / "files" / name) for name in NAMES), "-t", "many,other")
    command = [sys.executable, "-m", "tagfs", "undo"]
    with subprocess.Popen(command, env=mount.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as undo:
        if applied:
            mount.wait_for(lambda: "many" not in mount.names("tags"))
        mount.kill()
        acknowledged = bool(undo.stdout and undo.stdout.read())
    mount.expect_warnings = True
    mount.start()
    found = mount.names("tags/many") if "many" in mount.names("tags") else []
    assert found in ([], NAMES)
    last, *_ = mount.json("log")  # type: ignore[misc]  # a list
    assert (last["cause"] == "undo") == (found == [])
    if acknowledged:
        assert found == []
    if found == []:
        mount.tagfs("redo")
    assert mount.names("tags/many") == mount.names("tags/other") == NAMES
    assert mount.tagfs("verify").endswith("no faults\n")
