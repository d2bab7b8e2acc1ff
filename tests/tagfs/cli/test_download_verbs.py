"""What the verbs of downloads ask of the daemon and print, against a daemon that is a dictionary."""

import io
import json
import sys
from pathlib import Path

import pytest

from engine.formats.read import MAX_BYTES
from tagfs.cli import exits
from tagfs.control.protocol import MAX_CONTENT
from tagfs.control.views import EventView
from tests.support.memory_verbs import MemoryVerbs
from tests.tagfs.cli.conftest import Tagfs


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
