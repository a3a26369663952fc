"""Typed keys: one algorithm each, so that no header can make a key do what it is not for (S4).

Sources: Controlled Identifiers 1.0 §2.2.2 (Multikey), RFC 8032 (Ed25519), RFC 7518 §3.4 (ES256, ES384, ES512), RFC 7517
and 8037 (JWK).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, Protocol, Self, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from nacl import bindings as sodium
from nacl.exceptions import BadSignatureError

from cairn.credentials import base58, base64url
from cairn.credentials.errors import KeyRefused

Algorithm: TypeAlias = Literal["EdDSA", "ES256", "ES384", "ES512", "RS256"]
"""ES512 is for tokens only. RS256 is verified in JWTs, for badges of others; nothing is signed with it here."""

_ED25519_PREFIX: Final = b"\xed\x01"
_MULTIKEY_LIMIT: Final = 200


class Signer(Protocol):
    """Who signs. The private key stays behind it: a local key, an HSM, a remote service."""

    @property
    def algorithm(self) -> Algorithm: ...

    @property
    def verification_method(self) -> str:
        """The DID URL under which verifiers find the public key."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The raw signature over `data`: 64 bytes for EdDSA, r‖s for ES256 (64 bytes), ES384 (96) and ES512 (132)."""
        ...


@dataclass(frozen=True, slots=True)
class Ed25519PublicKey:
    """A public key of Ed25519; verifies EdDSA only."""

    raw: bytes
    algorithm: Literal["EdDSA"] = field(init=False, default="EdDSA")

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise KeyRefused("an Ed25519 public key has 32 bytes", code="key-length")

    @property
    def multikey(self) -> str:
        return "z" + base58.encode(_ED25519_PREFIX + self.raw)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """RFC 8032 §5.1.7 by libsodium, which also refuses keys of small order and second spellings of a signature."""
        if len(signature) != 64:
            return False
        try:
            sodium.crypto_sign_open(signature + data, self.raw)
        except BadSignatureError:
            return False
        return True

    def to_jwk(self) -> dict[str, str]:
        return {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(self.raw)}


@dataclass(frozen=True, slots=True)
class _Curve:
    """A curve of NIST, with the one algorithm and hash that its keys are used with."""

    name: str
    algorithm: Literal["ES256", "ES384", "ES512"]
    size: int
    """Bytes of a coordinate, and of each half of a signature."""
    prefix: bytes
    """Multicodec, as a varint."""
    curve: ec.EllipticCurve
    hash: hashes.HashAlgorithm


P256: Final = _Curve("P-256", "ES256", 32, b"\x80\x24", ec.SECP256R1(), hashes.SHA256())
P384: Final = _Curve("P-384", "ES384", 48, b"\x81\x24", ec.SECP384R1(), hashes.SHA384())
P521: Final = _Curve("P-521", "ES512", 66, b"\x82\x24", ec.SECP521R1(), hashes.SHA512())


