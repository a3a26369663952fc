"""IRIs, texts and numbers as N-Quads writes them, refusing what implementations in use write differently."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from cairn.credentials.canonicalize.jcs import jcs
from cairn.credentials.canonicalize.loading import NOWHERE
from cairn.credentials.errors import DocumentRefused
from cairn.credentials.shape import BLANKS

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"

AFTER_SCHEME: Final = rf":[^{BLANKS}\x00-\x20<>\"{{}}|\\^`\x7f\ud800-\udfff\ufffe\uffff]*"
IRI: Final = re.compile(f"[A-Za-z][A-Za-z0-9+.-]*{AFTER_SCHEME}")
_I18N: Final = "https://www.w3.org/ns/i18n#"
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
_REMARKABLE: Final = re.compile('["\\\\\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]')
_ESCAPED: Final = re.compile(r'["\\\n\r\t]')
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_DISPUTED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
"""Characters that N-Quads writers in use escape differently, so that their hashes would differ; and half characters."""
_NATIVE_TEXT: Final = re.compile(r"true|false|-?\d+(\.\d+)?([eE][+-]?\d+)?")
_NATIVE_TYPES: Final = re.compile(
    r"https?://www\.w3\.org/2001/XMLSchema#"
    r"(boolean|float|double|decimal|integer|nonNegativeInteger|positiveInteger|int|long|short)"
)
_MAX_SAFE_INTEGER: Final = 2**53 - 1


def iri(text: Any) -> str:
    """An absolute IRI as N-Quads writes it. Raises DocumentRefused: a relative one would be dropped."""
    if not isinstance(text, str) or not IRI.fullmatch(text) or text.startswith("cairn-relative:"):
        shown = str(text).removeprefix(NOWHERE)[:120]
        raise DocumentRefused(f"{shown!r} is not an absolute IRI, so it would go unsigned", code="iri-not-absolute")
    return f"<{text}>"


def literal(value: dict[str, Any]) -> str:
    """A value object as an N-Quads literal (JSON-LD 1.1 API §8.2.2)."""
    content, kind, language = value["@value"], value.get("@type"), value.get("@language")
    if not value.keys() <= {"@value", "@type", "@language", "@direction"}:
        raise DocumentRefused("a value with an index would lose it unsigned", code="keyword-refused")
    if "@direction" in value:
        return _directed(content, language, value["@direction"])
    if kind == "@json":
        return f"{quoted(jcs(content).decode())}^^<{RDF}JSON>"
    if isinstance(content, bool):
        return f'"{str(content).lower()}"^^{iri(kind or XSD + "boolean")}'
    if isinstance(content, int | float):
        return number(content, kind)
    if not isinstance(content, str):
        raise DocumentRefused("a value is neither text nor a number nor a truth value", code="jsonld-invalid")
    if language is not None:
        if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
            raise DocumentRefused(f"{str(language)[:40]!r} is not a language tag", code="language-invalid")
        return f"{quoted(content)}@{language}"
    if kind is None or kind == XSD + "string":
        return quoted(content)
    if _NATIVE_TYPES.fullmatch(kind) and _NATIVE_TEXT.fullmatch(content):
        raise DocumentRefused(
            f"{content[:40]!r} is text where a bare number or truth value is meant; signed, the two are one",
            code="native-as-text",
        )
    return f"{quoted(content)}^^{iri(kind)}"


def _directed(content: Any, language: Any, direction: Any) -> str:
    """§8.2.2 step 13 with `rdfDirection` "i18n-datatype", as other implementations of these cryptosuites have it."""
    if not isinstance(content, str) or direction not in ("ltr", "rtl"):
        raise DocumentRefused("a direction is ltr or rtl, of text", code="direction-invalid")
    if language is not None and (not isinstance(language, str) or not _LANGUAGE.fullmatch(language)):
        raise DocumentRefused(f"{str(language)[:40]!r} is not a language tag", code="language-invalid")
    return f"{quoted(content)}^^{iri(f'{_I18N}{(language or str()).lower()}_{direction}')}"


def number(value: int | float, kind: str | None) -> str:
    """JSON-LD 1.1 API §8.2.2 steps 10 and 11, refusing the numbers that implementations write differently."""
    if not math.isfinite(value):
        raise DocumentRefused(f"{value} is no number of JSON", code="number-not-finite")
    shown = repr(value)
    whole = isinstance(value, int) or value.is_integer()
    if whole and abs(value) > _MAX_SAFE_INTEGER:
        raise DocumentRefused(f"{value} is beyond the integers that every reader holds exactly", code="number-disputed")
    if shown == "-0.0":
        raise DocumentRefused("-0.0 and 0 are signed alike", code="number-disputed")
    if whole and kind != XSD + "double":
        return f'"{int(value)}"^^{iri(kind or XSD + "integer")}'
    mantissa, _, exponent = f"{value:.15E}".partition("E")
    mantissa = mantissa.rstrip("0")
    text = f"{mantissa}{'0' if mantissa[-1] == '.' else ''}E{int(exponent)}"
    if float(text) != value or (not whole and "." not in shown):
        raise DocumentRefused(f"{value!r} is written differently by different implementations", code="number-disputed")
    return f'"{text}"^^{iri(kind or XSD + "double")}'


def is_native(kind: str) -> bool:
    """Whether the datatype is one whose values JSON writes as bare numbers or truth values."""
    return _NATIVE_TYPES.fullmatch(kind) is not None


def quoted(text: str) -> str:
    """A text between quotes, as canonical N-Quads asks. Raises DocumentRefused."""
    return f'"{escaped(text)}"'


def escaped(text: str) -> str:
    """Its characters, without the quotes."""
    if not _REMARKABLE.search(text):
        return text
    if _DISPUTED.search(text):
        raise DocumentRefused(
            "a control character, or half a character, is written differently by implementations", code="text-disputed"
        )
    return _ESCAPED.sub(lambda match: _ESCAPES[match[0]], text)
