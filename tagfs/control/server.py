"""The control socket's server: it listens, admits clients and lets each one's `Connection` run. trio thread.

State: the count of connections is all that is shared between clients.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

import trio

from tagfs.control.address import peer, short, trusted
from tagfs.control.connection import Connection
from tagfs.control.errors import Code
from tagfs.control.protocol import Failure, encode_reply
from tagfs.control.verbs import Verbs

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
PAUSE: Final = 0.1  # seconds until the next look where not even the spare descriptor is there
NO_DESCRIPTORS: Final = "The daemon has no file descriptor left: close files of the mount, or raise ulimit -n for it."
_NONE_LEFT: Final = (errno.EMFILE, errno.ENFILE)


async def serve(path: str, verbs: Verbs, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Answer calls on a new socket at `path`, mode 0600, until cancelled; then the socket is gone.

    The caller owns the state directory (its lock), so a socket already at `path` is a dead daemon's and is replaced.
    OSError when the socket cannot be made; FileExistsError when something that is no socket is in its place.
    """
    places = trio.Semaphore(MAX_CONNECTIONS)

    async def admit(stream: trio.SocketStream) -> None:
        _pid, uid = peer(stream.socket)
        if not trusted(uid):
            log.warning("a process of uid %d was turned away from the control socket", uid)
            return
        connection = Connection(stream, verbs)
        try:
            places.acquire_nowait()
        except trio.WouldBlock:
            await connection.send(Failure(None, Code.BUSY, "Too many programs talk to this daemon already."))
            return
        try:
            await connection.run()
        finally:
            places.release()

    listener = _listen(path)
    made = os.stat(path).st_ino
    try:
        task_status.started()
        with listener:
            async with trio.open_nursery() as nursery:
                await _accept(listener, admit, nursery)
    finally:
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == made:
                os.unlink(path)


async def _accept(
    listener: socket.socket, admit: Callable[[trio.SocketStream], Awaitable[None]], nursery: trio.Nursery
) -> NoReturn:
    """Where no file descriptor is left, whoever comes is told so, by one that is kept for that. `trio.serve_listeners`
    would let him wait, and log a traceback ten times a second."""
    spare: int | None = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    told = False
    try:
        while True:
            await trio.lowlevel.wait_readable(listener)  # accept(2) has no descriptor for nobody, either
            try:
                accepted, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue
            except OSError as error:
                if error.errno not in _NONE_LEFT:
                    raise
                if not told:
                    log.error("no file descriptor is left (%s): commands are turned away", error.strerror)
                told = True
                spare = _turn_away(listener, spare)
                if spare is None:
                    await trio.sleep(PAUSE)
                continue
            if spare is None:
                spare = _spare()
            told = told and spare is None
            nursery.start_soon(_serve_one, admit, trio.SocketStream(trio.socket.from_stdlib_socket(accepted)))
    finally:
        if spare is not None:
            os.close(spare)


async def _serve_one(admit: Callable[[trio.SocketStream], Awaitable[None]], stream: trio.SocketStream) -> None:
    async with stream:
        await admit(stream)


def _turn_away(listener: socket.socket, spare: int | None) -> int | None:
    """One client, by the descriptor that is kept for that, if it is there; the one for the next client."""
    if spare is not None:
        os.close(spare)
        with contextlib.suppress(OSError):
            accepted, _ = listener.accept()
            with accepted:
                accepted.setblocking(False)
                accepted.send(encode_reply(Failure(None, Code.BUSY, NO_DESCRIPTORS)))
    return _spare()


def _spare() -> int | None:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # another part of the daemon was quicker
        return None


def _listen(path: str) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "This is in the way of the control socket", path)
        os.unlink(path)
    with contextlib.ExitStack() as on_error:
        raw = on_error.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        with short(path) as address:
            try:
                raw.bind(address)
            except OSError as error:  # it does not say where
                raise OSError(error.errno, f"No socket can be made here: {error.strerror}", path) from error
        os.chmod(path, 0o600)  # in time: nobody can connect before listen()
        raw.listen(MAX_CONNECTIONS)
        raw.setblocking(False)
        on_error.pop_all()
        return raw
