"""What desktops do to a mount: GIO's calls, as Nautilus, Thunar and others make them, indexers, and trash bins."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

import pytest

from tests.mount.conftest import Mount

NOT_SUPPORTED = 15  # G_IO_ERROR_NOT_SUPPORTED: on this answer file managers offer to delete
MARKERS = (".trackerignore", ".nomedia", ".metadata_never_index")
LOOKED_FOR = (
    ".hidden", ".directory", ".xdg-volume-info", "autorun.inf", ".autorun", "desktop.ini", "Thumbs.db", ".DS_Store",
    ".Trash", f".Trash-{os.getuid()}", ".Trashes", ".git", "lost+found", "folder.jpg", ".localized",
)  # fmt: skip


class GError(ctypes.Structure):
    _fields_ = [("domain", ctypes.c_uint32), ("code", ctypes.c_int), ("message", ctypes.c_char_p)]


def trash_code(file: Path) -> int | None:
    """g_file_trash, as file managers call it; None when it was trashed, else the code of the error."""
    gio = ctypes.CDLL("libgio-2.0.so.0")
    gio.g_file_new_for_path.restype = ctypes.c_void_p
    gio.g_file_trash.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.POINTER(GError))]
    error = ctypes.POINTER(GError)()
    done = gio.g_file_trash(gio.g_file_new_for_path(os.fsencode(file)), None, ctypes.byref(error))
    return None if done else int(error.contents.code)


def gio(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["gio", *arguments], capture_output=True, text=True, timeout=120)
    assert not check or (done.returncode, done.stderr) == (0, ""), done
    return done.stdout + done.stderr


def test_a_trash_of_the_desktop_is_not_supported_so_that_it_offers_to_delete(mount: Mount) -> None:
    (mount / "tags/a").mkdir()
    mount.put("tags/a/f.txt", "x")
    for path in ("tags/a/f.txt", "files/f.txt"):
        assert trash_code(mount / path) == NOT_SUPPORTED
        assert "Unable to find or create trash directory" in gio("trash", str(mount / path), check=False)
    assert mount.names("files") == ["f.txt"] and mount.names("trash") == []
    gio("remove", str(mount / "files/f.txt"))
    assert mount.names("trash") == ["f.txt"]
    for name in (".Trash", ".Trash-1000"):
        with pytest.raises(PermissionError):
            (mount / name).mkdir()
    if os.getuid() == 0:  # others are refused by the mode of the directory already
        assert "tagfs has a trash of its own" in mount.errors()


def test_markers_for_indexers_are_there_empty_unlisted_and_fixed(mount: Mount) -> None:
    listed = mount.names("")
    for name in MARKERS:
        marker = mount / name
        assert name not in listed
        assert marker.is_file() and marker.stat().st_size == 0 and marker.read_bytes() == b""
        assert marker.stat().st_mode & 0o777 == 0o444
        with pytest.raises(PermissionError):
            marker.unlink()
        with pytest.raises(PermissionError):
            marker.write_text("x")
        assert not (mount / "tags" / name).exists() and not (mount / "files" / name).exists()
    numbers = {(mount / name).stat().st_ino for name in MARKERS}
    assert len(numbers) == len(MARKERS)
    assert "type: regular" in gio("info", str(mount / MARKERS[0]))


def test_what_desktops_look_for_is_not_there_and_nobody_is_told_of_it(mount: Mount) -> None:
    (mount / "tags/a").mkdir()
    for folder in ("", "tags", "tags/a", "files", "trash", "queries", "inbox", "blobs"):
        for name in LOOKED_FOR:
            with pytest.raises(FileNotFoundError):
                os.stat(mount / folder / name)
    assert mount.errors() == ""


def test_gio_lists_and_describes(mount: Mount) -> None:
    (mount / "tags/a").mkdir()
    mount.put("tags/a/f.txt", "text")
    assert gio("list", str(mount / "tags/a")) == "f.txt\n"
    info = gio("info", str(mount / "tags/a/f.txt"))
    for line in ("size:  4", "standard::content-type: text/plain", "xattr::xdg.tags: a", "access::can-delete: TRUE"):
        assert line in info
    assert "filesystem::free:" in gio("info", "--filesystem", str(mount / "files"))
    gio("set", str(mount / "files/f.txt"), "xattr::xdg.tags", "a,b c")
    assert mount.names("tags/b c") == ["f.txt"]


def test_gio_copies_in_and_out_and_moves(mount: Mount, tmp_path: Path) -> None:
    (mount / "tags/a").mkdir()
    (mount / "tags/b").mkdir()
    source = tmp_path / "f.bin"
    source.write_bytes(os.urandom(3_000_000))
    os.utime(source, (1_600_000_000, 1_600_000_000))
    gio("copy", str(source), str(mount / "tags/a/"))
    mount.settle(mount / "tags/a/f.bin")
    assert (mount / "files/f.bin").read_bytes() == source.read_bytes()
    gio("copy", "--preserve", str(source), str(mount / "tags/a/g.bin"))
    mount.settle(mount / "tags/a/g.bin")
    assert (mount / "files/g.bin").stat().st_mtime == 1_600_000_000
    gio("copy", str(mount / "tags/a/f.bin"), str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == source.read_bytes()
    gio("move", str(mount / "tags/a/f.bin"), str(mount / "tags/b/"))
    assert (mount.names("tags/a"), mount.names("tags/b")) == (["g.bin"], ["f.bin"])
    gio("rename", str(mount / "tags/b/f.bin"), "h.bin")
    assert mount.names("tags/b") == ["h.bin"]
    gio("mkdir", str(mount / "tags/new"))
    assert "new" in mount.names("tags")


def test_gio_copies_an_item_within_the_mount(mount: Mount) -> None:
    """Attributes of the original come after the copy was closed: its tags are added to those of the path, and those
    that say what an item is are not taken over."""
    (mount / "tags/a").mkdir()
    (mount / "tags/b").mkdir()
    mount.put("tags/a/f.txt", "text")
    os.setxattr(mount / "files/f.txt", "user.xdg.comment", b"good")
    gio("copy", str(mount / "tags/a/f.txt"), str(mount / "tags/b/copy.txt"))
    copy = mount / "tags/b/copy.txt"
    mount.settle(copy)
    assert copy.read_text() == "text" and copy.stat().st_ino != (mount / "files/f.txt").stat().st_ino
    assert os.getxattr(copy, "user.xdg.comment") == b"good"
    assert os.getxattr(copy, "user.tagfs.id").decode() == str(copy.stat().st_ino)
    assert os.getxattr(copy, "user.xdg.tags") == b"a,b"


def test_tags_that_a_program_brings_along_late_do_not_take_the_copy_away(mount: Mount, tmp_path: Path) -> None:
    """Whether the content is a blob by then or not; another program's word is the last one."""
    (mount / "tags/b").mkdir()
    copy = mount.put("tags/b/f.txt", "text")  # whole, and so what a slow copy finds when it sets attributes
    os.setxattr(copy, "user.xdg.tags", b"a")
    assert os.getxattr(copy, "user.xdg.tags") == b"a,b"
    mount.sh("setfattr -n user.xdg.tags -v a tags/b/f.txt")
    assert mount.names("tags/b") == [] and mount.names("tags/a") == ["f.txt"]
