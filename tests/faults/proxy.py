"""A network between a process and a server that can go wrong: a TCP proxy on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal

Mood = Literal["good", "silent", "slow"]
"""`silent`: what is sent is acknowledged and goes nowhere, on new connections, too; so a half-open one looks from
within. `slow`: a byte at a time, a few in a second."""

_DRIP_SECONDS = 0.05


class Proxy:
    """Leads to `port` on loopback, from `self.port`."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.mood: Mood = "good"
        self.port = 0
        self._open: set[asyncio.Task[None]] = set()

    def drop(self) -> None:
        """Reset every connection that there is."""
        for connection in self._open:
            connection.cancel()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._connect(reader, writer))
        self._open.add(connection)
        connection.add_done_callback(self._open.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection("127.0.0.1", self._to)
        with contextlib.suppress(OSError):
            await asyncio.gather(self._carry(reader, to_server), self._carry(server, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                # What is swallowed is lost for good: the connection stays silent when the network is good again.
                if self.mood == "silent":
                    await asyncio.Event().wait()
                while self.mood == "slow" and len(data) > 1:
                    writer.write(data[:1])
                    await writer.drain()
                    data = data[1:]
                    await asyncio.sleep(_DRIP_SECONDS)
                writer.write(data)
                await writer.drain()
        finally:
            writer.transport.abort()


@asynccontextmanager
async def proxy_to(port: int) -> AsyncGenerator[Proxy]:
    proxy = Proxy(port)
    async with await asyncio.start_server(proxy.accept, "127.0.0.1", 0) as server:
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy
        proxy.drop()
