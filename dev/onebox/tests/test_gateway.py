"""The gateway in front of a real server that tells what it was sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import httpx
import pytest
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from cairn.onebox.gateway import _KEYED, Told, create_app, server
from cairn.provision.processes import free_port

ready = {"status": 200}
release = asyncio.Event()
ACCESS = "/data/of <mine>/access.json"


async def echo(request: Request) -> Response:
    headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
    said = {
        "method": request.method,
        "path": request.scope["raw_path"].decode(),
        "query": request.url.query,
        "headers": headers,
        "body": (await request.body()).decode(),
    }
    response = JSONResponse(said, 207)
    response.raw_headers += [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"connection", b"x-private")]
    response.raw_headers += [(b"x-private", b"1"), (b"keep-alive", b"timeout=9")]
    return response


async def drip(_: Request) -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await release.wait()
        yield b"second"

    return StreamingResponse(body())


async def upload(request: Request) -> Response:
    first = None
    size = 0
    async for chunk in request.stream():
        if first is None:
            first = chunk
            release.set()
        size += len(chunk)
    return JSONResponse({"first": (first or b"").decode(), "size": size})


async def breaks_off(_: Request) -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("the service died")

    return StreamingResponse(body(), headers={"content-length": "8"})


async def readyz(_: Request) -> Response:
    return Response(status_code=ready["status"])


SERVICE = Starlette(
    routes=[
        Route("/readyz", readyz),
        Route("/drip", drip),
        Route("/upload", upload, methods=["POST"]),
        Route("/breaks-off", breaks_off),
        Route("/{path:path}", echo, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    ]
)


def plain(app: Starlette, port: int) -> uvicorn.Server:
    return uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", timeout_graceful_shutdown=1))


@asynccontextmanager
async def serving(app: Starlette, made: Callable[[Starlette, int], uvicorn.Server]) -> AsyncGenerator[str]:
    port = free_port()
    running = made(app, port)
    running.capture_signals = nullcontext
    task = asyncio.create_task(running.serve())
    while not running.started:  # noqa: ASYNC110 - uvicorn sets no event
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    await task


@pytest.fixture
async def gateway() -> AsyncGenerator[httpx.AsyncClient]:
    release.clear()
    ready["status"] = 200
    async with serving(SERVICE, plain) as service:
        away = f"http://127.0.0.1:{free_port()}"
        told = Told(0, {"/issuance": service, "/pathways": away}, {"issuance-worker": service}, ACCESS, patience=0.3)
        async with (
            serving(create_app(told), server) as address,
            httpx.AsyncClient(base_url=address, trust_env=False) as client,
        ):
            yield client


async def test_the_prefix_is_stripped_and_the_rest_arrives_byte_for_byte(gateway: httpx.AsyncClient) -> None:
    answer = await gateway.request("PATCH", "/issuance/v1/credentials/urn%3Auuid%3A1%2F2?a=%20b&a=c", content=b"body")
    seen = answer.json()
    assert answer.status_code == 207
    assert (seen["method"], seen["path"], seen["query"], seen["body"]) == (
        "PATCH",
        "/v1/credentials/urn%3Auuid%3A1%2F2",
        "a=%20b&a=c",
        "body",
    )


async def test_the_bare_prefix_is_the_root(gateway: httpx.AsyncClient) -> None:
    assert (await gateway.get("/issuance")).json()["path"] == "/"


async def test_hop_by_hop_headers_end_here_both_ways(gateway: httpx.AsyncClient) -> None:
    sent = {
        "Connection": "x-mine, close",
        "X-Mine": "1",
        "Keep-Alive": "1",
        "TE": "trailers",
        "Authorization": "Bearer t",
    }
    answer = await gateway.get("/issuance/x", headers=sent)
    seen = {name for name, _ in answer.json()["headers"]}
    assert "authorization" in seen
    assert not seen & {"x-mine", "keep-alive", "te"}
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert "x-private" not in answer.headers
    assert answer.headers.get("keep-alive") is None
    assert len(answer.headers.get_list("date")) == 1


async def test_what_a_caller_says_of_its_origin_is_replaced(gateway: httpx.AsyncClient) -> None:
    forged = {"X-Forwarded-For": "8.8.8.8", "X-Forwarded-Prefix": "/evil", "Forwarded": "for=8.8.8.8"}
    seen = (await gateway.get("/issuance/x", headers=forged)).json()["headers"]
    assert [value for name, value in seen if name == "x-forwarded-for"] == ["127.0.0.1"]
    assert [value for name, value in seen if name == "x-forwarded-prefix"] == ["/issuance"]
    assert "forwarded" not in dict(seen)
    assert dict(seen)["host"] == gateway.base_url.netloc.decode()


async def test_answers_are_streamed(gateway: httpx.AsyncClient) -> None:
    async with gateway.stream("GET", "/issuance/drip") as answer:
        chunks = answer.aiter_raw()
        assert await asyncio.wait_for(anext(chunks), 5) == b"first"
        release.set()
        assert await asyncio.wait_for(anext(chunks), 5) == b"second"


async def test_requests_are_streamed(gateway: httpx.AsyncClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        # Held back until the service has seen the beginning.
        await asyncio.wait_for(release.wait(), 5)
        yield b"x" * 100_000

    answer = await gateway.post("/issuance/upload", content=body())
    assert answer.json() == {"first": "first", "size": 100_005}


async def test_a_head_request_has_no_body(gateway: httpx.AsyncClient) -> None:
    answer = await gateway.head("/issuance/x")
    assert (answer.status_code, answer.content) == (207, b"")


async def test_a_service_that_is_away_is_a_problem_document(gateway: httpx.AsyncClient) -> None:
    answer = await gateway.get("/pathways/v1/x")
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["instance"] == "/pathways/v1/x"
    assert "pathways" in answer.json()["detail"]


async def test_a_service_that_breaks_off_in_its_answer_breaks_off_here_too(gateway: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await gateway.get("/issuance/breaks-off")


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (httpx.ReadTimeout("slow"), 504),
        (httpx.ConnectTimeout("away"), 502),
        (httpx.RemoteProtocolError("closed"), 502),
        (httpx.ReadError("reset"), 502),
    ],
)
async def test_each_fault_has_its_status(raised: httpx.TransportError, status: int) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise raised

    app = create_app(Told(0, {"/issuance": "http://127.0.0.1:1"}, {}, patience=0), transport=httpx.MockTransport(fail))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        assert (await client.get("/issuance/x")).status_code == status


async def test_other_paths_are_refused(gateway: httpx.AsyncClient) -> None:
    for path in ("/issuancex/v1", "/v1", "/favicon.ico"):
        answer = await gateway.get(path)
        assert answer.status_code == 404
        assert "/issuance or /pathways" in answer.json()["detail"]


async def test_readyz_tells_who_is_not(gateway: httpx.AsyncClient) -> None:
    answer = await gateway.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "waiting",
        "parts": {"issuance-api": "ok", "pathways-api": "is away", "issuance-worker": "ok"},
    }
    ready["status"] = 503
    assert (await gateway.get("/readyz")).json()["parts"]["issuance-worker"] == "is not ready"
    assert (await gateway.get("/livez")).status_code == 200


async def test_readyz_when_all_are() -> None:
    ready["status"] = 200
    async with serving(SERVICE, plain) as service:
        app = create_app(Told(0, {"/issuance": service}, {"issuance-worker": service}))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
            assert (await client.get("/readyz")).status_code == 200


async def test_the_front_page_needs_nothing_from_elsewhere_and_tells_no_secret(gateway: httpx.AsyncClient) -> None:
    answer = await gateway.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert 'href="/issuance/docs"' in answer.text
    assert "/data/of &lt;mine&gt;/access.json" in answer.text
    assert "<script" not in answer.text
    assert "src=" not in answer.text
    assert "pathways-api</b> is away" in answer.text


def test_what_it_is_told_is_json() -> None:
    assert Told(**json.loads('{"port": 1, "routes": {"/a": "http://127.0.0.1:2"}, "workers": {}}')).port == 1


@pytest.mark.parametrize(
    ("path", "status", "times"), [("/completions", 202, 2), ("/credentials/issue", 502, 1), ("/learners", 502, 1)]
)
async def test_r16_only_what_is_done_once_under_its_key_is_sent_again(path: str, status: int, times: int) -> None:
    asked: list[str] = []

    def break_off_once(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if len(asked) == 1:
            raise httpx.ReadError("gone")
        return httpx.Response(202, content=nothing())

    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    app = create_app(Told(0, {"/issuance": "http://issuance"}, {}), transport=httpx.MockTransport(break_off_once))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.post(f"/issuance/v1{path}", content=b"{}", headers={"Idempotency-Key": "k"})
    assert (answer.status_code, len(asked)) == (status, times)


def test_the_gateway_knows_the_routes_that_read_an_idempotency_key() -> None:
    documents = Path(__file__).parents[3] / "docs" / "openapi"
    for service in ("issuance", "pathways", "verification"):
        for path, operations in json.loads((documents / f"{service}.json").read_bytes())["paths"].items():
            named = {one.get("name", "").lower() for one in operations.get("post", {}).get("parameters", ())}
            known = _KEYED.fullmatch(f"/{service}{path}") is not None
            assert known == ("idempotency-key" in named), path


async def test_r16_who_waited_for_a_service_comes_to_it_by_turns() -> None:
    there = most = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal there, most
        if request.url.host == "pathways":
            return httpx.Response(204, content=empty())
        there, most = there + 1, max(most, there + 1)
        async with asyncio.timeout(5):
            await other.wait()
        there -= 1
        return httpx.Response(204, content=empty())

    async def empty() -> AsyncIterator[bytes]:
        yield b""

    other = asyncio.Event()
    told = Told(0, {"/issuance": "http://issuance", "/pathways": "http://pathways"}, {})
    app = create_app(told, transport=httpx.MockTransport(answer))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        many = [asyncio.create_task(client.get("/issuance/x")) for _ in range(300)]
        # What one is asked for is no concern of another's.
        assert (await client.get("/pathways/x")).status_code == 204
        other.set()
        assert {(await one).status_code for one in many} == {204}
    assert most == 100


def test_r16_a_connection_that_is_gone_as_soon_as_it_is_made_is_a_service_that_is_away(resetting: str) -> None:
    async def ask() -> set[int]:
        app = create_app(Told(0, {"/issuance": resetting}, {}, patience=0))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
            return {(await client.post("/issuance/v1/learners", content=b"{}")).status_code for _ in range(500)}

    assert uvloop.run(ask()) == {502}
