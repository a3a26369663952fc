"""Who calls, and what they may do.

A caller shows an access token: a JWT that the operator signed with Ed25519, with `tenant` and `scope`. The services
hold public keys only, so none of them can make a token. A caller without one has the settings' public scopes.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from joserfc import jwt
from joserfc.errors import BadSignatureError, DecodeError, ExpiredTokenError, JoseError
from joserfc.jwk import KeySet, OKPKey

from cairn.common.db import PLATFORM
from cairn.common.instants import CLOCK_TOLERANCE, utc_now
from cairn.common.problem import DomainError
from cairn.common.settings import HARMLESS_SCOPES, Settings
from cairn.common.tenancy import is_tenant

# EdDSA is the older name of the same algorithm (RFC 9864); identity providers still write it.
_ALGORITHMS: Final = ["Ed25519", "EdDSA"]
_AUDIENCE: Final = "cairn"
_MAX_TOKEN: Final = 8192
_NEAR: Final = re.compile(r"((?:[a-z0-9-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?", re.IGNORECASE)
"""A Host header of loopback: no name that somebody else's name server answers for."""

SCOPES: Final = {
    "platform:admin": "register institutions; see what belongs to no tenant",
    "achievements:read": "read achievements",
    "achievements:write": "publish and retire achievements",
    "keys:read": "list the keys of an institution",
    "keys:write": "rotate and revoke the keys of an institution",
    "learners:read": "read learners and their identifiers",
    "learners:write": "register, link, merge and erase learners",
    "completions:read": "read receipts",
    "completions:write": "post completions",
    "credentials:read": "read credentials",
    "credentials:issue": "sign any credential as the institution",
    "credentials:derive": "disclose a part of a credential that is brought",
    "credentials:write": "revoke, suspend and reinstate credentials",
    "frameworks:read": "read frameworks",
    "frameworks:write": "write and publish frameworks",
    "audits:read": "read learners' holdings, audits and awards",
    "decisions:write": "decide on learners: waive, substitute, recognise, move, enrol, settle reviews",
    "audits:evaluate": "ask a stateless audit",
    "verifications:create": "verify a credential",
    "verifications:read": "read verifications",
    "dead-letters:read": "list dead letters and stuck awards",
    "dead-letters:write": "replay dead letters, and repair stuck awards",
}


class Unauthenticated(DomainError):
    code = "unauthenticated"


class Forbidden(DomainError):
    code = "forbidden"


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: `id` names a client or a person, `tenant` the institution for which it acts."""

    id: str
    tenant: str
    scopes: frozenset[str]

    def need(self, scope: str) -> None:
        """Raises Forbidden, naming the scope that is missing."""
        if scope not in self.scopes:
            raise Forbidden(f"This needs the scope {scope}.", fix=f"Use an access token whose scope includes {scope}.")


class Authenticator:
    """Checks access tokens: one algorithm a key, and no key is ever taken from the token (S4, S5)."""

    def __init__(self, settings: Settings) -> None:
        try:
            self._keys = KeySet.import_key_set(json.loads(_read(settings.auth_jwks)))
        except (OSError, JoseError, ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"CAIRN_AUTH_JWKS is neither a JWK set with a key nor the path of one ({type(error).__name__})"
            ) from None
        if any(key.is_private or not isinstance(key, OKPKey) or key.curve_name != "Ed25519" for key in self._keys.keys):
            raise ValueError("CAIRN_AUTH_JWKS must hold public Ed25519 keys only")
        self._claims = jwt.JWTClaimsRegistry(
            leeway=int(CLOCK_TOLERANCE.total_seconds()),
            iss={"essential": True, "value": settings.auth_issuer},
            aud={"essential": True, "value": _AUDIENCE},
            sub={"essential": True},
            exp={"essential": True},
        )
        self._public = Principal("public", PLATFORM, settings.public_scopes)

    def principal(self, token: str | None) -> Principal:
        """Raises Unauthenticated. The text never repeats the token (S30)."""
        if token is None:
            return self._public
        if len(token) > _MAX_TOKEN:
            raise Unauthenticated("The access token is too long.", fix=_ANOTHER)
        try:
            decoded = jwt.decode(token, self._keys, algorithms=_ALGORITHMS)
            self._claims.validate(decoded.claims)
        except (JoseError, ValueError, TypeError) as error:
            why = _WHY.get(type(error), f"was refused ({type(error).__name__})")
            raise Unauthenticated(f"The access token {why}.", fix=_ANOTHER) from None
        claims = decoded.claims
        tenant, scope = claims.get("tenant"), claims.get("scope", "")
        # A tenant becomes part of the setting that row-level security reads, where `*` and `,` have a meaning.
        if not isinstance(tenant, str) or not is_tenant(tenant) or not isinstance(scope, str):
            raise Unauthenticated("The access token lacks a tenant or a scope.", fix=_ANOTHER)
        return Principal(str(claims["sub"]), tenant, frozenset(scope.split()) & SCOPES.keys() | self._public.scopes)


_HEADER: Final = "Send 'Authorization: Bearer <token>'."
_ANOTHER: Final = "Ask the operator for a new one: `python -m cairn.common.auth mint` makes it."
_WHY: Final[Mapping[type[Exception], str]] = {
    ExpiredTokenError: "has expired",
    BadSignatureError: "is signed by no key that is known here",
    DecodeError: "is no JWT",
}

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="An access token of the operator.")


def requires(scope: str) -> Callable[..., Awaitable[Principal]]:
    """A FastAPI dependency: the principal, who has `scope`. Use with `Depends(..., scope="function")`-free routes."""
    if scope not in SCOPES:
        raise ValueError(f"unknown scope {scope}")

    async def authenticate(
        request: Request, credentials: HTTPAuthorizationCredentials | None = Security(_bearer)
    ) -> Principal:
        authenticator: Authenticator = request.app.state.authenticator
        header = request.headers.get("authorization")
        if header and credentials is None:
            raise Unauthenticated("The Authorization header is of another form.", fix=_HEADER)
        principal = authenticator.principal(credentials.credentials if credentials else None)
        if credentials is None and scope not in principal.scopes:
            raise Unauthenticated("This needs an access token.", fix=_HEADER)
        # A page whose own name was made to lead here is, to the browser, one origin with us (DNS rebinding, S35).
        host = request.headers.get("host", "")
        if credentials is None and scope not in HARMLESS_SCOPES and not _NEAR.fullmatch(host):
            raise Unauthenticated(
                "Without an access token this is only open by a name of loopback.", fix="Call it at http://localhost."
            )
        principal.need(scope)
        request.state.principal = principal
        return principal

    authenticate.__name__ = f"requires_{scope.replace(':', '_').replace('-', '_')}"
    authenticate.required_scope = scope  # pyright: ignore[reportFunctionMemberAccess] - read by the test over all routes
    return authenticate


def new_signing_key() -> OKPKey:
    """An Ed25519 key for the operator's tokens."""
    return OKPKey.generate_key("Ed25519", {"kid": secrets.token_hex(8), "use": "sig"})


