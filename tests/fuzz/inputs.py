"""Seeds, and what becomes of them."""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.fuzz.outside import MORE

HERE: Final = Path(__file__).parent
FIXTURES: Final = HERE.parents[1] / "libs" / "credentials" / "tests" / "fixtures"
KEPT: Final = HERE / "seeds"
"""Inputs that once broke a promise: each is tried again in every run. A new one goes there under any name."""

_WORDS: Final = re.findall(
    r"\S+",
    "@context @id @type @value @graph @list @language @json @none id type issuer proof credentialSubject "
    "credentialStatus credentialSchema verificationMethod cryptosuite proofPurpose proofValue created validFrom "
    "validUntil evidence name alignment achievement result statusListIndex statusListCredential statusPurpose "
    "encodedList termsOfUse refreshService relatedResource verifiableCredential holder previousProof controller "
    "publicKeyMultibase publicKeyJwk kty crv alg kid typ cty crit jwk exp nbf iss sub vct _sd _sd_alg cnf ~ $ref",
)
_VALUES: Final[list[Any]] = [
    None, True, False, 0, -1, 1, 6.0, 0.5, 1e-7, 1e300, 2**53, 2**64, -(2**63) - 1, "", " ", "relative", "_:b", "a:b",
    "urn:x:1", "did:key:z6Mk", "did:web:issuer.example", "did:jwk:e30", "https://x.example/", "data:,x", "\x00", "\x0c",
    "\ud7ff", "\uffff", "\U0001f393", "2026-01-01T00:00:00Z", "2026-13-01", "24:00:00", [], {}, [[]], [{}], {"id": ""},
    {"@value": "x", "@language": "en"}, {"@context": {"x": "https://x.example/x"}}, "H4sIAAAAAAAA_wMAAAAAAAAAAAA",
    "uH4sI", ["sha-256"],
]  # fmt: skip
_BYTES: Final = [
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"~",
]
_BYTES += [
    b"~",
    b".",
    b"\\ud800",
    b"<!DOCTYPE x>",
    b"IEND",
    b"iTXt",
    b"9" * 40,
    b"[" * 70,
    MORE,
    b"1e999",
    b"NaN",
]


_ANSWERED: Final = [
    ["obl/ob2-hosted.json", "obl/ob2-hosted.json", "obl/ob2-badge.json"],
    ["obl/ob2-signed.jws", "obl/ob2-key.json", "obl/ob2-issuer.json", "obl/ob2-badge.json", "obl/ob2-revocation.json"],
    ["db/ob3-did-web.json", "resources/issuer.example.did.json"],
    ["db/status-ok.json", "resources/issuer.example.did.json", "resources/status-1.json"],
    ["sdjwt/ok-status.sdjwt", "resources/jwt-vc-issuer.json", "resources/tsl-1.jwt"],
]
"""A fixture, and what the outside answers to it."""
_POINTED: Final = {
    "db/ob3-eddsa-rdfc-2022-full.json": "/credentialSubject/achievement/name /evidence /validUntil",
    "db/ob3-ecdsa-sd-2023-BASE.json": "/credentialSubject/achievement/criteria /name",
}
"""A fixture, and pointers to what its holder shows of it."""
_CLAIMS: Final = {
    "vct": "https://issuer.example/vct/degree",
    "degree": {"name": "Statistics", "grades": ["A", "B"]},
    "status": {"status_list": {"idx": 3, "uri": "https://issuer.example/tsl/1"}},
}
_STATES: Final = {
    "sub": "https://issuer.example/tsl/1",
    "iat": 1_760_000_000,
    "status_list": {"bits": 1, "lst": base64.urlsafe_b64encode(zlib.compress(bytes(16))).rstrip(b"=").decode()},
}


def seeds() -> list[bytes]:
    """Every fixture that is not large, every input that is kept, and what readers are asked besides."""
    files = [path for folder in (FIXTURES, KEPT) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path.read_bytes() for path in files if path.stat().st_size < 20_000] + list(_made())


