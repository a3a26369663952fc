"""`/v1/completions`: intake from an LMS, and the receipts to poll."""

from __future__ import annotations

import codecs
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import ValidationError

from cairn.common.auth import Principal, requires
from cairn.common.events.models import Instant
from cairn.common.idempotency import Answer, Idempotency
from cairn.common.problem import DomainError, Fault, faults_of
from cairn.common.refusals import refuses
from cairn.credentials import JsonRefused, parse_json
from cairn.issuance.deps import Deps
from cairn.issuance.domain.model import Completion, Model
from cairn.issuance.http.shared import deps_of
from cairn.issuance.use_cases import completions
from cairn.issuance.use_cases.completions import Line

router = APIRouter(prefix="/v1", tags=["completions"])

MAX_LINES = 10_000


class FaultShown(Model):
    """What is wrong, where (a JSON pointer into the line), and how to mend it."""

    field: str
    detail: str
    fix: str = ""


class Rejected(Model):
    line: int
    code: str
    errors: tuple[FaultShown, ...]


class Accepted(Model):
    """The answer to a post: `accepted` lines are durable; each rejected one says why."""

    id: UUID
    lines: int
    accepted: int
    rejected: tuple[Rejected, ...] = ()


class LineShown(Model):
    """`state`: pending, signing, issued, or failed (with `reason`)."""

    line: int
    completion: UUID
    state: Literal["pending", "signing", "issued", "failed"]
    credential: str | None = None
    reason: str | None = None


class Receipt(Model):
    """What has become of a post. `status` is done once every accepted line is issued or failed."""

    id: UUID
    status: Literal["working", "done"]
    received_at: Instant
    lines: int
    issued: int
    pending: int
    failed: int
    outcomes: tuple[LineShown, ...]
    rejected: tuple[Rejected, ...]


_BODIES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": Completion.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
            },
            "application/x-ndjson": {
                "schema": {"type": "string", "description": f"Up to {MAX_LINES} completions, one a line."}
            },
        },
    },
    **refuses(
        "completion-impossible",
        "achievement-unknown",
        "achievement-retired",
        "learner-unknown",
        "completion-changed",
        "learner-erased",
        "too-many-lines",
        "unsupported-media-type",
        "backlog-full",
    ),
}


@router.post(
    "/completions", status_code=202, summary="Post completions", response_model=Accepted, openapi_extra=_BODIES
)
async def post(
    request: Request,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("completions:write"))],
    idempotency_key: Annotated[str | None, Header(description="The same post under the same key is done once.")] = None,
) -> Response:
    """One completion as JSON, or many as NDJSON, each line by itself. Answers once they are durable."""
    media = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    async with completions.admitted(deps, principal):
        body = await request.body()
        lines = _lines(media, body)
        idempotency = Idempotency(deps.vault, principal, "POST /v1/completions", idempotency_key, body)
        done = await completions.record(deps, principal, lines, idempotency, single=media == "application/json")
    answer = done if isinstance(done, Answer) else completions.answer_of(done)
    return Response(answer.body, answer.status, dict(answer.headers), "application/json")


@router.get("/receipts/{receipt}", summary="Read a receipt")
async def receipt(
    receipt: UUID,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("completions:read"))],
) -> Receipt:
    """Poll this until `status` is done."""
    row, rows = await completions.receipt(deps, principal, receipt)
    outcomes = tuple(
        LineShown(
            line=line["line"],
            completion=line["completion_id"],
            state=_state(line["completion"], line["state"]),
            credential=line["credential"],
            reason=line["reason"],
        )
        for line in rows
    )
    count = {state: sum(outcome.state == state for outcome in outcomes) for state in ("issued", "failed")}
    pending = len(outcomes) - count["issued"] - count["failed"]
    return Receipt(
        id=row["id"],
        status="working" if pending else "done",
        received_at=row["received_at"],
        lines=row["lines"],
        issued=count["issued"],
        pending=pending,
        failed=count["failed"],
        outcomes=outcomes,
        rejected=tuple(Rejected.model_validate(entry) for entry in row["rejected"]),
    )


def _state(completion: str, credential: str | None) -> Literal["pending", "signing", "issued", "failed"]:
    if completion == "failed" or credential == "abandoned":
        return "failed"
    if credential == "issued":
        return "issued"
    return "signing" if credential == "intended" else "pending"


def _lines(media: str, body: bytes) -> list[Line]:
    """Raises DomainError for a body that is refused as a whole. A byte order mark before it, as some tools write, is
    passed over."""
    body = body.removeprefix(codecs.BOM_UTF8)
    if media == "application/json":
        lines = [_line(1, body)]
        if lines[0].faults:
            raise DomainError("The completion was refused.", code="malformed", faults=lines[0].faults)
    elif media in {"application/x-ndjson", "application/ndjson", "application/jsonl"}:
        lines = [_line(number, text) for number, text in enumerate(body.split(b"\n"), 1) if text.strip()]
        if not lines:
            raise DomainError("There is no line in the body.", code="malformed", fix="Send one JSON object a line.")
        if len(lines) > MAX_LINES:
            raise DomainError(
                f"{len(lines)} lines are too many.", code="too-many-lines", fix=f"Send at most {MAX_LINES} a post."
            )
    else:
        raise DomainError(
            f"{media} is not understood here.",
            code="unsupported-media-type",
            fix="Send application/json or application/x-ndjson.",
        )
    return lines


def _line(number: int, text: bytes) -> Line:
    try:
        # Not an ordinary parser: those let the last of two equal keys win without a word.
        parsed = parse_json(text)
    except JsonRefused as refusal:
        return Line(number, None, (Fault("", f"The JSON was refused: {refusal.detail}.", "Send one JSON object."),))
    try:
        return Line(number, Completion.model_validate(parsed))
    except ValidationError as error:
        return Line(number, None, tuple(faults_of(error.errors(include_input=False))))
