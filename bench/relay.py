"""A long thin line on loopback: a TCP proxy that adds delay and limits the rate, where the kernel has no netem.

python -m bench.relay --to 127.0.0.1:8080 --rtt 0.1 --rate 20e6 [--shared]     prints the port that it listens on
with relay(port, rtt=0.1, rate=20e6) as port: ...                              the same in a process of its own
python -m bench.relay --measure                                                what it can pass here

Each direction is a bottleneck and then a delay line: a chunk leaves the bottleneck when the link has time for it
(`rate` bytes a second of each connection, or of all together with --shared), and is delivered half a round trip later.
Chunks are under way side by side, as packets are. Being made costs a connection one round trip. What TCP itself
does on such a line (slow start, loss) is not there, for any contender.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import trio

SLICE = 0.004  # seconds of the link that one chunk takes
SMALLEST, LARGEST = 4096, 256 * 1024
KERNEL_BUFFER = (
    128 * 1024
)  # of each socket of ours: a queue in the kernel would be a longer line than the one asked for


class Link:
    """One direction of a line. `free` is when it can take the next chunk."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.free = 0.0

    @property
    def chunk(self) -> int:
        return max(SMALLEST, min(LARGEST, int(self.rate * SLICE)))

    def take(self, size: int) -> float:
        """When the last byte of a chunk that is offered now has left."""
        self.free = max(self.free, trio.current_time()) + size / self.rate
        return self.free


class Relay:
    def __init__(self, host: str, port: int, rtt: float, rate: float, shared: bool) -> None:
        self.target = (host, port)
        self.rtt = rtt
        self.rate = rate
        self.shared = (Link(rate), Link(rate)) if shared else None

    async def serve(self, listener: trio.SocketListener) -> None:
        await trio.serve_listeners(self._serve, [listener])

    async def _serve(self, near: trio.SocketStream) -> None:
        opened = trio.current_time() + self.rtt
        far_socket = trio.socket.socket()
        with near.socket, far_socket, suppress(OSError):
            for one in (near.socket, far_socket):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await far_socket.connect(self.target)
            up, down = self.shared or (Link(self.rate), Link(self.rate))
            with suppress(BaseExceptionGroup):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._direction, near.socket, far_socket, up, opened, nursery)
                    nursery.start_soon(self._direction, far_socket, near.socket, down, opened, nursery)

    async def _direction(
        self,
        source: trio.socket.SocketType,
        sink: trio.socket.SocketType,
        link: Link,
        opened: float,
        nursery: trio.Nursery,
    ) -> None:
        """Until `source` ends. Memory is bounded: what is under way is what the link takes in half a round trip."""
        send, receive = trio.open_memory_channel[tuple[float, bytes]](100_000)
        nursery.start_soon(self._deliver, receive, sink)
        async with send:
            while True:
                data = await source.recv(link.chunk)
                left = link.take(len(data))
                send.send_nowait((max(left, opened) + self.rtt / 2, data))
                if not data:
                    return
                await trio.sleep_until(left - SLICE)

    async def _deliver(
        self, receive: trio.MemoryReceiveChannel[tuple[float, bytes]], sink: trio.socket.SocketType
    ) -> None:
        async with receive:
            async for due, data in receive:
                if due > trio.current_time():
                    await trio.sleep_until(due)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                rest = memoryview(data)
                while rest:
                    rest = rest[await sink.send(rest) :]


@contextmanager
def relay(
    port: int, *, rtt: float, rate: float, shared: bool = False, host: str = "127.0.0.1", prefix: Sequence[str] = ()
) -> Iterator[int]:
    """A relay to `port` of `host` in a process of its own; the port there to connect to instead."""
    command = [
        *prefix,
        sys.executable,
        "-m",
        "bench.relay",
        "--to",
        f"{host}:{port}",
        "--rtt",
        str(rtt),
        "--rate",
        str(rate),
    ]
    process = subprocess.Popen(command + ["--shared"] * shared, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def measure(connections: int = 16, rate: float = 20e6, rtt: float = 0.1, seconds: float = 5.0) -> None:
    """Whether the relay is the limit: `connections` of `rate` each, from a sender as fast as it may be."""
    import threading

    def send(client: socket.socket) -> None:
        zeros = bytes(1 << 18)
        with client, suppress(OSError):
            client.recv(1)
            while True:
                client.sendall(zeros)

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=send, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        with relay(listener.getsockname()[1], rtt=rtt, rate=rate) as port:
            started = time.perf_counter()
            clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
            for client in clients:
                client.sendall(b"x")
            clients[0].recv(1)
            first = time.perf_counter() - started
            counts = [0] * connections
            started = time.perf_counter()

            def receive(index: int) -> None:
                buffer = bytearray(1 << 18)
                while time.perf_counter() - started < seconds:
                    counts[index] += clients[index].recv_into(buffer)

            threads = [threading.Thread(target=receive, args=(index,)) for index in range(connections)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            took = time.perf_counter() - started
            for client in clients:
                client.close()
    print(f"first byte after {first * 1000:.0f} ms; {sum(counts) / took / 1e6:.0f} MB/s over {connections} connections")
    print(f"of {connections * rate / 1e6:.0f} asked for; slowest {min(counts) / took / 1e6:.1f} MB/s")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--to", default="")
    options.add_argument("--rtt", type=float, default=0.1, help="seconds")
    options.add_argument("--rate", type=float, default=20e6, help="bytes a second each way")
    options.add_argument("--shared", action="store_true", help="the rate is of all connections together")
    options.add_argument("--measure", action="store_true")
    chosen = options.parse_args()
    if chosen.measure:
        measure(rtt=chosen.rtt, rate=chosen.rate)
        return
    host, _, port = chosen.to.rpartition(":")
    trio.run(run, Relay(host, int(port), chosen.rtt, chosen.rate, chosen.shared))


async def run(line: Relay) -> None:
    [listener] = await trio.open_tcp_listeners(0, host=line.target[0])
    print(listener.socket.getsockname()[1], flush=True)
    await line.serve(listener)


if __name__ == "__main__":
    main()
