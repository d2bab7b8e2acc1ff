"""What suggest and rules ask of the daemon and print, against a daemon that is a dictionary."""

import pytest

from tests.support.memory_verbs import MemoryVerbs
from tests.tagfs.cli.conftest import Tagfs


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
