"""A handler that raises what nobody expected answers EIO to one caller; the mount lives (F7)."""

from __future__ import annotations

import errno
import inspect
import logging
from typing import Any

import pyfuse3
import pytest

from engine import errors
from query.errors import BadName, QueryError, QueryTooLong
from tagfs.mount.guard import errno_of, guarded, silent
from tagfs.mount.ops import Operations
from tagfs.vfs.faults import Faults
from tests.support.kernel import Kernel

# They do nothing, so nothing can go wrong in them.
EMPTY = {"fsyncdir", "access"}
OPERATIONS = sorted(
    name for name, value in vars(Operations).items() if inspect.iscoroutinefunction(value) and not name.startswith("_")
)
SURPRISES = [ValueError("x"), KeyError("x"), RecursionError("deep"), AssertionError(), ExceptionGroup("x", [OSError()])]


class Bomb:
    """Whatever is done with it raises `error`."""

    def __init__(self, error: Exception) -> None:
        object.__setattr__(self, "error", error)

    def __getattribute__(self, name: str) -> Any:
        raise object.__getattribute__(self, "error")

    def __getitem__(self, key: object) -> Any:
        raise object.__getattribute__(self, "error")


def test_all_operations_of_pyfuse3_that_there_are_were_found() -> None:
    assert len(OPERATIONS) >= 28
    assert {"lookup", "forget", "readdir", "write", "setxattr", "statfs"} <= set(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_surprise_is_eio_and_logged_once(
    kernel: Kernel, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    faults = kernel.ops.faults
    for error in SURPRISES:
        caplog.clear()
        for attribute in ("inodes", "files", "_context", "_kernel", "_directories", "_listings", "_xattrs", "_answers"):
            monkeypatch.setattr(kernel.ops, attribute, Bomb(error))
        await provoke(kernel.ops, name)
        if name in EMPTY:
            assert not caplog.records
        else:
            assert [record.levelno for record in caplog.records] == [logging.ERROR]
            assert caplog.records[0].exc_info is not None
            assert name in faults.text()


async def provoke(ops: Operations, name: str) -> None:
    """Call an operation in which everything goes wrong."""
    method = getattr(ops, name)
    arguments: dict[str, Any] = {
        parameter: b"user.name" if "name" in parameter or parameter == "target" else 0
        for parameter in inspect.signature(method).parameters
    }
    if name == "mknod":
        arguments["mode"] = 0o100644
    if name == "forget":
        arguments["inode_list"] = [(1, 1)]
    if name in EMPTY or name == "forget":  # these have no answer that could be an error
        await method(**arguments)
        return
    with pytest.raises(pyfuse3.FUSEError, check=lambda raised: raised.errno == errno.EIO):
        await method(**arguments)


class Handler:
    def __init__(self) -> None:
        self.faults = Faults()

    @guarded
    async def work(self, error: BaseException) -> None:
        raise error

    @silent
    def drop(self, error: BaseException) -> None:
        raise error


KNOWN = [
    (errors.NoSuchItem("x"), errno.ENOENT),
    (errors.NoSuchTag("x"), errno.ENOENT),
    (errors.NameTaken("x"), errno.EEXIST),
    (errors.TagInUse("x"), errno.ENOTEMPTY),
    (errors.BadRequest("x"), errno.EINVAL),
    (errors.AttributeMissing("x"), errno.ENODATA),
    (errors.AttributeExists("x"), errno.EEXIST),
    (errors.Busy("x"), errno.EBUSY),
    (errors.NotReady("x"), errno.EAGAIN),
    (errors.SourceFailed("x"), errno.EIO),
    (errors.DigestMismatch("x"), errno.EIO),
    (errors.StoreFull("x"), errno.ENOSPC),
    (errors.CatalogueFailed("x"), errno.EIO),
    (QueryTooLong("x"), errno.ENAMETOOLONG),
    (QueryError("x"), errno.EINVAL),
    (BadName("x"), errno.EINVAL),
    (OSError(errno.EMFILE, "x"), errno.EMFILE),
    (OSError("no number"), errno.EIO),
]


@pytest.mark.parametrize(("error", "number"), KNOWN, ids=lambda value: repr(value))
async def test_known_errors_have_their_errno_and_no_traceback(
    caplog: pytest.LogCaptureFixture, error: Exception, number: int
) -> None:
    assert errno_of(error) == number
    with pytest.raises(pyfuse3.FUSEError, check=lambda raised: raised.errno == number):
        await Handler().work(error)
    assert not caplog.records


def test_every_error_of_the_engine_is_known() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.EngineError)]
    assert all(errno_of(kind("x")) is not None for kind in kinds)


async def test_what_is_quiet_stays_out_of_the_errors() -> None:
    handler = Handler()
    for error in (errors.NoSuchItem("gone"), errors.AttributeMissing("none"), errors.NotReady("later")):
        with pytest.raises(pyfuse3.FUSEError):
            await handler.work(error)
    assert handler.faults.text() == ""
    with pytest.raises(pyfuse3.FUSEError):
        await handler.work(errors.StoreFull("There is no space left."))
    assert handler.faults.text().endswith("  work: There is no space left.\n")


async def test_a_fuse_error_passes_as_it_is() -> None:
    with pytest.raises(pyfuse3.FUSEError, check=lambda raised: raised.errno == errno.EXDEV):
        await Handler().work(pyfuse3.FUSEError(errno.EXDEV))


async def test_cancellation_and_exits_pass() -> None:
    for error in (KeyboardInterrupt(), SystemExit()):
        with pytest.raises(type(error)):
            await Handler().work(error)


@pytest.mark.parametrize("name", ["\x1b[31mred", "two\nlines", "\u202egpj.exe", "\udcff", "\u2028x", "\x9b31m"])
async def test_no_name_reaches_a_terminal_raw(name: str) -> None:
    """I6: people `cat` /.tagfs/errors."""
    handler = Handler()
    with pytest.raises(pyfuse3.FUSEError):
        await handler.work(OSError(errno.EINVAL, f"{name} is bad"))
    text = handler.faults.text()
    assert text.count("\n") == 1
    assert text.rstrip("\n").isprintable()
    text.encode()
