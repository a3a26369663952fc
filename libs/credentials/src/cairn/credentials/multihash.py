"""SHA-256 as `digestMultibase` writes it (VC data model 2.0 §5.3): a sha2-256 multihash in base64url multibase."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final

from cairn.credentials.canonicalize import jcs

_SHA2_256: Final = b"\x12\x20"


def multibase_digest(digest: str) -> str:
    """Of a digest in hex."""
    return "u" + base64.urlsafe_b64encode(_SHA2_256 + bytes.fromhex(digest)).rstrip(b"=").decode()


def read_digest(value: Any) -> str | None:
    """The digest in hex, or None where it is something else."""
    if not isinstance(value, str) or not value.startswith("u") or len(value) > 100:
        return None
    try:
        data = base64.urlsafe_b64decode(value[1:] + "=" * (-(len(value) - 1) % 4))
    except ValueError:
        return None
    return data[2:].hex() if data[:2] == _SHA2_256 and len(data) == 34 else None


def digest_of(credential: dict[str, Any] | str) -> str:
    """SHA-256 in hex of a credential however its JSON was laid out: of its JCS form, or of a JWT's text.

    Raises DocumentRefused.
    """
    data = credential.encode() if isinstance(credential, str) else jcs(credential)
    return hashlib.sha256(data).hexdigest()
