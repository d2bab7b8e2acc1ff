"""The tables of the catalogue: what each column means, its sentinels and its invariants. Imports peewee; any thread.

    blob ◀── item ◀──┬── tagging ──▶ tag ◀── relation
      ▲      ▲  │     ├── xattr
      │      └──┘     ├── source
      └── digest      ├── download
                      ├── draft, suggestion
                      └── torrent ◀── torrent_file ──▶ item        journal, saved_query: point to nothing

The models are not bound to a database: a query is built here or in `scans` and executed on the connection of the
thread that runs it. They are the newest schema; `migrations` brings older files up to it. The tables are STRICT, so a
column holds its type or NULL and nothing else. docs/on-disk-format.md describes them to people with other tools.
"""

from __future__ import annotations

from typing import Final

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    BlobField,
    BooleanField,
    Check,
    CompositeKey,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)

TO_LOOK: Final = "trashed_ns IS NULL AND (looked = 0 OR looked = 1 AND state IN ('complete', 'seeding'))"


class Table(Model):
    class Meta:
        strict_tables = True
        legacy_table_names = False


class Blob(Table):
    """Content, once. A row implies that the blob store holds the whole file, durably (R1, R2)."""

    id = AutoField(constraints=[SQL("AUTOINCREMENT")])
    sha256 = TextField(unique=True, constraints=[Check("length(sha256) = 64")])  # lower-case hex, the file's name
    size = BigIntegerField(constraints=[Check("size >= 0")], index=True)  # bytes; content of a known size is looked for
    mime = TextField(null=True)  # what its first bytes tell; empty: they tell nothing; NULL: nobody has looked


Blob.add_index(Blob.index(Blob.id, name="blob_to_look", where=SQL("mime IS NULL")))


class Digest(Table):
    """A further digest that the content of a blob was checked against. SHA-256 itself is in `blob` alone."""

    blob = ForeignKeyField(Blob, column_name="blob", on_delete="CASCADE", index=False)
    algorithm = TextField()  # lower case: sha512, md5, ...
    hex = TextField()  # lower case

    class Meta:
        table_name = "digest"
        primary_key = CompositeKey("blob", "algorithm")
        without_rowid = True
        indexes = ((("algorithm", "hex"), False),)


class Item(Table):
    """A file, folder or symlink. Never deleted but from the trash; identity, name and tags outlive its content."""

    # From FIRST_ITEM_ID to LAST_ITEM_ID, ascending and never reused: it is the inode number, and a bit in bitmaps.
    id = AutoField(constraints=[SQL("AUTOINCREMENT")])
    name = BlobField(constraints=[Check("length(name) BETWEEN 1 AND 255")])  # os.fsencode: file names are bytes
    kind = TextField(constraints=[Check("kind IN ('file', 'folder', 'symlink')")])
    state = TextField()  # a value of engine.types.State
    size = BigIntegerField(null=True)  # bytes; NULL while unknown; the blob's own size when there is a blob
    # NULL until the file is whole. A new content that is on its way leaves the old blob here until it is complete.
    blob = ForeignKeyField(Blob, column_name="blob", null=True, on_delete="RESTRICT", index=False)
    mtime_ns = BigIntegerField()  # since the epoch
    mtime_given = BooleanField(default=False)  # somebody set mtime_ns on purpose; a server's date does not replace it
    added_ns = BigIntegerField()  # when the row was made; never changes
    mode = IntegerField(constraints=[Check("mode BETWEEN 0 AND 4095")])  # permission bits
    target = BlobField(null=True)  # of a symlink, os.fsencode; NULL for the other kinds
    error = TextField(null=True)  # one sentence for the user; NULL when nothing is wrong
    trashed_ns = BigIntegerField(null=True)  # NULL: the item is live
    # The folder item that holds it; NULL at the top. Never a cycle. What is in a folder goes when the folder goes.
    parent = ForeignKeyField("self", column_name="parent", null=True, on_delete="CASCADE", index=False)
    # How far rules and suggestions have come with it: 0 not looked at, 1 when it was added, 2 when it was whole.
    looked = IntegerField(constraints=[SQL("DEFAULT 0"), Check("looked BETWEEN 0 AND 2")])

    class Meta:
        constraints = (
            Check("kind <> 'file' OR state NOT IN ('complete', 'seeding') OR blob IS NOT NULL"),
            Check("(kind = 'symlink') = (target IS NOT NULL)"),
        )


# Names are looked up among live items or in the trash, never in both.
Item.add_index(Item.index(Item.name, name="item_live_name", where=SQL("trashed_ns IS NULL")))
Item.add_index(Item.index(Item.name, name="item_trashed_name", where=SQL("trashed_ns IS NOT NULL")))
# Live items by state, without reading their rows: what the index opens with (0.15 s for a million).
Item.add_index(Item.index(Item.state, Item.id, name="item_live_state", where=SQL("trashed_ns IS NULL")))
Item.add_index(Item.index(Item.blob, name="item_blob", where=SQL("blob IS NOT NULL")))
# What is to be looked at; the query that asks for it repeats the condition word for word.
Item.add_index(Item.index(Item.id, name="item_to_look", where=SQL(TO_LOOK)))
Item.add_index(Item.index(Item.parent, Item.name, name="item_parent_name", where=SQL("parent IS NOT NULL")))
# Folders in folders, without reading the rows of all that folders hold: the index opens with them, too.
_INNER_FOLDER = SQL("kind = 'folder' AND parent IS NOT NULL")
Item.add_index(Item.index(Item.parent, name="item_inner_folder", where=_INNER_FOLDER))


