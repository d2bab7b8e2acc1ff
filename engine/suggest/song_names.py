"""What the name of a song says, and that of the folder that it is in. Pure; imports nothing.

    Artist - Title.mp3                          03 - Title.flac
    03 Artist - Title.flac                      Artist - Album - 03 - Title.ogg
    Artist - Album (1999)/03. Title.flac        1999 - Album/Title.mp3 is not read: it may be anything

Modest on purpose: it is asked where the file itself says nothing (see worker).
"""

from __future__ import annotations

import re
from typing import Final

# A bare number before a title is a track only with a leading zero: there are songs called 99 Luftballons.
_TRACK: Final = re.compile(r"(?:\d-)?(?:(\d{1,3})\s*[.)_-]\s*|(?<=-)(\d{2})\s+|(0\d{1,2})\s+)(?=\D)(.+)")
_ALBUM: Final = re.compile(r"(?P<artist>.+?) - (?P<album>.+?)(?:\s*[\[(](?P<year>(?:19|20)\d\d)[^\])]*[\])].*)?")
_NOISE: Final = re.compile(
    r"\s*[\[(](?:official|lyrics?|audio|hd|hq|\d{2,4}\s*k(?:bps)?|flac|mp3|explicit)[^\])]*[\])]", re.IGNORECASE
)


def read(name: str) -> dict[str, str]:
    """`name` with an extension, and the folder before a slash where there is one. Some of artist, album, title, year
    and track."""
    folder, _, own = name.rpartition("/")
    stem = own.rpartition(".")[0] or own
    if "_" in stem and " " not in stem:
        stem = stem.replace("_", " ")
    stem = _NOISE.sub("", stem).strip()
    found: dict[str, str] = {}
    parts = [part.strip() for part in stem.split(" - ")]
    numbered = _TRACK.fullmatch(stem)
    if len(parts) > 1 and parts[-2].isdigit() and len(parts[-2]) <= 3:  # Artist - Album - 03 - Title
        found["track"], found["title"] = parts[-2], parts[-1]
        parts = parts[:-2]
        if parts:
            found["artist"] = parts[0]
        if len(parts) == 2:
            found["album"] = parts[1]
    elif numbered:
        found["track"] = numbered[1] or numbered[2] or numbered[3]
        artist, dash, title = numbered[4].partition(" - ")
        found |= {"artist": artist, "title": title} if dash else {"title": numbered[4]}
    elif len(parts) == 2:
        found["artist"], found["title"] = parts
    album = _ALBUM.fullmatch(folder.strip()) if found else None
    if album is not None:
        for key, value in album.groupdict().items():
            if value:
                found.setdefault(key, value)
    return found
