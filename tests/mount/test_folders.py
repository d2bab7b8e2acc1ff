"""Folder items through the kernel: one directory on many paths, whole in every tool, and no file lost by rm."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mount.conftest import Mount
from tests.support.folders import prepare
from tests.support.swarm import peer
from tests.support.torrents import make_torrent

ALBUM = {
    "01.flac": b"one" * 1000,
    "02.flac": b"two" * 2000,
    "scans/front.png": b"front",
    "scans/big/back.png": b"back" * 9000,
    "we\udcffird\n.txt": b"needle in a folder",
}
OTHER = {"01.flac": b"another one", "disc 2/01.flac": b"second disc"}


@pytest.fixture
def filled(new_mount: Callable[..., Mount]) -> Mount:
    """D and E are tagged a, E also b; f is a file beside them."""
    mount = new_mount()
    prepare(mount.state, {"D": (ALBUM, ["a"]), "E": (OTHER, ["a", "b"])})
    mount.start()
    mount.put("tags/a/f", b"a file")
    return mount


def fails(code: int, call: Callable[[], object]) -> None:
    with pytest.raises(OSError) as caught:
        call()
    assert caught.value.errno == code


def tree(top: Path) -> dict[str, bytes]:
    """Path below `top` -> content."""
    return {
        os.path.relpath(os.path.join(folder, name), top): Path(folder, name).read_bytes()
        for folder, _, files in os.walk(top)
        for name in files
    }


def test_a_folder_is_one_entry_and_a_directory_on_every_path(filled: Mount) -> None:
    assert filled.names("files") == ["D", "E", "f"]
    assert filled.names("tags/a") == ["D", "E", "f"]
    assert filled.names("tags/a/-/b") == ["D", "f"]
    assert filled.names("queries/a and not b") == ["D", "f"]
    assert filled.names("files/D/scans/big") == ["back.png"]
    paths = [filled / path for path in ("files/D", "tags/a/D", "tags/a/-/b/D", "queries/a or b/D")]
    assert [tree(path) for path in paths] == [ALBUM] * len(paths)
    assert len({path.stat().st_ino for path in paths}) == 1
    assert len({(path / "scans").stat().st_ino for path in paths}) == 1
    assert len({(path / "scans/front.png").stat().st_ino for path in paths}) == 1
    assert (filled / "files/D").stat().st_mode & 0o777 == 0o755
    assert os.getxattr(filled / "tags/a/D/scans", "user.tagfs.id").decode() == str((paths[0] / "scans").stat().st_ino)


def test_the_working_directory_stays_where_it_is_while_other_paths_are_walked(filled: Mount) -> None:
    script = (
        "cd files/D/scans/big && find ../../../../tags/a > /dev/null && ls ../../../../tags/a/D/scans/big && pwd -P"
        " && cd .. && pwd -P && ls && cd ../../../tags/a/D/scans && ls ../../../../files/D/scans/big && pwd -P"
    )
    lines = filled.sh(script).splitlines()
    top = str(filled.top)
    assert lines == [
        "back.png", f"{top}/files/D/scans/big", f"{top}/files/D/scans", "big", "front.png", "back.png",
        f"{top}/tags/a/D/scans",
    ]  # fmt: skip


def test_tools_see_each_file_once_and_end(filled: Mount, tmp_path: Path) -> None:
    everything = {f"D/{path}": data for path, data in ALBUM.items()} | {
        f"E/{path}": data for path, data in OTHER.items()
    }
    everything["f"] = b"a file"
    assert filled.sh("find tags/a -type f -printf x") == "x" * len(everything)
    blocks = sum(-(-len(data) // 512) for data in everything.values()) * 512
    for query in ("tags/a", "files", "tags/a files", "files/D files/E files/f tags/a tags/b"):
        used = [int(line.split()[0]) for line in filled.sh(f"du -s --block-size=1 {query}").splitlines()]
        assert sum(used) == blocks, query
    for number, copy in enumerate(("cp -r {}/. {}", "rsync -a {}/ {}", "tar -C {} -cf - . | tar -C {} -xf -")):
        target = tmp_path / str(number)
        target.mkdir()
        filled.sh(copy.format("tags/a", target))
        assert tree(target) == everything
    assert filled.sh("grep -rlZ needle tags/a | tr -dc '\\0' | wc -c").strip() == "1"
    assert filled.sh("find tags/a -type f -exec md5sum {} + | wc -l").strip() == str(len(everything))


def test_files_in_a_folder_are_tagged_and_inherit(filled: Mount) -> None:
    front = filled / "files/D/scans/front.png"
    assert "user.xdg.tags" not in os.listxattr(front)
    assert "user.tagfs.inherited" not in os.listxattr(filled / "files/D")
    os.setxattr(front, "user.xdg.tags", b"cover")
    assert filled.names("tags/cover") == ["front.png"]
    assert filled.names("tags/cover/a") == ["front.png"]  # a by D
    assert os.getxattr(front, "user.xdg.tags") == b"cover"
    assert os.getxattr(front, "user.tagfs.inherited") == b"a"
    fails(errno.EPERM, lambda: os.setxattr(front, "user.tagfs.inherited", b"b"))
    assert filled.names("tags/cover/b") == []
    assert filled.names("tags/a") == ["D", "E", "f"]
    assert os.stat(filled / "tags/cover/front.png").st_ino == front.stat().st_ino
    os.setxattr(filled / "files/D/scans", "user.xdg.tags", b"pictures")
    assert filled.names("tags/pictures") == ["scans"]
    assert filled.names("tags/pictures/scans") == ["big", "front.png"]
    assert filled.names("tags/cover/-/pictures") == []
    assert filled.names("tags/ext:png") == ["back.png", "front.png"]
    assert filled.names("tags/ext:png/-/cover") == ["back.png"]
    os.setxattr(filled / "files/D", "user.tags", b"+b")
    assert filled.names("tags/cover/b") == ["front.png"]
    assert filled.names("tags/b") == ["D", "E"]
    os.link(filled / "files/D/01.flac", filled / "tags/b/01.flac")
    assert filled.names("tags/b") == ["D", "E"]  # it is in D
    os.setxattr(filled / "tags/b/D", "user.tags", b"-b")
    assert filled.names("tags/b") == ["01.flac", "E"]
    (filled / "tags/b/scans").symlink_to("../../files/D/scans")
    assert filled.names("tags/pictures/b") == ["scans"]


def test_a_listing_loses_what_the_change_of_a_folder_hides(filled: Mount) -> None:
    os.setxattr(filled / "files/D/scans/front.png", "user.xdg.tags", b"c")
    shown = filled / "tags/c/front.png"
    assert shown.exists()
    assert (filled / "tags/ext:png/-/c/back.png").exists()
    os.setxattr(filled / "files/D", "user.tags", b"+c")
    assert filled.names("tags/c") == ["D"]
    assert not shown.exists()
    assert not (filled / "tags/ext:png/-/c/back.png").exists()
    os.setxattr(filled / "files/D", "user.tags", b"-c")
    assert shown.exists()
    filled.tagfs("rm", "D")
    assert not shown.exists()
    assert not (filled / "tags/ext:png/back.png").exists()
    os.rename(filled / "trash/D", filled / "files/D")
    assert shown.exists()
    assert filled.names("tags/ext:png") == ["back.png", "front.png"]


def test_rm_r_of_a_folder_moves_it_to_the_trash_whole(filled: Mount) -> None:
    os.setxattr(filled / "files/D/scans/front.png", "user.xdg.tags", b"c")
    filled.sh("rm -r files/D")
    assert filled.names("files") == ["E", "f"]
    assert filled.names("trash") == ["D"]
    assert filled.names("tags/c") == []
    assert tree(filled / "trash/D") == ALBUM
    filled.sh("mv trash/D files/")
    assert filled.names("trash") == []
    assert tree(filled / "tags/a/D") == ALBUM
    assert filled.names("tags/c") == ["front.png"]
    assert "no faults" in filled.tagfs("verify", "--data")


def test_below_tags_a_folder_only_loses_the_tag(filled: Mount) -> None:
    done = subprocess.run(["rm", "-r", filled / "tags/a/D"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert tree(filled / "files/D") == ALBUM
    fails(errno.EPERM, lambda: os.unlink(filled / "tags/a/D/01.flac"))
    assert "rmdir takes the tag off" in filled.errors()
    os.rmdir(filled / "tags/a/D")
    assert filled.names("tags/a") == ["E", "f"]
    assert tree(filled / "files/D") == ALBUM
    os.rename(filled / "files/D", filled / "tags/b/D")
    assert filled.names("tags/b") == ["D", "E"]
    fails(errno.EPERM, lambda: os.unlink(filled / "tags/b/D/01.flac"))
    os.rename(filled / "tags/b/D", filled / "tags/a/G")
    assert filled.names("tags/b") == ["E"]
    assert filled.names("files") == ["E", "G", "f"]
    assert tree(filled / "tags/a/G") == tree(filled / "files/G") == ALBUM


def test_a_file_in_a_folder_goes_to_the_trash_and_back_into_it(filled: Mount) -> None:
    os.unlink(filled / "files/D/scans/front.png")
    assert filled.names("files/D/scans") == ["big"]
    assert filled.names("trash") == ["front.png"]
    os.rename(filled / "trash/front.png", filled / "files/front.png")
    assert filled.names("files") == ["D", "E", "f"]
    assert filled.names("files/D/scans") == ["big", "front.png"]
    assert not (filled / "files/front.png").exists()
    os.rename(filled / "files/D/scans/front.png", filled / "files/D/scans/1.png")
    assert filled.names("files/D/scans") == ["1.png", "big"]
    fails(errno.ENOTEMPTY, lambda: os.rmdir(filled / "files/D"))


def test_who_stands_in_a_folder_that_goes_to_the_trash_ends_nothing_by_rm(filled: Mount) -> None:
    script = (
        f"cd files/D/scans && {sys.executable} -m tagfs rm D && ls && rm front.png; cd big && rm back.png;"
        " cd ../../../../trash/D && mv ../../trash/D ../../files/ && rm 01.flac"
    )
    filled.sh(script)
    assert filled.names("trash") == ["01.flac"]
    os.rename(filled / "trash/01.flac", filled / "files/01.flac")
    assert tree(filled / "files/D") == ALBUM
    assert "is in the trash" in filled.errors()


def test_emptying_the_trash_ends_what_a_folder_holds(filled: Mount) -> None:
    filled.sh("rm -r files/D && rm -rf trash/*")
    assert filled.names("trash") == []
    filled.tagfs("rm", "--purge", "E")
    assert filled.names("files") == ["f"]
    assert filled.tagfs("ls", "--ids").splitlines() == [f"id:{(filled / 'files/f').stat().st_ino}"]


def test_the_command_line_knows_folders(filled: Mount, tmp_path: Path) -> None:
    assert filled.tagfs("ls", "a").splitlines() == ["D", "E", "f"]
    number = (filled / "files/D").stat().st_ino
    for folder in (f"id:{number}", str(filled / "files/D"), str(filled / "tags/a/D")):
        assert filled.tagfs("ls", folder).splitlines()[:3] == ["01.flac", "02.flac", "scans"]
    ls = f"{sys.executable} -m tagfs ls"
    assert filled.sh(f"cd files && {ls} D/scans; {ls} ./D/scans; {ls} a").split() == [
        *["big", "front.png"] * 2,
        "D",
        "E",
        "f",
    ]
    assert "files/f is a file: only a folder" in filled.sh(f"{ls} files/f 2>&1 || true")
    filled.sh("mkdir tags/E")
    assert filled.sh(f"cd files && {ls} E") == ""  # a query, as anywhere else
    filled.tagfs("tag", str(filled / "tags/a/D/scans/front.png"), "D/scans/big", "-t", "c")
    assert filled.names("tags/c") == ["big", "front.png"]
    filled.tagfs("get", "E", str(tmp_path / "copy"))
    assert tree(tmp_path / "copy") == OTHER
    filled.tagfs("rm", "D/scans")
    assert filled.names("trash") == ["scans"]
    assert filled.names("tags/c") == []
    assert not (filled / "files/D/scans").exists()
    filled.tagfs("rm", str(filled / "files/D"))
    assert filled.names("trash") == ["D"]
    os.rename(filled / "trash/D", filled / "files/D")
    assert tree(filled / "files/D") == ALBUM


def test_a_renamed_folder_keeps_its_working_directories(filled: Mount) -> None:
    lines = filled.sh(
        "cd files/D/scans && mv ../../D ../../H && ls && pwd -P && cd ../../../tags/a/H && ls scans"
    ).splitlines()
    assert lines == ["big", "front.png", f"{filled.top}/files/H/scans", "big", "front.png"]
    assert not (filled / "files/D").exists()
    assert filled.names("tags/a") == ["E", "H", "f"]


def test_folders_are_there_after_a_restart(filled: Mount) -> None:
    os.setxattr(filled / "files/D/scans/front.png", "user.xdg.tags", b"c")
    os.rmdir(filled / "tags/b/E")
    filled.sh("rm -r files/E")
    assert filled.stop() == 0
    filled.start()
    assert filled.names("tags/a") == ["D", "f"]
    assert filled.names("tags/c/a") == ["front.png"]
    assert filled.names("trash") == ["E"]
    assert filled.names("tags/ext:flac") == ["01.flac", "02.flac"]
    assert tree(filled / "trash/E") == OTHER
    assert tree(filled / "files/D") == ALBUM


# -- nothing stale --------------------------------------------------------------------------------------------------

Tags = frozenset[str]
PARTS = {"D": None, "scans": "D", "front.png": "scans", "back.png": "big", "big": "scans", "f": None}
QUERIES: dict[str, Callable[[str, Tags], bool]] = {
    "tags/a": lambda _, tags: "a" in tags,
    "tags/b": lambda _, tags: "b" in tags,
    "tags/a/b": lambda _, tags: {"a", "b"} <= tags,
    "tags/a/-/b": lambda _, tags: "a" in tags and "b" not in tags,
    "tags/a/+/b": lambda _, tags: bool({"a", "b"} & tags),
    "tags/ext:png/-/a": lambda name, tags: name.endswith(".png") and "a" not in tags,
    "tags/ext:png/b": lambda name, tags: name.endswith(".png") and "b" in tags,
    "queries/name = scans and a": lambda name, tags: name == "scans" and "a" in tags,
    "tags/is:untagged": lambda _, tags: not tags,
}


def check(mount: Mount, own: dict[str, set[str]], trashed: set[str]) -> None:
    """By stat of each name, from the kernel's cache where it has one, then by listing, then by stat again."""

    def line(part: str | None) -> list[str]:
        return [] if part is None else [part, *line(PARTS[part])]

    live = [part for part in PARTS if not trashed & set(line(part))]
    tags = {part: frozenset[str]().union(*(own[one] for one in line(part))) for part in live}
    for path, matches in QUERIES.items():
        found = {part for part in live if matches(part, tags[part])}
        shown = sorted(part for part in found if not found & set(line(PARTS[part])))
        for _ in range(2):
            assert sorted(part for part in PARTS if os.path.lexists(mount / path / part)) == shown, path
            assert mount.names(path) == shown, path


