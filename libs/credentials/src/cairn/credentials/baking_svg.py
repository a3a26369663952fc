"""Badges baked into SVG (Open Badges 3.0 §5.3.2; Open Badges 2.0 baking), read and written without trusting the image.

Read by expat alone, which loads nothing: a document that declares anything of its own (entities, a DTD within it) is
refused. Written from a list of elements and attributes that can only draw (S18).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn
from xml.etree import ElementTree as ET
from xml.parsers import expat

from cairn.credentials.errors import ImageRefused

BADGES: Final = "https://purl.imsglobal.org/ob/v3p0"
OLD_BADGES: Final = "http://openbadges.org"
SVG: Final = "http://www.w3.org/2000/svg"
XLINK: Final = "http://www.w3.org/1999/xlink"
_BADGE_TAGS: Final = (f"{{{BADGES}}}credential", f"{{{OLD_BADGES}}}assertion")
_MAX_ELEMENTS: Final = 20_000
_MAX_DEPTH: Final = 200
_PLACE: Final = "cairn-baked-credential"
_ELEMENTS: Final = frozenset(
    """
    svg g defs symbol use path rect circle ellipse line polyline polygon text tspan textPath title desc image
    clipPath mask pattern marker linearGradient radialGradient stop filter feBlend feColorMatrix feComposite feFlood
    feGaussianBlur feMerge feMergeNode feOffset
    """.split()  # noqa: SIM905 - one name a line would be two pages
)
_ATTRIBUTES: Final = frozenset(
    """
    id class version viewBox preserveAspectRatio x y x1 y1 x2 y2 cx cy r rx ry fx fy dx dy width height d points
    transform rotate pathLength textLength lengthAdjust startOffset offset gradientUnits gradientTransform
    spreadMethod patternUnits patternContentUnits patternTransform maskUnits maskContentUnits clipPathUnits
    markerUnits markerWidth markerHeight refX refY orient filterUnits primitiveUnits in in2 result stdDeviation mode
    operator k1 k2 k3 k4 values type fill fill-opacity fill-rule stroke stroke-width stroke-linecap stroke-linejoin
    stroke-miterlimit stroke-dasharray stroke-dashoffset stroke-opacity opacity color stop-color stop-opacity
    flood-color flood-opacity clip-path clip-rule mask filter marker-start marker-mid marker-end display visibility
    overflow font-family font-size font-style font-weight font-variant text-anchor dominant-baseline
    alignment-baseline letter-spacing word-spacing text-decoration vector-effect enable-background
    """.split()  # noqa: SIM905 - one name a line would be two pages
)
_DRAWN: Final = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")
_ELSEWHERE: Final = re.compile(r"url\s*\(\s*(?![\"']?#)|expression|javascript:|[\\<>@]", re.IGNORECASE)

for _prefix, _namespace in (("", SVG), ("openbadges", BADGES), ("xlink", XLINK)):
    ET.register_namespace(_prefix, _namespace)


def read_svg(data: bytes) -> str:
    """The text that is baked in: a credential, a compact JWS, or the address of a hosted assertion.

    Raises ImageRefused: `image-malformed`, `image-dtd` (S18), `badge-missing`, `badge-twice` (S17).
    """
    found = [element for element in _parse(data).iter() if element.tag in _BADGE_TAGS]
    if not found:
        raise ImageRefused("no badge is baked into the image", code="badge-missing")
    if len(found) > 1:
        raise ImageRefused("more than one badge is baked into the image", code="badge-twice")
    body = (found[0].text or "").strip()
    # Open Badges 2.0 gives a hosted assertion in both ways: its address, and its body.
    return body or found[0].get("verify", "").strip()


def bake_svg(data: bytes, credential: str) -> bytes:
    """The image, with nothing left in it that could do more than draw, and the credential in it.

    JSON goes into the body as CDATA, a compact JWS into `verify`. Raises ImageRefused.
    """
    root = _drawing(_parse(data))
    badge = ET.Element(_BADGE_TAGS[0])
    if credential.lstrip().startswith("{"):
        badge.text = _PLACE
    else:
        badge.set("verify", credential)
    root.insert(0, badge)
    text = ET.tostring(root, encoding="unicode")
    # In JSON a ">" after "]]" is within a string, where it may be escaped; CDATA could not hold it.
    escaped = credential.replace("]]>", "]]\\u003e")
    body = f"><![CDATA[{escaped}]]><"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text.replace(f">{_PLACE}<", body, 1)}'.encode()


def _drawing(root: ET.Element) -> ET.Element:
    """A copy of what the lists allow."""
    if root.tag != f"{{{SVG}}}svg":
        raise _malformed("its root is not svg")
    copy = ET.Element(root.tag, dict(_attributes(root)))
    copy.text = root.text
    pending = [(root, copy)]
    while pending:
        old, new = pending.pop()
        for child in old:
            name = child.tag.removeprefix(f"{{{SVG}}}")
            if name in _ELEMENTS:
                kept = ET.SubElement(new, child.tag, dict(_attributes(child)))
                kept.text, kept.tail = child.text, child.tail
                pending.append((child, kept))
    return copy


def _attributes(element: ET.Element) -> Iterator[tuple[str, str]]:
    for name, value in element.items():
        if name in ("href", f"{{{XLINK}}}href"):
            # Within the image, or a picture that is whole in it; an SVG as a picture could hold anything.
            if value.startswith("#") or _DRAWN.fullmatch(value):
                yield name, value
        elif name in _ATTRIBUTES and not _ELSEWHERE.search(value):
            yield name, value


def _parse(data: bytes) -> ET.Element:
    """Raises ImageRefused."""
    builder, depth, elements = ET.TreeBuilder(), 0, 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > _MAX_DEPTH or elements > _MAX_ELEMENTS:
            raise _malformed("it has too many elements")
        builder.start(_clark(name), {_clark(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_clark(name))

    def doctype(_name: str, _system: str | None, _public: str | None, has_internal_subset: bool) -> None:
        # A bare <!DOCTYPE svg PUBLIC …>, which drawing programs write, declares nothing and is never loaded.
        if has_internal_subset:
            raise ImageRefused("the image brings a DTD of its own", code="image-dtd")

    def declared(*_: Any) -> NoReturn:
        raise ImageRefused("the image declares or uses entities of its own", code="image-dtd")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = doctype
    parser.EntityDeclHandler = parser.ExternalEntityRefHandler = parser.SkippedEntityHandler = declared
    try:
        parser.Parse(data, True)
        return builder.close()
    except (expat.ExpatError, ValueError, LookupError, AssertionError) as error:
        raise _malformed(f"it is not XML ({str(error)[:80]})") from None


def _clark(name: str) -> str:
    namespace, _, local = name.rpartition(" ")
    return f"{{{namespace}}}{local}" if namespace else local


def _malformed(detail: str) -> ImageRefused:
    return ImageRefused(f"the image is not read: {detail}", code="image-malformed")
