"""Credentials that differ in a few texts only, as those of one achievement do, prepared many times faster.

What they share is checked and canonicalised once. Whatever the quick way does not take goes the long way, and both give
the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from cairn.credentials.canonicalize.outline import Outline, Path, fill, plan_of
from cairn.credentials.canonicalize.walk import HandOver
from cairn.credentials.errors import DocumentRefused
from cairn.credentials.instants import parse_instant
from cairn.credentials.proofs import PreparedProof, eddsa_rdfc_2022, prepare, proof_of
from cairn.credentials.shape import is_url
from cairn.credentials.structure import ENTRIES, check_entries, check_unsigned

_SHARED: Final = frozenset({"@context", "type", "issuer"})
"""What all credentials of one template have alike."""
_DATES: Final = (("validFrom",), ("validUntil",))
_FREE: Final = frozenset({"id", "name", "description", "awardedDate", "credentialSubject"})
"""Members in which the structure check looks at ids and nothing else."""


class CredentialTemplate:
    """Made of one unsigned credential, and the paths to the texts in which the others differ from it.

    The document must not be changed afterwards: the credentials share its parts. Raises DocumentRefused, or ValueError
    for a path that leads to no text, or into what all credentials have alike.
    """

    def __init__(self, document: dict[str, Any], paths: Sequence[Path]) -> None:
        check_unsigned(document)
        for path in paths:
            if path[0] in _SHARED or not isinstance(_text_at(document, path), str):
                raise ValueError(f"no text that may vary is at {path}")
        self._document = document
        self._plan = plan_of(paths)
        self._ids = [slot for slot, path in enumerate(paths) if path[-1] == "id"]
        self._judged = sorted({str(path[0]) for path in paths if path[0] not in _FREE and path not in _DATES})
        try:
            self._outline = Outline(document, paths)
        except HandOver:
            self._outline = None
        self._last: tuple[tuple[str, datetime], dict[str, Any], bytes] | None = None

    def document(self, values: Sequence[str]) -> dict[str, Any]:
        """The unsigned credential with those texts, in the order of the paths."""
        return fill(self._document, self._plan, values)

    def prepare(self, values: Sequence[str], *, verification_method: str, created: datetime) -> PreparedProof:
        """As `prepare` of that document, with eddsa-rdfc-2022; quickly for as long as key and instant stay the same.

        Raises as `prepare` does.
        """
        return self.prepare_document(
            self.document(values), values, verification_method=verification_method, created=created
        )

    def prepare_document(
        self, document: dict[str, Any], values: Sequence[str], *, verification_method: str, created: datetime
    ) -> PreparedProof:
        """The same, where the document is at hand already."""
        if self._outline is not None:
            try:
                self._check(values, document)
                canonical = self._outline.canonical(values).encode()
            except (HandOver, DocumentRefused):
                # Where more than one thing is wrong, it is the long way that says which of them is told.
                pass
            else:
                proof, options_hash = self._options(verification_method, created)
                return PreparedProof(document, proof, options_hash + sha256(canonical).digest())
        return prepare(document, verification_method=verification_method, created=created)

    def _check(self, values: Sequence[str], document: dict[str, Any]) -> None:
        """As `check_unsigned`, which is asked where what varies may matter to it, and is not plainly good."""
        start, end = parse_instant(document.get("validFrom")), parse_instant(document.get("validUntil"))
        dated = start is not None and ("validUntil" not in document or (end is not None and start <= end))
        if not dated or not ENTRIES.issuperset(self._judged) or not all(is_url(values[slot]) for slot in self._ids):
            check_unsigned(document)
        else:
            check_entries(document, self._judged)

    def _options(self, verification_method: str, created: datetime) -> tuple[dict[str, Any], bytes]:
        """The proof's, and their half of what is signed (`eddsa_rdfc_2022.hashing`)."""
        last = self._last
        if last is None or last[0] != (verification_method, created):
            proof = proof_of(self._document, verification_method=verification_method, created=created)
            configuration = eddsa_rdfc_2022.proof_configuration(self._document, proof)
            last = self._last = (verification_method, created), proof, sha256(configuration).digest()
        return last[1], last[2]


def _text_at(document: Any, path: Path) -> Any:
    here = document
    try:
        for step in path:
            here = here[step]
    except (LookupError, TypeError):
        return None
    return here
