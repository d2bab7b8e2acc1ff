"""A peer that speaks BitTorrent and lies about what torrents are: it offers a description that is not theirs.

async with metadata_liar(torrent, size=5000) as liar:        # says that the description has 5000 bytes
    torrent.magnet(peers=[liar.address])
    ... liar.asked                                            # pieces of it that were asked for

Handshake of BEP 3, extensions of BEP 10, metadata of BEP 9. In the clear: whoever asks must be allowed to do so.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import libtorrent as lt
import trio

from tests.support.torrents import Torrent, bencode

PIECE = 16384
EXTENDED = 20  # the message of BEP 10
METADATA = 3  # what we call the one of BEP 9


@dataclass
class Liar:
    size: int
    info_hash: bytes
    port: int = 0
    is_gone: bool = False
    asked: list[int] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def speak(self, stream: trio.SocketStream) -> None:
        try:
            await self._speak(stream)
        except (trio.BrokenResourceError, EOFError):
            pass  # whoever asked has had enough
        finally:
            await stream.aclose()

    async def _speak(self, stream: trio.SocketStream) -> None:
        await _exactly(stream, 68)
        if self.is_gone:
            return
        reserved = bytes([0, 0, 0, 0, 0, 0x10, 0, 0])
        await stream.send_all(b"\x13BitTorrent protocol" + reserved + self.info_hash + b"-XX0000-" + os.urandom(12))
        await self._say(stream, 0, bencode({"m": {"ut_metadata": METADATA}, "metadata_size": self.size}))
        theirs = 0
        while True:
            length = int.from_bytes(await _exactly(stream, 4), "big")
            message = await _exactly(stream, length)
            if message[:2] == bytes([EXTENDED, 0]):
                theirs = lt.bdecode(message[2:])[b"m"][b"ut_metadata"]
            elif message[:2] == bytes([EXTENDED, METADATA]):
                piece = lt.bdecode(message[2:])[b"piece"]
                self.asked.append(piece)
                head = bencode({"msg_type": 1, "piece": piece, "total_size": self.size})
                await self._say(stream, theirs, head + os.urandom(max(0, min(PIECE, self.size - piece * PIECE))))

    async def _say(self, stream: trio.SocketStream, number: int, body: bytes) -> None:
        message = bytes([EXTENDED, number]) + body
        await stream.send_all(len(message).to_bytes(4, "big") + message)


@asynccontextmanager
async def metadata_liar(torrent: Torrent, *, size: int) -> AsyncIterator[Liar]:
    liar = Liar(size, bytes.fromhex(torrent.v1))
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, liar.speak, 0, host="127.0.0.1"))
        liar.port = listener.socket.getsockname()[1]
        yield liar
        nursery.cancel_scope.cancel()


async def _exactly(stream: trio.SocketStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        some = await stream.receive_some(count - len(data))
        if not some:
            raise EOFError
        data += some
    return data