class Tag(Table):
    """A plain tag `movie` or a pair `year:2000`. It lives until it is removed by name, carried or not."""

    id = AutoField(constraints=[SQL("AUTOINCREMENT")])  # never reused
    name = TextField(unique=True)  # NFC, checked by query.names.check_own_tag
    key = TextField(null=True)  # of a pair: what stands before the first colon; NULL for a plain tag
    value = TextField(null=True)  # of a pair: the rest
    value_kind = TextField(null=True)  # of a pair: what the value reads as, a query.values.Kind
    # Of a pair whose value is no text: query.values' sort key, as a double (exact to 2**53; out of range: infinity).
    value_number = DoubleField(null=True)
    items = IntegerField(default=0, constraints=[Check("items >= 0")])  # live items that carry it


class Tagging(Table):
    """An item carries a tag as its own. Kept for trashed items, so that they come back as they were."""

    item = ForeignKeyField(Item, column_name="item", on_delete="CASCADE", index=False)
    tag = ForeignKeyField(Tag, column_name="tag", on_delete="RESTRICT", index=False)

    class Meta:
        table_name = "tagging"
        primary_key = CompositeKey("item", "tag")
        without_rowid = True
        indexes = ((("tag", "item"), False),)


class TagPage(Table):
    """Who carries a tag among 65,536 items, as one value: what a query loads a hundred times as quickly as taggings. A
    copy of `tagging`, made some time after it was asked for; the triggers drop it with the first change that it does
    not show. Where there is no row, `tagging` tells."""

    tag = ForeignKeyField(Tag, column_name="tag", on_delete="CASCADE", index=False)
    page = IntegerField()  # of the items whose id // 65536 is this
    items = BlobField()  # a serialized roaring bitmap of their ids, those in the trash included

    class Meta:
        table_name = "tag_page"
        primary_key = CompositeKey("tag", "page")
        without_rowid = True


# Triggers, so that nothing that writes taggings can forget it: 0.3 µs to put one on, 0.13 to take it off.
TRIGGERS: Final = tuple(
    f"CREATE TRIGGER tagging_{event.lower()} AFTER {event} ON tagging BEGIN "  # noqa: S608 -- constants, no values
    + " ".join(f"DELETE FROM tag_page WHERE tag = {row}.tag AND page = {row}.item >> 16;" for row in rows)  # noqa: S608 -- likewise
    + " END"
    for event, rows in (("INSERT", ("NEW",)), ("DELETE", ("OLD",)), ("UPDATE", ("OLD", "NEW")))
)


class Xattr(Table):
    """An extended attribute that tagfs keeps as it was given."""

    item = ForeignKeyField(Item, column_name="item", on_delete="CASCADE", index=False)
    name = BlobField()  # os.fsencode
    value = BlobField()  # to 64 KiB

    class Meta:
        table_name = "xattr"
        primary_key = CompositeKey("item", "name")
        without_rowid = True


class Source(Table):
    """Where the bytes of an item come from. Several http rows are mirrors of one file."""

    item = ForeignKeyField(Item, column_name="item", on_delete="CASCADE", index=False)
    position = IntegerField()  # mirrors are tried in this order, from 0
    kind = TextField()  # a value of engine.types.SourceKind
    url = TextField()  # may hold credentials; empty where there is none
    public_url = TextField()  # what may be shown
    host = TextField()  # lower case, without port; empty where there is none

    class Meta:
        table_name = "source"
        primary_key = CompositeKey("item", "position")
        without_rowid = True


class Download(Table):
    """What a restart needs to go on with an item that is not whole. Gone when the item is complete."""

    item = ForeignKeyField(Item, column_name="item", primary_key=True, on_delete="CASCADE")
    staging = TextField(unique=True)  # file name below the staging folder
    size = BigIntegerField(null=True)  # bytes, once the server said so
    etag = TextField(null=True)  # a strong validator, as sent
    last_modified = TextField(null=True)  # as sent
    ranges = TextField()  # `0-1048576,2097152-3145728`, end exclusive: bytes that were fsynced (R7: never too many)
    digests = TextField()  # JSON object: algorithm -> lower-case hex that the content must have
    name_fixed = BooleanField()  # the user chose the name
    attempts = IntegerField()  # failures in a row
    retry_at_ns = BigIntegerField(null=True)  # not before; NULL: at once
    options = TextField()  # JSON object of settings for this download alone


