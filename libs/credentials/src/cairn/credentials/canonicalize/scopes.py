"""Active contexts as tables of terms, worked out once by pyld from the bundled contexts, for the walk.

The memo tables hold only what the contexts define, and are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pyld import jsonld

from cairn.credentials.bundle import context_urls
from cairn.credentials.canonicalize import terms as rdf
from cairn.credentials.canonicalize.compact_form import is_moved
from cairn.credentials.canonicalize.loading import LOCK, options
from cairn.credentials.errors import DocumentRefused
from cairn.credentials.shape import is_list, listed

_MAX_CONTEXTS: Final = 8
_MAX_TYPES: Final = 8
_MAX_MEMO: Final = 256


class HandOver(Exception):
    """Not for the walk: the full processor decides."""


@dataclass(frozen=True, slots=True)
class Term:
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


class Scope:
    """An active context as pyld worked it out, with its tables."""

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

    def __init__(self, context: Any, previous: Scope | None = None) -> None:
        self.context = context
        self.previous = previous
        self.mappings: Any = context["mappings"]
        if any(key in context for key in ("@base", "@vocab", "@language", "@direction")):
            raise HandOver
        self.terms: dict[str, Term] = {}
        self.entrances: dict[str | tuple[str, ...] | None, _Entrance] = {}
        self.typed_scopes: dict[tuple[str, ...], Scope] = {}
        self.scoped_types = frozenset(
            key for key, mapping in self.mappings.items() if mapping and mapping.get("@context") is not None
        )
        self.prefixes = frozenset(key for key, mapping in self.mappings.items() if mapping and mapping["_prefix"])
        self.id_keys = self._aliases("@id")
        self.type_keys = self._aliases("@type")
        self.type_key = next(iter(self.type_keys)) if len(self.type_keys) == 1 else None

    def _aliases(self, keyword: str) -> frozenset[str]:
        return frozenset(key for key, mapping in self.mappings.items() if mapping and mapping["@id"] == keyword)

    def term(self, key: str) -> Term:
        known = self.terms.get(key)
        if known is None:
            known = self.terms[key] = self._compile(key)
        return known

    def _compile(self, key: str) -> Term:
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
        return Term(
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

    def typed(self, names: tuple[str, ...]) -> Scope:
        scoped = tuple(name for name in names if name in self.scoped_types)
        if not scoped:
            return self
        known = self.typed_scopes.get(scoped)
        if known is None:
            context = self.context
            for name in scoped:
                context = _process(context, self.mappings[name]["@context"])
            known = _bounded(self.typed_scopes)[scoped] = Scope(context, previous=self)
        return known

    def under(self, contexts: Any) -> Scope:
        """The scope of a node under it that names contexts itself: what types had changed ends with their node."""
        if contexts is None:
            return self
        base = self.previous or self
        names = ("\0@context", *_bundled(contexts))
        known = base.typed_scopes.get(names)
        if known is None:
            known = _bounded(base.typed_scopes)[names] = Scope(_process(base.context, list(names[1:])))
        return known

    def scoped_to(self, key: str, term: Term) -> Scope:
        """The scope of a term with a context of its own, for the plain values under it."""
        names = ("\0", key)
        known = self.typed_scopes.get(names)
        if known is None:
            known = _bounded(self.typed_scopes)[names] = Scope(_process(self.context, term.scoped), previous=self)
        return known


class _Entrance:
    """What the types of a node decide: the scope inside, which members are its keywords, and what the types say."""

    __slots__ = ("id_key", "scope", "type_key", "types")

    def __init__(self, outer: Scope, type_key: str | None, kinds: str | tuple[str, ...] | None) -> None:
        names = (kinds,) if isinstance(kinds, str) else tuple(sorted(kinds or ()))
        self.scope = outer.typed(names)
        self.type_key = type_key
        self.types = [f" <{rdf.RDF}type> {outer.type_iri(name)} .\n" for name in names]
        id_keys = self.scope.id_keys
        self.id_key = next(iter(id_keys)) if len(id_keys) == 1 else None


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


_roots: dict[tuple[str, ...], Scope] = {}


def root_scope(contexts: Any) -> Scope:
    """The scope of a list of bundled contexts, worked out once."""
    names = _bundled(contexts)
    known = _roots.get(names)
    if known is None:
        context = _process({"processingMode": "json-ld-1.1", "mappings": {}}, list(names))
        known = _bounded(_roots)[names] = Scope(context)
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
