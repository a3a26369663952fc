"""What is recorded before it is signed, so that nothing else is (S26): a document, its proof but for the signature, and
the digest that will be signed, which is kept beside them.

A hash over the bytes of all three binds them together. Who signs compares it, signs that digest, and puts the proof to
those very bytes of the document.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import orjson

from cairn.common.instants import parse_instant
from cairn.credentials import PreparedProof, Signer, prepare

_DOCUMENT: Final = b'{"document":'
_PROOF: Final = b',"proof":'
_BOUND: Final = b',"bound":"'


class WrongBytes(RuntimeError):
    """What was signed, or is about to be, is not what was intended. Nothing of the batch is stored."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An intent that is whole. `document` is JSON, `digest` what will be signed."""

    document: bytes
    proof: dict[str, Any]
    digest: bytes

    @property
    def method(self) -> str:
        """The verification method that was to sign."""
        return self.proof["verificationMethod"]

    def signed(self, signer: Signer) -> bytes:
        """The secured document, as JSON."""
        proof = PreparedProof({}, self.proof, self.digest, signer.algorithm).complete(signer.sign(self.digest))
        return b"".join((self.document[:-1], _PROOF, orjson.dumps(proof), b"}"))


def record(prepared: PreparedProof) -> bytes:
    """What is kept of an intent, beside its digest. Preparing it has linted it: that refuses what would go unsigned."""
    document, proof = orjson.dumps(prepared.document), orjson.dumps(prepared.proof)
    bound = _binding(prepared.hash_data, document, proof)
    return b"".join((_DOCUMENT, document, _PROOF, proof, _BOUND, bound, b'"}'))


def read(body: bytes, digest: bytes) -> Recorded:
    """What was recorded with that digest. Raises WrongBytes where one of them is not as it was."""
    # By hand, so that the bytes which were bound are those that go out. A proof is flat and its quotes are escaped,
    # so the last such mark is the one that was written.
    rest, _, bound = body[:-2].rpartition(_BOUND)
    document, _, proof = (rest or body[:-1]).removeprefix(_DOCUMENT).rpartition(_PROOF)
    recorded = Recorded(document, orjson.loads(proof), digest)
    if rest:
        same = bound == _binding(digest, document, proof)
    else:
        # Of a version that did not bind them: the digest is worked out again.
        again = prepare(
            orjson.loads(document),
            verification_method=recorded.method,
            created=parse_instant(recorded.proof["created"]),
            cryptosuite=recorded.proof["cryptosuite"],
        )
        same = again.hash_data == digest and again.proof == recorded.proof
    if not same:
        raise WrongBytes(f"an intent to sign as {recorded.method} is not what was recorded")
    return recorded


def _binding(digest: bytes, document: bytes, proof: bytes) -> bytes:
    return sha256(b"".join((digest, proof, document))).hexdigest().encode()
