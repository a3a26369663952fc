"""Alerts and dashboards: every expression can be read, and asks for what a process of ours really measures."""

import importlib
import json
from typing import Any

import promql_parser
import pytest
from prometheus_client import REGISTRY

from .conftest import named, render

pytestmark = pytest.mark.unit
Object = dict[str, Any]
MEASURING = (
    *("cairn.common.consumer", "cairn.common.outbox", "cairn.common.telemetry", "cairn.common.worker"),
    *("cairn.pathways.use_cases.auditing", "cairn.pathways.use_cases.intake"),
    "cairn.verification.use_cases.verifications",
)


@pytest.fixture(scope="module")
def rules() -> list[Object]:
    groups = [group for rule in named(render("prod"), "PrometheusRule").values() for group in rule["spec"]["groups"]]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
def panels() -> list[Object]:
    dashboard = json.loads(named(render("prod"), "ConfigMap")["cairn-dashboard"]["data"]["dashboard.json"])
    return dashboard["panels"]


def _asked(node: Any) -> set[tuple[str, frozenset[str]]]:
    """The metrics that a parsed expression asks for, each with the labels by which it chooses."""
    if isinstance(node, promql_parser.VectorSelector):
        return {(str(node.name), frozenset(matcher.name for matcher in node.matchers.matchers))}
    parts = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "vector_selector")]
    parts += getattr(node, "args", [])
    return {found for part in parts if part is not None for found in _asked(part)}


def _by_labels(node: Any) -> set[str]:
    """The labels by which the expression aggregates."""
    parts = [getattr(node, name, None) for name in ("expr", "lhs", "rhs")] + list(getattr(node, "args", []))
    own = set(node.modifier.labels) if isinstance(node, promql_parser.AggregateExpr) and node.modifier else set[str]()
    return own | {label for part in parts if part is not None for label in _by_labels(part)}


def _measured() -> dict[str, set[str]]:
    """The names under which our metrics are scraped, each with its labels."""
    for module in MEASURING:
        importlib.import_module(module)
    named_: dict[str, set[str]] = {}
    for collector, names in REGISTRY._collector_to_names.items():
        labels = set(getattr(collector, "_labelnames", ()))
        for name in names:
            named_[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    return named_


def test_every_rule_and_panel_asks_for_what_is_measured(rules: list[Object], panels: list[Object]):
    measured = _measured()
    recorded = {rule["record"] for rule in rules if "record" in rule}
    expressions = [rule["expr"] for rule in rules] + [panel["targets"][0]["expr"] for panel in panels]
    assert len(expressions) > 40
    for expression in expressions:
        tree = promql_parser.parse(expression)
        asked = _asked(tree)
        assert asked, expression
        for name, chosen in asked:
            assert name in recorded or chosen <= measured[name], expression
        if not any(name in recorded for name, _ in asked):
            assert _by_labels(tree) <= set.union(*(measured[name] for name, _ in asked)), expression


def test_a_bucket_that_an_objective_counts_is_there(rules: list[Object]):
    _measured()
    buckets = {
        sample.labels["le"]
        for metric in REGISTRY.collect()
        if metric.name == "cairn_award_seconds"
        for sample in metric.samples
        if sample.name.endswith("_bucket")
    }
    assert "5.0" in buckets
    assert any('cairn_award_seconds_bucket{le="5.0"}' in rule["expr"] for rule in rules)


def test_each_objective_has_its_alerts_over_two_windows(rules: list[Object]):
    records = {rule["record"] for rule in rules if "record" in rule}
    for objective in ("availability", "latency", "awards"):
        mine = [rule for rule in rules if rule.get("alert", "").startswith(f"Cairn{objective.capitalize()}Budget")]
        assert [rule["labels"]["severity"] for rule in mine] == ["page", "page", "ticket"]
        for rule in mine:
            windows = {name for name, _ in _asked(promql_parser.parse(rule["expr"]))}
            assert len(windows) == 2
            assert windows <= records


def test_an_alert_says_what_is_wrong_and_what_to_do(rules: list[Object]):
    for rule in rules:
        if "alert" in rule:
            assert rule["annotations"].keys() == {"summary", "description"}
            assert rule["labels"]["severity"] in {"page", "ticket"}
