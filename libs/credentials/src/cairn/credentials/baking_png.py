"""Badges baked into PNG (Open Badges 3.0 §5.3.1; Open Badges 2.0 baking): found and put there by chunks alone.

No pixel is ever unpacked, and no text either: compressed text is refused, which both specifications forbid (S16).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from cairn.credentials.errors import ImageRefused

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
KEYWORD: Final = b"openbadgecredential"
OLD_KEYWORD: Final = b"openbadges"
_KEYWORDS: Final = (KEYWORD, OLD_KEYWORD)
_TEXTS: Final = (b"iTXt", b"tEXt", b"zTXt")
_MAX_CHUNKS: Final = 10_000
_HEAD_AND_CRC: Final = 12


def read_png(data: bytes) -> str:
    """The text that is baked in: a credential, a compact JWS, or the address of a hosted assertion.

    Raises ImageRefused: `image-malformed`, `badge-missing`, `badge-twice` (S17), `badge-compressed` (S16).
    """
    found = [(kind, body) for kind, body in _chunks(data) if _keyword(kind, body) in _KEYWORDS]
    if not found:
        raise ImageRefused("no badge is baked into the image", code="badge-missing")
    if len(found) > 1:
        raise ImageRefused("more than one badge is baked into the image", code="badge-twice")
    return _text(*found[0])


def bake_png(data: bytes, credential: str) -> bytes:
    """The image with the credential (JSON, or a compact JWS) in it, in the place of any that was there.

    Raises ImageRefused.
    """
    baked = bytearray(SIGNATURE)
    for kind, body in _chunks(data):
        if _keyword(kind, body) in _KEYWORDS:
            continue
        baked += _chunk(kind, body)
        if kind == b"IHDR":
            # Keyword, no compression and its method, no language, no translated keyword; each ends with a zero byte.
            baked += _chunk(b"iTXt", KEYWORD + bytes(5) + credential.encode())
    return bytes(baked)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """From IHDR to IEND (PNG §5.3). What follows is not the image's."""
    if not data.startswith(SIGNATURE):
        raise _malformed("it does not begin as a PNG does")
    at = len(SIGNATURE)
    for position in range(_MAX_CHUNKS):
        if len(data) - at < _HEAD_AND_CRC:
            raise _malformed("it ends within a chunk")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + _HEAD_AND_CRC + length
        if end > len(data):
            raise _malformed("a chunk is longer than the image")
        if (kind == b"IHDR") is not (position == 0):
            raise _malformed("IHDR is not its first chunk, and only that")
        body = data[at + 8 : end - 4]
        if zlib.crc32(body, zlib.crc32(kind)) != struct.unpack_from(">I", data, end - 4)[0]:
            raise _malformed("the checksum of a chunk does not fit")
        yield kind, body
        if kind == b"IEND":
            return
        at = end
    raise _malformed(f"it has more than {_MAX_CHUNKS} chunks")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def _keyword(kind: bytes, body: bytes) -> bytes | None:
    return body.partition(b"\0")[0] if kind in _TEXTS else None


def _text(kind: bytes, body: bytes) -> str:
    rest = body.partition(b"\0")[2]
    if kind == b"zTXt" or (kind == b"iTXt" and rest[:1] != b"\0"):
        raise ImageRefused("the baked badge is compressed, which must not be", code="badge-compressed")
    if kind == b"iTXt":
        _, language, rest = rest[2:].partition(b"\0")
        _, translated, rest = rest.partition(b"\0")
        if not language or not translated:
            raise _malformed("its text chunk ends too soon")
    try:
        return rest.decode("utf-8" if kind == b"iTXt" else "latin-1")
    except UnicodeDecodeError:
        raise _malformed("its text is not UTF-8") from None


def _malformed(detail: str) -> ImageRefused:
    return ImageRefused(f"the image is not read: {detail}", code="image-malformed")
