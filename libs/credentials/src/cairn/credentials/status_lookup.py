"""What each kind of `credentialStatus` says, once its list is at hand.

The lists are asked for through `Lists`, which has already judged their proofs. Nothing is fetched here.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from cairn.credentials import checks
from cairn.credentials.errors import StatusListRefused
from cairn.credentials.findings import Check, Finding
from cairn.credentials.secured import Secured
from cairn.credentials.shape import id_of, is_object, listed, text_of, types_of
from cairn.credentials.status import read_status
from cairn.credentials.status_entry import read_entry

REVOCATION_LIST: Final = "1EdTechRevocationList"


class Lists(Protocol):
    """Where lists come from; a Check instead of one says why there is none."""

    async def signed_list(self, url: str, issuer: str | None) -> dict[str, Any] | Check:
        """The list credential at `url`, of that issuer, its own proof and period having passed."""
        ...

    async def plain_list(self, url: str) -> dict[str, Any] | Check:
        """The JSON object at `url`, which nobody signed."""
        ...


async def look_up(secured: Secured, entry: Any, where: str, lists: Lists) -> Check:
    """The answer of one entry. `where` is the pointer to it."""
    try:
        if is_object(entry) and REVOCATION_LIST in types_of(entry):
            return await _revocation_list(secured, entry, where, lists)
        return await _bit(secured, entry, where, lists)
    except StatusListRefused as refusal:
        return checks.refused(refusal, where)


async def _bit(secured: Secured, entry: Any, where: str, lists: Lists) -> Check:
    """Bitstring Status List §3.2, steps 4 to 14; StatusList2021 likewise."""
    found = read_entry(entry)
    _https(found.url)
    status_list = await lists.signed_list(found.url, secured.issuer)
    if isinstance(status_list, Check):
        return status_list
    value = read_status(found, status_list, issuer=secured.issuer or "")
    if found.purpose == "message":
        return checks.passed("status-message", f"the issuer says: {found.message(value)[:200]}")
    if not value:
        word = checks.SET.get(found.purpose, "set")
        return checks.passed(f"not-{word}", f"the bit of {found.purpose[:40]} is not set")
    if found.purpose == "refresh":
        return checks.passed("refresh-available", "the issuer offers a newer credential")
    if found.purpose not in checks.SET:
        raise StatusListRefused(f"the purpose {found.purpose[:40]} is not understood here", code="unsupported")
    word = checks.SET[found.purpose]
    return checks.failed([Finding(word, f"the issuer has {word} the credential", where)])


async def _revocation_list(secured: Secured, entry: dict[str, Any], where: str, lists: Lists) -> Check:
    """1EdTech Revocation List Status Method 1.0: a list of the ids that were revoked, by the issuer's own word.

    Nobody signs it. What it says of a credential counts because the credential, which is signed, names its URL.
    """
    url, named = text_of(entry.get("id")) or "", text_of(secured.document.get("id"))
    _https(url)
    if named is None:
        raise StatusListRefused("a credential without an id is on no revocation list", code="status-entry-malformed")
    found = await lists.plain_list(url)
    if isinstance(found, Check):
        return found
    if found.get("id", url) != url:
        raise StatusListRefused("the revocation list has another id than the entry says", code="status-list-other")
    if id_of(found.get("issuer")) != secured.issuer:
        raise StatusListRefused("the revocation list is another issuer's", code="status-list-issuer")
    if REVOCATION_LIST not in types_of(found) or "revokedCredential" not in found:
        raise StatusListRefused("what was found is not a revocation list", code="status-list-malformed")
    for one in listed(found["revokedCredential"]):
        if id_of(one) is None:
            raise StatusListRefused("an entry of the revocation list has no id", code="status-list-malformed")
        if id_of(one) == named and (not is_object(one) or one.get("revoked", True) is not False):
            return checks.failed([Finding("revoked", "the issuer has revoked the credential", where)])
    return checks.passed("not-revoked", "the credential is not on the issuer's revocation list")


def _https(url: str) -> None:
    if not url.startswith("https://") or len(url) > 2_000:
        raise StatusListRefused("the list's address is not an https URL", code="status-entry-malformed")
