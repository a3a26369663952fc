"""SD-JWT (RFC 9901): claims that a holder may show or hold back, and the proof that it is the holder who shows them.

An SD-JWT is `<issuer's JWT>~<disclosure>~…~<key binding JWT or nothing>`. The issuer signs digests; `reveal` puts what
is disclosed in their place, and refuses everything that could be read in two ways.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256, sha384, sha512
from typing import Any, Final

from cairn.credentials import base64url
from cairn.credentials.errors import DocumentRefused, JsonRefused, KeyRefused, TokenRefused
from cairn.credentials.findings import Finding
from cairn.credentials.jws import Jws, b64url_decoded, instant_claim, read_jws, sign_jws, verify_jws
from cairn.credentials.keys import PublicKey, Signer, public_key_from_jwk
from cairn.credentials.shape import is_list, is_object, listed
from cairn.credentials.strict_json import parse_json

_HASHES: Final = {"sha-256": sha256, "sha-384": sha384, "sha-512": sha512}
_RESERVED: Final = frozenset({"_sd", "..."})
_MAX_DISCLOSURES: Final = 500
_MAX_DEPTH: Final = 64


@dataclass(frozen=True, slots=True)
class SdJwt:
    """An SD-JWT that was read, and not verified, but for its disclosures: each is one that the issuer's JWT digests."""

    jws: Jws
    claims: dict[str, Any]
    """The issuer's payload with what is disclosed in its place, and without the digests."""
    disclosed: dict[str, str]
    """Disclosure -> JSON pointer of what it discloses."""
    shown: str
    """What the holder signs: everything up to the last tilde."""
    binding: Jws | None
    """The key binding JWT."""

    @property
    def holder_key(self) -> PublicKey | None:
        """The key that the issuer has bound it to (`cnf`, RFC 7800). Raises KeyRefused."""
        cnf = self.jws.payload.get("cnf")
        if cnf is None:
            return None
        if not is_object(cnf) or "jwk" not in cnf:
            raise KeyRefused("cnf names its key by other means than jwk", code="unsupported")
        return public_key_from_jwk(cnf["jwk"])


def issue_sd_jwt(
    header: dict[str, Any],
    payload: dict[str, Any],
    signer: Signer,
    disclosable: Collection[str],
    salt: Callable[[], str] = lambda: secrets.token_urlsafe(16),
) -> str:
    """The payload signed, each of the JSON pointers in `disclosable` for the holder to show or hold back (§4.2).

    `salt` gives a fresh text of 128 random bits at each call. Raises DocumentRefused.
    """
    if any(name in _RESERVED or name == "_sd_alg" for name in _names(payload)):
        raise DocumentRefused("the names _sd, _sd_alg and ... are not for claims", code="claim-reserved")
    concealed: dict[str, Any] = json.loads(json.dumps(payload))
    disclosures: list[str] = []
    # The deepest first, so that a digest lies within the disclosure of what holds it (§4.2.6).
    for pointer in sorted(set(disclosable), key=lambda one: (-one.count("/"), one)):
        holder, key = _resolve(concealed, pointer)
        named = [key] if is_object(holder) else []
        disclosure = base64url.encode(json.dumps([salt(), *named, holder[key]], ensure_ascii=False).encode())
        digest = base64url.encode(sha256(disclosure.encode()).digest())
        if is_object(holder):
            del holder[key]
            holder["_sd"] = sorted([*holder.get("_sd", []), digest])  # in an order that betrays nothing (§4.2.4.1)
        else:
            holder[key] = {"...": digest}
        disclosures.append(disclosure)
    if disclosures:
        concealed["_sd_alg"] = "sha-256"
    return "~".join([sign_jws(header, concealed, signer), *disclosures, ""])


