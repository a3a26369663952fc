"""The one way out: every URL that somebody else chose is fetched here (S10).

The address is checked when the connection is made, on the very address that is connected to, so that neither a
name that resolves differently the second time nor an odd spelling of loopback gets through. Redirects are not followed,
the proxy environment is ignored, the whole exchange has one deadline, and the body a cap.

It stands on httpcore, whose connection pool takes the network it is to use as an argument. httpx has no such place.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httpcore

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to the addresses, as text."""

_TYPES: Final = "application/did+json, application/json, application/vc, application/vc+jwt;q=0.9, */*;q=0.1"
_URL: Final = re.compile(r"https://[!-~]{1,2048}")
_REMEMBERED: Final = 1000
_PER_HOST: Final = 4
_AT_ONCE: Final = 50
_AT_LEAST: Final = 1.0
"""Seconds that each exchange has, however many others wait."""


class Unreachable(Exception):
    """The resource could not be had.

    `code`: refused-address, timeout, too-large, status, gone (410), connection, offline.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Fetcher:
    """GET by https, within bounds.

    `origins` maps an exact origin to the one to ask instead (`https://cairn.localhost` to `http://127.0.0.1:8080`):
    only onebox and tests have any, and nothing else on loopback is reachable. `offline` maps a URL to the file that
    stands for it: with such a map, even an empty one, no public address is asked. `deadline` is in seconds. `verify` is
    the file of a private CA, or a TLS context, in place of the public CAs.
    """

    def __init__(
        self,
        *,
        origins: Mapping[str, str] | None = None,
        offline: Mapping[str, Path] | None = None,
        deadline: float = 5.0,
        max_bytes: int = 1_000_000,
        remember_failures: float = 30.0,
        resolve: Resolve | None = None,
        verify: ssl.SSLContext | str | None = None,
    ) -> None:
        self._origins = dict(origins or {})
        self._offline = offline
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._remember = remember_failures
        self._failures: OrderedDict[str, tuple[float, str, str]] = OrderedDict()
        self._busy: dict[str, _Turns] = {}
        context = ssl.create_default_context(cafile=verify) if isinstance(verify, str) else verify
        context = context or httpcore.default_ssl_context()
        self._public = _Way(context, _PublicNetwork(resolve or _resolver()))
        # The mapped origins have connections of their own, so that being in the map opens nothing to anybody else.
        self._mapped = _Way(context) if self._origins else None

    async def get(self, url: str) -> bytes:
        """The body at `url`. Raises Unreachable; a failure is remembered for a while, and not tried again.

        Not so where it is due to what else is being fetched: that says nothing of who was asked.
        """
        known = self._failures.get(url)
        if known and time.monotonic() - known[0] < self._remember:
            raise Unreachable(*known[1:])
        origin, begun = url[:80], False
        try:
            origin, target = _split(url)
            instead = self._origins.get(origin)
            way = self._mapped if instead and self._mapped else self._public
            async with asyncio.timeout(self._deadline), self._turn(origin), way.turn():
                begun = True
                return await self._read(way, origin, instead, target)
        except _GaveWay:
            raise Unreachable("timeout", f"{origin} did not answer while others waited") from None
        except TimeoutError:
            if not begun:
                raise Unreachable("timeout", f"{origin} was not asked: others took too long") from None
            failure = Unreachable("timeout", f"{origin} did not answer within {self._deadline:g} s")
        except Unreachable as error:
            failure = error
        except (OSError, *_NETWORK_ERRORS) as error:
            failure = Unreachable("connection", f"{origin}: {type(error).__name__}")
        # Not the failure itself: it holds on to all that was at hand where it was raised, the half-read body included.
        self._failures[url] = (time.monotonic(), failure.code, str(failure))
        self._failures.move_to_end(url)
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)
        raise failure from None

    async def close(self) -> None:
        await self._public.pool.aclose()
        if self._mapped is not None:
            await self._mapped.pool.aclose()

    async def _read(self, way: _Way, origin: str, instead: str | None, target: str) -> bytes:
        if self._offline is not None and not instead:
            return await asyncio.to_thread(self._kept, origin + target)
        headers = [("Host", origin.removeprefix("https://")), ("Accept", _TYPES), ("Accept-Encoding", "identity")]
        async with way.pool.stream("GET", (instead or origin) + target, headers=headers) as response:
            if response.status != 200:
                raise Unreachable("gone" if response.status == 410 else "status", f"answered {response.status}")
            if any(name.lower() == b"content-encoding" and value != b"identity" for name, value in response.headers):
                raise Unreachable("too-large", "answered in an encoding that was not asked for")
            body = bytearray()
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > self._max_bytes:
                    raise Unreachable("too-large", f"more than {self._max_bytes} bytes")
            return bytes(body)

    def _kept(self, url: str) -> bytes:
        """What stands for `url` in the offline map. Raises Unreachable."""
        file = (self._offline or {}).get(url)
        if file is None:
            raise Unreachable("offline", f"{url[:200]} is not in the offline map")
        with file.open("rb") as stream:
            body = stream.read(self._max_bytes + 1)
        if len(body) > self._max_bytes:
            raise Unreachable("too-large", f"more than {self._max_bytes} bytes")
        return body

    @asynccontextmanager
    async def _turn(self, origin: str) -> AsyncGenerator[None]:
        """At most four exchanges with one host at a time: nobody makes us flood another."""
        turns = self._busy.setdefault(origin, _Turns())
        turns.wanted += 1
        try:
            async with turns.free:
                yield
        finally:
            turns.wanted -= 1
            if not turns.wanted:
                self._busy.pop(origin, None)


class _GaveWay(Exception):
    """The exchange was the longest under way of as many as there may be, and others waited."""


class _Way:
    """Connections of one kind, so many at once. Where all are taken, for each who waits the one that has been at it
    for the longest gives way: else fifty that answer slowly would keep all others from being asked."""

    def __init__(self, context: ssl.SSLContext, network: httpcore.AsyncNetworkBackend | None = None) -> None:
        # Twice as many, since one that was given up may take a moment to close.
        self.pool = httpcore.AsyncConnectionPool(context, max_connections=2 * _AT_ONCE, network_backend=network)
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._under_way: dict[asyncio.Timeout, float] = {}
        """Since when, in that order."""
        self._leaving: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Raises _GaveWay."""
        self._waiting += 1
        self._make_way()
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        given = asyncio.timeout(None)
        try:
            async with given:
                self._under_way[given] = asyncio.get_running_loop().time()
                self._make_way()
                try:
                    yield
                finally:
                    self._under_way.pop(given, None)
                    self._leaving.discard(given)
        except TimeoutError:
            if given.expired():
                raise _GaveWay from None
            raise
        finally:
            self._free.release()

    def _make_way(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._free.locked() and self._under_way and len(self._leaving) < self._waiting:
            longest, since = next(iter(self._under_way.items()))
            del self._under_way[longest]
            self._leaving.add(longest)
            longest.reschedule(max(now, since + _AT_LEAST))


class _Turns:
    def __init__(self) -> None:
        self.free = asyncio.Semaphore(_PER_HOST)
        self.wanted = 0


_NETWORK_ERRORS: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    # What anyio raises by uvloop of a connection that is gone as soon as it is made.
    AttributeError,
)


