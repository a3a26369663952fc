"""Baked badges: a credential carried within the picture of its achievement, PNG or SVG."""

from __future__ import annotations

import json
from typing import Any, Final

from cairn.credentials.baking_png import SIGNATURE, bake_png, read_png
from cairn.credentials.baking_svg import bake_svg, read_svg
from cairn.credentials.errors import ImageRefused

_MAX_BYTES: Final = 16 * 1024 * 1024
_BLANK: Final = b"\xef\xbb\xbf \t\r\n"


def is_image(data: bytes) -> bool:
    """Whether the bytes are meant as an image, by how they begin: no credential begins so."""
    return data.startswith(SIGNATURE[:4]) or data.lstrip(_BLANK).startswith(b"<")


def unbake(image: bytes) -> str:
    """The text that is baked in: a credential, a compact JWS, or the address of a hosted assertion.

    Raises ImageRefused, for an image as for what is none.
    """
    if len(image) > _MAX_BYTES:
        raise ImageRefused(f"more than {_MAX_BYTES} bytes", code="too-large")
    return read_png(image) if image.startswith(SIGNATURE[:4]) else read_svg(image)


def bake(image: bytes, credential: dict[str, Any] | str) -> bytes:
    """The PNG or SVG with the signed credential in it. What a PNG shows is copied as it is: re-encode a stranger's.

    Raises ImageRefused.
    """
    text = credential if isinstance(credential, str) else json.dumps(credential, ensure_ascii=False)
    return bake_png(image, text) if image.startswith(SIGNATURE[:4]) else bake_svg(image, text)
