"""From a request to a call of `Verbs` and back to a reply. Knows neither sockets nor trio's nurseries; trio thread.

The table of methods is read from the Protocol once, at import: name, parameter types, which of them is a `report` or
a `send`.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tagfs.control.codec import Mismatch, from_json, to_json, type_hints
from tagfs.control.errors import Code, VerbError
from tagfs.control.protocol import Failure, Reply, Request, Result
from tagfs.control.verbs import Verbs

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Method:
    """How one verb is called. `attribute` differs from the name on the wire where Python reserves the word."""

    attribute: str
    params: Mapping[str, Any]  # name -> type, without self, report and send
    required: frozenset[str]
    result: Any
    reports: bool
    sends: bool

    @property
    def long(self) -> bool:
        """Whether it ends with its client."""
        return self.reports or self.sends


def _methods() -> Mapping[str, Method]:
    table = {}
    for attribute, function in vars(Verbs).items():
        if attribute.startswith("_") or not inspect.iscoroutinefunction(function):
            continue
        hints = dict(type_hints(function))
        result = hints.pop("return")
        reports = hints.pop("report", None) is not None
        sends = hints.pop("send", None) is not None
        parameters = inspect.signature(function).parameters
        required = frozenset(name for name in hints if parameters[name].default is inspect.Parameter.empty)
        table[attribute.rstrip("_")] = Method(attribute, hints, required, result, reports, sends)
    return table


METHODS = _methods()


async def call(
    verbs: Verbs, request: Request, report: Callable[[object], None], send: Callable[[object], Awaitable[None]]
) -> Reply:
    """The reply to `request`. `report` takes views while a long call works, and never waits; `send` takes each, and
    waits for the client.

    Raises only what is not an Exception (cancellation, interrupts).
    """
    try:
        method = METHODS.get(request.method)
        if method is None:
            raise VerbError(Code.UNKNOWN_METHOD, f"This daemon does not know {request.method!a}.")
        arguments = _arguments(method, request.params)
        if method.reports:
            arguments["report"] = report
        if method.sends:
            arguments["send"] = send
        answer = await getattr(verbs, method.attribute)(**arguments)
        return Result(request.id, to_json(answer))
    except Exception as error:  # whatever a verb does wrong costs its own call only
        return _failure(request, error)


def _arguments(method: Method, params: Mapping[str, Any]) -> dict[str, Any]:
    if missing := method.required - params.keys():
        raise VerbError(Code.INVALID_PARAMS, f"The parameter {min(missing)} is missing.")
    if unknown := params.keys() - method.params.keys():
        raise VerbError(Code.INVALID_PARAMS, f"There is no parameter {min(unknown)!a}.")
    try:
        return {name: from_json(value, method.params[name], where=name) for name, value in params.items()}
    except Mismatch as error:
        raise VerbError(Code.INVALID_PARAMS, f"{error}.") from error


def _failure(request: Request, error: Exception) -> Failure:
    # A nursery inside a verb wraps what its tasks raise; one error alone means the same without the wrapping.
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, VerbError):
        return Failure(request.id, error.code, error.message, to_json(error.data))
    log.error("the verb %s failed", request.method, exc_info=error)
    return Failure(request.id, Code.INTERNAL, "The daemon failed to do this; its log says where.")
