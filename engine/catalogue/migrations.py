"""Brings an older database up to the newest schema, one durable transaction a step. Imports models; before any service.

`user_version` counts the schema. A new database is created at VERSION at once; an older one climbs there by STEPS:
STEPS[n] takes version n to n + 1. A test holds both roads to the same schema. To change the schema: change models.py,
raise VERSION, add the step (playhouse.migrate or SQL) and a database of the old version as a fixture.

Crash safety (R14): a step and its user_version are one transaction under synchronous=FULL, so a step happens as a whole
or not at all; afterwards the write-ahead log is folded into the file and file and folder are fsynced.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from peewee import SchemaManager, SqliteDatabase

from engine.catalogue.models import MODELS, TRIGGERS
from engine.disk import kill_point
from engine.errors import EngineError
from engine.types import FIRST_ITEM_ID

log = logging.getLogger(__name__)

Step = Callable[[SqliteDatabase], None]

VERSION: Final = 4

# SQL and not models: a step stays what it was when the models go on to change.
TORRENT: Final = (
    'CREATE TABLE "torrent" ("item" INTEGER NOT NULL PRIMARY KEY, "v1" TEXT CHECK (length(v1) = 40),'
    ' "v2" TEXT CHECK (length(v2) = 64), "metadata" BLOB, "magnet" TEXT NOT NULL, "folder" TEXT NOT NULL,'
    ' "resume" BLOB, "options" TEXT NOT NULL,'
    ' FOREIGN KEY ("item") REFERENCES "item" ("id") ON DELETE CASCADE,'
    " CHECK (v1 IS NOT NULL OR v2 IS NOT NULL)) STRICT"
)
TORRENT_FILE: Final = (
    'CREATE TABLE "torrent_file" ("torrent" INTEGER NOT NULL, "position" INTEGER NOT NULL, "item" INTEGER NOT NULL,'
    ' PRIMARY KEY ("torrent", "position"),'
    ' FOREIGN KEY ("torrent") REFERENCES "torrent" ("item") ON DELETE CASCADE,'
    ' FOREIGN KEY ("item") REFERENCES "item" ("id") ON DELETE CASCADE) STRICT, WITHOUT ROWID'
)
FOLDERS_AND_TORRENTS: Final = (
    'ALTER TABLE "item" ADD COLUMN "parent" INTEGER REFERENCES "item" ("id") ON DELETE CASCADE',
    'CREATE INDEX "item_parent_name" ON "item" ("parent", "name") WHERE parent IS NOT NULL',
    'CREATE INDEX "blob_size" ON "blob" ("size")',
    TORRENT,
    'CREATE UNIQUE INDEX "torrent_folder" ON "torrent" ("folder")',
    'CREATE INDEX "torrent_v1" ON "torrent" ("v1") WHERE v1 IS NOT NULL',
    'CREATE INDEX "torrent_v2" ON "torrent" ("v2") WHERE v2 IS NOT NULL',
    TORRENT_FILE,
    'CREATE UNIQUE INDEX "torrent_file_item" ON "torrent_file" ("item")',
)
RELATION: Final = (
    'CREATE TABLE "relation" ("tag" INTEGER NOT NULL,'
    " \"kind\" TEXT NOT NULL CHECK (kind IN ('implies', 'same-as', 'excludes', 'requires')),"
    ' "other" INTEGER NOT NULL, PRIMARY KEY ("tag", "kind", "other"),'
    ' FOREIGN KEY ("tag") REFERENCES "tag" ("id") ON DELETE CASCADE,'
    ' FOREIGN KEY ("other") REFERENCES "tag" ("id") ON DELETE CASCADE, CHECK (tag <> other)) STRICT, WITHOUT ROWID'
)
SAVED_QUERY: Final = (
    'CREATE TABLE "saved_query" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,'
    ' "name" BLOB NOT NULL CHECK (length(name) BETWEEN 1 AND 255), "text" TEXT NOT NULL,'
    ' "added_ns" INTEGER NOT NULL) STRICT'
)
JOURNAL: Final = (
    'CREATE TABLE "journal" ("id" INTEGER NOT NULL PRIMARY KEY, "call" INTEGER NOT NULL,'
    ' "at_ns" INTEGER NOT NULL, "cause" TEXT NOT NULL, "undoes" INTEGER, "item" INTEGER, "items" BLOB,'
    ' "what" TEXT NOT NULL) STRICT'
)
SUGGESTION: Final = (
    'CREATE TABLE "suggestion" ("item" INTEGER NOT NULL, "tag" TEXT NOT NULL, "origin" TEXT NOT NULL,'
    " \"state\" TEXT NOT NULL CHECK (state IN ('open', 'accepted', 'refused')),"
    ' PRIMARY KEY ("item", "tag"),'
    ' FOREIGN KEY ("item") REFERENCES "item" ("id") ON DELETE CASCADE) STRICT, WITHOUT ROWID'
)
DRAFT: Final = (
    'CREATE TABLE "draft" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "item" INTEGER NOT NULL,'
    ' "staging" TEXT NOT NULL, FOREIGN KEY ("item") REFERENCES "item" ("id") ON DELETE CASCADE) STRICT'
)
ITEM_TO_LOOK: Final = (
    'CREATE INDEX "item_to_look" ON "item" ("id") WHERE trashed_ns IS NULL'
    " AND (looked = 0 OR looked = 1 AND state IN ('complete', 'seeding'))"
)
RELATIONS_AND_HISTORY: Final = (
    'ALTER TABLE "blob" ADD COLUMN "mime" TEXT',
    'CREATE INDEX "blob_to_look" ON "blob" ("id") WHERE mime IS NULL',
    'ALTER TABLE "item" ADD COLUMN "looked" INTEGER NOT NULL DEFAULT 0 CHECK (looked BETWEEN 0 AND 2)',
    ITEM_TO_LOOK,
    'CREATE INDEX "item_inner_folder" ON "item" ("parent") WHERE kind = \'folder\' AND parent IS NOT NULL',
    RELATION,
    'CREATE INDEX "relation_other" ON "relation" ("other")',
    SAVED_QUERY,
    'CREATE UNIQUE INDEX "saved_query_name" ON "saved_query" ("name")',
    JOURNAL,
    'CREATE INDEX "journal_undoes" ON "journal" ("undoes") WHERE undoes IS NOT NULL',
    SUGGESTION,
    'CREATE INDEX "suggestion_open" ON "suggestion" ("item") WHERE state = \'open\'',
    DRAFT,
    'CREATE INDEX "draft_item" ON "draft" ("item")',
    'CREATE UNIQUE INDEX "draft_staging" ON "draft" ("staging")',
)
TAG_PAGE: Final = (
    'CREATE TABLE "tag_page" ("tag" INTEGER NOT NULL, "page" INTEGER NOT NULL, "items" BLOB NOT NULL,'
    ' PRIMARY KEY ("tag", "page"),'
    ' FOREIGN KEY ("tag") REFERENCES "tag" ("id") ON DELETE CASCADE) STRICT, WITHOUT ROWID'
)
_DROP_OLD: Final = "DELETE FROM tag_page WHERE tag = OLD.tag AND page = OLD.item >> 16;"
_DROP_NEW: Final = "DELETE FROM tag_page WHERE tag = NEW.tag AND page = NEW.item >> 16;"
TAG_PAGES: Final = (
    TAG_PAGE,
    f"CREATE TRIGGER tagging_insert AFTER INSERT ON tagging BEGIN {_DROP_NEW} END",
    f"CREATE TRIGGER tagging_delete AFTER DELETE ON tagging BEGIN {_DROP_OLD} END",
    f"CREATE TRIGGER tagging_update AFTER UPDATE ON tagging BEGIN {_DROP_OLD} {_DROP_NEW} END",
)


def _statements(*statements: str) -> Step:
    def step(database: SqliteDatabase) -> None:
        for statement in statements:
            database.execute_sql(statement)  # type: ignore[no-untyped-call]  # by peewee's stubs

    return step


STEPS: Final[Mapping[int, Step]] = {
    1: _statements(*FOLDERS_AND_TORRENTS),
    2: _statements(*RELATIONS_AND_HISTORY),
    3: _statements(*TAG_PAGES),
}

# Marks the file as ours to file(1) and to ourselves: "tgfs".
APPLICATION_ID: Final = 0x74676673


def create(database: SqliteDatabase) -> None:
    """Make the newest schema in an empty database, in one transaction."""
    with database.atomic("IMMEDIATE"):
        for model in MODELS:
            SchemaManager(model, database).create_all(safe=False)
        for trigger in TRIGGERS:
            database.execute_sql(trigger)  # type: ignore[no-untyped-call]  # by peewee's stubs
        # AUTOINCREMENT gives one more than the largest it ever gave; this is where it starts.
        start = "INSERT INTO sqlite_sequence (name, seq) VALUES ('item', ?)"
        database.execute_sql(start, (FIRST_ITEM_ID - 1,))  # type: ignore[no-untyped-call]  # by peewee's stubs
        database.pragma("application_id", APPLICATION_ID)
        database.pragma("user_version", VERSION)


def migrate(database: SqliteDatabase, *, version: int = VERSION, steps: Mapping[int, Step] = STEPS) -> bool:
    """Climb to `version`; True if anything was done. EngineError for a file that is not ours or from the future."""
    found, ours = database.pragma("user_version"), database.pragma("application_id")
    if ours != APPLICATION_ID:
        raise EngineError("the catalogue is a database of another program; tagfs has not touched it")
    if found > version:
        raise EngineError(
            f"the catalogue was written by a newer tagfs (schema {found}, this one knows {version}); "
            "update tagfs, it has not touched the file"
        )
    for number in range(found, version):
        log.info("migrating the catalogue from schema %d to %d", number, number + 1)
        with database.atomic("IMMEDIATE"):
            steps[number](database)
            database.pragma("user_version", number + 1)
            kill_point("migrate.changed")
        kill_point("migrate.committed")
    return bool(found < version)
