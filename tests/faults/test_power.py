"""The power fails at random instants while everything that can be done is done (I1, I2; C1 to C3).

The store is on a file system of its own, which is shut down without flushing its log, and mounted again. That the tests
would notice is a test as well: without any one kind of sync they find something within a few rounds.
TAGFS_POWER_ROUNDS and TAGFS_SEED choose how many rounds and which; the seed is printed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from engine.blobs import BlobStore
from engine.catalogue import open_catalogue
from engine.disk import fsync_dir
from engine.ports import Catalogue
from tagfs.vfs import sealing
from tagfs.vfs.sealing import Sealer
from tests.support.odd_mount import OddMount
from tests.support.opening import DATABASE, opened_until
from tests.support.power import LoopDisk, loop_disk
from tests.support.promises_kept import Commander, Emptier, Fetcher, Hand, Tagger, Writer
from tests.support.rounds import Rounds, rounds_on

ROUNDS = int(os.environ.get("TAGFS_POWER_ROUNDS", "50"))
LIFE = (0.1, 1.2)  # seconds
HANDS = {
    "w1": Writer, "w2": Writer, "w3": Writer, "c1": Commander, "c2": Commander, "d": Fetcher, "e": Emptier,
}  # fmt: skip
TAGGERS: dict[str, type[Hand]] = {f"t{number}": Tagger for number in range(64)}
NOTICED_WITHIN = 15  # rounds


class Broken(Exception):
    """A promise was."""


@contextmanager
def world(
    mount: OddMount, folder: Path, kind: str, hands: dict[str, type[Hand]] = HANDS
) -> Iterator[tuple[Rounds, LoopDisk]]:
    with loop_disk(folder, kind) as disk:
        mount.state = disk.path / "state"
        with rounds_on(mount, folder, os.environ.get("TAGFS_SEED", "0"), hands) as rounds:
            rounds.place = replace(rounds.place, power=True)
            try:
                yield rounds, disk
            finally:
                with suppress(OSError):  # of a disk that is off
                    mount.close()  # before its disk


def cut(rounds: Rounds, disk: LoopDisk, number: int) -> None:
    """Where the catalogue is on the disk too, the daemon goes on without it for a moment, and must promise nothing. A
    catalogue elsewhere would take down what is wrong with the disk, so there nothing goes on."""
    hands, emptied = rounds.work()
    rounds.live(rounds.random.uniform(*LIFE))
    rounds.place.cut.set()
    if not rounds.mount.state.is_relative_to(disk.path):
        assert rounds.mount.process is not None
        rounds.mount.process.send_signal(signal.SIGSTOP)
    disk.cut()
    rounds.mount.abort()
    rounds.mount.crash()
    rounds.place.over.set()
    rounds.join(hands, number)
    disk.restore()
    rounds.place.cut.clear()
    rounds.mount.boot += 1
    try:
        rounds.mount.start()
        rounds.check(number, emptied=emptied)
    except AssertionError as error:
        raise Broken(f"round {number}: {error}") from error


def put_apart(rounds: Rounds, disk: LoopDisk, folder: Path) -> None:
    """Only content on the disk whose power fails. The daemon runs afterwards."""
    mount = rounds.mount
    mount.state = folder / "odd/state"
    rounds.start()
    assert mount.stop() == 0
    for name in ("blobs", "staging"):
        (mount.state / name).rename(mount.state / f"{name}.old")
        (disk.path / name).mkdir(mode=0o700)
        (mount.state / name).symlink_to(disk.path / name)
    fsync_dir(str(disk.path))
    mount.start()


def run(rounds: Rounds, disk: LoopDisk, count: int, *, first: bool = True) -> None:
    rounds.mount.boot = 1
    if first:
        rounds.start()
    for number in range(count):
        cut(rounds, disk, number)
        if number % 10 == 9:
            rounds.say(number + 1)
    rounds.finish()
    rounds.say(count)


def test_power_cut_once(odd: OddMount, tmp_path: Path) -> None:
    with world(odd, tmp_path, "ext4") as (rounds, disk):
        run(rounds, disk, 1)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_power_cut_again_and_again(odd: OddMount, tmp_path: Path, kind: str) -> None:
    with world(odd, tmp_path, kind) as (rounds, disk):
        run(rounds, disk, ROUNDS)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_power_cut_where_all_is_synced_together(odd: OddMount, tmp_path: Path, kind: str) -> None:
    """Files that are alone as well; the catalogue is elsewhere, so that no sync of it helps."""
    odd.oddities = (*odd.oddities, "sync-all")
    with world(odd, tmp_path, kind) as (rounds, disk):
        put_apart(rounds, disk, tmp_path)
        run(rounds, disk, max(1, ROUNDS // 5), first=False)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_power_cut_where_the_catalogue_is_elsewhere(odd: OddMount, tmp_path: Path) -> None:
    with world(odd, tmp_path, "ext4") as (rounds, disk):
        put_apart(rounds, disk, tmp_path)
        run(rounds, disk, max(1, ROUNDS // 5), first=False)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_power_cut_while_64_tag(odd: OddMount, tmp_path: Path, kind: str) -> None:
    with world(odd, tmp_path, kind, TAGGERS) as (rounds, disk):
        run(rounds, disk, max(1, ROUNDS // 5))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
@pytest.mark.parametrize("point", ["create.built", "create.renamed", "migrate.changed", "migrate.committed"])
async def test_power_cut_while_the_database_is_made_or_migrated(tmp_path: Path, kind: str, point: str) -> None:
    with loop_disk(tmp_path, kind) as disk:
        opened_until(disk.path, point)
        disk.cut()
        disk.restore()
        async with open_catalogue(str(disk.path / DATABASE)) as catalogue:
            assert await catalogue.check() == []
            assert [item.name for item in await catalogue.items([4096])] == ["old"] * point.startswith("migrate")


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "oddity",
    ["no-file-sync", "no-catalogue-sync", "no-folder-sync", "sync-all no-file-sync", "sync-all no-folder-sync"],
)
def test_a_sync_that_is_left_out_is_noticed(odd: OddMount, tmp_path: Path, oddity: str) -> None:
    """Names in folders are synced by the catalogue's own syncs where it is on the same file system, which is luck. So
    it is elsewhere for these."""
    with world(odd, tmp_path, "ext4") as (rounds, disk):
        if "no-folder-sync" in oddity:
            put_apart(rounds, disk, tmp_path)
        else:
            rounds.start()
        assert odd.stop() == 0
        odd.oddities = (*odd.oddities, *oddity.split())
        odd.start()
        for number in range(NOTICED_WITHIN):
            try:
                cut(rounds, disk, number)
            except Broken as error:
                print(f"{oddity} noticed in round {number}: {str(error)[:300]}")  # noqa: T201  # for whoever runs it
                return
        raise AssertionError(f"{NOTICED_WITHIN} power cuts, and nobody noticed")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_an_fsync_that_meets_the_cut_promises_nothing(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XFS lets the fsync of a directory succeed that comes just after, though a new name in there is lost."""
    with loop_disk(tmp_path, kind) as disk:
        blobs = BlobStore(disk.path)
        sealer = Sealer(cast("Catalogue", None), blobs)
        staging, fd = blobs.create_staging()
        os.write(fd, b"x" * 1500)

        def cut_first(path: str) -> None:
            disk.cut()
            with suppress(OSError):  # as ext4 says
                fsync_dir(path)

        monkeypatch.setattr(sealing, "fsync_dir", cut_first)
        try:
            with pytest.raises(OSError, match="Input/output"):
                sealer.sync(fd, staging, data_only=True, first=True)
        finally:
            os.close(fd)
        disk.restore()
