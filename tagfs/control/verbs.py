"""What can be asked of the daemon. This Protocol is the whole interface: names, parameters, answers.

`dispatch` reads it by reflection, so a method added here is callable over the socket as soon as it is implemented
(tagfs.service). Types are those that `codec` knows. All methods run on the trio thread, each in its own task.

Promises that hold for every verb:

- Writes are durable, and visible on every path of the mount, when the call returns.
- A call that names several items or tags does all or nothing: the first that cannot be resolved or changed raises
  VerbError before anything was changed.
- What the user did wrong raises `VerbError(code, one sentence)`. Anything else that escapes is a bug: it is logged
  with its traceback and answered as INTERNAL, and the daemon goes on.
- A verb without `report` or `send` runs to its end even when its client is gone; one with either is cancelled then, and
  leaves whole what it had finished.

ITEM references (`Ref`): `id:4711` or `~4711`, else the name of a live item, or `stem~4711.ext`, the name with the id
that colliding listings show, or a path of such names from a folder item to what is in it, `album/cd 1/01.flac`. Of
items of one name those that are in no folder come first. No item: NOT_FOUND. Several of one name: AMBIGUOUS, the
sentence listing their `id:ID`s (at most ten). Only `rm` with `forever` and `ls` with `trashed` or `folder` see the
trash, by id only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from tagfs.control.spelling import Spelling
from tagfs.control.views import (
    AddedView,
    BackupView,
    ChangePage,
    ContentView,
    DecidedView,
    EmptiedView,
    EventView,
    ImportView,
    ItemPage,
    ItemView,
    LinesView,
    LoadedView,
    RelationView,
    RetaggedView,
    RulesView,
    SavedQueryView,
    StatusView,
    SuggestionPage,
    TagPage,
    TrashPage,
    UndoneView,
    VerifyView,
    VersionView,
    WorkView,
)

__all__ = ["Ref", "Report", "Send", "Spelling", "Verbs"]

Ref = str

T_contra = TypeVar("T_contra", contravariant=True)


class Report(Protocol[T_contra]):
    """Progress of a long call. Never waits: the newest view wins when the client reads slowly. trio thread only."""

    def __call__(self, view: T_contra, /) -> None: ...


class Send(Protocol[T_contra]):
    """What a call that never ends by itself has to tell, in order and without loss. Waits while the client does not
    read, so the verb bounds what it keeps meanwhile. trio thread only."""

    async def __call__(self, view: T_contra, /) -> None: ...


class Verbs(Protocol):
    # -- the daemon --------------------------------------------------------------------------------------------
    async def version(self) -> VersionView:
        """Also serves as a ping."""

    async def stop(self) -> None:
        """Begin to unmount and end; returns at once."""

    # -- downloads ---------------------------------------------------------------------------------------------
    async def add(
        self,
        urls: tuple[str, ...],
        *,
        tags: tuple[str, ...] = (),
        name: str | None = None,
        digests: Mapping[str, str] | None = None,
        paused: bool = False,
        options: Mapping[str, str] | None = None,
        select: str | None = None,
    ) -> ItemView:
        """One download; `urls` are mirrors of one file, or one magnet link. `digests` maps algorithm to hex; `select`
        chooses files of a torrent. The item is there, queued or paused, when this returns. BAD_REQUEST for a URL, tag,
        name, digest or selection that cannot be."""

    async def add_file(
        self,
        name: str,
        content: str,
        *,
        tags: tuple[str, ...] = (),
        paused: bool = False,
        options: Mapping[str, str] | None = None,
        select: str | None = None,
    ) -> AddedView:
        """The downloads that a file names: a torrent, a magnet, a Metalink, a link file or a list. `content` is base64.
        A line of a list, or a file of a Metalink, that cannot be fetched is a fault and costs itself only; all others
        are added, or none. BAD_REQUEST when the file is none of the formats or holds nothing that can be fetched."""

    async def status(self, *, items: tuple[Ref, ...] = (), limit: int = 100) -> StatusView:
        """Of all downloads, or of `items` only (also of those that are whole)."""

    async def watch(
        self, *, items: tuple[Ref, ...] = (), limit: int = 100, interval: float = 0.5, report: Report[StatusView]
    ) -> StatusView:
        """Report a status each `interval` seconds (not below 0.1). With `items`: until each of them is whole, failed
        or paused, or gone. Without: until no download is queued or running. A download that ended while it was
        watched stays in `downloads` with its new state, so that a follower sees how it ended."""

    async def pause(self, items: tuple[Ref, ...] = (), *, all: bool = False) -> tuple[ItemView, ...]:
        """The items paused, which leaves out those that were whole or paused before."""

    async def resume(self, items: tuple[Ref, ...] = (), *, all: bool = False) -> tuple[ItemView, ...]:
        """The items queued again; also retries what failed."""

    async def events(
        self,
        query: str | None = None,
        *,
        spelling: Spelling = Spelling.EXPRESSION,
        progress: bool = True,
        interval: float = 1.0,
        send: Send[EventView],
    ) -> None:
        """What happens from now on, for ever; the first event, `watching`, says that none is missed from then on. With
        a query only what happens to items that match it, before or afterwards, and nothing of tags. With `progress`
        also how far running downloads are, each `interval` seconds (0.1 to 3600). A client that reads slowly loses the
        oldest events, and an event `lost` says how many."""

    # -- items and tags ----------------------------------------------------------------------------------------
    async def ls(
        self,
        query: str | None = None,
        *,
        spelling: Spelling = Spelling.EXPRESSION,
        trashed: bool = False,
        folder: Ref | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> ItemPage:
        """Topmost live items that match, all of these without a query, those in the trash with `trashed`, those
        directly in `folder` (which may be in the trash, by id): one of the three. Only ids above `after`, at most
        `limit` (1 to 1,000). BAD_REQUEST with the parser's sentence; NOT_FOUND for an unknown tag."""

    async def show(self, items: tuple[Ref, ...]) -> tuple[ItemView, ...]:
        """The items that the references name, in their order."""

    async def names(self, prefix: str = "", *, limit: int = 100) -> tuple[str, ...]:
        """The first `limit` (1 to 1,000) names of live items with that beginning: what a shell completes."""

    async def tag(
        self, items: tuple[Ref, ...], *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()
    ) -> tuple[ItemView, ...]:
        """The items as they are afterwards. Unknown tags in `add` are made, in `remove` they are NOT_FOUND."""

    async def tag_where(
        self,
        query: str,
        *,
        spelling: Spelling = Spelling.EXPRESSION,
        add: tuple[str, ...] = (),
        remove: tuple[str, ...] = (),
        dry_run: bool = False,
        report: Report[WorkView],
    ) -> RetaggedView:
        """The same change to all that `ls` lists for the query at the moment of the change, in one transaction. Unknown
        tags are as in `tag`."""

    async def tag_batch(
        self, items: tuple[Ref, ...], edits: tuple[str, ...], which: tuple[int, ...], *, report: Report[WorkView]
    ) -> RetaggedView:
        """Many changes one after the other, in one transaction: for each of `items` the one of `edits` (`+a,-b`) whose
        number stands in `which`. An error says which line it is about, counted from 1."""

    async def tags(
        self,
        query: str | None = None,
        *,
        spelling: Spelling = Spelling.EXPRESSION,
        after: str = "",
        limit: int = 1000,
    ) -> TagPage:
        """All tags with how many live items carry them; with a query, how many of its items, and only those tags
        that some carry. Names above `after` in code point order."""

    async def tag_create(self, names: tuple[str, ...]) -> None:
        """EXISTS when one is there already."""

    async def tag_delete(self, names: tuple[str, ...]) -> None:
        """IN_USE while items carry one, in the trash or not."""

    async def tag_rename(self, old: str, new: str) -> None:
        """On every item. IN_USE when `new` is carried by items."""

    async def tag_merge(self, old: str, new: str, *, report: Report[WorkView]) -> RetaggedView:
        """What carries `old` carries `new` instead, and `old` is no more, in one transaction."""

    async def relations(self, tag: str | None = None) -> tuple[RelationView, ...]:
        """As they were stated, sorted; with a tag, those in which it takes part."""

    async def relate(self, tag: str, relation: str, other: str) -> None:
        """`relation` is implies, same-as, excludes or requires. NOT_FOUND for a tag that there is not, EXISTS for what
        was stated already, BAD_REQUEST for a tag and itself."""

    async def unrelate(self, tag: str, relation: str, other: str) -> None:
        """NOT_FOUND for what nobody stated."""

    async def queries(self) -> tuple[SavedQueryView, ...]:
        """Saved queries, sorted by name. Wherever a verb takes a query, `@NAME` is a saved one."""

    async def query_save(self, name: str, query: str, *, spelling: Spelling = Spelling.EXPRESSION) -> None:
        """EXISTS when the name is taken; otherwise as `ls`."""

    async def query_rename(self, old: str, new: str) -> None:
        """NOT_FOUND, EXISTS."""

    async def query_delete(self, names: tuple[str, ...]) -> None:
        """No item is touched."""

    async def rm(self, items: tuple[Ref, ...], *, forever: bool = False) -> tuple[ItemView, ...]:
        """To the trash; running downloads stop. With `forever` the items are ended for good, wherever they are."""

    # -- history ---------------------------------------------------------------------------------------------
    async def log(
        self,
        items: tuple[Ref, ...] = (),
        *,
        before: int | None = None,
        age: float | None = None,
        limit: int = 100,
    ) -> ChangePage:
        """What was changed, the newest first: all, or what concerns one of `items`, which may be in the trash or, by
        id, have ended. Only ids below `before`, none older than `age` seconds, at most `limit` (1 to 1,000)."""

    async def undo(self, call: int | None = None, *, redo: bool = False) -> UndoneView:
        """Take back a call: without a number the last of a person that holds, with `redo` the last undo that holds.
        NOT_FOUND for none. FAILED where something was changed since; then nothing is done."""

    async def trash(self, *, after: int = 0, limit: int = 1000) -> TrashPage:
        """What is in the trash by itself. Only ids above `after`, at most `limit` (1 to 1,000)."""

    async def trash_restore(self, items: tuple[Ref, ...]) -> tuple[ItemView, ...]:
        """Out of the trash, where they were, with their tags; downloads go on. References mean what is in the trash."""

    async def trash_empty(
        self, items: tuple[Ref, ...] = (), *, older_than: float | None = None, keep_size: int | None = None
    ) -> EmptiedView:
        """End what is in the trash for good: `items`, or all, or of all what was trashed more than `older_than` seconds
        ago and, the oldest first, what is more than `keep_size` bytes. Space comes back within two hours."""

    # -- suggestions and rules ---------------------------------------------------------------------------------
    async def suggestions(
        self,
        items: tuple[Ref, ...] = (),
        *,
        query: str | None = None,
        spelling: Spelling = Spelling.EXPRESSION,
        after: int = 0,
        limit: int = 1000,
    ) -> SuggestionPage:
        """What is suggested and nobody has decided about: of all items, of `items` and what they hold, or of those
        that match. Only ids above `after`."""

    async def suggest_decide(
        self,
        items: tuple[Ref, ...] = (),
        *,
        query: str | None = None,
        spelling: Spelling = Spelling.EXPRESSION,
        tags: tuple[str, ...] = (),
        accept: bool,
    ) -> DecidedView:
        """Put what is suggested for these items on, or never suggest it again; only `tags`, or all without. In one
        transaction. BAD_REQUEST without items and query."""

    async def rules(self, *, apply: bool = False, dry_run: bool = False, report: Report[WorkView]) -> RulesView:
        """The rules of the config file with how many items match. With `apply` they are applied to what is there, in
        steps; with `dry_run` it is only counted what that would do."""

    # -- content -----------------------------------------------------------------------------------------------
    async def import_(
        self, paths: tuple[str, ...], *, tags: tuple[str, ...] = (), report: Report[WorkView]
    ) -> ImportView:
        """Copy files in, directories with all regular files below them, each an item with its own name. `paths` are
        absolute. Symlinks below a directory, special files, unreadable ones and everything on a tagfs mount are
        skipped with a reason; a path given that does not exist raises NOT_FOUND before anything was imported."""

    async def import_catalogue(self, path: str, *, report: Report[WorkView]) -> LoadedView:
        """What `export` wrote, from the file at the absolute `path`, some 1,000 lines in a transaction each. What is
        there already is not made again. BAD_REQUEST names the first line that is wrong, and says how many items the
        lines before it made."""

    async def export(self, *, secrets: bool = False, send: Send[LinesView]) -> None:
        """The whole catalogue as of one moment, as lines of JSON (docs/export-format.md). Without `secrets` the URLs
        of sources are those that may be shown."""

    async def locate(self, item: Ref, *, wait: bool = False, report: Report[WorkView]) -> ContentView:
        """Where the bytes are. An item that is still arriving: with `wait` it is put first and waited for, else
        FAILED. The file stays readable to whoever has opened it; FAILED for folders, symlinks, failed downloads."""

    async def backup(
        self, path: str, *, copies: bool = False, prune: bool = False, report: Report[WorkView]
    ) -> BackupView:
        """A second copy of catalogue and contents, as of one moment, in the folder `path`, which is absolute and new,
        empty, or holds an earlier one: that stays until the new one is whole. Content gets a second name where it can,
        unless `copies`; with `prune` content goes from there that nothing names. BAD_REQUEST, FAILED, NO_SPACE."""

    async def verify(
        self, *, data: bool = False, subset: str | None = None, repair: bool = False, report: Report[WorkView]
    ) -> VerifyView:
        """Check catalogue, index, store and staging against each other; with `data` read and hash every blob, or those
        of a part (`2/7`) alone. With `repair` mend what can be mended; nothing is deleted. BAD_REQUEST for a part that
        cannot be."""
