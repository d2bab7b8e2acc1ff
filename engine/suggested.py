"""From what was found out about a film or a song to the tags that are proposed. Pure; imports query. Any thread.

    title:Alien  year:1979  season:1  episode:3  1080p  codec:h.264  artist:Can  album:Tago Mago  track:4

A resolution is a plain tag, as people write it: `movie/1080p` and `1080p,2160p`. Values that cannot be tags are made
such (`AC/DC` becomes `AC-DC`, and a comma goes), or left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from query.errors import BadName
from query.names import check_own_tag, split_pair

RESOLUTION: Final = "resolution"
KEYS: Final = ("title", "year", "season", "episode", RESOLUTION, "codec", "artist", "album", "track")

_RESOLUTION: Final = re.compile(r"\d{3,4}[pi]")
# Without one of these a number that guessit takes for a season and an episode is a camera's count: IMG_0042.MOV.
_MARKED: Final = re.compile(
    r"(?i)(?<![a-z])s\d{1,4}(?!\d)|(?<!\d)\d{1,3}x\d{2,3}(?!\d)|season|staffel|saison|temporada"
)
_SPACES: Final = re.compile(r"\s+")
_MANY: Final = 30  # episodes in one file: beyond, something else was numbered
_VALUE_BYTES: Final = 200


def key_of(tag: str) -> str | None:
    """What a tag is about, one of KEYS or a key of the user's; None for a plain tag that is no resolution."""
    if _RESOLUTION.fullmatch(tag):
        return RESOLUTION
    pair = split_pair(tag)
    return None if pair is None else pair[0]


def of_film(name: str, guess: Mapping[str, Any]) -> tuple[str, ...]:
    """From what guessit says of `name`. Nothing where the name looks like no release: guessit makes a title of
    everything, and of what a camera calls its films as well."""
    seasons, episodes = _numbers(guess.get("season")), _numbers(guess.get("episode"))
    if seasons and not _MARKED.search(name):
        seasons, episodes = [], []
    year, size, codec = guess.get("year"), guess.get("screen_size"), guess.get("video_codec")
    technical = sum(1 for found in (size, codec, guess.get("source"), guess.get("release_group")) if found)
    is_episode = bool(episodes) and (bool(seasons) or technical > 0)
    is_dated = technical == 0 and str(guess.get("title", "")).isdigit()  # 2019-05-14 12-30-11.mkv
    is_film = (isinstance(year, int) and not is_dated) or technical > 1
    if not is_episode and not is_film and not (seasons and technical):
        return ()
    found: list[tuple[str, Any]] = [("title", guess.get("title")), ("year", year)]
    found += [("season", number) for number in seasons]
    if is_episode:
        found += [("episode", number) for number in episodes]
    if isinstance(size, str) and _RESOLUTION.fullmatch(size):
        found.append((RESOLUTION, size))
    found += [("codec", one) for one in _texts(codec)]
    return _tags(found)


def of_song(found: Mapping[str, Any]) -> tuple[str, ...]:
    """From `artist`, `album`, `title`, `year`, `track`, each a text, a number or None."""
    year = re.match(r"(1[89]|20)\d\d(?!\d)", str(found.get("year") or ""))
    track = re.match(r"\d{1,3}(?!\d)", str(found.get("track") or ""))
    values = [(key, found.get(key)) for key in ("artist", "album", "title")]
    values += [("year", year[0] if year else None), ("track", int(track[0]) if track and int(track[0]) else None)]
    return _tags(values)


def _tags(found: Iterable[tuple[str, Any]]) -> tuple[str, ...]:
    tags: dict[str, None] = {}
    for key, value in found:
        text = "" if value is None else _SPACES.sub(" ", str(value).replace("/", "-").replace(",", "")).strip()
        if key == "codec":
            text = text.lower()
        if not text or len(text.encode(errors="replace")) > _VALUE_BYTES:
            continue
        try:
            tags[check_own_tag(text if key == RESOLUTION else f"{key}:{text}")] = None
        except BadName:
            continue
    return tuple(tags)


def _numbers(value: Any) -> list[int]:
    values = value if isinstance(value, list) else [value]
    numbers = [number for number in values if isinstance(number, int)]
    return numbers if len(numbers) <= _MANY else []


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]
