"""JSON-LD to quads in one walk, for documents that name bundled contexts only and use them plainly.

A JSON-LD processor works out the scoped contexts of every document anew, which is nearly all of its time. Here the
bundled contexts are worked out once, by pyld itself, into tables of terms, and a document is written straight from
them. The walk knows only what credentials use; at anything else it hands over to the full processor (`HandOver`), which
then accepts or refuses. What it does accept is equal, to the byte, to what the full processor would have written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pyld import jsonld

from cairn.credentials.bundle import context_urls
from cairn.credentials.canonicalize import terms as rdf
from cairn.credentials.canonicalize.compact_form import refuse_rekeyed_root
from cairn.credentials.canonicalize.jcs import jcs
from cairn.credentials.canonicalize.loading import LOCK, options
from cairn.credentials.canonicalize.rdfc import Quad
from cairn.credentials.errors import DocumentRefused
from cairn.credentials.shape import is_list, is_object, listed

_MAX_CONTEXTS: Final = 8
_MAX_ROOTS: Final = 64
_MAX_SCOPES: Final = 256


class HandOver(Exception):
    """Not for the walk: the full processor decides."""


def walk(document: dict[str, Any]) -> list[Quad]:
    """The quads of the document. Raises HandOver, or DocumentRefused where the full processor would as well."""
    writer = _Writer()
    root_terms = writer.root(document, _root_scope(document.get("@context")))
    refuse_rekeyed_root(document, root_terms)
    return writer.quads


@dataclass(frozen=True, slots=True)
class _Term:
    """What a context says of a term."""

    predicate: str
    kind: str | None
    """The coercion: None, `@id`, `@vocab`, `@json`, or a datatype's IRI."""
    suffix: str
    """What follows a text of that datatype."""
    plain_text: bool
    """Whether a text needs no further look before the suffix is added."""
    is_list: bool
    scoped: Any
    """The term's own context, or None."""


class _Scope:
    """An active context as pyld worked it out, with its tables. Memo tables hold only what the contexts define."""

    __slots__ = (
        "context",
        "id_keys",
        "mappings",
        "previous",
        "scoped_types",
        "terms",
        "type_keys",
        "typed_scopes",
        "types",
    )

    def __init__(self, context: Any, previous: _Scope | None = None) -> None:
        self.context = context
        self.previous = previous
        self.mappings: Any = context["mappings"]
        if any(key in context for key in ("@base", "@vocab", "@language", "@direction")):
            raise HandOver
        self.terms: dict[str, _Term] = {}
        self.types: dict[str, str] = {}
        self.typed_scopes: dict[tuple[str, ...], _Scope] = {}
        self.scoped_types = frozenset(
            key for key, mapping in self.mappings.items() if mapping and mapping.get("@context") is not None
        )
        self.id_keys = self._aliases("@id")
        self.type_keys = self._aliases("@type")

    def _aliases(self, keyword: str) -> tuple[str, ...]:
        return tuple(key for key, mapping in self.mappings.items() if mapping and mapping["@id"] == keyword)

    def term(self, key: str) -> _Term:
        known = self.terms.get(key)
        if known is None:
            known = self.terms[key] = self._compile(key)
        return known

    def _compile(self, key: str) -> _Term:
        mapping = self.mappings.get(key)
        if not mapping or ":" in key or mapping.get("reverse"):
            raise HandOver
        target, kind = mapping["@id"], mapping.get("@type")
        containers = set(listed(mapping.get("@container"))) - {"@set"}
        odd = any(mapping.get(name) is not None for name in ("@language", "@direction", "@index", "@nest"))
        if (
            odd
            or not isinstance(target, str)
            or target.startswith("@")
            or not containers <= {"@list"}
            or kind == "@none"
        ):
            raise HandOver
        if "@context" in mapping and mapping["@context"] is None:
            raise HandOver
        datatype = kind if kind is not None and not kind.startswith("@") else None
        return _Term(
            predicate=rdf.iri(target),
            kind=kind,
            suffix="" if datatype in (None, rdf.XSD + "string") else f"^^{rdf.iri(datatype)}",
            plain_text=kind is None or (datatype is not None and not rdf.is_native(datatype)),
            is_list="@list" in containers,
            scoped=mapping.get("@context"),
        )

    def type_iri(self, name: str) -> str:
        known = self.types.get(name)
        if known is not None:
            return known
        mapping = self.mappings.get(name)
        if mapping is None:
            if name in self.mappings:
                raise HandOver
            return self.absolute(name)
        known = self.types[name] = rdf.iri(mapping["@id"])
        return known

    def absolute(self, text: str) -> str:
        """An IRI that no prefix of the contexts changes."""
        if not rdf.IRI.fullmatch(text):
            raise HandOver
        prefix, _, rest = text.partition(":")
        if not rest.startswith("//"):
            mapping = self.mappings.get(prefix)
            if mapping and mapping["_prefix"]:
                raise HandOver
        return rdf.iri(text)

    def vocabulary(self, text: str) -> str:
        mapping = self.mappings.get(text)
        if mapping is None:
            raise HandOver
        return rdf.iri(mapping["@id"])

    def typed(self, names: tuple[str, ...]) -> _Scope:
        """The scope inside a node of these types (JSON-LD 1.1 API §5.1.2 step 11)."""
        scoped = tuple(name for name in names if name in self.scoped_types)
        if not scoped:
            return self
        known = self.typed_scopes.get(scoped)
        if known is None:
            context = self.context
            for name in scoped:
                context = _process(context, self.mappings[name]["@context"])
            known = self.remember(scoped, _Scope(context, previous=self))
        return known

    def remember(self, names: tuple[str, ...], scope: _Scope) -> _Scope:
        """Hostile documents can combine types at will, so the memo is emptied rather than left to grow."""
        if len(self.typed_scopes) >= _MAX_SCOPES:
            self.typed_scopes.clear()
        self.typed_scopes[names] = scope
        return scope

    def scoped_to(self, key: str, term: _Term) -> _Scope:
        """The scope of a term with a context of its own, for the plain values under it."""
        names = ("\0", key)
        known = self.typed_scopes.get(names)
        if known is None:
            known = self.remember(names, _Scope(_process(self.context, term.scoped), previous=self))
        return known


