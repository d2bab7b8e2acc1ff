"""The control server over a real socket: many calls, bad clients, clients that leave, progress."""

import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tagfs.control import connection, server
from tagfs.control.errors import Code
from tagfs.control.protocol import MAX_CALLS, MAX_LINE, Request, encode_request
from tagfs.control.server import serve
from tagfs.control.verbs import Report
from tagfs.control.views import ItemView, VerifyView, WorkView
from tests.support.memory_verbs import MemoryVerbs


class Gated(MemoryVerbs):
    """`show` and `verify` wait at a gate; who waits there and who was cancelled can be asked."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = trio.Event()
        self.entered = 0
        self.arrived = trio.Event()  # set at each entry, for tests to renew
        self.ended: list[str] = []
        self.left = trio.Event()

    async def _pass(self, verb: str) -> None:
        self.entered += 1
        self.arrived.set()
        try:
            await self.gate.wait()
            self.ended.append(verb)
        except trio.Cancelled:
            self.ended.append(f"{verb} cancelled")
            raise
        finally:
            self.left.set()

    async def show(self, items: tuple[str, ...]) -> tuple[ItemView, ...]:
        await self._pass("show")
        return ()

    async def verify(self, *, data: bool = False, report: Report[WorkView]) -> VerifyView:
        for done in range(1000):
            report(WorkView("hashing", "", done, 1000, 0, 0))
        await self._pass("verify")
        return VerifyView(0, 0, 0, (), 0)


@pytest.fixture
def verbs() -> Gated:
    return Gated()


@pytest.fixture
async def path(tmp_path: Path, verbs: Gated, nursery: trio.Nursery) -> AsyncIterator[str]:
    path = str(tmp_path / "control.sock")
    await nursery.start(serve, path, verbs)
    yield path
    nursery.cancel_scope.cancel()


class Raw:
    """A client that can misbehave."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._pending = b""

    async def send(self, call: int, method: str, **params: Any) -> None:
        await self.stream.send_all(encode_request(Request(call, method, params)))

    async def receive(self) -> Any:
        """The next message, None at the end."""
        while b"\n" not in self._pending:
            chunk = await self.stream.receive_some()
            if not chunk:
                assert not self._pending
                return None
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return json.loads(line)


async def connect(path: str) -> Raw:
    return Raw(await trio.open_unix_socket(path))


async def test_the_socket_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, str(path), MemoryVerbs())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        nursery.cancel_scope.cancel()
    assert not path.exists()


async def test_a_dead_daemons_socket_is_replaced_but_no_other_file(tmp_path: Path, nursery: trio.Nursery) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    await nursery.start(serve, str(path), MemoryVerbs())
    async with (await connect(str(path))).stream:
        pass
    nursery.cancel_scope.cancel()
    other = tmp_path / "precious"
    other.write_text("content")
    with pytest.raises(FileExistsError, match="is in the way"):
        await serve(str(other), MemoryVerbs())
    assert other.read_text() == "content"


async def test_a_path_longer_than_sun_path_works(tmp_path: Path, nursery: trio.Nursery) -> None:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    await nursery.start(serve, str(folder / "control.sock"), MemoryVerbs())
    # A client of the standard library, in its folder: the file is really there under its own name.
    with socket.socket(socket.AF_UNIX) as plain:
        here = os.open(".", os.O_PATH)
        os.chdir(folder)
        try:
            plain.connect("control.sock")
        finally:
            os.fchdir(here)
            os.close(here)
    nursery.cancel_scope.cancel()


async def test_calls_run_side_by_side_and_answer_as_they_end(path: str, verbs: Gated) -> None:
    client = await connect(path)
    async with client.stream:
        await client.send(1, "show", items=[])
        await verbs.arrived.wait()
        await client.send(2, "version")
        assert (await client.receive())["id"] == 2
        verbs.gate.set()
        assert (await client.receive()) == {"jsonrpc": "2.0", "id": 1, "result": []}


async def test_only_so_many_calls_of_a_client_are_under_way(path: str, verbs: Gated) -> None:
    client, other = await connect(path), await connect(path)
    async with client.stream, other.stream:
        for call in range(3 * MAX_CALLS):
            await client.send(call, "show", items=[])
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert verbs.entered == MAX_CALLS
        await other.send(1, "version")  # the others are not held up
        assert (await other.receive())["id"] == 1
        verbs.gate.set()
        answered = {(await client.receive())["id"] for _ in range(3 * MAX_CALLS)}
        assert answered == set(range(3 * MAX_CALLS))


