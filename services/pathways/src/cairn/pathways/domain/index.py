"""Keys of an inverted index: which frameworks a holding can touch."""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Final

from cairn.pathways.domain.classes import attempt_classes
from cairn.pathways.domain.framework import Framework
from cairn.pathways.domain.holding import Holding
from cairn.pathways.domain.selector import LIST_KEYS, AnyOf, Criterion, LevelRange, Listed, Selector

ANYTHING: Final = "*"

# The most telling first: of a conjunction, one key is enough, and should bring in as few holdings as possible.
_TELLING: Final = (
    *("achievement", "skill", "tag", "area", "accreditedBy", "type", "issuer", "level", "mode", "source"),
    ANYTHING,
)


def index_keys(framework: Framework, awards: Mapping[str, Collection[str]] | None = None) -> frozenset[str]:
    """Keys under which to index a framework. A holding none of whose `holding_keys` is among them cannot change its
    audits, but for the list of what did not count. `awards` as for `audit`; a nested qualification also gives the key
    `qualification:<id>`, by which to find the framework when that qualification gets other awards. `*` stands for a
    selector that cannot be indexed."""
    keys: set[str] = {_key("achievement", name) for alike in framework.equivalents for name in alike}
    for leaf in framework.leaves:
        if leaf.qualification is not None:
            keys.add(_key("qualification", leaf.qualification))
            keys.update(_key("achievement", name) for name in (awards or {}).get(leaf.qualification, ()))
        else:
            keys |= _keys(leaf.selector)
    return frozenset(keys)


def holding_keys(holding: Holding, others: Iterable[Holding] = ()) -> frozenset[str]:
    """Keys that a holding touches, `*` always among them. `others` are the learner's other holdings: those that it is
    an attempt of, or that are attempts of it, are touched with it."""
    own = _own_keys(holding)
    if not others:
        return own
    tied = attempt_classes([holding, *(other for other in others if other.id != holding.id)])[holding.id]
    return own.union(*map(_own_keys, tied))


# How a holding answers each of `LIST_KEYS`, in their order.
_answers: Final = attrgetter(
    *("achievement", "issuer", "accredited_by", "type", "tag", "area", "skill", "mode", "source"),
)


_SIZE: Final = 4_000
"""Characters of a holding's answers up to which its keys are kept: 2,000 such take some 30 MB."""


def _own_keys(holding: Holding) -> frozenset[str]:
    """Kept, since most credentials of an achievement have the same; but for those of any size that somebody makes."""
    answers, levels = _answers(holding), tuple(holding.level)
    size = sum([len(each) if isinstance(each, str) else sum(map(len, each)) for each in (*answers, levels) if each])
    return (_kept_keys if size <= _SIZE else _keys_of)(answers, levels)


def _keys_of(answers: tuple[str | tuple[str, ...] | None, ...], levels: tuple[str, ...]) -> frozenset[str]:
    keys = {ANYTHING, *(_key("level", scale) for scale in levels)}
    for key, answer in zip(LIST_KEYS, answers, strict=True):
        values = answer if isinstance(answer, tuple) else (answer,)
        keys.update(_key(key, value) for value in values if value is not None)
    return frozenset(keys)


_kept_keys = lru_cache(maxsize=2_000)(_keys_of)


def _key(key: str, value: str) -> str:
    return f"{key}:{value}"


def _keys(criterion: Criterion) -> frozenset[str]:
    """Keys of which every holding that fits has at least one."""
    match criterion:
        case Listed(key=key, values=values):
            return frozenset(_key(key, value) for value in values)
        case LevelRange(framework=scale):
            return frozenset({_key("level", scale)})
        case Selector(criteria=parts) if parts:
            return min(map(_keys, parts), key=_cost)
        case AnyOf(selectors=parts):
            return frozenset(key for part in parts for key in _keys(part))
        case _:
            return frozenset({ANYTHING})


def _cost(keys: frozenset[str]) -> tuple[int, int]:
    return max((_TELLING.index(key.split(":", 1)[0]) for key in keys), default=-1), len(keys)
