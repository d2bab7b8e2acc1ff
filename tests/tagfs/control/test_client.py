"""The blocking client against a real server in another thread."""

import os
import socket
import threading
from pathlib import Path

import pytest

from tagfs.control import client as client_module
from tagfs.control.client import Client, NoDaemon
from tagfs.control.errors import Code, VerbError
from tagfs.control.protocol import MAX_CALLS
from tagfs.control.views import ItemPage, ItemView, VerifyView, WorkView
from tests.support.memory_verbs import MemoryVerbs, served


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "control.sock")


def test_a_call_gives_a_typed_answer(path: str) -> None:
    verbs = MemoryVerbs()
    raw = os.fsdecode(b"caf\xe9\x1b[31m\n.iso")
    item = verbs.put(raw, tags=("linux",))
    with served(path, verbs), Client(path) as client:
        assert client.call("ls", {"query": "linux"}, ItemPage) == ItemPage((item,), None)
        assert client.call("show", {"items": (raw,)}, tuple[ItemView, ...]) == (item,)


def test_an_error_is_raised_with_its_code(path: str) -> None:
    with served(path, MemoryVerbs()), Client(path) as client:
        with pytest.raises(VerbError, match=r"There is no tag x\.") as caught:
            client.call("ls", {"query": "x"})
        assert caught.value.code is Code.NOT_FOUND
        assert client.call("version", {})["version"] == "0.1.0"


def test_progress_goes_to_whoever_asked(path: str) -> None:
    seen: list[WorkView] = []
    with served(path, MemoryVerbs()), Client(path) as client:
        client.call("verify", {}, VerifyView, report=(WorkView, seen.append))
        client.call("verify", {}, VerifyView)
    assert [view.step for view in seen] in ([], ["hashing"])


def test_many_calls_are_answered_in_their_order(path: str) -> None:
    verbs = MemoryVerbs()
    urls = [f"http://host/{number}" for number in range(5 * MAX_CALLS)]
    urls[7] = "ftp://host/7"
    with served(path, verbs), Client(path) as client:
        answers = list(client.call_each("add", ({"urls": (url,)} for url in urls), ItemView))
    assert isinstance(answers.pop(7), VerbError)
    del urls[7]
    assert [answer.url for answer in answers] == urls


def test_without_a_daemon_there_is_one_sentence(path: str) -> None:
    with pytest.raises(NoDaemon, match="No daemon runs"):
        Client(path)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with pytest.raises(NoDaemon, match="No daemon runs"):
        Client(path)


def test_a_server_of_another_user_is_not_trusted(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "trusted", lambda uid: False)
    with served(path, MemoryVerbs()), pytest.raises(NoDaemon, match="belongs to another user"):
        Client(path)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"", "ended before it answered"),
        (b'{"jsonrpc":"2.0","id":1,', "ended before it answered"),
        (b"hello\n", "cannot be read"),
        (b'{"jsonrpc":"2.0","id":1,"result":{"items":[]}}\n', "another version: value.next is missing"),
    ],
)
def test_a_daemon_that_ends_or_babbles_is_one_sentence(path: str, answer: bytes, sentence: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def reply() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        with Client(path) as client, pytest.raises(NoDaemon, match=sentence):
            client.call("ls", {}, ItemPage)
        thread.join()


def test_an_unknown_error_code_is_a_failure(path: str) -> None:
    """A newer daemon may have codes that this client does not know."""
    failure = client_module.Failure(1, 4711, "Something new.")
    with pytest.raises(VerbError) as caught:
        client_module._value(failure, None)
    assert (caught.value.code, caught.value.message) == (Code.FAILED, "Something new.")
