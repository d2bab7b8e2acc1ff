"""From a backup to a state directory on which a daemon can start. Blocking; the CLI alone, while no daemon runs.

    check the backup ─▶ own the state directory ─▶ contents ─▶ catalogue beside its name ─▶ the old one aside ─▶ rename

A kill at any arrow leaves a state directory without a catalogue, or with the one that it had: restoring again goes on.
Nothing is deleted: with `replace`, what belonged to the old catalogue is in `quarantine/restored-over.N/` afterwards.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count
from urllib.parse import quote

from tagfs.config.paths import CATALOGUE_NAME
from tagfs.daemon import state as state_directory
from tagfs.daemon.errors import StartError

MANIFEST = "tagfs-backup.json"  # see engine.backup
VERSION = 1
# Of the old catalogue: the rows that these belong to go with it. The database first: its log alone is refused.
ASIDE = (CATALOGUE_NAME, f"{CATALOGUE_NAME}-wal", f"{CATALOGUE_NAME}-shm", "staging", "torrents")
BLOBS = "SELECT sha256, size FROM blob ORDER BY sha256"
BLOB_MODE = 0o440


@dataclass(frozen=True, slots=True)
class Restored:
    items: int
    blobs: int
    copied: int
    missing: int  # contents that are neither in the backup, undamaged, nor in the state directory


def restore(backup: str, state: str, report: Callable[[int, int], None], *, replace: bool = False) -> Restored:
    """`report` hears how many of how many contents are there. StartError says what cannot be."""
    blobs, items = _read(backup)
    state_directory.prepare(state, contents=True)
    held = state_directory.lock(state)
    try:
        there = [name for name in ASIDE[:3] if os.path.lexists(os.path.join(state, name))]
        if there and not replace:
            raise StartError(f"{state} has a catalogue already; --replace puts it aside.")
        if not all(re.fullmatch("[0-9a-f]{64}", str(sha256)) for sha256, _ in blobs):
            raise StartError(f"The catalogue in {backup} is damaged: it names what is no content.")
        copied = missing = 0
        for number, (sha256, size) in enumerate(blobs):
            report(number, len(blobs))
            what = _bring(backup, state, sha256, size)
            copied += what is True
            missing += what is None
        new = os.path.join(state, f"{CATALOGUE_NAME}.new")
        _copy(os.path.join(backup, CATALOGUE_NAME), new, 0o600)
        if replace:
            _put_aside(state)
        os.rename(new, os.path.join(state, CATALOGUE_NAME))
        _sync(state)
        return Restored(items, len(blobs), copied, missing)
    except OSError as error:
        raise StartError(f"The backup cannot be restored: {error.filename or state}: {error.strerror}.") from error
    finally:
        os.close(held)


def _read(backup: str) -> tuple[list[tuple[str, int]], int]:
    """The contents that the backup names, and how many items. StartError when it is none, or not whole."""
    try:
        with open(os.path.join(backup, MANIFEST), encoding="ascii") as file:
            manifest = json.load(file)
    except (OSError, ValueError) as error:
        raise StartError(f"{backup} is no backup of tagfs.") from error
    if not isinstance(manifest, dict) or manifest.get("tagfs") != "backup":
        raise StartError(f"{backup} is no backup of tagfs.")
    if (version := manifest.get("version")) != VERSION:
        raise StartError(f"The backup in {backup} has version {version!r}, and only version {VERSION} can be read.")
    database = os.path.join(backup, CATALOGUE_NAME)
    if not os.path.isfile(database):
        raise StartError(f"The backup in {backup} was never finished.")
    try:
        # immutable: nothing is written beside it, on whatever medium it is.
        uri = f"file:{quote(os.fsencode(os.path.abspath(database)))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            ((verdict,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
            if verdict != "ok":
                raise StartError(f"The catalogue in {backup} is damaged: {verdict}.")
            ((items,),) = connection.execute("SELECT count(*) FROM item").fetchall()
            return connection.execute(BLOBS).fetchall(), items
    except sqlite3.Error as error:
        raise StartError(f"The catalogue in {backup} is damaged: {error}.") from error


def _bring(backup: str, state: str, sha256: str, size: int) -> bool | None:
    """True: it was copied; False: it was there; None: it is nowhere, or what the backup has is damaged."""
    inside = os.path.join("blobs", sha256[:2], sha256)
    if _size(os.path.join(state, inside)) == size:
        return False
    if _size(os.path.join(backup, inside)) != size:
        return None
    os.makedirs(os.path.dirname(os.path.join(state, inside)), mode=0o700, exist_ok=True)
    beside = os.path.join(state, f"{inside}.part")
    _copy(os.path.join(backup, inside), beside, BLOB_MODE)
    with open(beside, "rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:  # as good as missing
            os.unlink(beside)
            return None
    os.rename(beside, os.path.join(state, inside))
    _sync(os.path.dirname(beside))
    return True


def _size(path: str) -> int | None:
    try:
        return os.lstat(path).st_size if os.path.isfile(path) else None
    except FileNotFoundError:
        return None


def _copy(source: str, target: str, mode: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(target)
    shutil.copyfile(source, target)  # in the kernel
    os.chmod(target, mode)
    fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _put_aside(state: str) -> None:
    names = [name for name in ASIDE if os.path.lexists(os.path.join(state, name))]
    folder = next(
        path for number in count() if not os.path.lexists(path := f"{state}/quarantine/restored-over.{number}")
    )
    os.makedirs(folder, mode=0o700)
    for name in names:
        os.rename(os.path.join(state, name), os.path.join(folder, name))
    _sync(folder)
    _sync(state)


def _sync(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
