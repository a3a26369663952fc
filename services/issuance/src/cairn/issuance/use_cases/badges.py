"""A credential baked into the picture of its achievement (Open Badges 3.0 §5.3)."""

from __future__ import annotations

import asyncio
from typing import Any, Literal, TypeAlias

import structlog

from cairn.common.auth import Principal
from cairn.common.fetch import Unreachable
from cairn.common.problem import DomainError
from cairn.credentials import ImageRefused, bake, read_facts
from cairn.issuance.deps import Deps
from cairn.issuance.domain import pictures
from cairn.issuance.domain.pictures import PictureRefused
from cairn.issuance.use_cases import credentials

log = structlog.get_logger(__name__)

Form: TypeAlias = Literal["png", "svg"]


async def baked(deps: Deps, principal: Principal, credential_id: str, form: Form) -> bytes:
    """The image. Where the achievement's own cannot be had or read, a plain one is drawn: the badge is what counts.

    Raises DomainError `not-found`, also while the credential is not signed, and once its learner is erased.
    """
    found = await credentials.show(deps, principal, credential_id)
    if found.document is None:
        raise DomainError("There is no signed credential here.", code="not-found")
    told = read_facts(found.document)
    # Nothing is fetched while a transaction is open: a slow host holds no connection of ours.
    picture = await _picture(deps, told.image) if told.image else None
    return await asyncio.to_thread(_bake, found.document, told.achievement_name or "", picture, form)


async def _picture(deps: Deps, url: str) -> bytes | None:
    try:
        return await deps.fetcher.get(url)
    except Unreachable as failure:
        log.warning("the picture of an achievement cannot be had", url=url, reason=failure.code)
        return None


def _bake(document: dict[str, Any], title: str, picture: bytes | None, form: Form) -> bytes:
    drawn = pictures.drawn_png() if form == "png" else pictures.drawn_svg(title)
    if picture is None:
        return bake(drawn, document)
    try:
        if form == "svg" and picture.lstrip().startswith(b"<"):
            return bake(picture, document)
        raster = pictures.reencoded(picture)
        return bake(raster if form == "png" else pictures.framed(raster, title), document)
    except (PictureRefused, ImageRefused) as refusal:
        log.warning("the picture of an achievement is not used", reason=str(refusal))
        return bake(drawn, document)