def present_sd_jwt(
    text: str,
    disclose: Collection[str],
    signer: Signer | None = None,
    *,
    issued: datetime | None = None,
    challenge: str | None = None,
    domain: str | None = None,
) -> str:
    """What the holder shows: the pointers of `disclose`, and what they lie within, signed with the key of `cnf` (§7.2).

    Without `signer` there is no key binding. Raises TokenRefused, or DocumentRefused for what is not there to disclose.
    """
    whole = read_sd_jwt(text)
    for pointer in disclose:
        if pointer not in whole.disclosed.values():
            raise DocumentRefused("there is no disclosure of that", code="disclosure-missing", pointer=pointer)
    chosen = [
        disclosure
        for disclosure, where in whole.disclosed.items()
        if any(pointer == where or pointer.startswith(f"{where}/") for pointer in disclose)
    ]
    shown = "~".join([text.partition("~")[0], *chosen, ""])
    if signer is None:
        return shown
    if issued is None or challenge is None or domain is None:
        raise DocumentRefused(
            "a key binding JWT has an instant, a nonce and an audience", code="key-binding-incomplete"
        )
    claims = {"iat": int(issued.timestamp()), "aud": domain, "nonce": challenge, "sd_hash": _hash_of(whole.jws, shown)}
    return shown + sign_jws({"typ": "kb+jwt"}, claims, signer)


def read_sd_jwt(text: str) -> SdJwt:
    """Parses an SD-JWT, with or without key binding, and reveals what it discloses (§7.1). Raises TokenRefused."""
    if not text.isascii():
        raise TokenRefused("an SD-JWT is written in base64url")
    issued, *disclosures, binding = text.split("~")
    if len(disclosures) > _MAX_DISCLOSURES:
        raise TokenRefused(f"more than {_MAX_DISCLOSURES} disclosures", code="too-large")
    jws = read_jws(issued)
    claims, disclosed = reveal(jws.payload, disclosures)
    return SdJwt(
        jws=jws,
        claims=claims,
        disclosed=disclosed,
        shown=text[: len(text) - len(binding)],
        binding=read_jws(binding) if binding else None,
    )


