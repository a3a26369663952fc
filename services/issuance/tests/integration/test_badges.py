"""Baked badges: the credential in a picture that every verifier reads, and that does nothing else."""

import json
from dataclasses import dataclass, field, replace
from io import BytesIO

import pytest
from PIL import Image

from cairn.common.fetch import Unreachable
from cairn.credentials import unbake
from cairn.issuance.domain.pictures import PictureRefused, reencoded

PICTURE = "https://north.example/stats"
ETHICS = {"code": "ethics", "name": "<Ethics> & more", "description": "…", "criteria": {"narrative": "…"}}


def raster(form: str = "PNG", size: tuple[int, int] = (40, 30), **options) -> bytes:
    written = BytesIO()
    Image.new("RGB", size, "red").save(written, form, **options)
    return written.getvalue()


@dataclass
class Web:
    """In place of the fetcher: what lies at an address."""

    pages: dict[str, bytes] = field(default_factory=dict)

    async def get(self, url: str) -> bytes:
        if url not in self.pages:
            raise Unreachable("unreachable", "nothing is there")
        return self.pages[url]


@pytest.fixture
async def illustrated(service):
    """A credential whose achievement has a picture, and the web in which that lies."""
    web = Web()
    app = service.http._transport.app
    app.state.deps = replace(app.state.deps, fetcher=web)
    await service.post("/v1/achievements", ETHICS | {"image": PICTURE})
    await service.learner("ada")
    return await service.issued("ada", "ethics"), web


async def badge(service, credential: str, form: str, tenant: str = "north"):
    return await service.get(f"/v1/credentials/{credential}/badge.{form}", tenant)


@pytest.mark.parametrize("form", ["png", "svg"])
async def test_a_badge_without_a_picture_is_drawn_and_carries_its_credential(service, form: str) -> None:
    await service.post("/v1/achievements", ETHICS)
    await service.learner("ada")
    credential = await service.issued("ada", "ethics")
    answer = await badge(service, credential, form)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == {"png": "image/png", "svg": "image/svg+xml"}[form]
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["content-disposition"].startswith("attachment;")
    signed = (await service.get(f"/v1/credentials/{credential}")).json()["credential"]
    assert json.loads(unbake(answer.content)) == signed
    if form == "png":
        assert Image.open(BytesIO(answer.content)).size == (512, 512)
    else:
        assert b"&lt;Ethics&gt; &amp; more</title>" in answer.content


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_s19_a_picture_is_made_anew_from_its_pixels(service, illustrated, kind: str) -> None:
    credential, web = illustrated
    hidden = {"JPEG": {"comment": b"canary"}, "GIF": {"comment": b"canary"}, "PNG": {}, "WEBP": {"exif": b"canary"}}
    web.pages[PICTURE] = raster(kind, **hidden[kind]) + b"canary<script>"
    answer = await badge(service, credential, "png")
    assert b"canary" not in answer.content
    image = Image.open(BytesIO(answer.content))
    assert (image.format, image.size) == ("PNG", (40, 30))
    assert json.loads(unbake(answer.content))["id"] == credential
    answer = await badge(service, credential, "svg")
    assert b"data:image/png;base64," in answer.content
    assert json.loads(unbake(answer.content))["id"] == credential


async def test_s18_a_drawing_is_rid_of_what_does_more_than_draw(service, illustrated) -> None:
    credential, web = illustrated
    web.pages[PICTURE] = b'<svg xmlns="http://www.w3.org/2000/svg"><script>canary</script><path id="kept"/></svg>'
    answer = await badge(service, credential, "svg")
    assert b"canary" not in answer.content
    assert b'id="kept"' in answer.content


@pytest.mark.parametrize("content", [None, b"", b"<html>", b"<svg", b"\x89PNG\r\n\x1a\n", raster()[:60]])
@pytest.mark.parametrize("form", ["png", "svg"])
async def test_a_picture_that_cannot_be_had_or_read_is_drawn_instead(service, illustrated, content, form) -> None:
    credential, web = illustrated
    if content is not None:
        web.pages[PICTURE] = content
    answer = await badge(service, credential, form)
    assert answer.status_code == 200
    assert json.loads(unbake(answer.content))["id"] == credential


def test_s16_a_picture_of_too_many_pixels_is_refused_before_they_are_unpacked() -> None:
    bomb = raster(size=(4_000, 4_000))
    assert len(bomb) < 200_000
    with pytest.raises(PictureRefused, match="pixels"):
        reencoded(bomb)
    assert Image.open(BytesIO(reencoded(raster(size=(1_900, 1_000))))).size == (1_024, 539)


async def test_s23_another_tenants_badge_is_not_found(service, illustrated) -> None:
    assert (await badge(service, illustrated[0], "png", "harbour")).status_code == 404
    assert (await badge(service, "urn:uuid:0", "svg")).status_code == 404
