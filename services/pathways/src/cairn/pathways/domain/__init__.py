"""The stacking engine: what a qualification asks, and whether a learner has earned it. Pure: no I/O, no clock."""

from cairn.pathways.domain.audit import DEFAULT_STEPS, Audit, audit
from cairn.pathways.domain.decisions import Decision, Equivalence, Rpl, Substitution, Waiver, parse_decision
from cairn.pathways.domain.errors import Problem, Refused
from cairn.pathways.domain.explain import explain
from cairn.pathways.domain.framework import Framework, LossPolicy, Reuse, Validity, parse_framework
from cairn.pathways.domain.holding import (
    Credits,
    Grade,
    Holding,
    Standing,
    State,
    StatusEntry,
    parse_holding,
    parse_holdings,
    stored_holding,
)
from cairn.pathways.domain.index import ANYTHING, holding_keys, index_keys
from cairn.pathways.domain.limits import Limit
from cairn.pathways.domain.lint import Catalogue, lint, lint_catalogue
from cairn.pathways.domain.nodes import Group, Leaf, Node
from cairn.pathways.domain.request import AuditRequest, FrameworkRef, Spent, misdirected, parse_audit_request
from cairn.pathways.domain.results import NodeResult, Remaining, Unused
from cairn.pathways.domain.transition import Award, Transition, award_id, transition

__all__ = [
    "ANYTHING",
    "DEFAULT_STEPS",
    "Audit",
    "AuditRequest",
    "Award",
    "Catalogue",
    "Credits",
    "Decision",
    "Equivalence",
    "Framework",
    "FrameworkRef",
    "Grade",
    "Group",
    "Holding",
    "Leaf",
    "Limit",
    "LossPolicy",
    "Node",
    "NodeResult",
    "Problem",
    "Refused",
    "Remaining",
    "Reuse",
    "Rpl",
    "Spent",
    "Standing",
    "State",
    "StatusEntry",
    "Substitution",
    "Transition",
    "Unused",
    "Validity",
    "Waiver",
    "audit",
    "award_id",
    "explain",
    "holding_keys",
    "index_keys",
    "lint",
    "lint_catalogue",
    "misdirected",
    "parse_audit_request",
    "parse_decision",
    "parse_framework",
    "parse_holding",
    "parse_holdings",
    "stored_holding",
    "transition",
]
