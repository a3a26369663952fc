"""The others: what is done by them, as callables of which each call is one whole operation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import openvc
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from openbadgeslib.ob3 import OB3LdpVerifier, add_data_integrity_proof
from openvc.proof.data_integrity import DataIntegrityProofSuite
from openvc.proof.di_jcs import EddsaJcsProofSuite

from bench.credentials.sample import CREATED
from cairn.credentials import Ed25519Signer, base64url
from cairn.credentials.bundle import context_document, context_urls
from cairn.credentials.instants import format_instant

CONTEXTS: Final = {url: context_document(url) for url in context_urls()}
_HERE: Final = Path(__file__).parent
_NODE: Final = _HERE / "node"


def _cache() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cairn-bench-credentials"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def installed() -> Path:
    """The folder with the Node packages, fetched from the registry into the user's cache once."""
    cache = _cache()
    wanted = (_NODE / "package.json").read_text("utf-8")
    package = cache / "package.json"
    if not (cache / "node_modules").is_dir() or package.read_text("utf-8") != wanted:
        package.write_text(wanted, "utf-8")
        subprocess.run(
            ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--silent"],
            cwd=cache,
            check=True,
        )
    return cache


def node_reference() -> list[str]:
    """The command of `@digitalbazaar/vc`."""
    shutil.copy(_NODE / "reference.mjs", installed())
    return ["node", "reference.mjs"]


def rust_ssi() -> list[str] | None:
    """The command of `ssi`, which cargo builds in the user's cache; None where there is no cargo.

    The first time takes half an hour on two cores. With `CARGO_TARGET_DIR` it is built there.
    """
    if shutil.which("cargo") is None:
        return None
    crate = _cache() / "ssi"
    shutil.copytree(_HERE / "ssi", crate, dirs_exist_ok=True, copy_function=_copied_if_changed)
    target = Path(os.environ.get("CARGO_TARGET_DIR") or crate / "target")
    subprocess.run(["cargo", "build", "--release", "--target-dir", str(target)], cwd=crate, check=True)
    return [str(target / "release" / "cairn-bench-ssi")]


def _copied_if_changed(source: str, target: str) -> str:
    """Cargo builds again what is newer than what it built."""
    if not Path(target).exists() or Path(target).read_bytes() != Path(source).read_bytes():
        shutil.copyfile(source, target)
    return target


class Driven:
    """A peer in a process of its own, to which one credential is given to sign, and one of each suite to verify."""

    def __init__(
        self, command: Sequence[str], signer: Ed25519Signer, seed: bytes, document: str, signed: Mapping[str, str]
    ) -> None:
        self._process = subprocess.Popen(
            command, cwd=_cache(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        task = {
            "document": document,
            "signed": signed,
            "contexts": CONTEXTS,
            "seed": seed.hex(),
            "key": signer.public_key.to_jwk() | {"d": base64url.encode(seed)},
            "method": signer.verification_method,
            "created": format_instant(CREATED),
        }
        self._ask({"prepare": task})

    def times(self, operation: str, suite: str, count: int) -> list[float]:
        """Microseconds of each of `count` operations."""
        return self._ask({"operation": operation, "suite": suite, "count": count})["times"]

    def issue(self, suite: str) -> str:
        return self._ask({"operation": "issue", "suite": suite, "count": 1})["text"]

    def close(self) -> None:
        self._process.communicate()

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        streams = self._process.stdin, self._process.stdout
        assert streams[0] is not None
        assert streams[1] is not None
        streams[0].write(json.dumps(question) + "\n")
        streams[0].flush()
        return json.loads(streams[1].readline())


def openvc_issue(seed: bytes, method: str, suite: str) -> Callable[[str], str]:
    key = openvc.Ed25519SigningKey(ed25519.Ed25519PrivateKey.from_private_bytes(seed), method)
    maker = DataIntegrityProofSuite() if suite == "eddsa-rdfc-2022" else EddsaJcsProofSuite()
    contexts: dict[str, Any] = {"extra_contexts": CONTEXTS} if suite == "eddsa-rdfc-2022" else {}

    def issue(text: str) -> str:
        secured: Any = maker.add_proof(
            json.loads(text), signing_key=key, verification_method=method, created=CREATED, **contexts
        )
        return json.dumps(secured)

    return issue


def openvc_verify(text: str) -> None:
    openvc.verify_credential(json.loads(text), extra_contexts=CONTEXTS)


def badgeslib_issue(seed: bytes, method: str) -> Callable[[str], str]:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(seed).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

    def issue(text: str) -> str:
        secured: Any = add_data_integrity_proof(json.loads(text), key, method, created=CREATED)
        return json.dumps(secured)

    return issue


def badgeslib_verify(did: str) -> Callable[[str], None]:
    def verify(text: str) -> None:
        OB3LdpVerifier.for_issuer_did(did).verify(text)

    return verify
