"""VC JSON Schema: what a credential says of its schema is held to, from the bundle, and never fetched."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files as package_files
from typing import Any

import pytest

from cairn.credentials import CheckName, Ed25519Signer, Outcome, Policy, build_credential, sign, verify
from cairn.credentials.schema_check import ACHIEVEMENT_SCHEMA, CLR_SCHEMA, against_schemas

from .conftest import CREATED, Files, make_draft


def _digest(name: str) -> str:
    data = (package_files("cairn.credentials") / "schemas" / "ob_v3p0_achievementcredential_schema.json").read_bytes()
    return f"{name}-{base64.b64encode(hashlib.new(name, data).digest()).decode()}"


KNOWN = {"id": ACHIEVEMENT_SCHEMA, "type": "JsonSchema"}


@pytest.mark.parametrize(
    ("schema", "outcome", "code"),
    [
        # §2.1: "type … MUST be JsonSchema"; "id … MUST be a URL that identifies the schema".
        (KNOWN, Outcome.PASSED, "schema-valid"),
        ([KNOWN, KNOWN], Outcome.PASSED, "schema-valid"),
        ({"type": "JsonSchema"}, Outcome.FAILED, "id-malformed"),
        ({"id": ACHIEVEMENT_SCHEMA}, Outcome.FAILED, "type-missing"),
        # §3: "the schema … could not be retrieved": neither valid nor invalid.
        ({"id": "https://uni.example/schema.json", "type": "JsonSchema"}, Outcome.UNDETERMINED, "schema-unknown"),
        ([KNOWN, {"id": "urn:x:1", "type": "JsonSchema"}], Outcome.UNDETERMINED, "schema-unknown"),
        # §2.2: a schema within a credential would have to be fetched; what it says is not known here.
        ({"id": ACHIEVEMENT_SCHEMA, "type": "JsonSchemaCredential"}, Outcome.UNDETERMINED, "schema-unknown"),
        # VC data model 2.0 §5.3: "digestSRI … MUST match".
        (KNOWN | {"digestSRI": _digest("sha384")}, Outcome.PASSED, "schema-valid"),
        (KNOWN | {"digestSRI": _digest("sha256")}, Outcome.PASSED, "schema-valid"),
        (KNOWN | {"digestSRI": f"{_digest('sha256')} sha512-AAAA"}, Outcome.FAILED, "schema-digest"),
        (KNOWN | {"digestSRI": "sha384-AAAA"}, Outcome.FAILED, "schema-digest"),
        (KNOWN | {"digestSRI": "md5-AAAA"}, Outcome.FAILED, "schema-digest"),
        # What it names, it follows, be it the schema of its kind or not.
        ([KNOWN, {"id": CLR_SCHEMA, "type": "JsonSchema"}], Outcome.FAILED, "schema-violated"),
    ],
)
async def test_a_named_schema_is_held_to(
    signer: Ed25519Signer, policy: Policy, schema: Any, outcome: Outcome, code: str
) -> None:
    document = build_credential(make_draft(signer.did)) | {"credentialSchema": schema}
    files = Files()
    if code in {"id-malformed", "type-missing"}:
        findings = [one.code for one in (await verify(document | {"proof": {}}, files, policy)).checks.values()]
        assert code in findings
        return
    found = await verify(sign(document, signer, created=CREATED), files, policy)
    check = found.checks[CheckName.SCHEMA]
    assert (check.outcome, check.code) == (outcome, code), check
    assert not [asked for asked in files.asked if not asked.startswith("trust")]


async def test_a_violation_is_told_with_its_place(signer: Ed25519Signer, policy: Policy) -> None:
    """§3.1: "If the validation fails … the result is failure"."""
    document = build_credential(make_draft(signer.did))
    del document["credentialSubject"]["achievement"]["criteria"]
    found = await verify(sign(document, signer, created=CREATED), Files(), policy)
    check = found.checks[CheckName.SCHEMA]
    assert (check.outcome, check.code, check.pointer) == (
        Outcome.FAILED,
        "schema-violated",
        "/credentialSubject/achievement",
    )


async def test_a_schema_that_was_not_named_does_not_condemn(signer: Ed25519Signer, policy: Policy) -> None:
    document = build_credential(make_draft(signer.did))
    del document["credentialSchema"], document["credentialSubject"]["achievement"]["criteria"]
    found = await verify(sign(document, signer, created=CREATED), Files(), policy)
    check = found.checks[CheckName.SCHEMA]
    assert (check.outcome, check.code) == (Outcome.SKIPPED, "schema-undeclared")


@pytest.mark.parametrize("entries", [[None], ["x"], [7], [{"id": 7, "type": 7}], [{}] * 50, [KNOWN] * 50])
def test_anything_may_stand_where_a_schema_is_named(entries: list[Any]) -> None:
    against_schemas({"credentialSchema": entries, "credentialSubject": {"verifiableCredential": [entries, 1]}})
