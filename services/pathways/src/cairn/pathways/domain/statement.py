"""A framework in words: the rules as a tree of sentences, for whoever has to read them (STACKING, semantics 15).

Works on the JSON of a framework that can be read, since that is what people see and what is exported.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cairn.pathways.domain.results import label

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One requirement in words, and what it is made of."""

    id: str
    text: str
    children: "tuple[Line, ...]" = ()

    def lines(self, depth: int = 0) -> "Iterator[tuple[int, Line]]":
        """It and all below it, with how deep each lies."""
        yield depth, self
        for child in self.children:
            yield from child.lines(depth + 1)


@dataclass(frozen=True, slots=True)
class Statement:
    """`limits` hold for the whole, or for the part that they name. `notes` say what else a learner should know."""

    title: str
    version: str
    requirement: Line
    limits: tuple[Line, ...]
    notes: tuple[str, ...]

    def text(self) -> str:
        """As plain text, indented by two."""
        lines = [f"{self.title} ({self.version})", ""]
        lines += [f"{'  ' * depth}- {line.text}" for depth, line in self.requirement.lines()]
        for heading, entries in (("Beside that:", [line.text for line in self.limits]), ("Good to know:", self.notes)):
            if entries:
                lines += ["", heading, *(f"- {entry}" for entry in entries)]
        return "\n".join(lines) + "\n"


def statement(document: Json, titles: Mapping[str, str]) -> Statement:
    """`titles` names achievements and qualifications; what it lacks goes by the last part of its id."""
    teller = _Teller(titles, str(document.get("creditUnit") or "credits"))
    return Statement(
        title=document.get("title") or teller.name(document["qualification"]),
        version=document["version"],
        requirement=teller.node(document["requirement"]),
        limits=tuple(Line(limit["id"], _capital(teller.limit(limit))) for limit in document.get("limits") or ()),
        notes=tuple(_notes(document)),
    )


_SOURCES: Final[Mapping[str, str]] = {
    "lms": "earned here",
    "external": "brought from elsewhere",
    "rpl": "recognised as prior learning",
}
# How a list of one key reads after "credentials".
_LISTS: Final = {
    "issuer": "issued by {}",
    "accreditedBy": "accredited by {}",
    "type": "of the type {}",
    "tag": "tagged {}",
    "area": "in the area of {}",
    "skill": "that teach {}",
    "mode": "taken {}",
}
_LOSS: Final = {
    "revoke": "If a part is revoked and nothing takes its place, the qualification is revoked.",
    "suspend": "If a part is revoked and nothing takes its place, the qualification is suspended{}.",
    "review": "If a part is revoked and nothing takes its place, a registrar reviews the qualification.",
}
_VALIDITY: Final = {
    "award": "What has expired since does not matter: it must have been valid when the qualification was earned.",
    "always": "It holds only for as long as every part of it is valid.",
    "never": "Expiry of its parts does not matter.",
}