def test_a_change_of_a_folder_is_seen_on_every_path(new_mount: Callable[..., Mount]) -> None:
    mount = new_mount()
    prepare(mount.state, {"D": ({"scans/front.png": b"1", "scans/big/back.png": b"2"}, [])})
    mount.start()
    mount.sh("mkdir tags/a tags/b")
    mount.put("files/f", b"a file")
    top = mount.top
    paths = {"f": "f", "D": "D", "scans": "D/scans", "big": "D/scans/big"}
    paths |= {"front.png": "D/scans/front.png", "back.png": "D/scans/big/back.png"}
    own: dict[str, set[str]] = {part: set() for part in PARTS}
    trashed: set[str] = set()
    check(mount, own, trashed)
    random_ = random.Random(11)
    for _ in range(60):
        part = random_.choice(list(PARTS))
        if trashed and random_.random() < 0.5:
            gone = trashed.pop()
            os.rename(top / "trash" / gone, top / "files" / gone)
        elif not os.path.lexists(top / "files" / paths[part]):
            continue
        elif random_.random() < 0.2:
            mount.tagfs("rm", str(top / "files" / paths[part]))
            trashed = {one for one in trashed if not paths[one].startswith(paths[part] + "/")}  # joins it there
            trashed.add(part)
        else:
            own[part] = set(random_.choice([(), ("a",), ("b",), ("a", "b")]))
            os.setxattr(top / "files" / paths[part], "user.xdg.tags", ",".join(own[part]).encode())
        check(mount, own, trashed)


