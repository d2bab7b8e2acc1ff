"""Many files are made durable by one sync of their file system, where that is known to do and does not take long."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from engine.blobs import syncing
from engine.blobs.store import BlobStore
from engine.blobs.syncing import FEW, MUCH, Syncing


class Syncs:
    """What is synced: inode numbers one by one, and how often all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, store: BlobStore) -> None:
        self.one_by_one: list[int] = []
        self.all = 0
        self.fails = False
        self._store, self._fsync = store, os.fsync
        monkeypatch.setattr(os, "fsync", self._one)
        monkeypatch.setattr(syncing, "syncfs", self._whole)
        monkeypatch.setattr(syncing, "can_sync_all", lambda folder: True)
        monkeypatch.setattr(syncing, "waiting", lambda: MUCH)

    def _one(self, fd: int) -> None:
        self.one_by_one.append(os.fstat(fd).st_ino)
        self._fsync(fd)

    def _whole(self, fd: int) -> None:
        assert os.fstat(fd).st_dev == os.stat(self._store.root).st_dev
        self.all += 1
        if self.fails:
            raise OSError(errno.EIO, "Input/output error")


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path)


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch, store: BlobStore) -> Syncs:
    return Syncs(monkeypatch, store)


def staged(store: BlobStore, count: int) -> dict[str, int]:
    """Names in staging, with their inode numbers."""
    found = {}
    for number in range(count):
        name, fd = store.create_staging()
        os.write(fd, b"content %d" % number)
        found[name] = os.fstat(fd).st_ino
        os.close(fd)
    return found


async def ingest(store: BlobStore, names: Sequence[str]) -> None:
    """All are there as blobs afterwards, protected.."""

    async def one(name: str) -> None:
        path = Path(store.path((await store.ingest(name, {})).sha256))
        assert path.stat().st_mode & 0o777 == 0o440

    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(one, name)
    assert len(await store.stored()) >= len(names)


async def test_many_are_synced_together(store: BlobStore, syncs: Syncs) -> None:
    files = staged(store, 4 * FEW)
    async with store.syncing_together():
        await ingest(store, list(files))
    assert syncs.all >= 2
    assert len(set(files.values()) & set(syncs.one_by_one)) < FEW


async def test_few_are_synced_one_by_one(store: BlobStore, syncs: Syncs) -> None:
    files = staged(store, 1)
    async with store.syncing_together():
        await ingest(store, list(files))
    assert syncs.all == 0
    assert set(files.values()) <= set(syncs.one_by_one)


async def test_nobody_waits_for_what_others_write(
    store: BlobStore, syncs: Syncs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "waiting", lambda: MUCH + 1)
    files = staged(store, 4 * FEW)
    async with store.syncing_together():
        await ingest(store, list(files))
    assert syncs.all == 0
    assert set(files.values()) <= set(syncs.one_by_one)


async def test_a_sync_of_all_that_fails_is_not_believed(store: BlobStore, syncs: Syncs) -> None:
    """It may be another's file that was lost, even one that comes later, and the kernel tells of it once: from then on
    each is synced by itself, once."""
    syncs.fails = True
    files = staged(store, 8 * FEW)
    names = list(files)
    async with store.syncing_together():
        await ingest(store, names[: 4 * FEW])
        syncs.fails = False
        await ingest(store, names[4 * FEW :])
    assert syncs.all == 1
    assert sorted(number for number in syncs.one_by_one if number in files.values()) == sorted(files.values())


async def test_without_the_context_all_are_synced_one_by_one(store: BlobStore, syncs: Syncs) -> None:
    files = staged(store, 4 * FEW)
    await ingest(store, list(files))
    assert syncs.all == 0
    assert set(files.values()) <= set(syncs.one_by_one)


def test_the_kernel_takes_it(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        syncing.syncfs(fd)
    finally:
        os.close(fd)
    with pytest.raises(OSError, check=lambda error: error.errno == errno.EBADF):
        syncing.syncfs(fd)


def test_it_is_trusted_only_where_it_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert syncing.kind_of("/proc") == "proc"
    assert not syncing.can_sync_all("/proc")
    kind = syncing.kind_of(str(tmp_path))
    monkeypatch.setattr(syncing, "KINDS", frozenset({kind}))
    assert syncing.can_sync_all(str(tmp_path)) == (kind is not None)
    monkeypatch.setattr(syncing, "SINCE", (1000, 0))
    assert not syncing.can_sync_all(str(tmp_path))
    with Syncing(str(tmp_path)) as refused:
        assert not refused.is_worth_it(1000)
        assert not refused.contents()


def test_what_waits_to_be_written_is_told() -> None:
    assert 0 <= syncing.waiting() < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
