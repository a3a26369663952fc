"""What holds of every cryptosuite with every key that fits it, whatever is signed and whatever is disclosed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.credentials import (
    CheckName,
    DocumentRefused,
    LocalSigner,
    Outcome,
    Policy,
    add_proof,
    build_credential,
    derive,
    local_signer,
    sign,
    verify,
)

from .conftest import CREATED, NOW, Files, make_draft

KEYS = {"EdDSA": bytes(range(32)), "ES256": bytes(range(1, 33)), "ES384": bytes(range(1, 49))}
PAIRS = [
    ("eddsa-rdfc-2022", "EdDSA"),
    ("eddsa-jcs-2022", "EdDSA"),
    ("ecdsa-rdfc-2019", "ES256"),
    ("ecdsa-rdfc-2019", "ES384"),
    ("ecdsa-jcs-2019", "ES256"),
    ("ecdsa-jcs-2019", "ES384"),
    ("ecdsa-sd-2023", "ES256"),
]
POLICY = Policy(at=NOW, checks=(CheckName.PROOF, CheckName.ISSUER))
ORDERED = "/allowedValue/"
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=12)


def signer_for(algorithm: Any) -> LocalSigner:
    return local_signer(algorithm, KEYS[algorithm])


def secured(cryptosuite: Any, algorithm: str, **changes: Any) -> dict[str, Any]:
    """A credential as a verifier is shown it: of a base proof, all of it is disclosed."""
    signer = signer_for(algorithm)
    signed = sign(build_credential(make_draft(signer.did)) | changes, signer, created=CREATED, cryptosuite=cryptosuite)
    return derive(signed, [""]) if cryptosuite == "ecdsa-sd-2023" else signed


def places(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Every JSON pointer into a document, with what is there."""
    for key, member in value.items() if isinstance(value, dict) else enumerate(value):
        here = f"{pointer}/{key}"
        yield here, member
        if isinstance(member, dict | list):
            yield from places(member, here)


def replaced(document: dict[str, Any], pointer: str, value: Any) -> dict[str, Any]:
    changed = inner = copy.deepcopy(document)
    *parents, last = pointer.split("/")[1:]
    for step in parents:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    inner[int(last) if isinstance(inner, list) else last] = value
    return changed


DOCUMENT = build_credential(make_draft(signer_for("ES256").did))
BASE = sign(DOCUMENT, signer_for("ES256"), created=CREATED, cryptosuite="ecdsa-sd-2023")
POINTERS = [pointer for pointer, _ in places(DOCUMENT) if not pointer.startswith("/@context")]


@pytest.mark.parametrize(("cryptosuite", "algorithm"), PAIRS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=TEXT, description=TEXT)
async def test_what_is_signed_verifies(cryptosuite: str, algorithm: str, name: str, description: str) -> None:
    found = await verify(secured(cryptosuite, algorithm, name=name, description=description), Files(), POLICY)
    assert found.verified, found.to_json()


@pytest.mark.parametrize(("cryptosuite", "algorithm"), PAIRS[2:])
async def test_s01_every_changed_leaf_is_caught(cryptosuite: str, algorithm: str) -> None:
    """The EdDSA suites, with more ways to change a leaf, are in the tests of row S1."""
    good = secured(cryptosuite, algorithm)
    assert (await verify(good, Files(), POLICY)).verified
    leaves = [(pointer, value) for pointer, value in places(good) if not isinstance(value, dict | list)]
    assert len(leaves) > 100
    for pointer, value in leaves:
        changed = not value if isinstance(value, bool) else value + 1 if isinstance(value, int | float) else f"{value}x"
        for other in (changed, None):
            found = await verify(replaced(good, pointer, other), Files(), POLICY)
            assert not found.verified, (pointer, other)


@pytest.mark.parametrize(("cryptosuite", "algorithm"), PAIRS)
async def test_s01_every_member_that_is_taken_away_is_missed(cryptosuite: str, algorithm: str) -> None:
    good = secured(cryptosuite, algorithm)
    for pointer, value in list(places(good)):
        if pointer.startswith("/@context") or not isinstance(value, str | int | float | bool):
            continue
        changed = copy.deepcopy(good)
        inner: Any = changed
        *parents, last = pointer.split("/")[1:]
        for step in parents:
            inner = inner[int(step)] if isinstance(inner, list) else inner[step]
        del inner[int(last) if isinstance(inner, list) else last]
        assert not (await verify(changed, Files(), POLICY)).verified, pointer


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(POINTERS), max_size=6))
async def test_any_part_of_a_credential_can_be_shown_and_says_no_more(pointers: list[str]) -> None:
    try:
        shown = derive(BASE, pointers)
    except DocumentRefused:
        assert any(ORDERED in pointer for pointer in pointers), "only a part of an ordered list cannot be shown"
        return
    found = await verify(shown, Files(), POLICY)
    assert found.verified, (pointers, found.to_json())
    told = {repr(value) for _, value in places(DOCUMENT) if not isinstance(value, dict | list)}
    said = {repr(value) for pointer, value in places(shown) if not isinstance(value, dict | list | type(None))}
    assert said - told <= {repr(value) for value in shown["proof"].values()}
    # Whatever is added to what was shown is caught, be it true of the whole.
    for name in DOCUMENT.keys() - shown.keys():
        assert not (await verify(shown | {name: DOCUMENT[name]}, Files(), POLICY)).verified, name


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(PAIRS[:6]), min_size=1, max_size=4), st.booleans())
async def test_sets_and_chains_of_any_suites_verify(pairs: list[tuple[Any, str]], chained: bool) -> None:
    document: dict[str, Any] = build_credential(make_draft(signer_for("EdDSA").did))
    document = add_proof(document, signer_for("EdDSA"), created=CREATED, proof_id="urn:uuid:0")
    for number, (cryptosuite, algorithm) in enumerate(pairs, start=1):
        document = add_proof(
            document,
            signer_for(algorithm),
            created=CREATED,
            cryptosuite=cryptosuite,
            proof_id=f"urn:uuid:{number}",
            previous=f"urn:uuid:{number - 1}" if chained else None,
        )
    found = await verify(document, Files(), POLICY)
    assert found.checks[CheckName.PROOF].outcome is Outcome.PASSED, found.to_json()
    assert found.verified


async def test_s01_what_follows_the_proof_is_not_left_out() -> None:
    whole = secured("eddsa-rdfc-2022", "EdDSA", validUntil="2027-01-01T00:00:00Z")
    late = {name: whole[name] for name in whole if name != "validUntil"} | {"validUntil": "2099-01-01T00:00:00Z"}
    for _ in range(9):
        assert (await verify(json.dumps(whole), Files(), POLICY)).verified
        for text in (json.dumps(late).encode(), orjson.dumps(late)):
            assert (await verify(text, Files(), POLICY)).checks[CheckName.PROOF].code == "signature-invalid"