class _Teller:
    def __init__(self, titles: Mapping[str, str], unit: str) -> None:
        self._titles = titles
        self._unit = unit

    def name(self, identifier: str) -> str:
        return self._titles.get(identifier) or label(identifier)

    def names(self, identifiers: Sequence[str], word: str = "or") -> str:
        return _listed([self.name(each) for each in identifiers], word)

    def node(self, node: Json) -> Line:
        for form, sentence in (("all", "All of these:"), ("any", "One of these:")):
            if node.get(form) is not None:
                children = tuple(self.node(child) for child in node[form])
                return Line(node["id"], "This:" if len(children) == 1 else sentence, children)
        if node.get("atLeast") is not None:
            children = tuple(self.node(child) for child in node["of"])
            return Line(node["id"], f"At least {node['atLeast']} of these {len(children)}:", children)
        grade = f", {self._grade(node['grade'])}" if node.get("grade") else ""
        if node.get("qualification") is not None:
            return Line(node["id"], f"The qualification {self.name(node['qualification'])}{grade}")
        if node.get("credits") is not None:
            amount = f"{_range(node['credits'])} {self._unit}"
            return Line(node["id"], _capital(f"{amount} from {self.holdings(node['from'])}{grade}"))
        return Line(node["id"], f"{self._count(node)}{grade}")

    def _count(self, node: Json) -> str:
        count, selector = node["count"], node["from"]
        named = selector.get("achievement") or ()
        if named and len(selector) == 1:
            if count.get("min") == 1 and count.get("max") in (None, 1):
                return self.names(named)
            return _capital(f"{_range(count)} of {self.names(named)}")
        return _capital(f"{_range(count)} of: {self.holdings(selector)}")

    def holdings(self, selector: Json) -> str:
        """`credentials …`, as a selector describes them."""
        parts = [part for part in self._parts(selector) if part]
        return f"credentials {' and '.join(parts)}" if parts else "any credentials"

    def _parts(self, selector: Json) -> Iterator[str]:
        for key, value in selector.items():
            if value is None:
                continue
            match key:
                case "achievement":
                    yield f"for {self.names(value)}"
                case "source":
                    yield _listed([_SOURCES[each] for each in value], "or")
                case "level":
                    yield _level(value)
                case "grade":
                    yield self._grade(value)
                case "assessment":
                    yield from _assessed(value)
                case "earned":
                    yield from _earned(value)
                case "allOf":
                    yield " and ".join(part for each in value for part in self._parts(each))
                case "anyOf":
                    yield f"either {' or '.join(' and '.join(self._parts(each)) or 'of any kind' for each in value)}"
                case "not":
                    yield f"but not {' and '.join(self._parts(value)) or 'of any kind'}"
                case _:
                    yield _LISTS[key].format(self.names(value))

    def _grade(self, grade: Json) -> str:
        scale = f" on the scale {grade['scale']}" if grade.get("scale") else ""
        return f"graded {grade['min']} or better{scale}"

    def limit(self, limit: Json) -> str:
        """A limit as a sentence."""
        scope = f" (within {limit['scope']})" if limit.get("scope") else ""
        what = self._unit if limit.get("measure", "credits") == "credits" else "credentials"
        of = self.holdings(limit["of"]) if limit.get("of") else "any credentials"
        for key in ("share", "amount", "distinct", "gpa", "exclude", "order", "window"):
            value = limit.get(key)
            if value is None:
                continue
            match key:
                case "share":
                    return f"{_range(_percent(value))} of the {what} come from {of}{scope}."
                case "amount":
                    return f"{_range(value)} {what} come from {of}{scope}."
                case "distinct":
                    among = f" among {_listed(limit['among'], 'and')}" if limit.get("among") is not None else ""
                    return f"{_range(value)} different values of {limit['by']}{among} are covered by {of}{scope}."
                case "gpa":
                    over = "every attempt" if value.get("over") == "held" else "what counts"
                    over += f" of {of}" if limit.get("of") else ""
                    return f"The grade average over {over} is {_range(value)} on the scale {value['scale']}{scope}."
                case "exclude":
                    return f"Only one of {self.names(value, 'and')} counts{scope}."
                case "order":
                    return f"Everything for {value['before']} is earned no later than anything for {value['after']}."
                case _:
                    subject = f"All {of} are" if limit.get("of") else "All of it is"
                    return f"{subject} earned within {value['months']} months{scope}."
        raise ValueError(f"limit {limit['id']!r} is of no known kind")


def _percent(bounds: Json) -> dict[str, str]:
    return {key: f"{float(bounds[key]) * 100:g} %" for key in ("min", "max") if bounds.get(key) is not None}


def _range(bounds: Json) -> str:
    least, most = bounds.get("min"), bounds.get("max")
    if least is not None and most is not None:
        return f"exactly {least}" if least == most else f"{least} to {most}"
    return f"at least {least}" if least is not None else f"at most {most}"


def _level(value: Json) -> str:
    least, most = value.get("min"), value.get("max")
    if least is not None and most is not None:
        return f"at {value['framework']} level {least}" + (f" to {most}" if most != least else "")
    return (
        f"at {value['framework']} level {least} or above"
        if least is not None
        else f"up to {value['framework']} level {most}"
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listed(words: Sequence[str], word: str) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {word} {words[-1]}"


def _assessed(value: Json) -> Iterator[str]:
    if value.get("supervised") is not None:
        yield "assessed under supervision" if value["supervised"] else "assessed without supervision"
    if value.get("identityVerified") is not None:
        yield "with the identity verified" if value["identityVerified"] else "without the identity verified"


def _earned(value: Json) -> Iterator[str]:
    if value.get("withinMonths") is not None:
        since = "before enrolment" if value.get("origin") else "back"
        yield f"earned at most {value['withinMonths']} months {since}"
    if value.get("after") is not None:
        yield f"earned on or after {value['after'][:10]}"
    if value.get("before") is not None:
        yield f"earned before {value['before'][:10]}"


def _notes(document: Json) -> Iterator[str]:
    effective: Json = document.get("effective") or {}
    if effective.get("from") or effective.get("to"):
        start = f"from {effective['from'][:10]}" if effective.get("from") else ""
        end = f"until {effective['to'][:10]}" if effective.get("to") else ""
        yield f"For learners who begin {' '.join(filter(None, (start, end)))}."
    sharing: Json = document.get("reuse") or {}
    reuse = sharing.get("scope") or "none"
    if reuse == "none":
        yield "A credential counts in one place only."
    elif reuse == "framework":
        yield "A credential counts in every place that it fits."
    if sharing.get("across") == "none":
        yield "What was used for another qualification does not count again."
    yield _VALIDITY[document.get("validity") or "award"]
    days = document.get("graceDays")
    yield _LOSS[document.get("onLoss") or "review"].format(f" after {days} days" if days else "")
