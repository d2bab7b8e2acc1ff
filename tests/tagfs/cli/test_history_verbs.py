"""What the verbs of the history and the trash ask of the daemon and print, against a daemon that is a dictionary."""

from dataclasses import replace
from typing import Any

import pytest

from tagfs.cli import exits
from tagfs.control.views import ChangeView, ConcernedView
from tests.support.memory_verbs import MemoryVerbs
from tests.tagfs.cli.conftest import Tagfs


def change(number: int, what: dict[str, tuple[str, ...]], *names: str | None, **fields: Any) -> ChangeView:
    items = tuple(ConcernedView(4096 + place, name) for place, name in enumerate(names[:10]))
    view = ChangeView(number, number, "2026-11-23T10:00:00Z", "mount", None, None, what, len(names), items)
    return replace(view, **fields)


class TestLog:
    @pytest.mark.parametrize(
        ("told", "line"),
        [
            (change(1, {"add": ("a", "b\x1b"), "remove": ("c",)}, "x\n"), r"tagged +a +b\x1b -c: id:4096 x\x0a"),
            (change(1, {"made": ("x",), "add": ("a",)}, "x"), "made, tagged +a: id:4096 x"),
            (change(1, {"made": ("x",), "trash": ()}, "x"), "kept in the trash: id:4096 x"),
            (change(1, {"name": ("\udcff", "y")}, "y"), r"renamed from \xff: id:4096 y"),
            (change(1, {"folder": ("", "5000")}, "y"), "moved from the top to folder id:5000: id:4096 y"),
            (change(1, {"trash": ("in",)}, "y"), "put into the trash: id:4096 y"),
            (change(1, {"trash": ("out",)}, "y"), "taken out of the trash: id:4096 y"),
            (change(1, {"content": ("aa", "bb")}, "y"), "new content: id:4096 y"),
            (change(1, {"ended": ("y",)}, None), "ended for good: id:4096 (ended)"),
            (change(1, {"tag": ("renamed", "a", "b")}), "tag a renamed to b"),
            (change(1, {"tag": ("created", "a")}), "tag a made"),
            (change(1, {"relation": ("related", "a", "same-as", "b")}), "said that a same-as b"),
            (change(1, {"relation": ("unrelated", "a", "implies", "\x1b")}), r"took back that a implies \x1b"),
            (change(1, {"query": ("saved", "q", "a and b")}), "query q saved (a and b)"),
            (change(1, {"query": ("forgotten", "q", "a")}), "query q deleted (a)"),
            (change(1, {"query": ("renamed", "q", "r")}), "query q renamed to r"),
            (change(1, {"add": ("a",)}, "x", undone=9), "tagged +a: id:4096 x (undone by #9)"),
            (change(1, {"add": ("a",)}, "x", undoes=9), "tagged +a: id:4096 x (undoes #9)"),
            (
                change(1, {"add": ("a",)}, *["x"] * 12),
                f"tagged +a: 12 items, {', '.join(f'id:{4096 + place} x' for place in range(10))} and 2 more",
            ),
        ],
    )
    def test_words(self, tagfs: Tagfs, verbs: MemoryVerbs, told: ChangeView, line: str) -> None:
        verbs.history = [told]
        assert tagfs("log").lines == [f"#1      2026-11-23 10:00  mount     {line}"]

    def test_what_is_asked_and_how_much(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.history = [change(number, {"tag": ("created", "a")}) for number in range(2500, 0, -1)]
        assert len(tagfs("log").lines) == 100
        assert len(tagfs("log", "-n", "1500").lines) == 1500
        assert len(tagfs("log", "-n", "0", "id:1", "~2", "--since", "2d").lines) == 2500
        assert verbs.calls[0] == "log  None None 100"
        assert verbs.calls[-3:] == [f"log id:1,id:2 {before} 172800.0 1000" for before in (None, 1501, 501)]
        assert tagfs("log", "--json", "-n", "1").json[0]["what"] == {"tag": ["created", "a"]}
        for wrong in (["--since", "2"], ["-n", "-1"]):
            assert tagfs("log", *wrong).code == exits.USAGE


class TestUndo:
    def test_the_last_some_or_the_one_that_is_named(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.history = [change(number, {"add": ("a",)}, "x") for number in range(6, 0, -1)]
        assert tagfs("undo").lines == ["undid #6: tagged +a: id:4096 x"]
        assert tagfs("undo", "#4").lines == [
            "undid #4: tagged +a: id:4096 x",
            "2 items ended for good since",
        ]
        assert tagfs("redo").lines == ["took back #5: tagged +a: id:4096 x"]
        assert [one["call"] for one in tagfs("undo", "-n", "2", "--json").json] == [3, 2]
        ran = tagfs("undo", "-n", "3")
        assert (ran.lines, ran.err) == (["undid #1: tagged +a: id:4096 x"], "tagfs: There is nothing to undo.\n")
        assert ran.code == exits.NOT_FOUND
        for wrong in (["x"], ["3", "-n", "1"], ["-n", "0"]):
            assert tagfs("undo", *wrong).code == exits.USAGE


class TestTrash:
    def test_the_list(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        assert tagfs("trash").lines == []
        for number in range(5):
            when = f"2026-11-2{number}T10:00:00Z"
            verbs.put(f"x\x1b{number}", trashed=when, size=1000 + number, kind="folder" if number == 4 else "file")
        lines = tagfs("trash").lines
        assert lines[0] == r"id:4100  2026-11-24 10:00  1004 B  album/cd 1/  x\x1b4/"
        assert [line[:7] for line in lines[:-1]] == ["id:4100", "id:4099", "id:4098", "id:4097", "id:4096"]
        assert lines[-1] == "5 in the trash, 4.9 KiB; ending all of it frees 0 B"
        assert [view["id"] for view in tagfs("trash", "list", "--json").json] == [4100, 4099, 4098, 4097, 4096]

    def test_restore_and_empty(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("x", trashed="2026-11-24T10:00:00Z")
        assert tagfs("trash", "restore", "x").lines == ["restored id:4096 x"]
        assert tagfs("trash", "empty").lines == ["3 ended for good; 3.0 GiB come back within two hours"]
        assert tagfs("trash", "empty", "id:7", "~8").lines == [
            "3 ended for good; 1.0 GiB come back within two hours",
            "2.0 GiB stay, since other items use the same content",
        ]
        tagfs("trash", "empty", "--older-than", "2d", "--keep-size", "1.5K")
        assert verbs.calls == [
            "trash_empty  None None",
            "trash_empty id:7,id:8 None None",
            "trash_empty  172800.0 1536",
        ]
        assert tagfs("trash", "empty", "--json").json == {"items": 3, "size": 3 << 30, "freed": 3 << 30}

    @pytest.mark.parametrize(
        "wrong",
        [
            ["restore"], ["list", "x"], ["--keep-size", "1G"], ["empty", "--older-than", "2"],
            ["empty", "--keep-size", "1X"], ["throw"],
        ],
    )  # fmt: skip
    def test_what_cannot_be_meant(self, tagfs: Tagfs, verbs: MemoryVerbs, wrong: list[str]) -> None:
        assert tagfs("trash", *wrong).code == exits.USAGE
        assert verbs.calls == []