@dataclass(frozen=True)
class _EcPublicKey:
    """A public key on a curve of NIST, as its compressed point."""

    CURVE: ClassVar[_Curve]

    raw: bytes
    _key: ec.EllipticCurvePublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.raw) not in (self.CURVE.size + 1, 2 * self.CURVE.size + 1):
            raise KeyRefused(f"not the length of a point on the curve {self.CURVE.name}", code="key-length")
        try:
            key = ec.EllipticCurvePublicKey.from_encoded_point(self.CURVE.curve, self.raw)
        except ValueError:
            raise KeyRefused(f"not a point on the curve {self.CURVE.name}", code="key-invalid") from None
        object.__setattr__(self, "raw", _compressed(key))
        object.__setattr__(self, "_key", key)

    @property
    def algorithm(self) -> Literal["ES256", "ES384", "ES512"]:
        return self.CURVE.algorithm

    @property
    def multikey(self) -> str:
        return "z" + base58.encode(self.CURVE.prefix + self.raw)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature`, r‖s, fits `data`, which is hashed with the curve's own hash."""
        size = self.CURVE.size
        if len(signature) != 2 * size:
            return False
        der = utils.encode_dss_signature(int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))
        try:
            self._key.verify(der, data, ec.ECDSA(self.CURVE.hash))
        except InvalidSignature:
            return False
        return True

    def to_jwk(self) -> dict[str, str]:
        numbers, size = self._key.public_numbers(), self.CURVE.size
        return {
            "kty": "EC",
            "crv": self.CURVE.name,
            "x": base64url.encode(numbers.x.to_bytes(size)),
            "y": base64url.encode(numbers.y.to_bytes(size)),
        }


class P256PublicKey(_EcPublicKey):
    """A public key on P-256; verifies ES256 only."""

    CURVE = P256


class P384PublicKey(_EcPublicKey):
    """A public key on P-384; verifies ES384 only."""

    CURVE = P384


class P521PublicKey(_EcPublicKey):
    """A public key on P-521; verifies ES512 only."""

    CURVE = P521


@dataclass(frozen=True, slots=True)
class RsaPublicKey:
    """A public key of RSA; verifies RS256 only (RFC 7518 §3.3), for badges of others."""

    modulus: int
    exponent: int
    algorithm: Literal["RS256"] = field(init=False, default="RS256")

    def __post_init__(self) -> None:
        if not 2_048 <= self.modulus.bit_length() <= 8_192:
            raise KeyRefused("an RSA key has 2,048 to 8,192 bits here", code="key-length")
        if self.exponent < 65_537 or self.exponent % 2 == 0 or self.exponent.bit_length() > 32:
            raise KeyRefused("the exponent of the RSA key is not one that is used", code="key-invalid")

    @classmethod
    def from_pem(cls, text: str) -> Self:
        """Reads `publicKeyPem` (Open Badges 2.0, `CryptographicKey`). Raises KeyRefused."""
        try:
            key = serialization.load_pem_public_key(text.encode())
        except (ValueError, UnsupportedAlgorithm):
            raise KeyRefused("not a public key in PEM") from None
        if not isinstance(key, rsa.RSAPublicKey):
            raise _unsupported()
        numbers = key.public_numbers()
        return cls(numbers.n, numbers.e)

    @property
    def multikey(self) -> str:
        """Controlled Identifiers 1.0 has no Multikey for RSA. Raises KeyRefused."""
        raise _unsupported()

    def verify(self, signature: bytes, data: bytes) -> bool:
        """RSASSA-PKCS1-v1_5 with SHA-256."""
        key = rsa.RSAPublicNumbers(self.exponent, self.modulus).public_key()
        try:
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def to_jwk(self) -> dict[str, str]:
        numbers = (("n", self.modulus), ("e", self.exponent))
        return {"kty": "RSA"} | {name: base64url.encode(n.to_bytes((n.bit_length() + 7) // 8)) for name, n in numbers}


EcPublicKey: TypeAlias = P256PublicKey | P384PublicKey | P521PublicKey
_EC_PUBLIC_KEYS: Final[dict[str, type[EcPublicKey]]] = {
    "P-256": P256PublicKey,
    "P-384": P384PublicKey,
    "P-521": P521PublicKey,
}
PublicKey: TypeAlias = Ed25519PublicKey | EcPublicKey | RsaPublicKey


def public_key_from_multikey(text: str) -> PublicKey:
    """Reads `publicKeyMultibase` (Controlled Identifiers 1.0 §2.2.2). Raises KeyRefused."""
    if not text.startswith("z") or len(text) > _MULTIKEY_LIMIT:
        raise KeyRefused("a public key is written in base58-btc multibase, starting with z")
    try:
        data = base58.decode(text[1:])
    except ValueError:
        raise KeyRefused("the public key is not base58-btc") from None
    if data.startswith(_ED25519_PREFIX):
        return Ed25519PublicKey(data[2:])
    for kind in _EC_PUBLIC_KEYS.values():
        if data.startswith(kind.CURVE.prefix):
            if len(data) != len(kind.CURVE.prefix) + kind.CURVE.size + 1:
                raise KeyRefused(f"a {kind.CURVE.name} public key is one compressed point", code="key-length")
            return kind(data[2:])
    raise _unsupported()


def public_key_from_jwk(jwk: object) -> PublicKey:
    """Reads a public JWK. A private or a symmetric one is refused. Raises KeyRefused."""
    if not isinstance(jwk, dict):
        raise KeyRefused("a JWK is a JSON object")
    members: dict[str, Any] = jwk  # pyright: ignore[reportUnknownVariableType]
    if "d" in members or "k" in members:
        raise KeyRefused("the JWK holds a secret, which must never be published")
    match members.get("kty"), members.get("crv"):
        case "OKP", "Ed25519":
            return Ed25519PublicKey(_coordinate(members, "x", 32))
        case "EC", "P-256" | "P-384" | "P-521" as name:
            kind = _EC_PUBLIC_KEYS[name]
            x, y = (_coordinate(members, axis, kind.CURVE.size) for axis in ("x", "y"))
            return kind(b"\x04" + x + y)
        case "RSA", None:
            return RsaPublicKey(_number(members, "n"), _number(members, "e"))
        case _:
            raise _unsupported()


class Ed25519Signer:
    """A signer that holds its key in memory, for tests, tools and envelope-encrypted local keys."""

    def __init__(self, seed: bytes, verification_method: str | None = None) -> None:
        """`seed` is the 32-byte private key of RFC 8032. Without a method it signs as its own did:key."""
        if len(seed) != 32:
            raise KeyRefused("an Ed25519 private key has 32 bytes")
        raw, self._secret = sodium.crypto_sign_seed_keypair(seed)
        self.public_key = Ed25519PublicKey(raw)
        multikey = self.public_key.multikey
        self.verification_method = verification_method or f"did:key:{multikey}#{multikey}"
        self.algorithm: Literal["EdDSA"] = "EdDSA"

    @property
    def did(self) -> str:
        return self.verification_method.partition("#")[0]

    def sign(self, data: bytes) -> bytes:
        return sodium.crypto_sign(data, self._secret)[:64]

    def __repr__(self) -> str:
        return f"Ed25519Signer({self.verification_method!r})"


class _EcSigner:
    """A signer on a curve of NIST that holds its key in memory."""

    CURVE: ClassVar[_Curve]

    def __init__(self, secret: bytes, verification_method: str | None = None) -> None:
        """`secret` is the private scalar, big-endian. Without a method it signs as its own did:key."""
        curve = self.CURVE
        if len(secret) != curve.size:
            raise KeyRefused(f"a {curve.name} private key has {curve.size} bytes")
        try:
            self._key = ec.derive_private_key(int.from_bytes(secret), curve.curve)
        except ValueError:
            raise KeyRefused(f"not a private key of {curve.name}") from None
        self.public_key = _EC_PUBLIC_KEYS[curve.name](_compressed(self._key.public_key()))
        multikey = self.public_key.multikey
        self.verification_method = verification_method or f"did:key:{multikey}#{multikey}"
        self.algorithm: Literal["ES256", "ES384", "ES512"] = curve.algorithm

    @property
    def did(self) -> str:
        return self.verification_method.partition("#")[0]

    def sign(self, data: bytes) -> bytes:
        """RFC 6979: equal bytes give equal signatures, so an interrupted signing can be done again (R1)."""
        der = self._key.sign(data, ec.ECDSA(self.CURVE.hash, deterministic_signing=True))
        return b"".join(half.to_bytes(self.CURVE.size) for half in utils.decode_dss_signature(der))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.verification_method!r})"


class P256Signer(_EcSigner):
    """Signs ES256 with a key in memory."""

    CURVE = P256


class P384Signer(_EcSigner):
    """Signs ES384 with a key in memory."""

    CURVE = P384


class P521Signer(_EcSigner):
    """Signs ES512 with a key in memory."""

    CURVE = P521


LocalSigner: TypeAlias = Ed25519Signer | P256Signer | P384Signer | P521Signer
_LOCAL_SIGNERS: Final[dict[Algorithm, type[LocalSigner]]] = {
    "EdDSA": Ed25519Signer,
    "ES256": P256Signer,
    "ES384": P384Signer,
    "ES512": P521Signer,
}


def local_signer(algorithm: Algorithm, secret: bytes, verification_method: str | None = None) -> LocalSigner:
    """The signer of that algorithm over a private key in memory. Raises KeyRefused."""
    return _LOCAL_SIGNERS[algorithm](secret, verification_method)


def new_secret(algorithm: Algorithm) -> bytes:
    """A fresh private key, as `local_signer` takes it. Raises KeyRefused for an algorithm that is only verified."""
    if algorithm == "EdDSA":
        return secrets.token_bytes(32)
    curve = next((one for one in (P256, P384, P521) if one.algorithm == algorithm), None)
    if curve is None:
        raise _unsupported()
    return ec.generate_private_key(curve.curve).private_numbers().private_value.to_bytes(curve.size)


def _unsupported() -> KeyRefused:
    return KeyRefused("the key type is not supported: Ed25519, P-256, P-384 and P-521 are", code="unsupported")


def _compressed(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)


def _number(jwk: dict[str, Any], name: str) -> int:
    """A Base64urlUInt (RFC 7518 §2)."""
    text = jwk.get(name)
    size = len(text) * 6 // 8 if isinstance(text, str) else 0
    if not 0 < size <= 1_024:
        raise KeyRefused(f"the JWK's {name} is not a number in base64url", code="key-length")
    return int.from_bytes(_coordinate(jwk, name, size))


def _coordinate(jwk: dict[str, Any], name: str, size: int) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str) or len(text) != (size * 8 + 5) // 6:
        raise KeyRefused(f"the JWK's {name} is not {size} bytes in base64url", code="key-length")
    try:
        return base64url.decode(text)
    except ValueError:
        raise KeyRefused(f"the JWK's {name} is not base64url") from None
