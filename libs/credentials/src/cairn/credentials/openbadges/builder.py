"""From a typed draft to the document that is signed."""

from __future__ import annotations

from typing import Any

from cairn.credentials.openbadges.models import CredentialDraft


def build_credential(draft: CredentialDraft) -> dict[str, Any]:
    """The unsigned `AchievementCredential` on VC 2.0, using only terms that the bundled contexts define.

    A draft with a `stack` becomes a qualification credential, whose evidence cites the stack. One status entry is
    written as an object, several as an array (VC data model 2.0 §4.10; the 1EdTech schema knows only the object).
    """
    raise NotImplementedError
