"""S10: what another chose to have fetched reaches the public internet, or the origins of the map, and nothing else."""

import asyncio
import gc
import socket
import sys
import threading
import time
import tracemalloc
from typing import Any

import pytest
import uvloop

from cairn.common import fetch
from cairn.common.fetch import Fetcher, Unreachable, is_public

ORIGIN = "https://cairn.localhost"


async def answers(*addresses: str):
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


async def failure(fetcher: Fetcher, url: str) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        await fetcher.get(url)
    return caught.value


SPELLINGS = [
    "127.0.0.1",
    "localhost",
    "localhost.",
    "127.1",
    "0x7f000001",
    "0x7f.1",
    "2130706433",
    "017700000001",
    "0177.0.0.01",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::1]",
    "[fe80::1%25lo]",
    "①②⑦.⓪.⓪.①",
]


@pytest.mark.parametrize("host", SPELLINGS)
async def test_s10_no_spelling_of_loopback_is_connected_to(sink, host: str) -> None:
    seen = await sink()
    fetcher = Fetcher(deadline=2)
    error = await failure(fetcher, f"https://{host}:{seen.port}/did.json")
    assert error.code in {"refused-address", "connection"}  # `connection` where the name does not even resolve
    assert seen.connections == 0
    await fetcher.close()


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "fc00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "2002:a00:1::1",
        "2002:5db8:d822::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "not an address",
    ],
)
async def test_s10_addresses_that_are_not_of_the_public_internet(address: str) -> None:
    assert not is_public(address)
    fetcher = Fetcher(resolve=await answers(address))
    assert (await failure(fetcher, "https://issuer.example/")).code == "refused-address"


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:21f::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"])
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example/",
        "ftp://issuer.example/",
        "file:///etc/passwd",
        "https:///did.json",
        "https://user@issuer.example/",
        "https://user:word@issuer.example/",
        "https://issuer.example:99999/",
        "https://issuer.example:0/",
        "https://issuer.example/a b",
        "https://issuer.example/\r\nX-Injected: 1",
        "https://[::1/",
        "HTTPS://issuer.example/",
        "",
        "https://issuer.example/" + "a" * 3000,
    ],
)
async def test_s10_only_plain_https_addresses_are_fetched(url: str) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"]

    assert (await failure(Fetcher(resolve=resolve), url)).code == "refused-address"
    assert asked == []


