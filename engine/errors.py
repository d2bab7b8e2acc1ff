"""What can go wrong in the engine, as callers above need to tell it apart. The text is one sentence for the user."""

from __future__ import annotations


class EngineError(Exception):
    """Base of all; `str(error)` is one sentence."""


class NoSuchItem(EngineError):
    """ENOENT"""


class NoSuchTag(EngineError):
    """ENOENT"""


class NoSuchRelation(EngineError):
    """ENOENT"""


class NoSuchQuery(EngineError):
    """ENOENT"""


class NameTaken(EngineError):
    """EEXIST"""


class NoSuchChange(EngineError):
    """There is no such change in the history."""


class Changed(EngineError):
    """What is to be undone has been changed, renamed or ended since; nothing was undone."""


class TagInUse(EngineError):
    """ENOTEMPTY"""


class NotEmpty(EngineError):
    """ENOTEMPTY: a folder that holds something."""


class BadRequest(EngineError):
    """EINVAL: the request can never succeed as it is."""


class AttributeMissing(EngineError):
    """ENODATA: XATTR_REPLACE or removal of what is not there."""


class AttributeExists(EngineError):
    """EEXIST: XATTR_CREATE of what is there."""


class Busy(EngineError):
    """EBUSY: something else has it; later it may work."""


class NotReady(EngineError):
    """EAGAIN: not here yet and the caller does not want to wait, or the number of waiters is at its limit."""


class SourceFailed(EngineError):
    """EIO: the source has failed for good, or patience ran out."""


class DigestMismatch(SourceFailed):
    """The content that arrived is not the content that was promised."""


class StoreFull(EngineError):
    """ENOSPC"""


class CatalogueFailed(EngineError):
    """EIO: the database cannot be written any more. Its service raises this, which ends the daemon."""


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error that is no group itself."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
