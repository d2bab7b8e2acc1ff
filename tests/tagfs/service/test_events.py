"""events: what a follower hears, in order, and what it costs to read slowly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from engine.ports import Edit, FolderFile
from engine.types import State
from tagfs.control.errors import Code, VerbError
from tagfs.control.views import EventView
from tagfs.service import events
from tagfs.service.verbs import Service
from tests.support.world import World

URL = "https://user:secret@example.org/f.iso?token=secret"


class Client:
    """A `Send` that reads while `reading` is set."""

    def __init__(self) -> None:
        self.heard: list[EventView] = []
        self.reading = trio.Event()
        self.reading.set()
        self.began = trio.Event()

    async def __call__(self, view: EventView) -> None:
        await self.reading.wait()
        self.heard.append(view)
        self.began.set()

    @property
    def words(self) -> list[str]:
        return [event.event for event in self.heard]


@asynccontextmanager
async def following(service: Service, **arguments: object) -> AsyncIterator[Client]:
    client = Client()
    async with trio.open_nursery() as nursery:

        async def follow() -> None:
            await service.events(send=client, **arguments)

        nursery.start_soon(follow)
        await client.began.wait()  # a task that waits for a thread, where the query is read, counts as blocked
        yield client
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def test_what_happens_to_an_item(world: World, service: Service) -> None:
    async with following(service, progress=False) as client:
        view = await service.add((URL,), tags=("b", "a"))
        await world.catalogue.edit(view.id, Edit(name="g.iso", add=["c"]))
        await service.pause((f"id:{view.id}",))
        await world.catalogue.edit(view.id, Edit(state=State.FAILED, error="The server is gone."))
        await service.rm((f"id:{view.id}",))
        await world.catalogue.restore(view.id)
        await service.rm((f"id:{view.id}",), forever=True)
        await service.tag_rename("a", "d")
        await service.tag_delete(("d",))
    told = [(event.event, event.name, event.old, event.state, event.tags) for event in client.heard]
    assert told == [
        ("watching", None, None, None, None),
        ("tag", "a", None, None, None),
        ("tag", "b", None, None, None),
        ("added", "f.iso", None, "queued", ("a", "b")),
        ("tag", "c", None, None, None),
        ("renamed", "g.iso", "f.iso", None, None),
        ("tags", "g.iso", None, None, ("a", "b", "c")),
        ("state", "g.iso", "queued", "paused", None),
        ("failed", "g.iso", "paused", "failed", None),
        ("trashed", "g.iso", None, "failed", ("a", "b", "c")),
        ("restored", "g.iso", None, "failed", ("a", "b", "c")),
        ("trashed", "g.iso", None, "failed", ("a", "b", "c")),
        ("removed", "g.iso", None, None, None),
        ("tag", "d", "a", None, None),
        ("tag", None, "d", None, None),
    ]
    assert {event.id for event in client.heard} == {None, view.id}
    assert client.heard[3].url == "https://example.org/f.iso?token=***"
    assert client.heard[8].error == "The server is gone."
    assert "secret" not in repr(client.heard).replace("token=***", "")


async def test_what_is_whole_is_finished(world: World, service: Service) -> None:
    whole = await world.item("other", content=b"content")
    assert whole.sha256 is not None
    view = await service.add((URL,))
    async with following(service, progress=False) as client:
        await world.catalogue.complete(view.id, whole.sha256, 7, digests={}, mtime_ns=None, keep_old=False)
    finished = client.heard[-1]
    assert (finished.event, finished.old, finished.state, finished.done, finished.total) == (
        "finished", "queued", "complete", 7, 7,
    )  # fmt: skip


async def test_files_of_a_folder_tell_only_what_becomes_of_them(world: World, service: Service) -> None:
    view = await service.add((URL,))
    async with following(service, progress=False) as client:
        files = [FolderFile((f"{number}",), 1) for number in range(1000)]
        ids = await world.catalogue.unpack(view.id, files)
        await world.catalogue.edit(ids[0], Edit(state=State.SKIPPED))
        await world.catalogue.edit(ids[1], Edit(add=["a"]))
        await world.catalogue.trash(ids[1])
        await world.catalogue.restore(ids[1])
        await world.catalogue.trash(ids[2])
        await world.catalogue.trash(view.id)  # with 1, of which nothing is said, and with 2, of which it was
        await world.catalogue.restore(view.id)
    assert client.words[1:] == ["state", "tag", "tags", "trashed", "restored", "trashed", "trashed", "restored"]
    assert [event.name for event in client.heard[1:] if event.event != "tag"] == [
        "0",
        "1",
        "1",
        "1",
        "2",
        "f.iso",
        "f.iso",
    ]


async def test_a_query_lets_through_what_matches_before_or_afterwards(world: World, service: Service) -> None:
    view = await service.add((URL,), tags=("t",))
    await service.tag_create(("a", "b"))
    async with following(service, query="a and not b", progress=False) as client:
        other = await service.add((URL,), tags=("b",), name="other")
        await service.tag((f"id:{view.id}",), add=("a",))
        await service.pause((f"id:{view.id}", f"id:{other.id}"))
        await service.tag((f"id:{view.id}",), add=("b",))
        await service.tag((f"id:{view.id}",), add=("c",))
    assert [(event.event, event.id) for event in client.heard[1:]] == [
        ("tags", view.id), ("state", view.id), ("tags", view.id),
    ]  # fmt: skip


async def test_a_query_sees_the_tags_of_the_folder(world: World, service: Service) -> None:
    view = await service.add((URL,), tags=("t",))
    ids = await world.catalogue.unpack(view.id, [FolderFile(("x",), 1), FolderFile(("y",), 1)])
    async with following(service, query="t and name:x", progress=False) as client:
        for item in ids:
            await world.catalogue.edit(item, Edit(state=State.SKIPPED))
    assert [event.name for event in client.heard[1:]] == ["x"]


async def test_a_query_that_cannot_be(service: Service) -> None:
    with pytest.raises(VerbError) as caught:
        await service.events("nothing", send=Client())
    assert caught.value.code is Code.NOT_FOUND


async def test_progress_is_told_when_there_is_some(
    world: World, service: Service, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.abc.Clock
) -> None:
    view = await service.add((URL,))
    await world.catalogue.edit(view.id, Edit(state=State.DOWNLOADING))
    done = iter((10, 10, 20))
    real = events.download_view
    monkeypatch.setattr(events, "download_view", lambda context, item: events_with(real(context, item), next(done, 20)))
    async with following(service, interval=1.0) as client:
        await trio.sleep(5.5)
    assert [(event.event, event.done) for event in client.heard] == [
        ("watching", None),
        ("progress", 10),
        ("progress", 20),
    ]


def events_with(view: object, done: int) -> object:
    from dataclasses import replace

    return replace(view, done=done)  # type: ignore[type-var]  # a DownloadView


async def test_a_slow_reader_loses_the_oldest_and_hears_how_many(
    world: World, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BUFFER", 5)
    async with following(service, progress=False) as client:
        client.reading = trio.Event()
        await service.tag_create(("0",))
        await trio.testing.wait_all_tasks_blocked()  # this one waits in the client
        await service.tag_create(tuple(f"{number}" for number in range(1, 11)))
        client.reading.set()
    assert [event.name or event.count for event in client.heard[1:]] == ["0", 5, "6", "7", "8", "9", "10"]
    assert client.words[2] == "lost"


async def test_nobody_follows_once_the_client_is_gone(
    world: World, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[object] = []
    monkeypatch.setattr(events.Watcher, "apply", lambda self, changes, tags: heard.append(changes))
    async with following(service):
        await service.add((URL,))
    assert len(heard) == 1
    await service.add((URL,))
    assert len(heard) == 1


@pytest.mark.parametrize("interval", [0.0, 3601.0])
async def test_an_interval_that_cannot_be(service: Service, interval: float) -> None:
    with pytest.raises(VerbError) as caught:
        await service.events(interval=interval, send=Client())
    assert caught.value.code is Code.BAD_REQUEST
