"""Baked badges: what is baked in comes out again, and no image does more than carry it (S16, S17, S18)."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zlib
from contextlib import suppress
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.credentials import CheckName, Ed25519Signer, ImageRefused, Outcome, Policy, bake, sign_jwt, unbake, verify
from cairn.credentials.baking_png import SIGNATURE

from .conftest import SHARED, Files

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><title>Badge</title><path d="M0,0h9"/></svg>'


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes, width: int = 1, pixels: bytes = b"\0\0") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(pixels))
    return SIGNATURE + header + b"".join(chunks) + data + chunk(b"IEND", b"")


def text(keyword: str, content: str, *, flag: bytes = b"\0") -> bytes:
    return chunk(b"iTXt", keyword.encode() + b"\0" + flag + b"\0\0\0" + content.encode())


@pytest.mark.parametrize("image", [png(), SVG], ids=["png", "svg"])
async def test_what_is_baked_in_is_verified_as_if_it_had_come_alone(
    signed: dict[str, Any], image: bytes, policy: Policy
) -> None:
    baked = bake(image, signed)
    assert json.loads(unbake(baked)) == signed
    found = await verify(baked, Files(), policy)
    assert found.verified
    assert found.credential == signed
    tampered = bake(image, signed | {"name": "Forged"})
    assert (await verify(tampered, Files(), policy)).checks[CheckName.PROOF].code == "signature-invalid"


@pytest.mark.parametrize("image", [png(), SVG], ids=["png", "svg"])
async def test_a_jwt_is_baked_as_the_compact_jws_it_is(
    signed: dict[str, Any], signer: Ed25519Signer, image: bytes, policy: Policy
) -> None:
    """OB 3.0 §5.3: "the text value of the chunk MUST be the Compact JWS string"; in SVG, "the value of verify"."""
    token = sign_jwt({key: value for key, value in signed.items() if key != "proof"}, signer)
    baked = bake(image, token)
    assert unbake(baked) == token
    assert (b'verify="' + token.encode() in baked) is (image is SVG)
    assert (await verify(baked, Files(), policy)).verified


def test_the_chunk_and_the_tag_are_where_the_specification_wants_them() -> None:
    """§5.3.1: iTXt, "Compression MUST NOT be used". §5.3.2: directly after the svg tag, wrapped in CDATA."""
    baked = bake(png(), {"a": "]]> ü"})
    assert chunk(b"iTXt", b'openbadgecredential\0\0\0\0\0{"a": "]]> \xc3\xbc"}') in baked
    svg = bake(SVG, {"a": "]]> ü"}).decode()
    assert 'xmlns:openbadges="https://purl.imsglobal.org/ob/v3p0"' in svg.partition(">")[2].partition(">")[0]
    assert '<openbadges:credential><![CDATA[{"a": "]]\\u003e ü"}]]></openbadges:credential><title>' in svg
    assert json.loads(unbake(svg.encode())) == {"a": "]]> ü"}


@pytest.mark.parametrize("image", [png(), SVG], ids=["png", "svg"])
def test_baking_again_takes_the_place_of_what_was_there(image: bytes) -> None:
    assert json.loads(unbake(bake(bake(image, {"a": 1}), {"a": 2}))) == {"a": 2}
    old = png(text("openbadges", "{}")) if image is not SVG else image
    assert json.loads(unbake(bake(old, {"a": 2}))) == {"a": 2}


@pytest.mark.parametrize(
    "image",
    [
        png(text("openbadges", "https://ob2.example/assertion.json")),
        png(chunk(b"tEXt", b"openbadges\0https://ob2.example/assertion.json")),
        b"""<svg xmlns="http://www.w3.org/2000/svg" xmlns:o="http://openbadges.org">
        <o:assertion verify="https://ob2.example/assertion.json"></o:assertion></svg>""",
    ],
    ids=["iTXt", "tEXt", "svg"],
)
def test_badges_of_the_old_kinds_are_found(image: bytes) -> None:
    assert unbake(image) == "https://ob2.example/assertion.json"


def test_s16_pixels_and_text_are_never_unpacked(signed: dict[str, Any]) -> None:
    bomb = zlib.compress(bytes(256 * 1024 * 1024), 1)
    image = png(chunk(b"IDAT", bomb), chunk(b"zTXt", b"Comment\0\0" + bomb), width=2**31 - 1)
    tracemalloc.start()
    try:
        assert json.loads(unbake(bake(image, signed))) == signed
        assert tracemalloc.get_traced_memory()[1] < 32 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "image",
    [
        png(text("openbadgecredential", "{}", flag=b"\1")),
        png(text("openbadges", "{}", flag=b"\1")),
        png(chunk(b"zTXt", b"openbadgecredential\0\0" + zlib.compress(b"{}"))),
    ],
)
def test_s16_compressed_text_is_refused(image: bytes) -> None:
    with pytest.raises(ImageRefused) as caught:
        unbake(image)
    assert caught.value.code == "badge-compressed"


@pytest.mark.parametrize(
    "image",
    [
        b"\x89PNG",
        SIGNATURE,
        png()[:-1],
        png()[:40],
        png().replace(b"IHDR", b"IHDX"),
        png(text("openbadgecredential", "{}")).replace(b"{}", b"{]"),
        SIGNATURE + struct.pack(">I", 2**32 - 1) + b"IHDR",
        SIGNATURE + chunk(b"IEND", b""),
        png(chunk(b"iTXt", b"openbadgecredential\0\0\0en")),
        png(chunk(b"iTXt", b"openbadgecredential\0\0\0\0\0\xff")),
        png(*[chunk(b"tEXt", b"a\0b")] * 10_001),
    ],
)
def test_s16_what_is_no_png_is_refused(image: bytes) -> None:
    with pytest.raises(ImageRefused) as caught:
        unbake(image)
    assert caught.value.code == "image-malformed"


CREDENTIAL = '<o:credential xmlns:o="https://purl.imsglobal.org/ob/v3p0">{}</o:credential>'
ASSERTION = '<o:assertion xmlns:o="http://openbadges.org">{}</o:assertion>'


@pytest.mark.parametrize(
    "image",
    [
        png(text("openbadgecredential", "{}"), text("openbadgecredential", "{}")),
        png(text("openbadgecredential", "{}"), text("openbadges", "{}")),
        f'<svg xmlns="http://www.w3.org/2000/svg">{CREDENTIAL}{CREDENTIAL}</svg>'.encode(),
        f'<svg xmlns="http://www.w3.org/2000/svg">{CREDENTIAL}<g>{ASSERTION}</g></svg>'.encode(),
    ],
)
async def test_s17_two_badges_in_one_image_are_refused(image: bytes, policy: Policy) -> None:
    """OB 3.0 §5.3.1: "MUST NOT appear in a PNG more than once"; §5.3.2: "There MUST be only one"."""
    with pytest.raises(ImageRefused) as caught:
        unbake(image)
    assert caught.value.code == "badge-twice"
    check = (await verify(image, Files(), policy)).checks[CheckName.PROOF]
    assert (check.outcome, check.code) == (Outcome.FAILED, "badge-twice")


@pytest.mark.parametrize("image", [png(), SVG])
async def test_an_image_without_a_badge_says_so(image: bytes, policy: Policy) -> None:
    check = (await verify(image, Files(), policy)).checks[CheckName.PROOF]
    assert (check.outcome, check.code) == (Outcome.FAILED, "badge-missing")


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("doctype", "content", "code"),
    [
        ('<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "&x;", "image-dtd"),
        (f'<!DOCTYPE svg [<!ENTITY l0 "ha">{LAUGHS}]>', "&l9;", "image-dtd"),
        ('<!DOCTYPE svg [<!ENTITY % p SYSTEM "https://evil.example/x.dtd">%p;]>', "", "image-dtd"),
        ('<!DOCTYPE svg [<!ATTLIST svg onload CDATA "alert(1)">]>', "", "image-dtd"),
        ('<!DOCTYPE svg SYSTEM "https://evil.example/x.dtd">', "&x;", "image-dtd"),
        ("", "&x;", "image-malformed"),
        ("", "<g>", "image-malformed"),
        ("", "<g>" * 201 + "</g>" * 201, "image-malformed"),
        ("", "<g/>" * 20_001, "image-malformed"),
    ],
)
def test_s18_a_dtd_is_refused_before_it_means_anything(doctype: str, content: str, code: str) -> None:
    image = f'{doctype}<svg xmlns="http://www.w3.org/2000/svg">{CREDENTIAL}{content}</svg>'.encode()
    for read in (lambda: unbake(image), lambda: bake(image, {})):
        with pytest.raises(ImageRefused) as caught:
            read()
        assert caught.value.code == code


def test_s18_a_bare_doctype_declares_nothing() -> None:
    doctype = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
    assert unbake(f'{doctype}<svg xmlns="http://www.w3.org/2000/svg">{CREDENTIAL}</svg>'.encode()) == "{}"


HOSTILE = """
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="alert(1)" viewBox="0 0 9 9">
 <script>alert(1)</script><style>@import url(https://evil.example/x.css);</style>
 <foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml" src="https://evil.example/"/></foreignObject>
 <a xlink:href="javascript:alert(1)"><rect width="9" height="9" id="in-a"/></a>
 <g id="kept" style="background:url(https://evil.example/)" onclick="alert(1)"><rect fill="url(#paint)" width="9"/>
  <rect fill="url(https://evil.example/)" height="9"/><rect fill="u\\72l(https://evil.example/)"/></g>
 <image href="https://evil.example/pixel.png"/><image href="data:image/png;base64,iVBORw0KGgo="/>
 <image href="data:image/svg+xml;base64,PHN2Zy8+"/><use xlink:href="https://evil.example/x.svg#a"/><use href="#kept"/>
 <animate attributeName="href" to="javascript:alert(1)"/><set attributeName="onload" to="alert(1)"/>
 <handler xmlns="http://www.w3.org/2001/xml-events">alert(1)</handler>
</svg>"""


def test_s18_what_is_baked_can_only_draw() -> None:
    baked = bake(HOSTILE.encode(), {"a": 1})
    for evil in (
        b"evil",
        b"alert",
        b"script",
        b"onload",
        b"style",
        b"foreign",
        b"svg+xml",
        b"animate",
        b"<set",
        b"u\\72l",
    ):
        assert evil not in baked, evil
    root = ET.fromstring(baked)
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names == {"svg", "credential", "g", "rect", "image", "use"}
    assert b'fill="url(#paint)"' in baked
    assert b'href="data:image/png;base64,iVBORw0KGgo="' in baked
    assert b'href="#kept"' in baked
    assert json.loads(unbake(baked)) == {"a": 1}


def test_s18_baking_needs_a_drawing() -> None:
    with pytest.raises(ImageRefused, match="root is not svg"):
        bake(b"<html/>", {})


@given(st.binary(max_size=300), st.integers(0, 3000), st.integers(0, 255))
def test_any_bytes_are_read_or_refused(tail: bytes, at: int, value: int) -> None:
    for image in (bake(png(), {"a": 1}), bake(SVG, {"a": 1})):
        changed = bytearray(image)
        changed[at % len(changed)] = value
        for candidate in (bytes(changed), image[: at % len(image)] + tail, tail):
            with suppress(ImageRefused):
                unbake(candidate)


def test_the_badges_of_others_are_read() -> None:
    if SHARED.is_dir():
        for name in ("obl/ldp-eddsa-baked.png", "obl/ldp-eddsa-baked.svg", "1edtech/ob30/simple-json.png"):
            assert json.loads(unbake((SHARED / name).read_bytes()))["type"]
        assert unbake((SHARED / "1edtech/ob30/simple-jwt.svg").read_bytes()).count(".") == 2
