"""What tagfs finds out by itself, on a real mount: types by content, suggestions, rules, and a kill in between."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mount.conftest import Mount

pytestmark = pytest.mark.mount

MKV = bytes.fromhex("1a45dfa3a34286810142f7810142f2810442f381084282886d6174726f736b614287810442858102")
ALIEN = "Alien.1979.1080p.BluRay.x264-GRP.mkv"
RULES = """
[[rules]]
match = "type:video"
tags = ["movie"]
[[rules]]
match = "type:video"
accept = ["year"]
"""


def tags(file: Path) -> set[str]:
    try:
        return set(filter(None, os.getxattr(file, "user.xdg.tags").decode().split(",")))
    except OSError:
        return set()


def workers(mount: Mount) -> list[int]:
    assert mount.process is not None
    found = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(mount.process.pid)], capture_output=True, text=True)
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "engine.suggest.worker" in line]


def test_a_file_is_what_its_content_says(mount: Mount) -> None:
    mount.put("files/film.mp4", b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>")
    mount.put("files/download", MKV)
    assert mount.names("tags/type:video") == ["download"]
    assert mount.names("tags/type:text") == ["film.mp4"]
    assert mount.tagfs("ls", "type = text/html") == "film.mp4\n"
    os.rename(mount / "files/download", mount / "files/download.txt")
    assert mount.names("tags/type:video") == ["download.txt"]


def test_a_type_that_content_corrects_is_seen_at_once(mount: Mount) -> None:
    """While it is written its name is all there is; what the kernel knows of the old type is gone when it is whole."""
    file = mount / "files/film.mp4"
    with file.open("wb") as writing:
        writing.write(b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>")
        writing.flush()
        assert mount.names("tags/type:video") == ["film.mp4"]
        assert (mount / "tags/type:video/film.mp4").exists()
        assert mount.names("tags/type:text") == []
    mount.settle(file)
    assert mount.names("tags/type:video") == []
    assert not (mount / "tags/type:video/film.mp4").exists()
    assert mount.names("tags/type:text") == ["film.mp4"]


def test_suggestions_are_kept_apart_until_they_are_accepted(mount: Mount) -> None:
    file = mount.put(f"files/{ALIEN}", MKV)
    mount.wait_for(lambda: os.getxattr(file, "user.tagfs.suggested") != b"")
    assert os.getxattr(file, "user.tagfs.suggested") == b"1080p,codec:h.264,title:Alien,year:1979"
    assert "user.tagfs.suggested" not in os.listxattr(file)
    assert tags(file) == set()
    item = file.stat().st_ino
    assert mount.tagfs("suggest") == f"id:{item}  {ALIEN}  1080p,codec:h.264,title:Alien,year:1979\n"
    mount.tagfs("suggest", "--accept", str(file), "-t", "year:1979,1080p")
    assert tags(file) == {"1080p", "year:1979"}
    assert mount.names("tags/year:1970..1979") == [ALIEN]
    mount.tagfs("suggest", "--refuse", "--where", "type:video")
    assert mount.tagfs("suggest") == ""
    assert mount.json("suggest") == []


def test_rules_put_tags_on_once_and_never_again(new_mount: Callable[..., Mount]) -> None:
    mount = new_mount()
    mount.config.write_text(RULES)
    mount.start()
    film, text = mount.put(f"files/{ALIEN}", MKV), mount.put("files/a.txt", b"text")
    mount.wait_for(lambda: tags(film) == {"movie", "year:1979"})
    mount.sh(f"setfattr -n user.tags -v -movie files/{ALIEN}")
    mount.stop()
    mount.start()
    other = mount.put("files/other.mkv", MKV + b"2")
    mount.wait_for(lambda: tags(other) == {"movie"})
    assert mount.tagfs("rules", "--apply").splitlines()[-1] == "tags put on: 0"
    assert tags(film) == {"year:1979"}
    assert tags(text) == set()
    rules = mount.json("rules")
    assert isinstance(rules, dict)
    assert [(rule["number"], rule["match"], rule["items"]) for rule in rules["rules"]] == [
        (1, "type:video", 2), (2, "type:video", 2),
    ]  # fmt: skip


def test_a_rule_that_comes_later_is_applied_on_request(new_mount: Callable[..., Mount]) -> None:
    mount = new_mount()
    mount.start()
    film = mount.put(f"files/{ALIEN}", MKV)
    mount.wait_for(lambda: os.getxattr(film, "user.tagfs.suggested") != b"")
    mount.stop()
    mount.config.write_text(RULES)
    mount.start()
    assert mount.tagfs("rules", "--apply", "--dry-run").splitlines()[-1] == "tags that would be put on: 2"
    assert tags(film) == set()
    assert mount.tagfs("rules", "--apply").splitlines()[-1] == "tags put on: 2"
    assert tags(film) == {"movie", "year:1979"}
    assert mount.names("tags/movie/year:1979") == [ALIEN]


def test_what_a_killed_daemon_did_not_come_to_is_made_up_for(new_mount: Callable[..., Mount]) -> None:
    mount = new_mount()
    mount.config.write_text(RULES)
    mount.start()
    files = [mount.put(f"files/Film {number} (1979).mkv", MKV + bytes([number])) for number in range(10)]
    mount.kill()
    mount.start()
    for file in files:
        mount.wait_for(lambda file=file: tags(file) == {"movie", "year:1979"})  # type: ignore[misc]  # bound at once


def test_a_killed_worker_is_no_harm(mount: Mount) -> None:
    first = mount.put(f"files/{ALIEN}", MKV)
    mount.wait_for(lambda: os.getxattr(first, "user.tagfs.suggested") != b"")
    [worker] = workers(mount)
    os.kill(worker, signal.SIGKILL)
    lost = mount.put("files/Brazil.1985.1080p.x264.mkv", MKV + b"2")
    second = mount.put("files/Stalker.1979.1080p.x264.mkv", MKV + b"3")
    mount.wait_for(lambda: os.getxattr(second, "user.tagfs.suggested") != b"")
    assert mount.names("files") == sorted(path.name for path in (first, lost, second))
    assert workers(mount) != [worker]


def test_the_worker_goes_with_the_daemon(mount: Mount) -> None:
    file = mount.put(f"files/{ALIEN}", MKV)
    mount.wait_for(lambda: os.getxattr(file, "user.tagfs.suggested") != b"")
    [worker] = workers(mount)
    pidfd = os.pidfd_open(worker)
    mount.kill()
    assert select.select([pidfd], [], [], 60)[0] == [pidfd]
    os.close(pidfd)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ('match = "a and"\ntags = ["b"]', "rule 2: match cannot be understood: "),
        ('match = "tipe:video"\ntags = ["b"]', "rule 2: no item has the key 'tipe'; did you mean type?"),
        ('match = "a"\ntags = ["b,c"]', "rule 2: the tag name 'b,c' contains ','."),
        ('match = "a"\ntag = ["b"]', "rule 2: tag is not a setting; did you mean tags?"),
    ],
)
def test_a_rule_that_cannot_be_ends_the_start(new_mount: Callable[..., Mount], rule: str, sentence: str) -> None:
    mount = new_mount()
    mount.expect_warnings = True
    mount.config.write_text(f'[[rules]]\nmatch = "a"\ntags = ["b"]\n[[rules]]\n{rule}\n')
    with pytest.raises(AssertionError, match="the daemon ended"):
        mount.start()
    assert f"{mount.config}: {sentence}" in mount.log.read_text()
    assert mount.process is not None and mount.process.returncode == 2
