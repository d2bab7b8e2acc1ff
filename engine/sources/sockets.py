"""TCP and TLS as buffers are filled from them: connect under an address policy, send, receive. On the trio thread.

Python's own SSLSocket reads from the descriptor itself; trio's SSLStream and httpx move each 16 KiB record through
memory BIOs and two more copies, which doubles the CPU of a large body over TLS. A cancelled `receive_into` has taken
nothing from the socket, so that it may simply be called again.
"""

from __future__ import annotations

import select
import socket
import ssl
from typing import Protocol

import trio

from engine.sources.addresses import is_public
from engine.sources.stream import Fault, FetchFailed


class Socket(Protocol):
    """Errors are OSError (ssl.SSLError is one)."""

    @property
    def peer(self) -> str:
        """The address at the other end."""

    @property
    def is_quiet(self) -> bool:
        """Whether nothing came that nobody asked for; False when the other side has closed. Instant."""

    async def send_all(self, data: bytes) -> None: ...
    async def receive_into(self, view: memoryview) -> int:
        """At least one byte into the beginning of `view`; 0 at the end."""

    def close(self) -> None: ...


class PlainSocket:
    """Implements `Socket`."""

    def __init__(self, raw: trio.socket.SocketType, peer: str) -> None:
        self._raw = raw
        self.peer = peer

    @property
    def is_quiet(self) -> bool:
        return _is_quiet(self._raw.fileno())

    async def send_all(self, data: bytes) -> None:
        sent = 0
        while sent < len(data):
            sent += await self._raw.send(data[sent:])

    async def receive_into(self, view: memoryview) -> int:
        return await self._raw.recv_into(view)

    def close(self) -> None:
        self._raw.close()

    def detach(self) -> socket.socket:
        raw = socket.socket(fileno=self._raw.detach())
        raw.setblocking(False)
        return raw


class TlsSocket:
    """Implements `Socket`. Made by `encrypted`."""

    def __init__(self, raw: ssl.SSLSocket, peer: str) -> None:
        self._raw = raw
        self.peer = peer

    @property
    def is_quiet(self) -> bool:
        return not self._raw.pending() and _is_quiet(self._raw.fileno())

    async def handshake(self) -> None:
        while True:
            try:
                self._raw.do_handshake()
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(self._raw)
            except ssl.SSLWantWriteError:
                await trio.lowlevel.wait_writable(self._raw)
            else:
                return

    async def send_all(self, data: bytes) -> None:
        while data:
            try:
                data = data[self._raw.send(data) :]
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(self._raw)
            except ssl.SSLWantWriteError:
                await trio.lowlevel.wait_writable(self._raw)

    async def receive_into(self, view: memoryview) -> int:
        """As many records as have come."""
        await trio.lowlevel.checkpoint()
        done = 0
        while done < len(view):
            try:
                count = self._raw.recv_into(view[done:])
            except ssl.SSLWantReadError:
                if done:
                    break
                await trio.lowlevel.wait_readable(self._raw)
            except ssl.SSLWantWriteError:
                await trio.lowlevel.wait_writable(self._raw)
            else:
                done += count
                if not count:
                    break
        return done

    def close(self) -> None:
        self._raw.close()


async def connect(host: str, port: int, *, public_only: bool) -> PlainSocket:
    """OSError where nobody answers; FetchFailed for an address that the policy refuses: every address of the name is
    looked at before a packet is sent, and the one that was reached before a byte of the request is, for a name server
    may answer differently the second time."""
    if public_only:
        await require_public_name(host, port)
    stream = await trio.open_tcp_stream(host, port)
    try:
        peer = str(stream.socket.getpeername()[0])
        if public_only:
            require_public(host, peer)
    except BaseException:
        stream.socket.close()
        raise
    return PlainSocket(stream.socket, peer)


async def encrypted(plain: PlainSocket, context: ssl.SSLContext, host: str) -> TlsSocket:
    """TLS over a connected socket, which must not be used any more, whatever happens."""
    raw = plain.detach()
    try:
        tls = TlsSocket(context.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False), plain.peer)
    except BaseException:
        raw.close()
        raise
    try:
        await tls.handshake()
    except BaseException:
        tls.close()
        raise
    return tls


async def require_public_name(host: str, port: int) -> None:
    """Of all addresses of a name. OSError where it has none."""
    for *_, address in await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM):
        require_public(host, str(address[0]))


def require_public(host: str, address: str) -> None:
    if not is_public(address):
        raise private(host if host == address else f"{host} ({address})")


def private(where: str) -> FetchFailed:
    why = "has a private address, to which no redirect and no Metalink may lead unless private_redirects allows it"
    return FetchFailed(f"{where} {why}.", Fault.FINAL)


def _is_quiet(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return not poll.poll(0)
