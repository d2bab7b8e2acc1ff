"""The seams of the engine: what each part promises to the others. Protocols only; imports types and errors.

All methods are called on the trio thread. A plain method answers at once from memory or by one indexed point read
(7 µs); an `async` one may wait for a thread. Writes are durable when they return (WAL, synchronous=FULL), the index has
applied them and every observer has settled: nobody can see a stale answer after the call.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pyroaring import BitMap

from engine.errors import StoreFull
from engine.history import Cause, Record, Undone
from engine.loaded import Loading, Numbered
from engine.trash import Heap
from engine.types import (
    Blob,
    Change,
    Download,
    Facts,
    Item,
    ItemId,
    Kind,
    Pieces,
    SavedQuery,
    Source,
    State,
    TagChange,
    TagCount,
    Torrent,
)
from query.ast import Compare, Expr, Range
from query.relations import Relation, Relations


class Observer(Protocol):
    """Is told of every commit. Two steps, both on the trio thread."""

    def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        """Instant: bring own memory up to date. Never fails, never waits; order = commit order."""

    async def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        """Make the change visible outside (kernel caches). Bounded by a deadline of its own."""


@dataclass(frozen=True, slots=True)
class NewDownload:
    staging: str
    digests: Mapping[str, str] = field(default_factory=dict)
    name_fixed: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to be. A whole FILE names its blob (`sha256` and `size`), which must be in the store already."""

    name: str
    kind: Kind = Kind.FILE
    state: State = State.COMPLETE
    tags: Collection[str] = ()  # created where they do not exist
    size: int | None = None
    sha256: str | None = None
    mime: str | None = None  # of the blob, see `Ingested`
    mtime_ns: int | None = None  # None: now
    mode: int = 0o644
    target: str | None = None
    sources: Sequence[Source] = ()
    download: NewDownload | None = None
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    parent: ItemId | None = None  # the folder item that it is made in


@dataclass(frozen=True, slots=True)
class Edit:
    """Changes to one item, made in one transaction. Defaults change nothing."""

    name: str | None = None
    add: Collection[str] = ()
    remove: Collection[str] = ()
    tags: Collection[str] | None = None  # replaces all own tags (before add and remove)
    mtime_ns: int | None = None
    mode: int | None = None
    state: State | None = None
    error: str | None = None  # with state: replaces the sentence (None clears it)
    size: int | None = None  # once known
    set_xattrs: Mapping[str, bytes] = field(default_factory=dict)
    remove_xattrs: Collection[str] = ()
    must_create: bool = False  # XATTR_CREATE for set_xattrs
    must_replace: bool = False  # XATTR_REPLACE for set_xattrs
    mtime_if_unset: int | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """An item goes to the folder `parent`, or to the top for None, and is edited on the way."""

    item: ItemId
    parent: ItemId | None
    edit: Edit = field(default_factory=Edit)


@dataclass(frozen=True, slots=True)
class Retagging:
    """Tags to be put on and taken off many items. Where both name an item for one tag, it is taken off."""

    add: Mapping[str, BitMap] = field(default_factory=dict)  # tags are made where they do not exist
    remove: Mapping[str, BitMap] = field(default_factory=dict)  # tags that do not exist are left out


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file of a folder item to be. `path` are its components below the folder: names that files can have, unique as
    a whole, and none of them a prefix of another."""

    path: tuple[str, ...]
    size: int
    state: State = State.QUEUED
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class NewTorrent:
    """A torrent to be, see `types.Torrent`."""

    v1: str | None
    v2: str | None
    magnet: str
    folder: str
    metadata: bytes | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TorrentFiles:
    """What the metadata of a torrent says. `positions` are those of `files` in the torrent's own list."""

    v1: str | None
    v2: str | None
    metadata: bytes
    name: str | None  # a better one for the item; None leaves what it has
    is_single: bool  # the item becomes the one file; else a folder
    files: Sequence[FolderFile]
    positions: Sequence[int]


