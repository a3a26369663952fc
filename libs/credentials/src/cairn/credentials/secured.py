"""What was handed in, read once: an object with Data Integrity proofs, or a JWT, or one enveloped in the other."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

import orjson

from cairn.credentials import sd_jwt_vc
from cairn.credentials.baking import is_image, unbake
from cairn.credentials.bundle import context_hashes
from cairn.credentials.canonicalize import Met, Sight, look, meet
from cairn.credentials.cose import COSE_KINDS, COSE_START, cose_in, read_cose
from cairn.credentials.did import did_of
from cairn.credentials.errors import JsonRefused, ProofInvalid, TokenRefused
from cairn.credentials.jose import CREDENTIAL_KINDS, PRESENTATION_KINDS, SD_KINDS, Token, token_of
from cairn.credentials.jws import read_jws
from cairn.credentials.old_badge import OLD_FORM, OldBadge, is_old
from cairn.credentials.proofs import is_over_json
from cairn.credentials.sd_jwt import SdJwt, read_sd_jwt
from cairn.credentials.shape import Survey, id_of, is_object, listed, named_contexts, survey, text_of, types_of
from cairn.credentials.strict_json import check_json, parse_written
from cairn.credentials.structure import VC2

_MAX_BYTES: Final = 4 * 1024 * 1024
_MAX_VALUES: Final = 20_000
_MAX_PROOFS: Final = 8
_ENVELOPES: Final = frozenset({"EnvelopedVerifiableCredential", "EnvelopedVerifiablePresentation"})
_ENVELOPE: Final = re.compile(r"data:application/(?:(?:vc|vp)\+(?:sd-)?jwt|dc\+sd-jwt|jwt),(\S*)", re.IGNORECASE)
_COSE_ENVELOPE: Final = re.compile(r"data:application/v[cp]\+cose;base64,(\S*)\s?", re.IGNORECASE)


T = TypeVar("T")


class _Kept(Generic[T]):
    """As `functools.cached_property`, without the lock that this takes in Python 3.11: it costs more than the work."""

    def __init__(self, work: Callable[[Any], T]) -> None:
        self._work = work
        self._name = work.__name__

    def __get__(self, secured: Any, owner: type) -> T:
        found = secured.__dict__[self._name] = self._work(secured)
        return found


@dataclass
class Secured:
    """A credential or a presentation and what secures it, neither of them judged yet."""

    document: dict[str, Any]
    form: str
    proofs: tuple[dict[str, Any], ...] = ()
    token: Token | None = None
    old: OldBadge | None = None
    """What was handed in, where that is an Open Badge 2.0: then nothing else of this applies."""
    sd_jwt: SdJwt | None = None
    """Where the token is one of selective disclosure."""
    written: bytes | None = None
    """The document as orjson writes it, where that is known."""
    sight: Met | Sight | None = None
    """What `look` says of that, likewise."""

    @_Kept
    def met(self) -> Met | None:
        """It with others of its make, if such were met before."""
        return None if self.form == sd_jwt_vc.FORM else meet(self.document, self.written, self.sight)

    @_Kept
    def context_names(self) -> tuple[str, ...]:
        """Every context URL in the document, at any depth."""
        if self.met is not None:
            return self.met.make.context_names
        if self.surveyed_anyway is not None:
            return self.surveyed_anyway.context_names()
        places = [node for node in (self.document, *self.proofs) if "@context" in node]
        # Mostly there are no others, which counting tells sooner than looking everywhere.
        if _contexts_written(self) == len(places):
            return named_contexts([node["@context"] for node in places])
        return self.surveyed.context_names()

    @_Kept
    def surveyed(self) -> Survey:
        return self.met.make.surveyed if self.met else survey(self.document)

    @_Kept
    def surveyed_anyway(self) -> Survey | None:
        """`surveyed`, where it costs nothing: if it was met, or what secures it is over its JSON, all of it."""
        is_free = self.met is not None or self.token is not None or any(map(is_over_json, self.proofs))
        return self.surveyed if is_free else None

    @_Kept
    def is_presentation(self) -> bool:
        return self.token.is_presentation if self.token else "VerifiablePresentation" in types_of(self.document)

    @_Kept
    def issuer(self) -> str | None:
        """Who answers for it: a credential's issuer, a presentation's holder, who need not be named but has signed."""
        if self.form == sd_jwt_vc.FORM:
            return text_of(self.document.get("iss"))
        if not self.is_presentation:
            return id_of(self.document.get("issuer"))
        keys = [proof.get("verificationMethod") for proof in self.proofs]
        claims: dict[str, Any] = {}
        if self.token is not None:
            claims, keys = self.token.claims, [self.token.jws.key_id]
        signer = next((did_of(key) for key in keys if isinstance(key, str) and _is_absolute(key)), None)
        return id_of(self.document.get("holder")) or text_of(claims.get("iss")) or signer

    @_Kept
    def key_id(self) -> str | None:
        """The URL of the key that the token names; a bare name is one of the issuer's keys (VC-JOSE-COSE §3.3.1)."""
        named = self.token.jws.key_id if self.token is not None else None
        if named is None or _is_absolute(named):
            return named
        return f"{self.issuer}#{named.removeprefix('#')}"

    @property
    def cryptosuite(self) -> str | None:
        if self.token is not None:
            return self.token.jws.algorithm
        names = [text_of(proof.get("cryptosuite")) or text_of(proof.get("type")) for proof in self.proofs]
        return ", ".join(name[:80] for name in names if name) or None

    @property
    def signer_is_issuer(self) -> bool:
        """A JWT without `kid` is signed by one of its issuer's keys."""
        return self.token is not None and self.token.jws.key_id is None

    def signers(self) -> list[str | None]:
        """The DIDs whose keys the proofs, or the token, name."""
        if self.token is not None:
            return [did_of(self.key_id) if self.key_id else None]
        return [
            did_of(method) if (method := text_of(proof.get("verificationMethod"))) else None for proof in self.proofs
        ]


