"""What each verb asks of the daemon and prints, against a daemon that is a dictionary."""

import io
import json
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.formats.read import MAX_BYTES
from tagfs.cli import exits
from tagfs.control.protocol import MAX_CONTENT
from tagfs.control.views import ChangeView, ConcernedView, EventView, FaultView
from tests.support.memory_verbs import MemoryVerbs
from tests.tagfs.cli.conftest import Tagfs


class TestRelation:
    def test_stated_listed_and_taken_back(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.known |= {"film", "movie", "a\u202e"}
        assert tagfs("relation").out == ""
        assert tagfs("relation", "add", "film", "same-as", "movie").code == exits.OK
        assert tagfs("relation", "add", "a\u202e", "implies", "film").code == exits.OK
        assert tagfs("relation").lines == ["film same-as movie", "a\\u202e implies film"]
        assert tagfs("relation", "movie").lines == ["film same-as movie"]
        assert tagfs("relation", "movie", "--json").json == [{"tag": "film", "relation": "same-as", "other": "movie"}]
        assert tagfs("relation", "rm", "film", "same-as", "movie").code == exits.OK
        assert tagfs("relation", "rm", "film", "same-as", "movie").code == exits.NOT_FOUND
        assert tagfs("relation", "add", "film", "implies", "nothing").code == exits.NOT_FOUND

    @pytest.mark.parametrize("words", [("add", "a", "implies"), ("a", "b"), ("add", "a", "implies", "b", "--json")])
    def test_what_is_no_sentence(self, tagfs: Tagfs, verbs: MemoryVerbs, words: tuple[str, ...]) -> None:
        assert tagfs("relation", *words).code == exits.USAGE


class TestQueries:
    def test_saved_listed_renamed_and_deleted(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        assert tagfs("queries").out == ""
        assert tagfs("queries", "--save", "to watch", "movie/-/watched").code == exits.OK
        assert tagfs("queries", "-e", "--save", "b", "a/b").code == exits.OK
        assert tagfs("queries").lines == ["b         expression:a/b", "to watch  path:movie/-/watched"]
        assert tagfs("queries", "--rename", "b", "c").code == exits.OK
        assert tagfs("queries", "--json").json[0] == {
            "name": "c", "query": "expression:a/b", "added": "2026-11-23T10:00:00Z",
        }  # fmt: skip
        assert tagfs("queries", "--delete", "c", "nothing").code == exits.NOT_FOUND
        assert tagfs("queries", "--delete", "c", "to watch").code == exits.OK
        assert verbs.saved == {}


class TestLs:
    def test_names_are_sorted_and_ids_are_in_order(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("b.iso", tags=("linux",))
        verbs.put("a.iso", tags=("linux", "seen"))
        assert tagfs("ls").lines == ["a.iso", "b.iso"]
        assert tagfs("ls", "not", "seen").lines == ["b.iso"]
        assert tagfs("ls", "--ids").lines == ["id:4096", "id:4097"]
        assert tagfs("ls", "nothing").err == "tagfs: There is no tag nothing.\n"

    def test_long_has_columns(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("a.iso", tags=("linux",), size=3 << 30)
        verbs.put("b", state="downloading")
        assert tagfs("ls", "-l").lines == [
            "id:4096  complete         3.0 GiB  2026-11-23 10:00  linux  a.iso",
            "id:4097  downloading 25%   1000 B  2026-11-23 10:00  -      b",
        ]

    def test_json_has_the_documented_keys(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        assert tagfs("ls", "--json").json == []
        verbs.put("a.iso", tags=("linux",))
        verbs.put("b.iso")
        listed = tagfs("ls", "--json")
        assert [item["name"] for item in listed.json] == ["a.iso", "b.iso"]
        assert listed.json[0] == {
            "id": 4096, "name": "a.iso", "kind": "file", "state": "complete", "size": 1000, "done": 1000,
            "tags": ["linux"], "sha256": "ab" * 32, "added": "2026-11-23T10:00:00Z",
            "mtime": "2026-11-22T10:00:00Z", "url": None, "error": None, "trashed": None,
            "folder": None, "inherited": [], "target": None,
        }  # fmt: skip
        assert len(listed.lines) == 4  # one line an item

    def test_a_long_listing_comes_in_pages(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        for number in range(2500):
            verbs.put(f"{number:05}")
        assert len(tagfs("ls").lines) == 2500
        assert len(verbs.calls) == 3

    @pytest.mark.parametrize(
        ("query", "sent"),
        [
            (["a/-/b"], "a/-/b path"),
            (["-0", "-/a/b"], "-/a/b path"),
            (["/a/b/"], "a/b path"),
            (["/mnt/tags/a/+/b"], "a/+/b path"),
            (["not a"], "not a expression"),
            (["a", "and", "b/c"], "a and b/c expression"),
            (["(a/b)"], "(a/b) expression"),
            (["-e", "type:video/mp4"], "type:video/mp4 expression"),
        ],
    )
    def test_a_slash_makes_a_path(self, tagfs: Tagfs, verbs: MemoryVerbs, query: list[str], sent: str) -> None:
        tagfs("ls", *query)
        assert verbs.calls == [f"ls {sent} 0"]

    def test_the_trash(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("gone", trashed="2026-11-23T11:00:00Z")
        verbs.put("here")
        assert tagfs("ls", "--trash").lines == ["gone"]
        assert tagfs("ls", "--trash", "x").code == exits.USAGE


class TestTags:
    def test_tag_and_untag_take_lists(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("a")
        verbs.put("b")
        assert tagfs("tag", "a", "id:4097", "-t", "x,y", "-t", "z").code == exits.OK
        assert verbs.items[4096].tags == verbs.items[4097].tags == ("x", "y", "z")
        assert tagfs("untag", "a", "-t", "y,z", "--json").json[0]["tags"] == ["x"]
        assert tagfs("tags").lines == ["2  x", "1  y", "1  z"]
        assert tagfs("tags", "--json").json == [
            {"name": "x", "items": 2}, {"name": "y", "items": 1}, {"name": "z", "items": 1},
        ]  # fmt: skip

    @pytest.mark.parametrize("given", [[], ["-t", ""], ["-t", "a,,b"]])
    def test_no_tag_is_usage(self, tagfs: Tagfs, verbs: MemoryVerbs, given: list[str]) -> None:
        verbs.put("a")
        assert tagfs("tag", "a", *given).code == exits.USAGE

    def test_many_items_go_in_several_calls(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        ids = [f"id:{verbs.put(str(number)).id}" for number in range(2100)]
        assert tagfs("tag", *ids, "-t", "x").code == exits.OK
        assert tagfs("tags").lines == ["2100  x"]

    def test_making_renaming_deleting(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("a", tags=("film",))
        assert tagfs("tags", "--create", "todo", "later").code == exits.OK
        assert tagfs("tags", "--rename", "film", "movie").code == exits.OK
        assert tagfs("tags", "--delete", "later").code == exits.OK
        assert tagfs("tags").lines == ["1  movie", "0  todo"]
        assert tagfs("tags", "--delete", "movie").err == "tagfs: Items carry the tag movie.\n"
        assert tagfs("tags", "x", "--create", "y").code == exits.USAGE

    def test_merging(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        assert tagfs("tags", "--merge", "films", "movie").lines == ["5 items"]
        assert verbs.calls == ["tag_merge films movie"]

    @pytest.mark.parametrize(
        ("words", "call"),
        [
            (["--where", "a", "+x", "-todo"], "tag_where a expression +x -todo False"),
            (["--where", "-/a", "+x"], "tag_where -/a path +x - False"),
            (["-t", "x", "--where", "a/-/b", "-todo,+y", "-e"], "tag_where a/-/b path +x,y -todo,e False"),
            (["-e", "--where=a/b", "+x", "--dry-run"], "tag_where a/b expression +x - True"),
        ],
    )
    def test_where(self, tagfs: Tagfs, verbs: MemoryVerbs, words: list[str], call: str) -> None:
        changed = "would be changed" if "--dry-run" in words else "changed"
        assert tagfs("tag", *words).lines == [f"2 of 3 items {changed}"]
        assert verbs.calls == [call]

    @pytest.mark.parametrize(
        "words",
        [
            ["--where", "a"], ["--where", "a", "x"], ["--where", "a", "+x", "--batch"], ["a", "-t", "x", "--dry-run"],
            ["a", "-t", "x", "-0"], ["a", "--batch"], ["--batch", "-t", "x"], ["-t", "x"],
        ],
    )  # fmt: skip
    def test_what_does_not_go_together(self, tagfs: Tagfs, verbs: MemoryVerbs, words: list[str]) -> None:
        assert tagfs("tag", *words).code == exits.USAGE
        assert verbs.calls == []

    def test_a_batch(self, tagfs: Tagfs, verbs: MemoryVerbs, monkeypatch: pytest.MonkeyPatch) -> None:
        def typed(data: bytes) -> None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

        typed(b"id:1\t+a,-b\nname with\ta tab\xff\t+c\n~2\t+a,-b")
        assert tagfs("tag", "--batch", "--json").json == {"items": 3, "changed": 3}
        assert verbs.calls == ["id:1 +a,-b", "name with\ta tab\udcff +c", "id:2 +a,-b"]
        typed(b"two\nlines\t+a\0")
        assert tagfs("tag", "--batch", "-0").lines == ["1 of 1 item changed"]
        assert verbs.calls[-1] == "two\nlines +a"
        typed(b"")
        assert tagfs("tag", "--batch").lines == ["0 of 0 items changed"]
        for data, sentence in ((b"a\t+x\nb +y\n", "Line 2 is not"), (b"/none/of/these\t+x\n", "Line 1: /none")):
            typed(data)
            ran = tagfs("tag", "--batch")
            assert sentence in ran.err and ran.code in (exits.USAGE, exits.NOT_FOUND)
        assert len(verbs.calls) == 4


class TestExport:
    def test_to_standard_output_or_to_a_new_file(self, tagfs: Tagfs, verbs: MemoryVerbs, tmp_path: Path) -> None:
        text = '{"tagfs":"catalogue"}\n{"secrets":"False"}\n{"tag":"a"}\n'
        assert tagfs("export").out == text
        file = tmp_path / "out"
        assert tagfs("export", str(file)).code == exits.OK
        assert file.read_text() == text
        assert file.stat().st_mode & 0o777 == 0o600
        assert tagfs("export", str(file), "--secrets").code == exits.USAGE
        assert tagfs("export", str(file), "--secrets", "--force").code == exits.OK
        assert "True" in file.read_text()
        assert tagfs("export", str(tmp_path / "none/of")).code == exits.NOT_FOUND
        assert [entry.name for entry in tmp_path.iterdir() if entry.name.endswith(".part")] == []


class TestAdd:
    def test_each_url_is_a_download(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        ran = tagfs("add", "http://h/a.iso", "https://h/b.iso", "-t", "linux,iso", "--paused")
        assert ran.lines == ["id:4096 a.iso", "id:4097 b.iso"]
        assert {item.state for item in verbs.items.values()} == {"paused"}
        assert verbs.items[4097].tags == ("iso", "linux")

    def test_one_bad_url_costs_itself_only(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        ran = tagfs("add", "http://h/a", "ftp://h/b", "http://h/c", "--json")
        assert [item["name"] for item in ran.json] == ["a", "c"]
        assert (ran.code, ran.err) == (exits.USAGE, "tagfs: ftp://h/b is no http or https URL.\n")

    def test_a_list_has_comments_and_mirrors(self, tagfs: Tagfs, verbs: MemoryVerbs, tmp_path: Path) -> None:
        file = tmp_path / "list.txt"
        file.write_text("# mine\n\nhttp://h/a\thttp://mirror/a\n  http://h/b  \n")
        assert tagfs("add", "-i", str(file)).lines == ["id:4096 a", "id:4097 b"]

    def test_a_list_from_standard_input(
        self, tagfs: Tagfs, verbs: MemoryVerbs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for word in (["-i", "-"], ["-"]):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"http://h/a\n")))
            assert len(tagfs("add", *word).lines) == 1

    def test_files_of_other_formats(self, tagfs: Tagfs, verbs: MemoryVerbs, tmp_path: Path) -> None:
        (tmp_path / "a.torrent").write_bytes(b"d4:infod4:name1:aee")
        (tmp_path / "b.url").write_text("[InternetShortcut]\nURL=http://h/b\n")
        files = [str(tmp_path / "a.torrent"), str(tmp_path / "b.url")]
        ran = tagfs("add", files[0], "http://h/c", "magnet:?xt=urn:btih:1", files[1], "--select", "1-3")
        assert [line.partition(" ")[2] for line in ran.lines] == ["c", "a torrent", "b"]
        assert ran.err == "tagfs: magnet:?xt=urn:btih:1 is no http or https URL.\n"
        assert verbs.calls == ["add", "add", "add_file a.torrent 1-3", "add_file b.url 1-3"]

    def test_what_is_wrong_with_a_file_is_said_with_its_name(
        self, tagfs: Tagfs, verbs: MemoryVerbs, tmp_path: Path
    ) -> None:
        (tmp_path / "x.pdf").write_bytes(b"%PDF")
        (tmp_path / "l.txt").write_text("http://h/a\nnothing\nhttp://h/b\n  dir=/x\n")
        ran = tagfs("add", str(tmp_path / "x.pdf"), str(tmp_path / "l.txt"))
        assert (ran.code, ran.lines) == (exits.USAGE, ["id:4096 a", "id:4097 b"])
        assert [line.partition(": ")[2].partition(":")[0] for line in ran.err.splitlines()] == [
            "x.pdf",
            "l.txt",
            "l.txt",
        ]

    def test_what_is_neither_url_nor_file_is_said_to_be_so(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        ran = tagfs("add", "nowhere.torrent", "http://h/a")
        assert (ran.code, ran.lines) == (exits.NOT_FOUND, ["id:4096 a"])
        assert ran.err == "tagfs: nowhere.torrent is neither a URL nor a magnet link, and there is no such file.\n"

    def test_a_file_that_is_too_large_is_not_sent(self, tagfs: Tagfs, verbs: MemoryVerbs, tmp_path: Path) -> None:
        with (tmp_path / "huge.torrent").open("wb") as file:
            file.truncate(MAX_CONTENT + 1)
        assert tagfs("add", str(tmp_path / "huge.torrent")).code == exits.USAGE
        assert verbs.calls == []
        assert MAX_CONTENT == MAX_BYTES

    def test_name_and_digest_are_for_one(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        ran = tagfs("add", "http://h/a", "http://m/a", "--mirrors", "--name", "n", "--digest", "SHA256:AB12")
        assert ran.lines == ["id:4096 n"]
        assert verbs.seen_digests == {"sha256": "ab12"}
        for bad in (["http://h/a", "http://h/b", "--name", "n"], ["http://h/a", "--digest", "xyz"], []):
            assert tagfs("add", *bad).code == exits.USAGE

    def test_headers_and_leave_to_be_careless(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        ran = tagfs(
            "add",
            "http://h/a",
            "-H",
            "Referer: http://x:1/",
            "--header=A:b",
            "--allow-downgrade",
            "--any-type",
            "--limit-rate",
            "1.5K",
            "--cookies",
            "/tmp/../c.txt",
        )
        assert ran.code == exits.OK
        assert verbs.seen_options == {
            "header.Referer": "http://x:1/", "header.A": "b", "allow-downgrade": "yes", "any-type": "yes",
            "max-download": "1536", "cookies": "/c.txt",
        }  # fmt: skip
        assert tagfs("add", "http://h/a", "-H", "nothing").code == exits.USAGE
        assert tagfs("add", "http://h/a", "-o", "mode=on-demand", "--option", "split = 2").code == exits.OK
        assert verbs.seen_options == {"mode": "on-demand", "split": "2"}
        assert tagfs("add", "http://h/a", "--on-demand").code == exits.OK
        assert verbs.seen_options == {"mode": "on-demand"}
        assert tagfs("add", "http://h/a", "-o", "nothing").code == exits.USAGE

    def test_a_missing_list_is_one_sentence(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        ran = tagfs("add", "-i", "/nowhere.txt")
        assert (ran.code, ran.err) == (exits.NOT_FOUND, "tagfs: /nowhere.txt: No such file or directory.\n")


class TestWatch:
    def test_each_event_is_a_line_with_the_keys_that_it_has(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        at = "2026-11-23T10:00:00Z"
        verbs.happenings = [
            EventView("watching", at),
            EventView("tags", at, 4096, "caf\udce9\x7f", tags=()),
            *[EventView("progress", at, 4096, "a", done=number) for number in range(500)],
        ]
        ran = tagfs("watch", "a/-/b", "--no-progress", "--interval", "0.5")
        events = [json.loads(line) for line in ran.lines]
        assert events[:2] == [
            {"event": "watching", "at": at},
            {"event": "tags", "at": at, "id": 4096, "name": "caf\udce9\x7f", "tags": []},
        ]
        assert [event["done"] for event in events[2:]] == list(range(500))
        assert (ran.code, ran.err) == (exits.FAILED, "tagfs: That was all.\n")
        assert verbs.calls == ["events a/-/b path False 0.5"]
        assert tagfs("watch", "--interval", "0").code == exits.USAGE


class TestStatus:
    def test_what_is_arriving(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("whole.iso")
        verbs.put("half.iso", state="downloading", size=4096, done=2048)
        verbs.put("bad.iso", state="failed", size=None, error="The server is gone.")
        lines = tagfs("status").lines
        head, states = lines[0].rstrip(")").split(" (")
        assert head == "tagfs 0.1.0 at /mnt, up 5s: 3 items"
        assert set(states.split(", ")) == {"1 downloading", "1 failed"}
        assert lines[1:] == [
            "id:4097  downloading  50%  2.0 KiB of 4.0 KiB  -  -  half.iso",
            "id:4098  failed         -          250 B of -  -  -  bad.iso (The server is gone.)",
        ]
        assert tagfs("status", "--limit", "1").lines[-1] == "... and 1 more; --limit shows them"

    def test_json_is_one_value(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("half.iso", state="downloading")
        status = tagfs("status", "--json").json
        assert status["downloads"][0]["name"] == "half.iso"
        assert {"version", "mountpoint", "by_state", "total", "speed", "more"} <= status.keys()

    def test_following_without_a_terminal_says_what_changes(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.frames = [verbs.frame(done) for done in (0, 10, 500, 510)] + [verbs.frame(1000, "complete")]
        assert tagfs("status", "-f", "--interval", "0.2").lines == [
            "downloading 0% of 1000 B id:4096 a.iso",
            "downloading 50% of 1000 B id:4096 a.iso",
            "complete 100% of 1000 B id:4096 a.iso",
        ]

    def test_following_as_json_is_a_value_a_line(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.frames = [verbs.frame(0), verbs.frame(1000, "complete")]
        lines = tagfs("status", "-f", "--json", "--interval", "0.2").lines
        assert [json.loads(line)["downloads"][0]["done"] for line in lines] == [0, 1000, 1000]

    def test_a_followed_item_that_failed_fails(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("a.iso", state="failed")
        assert tagfs("status", "-f", "a.iso").code == exits.FAILED
        assert tagfs("status", "a.iso").code == exits.OK

    @pytest.mark.parametrize("bad", [["--interval", "0"], ["--interval", "nan"], ["--limit", "-1"]])
    def test_numbers_have_bounds(self, tagfs: Tagfs, verbs: MemoryVerbs, bad: list[str]) -> None:
        assert tagfs("status", *bad).code == exits.USAGE


class TestPause:
    def test_pause_and_resume_say_what_they_did(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("a", state="downloading")
        verbs.put("b", state="failed")
        assert tagfs("pause", "a").lines == ["paused id:4096 a"]
        assert tagfs("pause", "--all").lines == []
        assert tagfs("resume", "--all").lines == ["resumed id:4096 a", "resumed id:4097 b"]
        assert tagfs("pause", "--all", "--json").json[0]["state"] == "paused"

    def test_which_downloads_must_be_said(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        assert tagfs("pause").code == tagfs("resume", "a", "--all").code == exits.USAGE


class TestRm:
    def test_to_the_trash_or_for_good(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("a")
        verbs.put("b")
        assert tagfs("rm", "./a").code == tagfs("tag", "a/b", "-t", "x").code == exits.NOT_FOUND
        assert tagfs("rm", "a").lines == ["trashed id:4096 a"]
        assert tagfs("rm", "b", "--purge").lines == ["ended id:4097 b"]
        assert list(verbs.items) == [4096]


class TestImport:
    def test_paths_are_made_absolute(
        self, tagfs: Tagfs, verbs: MemoryVerbs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "a").touch()
        (tmp_path / "b").touch()
        assert tagfs("import", "a", "./b", "-t", "x").lines == ["2 items, 20 B"]
        assert [item.name for item in verbs.items.values()] == ["a", "b"]

    def test_what_is_left_out_is_said_and_fails(self, tagfs: Tagfs, verbs: MemoryVerbs, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as special:
            special.bind(str(tmp_path / "x.sock"))
        ran = tagfs("import", str(tmp_path / "x.sock"))
        assert ran.code == exits.FAILED
        assert ran.err == f"tagfs: {tmp_path}/x.sock was left out: It is special.\n"

    def test_a_missing_path_is_one_sentence(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        ran = tagfs("import", "/nowhere")
        assert (ran.code, ran.err) == (exits.NOT_FOUND, "tagfs: /nowhere: No such file or directory.\n")


class TestImportCatalogue:
    def test_a_file_is_handed_over_by_its_path(self, tagfs: Tagfs, verbs: MemoryVerbs, tmp_path: Path) -> None:
        (tmp_path / "c").write_text("1\n2\n3\n")
        ran = tagfs("import", "--catalogue", str(tmp_path / "c"))
        assert ran.lines == ["3 items made, 1 of them without their content, 2 known already"]
        assert tagfs("import", "--catalogue", str(tmp_path / "c"), "a").code == exits.USAGE
        assert tagfs("import").code == exits.USAGE
        (tmp_path / "c").write_text("left out\n")
        assert tagfs("import", "--catalogue", str(tmp_path / "c"), "--json").code == exits.FAILED

    def test_standard_input(self, tagfs: Tagfs, verbs: MemoryVerbs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1\n2\n")))
        assert tagfs("import", "--catalogue", "-").lines == [
            "2 items made, 1 of them without their content, 2 known already"
        ]


class TestGet:
    @pytest.fixture
    def stored(self, verbs: MemoryVerbs, state: Path) -> bytes:
        content = os.urandom(300_000)
        verbs.put("a.bin")
        (state / "4096").write_bytes(content)
        return content

    def test_a_copy_has_name_bytes_and_time(self, tagfs: Tagfs, stored: bytes, tmp_path: Path) -> None:
        out = tmp_path / "out"
        out.mkdir()
        assert tagfs("get", "a.bin", str(out)).code == exits.OK
        copy = out / "a.bin"
        assert copy.read_bytes() == stored
        assert copy.stat().st_mtime_ns == 1_700_000_000_123_456_789
        assert os.listdir(out) == ["a.bin"]

    def test_nothing_is_replaced_unasked(self, tagfs: Tagfs, stored: bytes, tmp_path: Path) -> None:
        target = tmp_path / "precious"
        target.write_text("mine")
        ran = tagfs("get", "a.bin", str(target))
        assert (ran.code, ran.err) == (exits.FAILED, f"tagfs: {target} exists already; --force replaces it.\n")
        assert target.read_text() == "mine"
        assert tagfs("get", "a.bin", str(target), "--force").code == exits.OK
        assert target.read_bytes() == stored

    def test_a_pipe_or_a_device_is_not_replaced(self, tagfs: Tagfs, stored: bytes, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        for words in (("get", "a.bin", str(pipe), "--force"), ("export", str(pipe), "--force")):
            ran = tagfs(*words)
            assert ran.code == exits.FAILED
            assert ran.err.startswith(f"tagfs: {pipe}: Only files are replaced; ")
            assert pipe.is_fifo()

    def test_a_folder_is_copied_with_all_in_it(
        self, tagfs: Tagfs, verbs: MemoryVerbs, state: Path, tmp_path: Path
    ) -> None:
        album = verbs.put("album", kind="folder")
        disc = verbs.put("disc", kind="folder", folder=album.id)
        files = [
            verbs.put("a.flac", folder=album.id),
            verbs.put("a.flac", folder=album.id),
            verbs.put("b.flac", folder=disc.id),
            verbs.put("c.flac", folder=disc.id, state="skipped"),
        ]
        for item in files:
            (state / str(item.id)).write_text(f"content {item.id}")
        out = tmp_path / "out"
        out.mkdir()
        assert tagfs("ls", f"id:{album.id}").lines == ["a.flac", "a.flac", "disc"]
        assert tagfs("get", "album", str(out)).code == exits.OK
        found = {str(path.relative_to(out)): path.read_text() for path in out.rglob("*") if path.is_file()}
        one, two, three, _ = (item.id for item in files)
        assert found == {
            "album/a.flac": f"content {one}",
            f"album/a~{two}.flac": f"content {two}",
            "album/disc/b.flac": f"content {three}",
        }
        ran = tagfs("get", "album", str(out))
        assert (ran.code, ran.err) == (
            exits.FAILED,
            f"tagfs: {out}/album exists already; --force writes into it.\n",
        )
        assert tagfs("get", "album", str(out / "album"), "--force").code == exits.OK
        assert tagfs("get", "album", "-").code == exits.USAGE

    def test_a_symlink_is_copied_as_a_symlink(self, tagfs: Tagfs, verbs: MemoryVerbs, tmp_path: Path) -> None:
        album = verbs.put("album", kind="folder")
        verbs.put("link", kind="symlink", target="../elsewhere\udcff", folder=album.id)
        verbs.put("alone", kind="symlink", target="/etc/passwd")
        out = tmp_path / "out"
        out.mkdir()
        assert tagfs("get", "album", str(out)).err == tagfs("get", "alone", str(out)).err == ""
        assert os.readlink(out / "album/link") == "../elsewhere\udcff"
        assert os.readlink(out / "alone") == "/etc/passwd"
        assert sorted(os.listdir(out)) == ["album", "alone"]
        assert tagfs("get", "alone", str(out)).err == f"tagfs: {out}/alone exists already; --force replaces it.\n"
        assert tagfs("get", "alone", str(out), "--force").code == exits.OK
        assert tagfs("get", "alone", "-").code == exits.USAGE

    @pytest.mark.parametrize("option", [(), ("--no-wait",)])
    def test_nothing_is_left_of_a_folder_that_failed(
        self, tagfs: Tagfs, verbs: MemoryVerbs, state: Path, tmp_path: Path, option: tuple[str, ...]
    ) -> None:
        album = verbs.put("album", kind="folder")
        first = verbs.put("a", folder=album.id)
        inner = verbs.put("inner", kind="folder", folder=album.id)
        second = verbs.put("b", folder=inner.id, state="downloading")  # its bytes are nowhere: no copy, even by waiting
        (state / str(first.id)).write_text("a")
        out = tmp_path / "out"
        out.mkdir()
        assert tagfs("get", "album", str(out), *option).code != exits.OK
        assert os.listdir(out) == []
        (state / str(second.id)).write_text("b")
        assert tagfs("get", "album", str(out)).err == ""
        assert (out / "album/inner/b").read_text() == "b"
        assert (out / "album").stat().st_mode == (out / "album/inner").stat().st_mode

    def test_no_symlink_in_the_destination_is_followed(
        self, tagfs: Tagfs, verbs: MemoryVerbs, state: Path, tmp_path: Path
    ) -> None:
        album = verbs.put("album", kind="folder")
        inner = verbs.put("inner", kind="folder", folder=album.id)
        (state / str(verbs.put("a", folder=album.id).id)).write_text("a")
        (state / str(verbs.put("b", folder=inner.id).id)).write_text("b")
        elsewhere, out = tmp_path / "elsewhere", tmp_path / "out/album"
        elsewhere.mkdir()
        out.mkdir(parents=True)
        (elsewhere / "precious").write_text("mine")
        (out / "a").symlink_to(elsewhere / "precious")
        (out / "inner").symlink_to(elsewhere)
        ran = tagfs("get", "album", str(out.parent), "--force")
        assert ran.err == f"tagfs: {out}/inner: A folder cannot take the place of what is no directory.\n"
        (out / "inner").unlink()
        (out / "other").write_text("stays")
        assert tagfs("get", "album", str(out.parent), "--force").code == exits.OK
        assert {path.name: path.read_text() for path in out.rglob("?*") if path.is_file()} == {
            "a": "a", "b": "b", "other": "stays",
        }  # fmt: skip
        assert not (out / "a").is_symlink()
        assert (elsewhere / "precious").read_text() == "mine" and os.listdir(elsewhere) == ["precious"]

    def test_to_standard_output(self, stored: bytes, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        from tagfs.cli import main

        assert main.run(["get", "a.bin", "-"]) == exits.OK
        sys.stdout.flush()
        assert capfdbinary.readouterr().out == stored

    def test_without_waiting(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("b.bin", state="downloading")
        ran = tagfs("get", "b.bin", "--no-wait")
        assert (ran.code, ran.err) == (exits.FAILED, "tagfs: id:4096 is still arriving.\n")

    def test_a_destination_that_cannot_be_written(self, tagfs: Tagfs, stored: bytes) -> None:
        for target in ("/nowhere/x", "/nowhere/"):
            ran = tagfs("get", "a.bin", target)
            assert (ran.code, ran.err) == (exits.NOT_FOUND, "tagfs: /nowhere: There is no such directory.\n")


class TestVerify:
    def test_sound(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("a")
        ran = tagfs("verify")
        assert (ran.code, ran.out) == (exits.OK, "1 item, 1 blob: no faults\n")
        assert tagfs("verify", "--data").out == "1 item, 1 blob, 1000 B read: no faults\n"

    def test_faults_have_an_exit_code_of_their_own(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.faults = (FaultView("missing", 4096, "a", "ab", None, "Its blob is gone", "somebody deleted it", None),)
        ran = tagfs("verify")
        assert ran.code == exits.FAULTS
        assert ran.lines[0] == "missing: id:4096 a: Its blob is gone (comes about when somebody deleted it)"
        ran = tagfs("verify", "--data", "--subset", "1/2", "--repair")
        assert ran.code == exits.MENDED
        assert ran.lines == [
            "missing: id:4096 a: Its blob is gone; mended: mended", "0 items, 0 blobs, 1000 B read: 1 fault, 1 mended"
        ]  # fmt: skip
        assert tagfs("verify", "--subset", "1/2").code == exits.USAGE
        assert tagfs("verify", "--json").json["faults"][0]["kind"] == "missing"


class TestConfig:
    def test_values_come_with_their_origin(self, tagfs: Tagfs, state: Path, tmp_path: Path) -> None:
        file = tmp_path / ".config/tagfs/config.toml"
        file.parent.mkdir(parents=True)
        file.write_text(
            '[transfer]\nmax_active = 3\nproxy = "http://me:hunter2@p:1"\n'
            '[transfer.headers]\nDNT = "1"\n[transfer.host_headers]\nh = {Cookie = "hunter2"}\n'
        )
        file.chmod(0o600)
        ran = tagfs("config")
        assert "hunter2" not in ran.out
        rows = {line.split()[0]: line.split(None, 2)[2] for line in ran.lines}
        assert rows["transfer.max_active"].split("#")[1].strip() == str(file)
        assert rows["transfer.proxy"].split()[0] == '"http://***@p:1"'
        assert rows["transfer.headers"].split("  ")[0] == '{"DNT" = "1"}'
        assert rows["transfer.host_headers"].split("  ")[0] == '{"h" = {"Cookie" = "***"}}'
        assert rows["paths.state"].split("#") == [
            f'"{state}"'.ljust(len(rows["paths.state"].split("#")[0])),
            " TAGFS_STATE",
        ]
        by_key = {entry["key"]: entry for entry in tagfs("config", "--json").json}
        assert by_key["transfer.max_active"] == {"key": "transfer.max_active", "value": 3, "origin": str(file)}
        assert by_key["transfer.headers"]["value"] == {"DNT": "1"}
        assert by_key["transfer.host_headers"]["value"] == {"h": {"Cookie": "***"}}
        assert tagfs("config", "path").out == f"{file}\n"

    def test_rules_are_printed_by_number(self, tagfs: Tagfs, tmp_path: Path) -> None:
        file = tmp_path / ".config/tagfs/config.toml"
        file.parent.mkdir(parents=True)
        file.write_text("[[rules]]\nmatch = 'type:video'\ntags = ['movie']\n")
        by_key = {entry["key"]: entry["value"] for entry in tagfs("config", "--json").json}
        assert (by_key["rules.1.match"], by_key["rules.1.tags"]) == ("type:video", ["movie"])
        assert any(line.startswith("rules.1.tags =") and '["movie"]' in line for line in tagfs("config").lines)

    def test_lines_are_not_padded_for_programs_and_no_wider_than_a_terminal(
        self, tagfs: Tagfs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        piped = tagfs("config").lines
        assert "transfer.split = 5  # default" in piped
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        for width in ("80", "120", "1000"):
            monkeypatch.setenv("COLUMNS", width)
            shown = tagfs("config")
            words = [word for word in shown.out.split() if len(word) < 40]
            assert words == [word for line in piped for word in line.split() if len(word) < 40]
            assert all(len(line) <= int(width) for line in shown.lines if "/" not in line)  # a path is not broken
            assert len({line.index(" = ") for line in shown.lines if line[0] != " "}) == 1
        monkeypatch.setenv("COLUMNS", "1")
        assert len(tagfs("config").lines) > len(piped)

    def test_the_path_is_printed_even_when_the_file_is_broken(self, tagfs: Tagfs, tmp_path: Path) -> None:
        file = tmp_path / ".config/tagfs/config.toml"
        file.parent.mkdir(parents=True)
        file.write_text("[")
        assert tagfs("config", "path").out == f"{file}\n"
        assert tagfs("config").code == exits.USAGE


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


def test_suggestions_are_listed_and_decided(verbs: MemoryVerbs, tagfs: Tagfs) -> None:
    items = [verbs.put(name, tags=("movie",)) for name in ("a.mkv", "b\x1b.mkv", "c.mkv")]
    verbs.suggested = {item.id: ["1080p", "year:1979"] for item in items}
    assert tagfs("suggest").lines == [f"id:{item.id}  {name}  1080p,year:1979" for item, name in zip(
        items, ("a.mkv    ", "b\\x1b.mkv", "c.mkv    "), strict=True
    )]  # fmt: skip
    first = tagfs("suggest", "a.mkv", "--json").json
    proposals = [{"tag": tag, "origin": "name"} for tag in ("1080p", "year:1979")]
    assert first == [{"id": items[0].id, "name": "a.mkv", "suggestions": proposals}]
    assert tagfs("suggest", "--accept", "a.mkv", "-t", "1080p").code == 0
    assert verbs.items[items[0].id].tags == ("1080p", "movie")
    assert tagfs("suggest", "--refuse", "--where", "movie", "--json").json == {"items": 2, "tags": 3}
    assert len(tagfs("suggest").lines) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--accept",), "Of which items?"),
        (("--accept", "a", "--where", "b"), "Name items, or say which by --where"),
        (("-t", "x"), "-t TAG goes with --accept or --refuse."),
        (("--accept", "--refuse", "a"), "not allowed with argument"),
    ],
)
def test_a_decision_says_of_what(verbs: MemoryVerbs, tagfs: Tagfs, words: tuple[str, ...], sentence: str) -> None:
    ran = tagfs("suggest", *words)
    assert ran.code == 2
    assert sentence in ran.err


def test_rules_are_listed_and_applied(verbs: MemoryVerbs, tagfs: Tagfs) -> None:
    verbs.put("a.mkv")
    assert tagfs("rules").lines == ["1  1  type:video  ->  movie; accepts year"]
    assert tagfs("rules", "--apply").lines[-1] == "tags put on: 1"
    assert tagfs("rules", "--apply", "--dry-run").lines[-1] == "tags that would be put on: 1"
    assert tagfs("rules", "--dry-run").code == 2
    assert tagfs("rules", "--json").json["rules"][0]["match"] == "type:video"


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
