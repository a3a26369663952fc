"""Bitstring Status List 1.0, statement by statement; and the two older ways of saying that a credential was revoked."""

from __future__ import annotations

import gzip
import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.credentials import (
    MINIMUM_ENTRIES,
    Bitstring,
    CheckName,
    CredentialError,
    Ed25519Signer,
    Outcome,
    Policy,
    StatusEntry,
    StatusListRefused,
    build_credential,
    build_status_list,
    decode_list,
    encode_list,
    sign,
    verify,
)
from cairn.credentials.status import ttl_of

from .conftest import CREATED, NOW, SHARED, Files, Issue, make_draft

LIST_URL = "https://uni.example/status/1"
FOUR = [{"status": hex(value), "message": word} for value, word in enumerate(("open", "seen", "yes", "no"))]


def entry(**changes: Any) -> dict[str, Any]:
    body = {
        "id": f"{LIST_URL}#42",
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": "42",
        "statusListCredential": LIST_URL,
    }
    return {key: value for key, value in (body | changes).items() if value is not None}


def with_entry(signer: Ed25519Signer, status: Any) -> dict[str, Any]:
    unsigned = build_credential(make_draft(signer.did)) | {"credentialStatus": status}
    return sign(unsigned, signer, created=CREATED)


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
    with pytest.raises(ValueError, match="does not fit"):
        Bitstring(size=2)[0] = 4
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
        ("refresh", False, Outcome.PASSED, "not-refreshed"),
        ("message", True, Outcome.PASSED, "status-message"),
        ("message", False, Outcome.PASSED, "status-message"),
        ("embargo", True, Outcome.UNDETERMINED, "unsupported"),
        ("embargo", False, Outcome.PASSED, "not-set"),
    ],
)
async def test_a_bit_means_its_purpose(
    signer: Ed25519Signer, policy: Policy, purpose: str, is_set: bool, outcome: Outcome, code: str
) -> None:
    bits = Bitstring()
    bits[42] = is_set
    document = build_status_list(url=LIST_URL, issuer=signer.did, purpose=purpose, bits=bits, valid_from=CREATED)
    files = Files().serve(LIST_URL, sign(document, signer, created=CREATED))
    found = await verify(with_entry(signer, entry() | {"statusPurpose": purpose}), files, policy)
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


@given(st.dictionaries(st.integers(0, MINIMUM_ENTRIES - 1), st.integers(0, 7), max_size=20))
def test_the_position_of_a_value_is_its_index_times_the_size(values: dict[int, int]) -> None:
    """§3.3: "The position of the value is computed as statusListIndex times the statusSize"."""
    bits = Bitstring(size=3)
    for index, value in values.items():
        bits[index] = value
    again = decode_list(encode_list(bits), size=3)
    assert again == bits
    assert len(again) == MINIMUM_ENTRIES
    assert {index: again[index] for index in values} == values
    ones = int.from_bytes(bits.to_bytes())
    for index, value in values.items():
        assert ones >> (MINIMUM_ENTRIES * 3 - 3 * (index + 1)) & 7 == value


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": LIST_URL}, "the id of its list"),  # "It MUST NOT be the URL for the status list."
        ({"statusPurpose": None}, "no statusPurpose"),  # "The purpose of the status entry MUST be a string."
        ({"statusListIndex": 42}, "statusListIndex"),  # "expressed as a string in base 10"
        ({"statusListIndex": "-1"}, "statusListIndex"),  # "greater than or equal to 0"
        ({"statusListIndex": "0x2a"}, "statusListIndex"),
        ({"statusListIndex": "042"}, "statusListIndex"),
        ({"statusListCredential": "list 1"}, "statusListCredential"),  # "MUST be a URL to a verifiable credential"
        ({"statusSize": 0}, "statusSize"),  # "statusSize MUST be an integer greater than zero"
        ({"statusSize": "1"}, "statusSize"),
        ({"statusSize": 2}, "no statusMessage"),  # "MUST be present if statusSize is greater than 1"
        ({"statusSize": 2, "statusMessage": FOUR[:3]}, "2 bits have 4 values"),  # "MUST equal the number of possible"
        ({"statusSize": 1, "statusMessage": FOUR}, "1 bits have 2 values"),
        ({"statusSize": 2, "statusMessage": [*FOUR[:3], FOUR[0]]}, "2 bits have 4 values"),
        # "each element MUST contain the two properties": status, "prefixed with 0x", and message.
        ({"statusMessage": [{"status": "0x0"}, {"status": "0x1", "message": "b"}]}, "no hexadecimal status"),
        ({"statusMessage": [{"status": "0", "message": "a"}, FOUR[1]]}, "no hexadecimal status"),
        ({"statusMessage": FOUR[0]}, "no hexadecimal status"),  # "MUST be an array"
        ({"statusReference": "a page"}, "statusReference"),  # "MUST be a URL or an array of URLs"
        ({"statusReference": ["https://uni.example/words", 7]}, "statusReference"),
    ],
)
async def test_a_malformed_entry_is_refused_when_signing_and_fails_when_verifying(
    signer: Ed25519Signer, policy: Policy, changes: dict[str, Any], why: str
) -> None:
    """§3: "a MALFORMED_VALUE_ERROR MUST be raised"."""
    with pytest.raises(CredentialError, match=why) as caught:
        with_entry(signer, entry(**changes))
    assert (caught.value.code, caught.value.pointer) == ("status-entry-malformed", "/credentialStatus")


