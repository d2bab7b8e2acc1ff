"""No operation may raise anything but FUSEError: pyfuse3 would end its main loop, and with it the mount.

Known errors become their errno; a surprise is logged with its traceback and becomes EIO for one caller.
"""

from __future__ import annotations

import errno
import functools
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import pyfuse3

from engine import errors
from query.errors import BadName, QueryError, QueryTooLong
from tagfs.vfs.faults import Faults

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

_ERRNO: tuple[tuple[type[Exception], int], ...] = (
    (errors.NoSuchItem, errno.ENOENT),
    (errors.NoSuchTag, errno.ENOENT),
    (errors.NoSuchRelation, errno.ENOENT),
    (errors.NoSuchQuery, errno.ENOENT),
    (errors.NameTaken, errno.EEXIST),
    (errors.TagInUse, errno.ENOTEMPTY),
    (errors.NotEmpty, errno.ENOTEMPTY),
    (errors.BadRequest, errno.EINVAL),
    (errors.AttributeMissing, errno.ENODATA),
    (errors.AttributeExists, errno.EEXIST),
    (errors.Busy, errno.EBUSY),
    (errors.NotReady, errno.EAGAIN),
    (errors.SourceFailed, errno.EIO),
    (errors.StoreFull, errno.ENOSPC),
    (errors.EngineError, errno.EIO),
    (QueryTooLong, errno.ENAMETOOLONG),
    (QueryError, errno.EINVAL),
    (BadName, errno.EINVAL),
)
# What happens all the time and is nobody's fault stays out of /.tagfs/errors.
_QUIET = frozenset({errno.ENOENT, errno.ENODATA, errno.EOPNOTSUPP, errno.ERANGE, errno.EAGAIN, errno.ESTALE})


class HasFaults(Protocol):
    faults: Faults


S = TypeVar("S", bound=HasFaults)


def guarded(
    operation: Callable[Concatenate[S, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Wrap a FUSE operation. Cancellation passes: it only comes when the mount is being closed."""

    @functools.wraps(operation)
    async def wrapper(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await operation(self, *args, **kwargs)
        except pyfuse3.FUSEError:
            raise
        except Exception as error:
            raise pyfuse3.FUSEError(_translate(self.faults, operation.__name__, error)) from error

    return wrapper


def silent(operation: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, None]]:
    """Wrap an operation that has no answer (forget): a surprise is logged and remembered, and that is all."""

    @functools.wraps(operation)
    async def wrapper(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            operation(self, *args, **kwargs)
        except Exception as error:
            _translate(self.faults, operation.__name__, error)

    return wrapper


def _translate(faults: Faults, operation: str, error: Exception) -> int:
    number = errno_of(error)
    if number is None:
        log.exception("%s failed unexpectedly", operation)
        faults.add(f"{operation} failed unexpectedly: {error!r}")
        return errno.EIO
    if number not in _QUIET:
        sentence = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        faults.add(f"{operation}: {sentence}")
    return number


def errno_of(error: Exception) -> int | None:
    """The errno that a known error means; None for a surprise."""
    if isinstance(error, OSError):
        return error.errno or errno.EIO
    return next((number for kind, number in _ERRNO if isinstance(error, kind)), None)