@dataclass(frozen=True, slots=True)
class Arrived:
    """Content for an item, which is in the store already; `state` is complete or seeding."""

    item: ItemId
    sha256: str
    size: int
    digests: Mapping[str, str] = field(default_factory=dict)
    state: State = State.COMPLETE
    mime: str | None = None  # see `Ingested`
    edit: Edit = field(default_factory=Edit)  # of name, mode and times, on the way


@dataclass(frozen=True, slots=True)
class Replaced:
    """`item` has the new content; `kept` is the item in the trash that has the old one, None where none was lost."""

    item: Item
    kept: ItemId | None


@dataclass(frozen=True, slots=True)
class Look:
    """What was found out about an item. `stage` is 1 for one that was added and 2 for one that is whole; `proposed` are
    (tag, what proposes it); `accept` are keys (see engine.suggested) whose proposals a rule takes at once."""

    item: ItemId
    stage: int
    tags: Sequence[str] = ()
    proposed: Sequence[tuple[str, str]] = ()
    accept: Collection[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Progress:
    """Of an arriving item. `done` and `total` are bytes, `speed` bytes a second (5 s window), `eta` seconds."""

    done: int
    total: int | None
    speed: float = 0.0
    eta: float | None = None
    connections: int = 0
    retry_at_ns: int | None = None


class Catalogue(Protocol):
    """Items, tags and all that must survive. One implementation today (SQLite)."""

    def by(self, cause: Cause) -> Catalogue:
        """The same catalogue, which notes in the journal that what is written through it was done by `cause`."""

    # -- point reads -------------------------------------------------------------------------------------------
    def item(self, item: ItemId) -> Item | None:
        """Also of trashed items."""

    def named(self, name: str) -> Sequence[ItemId]:
        """Items of exactly this name that are not in the trash by themselves, oldest (lowest id) first: also such as a
        folder holds."""

    def names(self, prefix: str, limit: int) -> Sequence[str]:
        """The first `limit` different names with that beginning, in the order of their bytes, of items that are not in
        the trash by themselves."""

    def trashed(self, name: str) -> Sequence[ItemId]:
        """Items of exactly this name that are in the trash by themselves, oldest first."""

    def tags(self, item: ItemId) -> tuple[str, ...]:
        """Own tags, sorted."""

    def facts(self, item: ItemId) -> Facts | None: ...
    def is_live(self, item: Item) -> bool:
        """Whether it is in the trash neither by itself nor with a folder."""

    def xattrs(self, item: ItemId) -> Mapping[str, bytes]: ...
    def sources(self, item: ItemId) -> Sequence[Source]: ...
    def download(self, item: ItemId) -> Download | None: ...
    def staged(self, item: ItemId) -> Sequence[str]:
        """Its files in staging: what a download or a writer brings, then drafts in the order in which they build on
        each other."""

    def blob(self, sha256: str) -> Blob | None: ...
    def blob_by_digest(self, algorithm: str, hexdigest: str) -> Blob | None:
        """The blob that carries this digest (sha256, sha512, md5, btv2root, ... as recorded when it was verified)."""

    def blobs_of_size(self, size: int) -> Sequence[Blob]:
        """The oldest first, at most 100."""

    def child(self, folder: ItemId, name: str) -> ItemId | None:
        """The item of that name in a folder item, not one that was trashed by itself; the oldest of several."""

    def has_namesake(self, folder: ItemId, name: str, item: ItemId) -> bool:
        """Whether a folder item holds, not trashed by itself, another item than `item` of that name."""

    def holds(self, folder: ItemId) -> bool:
        """Whether there is anything in a folder item but what was trashed by itself."""

    def ancestors(self, item: ItemId) -> Sequence[ItemId]:
        """The folder items that hold it, the nearest first; none for one at the top."""

    def digest_of(self, sha256: str, algorithm: str) -> str | None:
        """A further digest that the content of a blob is known to have."""

    def torrent_of(self, item: ItemId) -> tuple[ItemId, int] | None:
        """The torrent that this item is a file of, and its position there. Not of a folder."""

    def suggestions(self, item: ItemId) -> Sequence[tuple[str, str]]:
        """(tag, what proposes it), sorted: what nobody has decided about."""

    def is_torrent(self, item: ItemId) -> bool:
        """Whether a torrent became, or will become, this item."""

    def torrent_known(self, v1: str | None, v2: str | None) -> ItemId | None:
        """The item of the torrent with one of these infohashes, in the trash or not; the oldest of several."""

    def saved_query(self, name: str) -> SavedQuery | None: ...

    # -- scans, on a reader thread -----------------------------------------------------------------------------
    async def saved_queries(self) -> list[SavedQuery]:
        """Sorted by name."""

    async def arriving(self) -> list[ItemId]:
        """Live items that are not whole and that a download or a torrent brings, without the files in a torrent."""

    async def torrent(self, item: ItemId) -> Torrent | None: ...
    async def torrents(self) -> list[tuple[ItemId, str]]:
        """Item and folder of every torrent, those in the trash included, oldest first."""

    async def torrent_files(self, torrent: ItemId) -> list[tuple[int, Item]]:
        """By position: the items of its files that there are, trashed ones included."""

    async def items(self, ids: Collection[int]) -> list[Item]:
        """Rows of `ids` in ascending id order; ids that do not exist are left out."""

    async def children(self, folder: ItemId, *, after: int = 0, limit: int | None = None) -> list[Item]:
        """Items directly in a folder item, without those that were trashed by themselves; oldest first. Only ids above
        `after`, at most `limit`."""

    async def trash_list(self) -> list[Item]:
        """What is in the trash by itself; what went with its folder is found in that."""

    async def trash_heap(self) -> Heap:
        """The same by what it costs: which content each holds, with its size, and which of it others use."""

    async def downloads(self) -> list[Download]:
        """Of items that are not whole and not in the trash by themselves, in queue order."""

    async def drafts(self) -> list[tuple[ItemId, str]]:
        """Item and staged file of each draft, in the trash or not, oldest first."""

    async def blobs(self) -> list[Blob]: ...
    async def unreferenced_blobs(self) -> list[Blob]: ...
    async def to_look_at(self, after: int, limit: int) -> list[ItemId]:
        """Live items that rules and suggestions have not come to yet, those with ids above `after`, oldest first: all
        that were added, and again all that are whole."""

    async def suggested(self, after: int, limit: int) -> list[ItemId]:
        """Live items for which something is proposed, by ids as above."""

    async def blobs_to_look_at(self, after: int, limit: int) -> list[Blob]:
        """Of which nobody has told the media type yet; only ids above `after`, oldest first."""

    async def log(
        self, item: ItemId | None = None, *, before: int | None = None, since_ns: int = 0, limit: int = 100
    ) -> list[Record]:
        """Rows of the journal, the newest first: all, or those that concern one item. Only ids below `before`."""

    async def call(self, call: int) -> list[Record]:
        """All rows of one transaction; empty where there is none of that number, or its first rows are gone."""

    async def undone(self, calls: Collection[int]) -> Mapping[int, int]:
        """Of these calls the ones that were taken back, and by which call."""

    async def undoable(self, *, redo: bool = False) -> int | None:
        """The call that is to be undone next: the last of a person that holds. With `redo`, the last undo that holds,
        unless a person did something else since."""

    async def dump(self, put: Callable[[Sequence[str]], Awaitable[None]], *, secrets: bool = False) -> None:
        """The whole catalogue as of one moment, as lines of JSON (docs/export-format.md), some hundred at a time to
        `put`, which may take as long as it likes: nobody waits for it."""

    async def check(self) -> list[str]:
        """integrity_check, foreign_key_check and own consistency rules: one sentence a fault, empty when sound."""

    # -- writes, each one durable transaction ------------------------------------------------------------------
    async def add(self, new: NewItem) -> Item:
        """In a folder: NoSuchItem when that is no live folder (any more), NameTaken for a name that is there."""

    async def add_many(self, new: Sequence[NewItem]) -> list[Item]: ...
    async def load(self, lines: Sequence[Numbered], so_far: Loading) -> None:
        """Lines of an export, in their order: what they say is there afterwards, what was there already is no second
        time. BadRequest names the line that is wrong; then none of `lines` did anything and `so_far` is of no more
        use. Whoever says that content is `stored` holds it until this returns."""

    async def edit(self, item: ItemId, edit: Edit) -> Item: ...
    async def edit_many(self, edits: Sequence[tuple[ItemId, Edit]]) -> None: ...
    async def complete(
        self,
        item: ItemId,
        sha256: str,
        size: int,
        *,
        digests: Mapping[str, str],
        mtime_ns: int | None,
        keep_old: bool,
        mime: str | None = None,
    ) -> Item:
        """The content of `item` is this blob now, which is in the store already: blob row and digests are made,
        state becomes complete, error is cleared and the download row goes. With `keep_old` a previous non-empty
        content becomes an item of its own in the trash (same name and tags). `mime` as in `Ingested`."""

    async def start_draft(self, item: ItemId, staging: str) -> None:
        """A staged file that is to be new content of the item, which keeps what it has until `seal`."""

    async def drop_draft(self, staging: str) -> None:
        """Nothing comes of it. Nothing where there is none."""

    async def seal(
        self,
        staging: str,
        sha256: str,
        size: int,
        *,
        digests: Mapping[str, str],
        mtime_ns: int | None,
        keep_old: bool,
        mime: str | None = None,
    ) -> Item:
        """As `complete`, for the item that the staged file belongs to by now (see `replace`), by a draft or a download.
        Earlier drafts of it are superseded and their rows go. Content that is the old one changes the date alone;
        other content is not a torrent's any more: the old one stays that, where it is kept. NoSuchItem."""

    async def strand(
        self, staging: str, sha256: str, size: int, *, digests: Mapping[str, str], why: str, mime: str | None = None
    ) -> ItemId | None:
        """The bytes of a draft that nobody has finished become an item of their own in the trash, whose error is `why`.
        None where they are what the item holds, or none. NoSuchItem."""

    async def replace(self, target: ItemId, source: ItemId) -> Replaced:
        """`mv source target`: target keeps id, name, place, tags and attributes, and gets content, state, mode and date
        of source, which is gone, and its staged files. What target held becomes an item of its own in the trash, with
        the drafts that were written over it, unless it was empty or is the same content. Both are files, target is
        live; Busy where a download brings one of them."""

    async def unpack(self, item: ItemId, files: Sequence[FolderFile]) -> list[ItemId]:
        """Make a folder of an item that has no content and is none yet, in place: id, name, tags and state stay, its
        size is the sum, and its download row goes. `files` become items in it, folders between them are made, in the
        state that the item has. Returns the ids of the files, in the order of `files`. 100,000 in a second or two."""

    async def add_digests(self, sha256: str, digests: Mapping[str, str]) -> None:
        """Further digests that the content of a blob was found to have; nothing where there is no such blob."""

    async def set_media_types(self, found: Mapping[str, str]) -> None:
        """By SHA-256: what the first bytes of blobs tell, see `Ingested`. Nothing where there is no such blob."""

    async def note_looks(self, looks: Sequence[Look], *, dry_run: bool = False) -> int:
        """Put the rules' tags on items, note what is proposed, and that each was looked at up to its stage. A tag that
        was put on by a rule, accepted or refused before, is left as it is, whatever became of it; what an item has a
        tag about already is not proposed. Items that have gone are left out. Returns how many tags were put
        on; `dry_run` counts only."""

    async def decide(self, items: Collection[ItemId], tags: Collection[str] | None, *, accept: bool) -> int:
        """Put the tags that are proposed on, or never propose them again; None: all. Returns how many. NoSuchItem."""

    async def add_torrent(self, new: NewItem, torrent: NewTorrent) -> Item: ...
    async def describe_torrent(self, item: ItemId, found: TorrentFiles) -> list[ItemId]:
        """The metadata of a torrent is here: its item becomes the file or the folder (see `unpack`) in place. Returns
        the ids of the files in their order. NoSuchItem for what is no torrent."""

    async def save_resume(self, item: ItemId, resume: bytes | None) -> None: ...
    async def set_magnet(self, item: ItemId, magnet: str) -> None: ...
    async def set_torrent_options(self, item: ItemId, options: Mapping[str, str]) -> None: ...
    async def complete_many(self, arrived: Sequence[Arrived]) -> None:
        """As `complete`, for many, none of whose old content is kept; items that have gone are left out."""

    async def settle_folder(self, item: ItemId, state: State, error: str | None = None) -> None:
        """The state of a folder item and of all folders in it, or of a file."""

    async def update_download(self, download: Download) -> None: ...
    async def trash(self, item: ItemId, *, along: Collection[ItemId] | None = None) -> Item:
        """With all that a folder holds, of which no row is touched. What it holds and was in the trash by itself goes
        along with it from now on, so that nothing is in the trash twice: all of it, or with `along` only these, and the
        rest is in no folder any more. Changes are told of the item, and of what it
        holds where tags or the trash are concerned; the rest follows from `below`."""

    async def restore(self, item: ItemId, name: str | None = None) -> Item:
        """With all that went along with it, into the folder that it was in."""

    async def purge(self, items: Collection[ItemId]) -> None:
        """Forget items that are in the trash, by themselves or with a folder, and all that they hold; their blobs stay
        until `forget_blob`."""

    async def move(self, moves: Sequence[Move], *, trashed: Collection[ItemId] = ()) -> None:
        """First `trashed` go to the trash (by `trash`, folders by `remove_folder`), then the moves are made in their
        order, out of the trash as well: two of them exchange two items. All or none. NoSuchItem for what is not there
        (any more), NameTaken where the folder has another item of that name in the end, BadRequest for a folder that
        would be in itself."""

    async def remove_folder(self, item: ItemId, *, along: Collection[ItemId] | None = None) -> None:
        """An empty one, to the trash, with what was trashed out of it (`along` as for `trash`); for good if there is
        nothing to bring back: no tag, no attribute, and nothing that goes along. NotEmpty for one that holds
        something."""

    async def discard(self, item: ItemId) -> None:
        """Forget a live item that never got content (a draft, a download given up before its first byte)."""

    async def forget_blob(self, sha256: str) -> bool:
        """Remove the row if no item refers to it (checked in the same transaction); True when it is gone."""

    async def undo(self, call: int) -> Undone:
        """Take back what one transaction did, all of it or nothing. What has been changed since is not overwritten:
        Changed. NoSuchChange. Transfers of what goes to the trash are the caller's to stop before."""

    async def cut_history(self, before_ns: int | None, keep_rows: int) -> bool:
        """Forget a few rows of the journal that are older, or more than so many; True when there may be more."""

    async def retag_many(
        self,
        choose: Callable[[], Awaitable[Retagging]],
        *,
        dry_run: bool = False,
        report: Callable[[int, int], None] | None = None,
    ) -> int:
        """Returns how many items it changes, or would change with `dry_run`. A million items in a few seconds, during
        which no other write gets its turn.

        `choose` is called on the trio thread when it is this change's turn: the observers have heard of all commits
        before it, and there is none until it has returned. So what an index says there is true of the moment of the
        change. Items that do not exist are left out. What it raises is raised here, and nothing is changed.

        `report` is called on the trio thread with how many taggings are done, and of how many. Up to 1,000 changed
        items are told of by a `Change` each, more by TagEvent.RETAGGED."""

    async def merge_tag(self, old: str, new: str, *, report: Callable[[int, int], None] | None = None) -> int:
        """Whatever carries `old` carries `new`, and `old` is no more; returns how many items carried it. Relations of
        `old` become those of `new`. NoSuchTag unless both exist, BadRequest when they are one."""

    async def create_tag(self, name: str) -> None:
        """NameTaken when it exists."""

    async def remove_tag(self, name: str) -> None:
        """NoSuchTag; TagInUse while a live or trashed item carries it."""

    async def rename_tag(self, old: str, new: str) -> None:
        """NoSuchTag; TagInUse when `new` is in use; an unused `new` is replaced. Saved queries follow."""

    async def relate(self, relation: Relation) -> None:
        """NoSuchTag, NameTaken when that was stated already, BadRequest for a tag and itself."""

    async def unrelate(self, relation: Relation) -> None:
        """NoSuchTag, NoSuchRelation. Of two tags that are the same either may come first."""

    async def save_query(self, name: str, text: str) -> None:
        """NameTaken; BadRequest for a text that is no expression, or a name that no file can have."""

    async def rename_query(self, old: str, new: str) -> None:
        """NoSuchQuery, NameTaken, BadRequest."""

    async def forget_query(self, name: str) -> None:
        """NoSuchQuery"""

    # -- observers ---------------------------------------------------------------------------------------------
    def observe(self, observer: Observer) -> Callable[[], None]:
        """Add an observer; the function returned removes it."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Where an index starts: items by state that are not in the trash by themselves, all tags and how they relate, and
    what is in which folder, at one point in the order of commits."""

    states: Mapping[str, BitMap]
    tags: Sequence[tuple[int, str, int]]  # id, name, live items that carry it
    # By folder item, the items directly in it, trashed or not. Of the empty ones those that are in another folder.
    held: Mapping[int, BitMap] = field(default_factory=dict)
    relations: Collection[Relation] = ()  # between tags, as they were stated


class Feed(Protocol):
    """What an index loads from whoever holds the truth. The scans run on reader threads.

    Where it says "live", the items that a trashed folder holds are there as well: those the index leaves out by itself.

    A scan sees the commits that `apply` has told of so far, and it may see some that `apply` is about to tell of. So
    the index notes what it is told during a scan, does it again afterwards, and sets membership rather than toggles it.
    """

    async def follow(self, observer: Observer, start: Callable[[Opening], None]) -> Callable[[], None]:
        """Calls `start`, and from then on the observer with each later commit: none is missed, none comes twice.

        The function returned ends it."""

    def facts(self, item: ItemId) -> Facts | None: ...
    def ancestors(self, item: ItemId) -> Sequence[ItemId]: ...
    async def tagged(self, tags: Collection[int]) -> Mapping[int, BitMap]:
        """By tag id: the live items that carry the tag. Every id asked for is there."""

    async def valued(self, key: str) -> Mapping[str, BitMap]:
        """Live items by value of one of the built-in keys that have few values: type ext source host is."""

    async def ordered(self, key: str) -> tuple[array[int], array[int]]:
        """(values, ids), both in ascending order of (value, id), of live items: `size` in bytes, `added` in seconds."""

    async def search(self, leaf: Compare | Range) -> BitMap:
        """Live items that match a comparison of name, sha256, size or added (without ages), by looking at each."""


class Index(Protocol):
    """Membership. All answers are about live items, as of the last commit.

    What a folder item carries holds for all that is below it, so that is in a result as well; `topmost` makes of it
    what a listing shows. The built-in keys are each item's own, but `is:untagged` means: no tag holds for it."""

    @property
    def live(self) -> BitMap: ...
    @property
    def inner(self) -> BitMap:
        """What folder items hold, trashed or not. To be read only."""

    def below(self, folder: ItemId) -> BitMap:
        """What a folder item holds at whatever depth, trashed or not. To be read only."""

    def under(self, items: BitMap) -> BitMap:
        """What those of `items` that are folders hold at whatever depth, trashed or not. To be read only."""

    def has_tag(self, name: str) -> bool: ...
    def tag_list(self) -> Sequence[TagCount]:
        """All tags, sorted by name, key:value pairs included, with how many live items carry each as their own."""

    @property
    def relations(self) -> Relations:
        """Between tags, as of the last commit. The index itself evaluates what it is given: whoever asks for a query
        writes out what it means (`Relations.compiled`)."""

    def own_keys(self) -> Sequence[str]:
        """Keys of the key:value tags that there are, sorted (not the built-in ones)."""

    def values(self, key: str) -> Sequence[TagCount]:
        """Values of an own key, also those that no item carries now, or those in use of a built-in one (name = the
        value alone), sorted as values compare.

        Those of type, ext, source and host are known once an expression that names the key was prepared; size, added,
        name and sha256 have about as many values as there are items, and list none."""

    def unknown(self, expr: Expr) -> str | None:
        """The first tag or key that `expr` names and that does not exist (built-in keys always do), else None."""

    async def prepare(self, expr: Expr) -> None:
        """Load what `evaluate` and `contains` need of `expr`. Cheap when loaded already."""

    def evaluate(self, expr: Expr, *, now: float) -> BitMap:
        """Item ids that match; `expr` must be prepared. The caller may keep and change the bitmap."""

    def contains(self, expr: Expr, item: ItemId, *, now: float) -> bool:
        """Whether one item matches, without evaluating the whole."""

    def topmost(self, found: BitMap) -> BitMap:
        """`found` without what is below a folder of it: what a listing shows. May be `found` itself."""

    def shows(self, expr: Expr, item: ItemId, *, now: float) -> bool:
        """Whether a listing of `expr` shows this item: it matches, and no folder that holds it does."""

    async def carried(self, expr: Expr, *, now: float, literal: bool = False) -> list[TagCount]:
        """Tags that hold for items of the result, with how many entries a listing of those has, sorted by name. By what
        the relations make of them, also those that nobody carries; with `literal` only what is carried counts."""

    async def narrowing(self, expr: Expr, *, now: float, literal: bool = False) -> list[TagCount]:
        """Those of them that leave out something of the result."""


class RangeReader(Protocol):
    """An arriving file, as the vfs sees it."""

    @property
    def size(self) -> int | None: ...
    @property
    def present(self) -> int:
        """Bytes that are here."""

    def have(self, offset: int, length: int) -> bool: ...
    def hint(self, offset: int, length: int) -> None:
        """Somebody is about to read this: put it first. Starts the download if it waits in the queue."""

    async def wait_size(self, deadline: float) -> None:
        """Until `size` is known, or bytes come although it is not, or nothing will come, or `deadline` (trio clock).
        Puts the download first like a read of its beginning. Never fails: whoever reads on learns why."""

    async def pread(self, offset: int, length: int, deadline: float) -> bytes:
        """Exactly the bytes, cut only at the end of the file; waits for them until `deadline` (trio clock).

        NotReady when too many wait already; SourceFailed when patience runs out or the source fails."""


@dataclass(frozen=True, slots=True)
class AddRequest:
    """A download to start. `urls` are mirrors of one file, or one magnet link; or there is none, and `torrent` is the
    content of a .torrent file. `select` chooses files of a torrent: `1-3,7`, counted from 1, or a pattern as `*.mkv`;
    None means all, or what the magnet link says."""

    urls: Sequence[str] = ()
    name: str | None = None  # None: from the server or the URL
    tags: Collection[str] = ()
    digests: Mapping[str, str] = field(default_factory=dict)  # algorithm -> hex
    pieces: Pieces | None = None  # of the one file that `urls` name
    size: int | None = None  # that it must have
    paused: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    torrent: bytes | None = None
    select: str | None = None
    cause: Cause = Cause.MOUNT  # who asks for it
    folder: ItemId | None = None  # the folder item that it is to be in


class Transfers(Protocol):
    async def add(self, request: AddRequest) -> Item:
        """The item is there (queued) when this returns; its name may still change once the server says better."""

    def reader(self, item: ItemId) -> RangeReader | None:
        """None for an item that is not arriving."""

    def progress(self, item: ItemId) -> Progress | None: ...
    async def pause(self, item: ItemId) -> None: ...
    async def resume(self, item: ItemId) -> None:
        """Also retries what failed."""

    async def stop(self, item: ItemId) -> None:
        """Before an item goes to the trash: let go of its connections and wait until nothing writes any more. A file in
        a torrent is not wanted any more."""

    async def skip(self, item: ItemId) -> None:
        """A file in a torrent is not wanted; `resume` wants it again. BadRequest for what is none."""

    def mode(self, item: ItemId) -> str | None:
        """`full`, or `on-demand`: only what readers ask for is fetched. None for an item that is not arriving."""

    async def set_mode(self, item: ItemId, mode: str) -> None:
        """BadRequest for another word, or where it cannot be changed. Nothing happens to what is not arriving."""


@dataclass(frozen=True, slots=True)
class Ingested:
    sha256: str
    size: int
    digests: Mapping[str, str]  # every algorithm that was checked, lower-case hex
    mime: str | None = None  # what the first bytes tell; empty: nothing; None: nobody has looked


class Witness(Protocol):
    """Sees content while it is hashed, and says afterwards whether it is what somebody promised. In a disk thread."""

    def update(self, data: memoryview) -> None: ...
    def agrees(self) -> bool: ...


class Pass(Protocol):
    """One reading of a file from its beginning, in steps: for its SHA-256, and for a witness of the same bytes."""

    @property
    def path(self) -> str: ...
    @property
    def offset(self) -> int:
        """Bytes that were read."""

    def advance(self, upto: int | None) -> None:
        """In a disk thread: read on to there, or to the end."""

    def sha256(self) -> str: ...
    def agrees(self) -> bool:
        """What the witness says; true without one."""


@dataclass(frozen=True, slots=True)
class Content:
    """Small content in memory, with the SHA-256 that it has."""

    sha256: str
    data: bytes | bytearray


class Blobs(Protocol):
    """Content by SHA-256, wherever it is kept. Content in the store never changes.

    What is in the making lies in staging, a local folder whatever the store is: it is written in pieces, read while it
    grows, and must survive a restart."""

    def open(self, sha256: str) -> int:
        """A read-only file descriptor, which the caller closes. SourceFailed when the content is gone."""

    def exists(self, sha256: str) -> bool: ...
    def size(self, sha256: str) -> int | None:
        """Bytes of the blob; None where there is none."""

    def create_staging(self, name: str | None = None) -> tuple[str, int]:
        """(name, fd) of a new empty file below staging, or of the existing one of that `name`; mode 0600."""

    def staging_path(self, name: str) -> str: ...
    async def hash_ahead(self, staging: str, upto: int, algorithms: Collection[str]) -> None:
        """A hint: bytes `[0, upto)` will not change any more, `ingest` may be spared hashing them."""

    async def ingest(self, staging: str, digests: Mapping[str, str]) -> Ingested:
        """The one door in: hash, compare with `digests` (DigestMismatch), make durable under its name.

        Afterwards the caller commits the row that names the blob. Content that is there already is not stored twice.
        The staging name is gone on success and untouched on failure."""

    async def put_many(self, contents: Sequence[Content]) -> list[StoreFull | OSError | None]:
        """The same door for small contents in memory, which are made durable together. Returns what went wrong with
        each; None: it is in the store, whole and durable."""

    async def looks(self, blobs: Sequence[str]) -> list[str | None]:
        """What the first bytes of each of these blobs tell it to be, a MIME type; empty: nothing; None: there is no
        such blob, or nobody can tell."""

    def discard_staging(self, name: str) -> None:
        """Nothing to do where it is gone already."""

    def hold(self, sha256: str) -> None:
        """Somebody has it open: gc leaves it. Paired with `release`."""

    def release(self, sha256: str) -> None: ...


class LocalBlobs(Blobs, Protocol):
    """Content in files of a local file system, which programs that read and write files by path can share: torrents."""

    def path(self, sha256: str) -> str: ...
    def begin_pass(self, path: str, witness: Witness | None = None) -> Pass:
        """For `adopt`. Instant: the file is opened when it is read."""

    async def read_ahead(self, begun: Pass, upto: int) -> None:
        """Bytes `[0, upto)` will not change any more: read them now, for `adopt` to be spared that. One call at a time
        a pass."""

    async def adopt(self, begun: Pass, *, heal: bool = False) -> Ingested:
        """The door in for a file that goes on to be used where it is, on the same file system: hashed, synced, made
        read-only and given a second name in the store, not copied. Nobody may write to it any more. Where the store
        has the content already, the path becomes a name of that; with `heal` the blob becomes a name of the path, since
        it was found to be damaged. DigestMismatch if the witness does not agree."""

    async def lend(self, sha256: str, path: str) -> None:
        """The blob under a second name, read-only, for who reads files by path; `path` is replaced."""