def _split(url: str) -> tuple[str, str]:
    """Origin and target of a plain https URL. Raises Unreachable for any other."""
    refused = Unreachable("refused-address", "only plain https addresses are fetched")
    if not _URL.fullmatch(url):
        raise refused
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise refused from None
    if not parts.hostname or "@" in parts.netloc or port == 0:
        raise refused
    return f"https://{parts.netloc}", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _resolver() -> Resolve:
    # The loop's own has four threads or so, and a name whose server keeps silent takes one for longer than any deadline
    # of ours: nobody else must wait for those.
    threads = ThreadPoolExecutor(2 * _AT_ONCE, "resolver")

    async def resolve(host: str, port: int) -> list[str]:
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(threads, ask)
        return [str(entry[4][0]) for entry in found]

    return resolve


class _PublicNetwork(httpcore.AsyncNetworkBackend):
    """Resolves by itself, refuses by address, and connects to the address it has checked.

    TLS is httpcore's: it still asks for, and checks, the name that was in the URL.
    """

    def __init__(self, resolve: Resolve) -> None:
        self._network = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())
        self._resolve = resolve

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):
            raise httpcore.ConnectError(f"{host} has no address") from None
        public = [address for address in addresses if is_public(address)]
        failure: httpcore.ConnectError | None = None
        for address in public:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:  # the next address may answer: IPv6 without a route, say
                failure = error
        raise failure or Unreachable("refused-address", f"{host} is not on the public internet")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise Unreachable("refused-address", "no unix sockets")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """True for an address of the public internet.

    In IPv6 that is what IANA has given out for it, less the tunnels (6to4, Teredo) that lead to an IPv4 address of
    the sender's choice; the IPv4 address within a mapped or a NAT64 form is looked at itself.
    """
    try:
        ip = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped or ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)))
        if ip not in _GLOBAL_UNICAST or ip.sixtofour or ip.teredo:
            return False
    return ip.is_global and not ip.is_multicast
