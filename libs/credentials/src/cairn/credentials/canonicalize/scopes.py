"""Active contexts as tables of terms, worked out once by pyld from the bundled contexts, for the walk.

The memo tables hold only what the contexts define, and are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pyld import jsonld

from cairn.credentials.bundle import context_urls
from cairn.credentials.canonicalize import terms as rdf
from cairn.credentials.canonicalize.compact_form import is_moved
from cairn.credentials.canonicalize.loading import LOCK, options
from cairn.credentials.errors import DocumentRefused
from cairn.credentials.shape import is_list, listed

_MAX_CONTEXTS: Final = 8
_MAX_SCOPES: Final = 256
_MAX_ENTRANCES: Final = 2_048
_MAX_SHAPE: Final = 64


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
    opening: str
    """What comes before the characters of a text of that datatype, from the predicate to the quotation mark."""
    closing: str
    """And what comes after them, to the end of the line."""
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
        "id_keys",
        "mappings",
        "prefixes",
        "previous",
        "scoped_types",
        "terms",
        "type_key",
        "type_keys",
    )

    def __init__(self, context: Any, previous: Scope | None = None) -> None:
        self.context = context
        self.previous = previous
        self.mappings: Any = context["mappings"]
        if any(key in context for key in ("@base", "@vocab", "@language", "@direction")):
            raise HandOver
        self.terms: dict[str, Term] = {}
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
        lead = f" {rdf.iri(target)} "
        return Term(
            lead=lead,
            kind=kind,
            suffix=suffix,
            opening=f'{lead}"',
            closing=f'"{suffix} .\n',
            is_text=is_text,
            is_plain=is_text and not is_whole,
            is_whole=is_whole,
            is_graph=is_graph,
            is_moved=is_moved(key, target),
            scoped=None if is_cleared else scoped,
            is_cleared=is_cleared,
        )

    def entrance(self, element: dict[str, Any]) -> Entrance:
        """Into a node of these types and members (JSON-LD 1.1 API §5.1.2 step 11)."""
        kinds: Any = element.get(self.type_key or "")
        if kinds.__class__ is list:
            kinds = tuple(kinds)
        shape = (self, kinds, *element, *map(type, element.values()))
        try:
            known = _entrances.get(shape)
        except TypeError:
            # A type that is no text, nor anything else that could be looked up.
            raise HandOver from None
        if known is None:
            known = Entrance(self, element)
            is_small = len(shape) + len(known.names) <= _MAX_SHAPE
            if is_small and all(name in self.mappings for name in known.names):
                if len(_entrances) >= _MAX_ENTRANCES:
                    _entrances.clear()
                _entrances[shape] = known
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
        scoped = tuple([name for name in names if name in self.scoped_types])
        return _scope(self, scoped, [self.mappings[name]["@context"] for name in scoped], self) if scoped else self

    def under(self, contexts: Any) -> Scope:
        """The scope of a node under it that names contexts itself: what types had changed ends with their node."""
        if contexts is None:
            return self
        names = _bundled(contexts)
        return _scope(self.previous or self, ("\0@context", *names), [list(names)])

    def scoped_to(self, key: str, term: Term) -> Scope:
        """The scope of a term with a context of its own, for the plain values under it."""
        return _scope(self, ("\0", key), [term.scoped], self)


class Entrance:
    """What the types of a node, and which members it has, decide."""

    __slots__ = ("id_key", "is_moved", "may_repeat", "names", "others", "scope", "texts", "types")

    def __init__(self, outer: Scope, element: dict[str, Any]) -> None:
        type_key = outer.type_key
        if type_key is None and outer.type_keys:
            raise HandOver
        self.names = _texts(element[type_key]) if type_key in element else ()
        self.scope = scope = outer.typed(tuple(sorted(self.names)))
        if len(scope.id_keys) > 1:
            raise HandOver
        self.id_key = next((key for key in scope.id_keys if key in element), None)
        """Where its id stands, if it has one."""
        self.types = [f" <{rdf.RDF}type> {outer.type_iri(name)} .\n" for name in dict.fromkeys(self.names)]
        """What its types say."""
        self.texts: list[tuple[str, str, str]] = []
        """Its members that are texts, written as they stand: what comes before each, which it is, and what follows."""
        self.others: list[tuple[str, Term, bool]] = []
        """Its other members, and whether each is plainly a node."""
        leads = [f" <{rdf.RDF}type> "] if self.types else []
        self.is_moved = False
        for key, value in element.items():
            if key in (self.id_key, type_key):
                continue
            term = scope.term(key)
            leads.append(term.lead)
            self.is_moved = self.is_moved or term.is_moved
            kind: object = value.__class__
            if kind is str and term.is_plain:
                self.texts.append((term.opening, key, term.closing))
            else:
                self.others.append((key, term, kind is dict and term.scoped is None and not term.is_whole))
        self.texts.sort()
        self.may_repeat = len(set(leads)) < len(leads)


def _texts(value: Any) -> tuple[str, ...]:
    values = [value] if value.__class__ is str else value
    if not is_list(values) or not values or any(one.__class__ is not str for one in values):
        raise HandOver
    return tuple(values)


# Hostile documents can combine contexts, types and members at will, so a memo that is full is emptied.
_scopes: dict[tuple[Scope | None, tuple[str, ...]], Scope] = {}
_entrances: dict[tuple[Any, ...], Entrance] = {}


def root_scope(contexts: Any) -> Scope:
    """The scope of a list of bundled contexts, worked out once."""
    names = _bundled(contexts)
    return _scope(None, names, [list(names)])


def _scope(outer: Scope | None, names: tuple[str, ...], contexts: list[Any], previous: Scope | None = None) -> Scope:
    """The scope that the contexts, which are known by those names, make of the outer one."""
    known = _scopes.get((outer, names))
    if known is None:
        context: Any = {"processingMode": "json-ld-1.1", "mappings": {}} if outer is None else outer.context
        for local in contexts:
            context = _process(context, local)
        if len(_scopes) >= _MAX_SCOPES:
            _scopes.clear()
            _entrances.clear()
        known = _scopes[outer, names] = Scope(context, previous)
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
