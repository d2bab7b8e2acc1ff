"""What libmagic tells of content as people have it, and what it is not asked."""

from __future__ import annotations

import io
import logging
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from engine.blobs.magic import HEAD, Magic


@pytest.fixture(scope="module")
def magic() -> Magic:
    return Magic()


def zipped(*files: tuple[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content)
    return made.getvalue()


def tarred() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return made.getvalue()


EBML = bytes.fromhex(
    "1a45dfa3a3428681014 2f7810142f2810442f381084282886d6174726f736b614287810442858102".replace(" ", "")
)
CONTENTS = {
    "video/x-matroska": EBML,
    "video/mp4": b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41" + bytes(64),
    "audio/flac": b"fLaC\0\0\0\x22" + bytes(60),
    "image/png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x30\x08\x02\0\0\0",
    "image/jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0",
    "text/plain": "Grüße, this is a text.\nWith lines.\n".encode(),
    "text/html": b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
    "application/pdf": b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
    "application/epub+zip": zipped(("mimetype", b"application/epub+zip"), ("META-INF/container.xml", b"<x/>")),
    "application/vnd.oasis.opendocument.text": zipped(("mimetype", b"application/vnd.oasis.opendocument.text")),
    "application/zip": zipped(("a.txt", b"a")),
    "application/x-tar": tarred(),
    "application/x-iso9660-image": bytes(32768) + b"\x01CD001\x01\0" + b" " * 4000,
    "application/x-bittorrent": b"d8:announce20:http://tracker.example/4:infod6:lengthi5ee",
    "application/gzip": bytes.fromhex("1f8b0800000000000003") + bytes(20),
    "application/vnd.debian.binary-package": b"!<arch>\ndebian-binary   1342943816  0     0     100644  4         `\n"
    b"2.0\n",
    "": bytes(100),
}


@pytest.mark.parametrize("expected", CONTENTS)
def test_content_says_what_it_is(magic: Magic, expected: str) -> None:
    assert magic.look(CONTENTS[expected][:HEAD]) == expected


def test_nothing_says_nothing(magic: Magic) -> None:
    assert magic.look(b"") == ""


def test_a_file_is_looked_at_by_its_first_bytes_alone(magic: Magic, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(CONTENTS["image/png"])
    os.truncate(path, 1 << 40)  # sparse: reading on would take an hour
    assert magic.look_at(str(path)) == "image/png"


def test_without_the_library_nobody_can_tell(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        magic = Magic("libmagic-that-is-not-there.so.1")
    assert magic.look(CONTENTS["image/png"]) is None
    assert "by their names alone" in caplog.text
