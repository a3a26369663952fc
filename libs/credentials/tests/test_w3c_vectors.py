"""The Recommendations' vectors of the cryptosuites, with every intermediate value (vc-di-eddsa, vc-di-ecdsa)."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cairn.credentials import PublicKey, resolve_did_key
from cairn.credentials.proofs import ecdsa_rdfc_2019, eddsa_jcs_2022, eddsa_rdfc_2022, verify_proof
from cairn.credentials.proofs.common import proof_options, unsecured

from .conftest import OWN, SHARED

VECTORS = SHARED / "w3c"
SUITES = [
    (eddsa_rdfc_2022, "vc-di-eddsa/eddsa-rdfc-2022", "DataInt", "ob3-eddsa-rdfc-2022.json"),
    (eddsa_jcs_2022, "vc-di-eddsa/eddsa-jcs-2022", "JCS", "ob3-eddsa-jcs-2022.json"),
    (ecdsa_rdfc_2019, "vc-di-ecdsa/ecdsa-rdfc-2019-p256", "ECDSAP256", "ob3-ecdsa-rdfc-2019-P-256.json"),
]


def _read(folder: Path, name: str) -> str:
    return (folder / f"{name}.txt").read_text()


def _configuration(suite: ModuleType, signed: dict[str, Any]) -> bytes:
    options = proof_options(signed["proof"])
    if suite is eddsa_jcs_2022:
        return suite.proof_configuration(options)
    return suite.proof_configuration(unsecured(signed), options)


@pytest.mark.parametrize(("suite", "name", "tail", "ours"), SUITES)
def test_every_step_equals_the_vector(suite: ModuleType, name: str, tail: str, ours: str) -> None:
    if not VECTORS.is_dir():
        # The vectors are W3C's and not copied; CI always has them. Elsewhere the steps still hold for a peer's proof.
        signed = json.loads((OWN / "db" / ours).read_text())
        verify_proof(signed, signed["proof"], _key(signed["proof"]))
        return
    folder = VECTORS / name
    signed = json.loads((folder / f"signed{tail}.json").read_text())
    transformed = suite.transformation(unsecured(signed))
    configuration = _configuration(suite, signed)
    assert transformed.decode() == _read(folder, f"canonDoc{tail}")
    assert configuration.decode() == _read(folder, f"proofCanon{tail}")
    assert sha256(transformed).hexdigest() == _read(folder, f"docHash{tail}").strip()
    assert sha256(configuration).hexdigest() == _read(folder, f"proofHash{tail}").strip()
    combined = suite.hashing(transformed, configuration, _key(signed["proof"]).algorithm)
    assert combined.hex() == _read(folder, f"combinedHash{tail}").strip()
    signature = bytes.fromhex(_read(folder, f"sigHex{tail}").strip())
    assert (
        suite.proof_serialization(signature)
        == _read(folder, f"sigBTC58{tail}").strip()
        == signed["proof"]["proofValue"]
    )
    verify_proof(signed, signed["proof"], _key(signed["proof"]))


def _key(proof: dict[str, Any]) -> PublicKey:
    method = resolve_did_key(proof["verificationMethod"].partition("#")[0]).method(proof["verificationMethod"])
    assert method is not None
    return method.key
