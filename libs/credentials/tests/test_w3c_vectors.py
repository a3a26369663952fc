"""The Recommendation's vectors of both cryptosuites, with every intermediate value (w3c/vc-di-eddsa)."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cairn.credentials import PublicKey, resolve_did_key
from cairn.credentials.proofs import eddsa_jcs_2022, eddsa_rdfc_2022
from cairn.credentials.proofs.common import proof_options, unsecured

from .conftest import OWN, SHARED

VECTORS = SHARED / "w3c" / "vc-di-eddsa"
SUITES = [(eddsa_rdfc_2022, "eddsa-rdfc-2022", "DataInt"), (eddsa_jcs_2022, "eddsa-jcs-2022", "JCS")]


def _read(folder: Path, name: str) -> str:
    return (folder / f"{name}.txt").read_text()


def _configuration(suite: ModuleType, signed: dict[str, Any]) -> bytes:
    options = proof_options(signed["proof"])
    if suite is eddsa_jcs_2022:
        return suite.proof_configuration(options)
    return suite.proof_configuration(unsecured(signed), options)


@pytest.mark.parametrize(("suite", "name", "tail"), SUITES)
def test_every_step_equals_the_vector(suite: ModuleType, name: str, tail: str) -> None:
    if not VECTORS.is_dir():
        # The vectors are W3C's and not copied; CI always has them. Elsewhere the steps still hold for a peer's proof.
        signed = json.loads((OWN / "db" / f"ob3-{name}.json").read_text())
        suite.verify_proof(signed, signed["proof"], _key(signed["proof"]))
        return
    folder = VECTORS / name
    signed = json.loads((folder / f"signed{tail}.json").read_text())
    transformed = suite.transformation(unsecured(signed))
    configuration = _configuration(suite, signed)
    assert transformed.decode() == _read(folder, f"canonDoc{tail}")
    assert configuration.decode() == _read(folder, f"proofCanon{tail}")
    assert sha256(transformed).hexdigest() == _read(folder, f"docHash{tail}").strip()
    assert sha256(configuration).hexdigest() == _read(folder, f"proofHash{tail}").strip()
    assert suite.hashing(transformed, configuration).hex() == _read(folder, f"combinedHash{tail}").strip()
    signature = bytes.fromhex(_read(folder, f"sigHex{tail}").strip())
    assert (
        suite.proof_serialization(signature)
        == _read(folder, f"sigBTC58{tail}").strip()
        == signed["proof"]["proofValue"]
    )
    suite.verify_proof(signed, signed["proof"], _key(signed["proof"]))


def _key(proof: dict[str, Any]) -> PublicKey:
    method = resolve_did_key(proof["verificationMethod"].partition("#")[0]).method(proof["verificationMethod"])
    assert method is not None
    return method.key
