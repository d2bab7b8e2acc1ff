"""Extended attributes of items: tags, what is known of a download, and whatever a user stores. Trio thread.

`LISTED` and `WRITABLE` are the table that docs and tests are held to.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from typing import TypeAlias
from unicodedata import normalize

from engine.ports import Catalogue, Edit
from engine.sources.urls import public_url
from engine.torrents.adopting import ROOT
from engine.types import Item, ItemId, Kind, State, timestamp
from query.errors import BadName
from query.names import check_own_tag
from tagfs.vfs.context import Context
from tagfs.vfs.edits import own_tags, resume
from tagfs.vfs.newcomers import Newcomers
from tagfs.vfs.tree import Stated

XDG_TAGS = "user.xdg.tags"
TAGS = "user.tags"
TAG_PREFIX = "user.tag."
ORIGIN = "user.xdg.origin.url"
REFERRER = "user.xdg.referrer.url"
RATING = "user.baloo.rating"
STATE = "user.tagfs.state"
MODE = "user.tagfs.mode"
OWN_PREFIX = "user.tagfs."
INHERITED = OWN_PREFIX + "inherited"
SUGGESTED = OWN_PREFIX + "suggested"  # not listed: a listing of attributes should not ask for it each time
VALUE_MAX = 65536
LIST_MAX = 65536  # the kernel's limit for all names of a file together
READ_ONLY = frozenset(
    OWN_PREFIX + name
    for name in (
        "id", "progress", "speed", "eta", "error", "sha256", "btroot", "sources", "added", "unverified", "inherited",
        "suggested",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Copy:
    """By a program that makes an item look like another file. `to` is what the directory states that it copies to: no
    tag of that is taken off. None, where nobody knows: none at all is."""

    to: Stated | None


Copier: TypeAlias = Callable[[], Awaitable[Copy | None]]


async def nobody() -> Copy | None:
    return None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _missing(name: str) -> OSError:
    return OSError(errno.ENODATA, f"there is no attribute {name}")


class Xattrs:
    def __init__(self, context: Context, newcomers: Newcomers) -> None:
        self._context = context
        self._newcomers = newcomers
        self._computed: dict[str, Callable[[Item], str | None]] = {
            XDG_TAGS: self._tags,
            INHERITED: self._inherited,
            ORIGIN: self._origin,
            STATE: self._state,
            MODE: lambda item: self._context.transfers.mode(item.id),
            OWN_PREFIX + "id": lambda item: str(item.id),
            OWN_PREFIX + "progress": self._progress,
            OWN_PREFIX + "speed": self._speed,
            OWN_PREFIX + "eta": self._eta,
            OWN_PREFIX + "error": lambda item: item.error,
            OWN_PREFIX + "sha256": lambda item: item.sha256 if self._context.drafts.is_whole(item.id) else None,
            OWN_PREFIX + "btroot": self._btroot,
            OWN_PREFIX + "sources": self._sources,
            OWN_PREFIX + "added": lambda item: timestamp(item.added_ns),
        }

    def list(self, item: ItemId) -> list[str]:
        row = self._row(item)
        if row.kind is Kind.SYMLINK:
            return []  # the kernel lets nobody get user.* of one
        names = [name for name, value in self._computed.items() if value(row) is not None]
        names += [name for name in self._context.catalogue.xattrs(item) if name not in self._computed]
        if sum(len(os.fsencode(name)) + 1 for name in names) > LIST_MAX:
            raise OSError(errno.E2BIG, f"item {item} has more attributes than can be listed")
        return names

    def get(self, item: ItemId, name: str) -> bytes:
        check_namespace(name)
        row = self._row(item)
        if name in self._computed:
            value = self._computed[name](row)
            if value is None:
                raise _missing(name)
            return _bytes(value)
        if name == TAGS:
            return _bytes(self._tags(row) or "")
        if name == SUGGESTED:
            return _bytes(",".join(tag for tag, _ in self._context.catalogue.suggestions(item)))
        if name.startswith(TAG_PREFIX):
            return self._tag_value(item, normalize("NFC", name.removeprefix(TAG_PREFIX)))
        try:
            return self._context.catalogue.xattrs(item)[name]
        except KeyError:
            raise _missing(name) from None

    async def set(self, item: ItemId, name: str, value: bytes, *, program: int = 0, copier: Copier = nobody) -> None:
        """`program` is who does it, as the kernel tells; 0: unknown. `copier` says whether that one copies; it is asked
        where that matters, since it costs more than the rest."""
        check_namespace(name)
        if len(value) > VALUE_MAX:
            raise OSError(errno.E2BIG, f"an attribute has at most {VALUE_MAX} bytes")
        self._check_live(item)
        if name in (XDG_TAGS, TAGS):
            edit = await self._keep_copied(item, tags_edit(_text(value)), copier)
            await self._edit(item, self._keep_stated(item, edit, program))
        elif name.startswith(TAG_PREFIX):
            tag = name.removeprefix(TAG_PREFIX)
            await self._edit(item, Edit(add=[_tag(f"{tag}:{_text(value)}" if value else tag)]))
        elif name.startswith(OWN_PREFIX):
            if await copier() is None:  # else it is true of the original, and said of this one
                await self._set_own(item, name, value)
        elif name == RATING:
            await self._set_rating(item, value, copier)
        else:
            stored = _public(value) if name in (ORIGIN, REFERRER) else value
            await self._edit(item, Edit(set_xattrs={name: stored}))

    async def remove(self, item: ItemId, name: str, *, copier: Copier = nobody) -> None:
        """What is computed cannot be removed; a copier, whose original has no such thing, need not know."""
        check_namespace(name)
        self.get(item, name)  # ENODATA for what is not there
        self._check_live(item)
        own = self._context.catalogue.tags(item)
        if name in (XDG_TAGS, TAGS):
            await self._edit(item, await self._keep_copied(item, Edit(tags=()), copier))
        elif name.startswith(TAG_PREFIX):
            tag = normalize("NFC", name.removeprefix(TAG_PREFIX))
            await self._edit(item, Edit(remove=[t for t in own if t == tag or t.startswith(f"{tag}:")]))
        elif name == RATING:
            kept = self._kept(item, await copier())
            await self._edit(item, Edit(remove=_ratings(own).difference(kept), remove_xattrs=[name]))
        elif name in self._context.catalogue.xattrs(item):
            await self._edit(item, Edit(remove_xattrs=[name]))
        elif await copier() is None:
            raise OSError(errno.EPERM, f"{name} is read-only")

    async def _keep_copied(self, item: ItemId, edit: Edit, copier: Copier) -> Edit:
        if edit.tags is None or set(self._context.catalogue.tags(item)).issubset(edit.tags):
            return edit
        copy = await copier()
        return replace(edit, tags={*edit.tags, *self._kept(item, copy)})

    def _kept(self, item: ItemId, copy: Copy | None) -> Collection[str]:
        """The own tags that a copier does not take off."""
        if copy is None:
            return ()
        return self._context.catalogue.tags(item) if copy.to is None else own_tags(self._context, item, copy.to)

    def _keep_stated(self, item: ItemId, edit: Edit, program: int) -> Edit:
        """`cp -a`, `gio copy` and `mv` from elsewhere bring the file's own tags along: those do not take off the tags
        of the path that the file is being written to, or was written to by this program just now."""
        if edit.tags is None:
            return edit
        draft = self._context.drafts.get(item)
        stated = self._newcomers.stated(item, program) if draft is None else draft.tags
        return replace(edit, tags={*edit.tags, *stated})

    # -- what is computed --------------------------------------------------------------------------------------

    def _tags(self, item: Item) -> str | None:
        return ",".join(self._context.catalogue.tags(item.id)) or None

    def _inherited(self, item: Item) -> str | None:
        return ",".join(inherited(self._context.catalogue, item)) or None

    def _origin(self, item: Item) -> str | None:
        stored = self._context.catalogue.xattrs(item.id).get(ORIGIN)
        if stored is not None:
            return os.fsdecode(stored)
        return next((s.public_url for s in self._context.catalogue.sources(item.id) if s.public_url), None)

    def _sources(self, item: Item) -> str | None:
        return "\n".join(s.public_url or s.kind.value for s in self._context.catalogue.sources(item.id)) or None

    def _btroot(self, item: Item) -> str | None:
        return None if item.sha256 is None else self._context.catalogue.digest_of(item.sha256, ROOT)

    def _state(self, item: Item) -> str:
        """Also of what is whole, while new content for it is written or stored."""
        draft = self._context.drafts.get(item.id)
        return item.state.value if draft is None or draft.failed else State.WRITING.value

    def _progress(self, item: Item) -> str | None:
        if item.state.whole:
            return "1"
        progress = self._context.transfers.progress(item.id)
        if progress is None or not progress.total:
            return "0"
        return f"{progress.done / progress.total:.4f}".rstrip("0").rstrip(".")

    def _speed(self, item: Item) -> str | None:
        progress = self._context.transfers.progress(item.id)
        return None if progress is None or item.state.whole else f"{progress.speed:.0f}"

    def _eta(self, item: Item) -> str | None:
        progress = self._context.transfers.progress(item.id)
        return None if progress is None or progress.eta is None or item.state.whole else f"{progress.eta:.0f}"

    def _tag_value(self, item: ItemId, tag: str) -> bytes:
        for own in self._context.catalogue.tags(item):
            if own == tag:
                return b""
            if own.startswith(f"{tag}:"):
                return _bytes(own.removeprefix(f"{tag}:"))
        raise _missing(TAG_PREFIX + tag)

    # -- what can be set ---------------------------------------------------------------------------------------

    async def _set_state(self, item: ItemId, state: str) -> None:
        if state == State.PAUSED:
            await self._context.transfers.pause(item)
        elif state == State.QUEUED:
            await resume(self._context, self._row(item))
        elif state == State.SKIPPED:
            await self._context.transfers.skip(item)
        else:
            raise OSError(errno.EINVAL, f"{STATE} can be set to paused, queued or skipped, not to {state!r}")

    async def _set_mode(self, item: Item, mode: str) -> None:
        if self._context.transfers.mode(item.id) is None:
            raise OSError(errno.EPERM, f"{MODE} is for what is arriving, and {item.name!r} is not")
        await self._context.transfers.set_mode(item.id, mode)

    async def _set_own(self, item: ItemId, name: str, value: bytes) -> None:
        if name == STATE:
            await self._set_state(item, _text(value))
        elif name == MODE:
            await self._set_mode(self._row(item), _text(value))
        else:
            raise OSError(errno.EPERM, f"{name} is read-only")

    async def _set_rating(self, item: ItemId, value: bytes, copier: Copier) -> None:
        """Stored as given, and also the tag rating:N."""
        tag = _tag(f"rating:{_text(value)}")
        others = _ratings(self._context.catalogue.tags(item)) - {tag}
        if others:
            others = others.difference(self._kept(item, await copier()))
        await self._edit(item, Edit(add=[tag], remove=others, set_xattrs={RATING: value}))

    async def _edit(self, item: ItemId, edit: Edit) -> None:
        await self._context.catalogue.edit(item, edit)

    def _check_live(self, item: ItemId) -> None:
        if item not in self._context.index.live:
            self._row(item)  # ENOENT for one that is gone
            raise OSError(errno.EPERM, "what is in the trash cannot be changed: take it out first")

    def _row(self, item: ItemId) -> Item:
        row = self._context.catalogue.item(item)
        if row is None:
            raise OSError(errno.ENOENT, f"there is no item {item}")
        return row


def inherited(catalogue: Catalogue, item: Item) -> tuple[str, ...]:
    """The tags that it has by the folders that hold it, sorted."""
    above = () if item.parent is None else catalogue.ancestors(item.id)
    return tuple(sorted({tag for folder in above for tag in catalogue.tags(folder)}))


def tags_edit(text: str) -> Edit:
    """`a,b` replaces the own tags; `+a,-b` adds and removes. One kind only: a mixture is EINVAL. So is a comma with
    nothing on one side of it: an empty list, which takes all tags off, has none."""
    words = [part.strip() for part in text.split(",")] if text.strip() else []
    if "" in words:
        raise OSError(errno.EINVAL, "a list has a tag on each side of its commas")
    signed = [word for word in words if word[0] in "+-"]
    if not signed:
        return Edit(tags=[_tag(word) for word in words])
    if len(signed) != len(words):
        raise OSError(errno.EINVAL, "write either a list of tags or only +additions and -removals")
    return Edit(
        add=[_tag(word[1:].strip()) for word in words if word[0] == "+"],
        remove=[_tag(word[1:].strip()) for word in words if word[0] == "-"],
    )


def _ratings(own: tuple[str, ...]) -> set[str]:
    return {tag for tag in own if tag.startswith("rating:")}


def _tag(text: str) -> str:
    try:
        return check_own_tag(text)
    except BadName as error:
        raise OSError(errno.EINVAL, str(error)) from error


def _public(value: bytes) -> bytes:
    """An address as others may see it: programs write the one that they were given, with what let them in."""
    try:
        return _bytes(public_url(os.fsdecode(value)))
    except ValueError:  # no URL that anybody could split
        return value


def _text(value: bytes) -> str:
    try:
        return value.rstrip(b"\0").decode()
    except UnicodeDecodeError as error:
        raise OSError(errno.EINVAL, "a tag is written in UTF-8") from error


def check_namespace(name: str) -> None:
    if not name.startswith("user."):
        raise OSError(errno.EOPNOTSUPP, f"only user.* attributes are kept, not {name}")
    if name == "user.":
        raise OSError(errno.EINVAL, "an attribute needs a name")