def reveal(payload: dict[str, Any], disclosures: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """§7.1 step 3: the claims, and each disclosure with the pointer of what it discloses. Raises TokenRefused."""
    run = _Revealing(payload, disclosures)
    claims: dict[str, Any] = run.value({name: value for name, value in payload.items() if name != "_sd_alg"}, "", 1)
    if run.pending:
        raise TokenRefused("a disclosure discloses nothing that the issuer signed", code="disclosure-unreferenced")
    return claims, run.disclosed


def binding_findings(
    sd_jwt: SdJwt,
    key: PublicKey,
    *,
    challenge: str | None,
    domain: str | None,
    at: datetime,
    tolerance: timedelta,
    lifetime: timedelta,
) -> Iterator[Finding]:
    """§7.3 step 5: everything in which the key binding JWT does not prove that the holder shows this, here and now.

    Its age only counts where a challenge was sent: what somebody keeps as a file was shown to somebody else, once.
    """
    binding = sd_jwt.binding
    if binding is None:
        yield Finding("key-binding-missing", "the holder has not signed what is shown")
        return
    claims = binding.payload
    if binding.kind != "kb+jwt" or binding.embedded_key is not None:
        yield Finding("key-binding-malformed", "it is not a key binding JWT")
    try:
        verify_jws(binding, key)
    except TokenRefused as refusal:
        yield Finding(f"key-binding-{refusal.code}", f"the holder's signature: {refusal.detail}")
    if claims.get("sd_hash") != _hash_of(sd_jwt.jws, sd_jwt.shown):
        yield Finding("sd-hash-mismatch", "the holder has signed something other than what is shown")
    issued = instant_claim(claims, "iat")
    if issued is None or not isinstance(claims.get("nonce"), str) or not isinstance(claims.get("aud"), str):
        yield Finding("key-binding-malformed", "a key binding JWT has iat, nonce and aud")
    elif issued > at + tolerance:
        yield Finding("key-binding-from-future", "the holder has signed in the future")
    elif challenge is not None and issued + lifetime + tolerance < at:
        yield Finding("key-binding-stale", "the holder has signed too long ago")
    if challenge is not None and claims.get("nonce") != challenge:
        yield Finding("challenge-mismatch", "the holder does not answer the challenge")
    if domain is not None and claims.get("aud") != domain:
        yield Finding("domain-mismatch", "the holder shows it to another verifier")


class _Revealing:
    """What was found so far: no digest and no disclosure may occur twice."""

    def __init__(self, payload: dict[str, Any], disclosures: Sequence[str]) -> None:
        name = payload.get("_sd_alg", "sha-256")
        if not isinstance(name, str) or name not in _HASHES:
            raise TokenRefused(f"digests of {str(name)[:40]} are not implemented here", code="unsupported")
        self.pending: dict[str, str] = {}
        self.disclosed: dict[str, str] = {}
        self.seen: set[str] = set()
        for disclosure in disclosures:
            digest = base64url.encode(_HASHES[name](disclosure.encode()).digest())
            if digest in self.pending:
                raise TokenRefused("two disclosures are the same", code="disclosure-repeated")
            self.pending[digest] = disclosure

    def value(self, value: Any, pointer: str, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise TokenRefused(f"nested deeper than {_MAX_DEPTH} levels", code="too-deep")
        if is_list(value):
            return list(self.elements(value, pointer, depth))
        return self.members(value, pointer, depth) if is_object(value) else value

    def members(self, value: dict[str, Any], pointer: str, depth: int) -> dict[str, Any]:
        if "..." in value or "_sd_alg" in value:
            raise TokenRefused("the names ... and _sd_alg are not for claims", code="claim-reserved")
        found = {
            name: self.value(member, f"{pointer}/{_escaped(name)}", depth + 1)
            for name, member in value.items()
            if name != "_sd"
        }
        digests = value.get("_sd", [])
        if not is_list(digests):
            raise TokenRefused("_sd is not a list of digests", code="disclosure-malformed")
        for digest in digests:
            entry = self.take(digest)
            if entry is None:
                continue
            content = _content(entry, 3)
            name = content[1]
            if not isinstance(name, str) or name in _RESERVED:
                raise TokenRefused("a disclosure names no claim", code="disclosure-malformed")
            if name in found:
                raise TokenRefused(f"the claim {name[:80]!r} would be there twice", code="duplicate-key")
            here = f"{pointer}/{_escaped(name)}"
            self.disclosed[entry] = here
            found[name] = self.value(content[2], here, depth + 1)
        return found

    def elements(self, value: list[Any], pointer: str, depth: int) -> Iterator[Any]:
        for position, element in enumerate(value):
            here = f"{pointer}/{position}"
            if not (is_object(element) and "..." in element):
                yield self.value(element, here, depth + 1)
                continue
            if len(element) != 1:
                raise TokenRefused("a digest in a list has something beside it", code="disclosure-malformed")
            entry = self.take(element["..."])
            if entry is not None:
                self.disclosed[entry] = here
                yield self.value(_content(entry, 2)[1], here, depth + 1)

    def take(self, digest: Any) -> str | None:
        if not isinstance(digest, str):
            raise TokenRefused("a digest is not text", code="disclosure-malformed")
        if digest in self.seen:
            raise TokenRefused("a digest occurs twice", code="digest-repeated")
        self.seen.add(digest)
        return self.pending.pop(digest, None)


def _content(disclosure: str, length: int) -> list[Any]:
    try:
        content = parse_json(b64url_decoded(disclosure, "disclosure"))
    except JsonRefused as refusal:
        raise TokenRefused(f"a disclosure: {refusal.detail}", code=refusal.code) from None
    if not is_list(content) or len(content) != length or not isinstance(content[0], str):
        raise TokenRefused("a disclosure is not what its place asks for", code="disclosure-malformed")
    return content


def _hash_of(jws: Jws, shown: str) -> str:
    return base64url.encode(_HASHES[jws.payload.get("_sd_alg", "sha-256")](shown.encode()).digest())


def _resolve(document: dict[str, Any], pointer: str) -> tuple[Any, Any]:
    """What a JSON pointer (RFC 6901) lies in, and its key there. Raises DocumentRefused."""
    holder: Any = {"": document}
    key: Any = ""
    for part in pointer.split("/")[1:]:
        holder = holder[key]
        key = part.replace("~1", "/").replace("~0", "~")
        if is_list(holder) and key.isdecimal() and int(key) < len(holder):
            key = int(key)
        elif not is_object(holder) or key not in holder:
            raise DocumentRefused("there is nothing to disclose", code="disclosure-missing", pointer=pointer)
    if not pointer.startswith("/"):
        raise DocumentRefused("what is disclosable is said by a JSON pointer", code="disclosure-missing")
    return holder, key


def _names(value: Any) -> Iterator[str]:
    if is_object(value):
        yield from value
    for member in value.values() if is_object(value) else listed(value) if is_list(value) else ():
        yield from _names(member)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