def read_secured(value: dict[str, Any] | str | bytes) -> Secured:
    """A credential, or an image with one baked in.

    Raises ImageRefused, JsonRefused, TokenRefused or ProofInvalid; its code is `unsupported` for foreign formats.
    """
    found = read_presented(value)
    if found.is_presentation:
        raise ProofInvalid("this is a presentation, which holds credentials", code="unsupported")
    return found


def read_presented(value: dict[str, Any] | str | bytes) -> Secured:
    """A credential or a presentation. Raises as `read_secured` does."""
    written = sight = None
    if isinstance(value, bytes) and value.startswith(COSE_START):
        return _from_cose(value)
    if isinstance(value, bytes) and not value.startswith(b"{"):
        try:
            value = unbake(value) if is_image(value) else value.decode()
        except UnicodeDecodeError:
            raise JsonRefused("neither JSON nor a JWT") from None
    if isinstance(value, bytes | str):
        text = value.strip(b" \t\r\n") if isinstance(value, bytes) else value.strip(" \t\r\n")
        if len(text) > _MAX_BYTES:
            raise JsonRefused(f"more than {_MAX_BYTES} bytes", code="too-large")
        if isinstance(text, str) and not text.startswith("{"):
            if text.startswith("https://") and len(text) <= 2_000:
                return Secured({}, OLD_FORM, old=OldBadge({"id": text}, by_address=True))
            if text.count(".") > 1 and not any(one in text for one in ' \n\t"<'):
                return _from_token(text)
        value, written, sight = parse_written(text, look, max_bytes=_MAX_BYTES, max_nodes=_MAX_VALUES)
    else:
        check_json(value, max_nodes=_MAX_VALUES)
    if not is_object(value):
        raise JsonRefused("a credential or presentation is a JSON object")
    if not _ENVELOPES.isdisjoint(types_of(value)):
        return _from_envelope(value)
    return _from_object(value, written, sight)


