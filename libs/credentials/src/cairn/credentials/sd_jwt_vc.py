"""SD-JWT VC (draft-ietf-oauth-sd-jwt-vc), and the SD-JWT form of VC-JOSE-COSE: what they add to an SD-JWT."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from cairn.credentials.did import is_did
from cairn.credentials.errors import DidRefused, DocumentRefused, TokenRefused
from cairn.credentials.findings import Finding
from cairn.credentials.jose import check_payload
from cairn.credentials.keys import PublicKey, Signer
from cairn.credentials.sd_jwt import SdJwt, issue_sd_jwt
from cairn.credentials.structure import check_signs_for, check_unsigned

FORM: Final = "dc+sd-jwt"
_KINDS: Final = frozenset({"dc+sd-jwt", "vc+sd-jwt"})
"""The second is what drafts before -06 called it; VC-JOSE-COSE gave that name to something else."""
_NEVER_DISCLOSED: Final = ("iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status")
_NEVER_WITHHELD: Final = (
    *("@context", "type", "issuer", "validFrom", "validUntil", "credentialStatus", "credentialSchema"),
    *("iss", "nbf", "exp", "cnf"),
)
"""What a verifier needs in order to judge a credential (VC-JOSE-COSE §3.2.1)."""
_WELL_KNOWN: Final = "/.well-known/jwt-vc-issuer"


def issue_sd_jwt_vc(
    claims: dict[str, Any], signer: Signer, *, disclosable: Collection[str] = (), holder: PublicKey | None = None
) -> str:
    """The claims (`iss` and `vct` among them) as a `dc+sd-jwt`, bound to the holder's key if there is one (§2.2).

    `disclosable` are JSON pointers: `/given_name`, `/tags/0`. Raises DocumentRefused.
    """
    payload = claims | ({"cnf": {"jwk": holder.to_jwk()}} if holder else {})
    for finding in sd_jwt_vc_findings(payload):
        raise DocumentRefused(finding.detail, code=finding.code, pointer=finding.pointer)
    _check_disclosable(disclosable, _NEVER_DISCLOSED)
    check_signs_for(payload, signer.verification_method, "iss")
    key_id = signer.verification_method
    # Within JWT VC Issuer Metadata a key is known by its own name, not by a URL.
    named = key_id if is_did(payload["iss"]) else key_id.partition("#")[2]
    return issue_sd_jwt({"typ": FORM, "kid": named}, payload, signer, disclosable)


def sign_sd_jwt(
    document: dict[str, Any], signer: Signer, *, disclosable: Collection[str] = (), holder: PublicKey | None = None
) -> str:
    """The credential as a `vc+sd-jwt` (VC-JOSE-COSE §3.2.1), parts of it left to the holder.

    Raises DocumentRefused or ContextUnknown.
    """
    check_unsigned(document)
    check_payload(document)
    _check_disclosable(disclosable, _NEVER_WITHHELD)
    check_signs_for(document, signer.verification_method, "issuer")
    payload = document | ({"cnf": {"jwk": holder.to_jwk()}} if holder else {})
    header = {"typ": "vc+sd-jwt", "cty": "vc", "kid": signer.verification_method}
    return issue_sd_jwt(header, payload, signer, disclosable)


def _check_disclosable(disclosable: Collection[str], never: tuple[str, ...]) -> None:
    for pointer in disclosable:
        if pointer.split("/")[1:2] and pointer.split("/")[1] in never:
            raise DocumentRefused("that is never left to the holder", code="claim-disclosed", pointer=pointer)


def is_sd_jwt_vc(sd_jwt: SdJwt) -> bool:
    """By its `typ`; under the older one by its `vct`, and because it lacks the contexts that W3C's credentials have."""
    payload = sd_jwt.jws.payload
    return sd_jwt.jws.kind == FORM or (sd_jwt.jws.kind in _KINDS and "vct" in payload and "@context" not in payload)


def check_disclosed(sd_jwt: SdJwt) -> None:
    """§2.2.2.2: what says whose it is and whether it holds is the issuer's to say, whole. Raises TokenRefused."""
    for name in _NEVER_DISCLOSED:
        if sd_jwt.claims.get(name) != sd_jwt.jws.payload.get(name):
            raise TokenRefused(f"{name} is disclosed, which the holder must not choose", code="claim-disclosed")


def sd_jwt_vc_findings(claims: dict[str, Any]) -> Iterator[Finding]:
    """Everything in which the claims are not those of an SD-JWT VC (§2.2.2). Type metadata is not fetched."""
    issuer, kind = claims.get("iss"), claims.get("vct")
    if not (is_did(issuer) or (isinstance(issuer, str) and issuer.startswith("https://"))):
        yield Finding("issuer-malformed", "iss is neither an https URL nor a DID", "/iss")
    if not isinstance(kind, str) or ":" not in kind:
        yield Finding("type-missing", "vct does not name the type of the credential by a URI", "/vct")
    for name in ("iat", "nbf", "exp"):
        value = claims.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield Finding("date-malformed", f"{name} is not a number of seconds", f"/{name}")


def issuer_metadata_url(issuer: str) -> str:
    """§4.1: the well-known name goes between the host and the path. Raises DidRefused."""
    parts = urlsplit(issuer)
    if parts.scheme != "https" or not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc:
        raise DidRefused(f"{issuer[:120]!r} is not a plain https URL")
    return f"https://{parts.netloc}{_WELL_KNOWN}{parts.path.rstrip('/')}"


def jwks_uri(metadata: dict[str, Any], issuer: str) -> str | None:
    """Where the issuer's metadata says that its keys are; None where they are in it (§4.2). Raises DidRefused."""
    elsewhere = metadata.get("jwks_uri")
    if metadata.get("issuer") != issuer:
        raise DidRefused(f"the metadata found for {issuer[:120]} is another issuer's", code="did-document-other")
    if (elsewhere is None) is ("jwks" not in metadata):
        raise DidRefused("the issuer's metadata has not one of jwks and jwks_uri", code="did-document-malformed")
    if elsewhere is None:
        return None
    if not isinstance(elsewhere, str) or not elsewhere.startswith("https://") or len(elsewhere) > 2_000:
        raise DidRefused("the issuer's jwks_uri is not an https URL", code="did-document-malformed")
    return elsewhere
