"""Values of keys on a real mount: as directories, in comparisons, and what killed or confused other tag filesystems."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.mount.conftest import Mount

YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")


def tagged(mount: Mount, **tags: str) -> None:
    """Items, each named and with tags as given."""
    for name, own in tags.items():
        mount.put(f"files/{name}", name)
        mount.sh(f"setfattr -n user.xdg.tags -v '{own}' files/{name}")


@pytest.fixture
def dated(mount: Mount) -> Mount:
    tagged(
        mount,
        old="year:1965,rating:9",
        turn="year:2000,rating:10",
        late="year:2026-03-15,rating:+2.50",
        both="year:1990,year:2020",
        word="year:unknown,rating:007",
        none="movie",
    )
    return mount


FOUND = {
    "year:2000": "turn",
    "year:/2000": "turn",
    "year:/eq/2000.0": "turn",
    "year:/gt/2000": "both late word",
    "year:/ge/2000": "both late turn word",
    "year:/lt/2000": "both old",
    "year:/le/2000": "both old turn",
    "year:/ne/2000": "both late old word",
    "-year:2000": "both late none old word",
    "year:1960..1999": "both old",
    "year:..1989": "old",
    "year:2000..2010": "turn",
    "year:2000../-year:unknown": "both late turn",
    "year:1990/year:2020": "both",
    "year:2026": "late",
    "year:2026-03": "late",
    "year:2026-01..2026-02": "",
    "year:/gt/2026-02": "late word",
    "year:/has/know": "word",
    "rating:/gt/9": "turn",
    "rating:/lt/9": "late word",
    "rating:7": "word",
    "rating:2.5..9": "late old word",
}


def test_comparisons(dated: Mount) -> None:
    """By listing, and by the name of each item. One mount for all: each takes a second to start."""
    for path, names in FOUND.items():
        assert dated.names(f"tags/{path}") == names.split(), path
        found = [name for name in dated.names("files") if os.path.exists(dated / "tags" / path / name)]
        assert found == names.split(), path


def test_values_are_directories(dated: Mount) -> None:
    assert [entry for entry in dated.names("tags") if ":" in entry] == ["rating:", "year:"]
    assert os.listdir(dated / "tags/year:") == ["1965", "1990", "2000", "2020", "2026-03-15", "unknown"]
    assert os.listdir(dated / "tags/rating:") == ["+2.50", "007", "9", "10"]
    assert os.listdir(dated / "tags/year:/gt") == ["1965", "1990", "2000", "2020", "2026-03-15", "unknown"]
    assert dated.names("tags/year:/2000") == ["turn"]
    assert dated.names("tags/movie/.tags") == []
    assert os.stat(dated / "tags/year:/2000").st_ino == os.stat(dated / "tags/year:2000").st_ino


def test_find_and_du_on_values_end(dated: Mount) -> None:
    """Each item once for each value that it has, and for `key:` no more than its values."""
    found = dated.sh("find tags/year: -type f | sort").split()
    assert found == [
        "tags/year:/1965/old", "tags/year:/1990/both", "tags/year:/2000/turn", "tags/year:/2020/both",
        "tags/year:/2026-03-15/late", "tags/year:/unknown/word",
    ]  # fmt: skip
    assert dated.sh("find tags/year:2000.. tags/year:/gt/2000 -name turn").split() == ["tags/year:2000../turn"]
    dated.sh("du -s tags/year: && grep -r turn tags/year: && ls -lR tags/rating: && rsync -a --list-only tags/year:/ .")


def test_several_values_come_and_go_one_by_one(dated: Mount) -> None:
    os.unlink(dated / "tags/year:2020/both")
    assert dated.names("tags/year:2000..2024") == ["turn"]
    assert dated.names("tags/year:1990") == ["both"]
    dated.sh("ln files/both tags/year:2024/")  # a value of a known key, which nobody had
    assert dated.names("tags/year:2000..2024") == ["both", "turn"]
    dated.sh("mv tags/year:2024/both tags/year:2000/")
    assert os.getxattr(dated / "files/both", "user.xdg.tags") == b"year:1990,year:2000"
    dated.sh("rmdir tags/year:/2024")
    assert "2024" not in dated.names("tags/year:")


def test_sizes_and_dates_of_items(mount: Mount) -> None:
    for name, size in (("small", 900), ("kilo", 1024), ("big", 70_000)):
        mount.put(f"files/{name}", b"x" * size)
    assert mount.names("tags/size:1K") == ["kilo"]
    assert mount.names("tags/size:1000..") == ["big", "kilo"]
    assert mount.names("tags/size:/lt/1k") == ["small"]
    assert mount.names("tags/size:..68.5K") == ["big", "kilo", "small"]
    assert mount.names("tags/size:/gt/70kB") == []
    assert mount.names("tags/added:1h") == mount.names("files")
    assert mount.names("tags/added:..1h") == []
    assert mount.names("tags/added:2020..") == mount.names("files")
    assert mount.names("queries/size > 1K and added:1d") == ["big"]


AWKWARD = (
    "h.264",
    "c++",
    "a@b",
    "a@c",
    "x@@",
    "and",
    "or",
    "not",
    "has",
    "eq",
    "(live)",
    "don't",
    "100%",
    "a=b",
    "a b",
    "é",
    "*",
)


def test_awkward_tags_are_directories_like_others(mount: Mount) -> None:
    for number, tag in enumerate(AWKWARD):
        (mount / "tags" / tag).mkdir()
        mount.put(f"tags/{tag}/f{number}")
    assert mount.names("tags") == sorted(AWKWARD)
    for number, tag in enumerate(AWKWARD):
        assert mount.names(f"tags/{tag}") == [f"f{number}"], tag
        assert mount.names(f"tags/{tag}/@") == [f"f{number}"], tag
        quoted = '"' + tag + '"'
        assert mount.names(f"queries/{quoted}") == [f"f{number}"], tag
        assert mount.tagfs("ls", "-e", quoted) == f"f{number}\n"
    assert mount.names("tags/and/+/h.264") == ["f0", f"f{AWKWARD.index('and')}"]
    assert len(mount.sh("find tags -mindepth 2 -type f").splitlines()) == len(AWKWARD)


def test_two_tags_never_have_one_name(mount: Mount) -> None:
    mount.sh("mkdir tags/a tags/b")
    mount.put("tags/a/f")
    mount.put("tags/b/g")
    mount.sh("! mv -T tags/a tags/b && ! mkdir tags/a && mkdir tags/é && ! mkdir $'tags/e\\u0301'")
    assert mount.names("tags") == ["a", "b", "é"]
    assert mount.names("tags/a") == ["f"]


@pytest.mark.skipif(
    os.geteuid() != 0 and YAMA.exists() and YAMA.read_text().strip() != "0", reason="nobody knows who only walks by"
)
def test_no_name_of_a_key_outlives_the_call_that_took_its_last_value(mount: Mount) -> None:
    """Nor what else in /tags was spelled with the tag: `mv` has locked /tags, so the kernel forgets these names only
    when the call is over. Whoever looks waits for that."""
    mount.sh("mkdir tags/year:1999")
    mount.put("tags/year:1999/f", "f")
    for _ in range(20):
        for name in ("year:1990..", "year:", "-year:1999", "year:1999,year:2000", "year:1990../f"):
            assert os.path.lexists(mount / "tags" / name), name
        os.rename(mount / "tags/year:1999", mount / "tags/z")
        for name in ("year:1990..", "year:", "-year:1999", "year:1999,year:2000", "year:1990../f", "year:1999"):
            assert not os.path.lexists(mount / "tags" / name), name
        assert mount.names("tags/-z") == []
        os.rename(mount / "tags/z", mount / "tags/year:1999")
        assert not os.path.lexists(mount / "tags/-z")
        assert mount.names("tags/year:1990..") == ["f"]
    os.unlink(mount / "tags/year:1999/f")
    assert os.path.lexists(mount / "tags/-year:1999")
    os.rmdir(mount / "tags/year:/1999")
    for name in ("year:1990..", "year:", "-year:1999"):
        assert not os.path.lexists(mount / "tags" / name), name