# -- torrents ----------------------------------------------------------------------------------------------------------

DISC = {path: data for path, data in ALBUM.items() if path.isascii()}


@pytest.fixture
def swarmed(new_mount: Callable[..., Mount]) -> Mount:
    """A mount whose torrents keep to this machine."""
    mount = new_mount()
    mount.config.write_text(
        '[torrent]\nlisten = "127.0.0.1:0"\noutgoing = "127.0.0.1"\ndht = false\npex = false\n'
        "private_addresses = true\n"
    )
    mount.start()
    return mount


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def state(path: Path) -> str:
    return os.getxattr(path, "user.tagfs.state").decode()


def test_a_magnet_becomes_a_folder_in_place_and_seeds_again_after_the_trash(swarmed: Mount, tmp_path: Path) -> None:
    torrent = make_torrent(written(tmp_path / "D", DISC), piece_size=16384)
    with peer() as seeds:
        seeds.seed(torrent, tmp_path)
        swarmed.tagfs("add", torrent.magnet(peers=[seeds.address]), "-t", "a")
        (name,) = swarmed.names("tags/a")
        number = os.lstat(swarmed / "tags/a" / name).st_ino
        swarmed.wait_for(lambda: os.path.isdir(swarmed / "tags/a/D"))
        assert os.lstat(swarmed / "tags/a/D").st_ino == number
        assert (swarmed / "tags/a/D/scans/front.png").read_bytes() == b"front"  # waits for it
        swarmed.wait_for(lambda: state(swarmed / "files/D") == "seeding")
    assert tree(swarmed / "tags/a/D") == DISC
    assert os.getxattr(swarmed / "files/D", "user.tagfs.progress") == b"1"
    assert os.getxattr(swarmed / "files/D/scans/front.png", "user.tagfs.inherited") == b"a"
    swarmed.sh("rm -r files/D && mv trash/D files/")
    swarmed.wait_for(lambda: state(swarmed / "files/D") == "seeding")
    assert tree(swarmed / "tags/a/D") == DISC
    assert "no faults" in swarmed.tagfs("verify", "--data")


