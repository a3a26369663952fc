"""Ed25519 as RFC 8032 says, by two libraries; and where libsodium is the stricter."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from cairn.credentials import Ed25519PublicKey, Ed25519Signer

_SMALL_ORDER = bytes([1]) + bytes(31)
_GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_a_signature_equals_that_of_an_independent_library(seed: bytes, data: bytes) -> None:
    signer, other = Ed25519Signer(seed), ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    signature = signer.sign(data)
    assert signature == other.sign(data)
    assert signer.public_key.raw == other.public_key().public_bytes_raw()
    assert signer.public_key.verify(signature, data)
    assert not signer.public_key.verify(signature, data + b"x")


@given(st.binary(max_size=100), st.integers(0, 511))
def test_a_signature_with_one_bit_changed_is_refused(data: bytes, bit: int) -> None:
    signer = Ed25519Signer(bytes(range(32)))
    signature = int.from_bytes(signer.sign(data)) ^ (1 << bit)
    assert not signer.public_key.verify(signature.to_bytes(64), data)


def test_a_key_of_small_order_verifies_nothing() -> None:
    """Under the neutral point one signature fits every message; OpenSSL accepts it."""
    forged = _SMALL_ORDER + bytes(32)
    ed25519.Ed25519PublicKey.from_public_bytes(_SMALL_ORDER).verify(forged, b"anything")
    assert not Ed25519PublicKey(_SMALL_ORDER).verify(forged, b"anything")


def test_a_second_spelling_of_a_signature_is_refused() -> None:
    signer = Ed25519Signer(bytes(range(32)))
    signature = signer.sign(b"data")
    scalar = int.from_bytes(signature[32:], "little") + _GROUP_ORDER
    assert not signer.public_key.verify(signature[:32] + scalar.to_bytes(32, "little"), b"data")
    assert not signer.public_key.verify(signature + b"\0", b"data")