def _made() -> Iterator[bytes]:
    for names in _ANSWERED:
        yield MORE.join((FIXTURES / name).read_bytes() for name in names)
    for name, pointers in _POINTED.items():
        yield MORE.join([(FIXTURES / name).read_bytes(), pointers.encode()])
    yield MORE.join([json.dumps(_CLAIMS).encode(), b"/degree/grades/1 /degree/name", json.dumps(_STATES).encode()])
    for pack in (gzip.compress, zlib.compress):
        yield pack(bytes(16_384))
    yield b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><title>a</title><path d="M0 0h9v9z"/></svg>'
    # A PNG of one pixel.
    yield base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    yield b"key:z6MkrvfzkMnvCroEUP2DVc9SHPE48CRsvHiVSusHioxTYu1x#z6Mk"
    yield b"jwk:eyJrdHkiOiJPS1AiLCJjcnYiOiJFZDI1NTE5IiwieCI6IkF3TUN3TSJ9"
    yield b"web:uni.example%3A8443:issuers:1#key-1"


def mutated(random: Random, corpus: list[bytes]) -> bytes:
    """One input: a seed, changed in a few places as JSON, as a token, or as bytes."""
    data = random.choice(corpus)
    for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
        data = changed(random, data, corpus)
    return data[:40_000]


def changed(random: Random, data: bytes, corpus: list[bytes]) -> bytes:
    way = random.random()
    if way < 0.6:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return _token(random, data) if data.count(b".") >= 2 and way < 0.5 else _spliced(random, data, corpus)
        return json.dumps(_json(random, value), separators=random.choice(((",", ":"), None))).encode()
    return _spliced(random, data, corpus)


def _json(random: Random, root: Any) -> Any:
    """The value with one thing in it changed. Levels are bounded by where the walk stops."""
    node = root
    while isinstance(node, dict | list) and node:
        key = random.choice(list(node)) if isinstance(node, dict) else random.randrange(len(node))
        inside = node[key]
        if isinstance(inside, dict | list) and inside and random.random() < 0.8:
            node = inside
            continue
        _replace(random, node, key)
        return root
    return random.choice(_VALUES)


def _replace(random: Random, node: Any, key: Any) -> None:
    way = random.randrange(6)
    if way == 0:
        del node[key]
    elif way == 1:
        node[key] = random.choice(_VALUES)
    elif way == 2:
        node[key] = [node[key], random.choice(_VALUES)]
    elif way == 3 and isinstance(node, dict):
        node[random.choice(_WORDS)] = node.pop(key)
    elif way == 4 and isinstance(node, dict):
        node[random.choice(_WORDS)] = random.choice([*_VALUES, node[key]])
    elif isinstance(node[key], str):
        text = node[key]
        place = random.randint(0, len(text))
        node[key] = text[:place] + random.choice((chr(random.randrange(0xD800)), "", text)) + text[place + 1 :]
    else:
        node[key] = {random.choice(_WORDS): node[key]}


def _token(random: Random, data: bytes) -> bytes:
    """A JWT, or the first of an SD-JWT, with its header or payload changed; it is not signed anew."""
    parts = data.split(b".")
    part = random.randrange(2)
    try:
        value = json.loads(base64.urlsafe_b64decode(parts[part] + b"=" * (-len(parts[part]) % 4)))
    except ValueError:
        return data[::-1]
    parts[part] = base64.urlsafe_b64encode(json.dumps(_json(random, value)).encode()).rstrip(b"=")
    return b".".join(parts)


def _spliced(random: Random, data: bytes, corpus: list[bytes]) -> bytes:
    start = random.randint(0, len(data))
    end = min(len(data), start + random.choice((0, 1, 2, 8, 64)))
    other = random.choice(corpus)
    cut = random.randint(0, len(other))
    middle = random.choice(
        (b"", random.choice(_BYTES), random.randbytes(2), data[start:end] * 2, other[cut : cut + 32], other[cut:])
    )
    return data[:start] + middle + data[end:]
