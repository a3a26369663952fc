"""R11: the frozen schemas hold, and the check that compares with them notices what would break a reader."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import Field

from cairn.common.events import MODELS, Fact, decode, fact_of, topic_of
from cairn.common.events.__main__ import GOLDEN, check, freeze, incompatibilities, main, schema_of
from cairn.common.events.models import DecimalString, Instant


def test_the_events_of_today_are_compatible_with_the_frozen_ones() -> None:
    assert check() == []


@pytest.mark.parametrize("event_type", sorted(MODELS))
def test_the_example_is_an_event_by_model_and_by_schema(event_type: str) -> None:
    event = decode((GOLDEN / f"{event_type}.example.json").read_bytes())
    assert event.type == event_type
    assert event.source == f"/{topic_of(event_type).owner}"
    assert fact_of(event).to_json() == event.data
    schema = json.loads((GOLDEN / f"{event_type}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert [error.message for error in validator.iter_errors(event.data)] == []
    # Neither takes just anything.
    for name in schema["required"]:
        less = {key: value for key, value in event.data.items() if key != name}
        assert not validator.is_valid(less)


@pytest.mark.parametrize("event_type", sorted(MODELS))
def test_the_example_shows_every_field(event_type: str) -> None:
    event = decode((GOLDEN / f"{event_type}.example.json").read_bytes())
    assert set(event.data) == set(MODELS[event_type].model_json_schema(by_alias=True)["properties"])


class Inner(Fact):
    amount: DecimalString
    note: str | None = None


class Base(Fact):
    """As it was frozen."""

    learner: str
    state: Literal["open", "closed"]
    inner: Inner
    maybe: Inner | None = None
    tags: tuple[str, ...] = ()
    level: dict[str, int] = Field(default={})
    reason: str = ""
    at: Instant


def changed(**fields: Any) -> type[Fact]:
    """Base with some fields otherwise, new, or (where None) gone."""
    kept = {name: (info.annotation, info) for name, info in Base.model_fields.items()}
    annotations = {name: annotation for name, (annotation, _) in kept.items()} | {
        "at": Instant,
        **{name: value[0] for name, value in fields.items() if value},
    }
    defaults = {"maybe": None, "tags": (), "level": {}, "reason": ""} | {
        name: value[1] for name, value in fields.items() if value and len(value) > 1
    }
    gone = {name for name, value in fields.items() if value is None}
    required = {name for name, value in fields.items() if value and len(value) == 1}
    names = [name for name in annotations if name not in gone]
    body: dict[str, Any] = {
        "__annotations__": {name: annotations[name] for name in names},
        "__module__": __name__,
        **{name: default for name, default in defaults.items() if name in names and name not in required},
    }
    return type("Changed", (Fact,), body)


def reasons(model: type[Fact]) -> list[str]:
    return incompatibilities(schema_of("probe.v1", Base), schema_of("probe.v1", model))


class InnerWithMore(Fact):
    amount: DecimalString
    note: str | None = None
    unit: str = "ECTS"


class InnerRenamed(Fact):
    value: DecimalString
    note: str | None = None


class InnerStricter(Fact):
    amount: DecimalString
    note: str


@pytest.mark.parametrize(
    "model",
    [
        changed(),
        changed(extra=(str, "")),
        changed(extra=(str | None, None)),
        changed(extra=(tuple[Inner, ...], ())),
        changed(inner=(InnerWithMore,)),
        changed(maybe=(InnerWithMore | None, None)),
    ],
    ids=["the same", "optional text", "nullable", "list", "nested", "nested in optional"],
)
def test_gaining_optional_fields_is_compatible(model: type[Fact]) -> None:
    assert reasons(model) == []


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (changed(reason=None), "data.reason was removed or renamed"),
        (changed(reason=None, because=(str, "")), "data.reason was removed or renamed"),
        (changed(extra=(str,)), "data.extra is now required"),
        (changed(reason=(str,)), "data.reason is now required"),
        (changed(learner=(str, "")), "data.learner is no longer required"),
        (changed(learner=(int,)), 'data.learner: type was "string" and is now "integer"'),
        (changed(reason=(str | None, None)), "data.reason"),
        (changed(state=(Literal["open"],)), 'data.state no longer takes "closed"'),
        (changed(state=(Literal["open", "closed", "lost"],)), 'data.state now takes "lost"'),
        (changed(state=(str,)), "data.state no longer takes one of a list"),
        (changed(learner=(Literal["a", "b"],)), "data.learner now takes one of a list"),
        (changed(at=(str,)), "data.at: format"),
        (changed(tags=(tuple[int, ...], ())), "data.tags[]: type"),
        (changed(tags=(str, "")), "data.tags"),
        (changed(level=(dict[str, str], {})), "data.level[]: type"),
        (changed(inner=(InnerRenamed,)), "data.inner.amount was removed or renamed"),
        (changed(inner=(InnerStricter,)), "data.inner.note is now required"),
        (changed(maybe=(InnerRenamed | None, None)), "data.maybe.amount was removed"),
        (changed(maybe=(Inner | str | None, None)), "data.maybe takes other kinds"),
        (changed(reason=(str, "none")), 'data.reason: default was "" and is now "none"'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_would_break_a_reader_is_refused(model: type[Fact], says: str) -> None:
    assert any(says in reason for reason in reasons(model)), reasons(model)


def golden(folder: Path, model: type[Fact]) -> dict[str, type[Fact]]:
    return {**MODELS, "learner.erased.v1": model}


def test_check_fails_and_freeze_refuses_on_an_incompatible_change(tmp_path: Path) -> None:
    erased = MODELS["learner.erased.v1"]
    assert freeze(tmp_path) == []
    before = (tmp_path / "learner.erased.v1.schema.json").read_text()

    class Renamed(Fact):
        person: str
        at: Instant

    amiss = check(tmp_path, golden(tmp_path, Renamed))
    assert any("learner.erased.v1: data.learner was removed or renamed" in sentence for sentence in amiss)
    assert any("data.learner was removed" in sentence for sentence in freeze(tmp_path, golden(tmp_path, Renamed)))
    assert (tmp_path / "learner.erased.v1.schema.json").read_text() == before

    class Grown(erased):
        why: str = ""

    assert any(
        "differs from what was frozen, compatibly" in sentence for sentence in check(tmp_path, golden(tmp_path, Grown))
    )
    assert freeze(tmp_path, golden(tmp_path, Grown)) == []
    assert "why" in (tmp_path / "learner.erased.v1.schema.json").read_text()


def test_check_notices_what_is_missing(tmp_path: Path) -> None:
    assert any("not frozen" in sentence for sentence in check(tmp_path))
    freeze(tmp_path)
    assert any("learner.erased.v1.example.json is missing" in sentence for sentence in check(tmp_path))
    (tmp_path / "learner.erased.v1.example.json").write_text("{}")
    assert any("specversion" in sentence for sentence in check(tmp_path))
    (tmp_path / "forgotten.v1.schema.json").write_text("{}")
    assert any("forgotten.v1" in sentence and "the type is gone" in sentence for sentence in check(tmp_path))
    fewer = {name: model for name, model in MODELS.items() if name != "learner.erased.v1"}
    assert any("a topic lists it, but it has no model" in sentence for sentence in check(tmp_path, fewer))
    assert any("no topic lists it" in sentence for sentence in check(tmp_path, {**MODELS, "unheard.of.v1": Base}))


def test_the_command_says_so_by_its_exit_code(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "cairn.common.events", "check"], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert main(["thaw"]) == 2
    assert main([]) == 2


def _before(event_type: str, data: dict[str, Any]) -> dict[str, Any]:
    """What a producer of before says: only what was always needed."""
    required = json.loads((GOLDEN / f"{event_type}.schema.json").read_text())["required"]
    return {name: value for name, value in data.items() if name in required}


@pytest.mark.parametrize("event_type", sorted(MODELS))
def test_r11_producers_and_consumers_of_before_now_and_after_understand_each_other(event_type: str) -> None:
    """Three who say it, three who hear it; each hears what it knows, as it was said."""
    now = decode((GOLDEN / f"{event_type}.example.json").read_bytes())
    said = {
        "before": _before(event_type, dict(now.data)),
        "now": dict(now.data),
        "after": {**now.data, "laterField": {"a": ["b"]}, "laterFlag": True},
    }
    model = MODELS[event_type]
    later: type[Fact] = type("Later", (model,), {"__annotations__": {"laterFlag": bool}, "laterFlag": False})
    frozen = Draft202012Validator(json.loads((GOLDEN / f"{event_type}.schema.json").read_text()))
    for who, data in said.items():
        envelope = json.loads((GOLDEN / f"{event_type}.example.json").read_bytes()) | {"data": data}
        if who == "after":
            envelope["laterattribute"] = "x"
        heard = decode(json.dumps(envelope).encode())
        assert [error.message for error in frozen.iter_errors(heard.data)] == [], who
        known = fact_of(heard).to_json()
        assert known.items() >= {name: value for name, value in data.items() if name in known}.items(), who
        assert later.model_validate(heard.data).to_json().items() >= known.items(), who
