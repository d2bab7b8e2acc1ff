"""Opens the database file: creation, refusal of what is not ours, connections. Imports migrations; on any thread.

A database comes into being beside its final name and is renamed when it is whole and durable. So a file under the
final name that SQLite cannot read was damaged by something else, and is refused rather than replaced (C12).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote

from peewee import DatabaseError, SqliteDatabase

from engine.catalogue import migrations
from engine.disk import kill_point
from engine.errors import CatalogueFailed, EngineError, StoreFull

# Milliseconds to wait for a writer that is not ours (somebody's sqlite3 shell); our own take turns.
BUSY_MS: Final = 5_000

WRITER_PRAGMAS: Final[Mapping[str, int | str]] = {
    "busy_timeout": BUSY_MS,
    "foreign_keys": 1,
    "journal_mode": "wal",
    # What was acknowledged survives a power cut. NORMAL loses 17-36 % of acknowledged rows.
    "synchronous": "full",
    "cache_size": -16_384,  # KiB
    # The log shrinks back to this many bytes after a burst.
    "journal_size_limit": 64 * 1024 * 1024,
}
READER_PRAGMAS: Final[Mapping[str, int | str]] = {"busy_timeout": BUSY_MS, "query_only": 1, "cache_size": -8_192}

SIDE_FILES: Final = ("-wal", "-shm", "-journal")


def prepare(path: str) -> None:
    """Make sure that `path` is a database of the newest schema: create it, migrate it, or raise EngineError."""
    if not os.path.exists(path):
        if os.path.exists(path + "-wal"):
            raise EngineError(
                f"{path} is missing but its log {path}-wal is there: put the database back, or move the log away"
            )
        _create(path)
        return
    if os.path.getsize(path) == 0:
        raise EngineError(f"{path} is empty, which a catalogue never is: restore it from a backup, or move it away")
    with _readable(path):
        database = open_writer(path)
        try:
            if migrations.migrate(database):
                database.pragma("wal_checkpoint(TRUNCATE)")
                fsync_file(path)
        finally:
            database.close()


def open_writer(path: str) -> SqliteDatabase:
    """The writable connection; used on one thread at a time."""
    return _connect(path, "rw", WRITER_PRAGMAS)


def open_reader(path: str) -> SqliteDatabase:
    """A read-only connection that sees each commit at once; used on one thread at a time."""
    return _connect(path, "ro", READER_PRAGMAS)


def raw(database: SqliteDatabase) -> sqlite3.Connection:
    """The driver's connection below peewee's, for what is hot: ten times quicker than a query object."""
    connection: sqlite3.Connection = database.connection()  # type: ignore[no-untyped-call]  # by peewee's stubs
    return connection


def translate(error: Exception) -> EngineError | None:
    """What an error of SQLite means to callers; None for what is our own mistake (a constraint, bad SQL)."""
    cause: object = error
    while isinstance(cause, DatabaseError) and cause.args:  # peewee wraps, while it connects twice
        cause = cause.args[0] if isinstance(cause.args[0], Exception) else cause.__context__
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None:
        return None
    # Growing the shared-memory file of the log is a write as well, but SQLite reports it as an I/O error.
    if code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE:
        return StoreFull("no space left for the catalogue; free some, nothing was changed")
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return EngineError("another program holds the catalogue locked; try again when it has finished")
    if code & 0xFF in _FATAL:
        return CatalogueFailed(f"the catalogue failed: {cause}")
    return None


_FATAL: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOLFS,
    }
)


def _connect(path: str, mode: str, pragmas: Mapping[str, int | str]) -> SqliteDatabase:
    # A path is any bytes; the URI form would otherwise give `?` and `#` a meaning. mode keeps SQLite from creating it.
    uri = f"file:{quote(os.fsencode(os.path.abspath(path)))}?mode={mode}"
    database = SqliteDatabase(
        uri, pragmas=dict(pragmas), uri=True, thread_safe=False, autoconnect=False, check_same_thread=False,
        timeout=BUSY_MS // 1000, cached_statements=256,
    )  # fmt: skip
    database.connect()
    return database


def _create(path: str) -> None:
    """temp -> schema -> fsync -> rename -> fsync dir. A kill before the rename leaves only a temp file to sweep."""
    temporary = path + ".new"
    for leftover in (temporary, *(temporary + suffix for suffix in SIDE_FILES)):
        if os.path.exists(leftover):
            os.unlink(leftover)
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    database = _connect(temporary, "rw", WRITER_PRAGMAS)
    try:
        migrations.create(database)
        database.pragma("wal_checkpoint(TRUNCATE)")
    finally:
        database.close()  # the last connection: takes -wal and -shm along
    fsync_file(temporary)
    kill_point("create.built")
    os.rename(temporary, path)
    kill_point("create.renamed")
    fsync_file(path)


def fsync_file(path: str) -> None:
    """The file and its name."""
    for name, flags in ((path, os.O_RDONLY), (os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)):
        fd = os.open(name, flags | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Say in a sentence why a file cannot be opened."""
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError) as error:
        if (known := translate(error)) is not None and not isinstance(known, CatalogueFailed):
            raise known from error
        raise EngineError(f"{path} cannot be used as a catalogue ({error}); tagfs has not changed it") from error
