"""`tagfs complete -- WORD...`: what may follow, for the scripts that `tagfs completion` prints. Not listed. Blocking.

WORD are what stands after `tagfs` up to the cursor, the last one perhaps empty, each as it was typed, quotes and all.
The first line of the answer says what else to offer, `files`, `dirs` or `none`, and `nospace` when the word goes on;
the others are candidates. Whatever goes wrong, nobody is told: less is offered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tagfs.cli import table

if TYPE_CHECKING:
    import argparse

MOST = 200  # candidates; more help nobody
PAGES = 3  # of 1,000 tags each

# As in query.builtin, which a test compares: the command line imports nothing of the engine.
BUILTIN = ("state", "type", "ext", "size", "added", "source", "host", "name", "sha256", "is")
VALUES = {
    "state": ("queued", "downloading", "paused", "complete", "seeding", "failed", "missing", "skipped"),
    "is": ("untagged",),
    "type": ("video", "audio", "image", "text", "archive"),
    "source": ("http", "ftp", "torrent", "import", "mount"),
}
RELATIONS = ("implies", "same-as", "excludes", "requires")
_GLOBAL = ("--help", "--state", "--version")
_FILES = {"FILE": "files", "PATH": "files", "WHAT": "files", "DEST": "files", "DIR": "dirs", "[DIR]": "dirs"}
_UNTYPABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Ask(Protocol):
    """The daemon. Answers are empty where there is none."""

    def tags(self, prefix: str, above: str | None) -> Iterable[str]:
        """Tags that begin with `prefix`, sorted; with `above` only those of the items of that path below /tags."""

    def names(self, prefix: str) -> Iterable[str]:
        """Names of items that begin with `prefix`, sorted, some of them."""

    def saved(self, prefix: str) -> Iterable[str]:
        """Names of saved queries that begin with `prefix`, sorted."""


@dataclass(frozen=True, slots=True)
class Answer:
    candidates: Sequence[str] = ()
    also: str = "none"
    glued: bool = field(default=False)  # the word goes on after the candidate

    def text(self) -> str:
        typable = [text for text in self.candidates if not _UNTYPABLE.search(text)][:MOST]
        return "\n".join([f"{self.also} nospace" if self.glued else self.also, *typable]) + "\n"


def answer(typed: Sequence[str], ask: Ask) -> Answer:
    """What may stand in the place of the last of the words."""
    *before, current = [unquoted(word) for word in typed] or [""]
    while before and before[0].startswith("--state"):
        if before == ["--state"]:
            return Answer(also="dirs")
        del before[: 1 if "=" in before[0] else 2]
    if not before:
        return _among((*table.ENTRIES, "help") if not current.startswith("-") else _GLOBAL, current)
    if before[0] == "help":
        return _among(tuple(table.ENTRIES), current) if len(before) == 1 else Answer()
    if before[0] not in table.ENTRIES:
        return Answer()
    from tagfs.cli.main import parser

    if before[0] == "relation" and not current.startswith("-"):
        return _relation(before[1:], current, ask)
    return _of_verb(before[0], parser(before[0])._actions, before[1:], current, ask)


def _relation(before: Sequence[str], current: str, ask: Ask) -> Answer:
    """add TAG RELATION OTHER, rm and the same, or a TAG."""
    if len(before) == 2:
        return _among(RELATIONS, current)
    found = _tags(ask.tags(current, None), current)
    if before:
        return found if len(before) in (1, 3) else Answer()
    return Answer([*(word for word in ("add", "rm") if word.startswith(current)), *found.candidates])


def _of_verb(verb: str, actions: Sequence[argparse.Action], before: Sequence[str], current: str, ask: Ask) -> Answer:
    options = {text: action for action in actions for text in action.option_strings}
    places = [action for action in actions if not action.option_strings]
    awaited, position, literal = _read(options, before)
    if awaited is not None:
        return _value(verb, awaited[0], awaited[1], current, ask)
    if not literal and _optional(current):
        name, equals, value = current.partition("=")
        if equals and name in options:
            found = _value(verb, options[name], 0, value, ask)
            return Answer([f"{name}={text}" for text in found.candidates], "none", found.glued)
        return _among(tuple(sorted(options, key=lambda text: text.lstrip("-").lower())), current)
    if not places:
        return Answer()
    return _value(verb, places[min(position, len(places) - 1)], 0, current, ask)


def _read(
    options: dict[str, argparse.Action], before: Sequence[str]
) -> tuple[tuple[argparse.Action, int] | None, int, bool]:
    """The option that waits for a value, and which of its values; how many places are filled; whether -- was there."""
    position, at = 0, 0
    while at < len(before):
        word = before[at]
        at += 1
        if word == "--":
            return None, position + len(before) - at, True
        action = options.get(word)
        if action is not None:
            takes = 1 if action.nargs in (None, "+") else action.nargs if isinstance(action.nargs, int) else 0
            if at + takes > len(before) or (action.nargs == "+" and not any(w[:1] == "-" for w in before[at:])):
                return (action, len(before) - at), position, False
            at += takes
        elif not _optional(word) or word == "-":
            position += 1
    return None, position, False


def _optional(word: str) -> bool:
    """Whether it is, or becomes, an option: `-/watched` is a path."""
    return word.startswith("-") and not word.startswith("-/")


def _value(verb: str, action: argparse.Action, number: int, current: str, ask: Ask) -> Answer:
    """By the metavar of the argument: what people read in the help is what is completed."""
    kind = action.metavar[min(number, len(action.metavar) - 1)] if isinstance(action.metavar, tuple) else action.metavar
    if action.choices is not None:
        return _among(tuple(map(str, action.choices)), current)
    if kind == "TAG[,TAG]":
        return _tag_list(current, ask)
    if kind in ("NAME", "OLD") and action.dest in ("delete", "rename") and verb == "queries":
        return Answer(list(ask.saved(current)))
    if kind in ("TAG", "OLD"):
        return _tags(ask.tags(current, None), current)
    if kind == "QUERY":
        return _query(current, ask)
    if kind == "ITEM":
        if "/" in current:
            return Answer(also="files")
        names = list(ask.names(current))
        return Answer(names, "none" if names else "files")
    if kind == "OPT[,OPT]":
        from tagfs.config.mount_options import spelled

        head, comma, last = current.rpartition(",")
        words = [word.partition("=")[0] + ("=" if "=" in word else "") for word in spelled().split(", ")]
        return Answer([head + comma + word for word in words if word.startswith(last)], glued=True)
    return Answer(also=_FILES.get(kind or "", "none"))


def _tag_list(current: str, ask: Ask) -> Answer:
    head, comma, last = current.rpartition(",")
    given = set(head.split(","))
    found = _tags((tag for tag in ask.tags(last, None) if tag not in given), last)
    return Answer([head + comma + tag for tag in found.candidates], glued=found.glued)


def _query(current: str, ask: Ask) -> Answer:
    """The last tag of an expression, or the last component of a path, among the tags that would narrow it."""
    if current.startswith(("/", "./", "../", "~")):
        return Answer(also="files")
    path = re.fullmatch(r"([^\s()]*/)(-?)([^\s()/]*)", current)
    head, minus, last = path.groups() if path else ("", "", "")
    if path is None:
        at = max((current.rfind(char) for char in " ()"), default=-1) + 1
        head, last = current[:at], current[at:]
    if last.startswith("@") and path is None:
        return Answer([f"{head}@{name}" for name in ask.saved(last[1:])])
    key, colon, value = last.partition(":")
    if colon and key in VALUES:
        return Answer([f"{head}{minus}{key}:{text}" for text in VALUES[key] if text.startswith(value)])
    found = _tags(ask.tags(last, head.strip("/") if path else None), last)
    keys = [f"{key}:" for key in BUILTIN if last and key.startswith(last)]
    every = [*found.candidates, *(key for key in keys if key not in found.candidates)]
    return Answer([head + minus + tag for tag in every], glued=bool(every) and all(tag[-1] == ":" for tag in every))


def _tags(tags: Iterable[str], prefix: str) -> Answer:
    """Pairs of one key are one candidate, `year:`, until the key is there."""
    found: dict[str, None] = {}
    if ":" in prefix:
        return Answer(list(tags))
    keys: dict[str, int] = {}
    for tag in tags:
        key, colon, _ = tag.partition(":")
        found[f"{key}:" if colon else tag] = None
        keys[f"{key}:"] = keys.get(f"{key}:", 0) + bool(colon)
    return Answer(list(found), glued=bool(found) and all(tag in keys and tag[-1] == ":" for tag in found))


def _among(words: Sequence[str], current: str) -> Answer:
    return Answer([word for word in words if word.startswith(current)])


def unquoted(word: str) -> str:
    """A word as the shell will read it, of which the end, and so a closing quote, may be missing."""
    plain, quote, at = "", "", 0
    while at < len(word):
        char = word[at]
        at += 1
        if quote == "'":
            plain, quote = (plain, "") if char == "'" else (plain + char, quote)
        elif char == "\\" and (not quote or word[at : at + 1] in ('"', "\\", "$", "`")):
            plain += word[at : at + 1]
            at += 1
        elif quote:
            plain, quote = (plain, "") if char == quote else (plain + char, quote)
        elif char in "'\"":
            quote = char
        else:
            plain += char
    return plain


class Daemon:
    """`Ask` over the socket. A connection is made when something is asked for."""

    def __init__(self, state: str | None) -> None:
        self._state = state

    def tags(self, prefix: str, above: str | None) -> Iterator[str]:
        import os

        from tagfs.cli.session import Session
        from tagfs.control.views_items import TagPage

        scope = {"query": above, "spelling": "path"} if above else {}
        after: str | None = "" if above else _just_below(prefix)
        with Session(self._state, os.environ).client() as client:
            for _ in range(PAGES):
                page = client.call("tags", {**scope, "after": after}, TagPage)
                for tag in page.tags:
                    if tag.name.startswith(prefix):
                        yield tag.name
                    elif tag.name > prefix and not above:
                        return
                after = page.next
                if after is None:
                    return

    def names(self, prefix: str) -> Iterator[str]:
        import os

        from tagfs.cli.session import Session

        with Session(self._state, os.environ).client() as client:
            yield from client.call("names", {"prefix": prefix, "limit": MOST}, tuple[str, ...])

    def saved(self, prefix: str) -> Iterator[str]:
        import os

        from tagfs.cli.session import Session
        from tagfs.control.views_relations import SavedQueryView

        with Session(self._state, os.environ).client() as client:
            for query in client.call("queries", {}, tuple[SavedQueryView, ...]):
                if query.name.startswith(prefix):
                    yield query.name


def _just_below(prefix: str) -> str:
    """A text below every one that begins with `prefix`, and not far below."""
    if not prefix or ord(prefix[-1]) in (0, 0xE000):
        return ""
    return prefix[:-1] + chr(ord(prefix[-1]) - 1)


class Quiet:
    """What cannot be asked has no answer."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def tags(self, prefix: str, above: str | None) -> list[str]:
        found = _quietly(lambda: self._ask.tags(prefix, above))
        return found if found or above is None else _quietly(lambda: self._ask.tags(prefix, None))

    def names(self, prefix: str) -> list[str]:
        return _quietly(lambda: self._ask.names(prefix))

    def saved(self, prefix: str) -> list[str]:
        return _quietly(lambda: self._ask.saved(prefix))


def _quietly(ask: Callable[[], Iterable[str]]) -> list[str]:
    from tagfs.config.errors import ConfigError
    from tagfs.control.client import NoDaemon
    from tagfs.control.errors import VerbError

    try:
        return list(ask())
    except (VerbError, NoDaemon, ConfigError, OSError):
        return []


def run(arguments: Sequence[str]) -> int:
    """The hidden verb."""
    words = list(arguments[1:] if arguments[:1] == ["--"] else arguments)
    print(answer(words, Quiet(Daemon(_state(words)))).text(), end="")
    return 0


def _state(words: Sequence[str]) -> str | None:
    """The state directory that the line names."""
    for at, word in enumerate(words):
        if word.startswith("--state="):
            return unquoted(word.removeprefix("--state="))
        if word == "--state" and at + 1 < len(words):
            return unquoted(words[at + 1]) or None
    return None
