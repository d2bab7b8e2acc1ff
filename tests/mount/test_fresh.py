"""Whatever the kernel has cached, a change is visible on every path when the call that made it returns."""

from __future__ import annotations

import os
import random
import threading
from itertools import combinations

import pytest

from tests.mount.conftest import Mount

TAGS = ("a", "b", "c")
NAMES = ("f", "g", "h")
PATHS = {
    "files": lambda t: True,
    "tags/a": lambda t: "a" in t,
    "tags/b": lambda t: "b" in t,
    "tags/c": lambda t: "c" in t,
    "tags/a/b": lambda t: {"a", "b"} <= t,
    "tags/b/a": lambda t: {"a", "b"} <= t,
    "tags/a/+/b": lambda t: bool({"a", "b"} & t),
    "tags/a/-/b": lambda t: "a" in t and "b" not in t,
    "tags/-/a": lambda t: "a" not in t,
    "tags/{/a/c/}": lambda t: bool({"a", "c"} & t),
    "tags/is:untagged": lambda t: not t,
    "queries/not (a or b)": lambda t: not {"a", "b"} & t,
}


def check(mount: Mount, model: dict[str, set[str]]) -> None:
    """By stat of each name, which the kernel answers from its cache where it has one, and by listing."""
    for path, matches in PATHS.items():
        expected = sorted(name for name, tags in model.items() if matches(tags))
        found = [name for name in NAMES if os.path.exists(mount / path / name)]
        assert found == [name for name in NAMES if name in expected], (path, model)
        assert mount.names(path) == expected, (path, model)
        found = [name for name in NAMES if os.path.exists(mount / path / name)]
        assert found == [name for name in NAMES if name in expected], (path, model)


@pytest.fixture
def three(mount: Mount) -> Mount:
    for tag in TAGS:
        (mount / f"tags/{tag}").mkdir()
    for name in NAMES:
        mount.put(f"files/{name}", name)
    return mount


def test_every_kind_of_change_is_seen_on_every_path(three: Mount) -> None:
    model: dict[str, set[str]] = {name: set() for name in NAMES}
    random_ = random.Random(2026)
    check(three, model)
    for _ in range(60):
        name = random_.choice([n for n in NAMES if n in model] or ["f"])
        tag = random_.choice(TAGS)
        match random_.randrange(7):
            case 0:
                chosen = random_.choice([set(c) for r in range(3) for c in combinations(TAGS, r)])
                os.setxattr(three / "files" / name, "user.xdg.tags", ",".join(chosen).encode())
                model[name] = set(chosen)
            case 1 if tag not in model[name]:
                os.link(three / "files" / name, three / "tags" / tag / name)
                model[name].add(tag)
            case 2 if tag in model[name]:
                os.unlink(three / "tags" / tag / name)
                model[name].discard(tag)
            case 3:
                three.tagfs("tag", name, "-t", tag)
                model[name].add(tag)
            case 4 if tag in model[name]:
                other = random_.choice([t for t in TAGS if t != tag])
                if other not in model[name]:
                    os.rename(three / "tags" / tag / name, three / "tags" / other / name)
                    model[name] = model[name] - {tag} | {other}
            case 5:
                os.unlink(three / "files" / name)
                os.rename(three / "trash" / name, three / "files" / name)
            case 6:
                os.setxattr(three / "files" / name, f"user.tag.{tag}", b"")
                model[name].add(tag)
        check(three, model)


def test_attributes_follow(three: Mount) -> None:
    paths = [three / "files/f", three / "tags/a/f", three / "tags/a/+/b/f"]
    os.setxattr(paths[0], "user.xdg.tags", b"a")
    assert {path.stat().st_nlink for path in paths} == {2}
    os.setxattr(paths[1], "user.xdg.tags", b"+b")
    assert {path.stat().st_nlink for path in paths} == {3}
    os.utime(paths[2], ns=(0, 10**18))
    os.chmod(paths[2], 0o400)
    assert {(path.stat().st_mtime_ns, path.stat().st_mode & 0o777) for path in paths} == {(10**18, 0o400)}


def test_a_collision_takes_over_and_gives_back_the_name(three: Mount) -> None:
    first = os.stat(three / "files/f").st_ino
    os.setxattr(three / "files/f", "user.xdg.tags", b"a")
    second_file = three.put("tags/b/f", "second")
    second = os.stat(second_file).st_ino
    os.setxattr(second_file, "user.xdg.tags", b"a,b")
    assert os.stat(three / "tags/a/f").st_ino == first
    assert os.stat(three / f"tags/a/f~{second}").st_ino == second
    assert three.names("tags/a") == ["f", f"f~{second}"]
    os.unlink(three / "tags/a/f")  # the older leaves: the younger has the plain name now
    assert os.stat(three / "tags/a/f").st_ino == second
    os.setxattr(
        three / f"files/f~{first}" if os.stat(three / "files/f").st_ino != first else three / "files/f",
        "user.xdg.tags",
        b"a",
    )
    assert os.stat(three / "tags/a/f").st_ino == first
    assert three.names("tags/a") == ["f", f"f~{second}"]


def test_tagging_and_removing_at_once_never_blocks_for_good(three: Mount) -> None:
    """setxattr waits for the kernel to forget names in a directory that rm has locked while it waits for the file."""
    errors: list[OSError] = []

    def work(name: str) -> None:
        for _ in range(25):
            for action in (
                lambda: os.setxattr(three / "files" / name, "user.xdg.tags", b"a,b,c"),
                lambda: os.unlink(three / "tags/a" / name),
                lambda: os.rename(three / "tags/b" / name, three / "tags/a" / name),
                lambda: os.setxattr(three / "files" / name, "user.xdg.tags", b"c"),
                lambda: os.listdir(three / "tags/a/+/b"),
            ):
                try:
                    action()
                except FileNotFoundError:
                    continue
                except OSError as error:
                    errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("f", "f", "g", "g", "h")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not errors
    for name in NAMES:
        os.setxattr(three / "files" / name, "user.xdg.tags", b"c")
    check(three, {name: {"c"} for name in NAMES})
