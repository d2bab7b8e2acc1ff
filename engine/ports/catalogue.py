"""Items, tags and all that must survive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol

from engine.columns import Columns
from engine.history import Cause, Record, Undone
from engine.loaded import Loading, Numbered
from engine.ports.observer import Observer
from engine.ports.writes import (
    Arrived,
    Edit,
    FolderFile,
    Look,
    Move,
    NewItem,
    NewTorrent,
    Replaced,
    Retagging,
    TorrentFiles,
)
from engine.trash import Heap
from engine.types import (
    Blob,
    Download,
    Facts,
    Item,
    ItemId,
    SavedQuery,
    Source,
    State,
    Torrent,
)
from query.relations import Relation


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

    def holder(self, staging: str) -> ItemId | None:
        """Whose file in staging that is; never of before the last commit, even where nobody has been told of it."""

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

    async def columns(self, ids: Sequence[int]) -> list[Columns]:
        """The same of `ids`, which ascend, as columns: one after the other, of some thousands each. What changes
        meanwhile may be in them as it was or as it is, of each item by itself."""

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
    async def holders(self, blobs: Collection[str]) -> list[Item]:
        """Items that have one of these contents, in the trash or not, oldest first. Of some hundred blobs at most."""

    async def lost(self) -> list[Item]:
        """Items in the state missing whose content was here once, in the trash or not."""

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

    async def snapshot(self, target: str) -> list[Blob]:
        """Write a copy as of one moment to the file `target`, which another catalogue can be opened on; it is replaced,
        private and durable. Returns the blobs that the copy names, by digest. Nobody waits for it. OSError, StoreFull
        where `target` has no space."""

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

    async def lose_content(self, sha256: str, why: str) -> list[ItemId]:
        """The content is not in the store, or not what it was: whole items that have it are `missing` from now on, for
        that reason. Returns them."""

    async def find_content(self, sha256: str, size: int) -> list[ItemId]:
        """The content, of so many bytes, is in the store after all: items that missed it are complete. Returns them."""

    async def set_blob_size(self, sha256: str, size: int) -> None:
        """The content was found to have so many bytes."""

    async def mend(self) -> None:
        """Make what is stored twice agree: counts, sizes, SQLite's indexes; drop rows that point to nothing."""

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
        nothing to bring back: no tag, no attribute, no download, and nothing that goes along; an undo makes it again
        then. Nothing happens to one that is in the trash already. NotEmpty for one that holds something."""

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

    def has_told_all(self) -> bool:
        """Whether observers have been told of all that reads may have found until now. Instant."""
