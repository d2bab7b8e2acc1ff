"""/inbox below the kernel: crashes at each step, races with the reading, and what the disk holds."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import trio

from engine.ports import AddRequest
from tagfs.intake.drops import DropStore, Record
from tagfs.vfs import edits, inbox
from tagfs.vfs.inbox import CUT_SHORT, Drop
from tests.support.world import World, open_world

URL = "https://example.org/f.iso"


async def drop(world: World, path: str, text: str) -> Drop:
    """Written and closed; nobody has read it yet when this returns."""
    directory, _, name = path.rpartition("/")
    made = await edits.drop(world.context, await world.directory(directory), name)
    world.context.inbox.write(made, 0, text.encode())
    world.context.inbox.close(made, writing=True)
    return made


async def read(made: Drop) -> None:
    with trio.fail_after(60):
        while made.reading is not None:
            await made.reading.wait()


def records(state: Path) -> list[dict[str, object]]:
    return [json.loads(file.read_text()) for file in sorted((state / "inbox").glob("*.json"))]


async def test_what_was_closed_is_read_at_the_next_start(tmp_path: Path) -> None:
    store = DropStore(str(tmp_path))
    store.load()
    for closed, name in ((True, "whole.txt"), (False, "half.txt")):
        key, fd = store.create(Record(("t",), name))
        os.write(fd, f"https://h/{name}\n".encode())
        os.close(fd)
        if closed:
            store.note_closed(key, Record(("t",), name, closed=True))
    async with open_world(tmp_path) as world:
        with trio.fail_after(60):
            while world.context.inbox.named(("t",), "whole.txt") is not None:
                await trio.testing.wait_all_tasks_blocked()
        assert await world.names("tags/t") == ["whole.txt"]
        half = world.context.inbox.named(("t",), "half.txt")
        assert half is not None
        assert half.record.error == CUT_SHORT
        assert await world.names("inbox/t") == ["half.txt"]
    assert records(tmp_path) == [{"path": ["t"], "name": "half.txt", "closed": "synced", "error": CUT_SHORT}]


async def test_what_a_dead_daemon_had_added_is_not_added_again(tmp_path: Path) -> None:
    """It died after two of four; one of them was ended by its user since then, and so comes back."""
    async with open_world(tmp_path) as world:
        store = DropStore(str(tmp_path))
        key, fd = store.create(Record(("t",), "x.txt"))
        os.write(fd, b"https://h/1\nhttps://h/2\nhttps://h/3\nhttps://h/4\n")
        os.close(fd)
        store.write(key, Record(("t",), "x.txt", closed=True))
        for number in (1, 2):
            added = await world.context.transfers.add(AddRequest([f"https://h/{number}"]))
        await edits.trash(world.context, added)
        await world.catalogue.purge([added.id])
    async with open_world(tmp_path) as world:
        with trio.fail_after(60):
            while world.context.inbox.named(("t",), "x.txt") is not None:
                await trio.testing.wait_all_tasks_blocked()
        assert await world.names("files") == ["1", "2", "3", "4"]
        assert await world.names("tags/t") == ["1", "2", "3", "4"]


async def test_a_power_cut_makes_what_was_not_synced_doubtful(tmp_path: Path) -> None:
    store = DropStore(str(tmp_path))
    store.load()
    key, fd = store.create(Record((), "x.txt"))
    os.close(fd)
    store.note_closed(key, Record((), "x.txt", closed=True))
    record = tmp_path / "inbox" / f"{key}.json"
    record.write_text(record.read_text().replace(json.loads(record.read_text())["closed"], "another boot"))
    assert store.load() == {key: Record((), "x.txt", closed=False)}
    store.write(key, Record((), "x.txt", closed=True))
    assert store.load() == {key: Record((), "x.txt", closed=True)}


async def test_what_a_crash_left_half_made_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = DropStore(str(tmp_path))
    assert store.load() == {}
    keys = [store.create(Record((), f"{number}"))[0] for number in range(3)]
    folder = tmp_path / "inbox"
    (folder / f"{keys[0]}.json").unlink()
    (folder / keys[1]).unlink()
    (folder / f"{keys[2]}.json").write_text("{")
    (folder / f"{keys[2]}.new").touch()
    assert store.load() == {}
    assert list(folder.iterdir()) == []
    assert "cannot be read" in caplog.text


async def test_names_of_any_bytes_are_kept(world: World) -> None:
    made = await drop(world, "inbox/caf\udce9 \n.txt", "nothing\n")
    await read(made)
    assert DropStore(world.context.store).load()[made.key].name == "caf\udce9 \n.txt"
    assert "\n.txt" not in world.context.faults.text()


async def test_all_downloads_of_a_file_or_none(world: World) -> None:
    made = await drop(world, "inbox/x.txt", f"{URL}1\n\n{URL}2\n  header=A: \x00\n")
    await read(made)
    assert made.record.error == "The header 'A' holds a line break."
    assert await world.names("files") == await world.names("trash") == []
    await drop(world, "inbox/y.torrent", "d4:infod4:name1:aee")
    assert await world.names("files") == []


async def test_who_opens_what_is_being_read_waits_and_makes_a_new_one(world: World) -> None:
    made = await drop(world, "inbox/x.txt", URL)
    assert made.state == "queued"
    for action in (
        lambda: world.context.inbox.open(made, writing=True, truncate=True),
        lambda: world.context.inbox.remove(made),
        lambda: world.context.inbox.rename(made, (), "y.txt"),
    ):
        with pytest.raises(OSError, check=lambda error: error.errno in (errno.ESTALE, errno.ENOENT)):
            await action()
    assert await world.names("files") == ["f.iso"]
    assert world.context.inbox.numbered(made.number) is None


async def test_who_has_it_open_reads_on_when_it_is_gone(world: World) -> None:
    made = await drop(world, "inbox/x.part", URL)
    await read(made)
    await world.context.inbox.open(made, writing=False, truncate=False)
    await world.context.inbox.rename(made, (), "x.txt")
    await read(made)
    assert made.gone
    assert world.context.inbox.numbered(made.number) is made
    assert os.pread(made.fd, 100, 0) == URL.encode()
    world.context.inbox.close(made, writing=False)
    assert world.context.inbox.numbered(made.number) is None


async def test_a_file_that_is_written_again_is_read_again(world: World) -> None:
    made = await drop(world, "inbox/x.txt", "nothing")
    await read(made)
    assert made.state == "failed"
    await world.context.inbox.open(made, writing=True, truncate=True)
    assert (made.state, made.record.error, made.size) == ("writing", None, 0)
    world.context.inbox.write(made, 0, URL.encode())
    world.context.inbox.close(made, writing=True)
    await read(made)
    assert await world.names("files") == ["f.iso"]


async def test_renaming_onto_another_one_replaces_it(world: World) -> None:
    first, second = await drop(world, "inbox/x.txt", "nothing"), await drop(world, "inbox/y.part", URL)
    await read(first)
    await read(second)
    await world.context.inbox.rename(second, (), "x.txt")
    await read(second)
    assert await world.names("inbox") == []
    assert await world.names("files") == ["f.iso"]
    assert records(Path(world.context.store)) == []


async def test_there_is_room_for_so_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_DROPS", 1)
    await drop(world, "inbox/x.part", URL)
    with pytest.raises(OSError, check=lambda error: error.errno == errno.ENOSPC):
        await drop(world, "inbox/y.part", URL)
    with pytest.raises(FileExistsError):
        await drop(world, "inbox/x.part", URL)


async def test_what_was_written_when_the_daemon_ends_is_read_by_the_next(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await drop(world, "inbox/x.txt", URL)
        world.nursery.cancel_scope.cancel()
    async with open_world(tmp_path) as world:
        with trio.fail_after(60):
            while world.context.inbox.named((), "x.txt") is not None:
                await trio.testing.wait_all_tasks_blocked()
        assert await world.names("files") == ["f.iso"]


async def test_a_full_disk_ends_neither_the_daemon_nor_the_file(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = await drop(world, "inbox/x.part", URL)
    await read(made)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(DropStore, "_put", full)
        with pytest.raises(OSError, check=lambda error: error.errno == errno.ENOSPC):
            await world.context.inbox.open(made, writing=True, truncate=True)
        await read(made)
        assert (made.handles, made.writers, made.state) == (0, 0, "failed")
        assert made.record.error == "No space left on device"
        with pytest.raises(OSError, check=lambda error: error.errno == errno.ENOSPC):
            await drop(world, "inbox/y.txt", URL)
    assert "cannot be written" in caplog.text
    assert len(os.listdir(Path(world.context.store) / "inbox")) == 2
    await world.context.inbox.rename(made, (), "x.txt")
    await read(made)
    assert await world.names("files") == ["f.iso"]
