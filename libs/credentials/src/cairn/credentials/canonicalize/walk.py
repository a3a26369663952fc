"""JSON-LD to quads in one walk, for documents that name bundled contexts only and use them plainly.

A JSON-LD processor works out the scoped contexts of every document anew, which is nearly all of its time. Here the
bundled contexts are worked out once, by pyld itself, into tables of terms, and a document is written straight from
them. The walk knows only what credentials use; at anything else it hands over to the full processor (`HandOver`), which
then accepts or refuses. What it does accept is equal, to the byte, to what the full processor would have written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pyld import jsonld

from cairn.credentials.bundle import context_urls
from cairn.credentials.canonicalize import terms as rdf
from cairn.credentials.canonicalize.compact_form import is_moved
from cairn.credentials.canonicalize.forest import Forest, Node
from cairn.credentials.canonicalize.jcs import jcs
from cairn.credentials.canonicalize.loading import LOCK, options
from cairn.credentials.errors import DocumentRefused
from cairn.credentials.shape import is_list, listed

_MAX_CONTEXTS: Final = 8
_MAX_TYPES: Final = 8
_MAX_MEMO: Final = 256


class HandOver(Exception):
    """Not for the walk: the full processor decides."""


def walk(document: dict[str, Any]) -> Forest:
    """The statements of the document. Raises HandOver, or DocumentRefused where the full processor would as well."""
    writer = _Writer()
    scope = _root_scope(document.get("@context"))
    body = document.copy()
    del body["@context"]
    if len(body) < 2:
        # A node that is nothing but its id is no statement, and the full processor drops it.
        raise HandOver
    writer.node(body, scope, is_root=True)
    return writer.forest


@dataclass(frozen=True, slots=True)
class _Term:
    """What a context says of a term."""

    lead: str
    """The predicate, with the space on either side of it."""
    kind: str | None
    """The coercion: None, `@id`, `@vocab`, `@json`, or a datatype's IRI."""
    suffix: str
    """What follows a text of that datatype."""
    end: str
    """And the end of the line after it."""
    is_text: bool
    """Whether a text under it is written as it stands, before the suffix."""
    is_plain: bool
    """Whether that is so, and a text is one of its values."""
    is_whole: bool
    """Whether what stands under it is not written value by value: a list, JSON, or graphs."""
    is_graph: bool
    """Whether each value under it is a graph of its own, such as a credential in a presentation."""
    is_moved: bool
    """Whether at the root readers would look for what it says elsewhere, or for something else under its name."""
    scoped: Any
    """The term's own context, or None."""
    is_cleared: bool
    """Whether its context is null: what stands under it names all of its contexts itself."""


