"""What is recorded is read back as it was, and signed as the library signs."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.credentials import Ed25519Signer, PreparedProof
from cairn.issuance.domain import intents

pytestmark = pytest.mark.unit

SIGNER = Ed25519Signer(bytes(32), "did:web:uni.example#key-1")
PROOF = {
    "type": "DataIntegrityProof",
    "cryptosuite": "eddsa-rdfc-2022",
    "created": datetime(2026, 11, 1, tzinfo=UTC).isoformat(),
    "verificationMethod": SIGNER.verification_method,
    "proofPurpose": "assertionMethod",
}

# With the very marks by which a record is taken apart, as names and in texts.
marks = st.sampled_from(["proof", "bound", "document", ',"proof":', '","bound":"', '"}', "\\", "ü"])
words = marks | st.text(max_size=5)
values = st.recursive(words, lambda inner: st.lists(inner) | st.dictionaries(words, inner), max_leaves=8)
documents = st.dictionaries(words.filter(lambda word: word != "proof"), values, min_size=1)


@given(documents, st.binary(min_size=64, max_size=64))
def test_s26_what_was_recorded_is_signed_as_the_library_would(document: dict[str, Any], digest: bytes):
    prepared = PreparedProof(document, PROOF, digest)
    recorded = intents.read(intents.record(prepared), digest)
    assert orjson.loads(recorded.document) == document
    assert recorded.proof == PROOF
    assert recorded.method == SIGNER.verification_method
    assert recorded.signed(SIGNER) == orjson.dumps(prepared.attach(SIGNER.sign(digest)))


@given(documents, st.data())
def test_s26_no_bit_of_it_can_be_changed(document: dict[str, Any], data: st.DataObject):
    digest = bytes(range(64))
    body = bytearray(intents.record(PreparedProof(document, PROOF, digest)))
    body[data.draw(st.integers(0, len(body) - 3))] ^= 1 << data.draw(st.integers(0, 6))
    with pytest.raises((intents.WrongBytes, ValueError, KeyError)):
        intents.read(bytes(body), digest)
