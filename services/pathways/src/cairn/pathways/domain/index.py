"""Keys of an inverted index: which frameworks a holding can touch."""

from collections.abc import Collection, Iterable, Mapping

from cairn.pathways.domain.framework import Framework
from cairn.pathways.domain.holding import Holding

ANYTHING = "*"


def index_keys(framework: Framework, awards: Mapping[str, Collection[str]] | None = None) -> frozenset[str]:
    """Keys under which to index a framework. A holding none of whose `holding_keys` is among them cannot change its
    audit's answer. `awards` as for `audit`; a nested qualification also gives the key `qualification:<id>`, by which
    to find the framework when the awards of that qualification change. `*` when a selector cannot be indexed."""
    raise NotImplementedError


def holding_keys(holding: Holding, others: Iterable[Holding] = ()) -> frozenset[str]:
    """Keys that a holding touches, `*` always among them. `others` are the learner's other holdings: those it is tied to
    by attempts are touched with it."""
    raise NotImplementedError
