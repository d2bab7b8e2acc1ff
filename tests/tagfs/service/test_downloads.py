"""add, status, watch, pause, resume: over the real queue, of which nothing is started here."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from engine.types import State
from tagfs.cli.status import report
from tagfs.control.errors import Code, VerbError
from tagfs.control.views import StatusView
from tagfs.service.status_text import render
from tagfs.service.verbs import Service
from tests.support.world import World

URL = "https://example.org"


def refused(code: Code) -> pytest.RaisesExc[VerbError]:
    return pytest.raises(VerbError, check=lambda error: error.code is code and "\n" not in error.message)


async def test_a_download_is_there_when_add_returns(world: World, service: Service) -> None:
    view = await service.add((f"{URL}/a%20b.iso", f"{URL}/mirror"), tags=("a",))
    assert (view.name, view.state, view.tags, view.size, view.done) == ("a b.iso", "queued", ("a",), None, 0)
    assert view.url == f"{URL}/a%20b.iso"
    named = await service.add((f"{URL}/x",), name="y", paused=True, digests={"sha256": "AB" * 32})
    assert (named.name, named.state) == ("y", "paused")
    assert await world.names("tags/state:queued") == ["a b.iso"]


async def test_what_cannot_be_added_makes_nothing(world: World, service: Service) -> None:
    for arguments in (
        {"urls": ()},
        {"urls": ("gopher://example.org/x",)},
        {"urls": ("no url",)},
        {"urls": (f"{URL}/x", "file:///etc/passwd")},
        {"urls": (f"{URL}/x",), "name": "a/b"},
        {"urls": (f"{URL}/x",), "name": ".."},
        {"urls": (f"{URL}/x",), "tags": (".bad",)},
        {"urls": (f"{URL}/x",), "tags": ("state:paused",)},
        {"urls": (f"{URL}/x",), "digests": {"sha256": "short"}},
        {"urls": (f"{URL}/x",), "digests": {"rot13": "00"}},
        {"urls": (f"{URL}/x",), "options": {"unheard of": "1"}},
    ):
        with refused(Code.BAD_REQUEST):
            await service.add(**arguments)
    assert len(world.index.live) == 0


async def test_secrets_of_a_url_are_not_shown(service: Service) -> None:
    view = await service.add(("https://user:s3cret@example.org/f?token=s3cret#s3cret",))
    assert "s3cret" not in repr(view)
    assert "s3cret" not in repr(await service.status())


async def test_pausing_and_resuming(world: World, service: Service) -> None:
    for name in "abc":
        await service.add((f"{URL}/{name}",), paused=name == "c")
    await world.item("whole")
    assert [view.name for view in await service.pause(("a", "c", "whole"))] == ["a"]
    assert [view.state for view in await service.show(("a", "b", "c"))] == ["paused", "queued", "paused"]
    assert [view.name for view in await service.pause(all=True)] == ["b"]
    assert [view.name for view in await service.resume(("b", "whole"))] == ["b"]
    assert sorted(view.name for view in await service.resume(all=True)) == ["a", "c"]
    assert {view.state for view in await service.show(("a", "b", "c"))} == {"queued"}
    for call in (service.pause(), service.resume(), service.pause(("a",), all=True), service.resume(("a",), all=True)):
        with refused(Code.BAD_REQUEST):
            await call


async def test_status_shows_what_arrives_and_counts_the_rest(world: World, service: Service) -> None:
    for number in range(4):
        await service.add((f"{URL}/{number}",), paused=number == 0)
    await world.item("whole", content=b"12345")
    view = await service.status(limit=3)
    assert [download.name for download in view.downloads] == ["1", "2", "3"]  # those that wait before those that rest
    assert (view.more, view.items, view.trashed, view.total) == (1, 5, 0, None)
    assert view.by_state == {"queued": 3, "paused": 1, "complete": 1}
    whole = await service.status(items=("whole",))
    assert [(download.done, download.total) for download in whole.downloads] == [(5, 5)]
    await service.rm(("whole", "1"))
    view = await service.status()
    assert (view.items, view.trashed, len(view.downloads)) == (3, 2, 3)


async def test_a_watch_ends_when_nothing_goes_on_and_shows_how_it_ended(world: World, service: Service) -> None:
    await service.add((f"{URL}/a",))
    await service.add((f"{URL}/b",))
    seen: list[StatusView] = []
    async with trio.open_nursery() as nursery:

        async def stop() -> None:
            await service.pause(("a",))
            await service.rm(("b",))

        def report(view: StatusView) -> None:
            if not seen:
                nursery.start_soon(stop)
            seen.append(view)

        last = await service.watch(interval=0.0, report=report)
    assert {download.name: download.state for download in last.downloads} == {"a": "paused", "b": "queued"}
    assert {download.name for download in seen[0].downloads} == {"a", "b"}


async def test_a_watch_of_what_is_whole_ends_at_once(world: World, service: Service) -> None:
    await world.item("whole")
    view = await service.watch(items=("whole",), report=lambda view: None)
    assert [download.state for download in view.downloads] == ["complete"]
    assert (await service.watch(report=lambda view: None)).downloads == ()


async def test_what_could_not_be_stored_is_resumed_by_storing_it(
    world: World, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue of downloads knows nothing of it and would find no URL."""

    async def fail(*args: object, **named: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "ingest", fail)
        draft = await world.drafts.create("f", (), 0o644)
        world.drafts.leave(draft, writing=True)
        await draft.sealed.wait()
    [failed] = await service.show(("f",))
    assert failed.state == State.FAILED.value
    [view] = await service.resume(("f",))
    assert (view.state, view.error) == ("complete", None)


async def test_version_and_stop(world: World) -> None:
    ended = trio.Event()
    service = Service(world.context, world.store, end=ended.set)
    assert (await service.version()).mountpoint == world.context.mountpoint
    await service.stop()
    assert ended.is_set()


async def test_what_does_not_work_is_in_the_status_as_a_view_a_line_and_a_file(world: World) -> None:
    sentence = "the watch of folders failed (KeyError) and begins anew in 8 s; the log says more."
    context = replace(world.context, degraded=lambda: [sentence])
    status = await Service(context, world.store).status()
    assert status.degraded == (sentence,)
    assert f"degraded: {sentence}" in report(status)
    assert f"degraded     {sentence}\n" in render(context)
    assert not (await Service(world.context, world.store).status()).degraded
    assert "degraded" not in render(world.context)