async def test_a_message_is_read_by_the_words_of_the_credential(signer: Ed25519Signer, policy: Policy) -> None:
    """§3.2: "If the statusPurpose is message, set the message key in result to the corresponding message"."""
    bits = Bitstring(size=2)
    bits[42] = 2
    document = build_status_list(url=LIST_URL, issuer=signer.did, purpose="message", bits=bits, valid_from=CREATED)
    files = Files().serve(LIST_URL, sign(document, signer, created=CREATED))
    status = entry(
        statusPurpose="message",
        statusSize=2,
        statusMessage=FOUR,
        statusReference="https://uni.example/words",
    )
    found = await verify(with_entry(signer, status), files, policy)
    check = found.checks[CheckName.STATUS]
    assert (check.outcome, check.code) == (Outcome.PASSED, "status-message")
    assert check.detail == "the issuer says: yes"
    assert found.verified


async def test_a_list_of_wide_entries_is_long_enough_by_its_entries_not_its_bits(
    signer: Ed25519Signer, policy: Policy
) -> None:
    """§3.2: "If the length of the revocation bitstring divided by statusSize is less than minimumNumberOfEntries"."""
    document = build_status_list(
        url=LIST_URL, issuer=signer.did, purpose="message", bits=Bitstring(), valid_from=CREATED
    )
    files = Files().serve(LIST_URL, sign(document, signer, created=CREATED))
    status = entry(statusPurpose="message", statusSize=2, statusMessage=FOUR)
    found = await verify(with_entry(signer, status), files, policy)
    assert found.checks[CheckName.STATUS].code == "status-list-too-short"


async def test_an_index_of_any_size_is_only_out_of_range(signer: Ed25519Signer, policy: Policy) -> None:
    """§2.1: "an arbitrary size integer"; §3.2: "a RANGE_ERROR MUST be raised"."""
    document = build_status_list(
        url=LIST_URL, issuer=signer.did, purpose="revocation", bits=Bitstring(), valid_from=CREATED
    )
    files = Files().serve(LIST_URL, sign(document, signer, created=CREATED))
    found = await verify(with_entry(signer, entry(statusListIndex=str(10**40))), files, policy)
    check = found.checks[CheckName.STATUS]
    assert (check.outcome, check.code) == (Outcome.FAILED, "status-index-range")


async def test_a_list_may_have_several_purposes(signer: Ed25519Signer, policy: Policy) -> None:
    """§2.2: "statusPurpose MUST be one or more strings"."""
    bits = Bitstring()
    bits[42] = 1
    document = build_status_list(url=LIST_URL, issuer=signer.did, purpose="revocation", bits=bits, valid_from=CREATED)
    document["credentialSubject"]["statusPurpose"] = ["suspension", "revocation"]
    files = Files().serve(LIST_URL, sign(document, signer, created=CREATED))
    found = await verify(with_entry(signer, entry()), files, policy)
    assert found.checks[CheckName.STATUS].code == "revoked"


# StatusList2021 (W3C-CCG draft of 2023): the same list, without the multibase prefix, on VC data model 1.1.


def old_list(signer: Ed25519Signer, bits: Bitstring, **changes: Any) -> dict[str, Any]:
    document = {
        "@context": [
            "https://www.w3.org/2018/credentials/v1",
            "https://w3id.org/vc/status-list/2021/v1",
            "https://w3id.org/security/data-integrity/v2",
        ],
        "id": LIST_URL,
        "type": ["VerifiableCredential", "StatusList2021Credential"],
        "issuer": signer.did,
        "issuanceDate": "2026-01-01T00:00:00Z",
        "credentialSubject": {
            "id": f"{LIST_URL}#list",
            "type": "StatusList2021",
            "statusPurpose": "revocation",
            "encodedList": encode_list(bits)[1:],
        },
    }
    return sign(document | changes, signer, created=CREATED)


