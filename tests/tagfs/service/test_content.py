"""import, locate, verify: over real files of every kind."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.blobs import importing
from engine.errors import StoreFull
from engine.types import State
from tagfs.control.errors import Code, VerbError
from tagfs.service import content
from tagfs.service.scan import leads_into
from tagfs.service.verbs import Service
from tests.support.world import World
from tests.tagfs.service.conftest import Reports


def refused(code: Code) -> pytest.RaisesExc[VerbError]:
    return pytest.raises(VerbError, check=lambda error: error.code is code)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Files of a user's."""
    home = tmp_path / "home"
    (home / "sub/deep").mkdir(parents=True)
    (home / "one").write_bytes(b"1" * 1000)
    (home / "sub/two").write_bytes(b"22")
    (home / "sub/same as one").write_bytes(b"1" * 1000)
    (home / "sub/deep/empty").touch()
    (home / os.fsdecode(b"\xff\n-rf")).write_bytes(b"x")
    return home


async def import_(service: Service, *paths: Path, tags: tuple[str, ...] = (), report: Reports | None = None) -> Any:
    return await service.import_(tuple(map(str, paths)), tags=tags, report=Reports() if report is None else report)


# -- import ------------------------------------------------------------------------------------------------------------


async def test_a_folder_comes_in_with_all_below_it(world: World, service: Service, home: Path, report: Reports) -> None:
    os.utime(home / "one", ns=(0, 10**18))
    (home / "one").chmod(0o640)
    view = await import_(service, home, tags=("a", "cafe\u0301"), report=report)
    assert (view.items, view.bytes, view.shared, view.skipped) == (5, 2003, 1, ())
    assert await world.names("tags/a/café") == sorted(["one", "two", "same as one", "empty", "\udcff\n-rf"])
    [one] = await service.show(("one",))
    row = world.catalogue.item(one.id)
    assert row is not None
    assert (row.mtime_ns, row.mode, row.size, row.state) == (10**18, 0o640, 1000, State.COMPLETE)
    assert len(await world.store.stored()) == 4
    assert {view.step for view in report} == {"scanning", "copying"}
    assert (report[-1].items_total, report[-1].bytes_total) == (5, 2003)


async def test_what_is_no_regular_file_is_left_out_with_a_reason(
    world: World, service: Service, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "link").symlink_to("one")
    (home / "dangling").symlink_to("nowhere")
    (home / "folder link").symlink_to("sub")
    os.mkfifo(home / "fifo")
    monkeypatch.chdir(home)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        view = await import_(service, home)
    assert view.items == 5
    assert {os.path.basename(skipped.path): skipped.reason for skipped in view.skipped} == {
        "link": "It is a symbolic link.", "dangling": "It is a symbolic link.", "folder link": "It is a symbolic link.",
        "fifo": "It is no regular file.", "socket": "It is no regular file.",
    }  # fmt: skip


async def test_a_symlink_that_was_named_means_its_target(world: World, service: Service, home: Path) -> None:
    (home / "link").symlink_to("one")
    (home / "folder link").symlink_to("sub")
    assert (await import_(service, home / "link")).items == 1
    assert (await import_(service, home / "folder link")).items == 3
    assert await world.names("files") == ["empty", "one", "same as one", "two"]


async def test_a_path_that_is_not_there_stops_all_before_it_begins(world: World, service: Service, home: Path) -> None:
    (home / "dangling").symlink_to("nowhere")
    for missing in (home / "none", home / "dangling", home / "one/below a file"):
        with refused(Code.NOT_FOUND):
            await import_(service, home / "one", missing)
    for tag in ("", ".x", "state:paused"):
        with refused(Code.BAD_REQUEST):
            await import_(service, home / "one", tags=("a", tag))
    assert len(world.index.live) == 0
    assert await world.store.stored() == []


