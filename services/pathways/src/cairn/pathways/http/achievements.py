"""`/v1/achievements`: what a micro-credential counts for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from cairn.common.auth import Principal, requires
from cairn.pathways.deps import Deps
from cairn.pathways.http.shared import Model, deps_of
from cairn.pathways.use_cases import reading

router = APIRouter(prefix="/v1/achievements", tags=["achievements"])


class Towards(Model):
    """One place. `text` is what it asks for; `certain` false: the learner's grade, date or assessment decides. `amount`
    is what a credential adds there; `via` what it counts as, by the table of equivalences. `award` can itself stack
    further: ask about it in turn."""

    framework: str
    qualification: str
    version: str
    title: str
    award: str
    leaf: str
    text: str
    certain: bool
    amount: str | None
    via: str | None


class Stackability(Model):
    achievement: str
    name: str
    counts: bool
    towards: list[Towards]


@router.get("/{achievement:path}/stackability", summary="Say what an achievement counts for")
async def stackability(
    achievement: Annotated[str, Path(description="The achievement's id, percent-encoded or not.", max_length=500)],
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("frameworks:read"))],
) -> Stackability:
    """Towards the published qualifications of the caller's institution that still take learners."""
    name, found = await reading.stackability(deps, principal, achievement)
    return Stackability(
        achievement=achievement,
        name=name,
        counts=bool(found),
        towards=[
            Towards(
                framework=each.published.id,
                qualification=each.published.framework.qualification,
                version=each.published.framework.version,
                title=each.published.framework.title or each.published.framework.qualification,
                award=each.published.achievement,
                leaf=each.place.leaf,
                text=each.line.text,
                certain=each.place.certain,
                amount=each.place.amount,
                via=each.via,
            )
            for each in found
        ],
    )
