"""Whether a document is in the compacted form of its contexts, so that its JSON and its graph say the same.

A term may be spelt as its full IRI, `id` as `@id`, a list as a string: the graph, and so the signature, stays the same,
while whoever reads the JSON no longer sees the validUntil. VC data model 2.0 §4.3 requires compacted form; these checks
hold documents to it where it matters.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from functools import cache
from typing import Any, Final

from cairn.credentials.bundle import context_document, context_urls
from cairn.credentials.errors import ContextUnknown, DocumentRefused
from cairn.credentials.shape import Survey, is_list, is_object, listed, survey

_VALUE_KEYWORDS: Final = frozenset({"@value", "@language", "@direction", "@type"})
_VC: Final = "https://www.w3.org/2018/credentials#"
_ROOT_TERMS: Final = (
    "issuer",
    "credentialSubject",
    "credentialStatus",
    "credentialSchema",
    "evidence",
    "expirationDate",
    "issuanceDate",
    "refreshService",
    "relatedResource",
    "termsOfUse",
    "validFrom",
    "validUntil",
    "holder",
    "verifiableCredential",
)
_STANDARD_INLINE_ALIASES: Final = {"id": "@id", "type": "@type"}


def require_compact_form(document: dict[str, Any]) -> None:
    """Refuses nulls, keywords, re-keyed terms, sets of sets, and one value where a list belongs (DocumentRefused)."""
    _check_contexts(document)
    _walk(document, "", strict=True)


def refuse_rekeyed(document: dict[str, Any], surveyed: Survey | None = None) -> None:
    """Only the re-keyed terms and keywords: for proofs over bytes, which leave nothing out.

    `surveyed` is what `survey` says of the document, where that is known already.
    Raises DocumentRefused, or ContextUnknown where the words have a meaning that is not known.
    """
    surveyed = surveyed or survey(document)
    if surveyed.is_compact:
        return
    letters, known = surveyed.letters, context_urls()
    is_compact = ":" not in letters and letters.count("@") == ("@context" in surveyed.names)
    for named in surveyed.contexts:
        for name in listed(named):
            if isinstance(name, str) and name not in known:
                raise ContextUnknown(name)
            is_compact = is_compact and not is_object(name)
    surveyed.is_compact = is_compact
    if not is_compact:
        _check_contexts(document)
        _walk(document, "", strict=False)


def refuse_rekeyed_root(document: dict[str, Any], expanded: Container[str]) -> None:
    """Each property of the root (`expanded` holds their IRIs) must stand under its own term. Raises DocumentRefused."""
    for term in _ROOT_TERMS:
        if (_VC + term in expanded) != (term in document):
            if document.get(term) == []:
                continue
            raise DocumentRefused(
                f"{term} is not where its term stands, so readers would not see it",
                code="term-rekeyed",
                pointer=f"/{term}",
            )


def is_moved(term: str, iri: str) -> bool:
    """Whether a term with that IRI, at the root, may stand where readers look for another, or the other way round."""
    known = iri.removeprefix(_VC) if iri.startswith(_VC) else ""
    return (term in _ROOT_TERMS or known in _ROOT_TERMS) and term != known


def is_context_term(name: str) -> bool:
    """Whether a bundled context defines it, so that it may be the prefix of a compact IRI; or nothing absolute is."""
    return name in _iris_of() or name == "cairn-relative"


def _walk(value: Any, pointer: str, *, strict: bool) -> None:
    if is_object(value):
        members = value
        is_value = "@value" in members
        for key, member in members.items():
            here = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
            if key == "@context":
                if pointer:
                    _check_contexts(members)
                continue
            if key.startswith("@") and not (is_value and key in _VALUE_KEYWORDS):
                if strict or key in ("@id", "@type"):
                    raise DocumentRefused(f"the keyword {key} hides what it says", code="keyword-refused", pointer=here)
            elif ":" in key and _names_known_term(key):
                raise DocumentRefused(
                    f"{key[:120]} is written out although the contexts have a term for it",
                    code="term-rekeyed",
                    pointer=here,
                )
            if key in json_terms() or (is_value and members.get("@type") == "@json"):
                continue
            if strict and key in _list_terms() and not is_list(member):
                raise DocumentRefused(f"{key} is an ordered list", code="list-expected", pointer=here)
            _walk(member, here, strict=strict)
    elif is_list(value):
        for position, item in enumerate(value):
            here = f"{pointer}/{position}"
            if strict and is_list(item):
                raise DocumentRefused("a list within a list would be flattened", code="nested-list", pointer=here)
            _walk(item, here, strict=strict)
    elif value is None and strict:
        raise DocumentRefused("null says nothing, so it would go unsigned", code="null-refused", pointer=pointer)


def _check_contexts(node: dict[str, Any]) -> None:
    """Contexts written into the document may not give another name to a known term, nor to a keyword."""
    for context in _inline_contexts(node.get("@context")):
        for term, target in _definitions(context):
            if term.startswith("@"):
                if term not in ("@vocab", "@protected", "@version", "@language"):
                    raise DocumentRefused(f"a context in the document sets {term}", code="context-refused")
                if term == "@vocab" and any(iri.startswith(str(target)) for iri in _known_iris()):
                    raise DocumentRefused("a context in the document renames known terms", code="term-rekeyed")
            elif _renames(term, target):
                raise DocumentRefused(f"a context in the document renames {target}", code="term-rekeyed")


def _inline_contexts(contexts: Any) -> Iterator[dict[str, Any]]:
    """Those written out, also within a context: JSON-LD reads `{"@context": {…}}` there as what is in it."""
    for context in listed(contexts):
        if is_object(context):
            yield context
            yield from _inline_contexts(context.get("@context"))


def _renames(term: str, target: str) -> bool:
    if target.startswith("@"):
        return _STANDARD_INLINE_ALIASES.get(term) != target
    return target in _known_iris() and target not in _iris_of().get(term, frozenset())


def _definitions(context: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for term, definition in context.items():
        if isinstance(definition, str):
            yield term, definition
        elif is_object(definition):
            members = definition
            for key in ("@id", "@reverse"):
                if isinstance(members.get(key), str):
                    yield term, members[key]
            inner = members.get("@context")
            for one in listed(inner):
                if is_object(one):
                    yield from _definitions(one)
        elif term.startswith("@"):
            yield term, str(definition)


def _names_known_term(key: str) -> bool:
    prefix, _, rest = key.partition(":")
    if key in _known_iris():
        return True
    return not rest.startswith("//") and any(
        base + rest in _known_iris() for base in _iris_of().get(prefix, frozenset())
    )


@cache
def _iris_of() -> dict[str, frozenset[str]]:
    """Term -> the IRIs that the bundled contexts give it."""
    found: dict[str, set[str]] = {}
    for url in context_urls():
        contexts = context_document(url)["@context"]
        for context in listed(contexts):
            if is_object(context):
                for term, target in _definitions(context):
                    if not term.startswith("@") and not target.startswith("@"):
                        found.setdefault(term, set()).add(target)
    return {term: frozenset(targets) for term, targets in found.items()}


@cache
def _known_iris() -> frozenset[str]:
    return frozenset(iri for iris in _iris_of().values() for iri in iris if ":" in iri and not iri.endswith(("#", "/")))


@cache
def _terms_with(key: str, value: str) -> frozenset[str]:
    found: set[str] = set()

    def visit(context: Any) -> None:
        for one in listed(context):
            if is_object(one):
                for term, definition in one.items():
                    if is_object(definition):
                        members = definition
                        held = members.get(key)
                        if value in listed(held):
                            found.add(term)
                        visit(members.get("@context"))

    for url in context_urls():
        visit(context_document(url)["@context"])
    return frozenset(found)


@cache
def json_terms() -> frozenset[str]:
    return _terms_with("@type", "@json")


@cache
def _list_terms() -> frozenset[str]:
    return _terms_with("@container", "@list")