def with_old_entry(signer: Ed25519Signer) -> dict[str, Any]:
    unsigned = build_credential(make_draft(signer.did))
    unsigned["@context"].append("https://w3id.org/vc/status-list/2021/v1")
    return sign(unsigned | {"credentialStatus": entry(type="StatusList2021Entry")}, signer, created=CREATED)


@pytest.mark.parametrize(("value", "code"), [(0, "not-revoked"), (1, "revoked")])
async def test_status_list_2021_is_read(signer: Ed25519Signer, policy: Policy, value: int, code: str) -> None:
    bits = Bitstring()
    bits[42] = value
    files = Files().serve(LIST_URL, old_list(signer, bits))
    found = await verify(with_old_entry(signer), files, policy)
    assert found.checks[CheckName.STATUS].code == code, found.checks


async def test_an_old_entry_is_not_answered_by_a_new_list(signer: Ed25519Signer, policy: Policy) -> None:
    document = build_status_list(
        url=LIST_URL, issuer=signer.did, purpose="revocation", bits=Bitstring(), valid_from=CREATED
    )
    files = Files().serve(LIST_URL, sign(document, signer, created=CREATED))
    found = await verify(with_old_entry(signer), files, policy)
    assert found.checks[CheckName.STATUS].code == "status-list-malformed"
    assert not found.verified


# 1EdTech Revocation List Status Method 1.0: "If the credential's id is in the list of revokedCredentials and the value
# of revoked is true or ommitted, the issuer has revoked the credential."

REVOCATIONS = "https://uni.example/revocations"


def revocations(signer: Ed25519Signer, *entries: Any, **changes: Any) -> dict[str, Any]:
    return {
        "id": REVOCATIONS,
        "type": "1EdTechRevocationList",
        "issuer": signer.did,
        "revokedCredential": list(entries),
    } | changes


@pytest.mark.parametrize(
    ("entries", "outcome", "code"),
    [
        ([], Outcome.PASSED, "not-revoked"),
        ([{"id": "urn:uuid:other"}], Outcome.PASSED, "not-revoked"),
        ([{"id": "SELF", "revocationReason": "an error"}], Outcome.FAILED, "revoked"),
        ([{"id": "SELF", "revoked": True}], Outcome.FAILED, "revoked"),
        ([{"id": "SELF", "revoked": False}], Outcome.PASSED, "not-revoked"),
        (["SELF"], Outcome.FAILED, "revoked"),
        ([{"revoked": True}], Outcome.UNDETERMINED, "status-list-malformed"),
    ],
)
async def test_1edtech_revocation_list_is_read(
    signer: Ed25519Signer, policy: Policy, entries: list[Any], outcome: Outcome, code: str
) -> None:
    credential = with_entry(signer, {"id": REVOCATIONS, "type": "1EdTechRevocationList"})
    text = json.dumps(revocations(signer, *entries)).replace("SELF", credential["id"])
    found = await verify(credential, Files().serve(REVOCATIONS, text.encode()), policy)
    check = found.checks[CheckName.STATUS]
    assert (check.outcome, check.code) == (outcome, code)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issuer": "https://other.example/"}, "status-list-issuer"),
        ({"id": "https://uni.example/elsewhere"}, "status-list-other"),
        ({"type": "List"}, "status-list-malformed"),
    ],
)
async def test_s13_a_revocation_list_that_is_not_the_issuers_says_nothing_good(
    signer: Ed25519Signer, policy: Policy, changes: dict[str, Any], code: str
) -> None:
    credential = with_entry(signer, {"id": REVOCATIONS, "type": "1EdTechRevocationList"})
    found = await verify(credential, Files().serve(REVOCATIONS, revocations(signer, **changes)), policy)
    assert found.checks[CheckName.STATUS].code == code
    assert not found.verified


async def test_s12_an_unreachable_revocation_list_is_undetermined(signer: Ed25519Signer, policy: Policy) -> None:
    credential = with_entry(signer, {"id": REVOCATIONS, "type": "1EdTechRevocationList"})
    for files in (Files(), Files().serve(REVOCATIONS, b"<html>"), Files().serve(REVOCATIONS, b"[]")):
        found = await verify(credential, files, policy)
        assert found.checks[CheckName.STATUS].outcome is Outcome.UNDETERMINED
        assert not found.verified
