"""How things are named: DIDs, URLs and the ids that are the same however often a thing is made."""

from __future__ import annotations

import secrets
import time
from urllib.parse import quote, urlsplit
from uuid import UUID

from cairn.common.events import stable_id


def issuer_did(public_url: str, tenant: str) -> str:
    """did:web of the institution's DID document under the public URL (did:web method, section 3.2)."""
    parts = urlsplit(public_url)
    host = quote(parts.netloc, safe="")
    path = [segment for segment in parts.path.split("/") if segment]
    return ":".join(["did:web", host, *(quote(segment, safe="") for segment in (*path, "institutions", tenant))])


def own_tenant(key_type: str) -> str:
    """The tenant of the installation's own institution, on one person's machine, for keys of that type."""
    return f"own-{key_type.lower()}"


def achievement_id(public_url: str, tenant: str, code: str) -> str:
    return f"{public_url}/achievements/{tenant}/{code}"


def status_list_url(public_url: str, tenant: str, list_id: int, purpose: str) -> str:
    return f"{public_url}/status/{tenant}/{list_id}/{purpose}"


def refresh_url(public_url: str, credential_id: str) -> str:
    return f"{public_url}/v1/credentials/{credential_id}/renewal"


def new_learner_id() -> str:
    """Opaque, and roughly in order of registration, so that an index on it stays compact."""
    return f"lrn_{int(time.time() * 1000):012x}{secrets.token_hex(10)}"


def completion_id(tenant: str, given: str | None, learner: str, achievement: str, completed_at: str) -> UUID:
    """By the LMS's own id where it gave one, else by what was completed, by whom and when."""
    if given is not None:
        return stable_id("completion", tenant, "given", given)
    return stable_id("completion", tenant, "facts", learner, achievement, completed_at)


def renewal_id(tenant: str, credential: str) -> UUID:
    """Of the completion on which a credential is renewed: it is renewed once."""
    return stable_id("completion", tenant, "renewal", credential)


def credential_id(origin: str) -> str:
    """One credential for one completion or award, whoever makes it and however often it is tried."""
    return f"urn:uuid:{stable_id('credential', origin)}"
