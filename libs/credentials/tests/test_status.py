"""Bitstring Status List 1.0."""

from __future__ import annotations

import gzip
import json
from base64 import urlsafe_b64encode
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.credentials import (
    MINIMUM_ENTRIES,
    Bitstring,
    CheckName,
    Ed25519Signer,
    Outcome,
    Policy,
    StatusEntry,
    StatusListRefused,
    build_status_list,
    decode_list,
    encode_list,
    sign,
    verify,
)
from cairn.credentials.status import ttl_of

from .conftest import CREATED, NOW, SHARED, Files, Issue

LIST_URL = "https://uni.example/status/1"


@given(st.sets(st.integers(0, MINIMUM_ENTRIES - 1), max_size=20))
def test_a_list_round_trips(indices: set[int]) -> None:
    bits = Bitstring()
    for index in indices:
        bits[index] = True
    again = decode_list(encode_list(bits))
    assert again == bits
    assert all(again[index] for index in indices)
    assert sum(byte.bit_count() for byte in again.to_bytes()) == len(indices)
    for index in indices:
        again[index] = False
    assert again == Bitstring()


def test_index_0_is_the_leftmost_bit() -> None:
    bits = Bitstring()
    bits[0] = bits[15] = True
    assert bits.to_bytes()[:2] == b"\x80\x01"


def test_an_index_outside_is_an_error() -> None:
    for index in (-1, MINIMUM_ENTRIES):
        with pytest.raises(IndexError):
            Bitstring()[index]
    with pytest.raises(ValueError, match="131072"):
        Bitstring(8)


def test_the_recommendations_example_decodes() -> None:
    if SHARED.is_dir():
        example = json.loads((SHARED / "w3c/bitstring-status-list/spec-example.json").read_text())
        bits = decode_list(example["encodedList"])
        assert bits.to_bytes() == bytes(example["expect"]["bytes"])
    assert decode_list(encode_list(Bitstring())) == Bitstring()


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "u",
        "zabc",
        "H4sIAAAA",
        "u!!!",
        "uAAAA",
        "u" + urlsafe_b64encode(gzip.compress(bytes(16384), mtime=0)[:-4]).rstrip(b"=").decode(),
        "u" + urlsafe_b64encode(gzip.compress(bytes(16384), mtime=0) + b"tail").rstrip(b"=").decode(),
        "u" + urlsafe_b64encode(gzip.compress(bytes(16384), mtime=0) * 2).rstrip(b"=").decode(),
    ],
)
def test_what_is_not_one_gzip_member_is_refused(encoded: str) -> None:
    with pytest.raises(StatusListRefused):
        decode_list(encoded)


@pytest.mark.parametrize(
    ("purpose", "is_set", "outcome", "code"),
    [
        ("revocation", False, Outcome.PASSED, "not-revoked"),
        ("revocation", True, Outcome.FAILED, "revoked"),
        ("suspension", True, Outcome.FAILED, "suspended"),
        ("refresh", True, Outcome.PASSED, "refresh-available"),
        ("message", True, Outcome.UNDETERMINED, "unsupported"),
    ],
)
async def test_a_bit_means_its_purpose(
    issue: Issue, signer: Ed25519Signer, policy: Policy, purpose: str, is_set: bool, outcome: Outcome, code: str
) -> None:
    bits = Bitstring()
    bits[42] = is_set
    document = build_status_list(url=LIST_URL, issuer=signer.did, purpose=purpose, bits=bits, valid_from=CREATED)
    files = Files().serve(LIST_URL, sign(document, signer, created=CREATED))
    found = await verify(issue(status=(StatusEntry(list_url=LIST_URL, index=42, purpose=purpose),)), files, policy)
    check = found.checks[CheckName.STATUS]
    assert (check.outcome, check.code) == (outcome, code)


async def test_a_revocation_outweighs_what_cannot_be_looked_up(
    issue: Issue, signer: Ed25519Signer, policy: Policy
) -> None:
    bits = Bitstring()
    bits[42] = True
    document = build_status_list(url=LIST_URL, issuer=signer.did, purpose="revocation", bits=bits, valid_from=CREATED)
    files = Files().serve(LIST_URL, sign(document, signer, created=CREATED))
    entries = (
        StatusEntry(list_url="https://uni.example/status/gone", index=42, purpose="suspension"),
        StatusEntry(list_url=LIST_URL, index=42),
    )
    found = await verify(issue(status=entries), files, policy)
    assert found.checks[CheckName.STATUS].code == "revoked"
    assert [one.code for one in found.checks[CheckName.STATUS].also] == ["status-unreachable"]


async def test_a_list_past_its_validity_is_undetermined(issue: Issue, signer: Ed25519Signer, policy: Policy) -> None:
    document = build_status_list(
        url=LIST_URL,
        issuer=signer.did,
        purpose="revocation",
        bits=Bitstring(),
        valid_from=CREATED,
        valid_until=NOW - timedelta(days=1),
        ttl=timedelta(minutes=5),
    )
    assert ttl_of(document) == timedelta(minutes=5)
    files = Files().serve(LIST_URL, sign(document, signer, created=CREATED))
    found = await verify(issue(status=(StatusEntry(list_url=LIST_URL, index=42),)), files, policy)
    check = found.checks[CheckName.STATUS]
    assert (check.outcome, check.code) == (Outcome.UNDETERMINED, "status-list-stale")
