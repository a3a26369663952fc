"""S30: what is secret or personal is in no error, no problem document and no log."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from cairn.common.settings import DEVELOPMENT_KEK, Settings

KEK = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
GOOD = {"environment": "test", "database_url": "postgresql://a:canary-db@h/d", "kek": KEK, "auth_jwks": "{}"}


def test_s30_settings_are_not_shown() -> None:
    settings = Settings(**GOOD | {"kafka_password": "canary-kafka", "bus_url": "postgresql://a:canary-bus@h/d"})
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert "canary" not in shown
    assert KEK not in shown


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"kek": "canary-kek"}, "CAIRN_KEK"),
        ({"kek": "Y2FuYXJ5LWtlaw=="}, "CAIRN_KEK"),
        ({"database_pool": "canary-pool"}, "database_pool"),
        ({"kek": None}, "kek"),
        ({"bus": "postgres"}, "CAIRN_BUS_URL"),
        ({"environment": "production", "kek": DEVELOPMENT_KEK}, "development key"),
        ({"environment": "production", "database_url": "postgresql://canary:changeme@h/d"}, "CAIRN_DATABASE_URL"),
        ({"environment": "production", "database_url": "postgresql://postgres:postgres@h/d"}, "CAIRN_DATABASE_URL"),
        ({"environment": "onebox", "host": "0.0.0.0"}, "CAIRN_HOST"),
    ],
    ids=str,
)
def test_s30_refused_settings_are_named_and_not_repeated(changes: dict, names: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(**GOOD | changes)
    assert names in str(caught.value)
    for secret in ("canary", "Y2FuYXJ5", KEK, DEVELOPMENT_KEK):
        assert secret not in str(caught.value)
        assert secret not in repr(caught.value)


def test_secrets_are_refused_in_production_only_where_they_are_defaults() -> None:
    assert Settings(**GOOD | {"environment": "production"}).environment == "production"
    assert Settings(**GOOD | {"kek": DEVELOPMENT_KEK}).environment == "test"


def test_a_service_is_in_production_unless_it_is_told_otherwise() -> None:
    with pytest.raises(ValidationError, match="development key"):
        Settings(**{name: value for name, value in GOOD.items() if name != "environment"} | {"kek": DEVELOPMENT_KEK})


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(f"CAIRN_{name.upper()}", value)
    monkeypatch.setenv("CAIRN_PUBLIC_SCOPES", '["verifications:create"]')
    settings = Settings()  # pyright: ignore[reportCallIssue]
    assert settings.public_scopes == {"verifications:create"}
    monkeypatch.setenv("CAIRN_PUBLIC_SCOPES", "canary-scopes")
    with pytest.raises(Exception, match="public_scopes") as caught:
        Settings()  # pyright: ignore[reportCallIssue]
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_s30_no_canary_in_any_log_or_answer(probe_database, log_format: str) -> None:
    """A process of its own serves requests that go wrong in every way we know of; its whole output is read."""
    run = subprocess.run(
        [sys.executable, Path(__file__).with_name("leaky_service.py"), probe_database.url, log_format],
        env=os.environ | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    output = run.stdout + run.stderr
    assert run.returncode == 0, output
    for event in ("unhandled", "job failed", "from a library"):
        assert event in output  # the logs are indeed there
    assert "ZeroDivisionError" in output
    assert output.count("done: ") == 13
    assert "canary" not in output
    assert KEK not in output
