"""What names suggest: the whole corpus with the precision and recall that docs/tagging.md quotes, and single rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.suggest import song_names
from engine.suggest.worker import film, song
from engine.suggested import KEYS, key_of, of_film, of_song
from query.names import check_own_tag
from tests.support.release_names import FILMS, SONGS

PAGE = (Path(__file__).parents[3] / "docs" / "tagging.md").read_text()


def score(corpus: Mapping[str, tuple[str, ...]], suggest: Callable[[str], tuple[str, ...]]) -> tuple[int, int, int]:
    """Right, wrong and missing tags over all names."""
    right = wrong = missing = 0
    for name, expected in corpus.items():
        found = set(suggest(name))
        right += len(found & set(expected))
        wrong += len(found - set(expected))
        missing += len(set(expected) - found)
    return right, wrong, missing


@pytest.mark.parametrize(
    ("kind", "corpus", "suggest"),
    [("films and episodes", FILMS, film), ("songs", SONGS, lambda name: song(name, None))],
)
def test_the_page_quotes_what_the_corpus_gives(
    kind: str, corpus: Mapping[str, tuple[str, ...]], suggest: Callable[[str], tuple[str, ...]]
) -> None:
    right, wrong, missing = score(corpus, suggest)
    precision, recall = right / (right + wrong), right / (right + missing)
    row = re.search(rf"\| {kind} \| (\d+) \| (\d+) % \| (\d+) % \|", PAGE)
    assert row is not None
    assert row.groups() == (str(len(corpus)), f"{precision:.0%}"[:-1], f"{recall:.0%}"[:-1])
    assert precision > 0.95
    assert recall > 0.90


def test_there_is_enough_of_it() -> None:
    assert len(FILMS) + len(SONGS) > 60
    assert sum(not expected for expected in FILMS.values()) > 20


def test_an_album_folder_is_read_with_the_song() -> None:
    found = song_names.read("Can - Tago Mago (1971) [FLAC]/04. Halleluwah.flac")
    assert found == {"artist": "Can", "album": "Tago Mago", "year": "1971", "track": "04", "title": "Halleluwah"}


def test_what_cannot_be_a_tag_is_made_one_or_left_out() -> None:
    found = of_song({"artist": "AC/DC", "title": "Hello, World", "album": "\x07", "year": "1975-04-01", "track": "0"})
    assert found == ("artist:AC-DC", "title:Hello World", "year:1975")
    assert of_song({"title": "x" * 300, "artist": "..", "year": 19755}) == ()


def test_a_count_of_a_camera_is_no_episode() -> None:
    guess = {"title": "IMG", "season": 0, "episode": 42, "screen_size": "1080p"}
    assert of_film("IMG_0042.MOV", guess) == ()
    assert of_film("IMG s00e42 1080p.mov", guess) == ("title:IMG", "season:0", "episode:42", "1080p")


@pytest.mark.parametrize(
    ("tag", "key"),
    [("1080p", "resolution"), ("year:1979", "year"), ("movie", None), ("4k", None), ("720i", "resolution")],
)
def test_the_key_of_a_tag(tag: str, key: str | None) -> None:
    assert key_of(tag) == key


@given(
    st.dictionaries(
        st.sampled_from(("title", "season", "episode", "year", "screen_size", "video_codec", "source")),
        st.none() | st.integers(-5, 10**6) | st.text(max_size=30) | st.lists(st.integers(0, 99) | st.text(max_size=9)),
    )
)
def test_whatever_a_library_says_only_tags_come_out(guess: dict[str, object]) -> None:
    for tag in of_film("x s01", guess):
        assert check_own_tag(tag) == tag
        assert key_of(tag) in KEYS


@given(st.text(max_size=60), st.sampled_from(["", "Can - Tago Mago (1971)/", "x/"]))
def test_any_name_of_a_song_can_be_read(name: str, folder: str) -> None:
    for tag in song(f"{folder}{name}.mp3", None):
        assert check_own_tag(tag) == tag