def used_contexts(secured: Secured) -> dict[str, str]:
    """URL -> sha256 of the bundled contexts that the document names, at any depth."""
    if secured.met is not None:
        return secured.met.make.contexts.copy()
    known = context_hashes()
    return {url: known[url] for url in secured.context_names if url in known}


def _from_token(text: str) -> Secured:
    if "~" in text:
        return _from_sd_jwt(read_sd_jwt(text))
    jws = read_jws(text)
    if is_old(jws.payload):
        return Secured(jws.payload, OLD_FORM, old=OldBadge(jws.payload, jws))
    token = token_of(jws, CREDENTIAL_KINDS | PRESENTATION_KINDS)
    return Secured(token.document, "vp+jwt" if token.is_presentation else "vc+jwt", token=token)


def _from_cose(data: bytes) -> Secured:
    if len(data) > _MAX_BYTES:
        raise TokenRefused(f"more than {_MAX_BYTES} bytes", code="too-large")
    token = token_of(read_cose(data), COSE_KINDS)
    return Secured(token.document, token.jws.kind, token=token)


def _from_sd_jwt(sd_jwt: SdJwt) -> Secured:
    jws = sd_jwt.jws
    if sd_jwt_vc.is_sd_jwt_vc(sd_jwt):
        sd_jwt_vc.check_disclosed(sd_jwt)
        return Secured(sd_jwt.claims, sd_jwt_vc.FORM, token=Token(jws, jws.payload, sd_jwt.claims), sd_jwt=sd_jwt)
    token = token_of(replace(jws, payload=sd_jwt.claims), SD_KINDS)
    return Secured(token.document, jws.kind, token=token, sd_jwt=sd_jwt)


def _from_envelope(envelope: dict[str, Any]) -> Secured:
    """VC data model 2.0 §4.13.1 and §4.13.2: a context that defines the envelope, its type, and a data: URL."""
    if VC2 not in listed(envelope.get("@context")):
        raise TokenRefused(f"the envelope's contexts lack {VC2}", code="context-order", pointer="/@context")
    url = text_of(envelope.get("id")) or ""
    data, cose = _ENVELOPE.fullmatch(url), _COSE_ENVELOPE.fullmatch(url)
    if data is None and cose is None:
        raise TokenRefused("the envelope's id is no data: URL of a form read here", code="unsupported", pointer="/id")
    found = _from_token(data[1]) if data else _from_cose(cose_in(cose[1] if cose else ""))
    if ("EnvelopedVerifiablePresentation" in types_of(envelope)) is not found.is_presentation:
        raise TokenRefused("the envelope holds something other than its type says", code="envelope-type", pointer="/id")
    return found


def _from_object(document: dict[str, Any], written: bytes | None, sight: Met | Sight | None) -> Secured:
    if is_old(document):
        return Secured(document, OLD_FORM, old=OldBadge(document))
    entries = listed(document.get("proof"))
    if not entries and "VerifiablePresentation" in types_of(document):
        return Secured(document, "unsigned", written=written, sight=sight)
    if not entries:
        raise ProofInvalid("the credential has no proof", code="proof-missing", pointer="/proof")
    if len(entries) > _MAX_PROOFS:
        raise ProofInvalid(f"more than {_MAX_PROOFS} proofs", code="too-complex", pointer="/proof")
    proofs = tuple([entry for entry in entries if is_object(entry)])
    if len(proofs) != len(entries):
        raise ProofInvalid("a proof is not an object", code="proof-malformed", pointer="/proof")
    return Secured(document, "data-integrity", proofs=proofs, written=written, sight=sight)


def _contexts_written(secured: Secured) -> int | None:
    """How many members are called so in its JSON, where orjson, which escapes no `@`, can write that."""
    try:
        return (secured.written or orjson.dumps(secured.document)).count(b'"@context":')
    except TypeError:
        return None


def _is_absolute(key_id: str) -> bool:
    return key_id.startswith(("did:", "https://"))
