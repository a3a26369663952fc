"""The one way out: every URL that somebody else chose is fetched here (S10).

The address is checked when the connection is made, on the very address that is connected to, so that neither a
name that resolves differently the second time nor an odd spelling of loopback gets through. Redirects are not followed,
the proxy environment is ignored, the whole exchange has one deadline, and the body a cap.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore
import httpx
from httpcore._backends.anyio import AnyIOBackend

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to the addresses, as text."""

_TYPES: Final = "application/did+json, application/json, application/vc, application/vc+jwt;q=0.9, */*;q=0.1"


class Unreachable(Exception):
    """The resource could not be had. `code` says why: refused-address, timeout, too-large, status, connection."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Fetcher:
    """GET by https, within bounds.

    `origins` maps an exact origin to the one to ask instead (`https://cairn.localhost` to `http://127.0.0.1:8080`):
    only onebox and tests have any, and nothing else on loopback is reachable. `deadline` is in seconds.
    """

    def __init__(
        self,
        *,
        origins: Mapping[str, str] | None = None,
        deadline: float = 5.0,
        max_bytes: int = 1_000_000,
        remember_failures: float = 30.0,
        resolve: Resolve | None = None,
        verify: Any = True,
    ) -> None:
        self._origins = dict(origins or {})
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._remember = remember_failures
        self._failures: OrderedDict[str, tuple[float, Unreachable]] = OrderedDict()
        self._per_host: dict[str, asyncio.Semaphore] = {}
        backend = _GuardedBackend(resolve or _resolve, {_host_port(origin) for origin in self._origins.values()})
        transport = httpx.AsyncHTTPTransport(verify=verify, retries=0, trust_env=False)
        # httpx offers no hook between resolution and connection; its pool does.
        transport._pool = httpcore.AsyncConnectionPool(  # pyright: ignore[reportPrivateUsage]
            ssl_context=httpx.create_ssl_context(verify=verify, trust_env=False),
            max_connections=50,
            network_backend=backend,
        )
        self._client = httpx.AsyncClient(
            transport=transport, follow_redirects=False, trust_env=False, timeout=deadline, headers={"Accept": _TYPES}
        )

    async def get(self, url: str) -> bytes:
        """The body at `url`. Raises Unreachable; a failure is remembered for a while, and not tried again."""
        known = self._failures.get(url)
        if known and time.monotonic() - known[0] < self._remember:
            raise known[1]
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.password:
            raise Unreachable("refused-address", "only plain https addresses are fetched")
        origin = f"https://{parts.netloc}"
        target = url.replace(origin, self._origins[origin], 1) if origin in self._origins else url
        limit = self._per_host.setdefault(parts.netloc, asyncio.Semaphore(4))
        if len(self._per_host) > 1000:
            self._per_host.clear()
        try:
            async with asyncio.timeout(self._deadline), limit:
                return await self._read(target)
        except TimeoutError:
            failure = Unreachable("timeout", f"{parts.hostname} did not answer within {self._deadline:g} s")
        except Unreachable as error:
            failure = error
        except httpx.HTTPError as error:
            refused = _cause(error, Unreachable)
            failure = refused or Unreachable("connection", f"{parts.hostname}: {type(error).__name__}")
        self._failures[url] = (time.monotonic(), failure)
        while len(self._failures) > 1000:
            self._failures.popitem(last=False)
        raise failure

    async def close(self) -> None:
        await self._client.aclose()

    async def _read(self, url: str) -> bytes:
        async with self._client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response:
            if response.status_code != 200:
                raise Unreachable("status", f"answered {response.status_code}")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise Unreachable("too-large", "answered in an encoding that was not asked for")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self._max_bytes:
                    raise Unreachable("too-large", f"more than {self._max_bytes} bytes")
            return bytes(body)


def _cause(error: BaseException | None, kind: type[Unreachable]) -> Unreachable | None:
    while error is not None:
        if isinstance(error, kind):
            return error
        error = error.__cause__ or error.__context__
    return None


def _host_port(origin: str) -> tuple[str, int]:
    parts = urlsplit(origin)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves by itself, refuses by address, and connects to the address it has checked."""

    def __init__(self, resolve: Resolve, allowed: set[tuple[str, int]]) -> None:
        self._inner = AnyIOBackend()
        self._resolve = resolve
        self._allowed = allowed

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
        except OSError:
            raise httpcore.ConnectError(f"{host} has no address") from None
        for address in addresses:
            if (host, port) in self._allowed or is_public(address):
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
        raise Unreachable("refused-address", f"{host} is not on the public internet")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise Unreachable("refused-address", "no unix sockets")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """True for an address of the public internet, looking through IPv6 forms that embed an IPv4 address."""
    try:
        ip = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            embedded = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if embedded is not None:
            return is_public(str(embedded))
    return ip.is_global and not ip.is_multicast
