"""Short ways to write frameworks and holdings as JSON, and to audit them."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from cairn.pathways.domain import audit, explain, lint, parse_framework, parse_holdings

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)


def leaf(name, *achievements, **more):
    """A leaf asking for one of some achievements."""
    return {"id": name, "count": {"min": 1}, "from": {"achievement": list(achievements or [name])}, **more}


def framework(requirement, **more):
    return {"qualification": "https://uni.example/q/whole", "version": "1", "requirement": requirement, **more}


def holding(name, achievement=None, earned="2026-03-01", credits=None, **more):  # noqa: A002
    status = more.pop("status", [{"at": earned, "state": "valid"}])
    found = {"id": name, "achievement": achievement or name, "issuer": "did:web:uni.example", "earned": earned}
    if credits is not None:
        found["credits"] = {"value": credits, "unit": "ECTS"}
    return {**found, "status": status, **more}


def run(rules, holdings, as_of=AS_OF, **options):
    read = parse_framework(rules)
    assert lint(read) == []
    return audit(read, parse_holdings(holdings), [], as_of, **options)


def said(rules, holdings, **options):
    """The learner's sentence."""
    return explain(run(rules, holdings), parse_framework(rules), **options)


@pytest.fixture
def make():
    return SimpleNamespace(leaf=leaf, framework=framework, holding=holding, run=run, said=said, as_of=AS_OF)
