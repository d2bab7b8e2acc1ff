"""A server that speaks HTTP/2 over TLS and nothing else. Trio, loopback; answers every path with one content."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import trio


@asynccontextmanager
async def http2_server(context: ssl.SSLContext, content: bytes) -> AsyncIterator[tuple[int, list[str]]]:
    """(port, paths asked for)."""
    asked: list[str] = []

    async def serve(plain: trio.SocketStream) -> None:
        stream = trio.SSLStream(plain, context, server_side=True, https_compatible=True)
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        left: dict[int, bytes] = {}
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await stream.send_all(connection.data_to_send())
            while data := await stream.receive_some(65536):
                try:
                    events = connection.receive_data(data)
                except h2.exceptions.ProtocolError:  # HTTP/1.1, for example
                    await stream.send_all(connection.data_to_send())
                    return
                for event in events:
                    if isinstance(event, h2.events.RequestReceived):
                        asked.append(dict(event.headers)[b":path"].decode())
                        head = [(":status", "200"), ("content-length", str(len(content)))]
                        connection.send_headers(event.stream_id, head)
                        left[event.stream_id] = content
                for number in list(left):
                    while left[number] and (window := connection.local_flow_control_window(number)) > 0:
                        size = min(window, connection.max_outbound_frame_size)
                        connection.send_data(number, left[number][:size])
                        left[number] = left[number][size:]
                    if not left[number]:
                        connection.end_stream(number)
                        del left[number]
                await stream.send_all(connection.data_to_send())

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield listener.socket.getsockname()[1], asked
        nursery.cancel_scope.cancel()
