"""What content and name say together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media_types import UNKNOWN, media_types, says_enough

CASES = [
    ("film.mp4", "text/html", ("text", "text/html")),
    ("download", "video/x-matroska", ("video", "video/x-matroska")),
    ("notes.md", "text/plain", ("text", "text/markdown")),
    ("a.json", "text/plain", ("application/json",)),
    ("film.mp4", "text/plain", ("text", "text/plain")),
    ("letter.pdf", "text/plain", ("text", "text/plain")),
    ("song.mka", "video/x-matroska", ("audio", "audio/x-matroska")),
    ("photo.jpg", "image/png", ("image", "image/png")),
    ("x.tar.gz", "application/gzip", ("archive", "application/gzip")),
    ("x.iso", "application/x-iso9660-image", ("archive", "application/x-iso9660-image")),
    ("book.epub", "application/zip", ("application/epub+zip",)),
    ("film.mkv", "application/zip", ("archive", "application/zip")),
    ("no name says it", "application/zip", ("archive", "application/zip")),
    ("film.mkv", UNKNOWN, ("video", "video/x-matroska")),
    ("film.mkv", None, ("video", "video/x-matroska")),
    ("what", UNKNOWN, ()),
    ("what", None, ()),
]


@pytest.mark.parametrize(("name", "mime", "expected"), CASES)
def test_content_decides_and_the_name_refines(name: str, mime: str | None, expected: tuple[str, ...]) -> None:
    assert media_types(name, mime) == expected


@given(st.text(max_size=20), st.sampled_from(["image/png", "application/pdf", "audio/mpeg", "video/quicktime"]))
def test_what_leaves_nothing_open_is_not_refined(name: str, mime: str) -> None:
    assert media_types(name, mime)[-1] == mime


@pytest.mark.parametrize(
    "name", ["notes.md", "a.json", "film.srt", "page.svg", "film.mp4", "what", "song.mka", "x.tar.gz"]
)
@pytest.mark.parametrize("mime", ["text/plain", "text/html", "image/svg+xml", "application/json", "message/rfc822"])
def test_a_name_that_says_enough_says_what_the_look_would(name: str, mime: str) -> None:
    assert not says_enough(name, b"text" + bytes([0]))
    assert not says_enough(name, "Gr\u00fc\u00dfe".encode())
    if says_enough(name, b"<html>\ttext\r\n"):
        assert media_types(name, None) == media_types(name, mime)


def test_names_of_texts_say_enough() -> None:
    assert says_enough("notes.md", b"") and says_enough("a.json", b"{}") and says_enough("a.b.TXT", b"text\n")
    assert not any(says_enough(name, b"text") for name in ("film.mp4", "what", "a.pdf", "a.txt.gz", ""))