def test_what_of_a_torrent_was_removed_is_wanted_again_when_it_is_back(swarmed: Mount, tmp_path: Path) -> None:
    torrent = make_torrent(written(tmp_path / "D", DISC), piece_size=16384)
    (tmp_path / "D.torrent").write_bytes(torrent.data)
    swarmed.tagfs("add", str(tmp_path / "D.torrent"), "-t", "a")
    assert swarmed.sh("du -s --block-size=1 files") == "0\tfiles\n"
    os.setxattr(swarmed / "files/D/01.flac", "user.tagfs.state", b"skipped")
    for remove in (
        "rm files/D/02.flac",
        "rm -r files/D/scans",
        "tagfs rm D/scans",
        "rm -r files/D",
        "mv files/D trash/",
    ):
        swarmed.sh(remove.replace("tagfs", f"{sys.executable} -m tagfs"))
        (gone,) = swarmed.names("trash")
        swarmed.sh(f"mv trash/{gone} files/")
        assert swarmed.names("trash") == []
        assert swarmed.names("files/D/scans") == ["big", "front.png"]
        states = {
            str(path.relative_to(swarmed / "files/D")): state(path) for path in (swarmed / "files/D").rglob("*.*")
        }
        assert states.pop("01.flac") == "skipped", remove
        assert set(states.values()) <= {"queued", "downloading"}, (remove, states)
        assert state(swarmed / "files/D") in ("queued", "downloading"), remove
    with peer() as seeds:
        seeds.seed(torrent, tmp_path)
        swarmed.tagfs("add", torrent.magnet(peers=[seeds.address]))  # the same torrent, which hears of the peer
        swarmed.wait_for(lambda: state(swarmed / "files/D") == "seeding")
    assert tree(swarmed / "files/D/scans") == tree(tmp_path / "D/scans")
    assert (swarmed / "files/D/02.flac").read_bytes() == DISC["02.flac"]
