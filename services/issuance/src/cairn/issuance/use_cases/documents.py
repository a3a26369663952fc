"""Credentials that a caller wrote, as public suites and other systems send them (VC-API).

Lint, record the intent, sign, compare, store (S26). Nothing is announced: what is said of whom is the caller's affair,
and no holding of a learner's comes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import uuid4

import orjson
from sqlalchemy import RowMapping

from cairn.common.auth import Principal
from cairn.common.db import PLATFORM, Transaction
from cairn.common.instants import parse_instant
from cairn.common.problem import DomainError, Fault
from cairn.credentials import CredentialError, PreparedProof, Signer, check_unsigned, enveloped, prepare, sign_jwt
from cairn.credentials import derive as disclose
from cairn.issuance.deps import Deps
from cairn.issuance.domain import documents, names
from cairn.issuance.domain.documents import Document, Purpose, Wanted
from cairn.issuance.domain.intents import WrongBytes
from cairn.issuance.store import credentials, people, status_lists
from cairn.issuance.use_cases import institutions
from cairn.issuance.use_cases.credentials import apply, document_of
from cairn.issuance.use_cases.issue import body_place

_ACTIONS: Final[Mapping[tuple[Purpose, bool], Any]] = {
    ("revocation", True): "revoke",
    ("suspension", True): "suspend",
    ("suspension", False): "reinstate",
}


async def issue(deps: Deps, principal: Principal, document: Document, want: Wanted) -> Document:
    """The secured credential. Raises DomainError `credential-refused`, `issuer-foreign`, `not-found`."""
    now = deps.now().replace(microsecond=0)
    tenant = await _tenant(deps, principal, want)
    id_, key = f"urn:uuid:{uuid4()}", deps.vault.new_key()
    async with deps.database.transaction(tenant) as tx:
        institution = await people.institution(tx, tenant)
        if institution is None:
            raise DomainError(f"The tenant {tenant} is not registered as an institution.", code="not-found")
        did: str = institution["did"]
        signer = await deps.keys.signer(tx, tenant, want.algorithm)
        try:
            document = documents.with_issuer(document, did)
            check_unsigned(document)
            document = documents.issued_by(document, did, whoever=_open(deps, principal))
            if want.cryptosuite is not None:
                document = documents.with_proof_terms(document)
            place = await _place(deps, tx, tenant, want)
            if place is not None:
                document = documents.with_status(document, _entries(deps, tenant, place, want))
            intent = await asyncio.to_thread(_intend, document, signer, want, now)
        except CredentialError as refusal:
            raise _refused(refusal) from None
        row = {
            "tenant": tenant,
            "id": id_,
            "document_id": document.get("id"),
            "key": key,
            "list_id": place[0] if place else None,
            "list_index": place[1] if place else None,
            "digest": intent.digest,
            "body": deps.vault.seal(key, orjson.dumps(intent.recorded), body_place(id_)),
        }
        await credentials.add_document(tx, row)
        await tx.commit()
    # From here on it is known what will be signed. A crash leaves an intent that nobody ever signs.
    async with deps.database.transaction(tenant) as tx:
        kept = await credentials.credential(tx, id_, lock=True)
        assert kept is not None
        signer = await deps.keys.signer(tx, tenant, want.algorithm)
        recorded = orjson.loads(deps.vault.open(kept["key"], kept["body"], body_place(id_)))
        secured = await asyncio.to_thread(_secure, recorded, intent, signer)
        body = deps.vault.seal(key, orjson.dumps(secured), body_place(id_))
        await credentials.mark_issued(tx, {id_: body}, now)
        await tx.commit()
    return secured


async def derive(credential: Document, pointers: Sequence[str]) -> Document:
    """What its holder shows of a credential: nothing of ours is needed, so nothing is asked or kept.

    Raises DomainError `credential-refused`.
    """
    try:
        return await asyncio.to_thread(disclose, credential, pointers)
    except CredentialError as refusal:
        raise _refused(refusal, "/verifiableCredential") from None


async def show(deps: Deps, principal: Principal, credential_id: str) -> Document:
    """The newest credential with that id, as it was issued. Raises DomainError `not-found`."""
    async with deps.database.transaction(_tenants(deps, principal)) as tx:
        for row in await credentials.documents(tx, credential_id):
            document = await document_of(tx, deps.vault, row)
            if document is not None:
                return document
    raise _not_found()


async def erase(deps: Deps, principal: Principal, credential_id: str) -> None:
    """Forget what callers had issued under that id. What a learner earned is erased with the learner, and not here.

    Raises DomainError `not-found`.
    """
    async with deps.database.transaction(_tenants(deps, principal)) as tx:
        rows = await credentials.documents(tx, credential_id, lock=True)
        written = [row["id"] for row in rows if row["learner_id"] is None]
        if not written:
            raise _not_found()
        await credentials.erase_documents(tx, written)
        await tx.commit()


async def change_status(deps: Deps, principal: Principal, credential_id: str, purpose: Purpose, *, value: bool) -> None:
    """Set or clear the bit of `purpose` of every credential that was issued under that id.

    Raises DomainError `not-found`, `status-refused`.
    """
    async with deps.database.transaction(_tenants(deps, principal)) as tx:
        rows = await credentials.documents(tx, credential_id, lock=True)
        if not rows:
            raise _not_found()
        if not any([await _change(deps, tx, principal, row, purpose, value=value) for row in rows]):
            raise DomainError(
                f"The credential has no entry for {purpose}.",
                code="status-refused",
                field="/credentialStatus/statusPurpose",
                fix="Issue it with such an entry.",
            )
        await tx.commit()


async def _change(
    deps: Deps, tx: Transaction, principal: Principal, row: RowMapping, purpose: Purpose, *, value: bool
) -> bool:
    """False where this credential publishes no status of that purpose."""
    document = await document_of(tx, deps.vault, row)
    if document is None or row["list_id"] is None:
        return False
    url = names.status_list_url(deps.settings.public_url, row["tenant_id"], row["list_id"], purpose)
    if not documents.has_status(document, url):
        return False
    action = _ACTIONS.get((purpose, value))
    if action is not None:
        await apply(tx, row, action, reason="by VC-API", principal=principal.id, now=deps.now())
    elif row["status"] == "revoked":
        raise DomainError("A revoked credential stays so.", code="status-refused", fix="Issue a new credential.")
    return True


@dataclass(frozen=True, slots=True)
class _Intent:
    """What will be signed: a token where there is no prepared proof."""

    recorded: Document
    digest: bytes
    prepared: PreparedProof | None


def _intend(document: Document, signer: Signer, want: Wanted, now: datetime) -> _Intent:
    """Lints. Raises CredentialError, as signing would."""
    method = signer.verification_method
    if want.cryptosuite is None:
        sign_jwt(document, signer)
        return _Intent({"method": method, "document": document}, _digest(document), None)
    prepared = prepare(
        document,
        verification_method=method,
        created=now,
        cryptosuite=want.cryptosuite,
        algorithm=signer.algorithm,
        mandatory_pointers=want.mandatory_pointers,
    )
    recorded = {"method": method, "document": prepared.document, "proof": prepared.proof}
    return _Intent(recorded, prepared.hash_data, prepared)


def _secure(recorded: Document, intent: _Intent, signer: Signer) -> Document:
    """Signed, if what was recorded still is what was intended. Raises WrongBytes."""
    prepared = intent.prepared
    if recorded != intent.recorded or (prepared is None and _digest(recorded["document"]) != intent.digest):
        raise WrongBytes("the document is not the one that was intended")
    if recorded["method"] != signer.verification_method:
        raise DomainError("The key was rotated just now.", code="unavailable", fix="Send it again.")
    if prepared is None:
        return enveloped(sign_jwt(recorded["document"], signer))
    # A base proof of ecdsa-sd-2023 holds random parts; of all others, the bytes are computed afresh from the record.
    again = prepared if prepared.base is not None else _again(recorded, prepared)
    if again.hash_data != intent.digest:
        raise WrongBytes("the bytes are not those that were intended")
    return again.attach(signer.sign(again.hash_data))


def _again(recorded: Document, prepared: PreparedProof) -> PreparedProof:
    proof = recorded["proof"]
    return prepare(
        recorded["document"],
        verification_method=proof["verificationMethod"],
        created=parse_instant(proof["created"]),
        cryptosuite=proof["cryptosuite"],
        algorithm=prepared.algorithm,
    )


def _digest(document: Document) -> bytes:
    return sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).digest()


async def _place(deps: Deps, tx: Transaction, tenant: str, want: Wanted) -> tuple[int, int] | None:
    if not want.purposes:
        return None
    return (await status_lists.allocate(tx, tenant, 1, deps.settings.status_list_size))[0]


def _entries(deps: Deps, tenant: str, place: tuple[int, int], want: Wanted) -> list[Document]:
    list_id, index = place
    url = deps.settings.public_url
    return [
        documents.status_entry(names.status_list_url(url, tenant, list_id, purpose), purpose, index)
        for purpose in want.purposes
    ]


def _open(deps: Deps, principal: Principal) -> bool:
    """Whether the caller acts for no institution, and may use the installation's own: one person's machine (S35)."""
    return deps.settings.open_on_loopback and principal.tenant == PLATFORM


async def _tenant(deps: Deps, principal: Principal, want: Wanted) -> str:
    if not _open(deps, principal):
        return principal.tenant
    return await institutions.own(deps, want.key_type)


def _tenants(deps: Deps, principal: Principal) -> list[str]:
    if not _open(deps, principal):
        return [principal.tenant]
    return [names.own_tenant(key_type) for key_type in documents.ALGORITHMS]


def _refused(refusal: CredentialError, member: str = "/credential") -> DomainError:
    fault = Fault(f"{member}{refusal.pointer or ''}", f"{refusal.detail} ({refusal.code}).", "Correct the value.")
    return DomainError("The credential was refused.", code="credential-refused", faults=[fault])


def _not_found() -> DomainError:
    return DomainError("There is no such credential here.", code="not-found")
