"""The Recommendation's vectors of both cryptosuites, with every intermediate value (w3c/vc-di-eddsa)."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cairn.credentials import resolve_did_key
from cairn.credentials.proofs import eddsa_jcs_2022, eddsa_rdfc_2022
from cairn.credentials.proofs.common import proof_options, unsecured

from .conftest import SHARED

VECTORS = SHARED / "w3c" / "vc-di-eddsa"
SUITES = [
    pytest.param(eddsa_rdfc_2022, VECTORS / "eddsa-rdfc-2022", "DataInt", id="eddsa-rdfc-2022"),
    pytest.param(eddsa_jcs_2022, VECTORS / "eddsa-jcs-2022", "JCS", id="eddsa-jcs-2022"),
]
if not VECTORS.is_dir():
    # Outside the workplace the vectors are not at hand, and CI always has them.
    SUITES = []


def _read(folder: Path, name: str) -> str:
    return (folder / f"{name}.txt").read_text()


def _configuration(suite: ModuleType, signed: dict[str, Any]) -> bytes:
    options = proof_options(signed["proof"])
    if suite is eddsa_jcs_2022:
        return suite.proof_configuration(options)
    return suite.proof_configuration(unsecured(signed), options)


@pytest.mark.parametrize(("suite", "folder", "tail"), SUITES)
def test_every_step_equals_the_vector(suite: ModuleType, folder: Path, tail: str) -> None:
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
    method = signed["proof"]["verificationMethod"]
    document = resolve_did_key(method.partition("#")[0])
    known = document.method(method)
    assert known is not None
    suite.verify_proof(signed, signed["proof"], known.key)