def public_jwks(key: OKPKey) -> str:
    """The JWK set which the services are given."""
    return json.dumps({"keys": [key.as_dict(private=False)]})


def mint(
    key: OKPKey,
    subject: str,
    tenant: str,
    scopes: list[str],
    *,
    issuer: str = "cairn",
    valid: timedelta = timedelta(days=365),
) -> str:
    """An access token. Raises ValueError for a scope that does not exist, and for what cannot be a tenant."""
    if not is_tenant(tenant):
        raise ValueError(f"{tenant!r} is no tenant: that is an institution's id, or {PLATFORM}")
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise ValueError(f"unknown scopes: {', '.join(unknown)}; there are: {', '.join(SCOPES)}")
    now = utc_now()
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": _AUDIENCE,
        "sub": subject,
        "tenant": tenant,
        "scope": " ".join(scopes),
        "iat": int(now.timestamp()),
        "exp": int((now + valid).timestamp()),
        "jti": secrets.token_hex(8),
    }
    return jwt.encode({"alg": "Ed25519", "kid": key.kid, "typ": "at+jwt"}, claims, key, algorithms=_ALGORITHMS)


def _read(value: str) -> str:
    return value if value.lstrip().startswith("{") else Path(value).read_text("utf-8")


def main(arguments: list[str]) -> int:
    """`keygen FILE` writes a key and prints the public set; `mint FILE SUBJECT TENANT SCOPE…` prints a token."""
    try:
        return _main(arguments)
    except (OSError, ValueError, TypeError, JoseError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _main(arguments: list[str]) -> int:
    match arguments:
        case ["keygen", file]:
            path = Path(file)
            path.touch(mode=0o600, exist_ok=False)
            key = new_signing_key()
            path.write_text(json.dumps(key.as_dict(private=True)), "utf-8")
            sys.stdout.write(public_jwks(key) + "\n")
        case ["mint", file, subject, tenant, *scopes] if scopes:
            key = OKPKey.import_key(json.loads(Path(file).read_text("utf-8")))
            sys.stdout.write(mint(key, subject, tenant, scopes) + "\n")
        case _:
            scopes = "".join(f"  {scope:24} {meaning}\n" for scope, meaning in SCOPES.items())
            sys.stderr.write(
                f"usage: python -m cairn.common.auth keygen FILE | mint FILE SUBJECT TENANT SCOPE…\nscopes:\n{scopes}"
            )
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
