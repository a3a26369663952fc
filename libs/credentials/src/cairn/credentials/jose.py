"""VC-JOSE-COSE `vc+jwt` and `vp+jwt`, and the JWT form of Open Badges 3.0 §8.2.4."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import floor
from typing import Any, Final

from cairn.credentials.canonicalize.compact_form import refuse_rekeyed
from cairn.credentials.did import did_of
from cairn.credentials.errors import DocumentRefused, TokenRefused
from cairn.credentials.instants import parse_instant
from cairn.credentials.jws import Jws, instant_claim, read_jws, sign_jws
from cairn.credentials.keys import Signer
from cairn.credentials.shape import Survey, id_of, is_object, survey, types_of
from cairn.credentials.structure import VC2, check_signs_for, check_unsigned, check_unsigned_presentation

CREDENTIAL_KINDS: Final = frozenset({"vc+jwt", "vc+ld+jwt", "jwt"})
PRESENTATION_KINDS: Final = frozenset({"vp+jwt", "vp+ld+jwt"})
SD_KINDS: Final = frozenset({"vc+sd-jwt", "vp+sd-jwt"})
_CONTENT: Final = frozenset({None, "vc", "vp", "vc+ld+json", "vp+ld+json"})
_CLAIMS: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf"})
_WRAPPERS: Final = ("vc", "vp")


@dataclass(frozen=True, slots=True)
class Token:
    """What a JWT says, not verified: its own claims, and the credential or presentation beside them."""

    jws: Jws
    claims: dict[str, Any]
    document: dict[str, Any]

    @property
    def is_badge(self) -> bool:
        """The JWT form of Open Badges (`typ` JWT or none), whose claims repeat the credential."""
        return self.jws.kind == "jwt"

    @property
    def is_presentation(self) -> bool:
        return _presents(self.jws.kind, self.document)


def sign_jwt(document: dict[str, Any], signer: Signer) -> str:
    """The credential as a compact `vc+jwt` (VC-JOSE-COSE §3.1.1), `kid` being the signer's verification method.

    Carries the claims that Open Badges 3.0 §8.2.4.1 asks for: iss, jti, nbf, and sub and exp where there are such.
    Raises DocumentRefused or ContextUnknown.
    """
    check_unsigned(document)
    surveyed = check_payload(document)
    check_signs_for(document, signer.verification_method, "issuer")
    header = {"typ": "vc+jwt", "cty": "vc", "kid": signer.verification_method}
    return sign_jws(header, document | _claims_of(document), signer, surveyed)


def sign_presentation_jwt(
    document: dict[str, Any],
    signer: Signer,
    *,
    issued: datetime,
    challenge: str | None = None,
    domain: str | None = None,
    expires: datetime | None = None,
) -> str:
    """The presentation as a compact `vp+jwt` (VC-JOSE-COSE §3.1.2), for the verifier at `domain` who sent `challenge`.

    Raises ContextUnknown or DocumentRefused, also where a credential in it is neither secured nor enveloped (§3.1.2).
    """
    check_unsigned_presentation(document, signer.verification_method)
    check_payload(document)
    claims: dict[str, Any] = {
        "iss": did_of(signer.verification_method),
        "jti": document.get("id"),
        "iat": int(issued.timestamp()),
        "exp": int(expires.timestamp()) if expires else None,
        "nonce": challenge,
        "aud": domain,
    }
    header = {"typ": "vp+jwt", "cty": "vp", "kid": signer.verification_method}
    return sign_jws(header, document | {name: value for name, value in claims.items() if value is not None}, signer)


def check_payload(document: dict[str, Any]) -> Survey:
    """What could not be read again as it was signed. Raises DocumentRefused or ContextUnknown."""
    surveyed = survey(document)
    refuse_rekeyed(document, surveyed)
    for name in (*_CLAIMS, *_WRAPPERS, "nonce"):
        if name in document:
            raise DocumentRefused(f"{name} is a claim of the token's own", code="claim-reserved", pointer=f"/{name}")
    return surveyed


def enveloped(token: str) -> dict[str, Any]:
    """A signed credential or presentation, as an object (VC data model 2.0 §4.13.1, §4.13.2). Raises TokenRefused."""
    kind = read_jws(token.partition("~")[0]).kind
    what = "Presentation" if kind.startswith("vp") else "Credential"
    return {"@context": VC2, "id": f"data:application/{kind},{token}", "type": f"EnvelopedVerifiable{what}"}


def read_token(text: str) -> Token:
    """Parses a compact JWT that holds a credential or a presentation. Raises TokenRefused, as `read_jws` does."""
    return token_of(read_jws(text), CREDENTIAL_KINDS | PRESENTATION_KINDS)


def token_of(jws: Jws, kinds: frozenset[str]) -> Token:
    """The token of a JWS that must be of one of `kinds`. Raises TokenRefused."""
    if jws.kind not in kinds or jws.content not in _CONTENT:
        detail = f"the token's type {jws.kind[:40]} is not that of a credential or a presentation"
        raise TokenRefused(detail, code="unsupported")
    wrapped = [name for name in _WRAPPERS if name in jws.payload]
    if wrapped:
        return _of_model_1(jws, wrapped)
    # `nonce` is the challenge of a presentation; in a credential it would be a term like any other.
    own = _CLAIMS | {"nonce"} if _presents(jws.kind, jws.payload) else _CLAIMS
    document = jws.payload.copy()
    return Token(jws, claims={name: document.pop(name) for name in own if name in document}, document=document)


def _of_model_1(jws: Jws, wrapped: list[str]) -> Token:
    """The JWT form of data model 1.1 (§6.3.1): the document is one claim of a plain `JWT`, and repeats the others.

    VC-JOSE-COSE 1.0 forbids that claim in its own types. Raises TokenRefused.
    """
    name = wrapped[0]
    document = jws.payload[name]
    if jws.kind != "jwt" or len(wrapped) > 1 or not is_object(document):
        raise TokenRefused(f"the payload is the credential: a {name} claim must not be present", code="vc-claim")
    if _presents(jws.kind, document) is not (name == "vp"):
        raise TokenRefused(f"the {name} claim holds something else", code="vc-claim")
    own = {one: jws.payload[one] for one in _CLAIMS | {"nonce"} if one in jws.payload}
    return Token(jws, claims=own, document=document)


def claim_mismatches(token: Token) -> list[str]:
    """The claims that say otherwise than the document (Open Badges 3.0 §8.2.4.1; VC-JOSE-COSE §3.1.3)."""
    document = token.document
    subject = document.get("credentialSubject")
    said: dict[str, Any] = {
        "iss": id_of(document.get("holder" if token.is_presentation else "issuer")),
        "jti": document.get("id"),
        "sub": id_of(subject) if is_object(subject) else None,
    }
    if token.is_presentation:
        # Whom a presentation is about is for its credentials to say; and it may leave its holder and id to the JWT.
        said = {name: said[name] for name in ("iss", "jti") if said[name] is not None}
    wrong = [name for name, value in said.items() if name in token.claims and token.claims[name] != value]
    # In a vc+jwt these are the times of the signature, not of the credential (VC-JOSE-COSE §3.1.3); both are kept to.
    for name, term in (("nbf", "validFrom"), ("exp", "validUntil")):
        claimed = instant_claim(token.claims, name)
        stated = parse_instant(document.get(term)) if token.is_badge else None
        differs = stated is not None and claimed != stated.replace(microsecond=0)
        if name in token.claims and (claimed is None or differs):
            wrong.append(name)
    return wrong


def _presents(kind: str, document: dict[str, Any]) -> bool:
    return kind in (*PRESENTATION_KINDS, "vp+sd-jwt", "vp+cose") or (
        kind == "jwt" and "VerifiablePresentation" in types_of(document)
    )


def _claims_of(document: dict[str, Any]) -> dict[str, Any]:
    subject = document["credentialSubject"]
    claims: dict[str, Any] = {
        "iss": id_of(document["issuer"]),
        "jti": document.get("id"),
        "sub": id_of(subject) if is_object(subject) else None,
    }
    for name, term in (("nbf", "validFrom"), ("exp", "validUntil")):
        instant = parse_instant(document.get(term))
        claims[name] = floor(instant.timestamp()) if instant else None
    return {name: value for name, value in claims.items() if value is not None}