@pytest.fixture
def loopback_2_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets 127.0.0.2, and only that, stand for an address of the public internet."""
    monkeypatch.setattr(fetch, "is_public", lambda address: address == "127.0.0.2")


@pytest.mark.usefixtures("loopback_2_is_public")
async def test_s10_connects_to_the_address_it_checked_with_the_name_of_the_url(sink, authority) -> None:
    seen = await sink(b"hello", host="127.0.0.2", tls=authority.context_for("issuer.example"))
    fetcher = Fetcher(verify=authority.file, resolve=await answers("127.0.0.1", "127.0.0.2"))
    assert await fetcher.get(f"https://issuer.example:{seen.port}/did.json?v=1#key") == b"hello"
    assert seen.names == ["issuer.example"]
    assert seen.heads[0].startswith("GET /did.json?v=1 HTTP/1.1\r\n")
    assert f"Host: issuer.example:{seen.port}\r\n" in seen.heads[0]
    await fetcher.close()


@pytest.mark.usefixtures("loopback_2_is_public")
async def test_a_certificate_for_another_name_is_refused(sink, authority) -> None:
    seen = await sink(host="127.0.0.2", tls=authority.context_for("other.example"))
    fetcher = Fetcher(verify=authority.file, resolve=await answers("127.0.0.2"))
    assert (await failure(fetcher, f"https://issuer.example:{seen.port}/")).code == "connection"
    assert seen.heads == []


@pytest.mark.usefixtures("loopback_2_is_public")
async def test_a_private_authority_counts_only_where_it_was_given(sink, authority) -> None:
    seen = await sink(host="127.0.0.2", tls=authority.context_for("issuer.example"))
    fetcher = Fetcher(resolve=await answers("127.0.0.2"))
    assert (await failure(fetcher, f"https://issuer.example:{seen.port}/")).code == "connection"


@pytest.mark.usefixtures("loopback_2_is_public")
async def test_s10_a_name_that_is_rebound_to_loopback_is_not_followed_there(sink, authority) -> None:
    good = await sink(b"good", host="127.0.0.2", tls=authority.context_for("issuer.example"))
    evil = await sink(b"evil", host="127.0.0.1", port=good.port, tls=authority.context_for("issuer.example"))
    turns = iter(["127.0.0.2", "127.0.0.1"])
    asked = 0

    async def rebinding(host: str, port: int) -> list[str]:
        nonlocal asked
        asked += 1
        return [next(turns)]

    fetcher = Fetcher(verify=authority.file, resolve=rebinding)
    assert await fetcher.get(f"https://issuer.example:{good.port}/") == b"good"
    assert asked == 1  # checked and connected by one and the same look-up
    assert (await failure(fetcher, f"https://issuer.example:{good.port}/again")).code == "refused-address"
    assert evil.connections == 0
    await fetcher.close()


@pytest.mark.usefixtures("loopback_2_is_public")
async def test_the_next_address_is_tried_where_one_does_not_answer(sink, authority, monkeypatch) -> None:
    monkeypatch.setattr(fetch, "is_public", lambda address: True)
    seen = await sink(b"hello", host="127.0.0.2", tls=authority.context_for("issuer.example"))
    fetcher = Fetcher(verify=authority.file, resolve=await answers("127.0.0.3", "127.0.0.2"))
    assert await fetcher.get(f"https://issuer.example:{seen.port}/") == b"hello"
    await fetcher.close()


def mapped(seen, **options) -> Fetcher:
    return Fetcher(origins={ORIGIN: f"http://{seen.netloc}"}, **options)


async def test_s10_a_mapped_origin_is_asked_at_its_place_under_its_own_name(sink) -> None:
    seen = await sink(b"hello")
    fetcher = mapped(seen)
    assert await fetcher.get(f"{ORIGIN}/issuance/institutions/north/did.json") == b"hello"
    assert "Host: cairn.localhost\r\n" in seen.heads[0]
    await fetcher.close()


@pytest.mark.parametrize(
    "origin",
    [
        "https://cairn.localhost:8443",
        "https://cairn.localhost.",
        "https://a.cairn.localhost",
        "https://CAIRN.localhost",
        "http://cairn.localhost",
        "https://127.0.0.1:{port}",
        "https://localhost:{port}",
    ],
)
async def test_s10_only_the_exact_origin_is_mapped(sink, origin: str) -> None:
    seen = await sink(b"hello")
    fetcher = mapped(seen, deadline=2)
    await failure(fetcher, origin.format(port=seen.port) + "/")
    assert seen.connections == 0
    await fetcher.close()


async def test_s10_https_on_loopback_by_a_private_authority(sink, authority) -> None:
    seen = await sink(b"hello", tls=authority.context_for("127.0.0.1"))
    fetcher = Fetcher(origins={ORIGIN: f"https://{seen.netloc}"}, verify=authority.file)
    assert await fetcher.get(f"{ORIGIN}/") == b"hello"
    await fetcher.close()


async def test_s10_redirects_are_not_followed(sink) -> None:
    target = await sink(b"secret")

    async def redirect(writer: asyncio.StreamWriter, head: str) -> None:
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: http://{target.netloc}/\r\nContent-Length: 0\r\n\r\n".encode())

    fetcher = mapped(await sink(redirect))
    error = await failure(fetcher, f"{ORIGIN}/")
    assert (error.code, str(error)) == ("status", "answered 302")
    assert target.connections == 0
    await fetcher.close()


async def test_s10_the_proxy_environment_is_ignored(sink, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = await sink(b"by proxy")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://{proxy.netloc}")
    fetcher = mapped(await sink(b"direct"))
    assert await fetcher.get(f"{ORIGIN}/") == b"direct"
    assert proxy.connections == 0
    await fetcher.close()


async def test_s10_a_slow_drip_is_cut_at_the_total_deadline(sink) -> None:
    async def drip(writer: asyncio.StreamWriter, head: str) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 120\r\n\r\n")
        for _ in range(120):  # 12 s in all, never silent for longer than 0.1 s
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.1)

    fetcher = mapped(await sink(drip), deadline=0.5)
    started = time.monotonic()
    assert (await failure(fetcher, f"{ORIGIN}/")).code == "timeout"
    assert 0.4 < time.monotonic() - started < 3
    await fetcher.close()


async def test_s10_the_body_is_cut_at_the_cap(sink) -> None:
    sent = 0

    async def endless(writer: asyncio.StreamWriter, head: str) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    fetcher = mapped(await sink(endless), max_bytes=100_000)
    assert (await failure(fetcher, f"{ORIGIN}/")).code == "too-large"
    assert sent < 30_000_000  # what the sockets buffered, far from all of it
    await fetcher.close()


async def test_s11_an_encoding_that_was_not_asked_for_is_refused(sink) -> None:
    async def bomb(writer: asyncio.StreamWriter, head: str) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b")

    seen = await sink(bomb)
    fetcher = mapped(seen)
    assert (await failure(fetcher, f"{ORIGIN}/")).code == "too-large"
    assert "Accept-Encoding: identity" in seen.heads[0]
    await fetcher.close()


async def test_a_failure_is_remembered_for_a_while(sink) -> None:
    async def gone(writer: asyncio.StreamWriter, head: str) -> None:
        writer.write(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    seen = await sink(gone)
    fetcher = mapped(seen, remember_failures=0.3)
    for _ in range(20):
        assert (await failure(fetcher, f"{ORIGIN}/a")).code == "status"
    assert len(seen.heads) == 1
    await failure(fetcher, f"{ORIGIN}/b")
    assert len(seen.heads) == 2
    await asyncio.sleep(0.35)
    await failure(fetcher, f"{ORIGIN}/a")
    assert len(seen.heads) == 3
    await fetcher.close()


async def test_s11_a_failure_that_is_remembered_keeps_nothing_of_what_was_fetched(sink) -> None:
    """Else a thousand issuers with a large body each, who cost nothing, would cost a gigabyte."""

    async def large(writer: asyncio.StreamWriter, head: str) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 1_100_000)
        await writer.drain()

    fetcher = mapped(await sink(large))
    assert (await failure(fetcher, f"{ORIGIN}/first")).code == "too-large"
    gc.collect()
    tracemalloc.start()
    for number in range(20):
        assert (await failure(fetcher, f"{ORIGIN}/{number}")).code == "too-large"
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000
    await fetcher.close()


async def test_at_most_four_exchanges_with_one_host_at_a_time(sink) -> None:
    busy = most = 0

    async def slow(writer: asyncio.StreamWriter, head: str) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0.05)
        busy -= 1
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    fetcher = mapped(await sink(slow))
    await asyncio.gather(*(fetcher.get(f"{ORIGIN}/{number}") for number in range(20)))
    assert most == 4
    await fetcher.close()


async def test_r15_those_who_answer_slowly_do_not_keep_others_from_being_asked(sink, monkeypatch) -> None:
    monkeypatch.setattr(fetch, "_AT_ONCE", 10)
    monkeypatch.setattr(fetch, "_AT_LEAST", 0.2)

    async def never(writer: asyncio.StreamWriter, head: str) -> None:
        await asyncio.sleep(10)

    slow, honest = await sink(never), await sink(b"hello")
    origins = {f"https://slow-{number}.example": f"http://{slow.netloc}" for number in range(30)}
    fetcher = Fetcher(origins={**origins, ORIGIN: f"http://{honest.netloc}"})
    waiting = [asyncio.create_task(fetcher.get(f"{origin}/")) for origin in origins]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(3):
        assert await fetcher.get(f"{ORIGIN}/did.json") == b"hello"
    given_up = [task for task in waiting if task.done()]
    assert {getattr(task.exception(), "code", None) for task in given_up} == {"timeout"}
    assert not fetcher._failures, "who gave way is no worse thought of for it"
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await fetcher.close()


async def test_r15_names_that_do_not_resolve_keep_no_thread_from_other_work() -> None:
    done, resolve = threading.Event(), socket.getaddrinfo

    def silent(*asked: Any, **more: Any) -> Any:
        done.wait(10)
        return resolve(*asked, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", silent)
        fetcher = Fetcher(deadline=5)
        asking = [asyncio.create_task(fetcher.get(f"https://silent-{number}.example/")) for number in range(40)]
        await asyncio.sleep(0.2)
        try:
            async with asyncio.timeout(3):
                assert await asyncio.to_thread(lambda: True)
        finally:
            done.set()
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            await fetcher.close()


async def test_an_offline_map_stands_for_the_network(sink, tmp_path) -> None:
    """What it names is read, what it does not name is not asked for, and the origins of the other map still are."""
    seen = await sink()
    (tmp_path / "did.json").write_bytes(b"{}")
    (tmp_path / "large").write_bytes(b"x" * 11)
    offline = {f"https://a.example/{name}": tmp_path / name for name in ("did.json", "large", "missing")}

    async def resolve(host: str, port: int) -> list[str]:
        raise AssertionError("nothing is resolved")

    fetcher = Fetcher(offline=offline, origins={ORIGIN: f"http://127.0.0.1:{seen.port}"}, max_bytes=10, resolve=resolve)
    assert await fetcher.get("https://a.example/did.json") == b"{}"
    assert (await failure(fetcher, "https://a.example/large")).code == "too-large"
    assert (await failure(fetcher, "https://a.example/missing")).code == "connection"
    assert (await failure(fetcher, "https://a.example/did.json?x=1")).code == "offline"
    assert (await failure(fetcher, "https://b.example/did.json")).code == "offline"
    assert (await failure(fetcher, "http://a.example/did.json")).code == "refused-address"
    assert seen.connections == 0
    assert await fetcher.get(f"{ORIGIN}/x") == b"{}"
    assert seen.connections == 1
    await fetcher.close()


async def test_fetching_again_looks_for_no_module(sink, monkeypatch) -> None:
    """httpcore imports one with every step; were it not installed, looking for it would be most of what it does."""
    looked_for: list[str] = []

    class Watching:
        def find_spec(self, name: str, *_: object) -> None:
            looked_for.append(name)

    fetcher = mapped(await sink())
    await fetcher.get(f"{ORIGIN}/first")
    monkeypatch.setattr(sys, "meta_path", [Watching(), *sys.meta_path])
    await fetcher.get(f"{ORIGIN}/second")
    assert looked_for == []
    await fetcher.close()


def test_a_connection_that_is_gone_as_soon_as_it_is_made_is_unreachable(resetting: str) -> None:
    async def ask() -> set[str]:
        fetcher = Fetcher(origins={ORIGIN: resetting})
        codes = {(await failure(fetcher, f"{ORIGIN}/{number}")).code for number in range(500)}
        await fetcher.close()
        return codes

    assert uvloop.run(ask()) == {"connection"}
