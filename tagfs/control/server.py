"""The control socket's server: it listens, admits clients and lets each one's `Connection` run. trio thread.

State: the count of connections is all that is shared between clients.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat

import trio

from tagfs.control.address import peer, short, trusted
from tagfs.control.connection import Connection
from tagfs.control.errors import Code
from tagfs.control.protocol import Failure
from tagfs.control.verbs import Verbs

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 64


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
        await trio.serve_listeners(admit, [trio.SocketListener(listener)])
    finally:
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == made:
                os.unlink(path)


def _listen(path: str) -> trio.socket.SocketType:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(f"{path} is in the way of the control socket.")
        os.unlink(path)
    with contextlib.ExitStack() as on_error:
        raw = on_error.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        with short(path) as address:
            raw.bind(address)
        os.chmod(path, 0o600)  # in time: nobody can connect before listen()
        raw.listen(MAX_CONNECTIONS)
        on_error.pop_all()
        return trio.socket.from_stdlib_socket(raw)