async def test_what_cannot_be_read_is_left_out(
    world: World, service: Service, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root everything can be read, so the refusal comes from the system calls."""
    opened, listed = os.open, os.scandir

    def refuse(path: Any, *args: Any, **kwargs: Any) -> Any:
        if str(path).endswith("/two"):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *args, **kwargs)

    def refuse_folder(path: Any) -> Any:
        if str(path).endswith("/deep"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "scandir", refuse_folder)
    view = await import_(service, home)
    assert view.items == 3
    assert view.skipped_total == 2
    assert all("permission denied" in skipped.reason.lower() for skipped in view.skipped)


async def test_the_mount_and_the_store_are_not_entered(
    world: World, service: Service, home: Path, tmp_path: Path
) -> None:
    mountpoint = home / "mnt"
    (mountpoint / "files").mkdir(parents=True)
    (mountpoint / "files/f").write_text("would hang if this were the mount")
    object.__setattr__(world.context, "mountpoint", str(mountpoint))
    (home / "into").symlink_to(mountpoint / "files/f")
    for path in (
        mountpoint,
        mountpoint / "files/f",
        home / "sub/../mnt/files",
        home / "into",
        Path(world.context.store),
    ):
        view = await import_(service, path)
        assert (view.items, view.skipped_total) == (0, 1), path
    view = await import_(service, tmp_path)  # which holds the home and the store
    assert view.items == 5
    reasons = {os.path.basename(skipped.path): skipped.reason for skipped in view.skipped}
    assert reasons["mnt"] == "It is in the mount already."
    assert reasons["state"] == "It is the store itself."


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/x/mnt", True), ("/x/mnt/", True), ("/x/mnt/a", True), ("/x/./mnt", True), ("/x/y/../mnt/a", True),
        ("//x/mnt", True), ("/x/mnt2", False), ("/x", False), ("/", False), ("/x/mn", False),
    ],
)  # fmt: skip
def test_paths_that_lead_into_a_folder(path: str, inside: bool) -> None:
    assert leads_into(path, {"/x/mnt": "why"}) == ("why" if inside else None)


def test_links_that_lead_in_circles(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "to").symlink_to("../../../../../../../../../.." + "/x/mnt/f")
    assert leads_into(str(tmp_path / "a"), {"/x/mnt": "why"}) is None
    assert leads_into(str(tmp_path / "to"), {"/x/mnt": "why"}) == "why"


async def test_what_was_copied_is_kept_when_the_disk_is_full(
    world: World, service: Service, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest = world.store.ingest
    calls = 0

    async def fill(*args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise StoreFull("There is no space left.")
        return await ingest(*args, **named)

    one_by_one(monkeypatch)
    monkeypatch.setattr(world.store, "ingest", fill)
    with refused(Code.NO_SPACE):
        await import_(service, home)
    assert len(world.index.live) == 2
    assert os.listdir(os.path.join(world.context.store, "staging")) == []
    assert (await verify(service)).faults == ()


async def test_small_files_that_were_stored_are_kept_when_the_disk_is_full(
    world: World, service: Service, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_many = world.store.put_many

    async def fill(contents: Any) -> Any:
        await put_many(contents[:2])
        return [None, None, *(StoreFull("There is no space left.") for _ in contents[2:])]

    monkeypatch.setattr(world.store, "put_many", fill)
    with refused(Code.NO_SPACE):
        await import_(service, home)
    assert len(world.index.live) == 2
    assert (await verify(service)).faults == ()


async def test_a_text_that_its_name_calls_one_is_not_looked_at_on_its_way_in(
    world: World, service: Service, tmp_path: Path
) -> None:
    """libmagic takes longer for it than all the rest, and `type:` says the same without."""
    home = tmp_path / "home"
    home.mkdir()
    for name, data in (("a.txt", b"text"), ("b", b"text"), ("c.txt", b"%PDF-1.5\n%\xe2\xe3\n"), ("d.mp4", b"<html>")):
        (home / name).write_bytes(data + name.encode())
    await import_(service, home)
    found = {
        facts.name: (facts.mime, facts.values("type")[0])
        for facts in map(world.catalogue.facts, world.index.live)
        if facts
    }
    assert found == {
        "a.txt": (None, "text"),
        "b": ("text/plain", "text"),
        "c.txt": ("application/pdf", "application/pdf"),
        "d.mp4": ("text/html", "text"),
    }


async def test_small_and_large_files_keep_their_order(
    world: World, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is done side by side: of files of one name the first one keeps the name."""
    monkeypatch.setattr(importing, "RUN", 7)
    sizes = [importing.SMALL + 1 if number % 10 == 3 else number % 4 for number in range(100)]
    for number, size in enumerate(sizes):
        (tmp_path / f"many/{number:03}").mkdir(parents=True)
        (tmp_path / f"many/{number:03}/f{number}").write_bytes(bytes([number]) * size)
    (tmp_path / "many/050/link").symlink_to("f50")
    view = await import_(service, tmp_path / "many", tags=("a",))
    assert (view.items, view.skipped_total) == (100, 1)
    assert view.bytes == sum(sizes)
    rows = await world.catalogue.items(list(world.index.live))
    assert [(row.name, row.size) for row in rows] == [(f"f{number}", size) for number, size in enumerate(sizes)]
    assert (await verify(service, data=True)).faults == ()


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every file were a large one."""
    monkeypatch.setattr(importing, "SMALL", -1)
    monkeypatch.setattr(content, "LANES", 1)


async def test_what_was_copied_is_kept_when_the_client_goes(
    world: World, service: Service, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_by_one(monkeypatch)
    with trio.CancelScope() as scope:

        class Leave(Reports):
            def __call__(self, view: Any) -> None:
                super().__call__(view)
                if view.items_done == 2:
                    scope.cancel()

        await import_(service, home, report=Leave())
    assert scope.cancelled_caught
    assert len(world.index.live) == 2
    assert os.listdir(os.path.join(world.context.store, "staging")) == []


# -- locate ------------------------------------------------------------------------------------------------------------


async def test_locate_tells_where_the_bytes_are(world: World, service: Service, report: Reports) -> None:
    await world.item("f", content=b"content")
    view = await service.locate("f", report=report)
    assert Path(view.path).read_bytes() == b"content"
    await world.link("link", "/etc/hosts")
    with refused(Code.FAILED):
        await service.locate("link", report=report)
    with refused(Code.NOT_FOUND):
        await service.locate("none", report=report)


async def test_locate_waits_for_what_is_written(world: World, service: Service, report: Reports) -> None:
    draft = await world.drafts.create("f", (), 0o644)
    os.write(draft.fd, b"content")
    with refused(Code.FAILED):
        await service.locate("f", report=report)
    world.drafts.leave(draft, writing=True)
    view = await service.locate("f", wait=True, report=report)
    assert Path(view.path).read_bytes() == b"content"


@pytest.mark.parametrize("forever", [False, True])
async def test_locate_does_not_wait_for_what_is_removed(
    world: World, service: Service, report: Reports, forever: bool
) -> None:
    """It would wait for ever: what is in the trash does not arrive."""
    draft = await world.drafts.create("f", (), 0o644)

    async def remove() -> None:
        await service.rm(("f",), forever=forever)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(remove)
        with refused(Code.NOT_FOUND):
            await service.locate("f", wait=True, report=report)
    world.drafts.leave(draft, writing=True)
    await draft.sealed.wait()


# -- verify ------------------------------------------------------------------------------------------------------------


async def verify(service: Service, *, data: bool = False) -> Any:
    return await service.verify(data=data, report=Reports())


async def test_a_sound_store_has_no_faults(world: World, service: Service) -> None:
    for number in range(3):
        await world.item(f"f{number}", "a", content=b"x" * number)
    await world.item("same", content=b"x")
    view = await verify(service, data=True)
    assert (view.items, view.blobs, view.bytes, view.faults) == (4, 3, 3, ())


async def test_what_is_about_to_be_named_is_no_orphan(world: World, service: Service) -> None:
    """Between the rename into the store and the commit of its row, every new blob looks like one."""
    staging, fd = world.store.create_staging()
    os.close(fd)
    await world.store.ingest(staging, {})
    assert (await verify(service)).faults == ()
