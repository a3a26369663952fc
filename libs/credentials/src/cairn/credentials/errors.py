"""What the library refuses, each with a stable code, a sentence, and a JSON pointer where one applies."""

from __future__ import annotations

from typing import ClassVar


class CredentialError(Exception):
    """Base of every refusal: a stable `code`, one sentence, and an RFC 6901 pointer into the input if any."""

    default_code: ClassVar[str] = "credential-refused"

    def __init__(self, detail: str, *, code: str | None = None, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.code = code or self.default_code
        self.detail = detail
        self.pointer = pointer


class JsonRefused(CredentialError):
    """The text is not JSON that every reader understands alike (duplicate keys, NaN, depth, size)."""

    default_code = "json-refused"


class ContextUnknown(CredentialError):
    """The document names a JSON-LD context that is not bundled. It is never fetched (S2)."""

    default_code = "context-unknown"

    def __init__(self, url: str, *, pointer: str | None = "/@context") -> None:
        super().__init__(f"the context {url[:200]} is not bundled, and contexts are never fetched", pointer=pointer)
        self.url = url


class DocumentRefused(CredentialError):
    """The document cannot be signed or verified without leaving part of it out, or without unbounded effort."""

    default_code = "document-refused"


class KeyRefused(CredentialError):
    """Not a key, or not one of a type and use that fits."""

    default_code = "key-refused"


class ProofInvalid(CredentialError):
    """The proof does not hold."""

    default_code = "proof-invalid"


class ProofUnsupported(CredentialError):
    """The proof may hold, but its type or cryptosuite is not implemented here."""

    default_code = "unsupported"


class TokenRefused(CredentialError):
    """The JWT is malformed, or carries a header that must not be trusted (S4, S5, S6)."""

    default_code = "token-refused"


class DidRefused(CredentialError):
    """The DID, or the document found for it, is malformed or of an unsupported method."""

    default_code = "did-refused"


class StatusListRefused(CredentialError):
    """The status list is malformed, too short, too large, or does not speak for the credential (S11, S13)."""

    default_code = "status-list-refused"


class ImageRefused(CredentialError):
    """The image is malformed, or holds no badge, several, or one that must not be unpacked (S16 to S18)."""

    default_code = "image-refused"
