"""VC-JOSE-COSE 1.0 with COSE (§3.3), to verify; what RFC 9052 (COSE) and RFC 9596 (`typ`) say of its headers."""

from __future__ import annotations

import base64
import json
from typing import Any

import cbor2
import pytest

from cairn.credentials import CheckName, Outcome, Policy, build_presentation, verify, verify_presentation
from cairn.credentials.keys import LocalSigner

from .test_vc_jose_cose import ANY, DOCUMENT, ISSUER, OPEN, SIGNERS, look, told, web

V2 = "https://www.w3.org/ns/credentials/v2"
ALGORITHMS = {"ES256": -7, "EdDSA": -8, "ES384": -35, "ES512": -36}


def sign1(
    document: Any,
    signer: LocalSigner = ANY,
    header: dict[Any, Any] | None = None,
    beside: dict[Any, Any] | None = None,
    kind: str = "vc",
) -> bytes:
    """RFC 9052 §4.2, §4.4: protected, unprotected, payload, signature, tagged 18. A header of None is left out."""
    plain = {1: ALGORITHMS[signer.algorithm], 3: f"application/{kind}", 4: signer.verification_method.encode()}
    named = plain | {16: f"application/{kind}+cose"} | (header or {})
    protected = cbor2.dumps({label: value for label, value in named.items() if value is not None})
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    signature = signer.sign(cbor2.dumps(["Signature1", protected, b"", payload]))
    return cbor2.dumps(cbor2.CBORTag(18, [protected, beside or {}, payload, signature]))


def enveloped(data: bytes, kind: str = "vc") -> dict[str, Any]:
    what = "Presentation" if kind == "vp" else "Credential"
    text = base64.b64encode(data).decode()
    return {"@context": V2, "type": f"EnvelopedVerifiable{what}", "id": f"data:application/{kind}+cose;base64,{text}"}


@pytest.mark.parametrize("algorithm", SIGNERS)
class TestSecuring:
    """§3.3: "MUST use COSE_Sign1 as specified in RFC9052 to verify"."""

    async def test_a_credential(self, algorithm: str) -> None:
        data = sign1(DOCUMENT, SIGNERS[algorithm])
        for handed in (data, enveloped(data)):
            found = await look(handed)
            assert found.verified, found.to_json()
            assert found.credential == DOCUMENT
            assert (found.form, found.issuer, found.cryptosuite) == ("vc+cose", ISSUER, algorithm)

    async def test_a_presentation(self, algorithm: str) -> None:
        document = build_presentation([enveloped(sign1(DOCUMENT))], holder=ISSUER)
        data = sign1(document, SIGNERS[algorithm], kind="vp")
        for handed in (data, enveloped(data, "vp")):
            found = await verify_presentation(handed, web(), OPEN)
            assert found.verified, found.to_json()
            assert (found.form, found.holder) == ("vp+cose", ISSUER)
        assert not (await verify_presentation(data, web(), Policy(at=OPEN.at, challenge="c"))).verified
        assert not (await look(data)).verified

    async def test_any_byte_that_is_changed_is_noticed(self, algorithm: str) -> None:
        data = sign1(DOCUMENT, SIGNERS[algorithm])
        for place in [*range(0, 200, 3), *range(200, len(data), 211), *range(len(data) - 64, len(data), 5)]:
            changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            assert not (await look(changed)).verified, place
        assert told(await look(data[:-1] + bytes([data[-1] ^ 1]))) == (Outcome.FAILED, "signature-invalid")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({1: 5}, "unsupported"),
        ({1: None}, "unsupported"),
        ({1: "ES256"}, "unsupported"),
        ({1: [1]}, "unsupported"),
        ({2.5: 1}, "token-refused"),
        ({1: -8}, "key-unknown"),
        ({2: [99], 99: 1}, "crit-unknown"),
        ({33: b"certificate"}, "embedded-key"),
        ({35: "https://other.example/chain"}, "embedded-key"),
        ({15: {4: 1}}, "unsupported"),
        ({16: None}, "unsupported"),
        ({16: "application/vp+cose"}, "unsupported"),
        ({16: "really/bad"}, "unsupported"),
        ({3: "really/bad"}, "unsupported"),
        ({4: b"key-9"}, "key-unknown"),
        ({4: SIGNERS["EdDSA"].verification_method.encode()}, "key-unknown"),
    ],
    ids=str,
)
async def test_headers_that_prove_nothing(header: dict[Any, Any], code: str) -> None:
    """RFC 9052 §3.1; S4 to S6 of the promises hold here as they do of a JWS."""
    found = await look(sign1(DOCUMENT, header=header))
    assert not found.verified
    assert told(found)[1] == code


@pytest.mark.parametrize("label", [1, 16, 33, 2])
async def test_what_is_not_protected_says_nothing(label: int) -> None:
    value = {1: -7, 16: "application/vc+cose", 33: b"certificate", 2: [99]}[label]
    found = await look(sign1(DOCUMENT, header={label: None}, beside={label: value}))
    assert found.verified is (label == 2), found.to_json()


async def test_the_key_may_be_named_beside_and_only_once() -> None:
    name = ANY.verification_method.encode()
    assert (await look(sign1(DOCUMENT, header={4: None}, beside={4: name}))).verified
    assert told(await look(sign1(DOCUMENT, beside={4: name})))[1] == "token-refused"


async def test_another_may_not_sign_for_the_issuer() -> None:
    document = DOCUMENT | {"issuer": "https://other.example"}
    assert told(await look(sign1(document)), CheckName.ISSUER) == (Outcome.FAILED, "issuer-mismatch")


@pytest.mark.parametrize(
    "data",
    [
        sign1(DOCUMENT)[1:],
        sign1(DOCUMENT) + b"\0",
        sign1(DOCUMENT)[:-1],
        sign1(b"[]"),
        sign1(b'{"id": "urn:x:1", "id": "urn:x:2"}'),
        sign1(b"\xff"),
        b"\xd2\x84",
        b"\xd2\x84\xf6\xf6\xf6\xf6",
        b"\xd2\x84\x9f\xff\xa0\x40\x40",
        b"\xd2" + cbor2.dumps([b"", {}, b"{}", b""]),
        b"\xd2" + cbor2.dumps([b"\xa0", [], b"{}", b""]),
        b"\xd2" + cbor2.dumps([cbor2.dumps([]), {}, b"{}", b""]),
    ],
)
async def test_what_is_no_cose_sign1_is_refused(data: bytes) -> None:
    for handed in (data, enveloped(data)):
        found = await verify(handed, web(), OPEN)
        assert not found.verified
        json.dumps(found.to_json())
    shown = await verify_presentation(enveloped(data, "vp"), web(), OPEN)
    assert not shown.verified


async def test_an_envelope_is_written_in_base64() -> None:
    """§3.3.2: "the credentials MUST be encoded using base64"; whether it is padded is left open."""
    good = enveloped(sign1(DOCUMENT))
    for written in (good["id"].rstrip("="), good["id"] + "\n"):
        assert (await look(good | {"id": written})).verified
    for written in (good["id"].replace(";base64", ""), good["id"][:-9] + "!" * 8, good["id"].replace("vc+", "vp+")):
        found = await look(good | {"id": written})
        assert found.verified is ("vp+cose" in written), written[:40]
    hexadecimal = "data:application/vc+cose;base64," + sign1(DOCUMENT).hex()
    assert not (await look(good | {"id": hexadecimal})).verified
