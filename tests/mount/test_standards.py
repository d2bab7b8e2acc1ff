"""Extended attributes as other programs write and read them: KDE's, and downloaders that write into the mount."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.conftest import Mount
from tests.support.nginx import Nginx, nginx

TAGS, RATING, COMMENT = "user.xdg.tags", "user.baloo.rating", "user.xdg.comment"


class UserMetaData:
    """What KFileMetaData::UserMetaData, by which Dolphin, Baloo, Gwenview and digiKam read and write, does with a file.

    Tags are joined by commas, by ", " before 2018; no tags, a rating of 0 and an empty comment remove the attribute.
    """

    def __init__(self, file: Path, separator: str = ",") -> None:
        self._file = file
        self._separator = separator

    def supported(self) -> bool:
        try:
            os.getxattr(self._file, "user.test")
        except OSError as error:
            return error.errno != errno.ENOTSUP
        return True

    def set_tags(self, *tags: str) -> None:
        self._set(TAGS, self._separator.join(tags))

    def set_rating(self, rating: int) -> None:
        self._set(RATING, str(rating) if rating else "")

    def set_comment(self, text: str) -> None:
        self._set(COMMENT, text)

    def tags(self) -> list[str]:
        return [tag for tag in self._get(TAGS).split(",") if tag]

    def rating(self) -> int:
        return int(self._get(RATING) or 0)

    def comment(self) -> str:
        return self._get(COMMENT)

    def _set(self, name: str, value: str) -> None:
        if value:
            os.setxattr(self._file, name, value.encode())
        else:
            os.removexattr(self._file, name)

    def _get(self, name: str) -> str:
        try:
            return os.getxattr(self._file, name).decode()
        except OSError as error:
            assert error.errno == errno.ENODATA
            return ""


def test_tags_ratings_and_comments_as_kde_writes_them(mount: Mount) -> None:
    data = UserMetaData(mount.put("files/f.mkv", "x"))
    assert data.supported() and UserMetaData(mount / "tags").supported()
    data.set_tags("to watch", "Film", "caf\u00e9", "\u6620\u753b")
    assert data.tags() == ["Film", "caf\u00e9", "to watch", "\u6620\u753b"]  # a set: in the order of code points
    assert mount.names("tags/to watch/Film") == ["f.mkv"]
    UserMetaData(mount / "files/f.mkv", ", ").set_tags("Film", "caf\u00e9")
    assert data.tags() == ["Film", "caf\u00e9"]
    data.set_tags("Film")
    assert data.tags() == ["Film"] and mount.names("tags/to watch") == []
    for rating in (1, 5, 10):
        data.set_rating(rating)
        assert data.rating() == rating
        assert mount.names(f"tags/rating:{rating}") == ["f.mkv"]
    data.set_rating(0)
    assert data.rating() == 0 and data.tags() == ["Film"]
    data.set_comment("one, two\nthree")
    assert data.comment() == "one, two\nthree"
    data.set_comment("")
    assert data.comment() == ""
    data.set_tags()
    assert data.tags() == [] and mount.names("tags/is:untagged") == ["f.mkv"]
    # Dolphin writes back all tags that it has read, one of them the rating's.
    data.set_rating(8)
    data.set_tags(*data.tags(), "new")
    assert data.tags() == ["new", "rating:8"] and data.rating() == 8


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Nginx]:
    served = tmp_path / "served"
    served.mkdir()
    (served / "f.txt").write_bytes(b"text\n" * 1000)
    with nginx(tmp_path / "nginx", served) as running:
        yield running


def test_curl_and_wget_tell_where_a_file_came_from(mount: Mount, server: Nginx) -> None:
    (mount / "tags/a").mkdir()
    url = server.url("f.txt").replace("://", "://me:secret@")
    mount.sh(f"cd tags/a && curl -sS --xattr -e {server.url('page.html')} -O '{url}?token=secret&x=1'")
    file = mount / "tags/a/f.txt"
    mount.settle(file)
    assert file.read_bytes() == b"text\n" * 1000
    assert os.getxattr(file, "user.xdg.origin.url").decode() == server.url("f.txt?token=***&x=1")
    assert os.getxattr(file, "user.xdg.referrer.url").decode() == server.url("page.html")
    assert os.getxattr(file, "user.mime_type") == b"text/plain"
    assert os.getxattr(file, TAGS) == b"a"

    mount.sh(f"cd tags/a && wget -q --xattr -O by-wget {server.url('f.txt')}")
    file = mount / "tags/a/by-wget"
    mount.settle(file)
    assert file.read_bytes() == b"text\n" * 1000
    assert os.getxattr(file, "user.xdg.origin.url").decode() == server.url("f.txt")
    assert os.getxattr(file, TAGS) == b"a"


def test_what_yt_dlp_does(mount: Mount) -> None:
    """`yt-dlp --xattrs`: NAME.part, renamed when it is whole, its time set, then attributes by path."""
    (mount / "tags/a").mkdir()
    part, final = mount / "tags/a/v.mp4.part", mount / "tags/a/v.mp4"
    with part.open("wb") as stream:
        stream.write(b"video" * 1000)
    part.rename(final)
    os.utime(final, (1_700_000_000, 1_700_000_000))
    written = {
        "user.xdg.referrer.url": b"https://example.org/watch?v=x",
        "user.dublincore.title": "Caf\u00e9 \u2013 the film".encode(),
        "user.dublincore.date": b"2026-11-25",
        "user.dublincore.contributor": b"somebody",
        "user.dublincore.description": b"line\n" * 500,
        "user.dublincore.format": b"22 - 1280x720 (hd720)",
    }
    for name, value in written.items():
        os.setxattr(final, name, value)
    mount.settle(final)
    assert {name: os.getxattr(final, name) for name in written} == written
    assert final.stat().st_mtime == 1_700_000_000 and not part.exists()
    assert os.getxattr(final, TAGS) == b"a"


def test_addresses_keep_no_secrets_whoever_writes_them(mount: Mount) -> None:
    file = mount.put("files/f", "x")
    for given, kept in (
        (b"https://me:pw@example.org/f?x=1#part", b"https://example.org/f?x=1"),
        (b"https://example.org/f?sig=abc&access_token=abc", b"https://example.org/f?sig=***&access_token=***"),
        (b"not a url", b"not a url"),
        (b"http://[broken", b"http://[broken"),
        (b"https://example.org/\xff", b"https://example.org/\xff"),
    ):
        for name in ("user.xdg.origin.url", "user.xdg.referrer.url"):
            os.setxattr(file, name, given)
            assert os.getxattr(file, name) == kept