@pytest.mark.parametrize(
    "junk", [b"\n", b"{}\n", b"\xff\xff\n", b"[1,2]\n", b'{"jsonrpc":"2.0","id":7}\n', b"[" * 9999 + b"\n"]
)
async def test_junk_is_answered_and_the_connection_lives(path: str, junk: bytes) -> None:
    client = await connect(path)
    async with client.stream:
        await client.stream.send_all(junk)
        reply = await client.receive()
        assert reply["error"]["code"] in (Code.PARSE, Code.INVALID_REQUEST)
        assert reply["id"] == (7 if b"7" in junk else None)
        await client.send(8, "version")
        assert (await client.receive())["id"] == 8


async def test_a_line_without_end_closes_its_connection_only(path: str) -> None:
    client, other = await connect(path), await connect(path)
    async with client.stream, other.stream:
        await client.stream.send_all(b"x" * MAX_LINE)
        assert (await client.receive())["error"]["code"] == Code.PARSE
        assert await client.receive() is None
        await other.send(1, "version")
        assert (await other.receive())["id"] == 1


async def test_a_long_call_ends_with_its_client(path: str, verbs: Gated) -> None:
    client = await connect(path)
    await client.send(1, "verify")
    await verbs.arrived.wait()
    await client.stream.aclose()
    await verbs.left.wait()
    assert verbs.ended == ["verify cancelled"]


async def test_a_brief_call_ends_by_itself_when_its_client_is_gone(path: str, verbs: Gated) -> None:
    client = await connect(path)
    await client.send(1, "show", items=[])
    await verbs.arrived.wait()
    await client.stream.aclose()
    await trio.testing.wait_all_tasks_blocked(0.02)
    verbs.gate.set()
    await verbs.left.wait()
    assert verbs.ended == ["show"]


async def test_a_client_that_has_said_all_still_gets_its_answers(path: str, verbs: Gated) -> None:
    client = await connect(path)
    async with client.stream:
        await client.send(1, "show", items=[])
        await client.stream.send_eof()
        verbs.gate.set()
        assert (await client.receive())["id"] == 1
        assert await client.receive() is None


async def test_progress_is_the_newest_view_and_the_result_comes_last(path: str, verbs: Gated) -> None:
    client = await connect(path)
    async with client.stream:
        await client.send(5, "verify")
        first = await client.receive()
        assert first["method"] == "progress" and first["params"]["id"] == 5
        assert first["params"]["value"]["items_done"] == 999  # a thousand reports, one message
        verbs.gate.set()
        last = await client.receive()
        assert last["id"] == 5 and last["result"]["faults"] == []


async def test_one_client_too_many_is_told_so(path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clients = [await connect(path) for _ in range(server.MAX_CONNECTIONS)]
    for client in clients:
        await client.send(1, "version")
        assert (await client.receive())["id"] == 1
    late = await connect(path)
    assert (await late.receive())["error"]["code"] == Code.BUSY
    assert await late.receive() is None
    await clients[0].stream.aclose()
    await trio.testing.wait_all_tasks_blocked(0.02)
    later = await connect(path)
    await later.send(1, "version")
    assert (await later.receive())["id"] == 1
    for client in [*clients[1:], late, later]:
        await client.stream.aclose()


async def test_another_user_is_turned_away(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "trusted", lambda uid: False)
    client = await connect(path)
    async with client.stream:
        assert await client.receive() is None
    assert f"uid {os.getuid()} was turned away" in caplog.text


async def test_a_view_that_is_no_json_is_a_bug_and_not_the_end(
    path: str, verbs: Gated, caplog: pytest.LogCaptureFixture
) -> None:
    verbs.put("a", done=float("nan"))
    client = await connect(path)
    async with client.stream:
        await client.send(1, "ls")
        assert (await client.receive())["error"]["code"] == Code.INTERNAL
        await client.send(2, "version")
        assert (await client.receive())["id"] == 2
    assert "cannot be written as JSON" in caplog.text


async def test_a_message_cut_by_cancellation_is_the_last_one() -> None:
    """A client that does not read, a call that is cancelled in the middle of a long message: nothing may follow it."""
    ours, theirs = trio.socket.socketpair()
    talk = connection.Connection(trio.SocketStream(ours), MemoryVerbs())
    with theirs:

        async def send_all() -> None:
            while True:
                await talk.send(connection.Failure(1, 1, "x" * 100_000))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_all)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        sent = 0
        is_empty = False
        while not is_empty:
            with trio.move_on_after(0.05) as waiting:  # what has been sent is there at once
                sent += len(await theirs.recv(1 << 20))
            is_empty = waiting.cancelled_caught
        await talk.send(connection.Failure(1, 1, "later"))
        with trio.move_on_after(0.02) as scope:
            await theirs.recv(1)
        assert scope.cancelled_caught and sent > 0
    await talk._stream.aclose()
