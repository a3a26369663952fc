"""JSON-LD to quads, refusing every document of which any part would be left out of them (S1).

JSON-LD processors drop what they do not understand, without a word: undefined terms, relative IRIs, nulls. What is
dropped is not signed. So the document is checked before it is expanded, and the expansion is checked again while it is
written as quads. Sources: JSON-LD 1.1 API §5.1 (expansion), §8 (RDF); VC data model 2.0 §4.3 (compacted form).
"""

from __future__ import annotations

from typing import Any

from pyld import jsonld

from cairn.credentials.canonicalize.compact_form import refuse_rekeyed_root, require_compact_form
from cairn.credentials.canonicalize.loading import LOCK, options
from cairn.credentials.canonicalize.rdfc import Quad
from cairn.credentials.canonicalize.terms import RDF, iri, literal
from cairn.credentials.errors import ContextUnknown, CredentialError, DocumentRefused


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
        with LOCK:
            expanded = processor.expand(document, options())
    except CredentialError:
        raise
    except jsonld.JsonLdError as error:
        raise _refusal(error) from None
    except (RecursionError, TypeError, ValueError, KeyError, AttributeError) as error:
        if error.args == ("@vocab",):
            # Well-formed, but pyld cannot take back a vocabulary where none was set.
            raise DocumentRefused("@vocab is null where there is none", code="unsupported") from None
        # pyld assumes well-formed input in places; what breaks it is not something to sign or to trust.
        raise DocumentRefused(f"not JSON-LD: {type(error).__name__}", code="jsonld-invalid") from None
    if dropped:
        raise DocumentRefused(
            f"the contexts do not define the term {dropped[0]!r}, so it would go unsigned", code="term-undefined"
        )
    return expanded


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