class _Scope:
    """An active context as pyld worked it out, with its tables. Memo tables hold only what the contexts define."""

    __slots__ = (
        "context",
        "entrances",
        "id_keys",
        "mappings",
        "prefixes",
        "previous",
        "scoped_types",
        "terms",
        "type_key",
        "type_keys",
        "typed_scopes",
    )

    def __init__(self, context: Any, previous: _Scope | None = None) -> None:
        self.context = context
        self.previous = previous
        self.mappings: Any = context["mappings"]
        if any(key in context for key in ("@base", "@vocab", "@language", "@direction")):
            raise HandOver
        self.terms: dict[str, _Term] = {}
        self.entrances: dict[str | tuple[str, ...] | None, _Entrance] = {}
        self.typed_scopes: dict[tuple[str, ...], _Scope] = {}
        self.scoped_types = frozenset(
            key for key, mapping in self.mappings.items() if mapping and mapping.get("@context") is not None
        )
        self.prefixes = frozenset(key for key, mapping in self.mappings.items() if mapping and mapping["_prefix"])
        self.id_keys = self._aliases("@id")
        self.type_keys = self._aliases("@type")
        self.type_key = next(iter(self.type_keys)) if len(self.type_keys) == 1 else None

    def _aliases(self, keyword: str) -> frozenset[str]:
        return frozenset(key for key, mapping in self.mappings.items() if mapping and mapping["@id"] == keyword)

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
            or containers not in (set(), {"@list"}, {"@graph"})
            or kind == "@none"
        ):
            raise HandOver
        scoped, is_graph = mapping.get("@context"), "@graph" in containers
        is_cleared = scoped is False or (scoped is None and "@context" in mapping)  # pyld writes False for null
        if is_graph:
            if kind != "@id" or not (is_cleared or scoped is None):
                raise HandOver
        elif is_cleared:
            raise HandOver
        datatype = kind if kind is not None and not kind.startswith("@") else None
        suffix = "" if datatype in (None, rdf.XSD + "string") else f"^^{rdf.iri(datatype)}"
        is_text = kind is None or (datatype is not None and not rdf.is_native(datatype))
        is_whole = kind == "@json" or bool(containers)
        return _Term(
            lead=f" {rdf.iri(target)} ",
            kind=kind,
            suffix=suffix,
            end=f"{suffix} .\n",
            is_text=is_text,
            is_plain=is_text and not is_whole,
            is_whole=is_whole,
            is_graph=is_graph,
            is_moved=is_moved(key, target),
            scoped=None if is_cleared else scoped,
            is_cleared=is_cleared,
        )

    def entrance(self, element: dict[str, Any]) -> _Entrance:
        """Into a node of these types (JSON-LD 1.1 API §5.1.2 step 11)."""
        type_key = self.type_key
        if type_key is None and self.type_keys:
            raise HandOver
        kinds: Any = None
        if type_key is not None and type_key in element:
            kinds = element[type_key]
            if kinds.__class__ is not str:
                kinds = _texts(kinds)
        known = self.entrances.get(kinds)
        if known is None:
            known = _Entrance(self, type_key, kinds)
            names = (kinds,) if isinstance(kinds, str) else kinds or ()
            if len(names) <= _MAX_TYPES and all(name in self.mappings for name in names):
                _bounded(self.entrances)[kinds] = known
        return known

    def type_iri(self, name: str) -> str:
        mapping = self.mappings.get(name)
        if mapping is None:
            if name in self.mappings:
                raise HandOver
            return self.absolute(name)
        return rdf.iri(mapping["@id"])

    def absolute(self, text: str) -> str:
        """An IRI that no prefix of the contexts changes."""
        if not rdf.IRI.fullmatch(text):
            raise HandOver
        if text[:8] != "https://":
            prefix, _, rest = text.partition(":")
            if prefix == "cairn-relative" or (prefix in self.prefixes and rest[:2] != "//"):
                raise HandOver
        return f"<{text}>"

    def vocabulary(self, text: str) -> str:
        mapping = self.mappings.get(text)
        if mapping is None:
            raise HandOver
        return rdf.iri(mapping["@id"])

    def typed(self, names: tuple[str, ...]) -> _Scope:
        scoped = tuple(name for name in names if name in self.scoped_types)
        if not scoped:
            return self
        known = self.typed_scopes.get(scoped)
        if known is None:
            context = self.context
            for name in scoped:
                context = _process(context, self.mappings[name]["@context"])
            known = _bounded(self.typed_scopes)[scoped] = _Scope(context, previous=self)
        return known

    def under(self, contexts: Any) -> _Scope:
        """The scope of a node under it that names contexts itself: what types had changed ends with their node."""
        if contexts is None:
            return self
        base = self.previous or self
        names = ("\0@context", *_bundled(contexts))
        known = base.typed_scopes.get(names)
        if known is None:
            known = _bounded(base.typed_scopes)[names] = _Scope(_process(base.context, list(names[1:])))
        return known

    def scoped_to(self, key: str, term: _Term) -> _Scope:
        """The scope of a term with a context of its own, for the plain values under it."""
        names = ("\0", key)
        known = self.typed_scopes.get(names)
        if known is None:
            known = _bounded(self.typed_scopes)[names] = _Scope(_process(self.context, term.scoped), previous=self)
        return known


class _Entrance:
    """What the types of a node decide: the scope inside, which members are its keywords, and what the types say."""

    __slots__ = ("id_key", "scope", "type_key", "types")

    def __init__(self, outer: _Scope, type_key: str | None, kinds: str | tuple[str, ...] | None) -> None:
        names = (kinds,) if isinstance(kinds, str) else tuple(sorted(kinds or ()))
        self.scope = outer.typed(names)
        self.type_key = type_key
        self.types = [f" <{rdf.RDF}type> {outer.type_iri(name)} .\n" for name in names]
        id_keys = self.scope.id_keys
        self.id_key = next(iter(id_keys)) if len(id_keys) == 1 else None


