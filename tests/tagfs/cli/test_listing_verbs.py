"""What the verbs that list and tag items ask of the daemon and print, against a daemon that is a dictionary."""

import io
import sys

import pytest

from tagfs.cli import exits
from tests.support.memory_verbs import MemoryVerbs
from tests.tagfs.cli.conftest import Tagfs


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


class TestRm:
    def test_to_the_trash_or_for_good(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("a")
        verbs.put("b")
        assert tagfs("rm", "./a").code == tagfs("tag", "a/b", "-t", "x").code == exits.NOT_FOUND
        assert tagfs("rm", "a").lines == ["trashed id:4096 a"]
        assert tagfs("rm", "b", "--purge").lines == ["ended id:4097 b"]
        assert list(verbs.items) == [4096]
