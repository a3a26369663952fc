"""A private CA and a certificate for this machine, so that the APIs can be asked by https on loopback."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM: Final = serialization.Encoding.PEM
_LIFE: Final = timedelta(days=365)
_RENEW_BEFORE: Final = timedelta(days=30)
_NAMES: Final = (
    x509.DNSName("localhost"),
    x509.DNSName("cairn.localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
)


@dataclass(frozen=True, slots=True)
class Tls:
    """Files, PEM: the CA by which callers know us, our certificate, and its key."""

    ca: Path
    certificate: Path
    key: Path


def tls_of(environ: Mapping[str, str], folder: Path) -> Tls | None:
    """`CAIRN_TLS=1` makes the files in `folder`; `CAIRN_TLS_CERTIFICATE`, `_KEY` and `CAIRN_FETCH_CA_FILE` name
    others. Raises SystemExit where only some are named.
    """
    named = [environ.get(name) for name in ("CAIRN_FETCH_CA_FILE", "CAIRN_TLS_CERTIFICATE", "CAIRN_TLS_KEY")]
    if any(named[1:]):
        if not all(named):
            raise SystemExit(
                "CAIRN_TLS_CERTIFICATE and CAIRN_TLS_KEY need each other and CAIRN_FETCH_CA_FILE, their CA"
            )
        return Tls(*(Path(str(name)).absolute() for name in named))
    return make(folder) if environ.get("CAIRN_TLS", "0") in {"1", "yes", "on", "true"} else None


def make(folder: Path) -> Tls:
    """Those of `folder`, made where they are missing or will soon have ended. The key is its owner's to read."""
    made = Tls(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
    now = datetime.now(UTC)
    if all(file.exists() for file in (made.ca, made.certificate, made.key)):
        certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
        if certificate.not_valid_after_utc > now + _RENEW_BEFORE:
            return made
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The CA's key is thrown away: this CA will never vouch for anything else.
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Cairn on this machine")])
    ca = _builder(ca_name, ca_name, ca_key, now).add_extension(x509.BasicConstraints(True, 0), critical=True)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    own = (
        _builder(name, ca_name, key, now)
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(x509.SubjectAlternativeName(_NAMES), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    made.key.touch(mode=0o600)
    made.ca.write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(_PEM))
    made.certificate.write_bytes(own.sign(ca_key, hashes.SHA256()).public_bytes(_PEM))
    plain = serialization.NoEncryption()
    made.key.write_bytes(key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, plain))
    return made


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=10))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
