"""The picture of a badge: somebody's, made anew from its pixels, or a cairn that is drawn here.

A stranger's image is never passed on as it came (S19): a raster is decoded within bounds (S16) and encoded again, a
drawing is rid of all that does more than draw when it is baked (S18).
"""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Final
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw, UnidentifiedImageError

_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF")
_MAX_PIXELS: Final = 4_000_000
_LONGEST_SIDE: Final = 1_024
_SIZE: Final = 512
_INK, _STONES = "#2f4858", ("#7a8b99", "#93a3af", "#b4c0c9")
# Centre and half axes of each stone, the lowest first, in a square of 512.
_CAIRN: Final = ((256, 400, 170, 52), (256, 302, 124, 44), (256, 220, 80, 36))


class PictureRefused(Exception):
    """Not an image of a kind that is read here, or too large a one."""


def reencoded(data: bytes) -> bytes:
    """The first frame as a PNG of at most 1,024 pixels a side, without anything beside its pixels.

    Raises PictureRefused, before a pixel is unpacked where there are too many.
    """
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise PictureRefused(f"the image has more than {_MAX_PIXELS:,} pixels")
            plain = image.convert("RGBA")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise PictureRefused(f"the image cannot be read: {type(error).__name__}") from None
    plain.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return _png(Image.frombytes("RGBA", plain.size, plain.tobytes()))


def drawn_png() -> bytes:
    """A cairn: three stones."""
    image = Image.new("RGBA", (_SIZE, _SIZE), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    for (x, y, rx, ry), colour in zip(_CAIRN, _STONES, strict=True):
        pen.ellipse((x - rx, y - ry, x + rx, y + ry), fill=colour, outline=_INK, width=6)
    return _png(image)


def drawn_svg(title: str) -> bytes:
    """The same cairn, with the achievement's name."""
    stones = "".join(
        f'<ellipse cx="{x}" cy="{y}" rx="{rx}" ry="{ry}" fill="{colour}" stroke="{_INK}" stroke-width="6"/>'
        for (x, y, rx, ry), colour in zip(_CAIRN, _STONES, strict=True)
    )
    name = f'<text x="256" y="120" font-family="sans-serif" font-size="36" text-anchor="middle" fill="{_INK}">'
    return _svg(title, f"{stones}{name}{escape(title[:28])}</text>")


def framed(png: bytes, title: str) -> bytes:
    """A PNG within an SVG."""
    data = base64.b64encode(png).decode()
    return _svg(title, f'<image width="{_SIZE}" height="{_SIZE}" href="data:image/png;base64,{data}"/>')


def _svg(title: str, content: str) -> bytes:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE} {_SIZE}">'
    return f"{head}<title>{escape(title)}</title>{content}</svg>".encode()


def _png(image: Image.Image) -> bytes:
    written = BytesIO()
    image.save(written, "PNG")
    return written.getvalue()
