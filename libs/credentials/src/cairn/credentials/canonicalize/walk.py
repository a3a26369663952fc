"""JSON-LD to quads in one walk, for documents that name bundled contexts only and use them plainly.

A JSON-LD processor works out the scoped contexts of every document anew, which is nearly all of its time. Here the
bundled contexts are worked out once, by pyld itself, into tables of terms, and a document is written straight from
them. The walk knows only what credentials use; at anything else it hands over to the full processor (`HandOver`), which
then accepts or refuses. What it does accept is equal, to the byte, to what the full processor would have written.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from cairn.credentials.canonicalize import terms as rdf
from cairn.credentials.canonicalize.forest import Forest, Node
from cairn.credentials.canonicalize.jcs import jcs
from cairn.credentials.canonicalize.scopes import HandOver, Scope, Term, root_scope
from cairn.credentials.shape import is_list

__all__ = ["HandOver", "walk"]


def walk(document: dict[str, Any]) -> Forest:
    """The statements of the document. Raises HandOver, or DocumentRefused where the full processor would as well."""
    writer = _Writer(is_plain=_is_plain(document))
    scope = root_scope(document.get("@context"))
    body = document.copy()
    del body["@context"]
    if len(body) < 2:
        # A node that is nothing but its id is no statement, and the full processor drops it.
        raise HandOver
    writer.node(body, scope, is_root=True)
    return writer.forest


def _is_plain(document: dict[str, Any]) -> bool:
    """Whether `terms.quoted` would change, or refuse, none of its texts: JSON escapes nearly the same characters."""
    try:
        written = orjson.dumps(document)
    except TypeError:
        return False
    return b"\\" not in written and b"\x7f" not in written and (written.isascii() or b"\xef\xbf" not in written)


class _Writer:
    """Writes statements as it walks. Blank nodes are numbered as they are met."""

    def __init__(self, *, is_plain: bool) -> None:
        self.forest = Forest()
        self.root_id: str | None = None
        self.is_plain = is_plain

    def node(
        self,
        element: dict[str, Any],
        outer: Scope,
        parent: Node | None = None,
        lead: str = "",
        *,
        is_root: bool = False,
    ) -> str | None:
        """Writes a node and everything under it. Gives its IRI; one that has none is hung from its parent."""
        entrance = (outer.previous or outer).entrance(element)
        scope, forest = entrance.scope, self.forest
        if self.is_plain:
            tails = entrance.types + [f"{opening}{element[key]}{closing}" for opening, key, closing in entrance.texts]
        else:
            tails = entrance.types + [
                f"{opening}{rdf.escaped(element[key])}{closing}" for opening, key, closing in entrance.texts
            ]
        if is_root and entrance.is_moved:
            raise HandOver
        subject: str | None = None
        if entrance.id_key is None:
            node: Node = forest.blank(tails, parent, lead)
        else:
            node = subject = self.subject(element[entrance.id_key], scope, element, is_root=is_root)
            said = forest.named.setdefault(node, tails)
            if said is not tails:
                said += tails
                tails = said
                forest.doubtful.append(said)
        if entrance.may_repeat:
            forest.doubtful.append(tails)
        for key, term, is_node in entrance.others:
            value = element[key]
            if is_node:
                child = self.node(value, scope, node, term.lead)
                if child:
                    tails.append(f"{term.lead}{child} .\n")
            elif term.is_whole:
                self.whole(node, tails, term, value, key, scope)
            elif value.__class__ is list:
                self.values(node, tails, term.lead, value, key, term, scope)
                if len(value) > 1:
                    forest.doubtful.append(tails)
            else:
                self.values(node, tails, term.lead, (value,), key, term, scope)
        return subject

    def values(
        self, node: Node, tails: list[str], lead: str, values: Iterable[Any], key: str, term: Term, scope: Scope
    ) -> None:
        """Each of the values of one term, as what `node` says."""
        for value in values:
            kind: object = value.__class__
            if kind is str:
                tails.append(f"{lead}{self.text(value, key, term, scope)} .\n")
            elif kind is dict:
                if term.scoped is not None:
                    raise HandOver
                child = self.node(value, scope, node, lead)
                if child:
                    tails.append(f"{lead}{child} .\n")
            elif not isinstance(value, int | float) or term.kind in ("@id", "@vocab"):
                raise HandOver
            else:
                typed = {"@value": value} if term.kind is None else {"@value": value, "@type": term.kind}
                tails.append(f"{lead}{rdf.literal(typed)} .\n")

    def subject(self, text: Any, scope: Scope, element: dict[str, Any], *, is_root: bool) -> str:
        if type(text) is not str:
            raise HandOver
        subject = scope.absolute(text)
        if is_root:
            self.root_id = subject
        elif subject == self.root_id and len(element) > 1:
            raise HandOver
        return subject

    def text(self, text: str, key: str, term: Term, scope: Scope) -> str:
        if term.kind == "@id":
            return scope.absolute(text)
        if term.is_text:
            return f'"{text if self.is_plain else rdf.escaped(text)}"{term.suffix}'
        if term.kind == "@vocab":
            return (scope.scoped_to(key, term) if term.scoped is not None else scope).vocabulary(text)
        return rdf.literal({"@value": text, "@type": term.kind})

    def whole(self, node: Node, tails: list[str], term: Term, value: Any, key: str, scope: Scope) -> None:
        """JSON, or graphs, or a list as a chain of cells."""
        if term.is_graph:
            for item in value if is_list(value) else (value,):
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
            cell = self.forest.blank(inside, node, lead)
            self.values(cell, inside, _FIRST, (item,), key, term, scope)
            node, tails, lead = cell, inside, _REST
        tails.append(f"{lead}<{rdf.RDF}nil> .\n")

    def graph(self, node: Node, term: Term, value: Any, scope: Scope) -> None:
        """A node in a graph of its own, which a blank node names (JSON-LD 1.1 API §5.1.2 step 13.12)."""
        if value.__class__ is not dict:
            raise HandOver
        body = value.copy()
        contexts = body.pop("@context", None)
        if len(body) < 2:
            raise HandOver
        inside = root_scope(contexts) if term.is_cleared else scope.under(contexts)
        outer = self.forest
        name = outer.blank([], node, term.lead)
        self.forest = Forest()
        outer.graphs.append((name, self.forest))
        self.node(body, inside)
        self.forest = outer


_FIRST: Final = f" <{rdf.RDF}first> "
_REST: Final = f" <{rdf.RDF}rest> "
