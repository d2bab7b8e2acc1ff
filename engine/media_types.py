"""The values of `type:`: what a file is by its content, where that is known, else by its name. Pure; imports nothing.

Content decides the class: a page of HTML that somebody calls `film.mp4` is text. The name decides what content leaves
open: text of which kind, what is in a container, and everything where the content says nothing.

    content                         name may say            e.g.
    nothing known                   anything                recording.ts
    text                            any kind of text        notes.md, film.srt, script.py
    zip, OLE                        any application         book.cbz, letter.doc
    Matroska, Ogg, ASF, MP4         video or audio          song.mka
"""

from __future__ import annotations

import mimetypes
from typing import Final

UNKNOWN: Final = ""  # looked at, and it says nothing

_TEXT_BYTES: Final = bytes((*range(7, 14), 27, *range(32, 127)))  # of ASCII, what libmagic takes for text

# Endings that mimetypes does not know everywhere.
_FURTHER: Final = {
    "mkv": "video/x-matroska", "mka": "audio/x-matroska", "m2ts": "video/mp2t", "m4v": "video/x-m4v",
    "wmv": "video/x-ms-wmv", "wma": "audio/x-ms-wma", "flac": "audio/flac", "opus": "audio/ogg", "ogg": "audio/ogg",
    "ogv": "video/ogg", "md": "text/markdown", "srt": "application/x-subrip", "epub": "application/epub+zip",
    "cbz": "application/vnd.comicbook+zip", "iso": "application/x-iso9660-image", "7z": "application/x-7z-compressed",
}  # fmt: skip

_CLASSES: Final = ("video", "audio", "image", "text")
_ARCHIVES: Final = frozenset(
    "application/" + kind
    for kind in (
        "zip", "x-tar", "x-7z-compressed", "vnd.rar", "x-rar-compressed", "x-rar", "gzip", "x-bzip2", "x-xz", "zstd",
        "x-iso9660-image", "x-cpio", "java-archive", "vnd.debian.binary-package", "x-debian-package", "x-rpm",
        "bzip2", "x-gzip", "x-bzip", "xz", "x-compress", "compress", "x-lzma", "x-lz4", "x-lzip", "x-archive",
        "x-zstd", "vnd.ms-cab-compressed", "x-arj", "x-lha", "vnd.android.package-archive", "x-raw-disk-image",
    )
)  # fmt: skip
_TEXTUAL: Final = frozenset(
    "application/" + kind
    for kind in (
        "json", "xml", "javascript", "x-javascript", "x-sh", "x-csh", "x-subrip", "x-tex", "x-latex", "x-python",
        "x-perl", "x-ruby", "sql", "yaml", "toml", "rtf", "postscript", "xhtml+xml", "x-yaml", "x-httpd-php",
        "metalink4+xml", "metalink+xml", "rss+xml", "atom+xml", "x-ndjson", "x-tcl", "x-desktop", "mbox",
        "pgp-signature", "pgp-keys", "x-bittorrent", "x-info", "x-mpegurl", "vnd.apple.mpegurl",
    )
) | {"image/svg+xml", "audio/x-mpegurl", "audio/mpegurl", "message/rfc822"}  # fmt: skip
_PACKAGES: Final = frozenset(
    ("application/zip", "application/x-ole-storage", "application/CDFV2", "application/vnd.ms-office")
)
_CONTAINERS: Final = frozenset(
    ("video/x-matroska", "video/x-ms-asf", "application/ogg", "audio/ogg", "video/ogg", "video/mp4", "video/webm")
)


def media_types(name: str, mime: str | None) -> tuple[str, ...]:
    """The class, if there is one, and the MIME type; empty when unknown. `mime` is that of the content, None where
    nobody has looked."""
    named = _by_name(name)
    if not mime:
        return _classified(named) if named is not None else ()
    if named is not None and _may_refine(mime, named):
        return _classified(named)
    return _classified(mime)


def says_enough(name: str, head: bytes | bytearray) -> bool:
    """Whether content that begins so is the text that its name calls it, so that a look at it (libmagic takes a
    millisecond for a text) is in no hurry: it would not change what `media_types` says."""
    named = _by_name(name)
    if named is None or not _may_refine("text/plain", named):
        return False
    return not head.translate(None, _TEXT_BYTES)


def _by_name(name: str) -> str | None:
    mime, encoding = mimetypes.guess_type(name, strict=False)
    if encoding is not None:
        return f"application/{encoding}"
    return mime or _FURTHER.get(name.rpartition(".")[2].lower())


def _classified(mime: str) -> tuple[str, ...]:
    major = mime.partition("/")[0]
    if mime in _ARCHIVES:
        return ("archive", mime)
    return (major, mime) if major in _CLASSES else (mime,)


def _may_refine(mime: str, named: str) -> bool:
    major, named_major = mime.partition("/")[0], named.partition("/")[0]
    if major == "text" or mime in _TEXTUAL:
        return named_major == "text" or named in _TEXTUAL
    if mime in _PACKAGES:
        return named_major == "application" and named != "application/octet-stream"
    if mime in _CONTAINERS:
        return named_major in ("video", "audio")
    return False
