"""From a request to a verb: everything that can be wrong with a call costs that call only."""

import inspect
import logging
from typing import Any

import pytest
import trio

from tagfs.control.dispatch import METHODS, call
from tagfs.control.errors import Code, VerbError
from tagfs.control.protocol import Failure, Reply, Request, Result
from tagfs.control.verbs import Verbs
from tests.support.memory_verbs import MemoryVerbs


async def ask(verbs: Any, method: str, **params: Any) -> Reply:
    async def send(view: object) -> None:
        pass

    return await call(verbs, Request(1, method, params), lambda view: None, send)


async def test_a_call_has_defaults_and_a_typed_result() -> None:
    verbs = MemoryVerbs()
    verbs.put("a.iso", tags=("linux",))
    reply = await ask(verbs, "ls", query="linux")
    assert isinstance(reply, Result)
    assert [item["name"] for item in reply.value["items"]] == ["a.iso"]
    assert await ask(verbs, "stop") == Result(1, None)


@pytest.mark.parametrize(
    ("method", "params", "code", "message"),
    [
        ("nothing", {}, Code.UNKNOWN_METHOD, "This daemon does not know 'nothing'."),
        ("_resolve", {"refs": []}, Code.UNKNOWN_METHOD, "This daemon does not know '_resolve'."),
        ("import_", {"paths": []}, Code.UNKNOWN_METHOD, "This daemon does not know 'import_'."),
        ("add", {}, Code.INVALID_PARAMS, "The parameter urls is missing."),
        ("add", {"urls": [], "x\n": 1}, Code.INVALID_PARAMS, "There is no parameter 'x\\n'."),
        ("watch", {"report": 1}, Code.INVALID_PARAMS, "There is no parameter 'report'."),
        ("add", {"urls": "http://x"}, Code.INVALID_PARAMS, "urls must be a list."),
        ("ls", {"spelling": "loud"}, Code.INVALID_PARAMS, "spelling must be one of expression, path."),
        ("ls", {"query": "unknown"}, Code.NOT_FOUND, "There is no tag unknown."),
    ],
)
async def test_a_bad_call_is_one_sentence(method: str, params: dict[str, Any], code: Code, message: str) -> None:
    assert await ask(MemoryVerbs(), method, **params) == Failure(1, code, message)


async def test_a_bug_in_a_verb_is_logged_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryVerbs):
        async def show(self, items: tuple[str, ...]) -> Any:
            raise KeyError("secret detail")

    with caplog.at_level(logging.ERROR):
        reply = await ask(Broken(), "show", items=[])
    assert reply == Failure(1, Code.INTERNAL, "The daemon failed to do this; its log says where.")
    (record,) = caplog.records
    assert record.exc_info is not None and record.exc_info[0] is KeyError
    caplog.clear()


async def test_an_error_out_of_a_nursery_is_the_error_itself() -> None:
    class Nested(MemoryVerbs):
        async def show(self, items: tuple[str, ...]) -> Any:
            async with trio.open_nursery(strict_exception_groups=True) as nursery:
                nursery.start_soon(self._deeper)

        async def _deeper(self) -> None:
            raise VerbError(Code.NO_SPACE, "The disk is full.")

    assert await ask(Nested(), "show", items=[]) == Failure(1, Code.NO_SPACE, "The disk is full.")


async def test_cancellation_is_not_an_answer() -> None:
    class Slow(MemoryVerbs):
        async def show(self, items: tuple[str, ...]) -> Any:
            await trio.sleep_forever()

    with trio.CancelScope() as scope:
        scope.cancel()
        await ask(Slow(), "show", items=[])
    assert scope.cancelled_caught


def test_every_verb_of_the_protocol_can_be_called() -> None:
    verbs = [name for name, value in vars(Verbs).items() if inspect.iscoroutinefunction(value)]
    assert {method.attribute for method in METHODS.values()} == set(verbs)
    reporting = {
        "watch",
        "import",
        "import_catalogue",
        "locate",
        "backup",
        "verify",
        "rules",
        "tag_where",
        "tag_batch",
        "tag_merge",
    }
    assert {name for name, method in METHODS.items() if method.reports} == reporting