class _Writer:
    """Writes quads as it walks. Blank nodes are numbered as they are met."""

    def __init__(self) -> None:
        self.quads: list[Quad] = []
        self.blanks = 0
        self.root_id: str | None = None

    def root(self, document: dict[str, Any], scope: _Scope) -> set[str]:
        """Walks the whole document; returns the IRIs of the root's own properties."""
        body = {key: value for key, value in document.items() if key != "@context"}
        self.node(body, scope)
        names = tuple(sorted(name for key in scope.type_keys for name in listed(body.get(key))))
        inner = scope.typed(names)
        keywords = {*scope.type_keys, *inner.id_keys}
        return {inner.term(key).predicate[1:-1] for key in body if key not in keywords}

    def node(self, element: dict[str, Any], scope: _Scope) -> str:
        outer = scope.previous or scope
        type_keys = [key for key in outer.type_keys if key in element]
        names: tuple[str, ...] = ()
        if type_keys:
            kinds = element[type_keys[0]]
            names = (kinds,) if isinstance(kinds, str) else tuple(sorted(_texts(kinds)))
        scope = outer.typed(names)
        id_keys = [key for key in scope.id_keys if key in element]
        if len(type_keys) > 1 or len(id_keys) > 1:
            raise HandOver
        subject = self.subject(element[id_keys[0]], scope, element) if id_keys else self.blank()
        for name in names:
            self.quads.append((subject, f"<{rdf.RDF}type>", outer.type_iri(name), ""))
        for key, value in element.items():
            if key in id_keys or key in type_keys:
                continue
            term = scope.term(key)
            if term.kind == "@json":
                text = rdf.quoted(jcs(value).decode())
                self.quads.append((subject, term.predicate, f"{text}^^<{rdf.RDF}JSON>", ""))
            elif term.is_list:
                if not is_list(value):
                    raise HandOver
                self.quads.append((subject, term.predicate, self.list(value, key, term, scope), ""))
            elif is_list(value):
                for item in value:
                    self.quads.append((subject, term.predicate, self.value(item, key, term, scope), ""))
            else:
                self.quads.append((subject, term.predicate, self.value(value, key, term, scope), ""))
        return subject

    def subject(self, text: Any, scope: _Scope, element: dict[str, Any]) -> str:
        if not isinstance(text, str):
            raise HandOver
        subject = scope.absolute(text)
        if not self.quads and self.root_id is None and self.blanks == 0:
            self.root_id = subject
        elif subject == self.root_id and len(element) > 1:
            raise HandOver
        return subject

    def value(self, value: Any, key: str, term: _Term, scope: _Scope) -> str:
        if isinstance(value, str):
            if term.plain_text:
                return rdf.quoted(value) + term.suffix
            if term.kind == "@id":
                return scope.absolute(value)
            if term.kind == "@vocab":
                return (scope.scoped_to(key, term) if term.scoped is not None else scope).vocabulary(value)
            return rdf.literal({"@value": value, "@type": term.kind})
        if is_object(value):
            if term.scoped is not None:
                raise HandOver
            return self.node(value, scope)
        if not isinstance(value, int | float) or term.kind in ("@id", "@vocab"):
            raise HandOver
        return rdf.literal({"@value": value} if term.kind is None else {"@value": value, "@type": term.kind})

    def list(self, items: list[Any], key: str, term: _Term, scope: _Scope) -> str:
        head = f"<{rdf.RDF}nil>"
        for item in reversed(items):
            cell = self.blank()
            self.quads.append((cell, f"<{rdf.RDF}first>", self.value(item, key, term, scope), ""))
            self.quads.append((cell, f"<{rdf.RDF}rest>", head, ""))
            head = cell
        return head

    def blank(self) -> str:
        self.blanks += 1
        return f"_:b{self.blanks}"


def _texts(values: Any) -> list[str]:
    found = [value for value in values if isinstance(value, str)] if is_list(values) else []
    if not found or len(found) != len(values):
        raise HandOver
    return found


_roots: dict[tuple[str, ...], _Scope] = {}


def _root_scope(contexts: Any) -> _Scope:
    """The scope of a list of bundled contexts, worked out once."""
    names = tuple(name if isinstance(name, str) else "" for name in listed(contexts))
    known = _roots.get(names)
    if known is None:
        if not names or len(names) > _MAX_CONTEXTS or not context_urls().issuperset(names):
            raise HandOver
        if len(_roots) >= _MAX_ROOTS:
            _roots.clear()
        known = _roots[names] = _Scope(_process({"processingMode": "json-ld-1.1", "mappings": {}}, list(names)))
    return known


def _process(active: Any, local: Any) -> Any:
    processor: Any = jsonld.JsonLdProcessor()
    try:
        with LOCK:
            return processor.process_context(active, local, options())
    except (jsonld.JsonLdError, DocumentRefused):
        raise HandOver from None