class _Writer:
    """Writes statements as it walks. Blank nodes are numbered as they are met."""

    def __init__(self) -> None:
        self.forest = Forest()
        self.root_id: str | None = None

    def node(self, element: dict[str, Any], outer: _Scope, *, is_root: bool = False) -> Node:
        """Writes a node and everything under it."""
        entrance = (outer.previous or outer).entrance(element)
        scope, id_key = entrance.scope, entrance.id_key
        keywords = (id_key, entrance.type_key)
        tails = entrance.types.copy()
        if id_key is None and scope.id_keys:
            raise HandOver
        if id_key in element:
            node: Node = self.subject(element[id_key], scope, element, is_root=is_root)
            said = self.forest.named.setdefault(node, tails)
            if said is not tails:
                said += tails
                tails = said
        else:
            node = self.forest.blank(tails)
        known = scope.terms
        for key, value in element.items():
            if key in keywords:
                continue
            term = known.get(key) or scope.term(key)
            if is_root and term.is_moved:
                raise HandOver
            kind: object = value.__class__
            if kind is str and term.is_plain and value.isprintable() and '"' not in value and "\\" not in value:
                tails.append(f'{term.lead}"{value}"{term.end}')
            elif term.is_whole:
                self.whole(node, tails, term, value, key, scope)
            elif kind is dict and term.scoped is None:
                self.hang(node, tails, term.lead, self.node(value, scope))
            else:
                self.values(node, tails, term.lead, value if kind is list else (value,), key, term, scope)
        return node

    def values(
        self, node: Node, tails: list[str], lead: str, values: Iterable[Any], key: str, term: _Term, scope: _Scope
    ) -> None:
        """Each of the values of one term, as what `node` says."""
        for value in values:
            kind: object = value.__class__
            if kind is str:
                tails.append(f"{lead}{self.text(value, key, term, scope)} .\n")
            elif kind is dict:
                if term.scoped is not None:
                    raise HandOver
                self.hang(node, tails, lead, self.node(value, scope))
            elif not isinstance(value, int | float) or term.kind in ("@id", "@vocab"):
                raise HandOver
            else:
                typed = {"@value": value} if term.kind is None else {"@value": value, "@type": term.kind}
                tails.append(f"{lead}{rdf.literal(typed)} .\n")

    def hang(self, node: Node, tails: list[str], lead: str, child: Node) -> None:
        if isinstance(child, int):
            self.forest.links.append((node, lead, child))
        else:
            tails.append(f"{lead}{child} .\n")

    def subject(self, text: Any, scope: _Scope, element: dict[str, Any], *, is_root: bool) -> str:
        if type(text) is not str:
            raise HandOver
        subject = scope.absolute(text)
        if is_root:
            self.root_id = subject
        elif subject == self.root_id and len(element) > 1:
            raise HandOver
        return subject

    def text(self, text: str, key: str, term: _Term, scope: _Scope) -> str:
        if term.kind == "@id":
            return scope.absolute(text)
        if term.is_text:
            return rdf.quoted(text) + term.suffix
        if term.kind == "@vocab":
            return (scope.scoped_to(key, term) if term.scoped is not None else scope).vocabulary(text)
        return rdf.literal({"@value": text, "@type": term.kind})

    def whole(self, node: Node, tails: list[str], term: _Term, value: Any, key: str, scope: _Scope) -> None:
        """JSON, or graphs, or a list as a chain of cells."""
        if term.is_graph:
            for item in listed(value):
                self.graph(node, term, item, scope)
            return
        if term.kind == "@json":
            tails.append(f"{term.lead}{rdf.quoted(jcs(value).decode())}^^<{rdf.RDF}JSON> .\n")
            return
        if not is_list(value):
            raise HandOver
        lead = term.lead
        for item in value:
            inside: list[str] = []
            cell = self.forest.blank(inside)
            self.forest.links.append((node, lead, cell))
            self.values(cell, inside, _FIRST, (item,), key, term, scope)
            node, tails, lead = cell, inside, _REST
        tails.append(f"{lead}<{rdf.RDF}nil> .\n")

    def graph(self, node: Node, term: _Term, value: Any, scope: _Scope) -> None:
        """A node in a graph of its own, which a blank node names (JSON-LD 1.1 API §5.1.2 step 13.12)."""
        if value.__class__ is not dict:
            raise HandOver
        body = value.copy()
        contexts = body.pop("@context", None)
        if len(body) < 2:
            raise HandOver
        inside = _root_scope(contexts) if term.is_cleared else scope.under(contexts)
        outer = self.forest
        name = outer.blank([])
        outer.links.append((node, term.lead, name))
        self.forest = Forest()
        outer.graphs.append((name, self.forest))
        self.node(body, inside)
        self.forest = outer


_FIRST: Final = f" <{rdf.RDF}first> "
_REST: Final = f" <{rdf.RDF}rest> "


def _texts(values: Any) -> tuple[str, ...]:
    if not is_list(values) or not values:
        raise HandOver
    for value in values:
        if value.__class__ is not str:
            raise HandOver
    return tuple(values)


_K = TypeVar("_K")
_V = TypeVar("_V")


def _bounded(memo: dict[_K, _V]) -> dict[_K, _V]:
    """Hostile documents can combine types at will, so a memo that is full is emptied rather than left to grow."""
    if len(memo) >= _MAX_MEMO:
        memo.clear()
    return memo


_roots: dict[tuple[str, ...], _Scope] = {}


def _root_scope(contexts: Any) -> _Scope:
    """The scope of a list of bundled contexts, worked out once."""
    names = _bundled(contexts)
    known = _roots.get(names)
    if known is None:
        context = _process({"processingMode": "json-ld-1.1", "mappings": {}}, list(names))
        known = _bounded(_roots)[names] = _Scope(context)
    return known


def _bundled(contexts: Any) -> tuple[str, ...]:
    names = tuple([name if isinstance(name, str) else "" for name in listed(contexts)])
    if not names or len(names) > _MAX_CONTEXTS or not context_urls().issuperset(names):
        raise HandOver
    return names


def _process(active: Any, local: Any) -> Any:
    processor: Any = jsonld.JsonLdProcessor()
    try:
        with LOCK:
            return processor.process_context(active, local, options())
    except (jsonld.JsonLdError, DocumentRefused):
        raise HandOver from None
