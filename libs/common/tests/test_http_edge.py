"""What every service's HTTP edge does: problem documents, limits, health, and answers while PostgreSQL is away."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, File, Request, UploadFile
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import event, text

from cairn.common import app as app_module
from cairn.common.app import create_app
from cairn.common.auth import Principal, mint, requires
from cairn.common.db import Database
from cairn.common.fairness import FairShare
from cairn.common.migrations import migrate
from cairn.common.problem import COMMON, DomainError, Fault, Problem
from cairn.common.strict_route import StrictRoute, read_strictly
from cairn.provision.postgres import EmbeddedPostgres, destroy

MAX_BODY = 1000


class Grade(BaseModel):
    model_config = ConfigDict(extra="forbid")
    score: float = Field(ge=0, le=1)


class Circle(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["circle"]
    radius: int


class Square(BaseModel):
    kind: Literal["square"]
    side: int


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str
    grades: list[Grade] = []
    shape: Annotated[Circle | Square, Field(discriminator="kind")] | None = None
    tags: list[int] | int = 0


class TitleTaken(DomainError):
    code = "title-taken"


PROBLEMS = {"title-taken": Problem(409, "Another note has this title", "Choose another.")}


def routes() -> APIRouter:
    router = APIRouter(route_class=StrictRoute)

    @router.post("/v1/notes")
    async def write(note: Note) -> dict[str, str]:
        if note.title == "taken":
            raise TitleTaken("There is a note with this title.", field="/title", fix="Choose another title.")
        if note.title == "two":
            raise TitleTaken("Two things.", faults=[Fault("/a", "one", "mend a"), Fault("/b", "two", "mend b")])
        if note.title == "broken":
            raise RuntimeError("canary-4711")
        return {"title": note.title}

    @router.get("/v1/notes")
    async def every() -> list[str]:
        return []

    @router.get("/v1/notes/{note}")
    async def read(request: Request, note: str, limit: int = 1) -> dict[str, str]:
        async with request.app.state.database.transaction("north") as tx:
            row = await tx.row(text("SELECT body FROM notes WHERE id = :id"), {"id": note})
        if row is None:
            raise DomainError("There is no such note.", code="not-found")
        return {"body": row["body"]}

    @router.post("/v1/files")
    async def upload(file: UploadFile = File()) -> dict[str, int]:
        return {"size": len(await file.read())}

    @router.post("/v1/raw")
    async def raw(request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}

    @router.get("/v1/secret")
    async def secret(principal: Principal = Depends(requires("credentials:read"))) -> dict[str, str]:
        return {"id": principal.id}

    return router


@asynccontextmanager
async def client_of(settings, database: Database) -> AsyncGenerator[httpx.AsyncClient]:
    app = create_app(
        settings,
        database,
        title="Probe",
        description="Only here",
        routers=[routes()],
        problems=PROBLEMS,
        max_body=MAX_BODY,
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://probe") as client:
        yield client
    await database.close()


@pytest.fixture
async def client(settings) -> AsyncGenerator[httpx.AsyncClient]:
    """A service whose database is down."""
    async with client_of(settings, Database(settings.database_url.get_secret_value())) as client:
        yield client


@pytest.fixture
async def live(settings, probe_database) -> AsyncGenerator[httpx.AsyncClient]:
    async with client_of(settings, Database(probe_database.url)) as client:
        yield client


def problem(answer: httpx.Response, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["type"] == f"https://cairn.localhost/errors/{code}"
    assert body["title"]
    assert body["instance"] == answer.request.url.path
    return body


async def test_a_domain_error_names_the_field_and_the_fix(client) -> None:
    body = problem(await client.post("/v1/notes", json={"title": "taken"}), 409, "title-taken")
    assert body["title"] == "Another note has this title"
    assert body["errors"] == [
        {"field": "/title", "detail": "There is a note with this title.", "fix": "Choose another title."}
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"title": "a", "title": "b"}', "/title"),
        (b'{"title": "a", "grades": [{"score": 1}, {"score": 0, "score": 1}]}', "/grades/1/score"),
        (b'{"title": "a", "tags": {"a/b": {"x": 1, "y": 2, "x": 1}}}', "/tags/a~1b/x"),
        (b'{"title": "a", "grades": [{"score": NaN}]}', ""),
        (b'{"title": "\\ud800"}', ""),
        ('{"title": "a"}'.encode("utf-16"), ""),
        (b'{"title": "a", "shape": {"kind": "a\\u0000"}}', "/shape/kind"),
        (b'{"title": "a", "tags": [1, {"\\u0000": 1}]}', "/tags/1"),
        (b'{"title": "\xff"}', ""),
    ],
)
async def test_what_readers_of_json_understand_differently_is_refused(client, body: bytes, field: str) -> None:
    headers = {"Content-Type": "application/json"}
    refused = problem(await client.post("/v1/notes", content=body, headers=headers), 422, "malformed")
    assert [fault["field"] for fault in refused["errors"]] == [field]
    assert refused["errors"][0]["fix"]


def test_a_number_that_python_does_not_read_is_refused() -> None:
    with pytest.raises(DomainError, match="too many digits"):
        read_strictly(b'{"score": ' + b"9" * 5000 + b"}")


async def test_several_faults_are_told_together(client) -> None:
    body = problem(await client.post("/v1/notes", json={"title": "two"}), 409, "title-taken")
    assert body["errors"] == [
        {"field": "/a", "detail": "one", "fix": "mend a"},
        {"field": "/b", "detail": "two", "fix": "mend b"},
    ]


async def test_a_malformed_payload_is_422_with_every_field_as_a_json_pointer(client) -> None:
    answer = await client.post("/v1/notes", json={"grades": [{"score": 0.5}, {"score": 2, "a/b~c": 1}]})
    faults = {fault["field"]: fault for fault in problem(answer, 422, "malformed")["errors"]}
    assert set(faults) == {"/title", "/grades/1/score", "/grades/1/a~1b~0c"}
    assert faults["/title"]["fix"] == "Add this field."
    assert faults["/grades/1/a~1b~0c"]["fix"] == "Remove this field, or correct its spelling."


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"shape": {"kind": "circle", "colour": "red"}}, {"/shape/radius", "/shape/colour"}),
        ({"shape": {"kind": "star"}}, {"/shape/kind"}),
        ({"shape": {}}, {"/shape/kind"}),
        ({"shape": 5}, {"/shape"}),
        ({"tags": [1, "a"]}, {"/tags", "/tags/1"}),
        ({"tags": {"a": 1}}, {"/tags"}),
    ],
)
async def test_a_pointer_leads_into_the_payload_through_a_union_too(client, change, faults) -> None:
    """pydantic puts the member that it tried into the path, where a caller has nothing of that name."""
    answer = await client.post("/v1/notes", json={"title": "a", **change})
    assert {fault["field"] for fault in problem(answer, 422, "malformed")["errors"]} == faults


async def test_a_payload_that_is_missing_is_said_to_be_so(client) -> None:
    (fault,) = problem(await client.post("/v1/notes"), 422, "malformed")["errors"]
    assert (fault["field"], fault["detail"]) == ("", "The payload is missing.")


async def test_what_is_not_json_is_said_to_be_so(client) -> None:
    answer = await client.post("/v1/notes", content=b'{"title": }', headers={"content-type": "application/json"})
    (fault,) = problem(answer, 422, "malformed")["errors"]
    assert fault["field"] == ""
    assert "not JSON" in fault["detail"]
    assert "character 10" in fault["detail"]


async def test_a_fault_outside_of_the_body_says_where(client) -> None:
    (fault,) = problem(await client.get("/v1/notes/a?limit=x"), 422, "malformed")["errors"]
    assert fault["field"] == "/query/limit"


async def test_frameworks_own_refusals_are_problem_documents_too(client) -> None:
    for path in ("/nowhere", "/v1/notes/"):
        assert "/docs" in problem(await client.get(path), 404, "not-found")["fix"]
    answer = await client.delete("/v1/notes")
    assert problem(answer, 405, "method-not-allowed")["fix"] == "Use GET, POST."
    assert answer.headers["allow"] == "GET, POST"


async def test_an_unforeseen_failure_says_nothing_of_its_cause(client) -> None:
    answer = await client.post("/v1/notes", json={"title": "broken"})
    problem(answer, 500, "internal")
    assert "canary-4711" not in answer.text


async def test_the_trace_goes_on_in_the_problem_document(client, monkeypatch) -> None:
    monkeypatch.setattr(app_module, "_tracer", TracerProvider().get_tracer("test"))
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = await client.get("/nowhere", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert problem(answer, 404, "not-found")["traceId"] == trace


async def test_a_route_with_a_scope_asks_for_a_token(client, signing_key) -> None:
    answer = await client.get("/v1/secret")
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    problem(await client.get("/v1/secret", headers={"Authorization": "Basic eDp5"}), 401, "unauthenticated")
    problem(await client.get("/v1/secret", headers={"Authorization": "Bearer nonsense"}), 401, "unauthenticated")
    weak = mint(signing_key, "lms", "north", ["credentials:write"])
    body = problem(await client.get("/v1/secret", headers={"Authorization": f"Bearer {weak}"}), 403, "forbidden")
    assert "credentials:read" in body["fix"]
    good = mint(signing_key, "lms", "north", ["credentials:read"])
    assert (await client.get("/v1/secret", headers={"Authorization": f"Bearer {good}"})).json() == {"id": "lms"}


class TestS20:
    """The body is capped before it is parsed, by what it says of its length and by what it has."""

    async def chunks(self, head: bytes = b"") -> AsyncGenerator[bytes]:
        yield head
        for _ in range(50):
            yield b" " * 100

    async def test_s20_a_declared_length_over_the_cap_is_refused(self, client) -> None:
        answer = await client.post("/v1/raw", content=b"x" * (MAX_BODY + 1))
        assert "1000 bytes" in problem(answer, 413, "payload-too-large")["detail"]
        assert (await client.post("/v1/raw", content=b"x" * MAX_BODY)).json() == {"size": MAX_BODY}

        async def unread() -> AsyncGenerator[bytes]:
            raise AssertionError("it was read")
            yield

        answer = await client.post("/v1/raw", content=unread(), headers={"content-length": str(MAX_BODY + 1)})
        problem(answer, 413, "payload-too-large")

    @pytest.mark.parametrize("path", ["/v1/raw", "/v1/notes", "/v1/files"])
    async def test_s20_a_chunked_body_over_the_cap_is_refused(self, client, path: str) -> None:
        types = {"/v1/notes": "application/json", "/v1/files": "multipart/form-data; boundary=b"}
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' if "files" in path else b""
        answer = await client.post(
            path, content=self.chunks(head), headers={"content-type": types.get(path, "text/plain")}
        )
        assert problem(answer, 413, "payload-too-large")["fix"]

    async def test_s20_a_body_that_lies_about_its_length_is_cut_off(self, settings) -> None:
        received = 0

        async def receive() -> dict:
            nonlocal received
            received += 100
            return {"type": "http.request", "body": b"x" * 100, "more_body": True}

        sent: list[dict] = []

        async def send(message) -> None:
            sent.append(message)

        database = Database(settings.database_url.get_secret_value())
        app = create_app(
            settings,
            database,
            title="Probe",
            description="",
            routers=[routes()],
            problems=PROBLEMS,
            max_body=MAX_BODY,
        )
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/v1/raw",
            "raw_path": b"/v1/raw",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"probe"), (b"content-length", b"10")],
            "client": ("127.0.0.1", 1),
            "server": ("probe", 80),
        }
        await app(scope, receive, send)
        assert sent[0]["status"] == 413
        assert received == MAX_BODY + 100

    async def test_s20_json_nested_without_end_is_refused(self, settings) -> None:
        database = Database(settings.database_url.get_secret_value())
        app = create_app(
            settings, database, title="Probe", description="", routers=[routes()], problems=PROBLEMS, max_body=10**6
        )
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://probe") as client:
            answer = await client.post(
                "/v1/notes", content=b"[" * 400_000, headers={"content-type": "application/json"}
            )
        assert answer.status_code in {400, 422}


async def test_behind_a_gateway_that_strips_a_prefix_the_pages_link_with_it(client) -> None:
    headers = {"X-Forwarded-Prefix": "/issuance"}
    assert "/issuance/openapi.json" in (await client.get("/docs", headers=headers)).text
    assert (await client.get("/openapi.json", headers=headers)).json()["servers"] == [{"url": "/issuance"}]
    assert "servers" not in (await client.get("/openapi.json")).json()
    for odd in ("//evil.example", "/<script>", "https://evil.example", "/a/../b"):
        assert odd not in (await client.get("/docs", headers={"X-Forwarded-Prefix": odd})).text


async def test_s19_the_page_of_an_api_has_no_script_and_loads_nothing(client) -> None:
    answer = await client.get("/docs")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<b>POST</b> <code>/v1/notes</code>" in answer.text
    for outward in ("<script", "src=", "http://", "https://"):
        assert outward not in answer.text


async def test_livez_answers_with_the_database_down(client) -> None:
    assert (await client.get("/livez")).json() == {"status": "ok"}
    assert "cairn_http_requests_total" in (await client.get("/metrics")).text


async def test_readyz_says_no_with_the_database_down(client) -> None:
    answer = await client.get("/readyz")
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "2"


async def test_r5_without_a_database_the_answer_is_503_with_retry_after(client) -> None:
    answer = await client.get("/v1/notes/a")
    body = problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "2"
    assert "Nothing was done" in body["detail"]


async def test_r5_postgresql_stops_under_load_and_comes_back(settings, tmp_path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres").start()
    try:
        made = server.cluster.service("probe")
        await asyncio.to_thread(migrate, "probe", made.owner_url, role=made.role)
        async with client_of(settings, Database(made.url, pool=4)) as client:
            statuses: list[int] = []
            asking = True

            async def ask() -> None:
                while asking:
                    answer = await client.get("/v1/notes/a")
                    statuses.append(answer.status_code)
                    if answer.status_code == 503:
                        assert answer.headers["retry-after"] == "2"
                    await asyncio.sleep(0.005)

            clients = [asyncio.create_task(ask()) for _ in range(8)]
            await asyncio.sleep(0.2)
            await asyncio.to_thread(server.stop, immediate=True)
            await asyncio.sleep(0.2)
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.get("/livez")).status_code == 200
            await asyncio.to_thread(server.start)
            started = time.monotonic()
            while (await client.get("/readyz")).status_code != 200:
                assert time.monotonic() - started < 10
                await asyncio.sleep(0.05)
            asking = False
            await asyncio.gather(*clients)
            assert set(statuses) == {404, 503}
            assert (await client.get("/v1/notes/a")).status_code == 404
    finally:
        server.stop(immediate=True)
        destroy(tmp_path / "postgres")


async def test_r6_a_storm_of_clients_opens_no_more_connections(settings, probe_database, postgres_server) -> None:
    database = Database(probe_database.url, pool=3)
    opened: list[object] = []
    event.listen(database.engine.sync_engine, "connect", lambda connection, _: opened.append(connection))
    async with client_of(settings, database) as client:
        answers = await asyncio.gather(*(client.get("/v1/notes/a") for _ in range(100)))
        assert {answer.status_code for answer in answers} == {404}
        assert 0 < len(opened) <= 3
        assert database.engine.pool.checkedin() <= 3
        count = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{probe_database.name}'"
        assert int(await asyncio.to_thread(postgres_server.run, count)) <= 3


async def test_a_nul_in_a_text_is_the_callers_fault(live) -> None:
    assert "NUL" in problem(await live.get("/v1/notes/a%00b"), 422, "malformed")["detail"]


async def test_another_query_fault_is_ours(settings, postgres_server) -> None:
    empty = postgres_server.fresh("probe")  # no tables at all
    async with client_of(settings, Database(empty.url)) as client:
        answer = await client.get("/v1/notes/a")
        problem(answer, 500, "internal")
        assert "notes" not in answer.json()["detail"]


def test_every_route_is_in_the_openapi_document(settings) -> None:
    app: FastAPI = create_app(
        settings,
        Database(settings.database_url.get_secret_value()),
        title="Probe",
        description="Only here",
        routers=[routes()],
        problems=PROBLEMS,
    )
    assert {"/v1/notes", "/v1/secret", "/livez", "/readyz", "/metrics"} <= set(
        json.loads(json.dumps(app.openapi()))["paths"]
    )


def test_common_codes_are_4xx_or_5xx_and_only_a_malformed_payload_is_422() -> None:
    assert all(400 <= found.status < 600 for found in COMMON.values())
    assert [code for code, found in COMMON.items() if found.status == 422] == ["malformed"]


class TestR15:
    """Load is shed before memory grows, and no tenant takes a process to itself."""

    def app(self, settings, **limits: float) -> FastAPI:
        database = Database(settings.database_url.get_secret_value())
        return create_app(
            settings, database, title="Probe", description="", routers=[routes()], problems=PROBLEMS, **limits
        )

    async def test_r15_what_is_in_hand_has_a_bound_however_many_send_it(self, settings) -> None:
        """Eight send 100 kB each, where there is room for 300 kB; none goes on until all have sent what they may."""
        app = self.app(settings, max_in_hand=300_000)
        go_on = asyncio.Event()

        async def body() -> AsyncGenerator[bytes]:
            for _ in range(100):
                yield b"x" * 1000
            await go_on.wait()

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://probe") as client:
            asking = [asyncio.create_task(client.post("/v1/raw", content=body())) for _ in range(8)]
            await asyncio.sleep(0.1)
            go_on.set()
            answers = await asyncio.gather(*asking)
            taken = [answer for answer in answers if answer.status_code == 200]
            assert 1 <= len(taken) <= 3
            for answer in answers:
                if answer not in taken:
                    problem(answer, 429, "overloaded")
                    assert int(answer.headers["retry-after"]) >= 1
            # A length that is declared is refused unread, and what was answered gives its room back.
            assert (await client.post("/v1/raw", content=b"x" * 300_001)).status_code == 429
            assert (await client.post("/v1/raw", content=b"x" * 300_000)).json() == {"size": 300_000}

    async def test_r15_requests_beyond_the_bound_are_told_when_to_come_again(self, settings) -> None:
        app = self.app(settings, max_requests=2)
        go_on = asyncio.Event()

        async def body() -> AsyncGenerator[bytes]:
            yield b"x"
            await go_on.wait()

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://probe") as client:
            asking = [asyncio.create_task(client.post("/v1/raw", content=body())) for _ in range(2)]
            await asyncio.sleep(0.1)
            refused = await client.post("/v1/raw", content=b"x")
            problem(refused, 429, "overloaded")
            assert int(refused.headers["retry-after"]) >= 1
            # Whoever may end the process, or look at why it is slow, must not be told that it is full.
            for path in ("/livez", "/metrics"):
                assert (await client.get(path)).status_code == 200
            go_on.set()
            assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}
            assert (await client.post("/v1/raw", content=b"x")).json() == {"size": 1}

    async def test_a_body_that_drips_is_cut_off(self, settings) -> None:
        async def body() -> AsyncGenerator[bytes]:
            while True:
                yield b"x"
                await asyncio.sleep(0.05)

        transport = httpx.ASGITransport(self.app(settings, body_seconds=0.3))
        async with httpx.AsyncClient(transport=transport, base_url="http://probe") as client:
            problem(await client.post("/v1/raw", content=body()), 408, "request-timeout")

    async def test_r15_one_tenant_waits_for_itself_and_not_the_others_for_it(self) -> None:
        share = FairShare(2, waiting=3, seconds=0.3)
        leave = asyncio.Event()

        async def work(tenant: str) -> str:
            async with share.of(tenant):
                await leave.wait()
                return tenant

        north = [asyncio.create_task(work("north")) for _ in range(6)]
        await asyncio.sleep(0)
        async with asyncio.timeout(0.1), share.of("harbour"):
            pass
        outcomes = await asyncio.gather(*north[2:], return_exceptions=True)
        assert [getattr(outcome, "code", "") for outcome in outcomes] == ["overloaded"] * 4
        leave.set()
        assert await asyncio.gather(*north[:2]) == ["north"] * 2
        async with share.of("north"):
            pass