class Draft(Table):
    """New content for an item that has some already (or is about to): a staged file that is written or hashed. Several
    of one item build on each other in the order of their ids. The row goes when the content is the item's."""

    id = AutoField(constraints=[SQL("AUTOINCREMENT")])
    item = ForeignKeyField(Item, column_name="item", on_delete="CASCADE", index=True)
    staging = TextField(unique=True)  # file name below the staging folder


class Torrent(Table):
    """A torrent that arrives, seeds, or has been here. `item` is the file or the folder that it became."""

    item = ForeignKeyField(Item, column_name="item", primary_key=True, on_delete="CASCADE")
    v1 = TextField(null=True, constraints=[Check("length(v1) = 40")])  # infohash, lower-case hex
    v2 = TextField(null=True, constraints=[Check("length(v2) = 64")])  # the whole one, never cut to 40 digits
    metadata = BlobField(null=True)  # the .torrent; NULL until a magnet link has found it
    magnet = TextField()  # trackers, web seeds, peers, selection; may hold secrets
    folder = TextField(unique=True)  # name below the folder of torrents
    resume = BlobField(null=True)  # libtorrent's, in an envelope with a checksum (R11); NULL: nothing is known
    options = TextField()  # JSON object of settings for this torrent alone

    class Meta:
        constraints = (Check("v1 IS NOT NULL OR v2 IS NOT NULL"),)


Torrent.add_index(Torrent.index(Torrent.v1, name="torrent_v1", where=SQL("v1 IS NOT NULL")))
Torrent.add_index(Torrent.index(Torrent.v2, name="torrent_v2", where=SQL("v2 IS NOT NULL")))


class TorrentFile(Table):
    """Which item is which file of a torrent. Pad files have no row; a file whose item is gone has none either."""

    torrent = ForeignKeyField(Torrent, column_name="torrent", on_delete="CASCADE", index=False)
    position = IntegerField()  # in the torrent's own list of files, from 0
    item = ForeignKeyField(Item, column_name="item", on_delete="CASCADE", unique=True)

    class Meta:
        table_name = "torrent_file"
        primary_key = CompositeKey("torrent", "position")
        without_rowid = True


class Relation(Table):
    """What one tag says about another: `tag` implies (same-as, excludes, requires) `other`. As stated, never closed."""

    tag = ForeignKeyField(Tag, column_name="tag", on_delete="CASCADE", index=False)
    kind = TextField(constraints=[Check("kind IN ('implies', 'same-as', 'excludes', 'requires')")])
    other = ForeignKeyField(Tag, column_name="other", on_delete="CASCADE", index=True)

    class Meta:
        table_name = "relation"
        primary_key = CompositeKey("tag", "kind", "other")
        without_rowid = True
        constraints = (Check("tag <> other"),)


class SavedQuery(Table):
    """A query with a name, which is a directory below /queries."""

    id = AutoField(constraints=[SQL("AUTOINCREMENT")])
    name = BlobField(unique=True, constraints=[Check("length(name) BETWEEN 1 AND 255")])  # os.fsencode
    text = TextField()  # the expression, as query.render spells it
    added_ns = BigIntegerField()

    class Meta:
        table_name = "saved_query"


class Journal(Table):
    """What was done: one row for the items that one transaction changed alike. Points to nothing and outlives all."""

    id = AutoField()  # ascending in the order of commits; the newest row is never deleted, so no number comes twice
    call = BigIntegerField()  # the id of the first row of the transaction; the rows of one follow each other
    at_ns = BigIntegerField()
    cause = TextField()  # who did it: a value of engine.history.Cause
    undoes = BigIntegerField(null=True)  # the call that this one took back
    item = BigIntegerField(null=True)  # the one item; NULL for several, and for what concerns no item
    items = BlobField(null=True)  # several items, as a serialized roaring bitmap
    what = TextField()  # JSON object, see engine.history

    class Meta:
        table_name = "journal"


# No index on `item`: it would cost each write, and to look through a million rows for one item takes 0.13 s.
Journal.add_index(Journal.index(Journal.undoes, name="journal_undoes", where=SQL("undoes IS NOT NULL")))


class Suggestion(Table):
    """A tag that something proposes for an item. It is none of its tags until somebody accepts it."""

    item = ForeignKeyField(Item, column_name="item", on_delete="CASCADE", index=False)
    tag = TextField()  # NFC, as query.names.check_own_tag gives it; there need not be such a tag
    origin = TextField()  # what proposes it: name, content, ...
    state = TextField(constraints=[Check("state IN ('open', 'accepted', 'refused')")])

    class Meta:
        table_name = "suggestion"
        primary_key = CompositeKey("item", "tag")
        without_rowid = True


Suggestion.add_index(Suggestion.index(Suggestion.item, name="suggestion_open", where=SQL("state = 'open'")))


MODELS: tuple[type[Table], ...] = (
    Blob, Digest, Item, Tag, Tagging, TagPage, Xattr, Source, Download, Draft, Torrent, TorrentFile, Relation,
    SavedQuery, Journal, Suggestion,
)  # fmt: skip
