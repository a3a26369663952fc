"""JSON-LD to quads, refusing every document of which any part would be left out of them (S1).

JSON-LD processors drop what they do not understand, without a word: undefined terms, relative IRIs, nulls. What is
dropped is not signed. So the document is checked before it is expanded, and the expansion is checked again while it is
written as quads. Sources: JSON-LD 1.1 API §5.1 (expansion), §8 (RDF); VC data model 2.0 §4.3 (compacted form).
"""

from __future__ import annotations

import re
import threading
from typing import Any, Final

import rfc8785
from cachetools import LRUCache
from pyld import jsonld
from pyld.context_resolver import ContextResolver

from cairn.credentials.bundle import context_document
from cairn.credentials.canonicalize.compact_form import refuse_rekeyed_root, require_compact_form
from cairn.credentials.canonicalize.rdfc import Quad
from cairn.credentials.errors import ContextUnknown, CredentialError, DocumentRefused

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"

# Relative IRIs resolve to here, and so are known and refused. Without a base, pyld makes up one at example.org.
_NOWHERE: Final = "cairn-relative:///"

_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|\\^`\x7f\ufffe\uffff]*")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
_ESCAPED: Final = re.compile(r'["\\\n\r\t]')
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_DISPUTED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
"""Characters that N-Quads writers in use escape differently, so that their hashes would differ."""
_NATIVE_TEXT: Final = re.compile(r"true|false|-?\d+(\.\d+)?([eE][+-]?\d+)?")
_NATIVE_TYPES: Final = re.compile(
    r"https?://www\.w3\.org/2001/XMLSchema#"
    r"(boolean|float|double|decimal|integer|nonNegativeInteger|positiveInteger|int|long|short)"
)
_MAX_SAFE_INTEGER: Final = 2**53 - 1

# pyld's own cache is shared by the whole process and does not know that another loader may mean other bytes by a URL.
_cache: Any = LRUCache[str, Any](maxsize=256)
_lock = threading.Lock()


def to_quads(document: dict[str, Any]) -> list[Quad]:
    """The quads of one document. Raises ContextUnknown or DocumentRefused."""
    require_compact_form(document)
    expanded = expand(document)
    if len(expanded) != 1:
        raise DocumentRefused("a document is one JSON-LD node", code="document-refused")
    refuse_rekeyed_root(document, expanded[0])
    writer = _QuadWriter()
    writer.node(expanded[0], "")
    return writer.quads


def expand(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Expanded JSON-LD, by pyld, with bundled contexts only. Raises ContextUnknown or DocumentRefused."""
    dropped: list[str | None] = []
    processor: Any = jsonld.JsonLdProcessor(on_property_dropped=dropped.append)
    try:
        with _lock:
            options = {
                "base": _NOWHERE,
                "documentLoader": _load,
                "contextResolver": ContextResolver(_cache, _load),
                "processingMode": "json-ld-1.1",
            }
            expanded = processor.expand(document, options)
    except CredentialError:
        raise
    except jsonld.JsonLdError as error:
        raise _refusal(error) from None
    except (RecursionError, TypeError, ValueError, KeyError, AttributeError) as error:
        # pyld assumes well-formed input in places; what breaks it is not something to sign or to trust.
        raise DocumentRefused(f"not JSON-LD: {type(error).__name__}", code="jsonld-invalid") from None
    if dropped:
        raise DocumentRefused(
            f"the contexts do not define the term {dropped[0]!r}, so it would go unsigned", code="term-undefined"
        )
    return expanded


def _load(url: str, options: Any = None) -> dict[str, Any]:
    return {
        "contentType": "application/ld+json",
        "contextUrl": None,
        "documentUrl": url,
        "document": context_document(url),
    }


def _refusal(error: Any) -> CredentialError:
    cause: Any = error
    while cause is not None:
        if isinstance(cause, ContextUnknown):
            return cause
        cause = getattr(cause, "cause", None) or getattr(cause, "__cause__", None)
    return DocumentRefused(f"not JSON-LD: {str(error)[:200]}", code="jsonld-invalid")


class _QuadWriter:
    """Walks an expanded node (JSON-LD 1.1 API §8.1). Blank nodes are numbered as they are met."""

    def __init__(self) -> None:
        self.quads: list[Quad] = []
        self.blanks = 0
        self.root_id: str | None = None
        self.started = False

    def node(self, node: dict[str, Any], graph: str) -> str:
        """Writes a node and everything under it; returns its term."""
        subject = iri(node["@id"]) if "@id" in node else self.blank()
        if not self.started:
            self.started, self.root_id = True, node.get("@id")
        elif self.root_id is not None and node.get("@id") == self.root_id and len(node) > 1:
            # The graph could not tell which of the two places said what, so a validUntil could be moved out of sight.
            raise DocumentRefused("another node has the document's own id and says more of it", code="node-split")
        for key, values in node.items():
            if key == "@id":
                continue
            if key == "@type":
                for kind in values:
                    self.quads.append((subject, f"<{RDF}type>", iri(kind), graph))
            elif key == "@graph":
                for inner in values:
                    self.node(inner, subject)
            elif key.startswith("@"):
                raise DocumentRefused(f"{key} is not signed", code="keyword-refused")
            else:
                predicate = iri(key)
                for value in values:
                    self.quads.append((subject, predicate, self.value(value, graph), graph))
        return subject

    def value(self, value: dict[str, Any], graph: str) -> str:
        if "@value" in value:
            return literal(value)
        if "@list" in value:
            return self.list(value["@list"], graph)
        return self.node(value, graph)

    def list(self, items: list[dict[str, Any]], graph: str) -> str:
        head = f"<{RDF}nil>"
        for item in reversed(items):
            cell = self.blank()
            self.quads.append((cell, f"<{RDF}first>", self.value(item, graph), graph))
            self.quads.append((cell, f"<{RDF}rest>", head, graph))
            head = cell
        return head

    def blank(self) -> str:
        self.blanks += 1
        return f"_:b{self.blanks}"


def iri(text: Any) -> str:
    """An absolute IRI as N-Quads writes it. Raises DocumentRefused: a relative one would be dropped."""
    if not isinstance(text, str) or not _IRI.fullmatch(text) or text.startswith("cairn-relative:"):
        shown = str(text).removeprefix(_NOWHERE)[:120]
        raise DocumentRefused(f"{shown!r} is not an absolute IRI, so it would go unsigned", code="iri-not-absolute")
    return f"<{text}>"


def literal(value: dict[str, Any]) -> str:
    """A value object as an N-Quads literal (JSON-LD 1.1 API §8.2.2)."""
    content, kind, language = value["@value"], value.get("@type"), value.get("@language")
    if not value.keys() <= {"@value", "@type", "@language"}:
        raise DocumentRefused("a value with a direction or an index would lose it unsigned", code="keyword-refused")
    if kind == "@json":
        return f"{quoted(rfc8785.dumps(content).decode())}^^<{RDF}JSON>"
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


def number(value: int | float, kind: str | None) -> str:
    """JSON-LD 1.1 API §8.2.2 steps 10 and 11, refusing the numbers that implementations write differently."""
    whole = isinstance(value, int) or value.is_integer()
    if abs(value) > _MAX_SAFE_INTEGER and whole:
        raise DocumentRefused(f"{value} is beyond the integers that every reader holds exactly", code="number-disputed")
    if isinstance(value, float) and repr(value) == "-0.0":
        raise DocumentRefused("-0.0 and 0 are signed alike", code="number-disputed")
    if whole and kind != XSD + "double":
        return f'"{int(value)}"^^{iri(kind or XSD + "integer")}'
    mantissa, _, exponent = f"{value:.15E}".partition("E")
    text = f"{mantissa.rstrip('0')}{'0' if mantissa.rstrip('0').endswith('.') else ''}E{int(exponent)}"
    if float(text) != value or (not whole and "." not in repr(value)):
        raise DocumentRefused(f"{value!r} is written differently by different implementations", code="number-disputed")
    return f'"{text}"^^{iri(kind or XSD + "double")}'


def quoted(text: str) -> str:
    if _DISPUTED.search(text):
        raise DocumentRefused(
            "a control character is escaped differently by different implementations", code="text-disputed"
        )
    return '"' + _ESCAPED.sub(lambda match: _ESCAPES[match[0]], text) + '"'
