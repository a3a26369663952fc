"""An audit in words."""

from collections.abc import Iterator, Mapping
from typing import cast

from cairn.pathways.domain.audit import Audit
from cairn.pathways.domain.framework import Framework
from cairn.pathways.domain.nodes import Group, Leaf, Node
from cairn.pathways.domain.results import label

_LOST = ("revoked", "suspended", "superseded", "expired", "unknown")


def explain(audit: Audit, framework: Framework, titles: Mapping[str, str] | None = None) -> str:
    """Sentences for the learner: earned or not, what is still needed, and what was lost or cannot be told.
    `titles` names achievements, qualifications and nodes; what it lacks goes by the last part of its id."""
    return _Teller(audit, framework, titles or {}).tell()


class _Teller:
    def __init__(self, audit: Audit, framework: Framework, titles: Mapping[str, str]) -> None:
        self._audit = audit
        self._framework = framework
        self._titles = titles
        self._needs = {node.id: node.needs for node in audit.nodes}

    def tell(self) -> str:
        name = self._framework.title or self._name(self._framework.qualification)
        lost = [entry.detail(self._titles) for entry in self._audit.unused if entry.reason in _LOST]
        if self._audit.earned_at is not None:
            # An award may rest on any allocation that completes.
            perhaps = (
                "" if self._audit.best else " Other credentials may do as well: the search was stopped at its bound."
            )
            return f"{name}: complete since {self._audit.earned_at.date()}.{perhaps}"
        if self._audit.status == "undetermined":
            why = "the search was stopped at its bound." if self._audit.exhausted else " ".join(lost)
            return f"{name}: it cannot be told yet. {why[:1].upper()}{why[1:]}"
        start = self._framework.effective_from
        if start is not None and start > self._audit.as_of:
            return f"{name}: not complete. These rules apply from {start.date()}."
        needs = "; ".join(filter(None, (self._node(self._framework.root, top=True), *self._besides())))
        # What is missing follows from what is shown: from another allocation less might be.
        perhaps = () if self._audit.best else ("There may be a shorter way: the search was stopped at its bound.",)
        return " ".join((f"{name}: not complete. You still need: {needs}.", *perhaps, *lost))

    def _besides(self) -> Iterator[str]:
        """The limits that are not met; and where the root would be, what lacks to what counts instead."""
        leaves = {leaf.id: leaf for leaf in self._framework.leaves}
        for each in self._audit.remaining.suggestions:
            if "limit" in each:
                yield f"{self._name(str(each['limit']))} ({each['have'] or 'nothing'} instead of {each['need']})"
            elif self._needs[self._framework.root.id] is None:
                yield self._leaf(leaves[str(each["node"])], each)

    def _name(self, identifier: str) -> str:
        return self._titles.get(identifier) or label(identifier)

    def _node(self, node: Node, *, top: bool = False) -> str:
        needs = self._needs.get(node.id)
        if needs is None:
            return ""
        if isinstance(node, Leaf):
            return self._leaf(node, needs)
        return self._group(node, needs, top=top)

    def _group(self, group: Group, needs: Mapping[str, object], *, top: bool) -> str:
        missing = cast("int", needs["atLeast"])
        open_children = set(cast("list[str]", needs["of"]))
        parts = [self._node(child, top=top) for child in group.children if child.id in open_children]
        if missing == len(parts):
            return ("; " if top else " and ").join(parts)
        if missing == 1:
            return f"either {' or '.join(parts)}"
        return f"{missing} of these: {', '.join(parts)}"

    def _leaf(self, leaf: Leaf, needs: Mapping[str, object]) -> str:
        grade = f" (grade {leaf.grade.min} or better)" if leaf.grade is not None else ""
        if leaf.qualification is not None:
            return f"the qualification {self._name(leaf.qualification)}{grade}"
        named = [self._name(each) for each in cast("list[str]", needs.get("achievements", []))]
        if "credits" in needs:
            source = f" from {', '.join(named)}" if named else f" for {self._name(leaf.id)}"
            return f"{needs['credits']} {needs['unit']} more{source}{grade}"
        count = cast("int", needs["count"])
        if not named:
            return f"{count} more for {self._name(leaf.id)}{grade}"
        if len(named) == count:
            return " and ".join(named) + grade
        return f"{'one' if count == 1 else count} of {', '.join(named)}{grade}"
