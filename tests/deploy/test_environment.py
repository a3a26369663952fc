"""What Kubernetes and compose tell each process is what its settings understand, and enough for it to start."""

import importlib
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cairn.common.bus.kafka_topics import KafkaSettings
from cairn.common.settings import Settings

from . import conftest
from .conftest import ROOT, SERVICES, env_file

pytestmark = pytest.mark.unit
Object = dict[str, Any]
Env = dict[str, str]
# What only an entry in the environment, not a setting, is: from it others are put together.
PARTS = {"DATABASE_HOST", "DATABASE_PASSWORD", "OWNER_PASSWORD"}


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `make compose` was run."""
    home = tmp_path_factory.mktemp("compose")
    (home / "deploy/compose").mkdir(parents=True)
    script = home / "deploy/compose/env.sh"
    script.write_text((ROOT / "deploy/compose/env.sh").read_text())
    subprocess.run(["sh", script], check=True, capture_output=True)
    return home


def _dotenv(home: Path) -> Env:
    return {name: value.strip("'") for name, value in env_file(home / ".env").items()}


def _compose(compose: Object, home: Path, name: str) -> Env:
    """The environment of a service, as compose puts it together from .env."""
    known = _dotenv(home)

    def value(found: re.Match[str]) -> str:
        name, default = found[1], found[2]
        if default is None or default.startswith(":?"):
            return known[name]  # KeyError: `make compose` does not write it
        return known.get(name, default.removeprefix(":-"))

    return {
        key: re.sub(r"\$\{(\w+)(:[?-][^}]*)?\}", value, str(text))
        for key, text in compose["services"][name]["environment"].items()
    }


@pytest.fixture(params=["kubernetes", "compose"])
def environment(
    request: pytest.FixtureRequest, dev: list[Object], compose: Object, secrets: Path
) -> Callable[[str], Env]:
    if request.param == "kubernetes":
        return lambda name: conftest.environment(dev, name)
    return lambda name: _compose(compose, secrets, name)


def _settings(service: str) -> type[Settings]:
    return getattr(importlib.import_module(f"cairn.{service}.settings"), f"{service.capitalize()}Settings")


def _started(kind: type[Any], env: Env, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return kind()


@pytest.mark.parametrize("part", ["api", "worker", "migrate"])
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_understands_everything_it_is_told(
    service: str, part: str, environment: Callable[[str], Env], monkeypatch: pytest.MonkeyPatch
):
    env = environment(f"{service}-{part}")
    kind = _settings(service)
    # Some are told to all, though only one listens.
    fields = {field for other in SERVICES for field in _settings(other).model_fields}
    assert {name for name in env.keys() - PARTS if name.removeprefix("CAIRN_").lower() not in fields} == set()
    settings = _started(kind, env, monkeypatch)
    assert (settings.service, settings.environment, settings.bus) == (service, "development", "kafka")
    assert settings.database_url.get_secret_value().startswith(f"postgresql://{service}:")
    assert settings.kafka_username == service
    owner = settings.database_owner_url
    if part == "migrate":
        assert owner.get_secret_value().startswith(f"postgresql://{service}_owner:")
    else:
        assert owner is None


def test_s30_what_everybody_knows_is_refused_in_production(dev: list[Object], monkeypatch: pytest.MonkeyPatch):
    env = conftest.environment(dev, "issuance-api") | {"CAIRN_ENVIRONMENT": "production"}
    with pytest.raises(ValidationError, match="development key"):
        _started(_settings("issuance"), env, monkeypatch)


def test_the_topics_are_made_as_the_administrator(environment: Callable[[str], Env], monkeypatch: pytest.MonkeyPatch):
    settings = _started(KafkaSettings, environment("topics"), monkeypatch)
    assert (settings.kafka_username, settings.kafka_security_protocol) == ("admin", "SASL_PLAINTEXT")
    assert settings.kafka_password.get_secret_value()


def test_s33_each_kafka_user_has_a_password_of_its_own(environment: Callable[[str], Env]):
    login = environment("kafka")["KAFKA_LISTENER_NAME_CLIENTS_PLAIN_SASL_JAAS_CONFIG"]
    users = dict(re.findall(r'user_(\w+)="([^"]+)"', login))
    assert set(users) == {"admin", *SERVICES}
    assert len(set(users.values())) == len(users)
    assert {s: environment(f"{s}-api")["CAIRN_KAFKA_PASSWORD"] for s in SERVICES} == {s: users[s] for s in SERVICES}


def test_s33_kafka_asks_everybody_from_outside_who_they_are(environment: Callable[[str], Env]):
    env = environment("kafka")
    listeners = dict(listener.split("://") for listener in env["KAFKA_LISTENERS"].split(","))
    protocols = dict(pair.split(":") for pair in env["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert env["KAFKA_AUTHORIZER_CLASS_NAME"].endswith("StandardAuthorizer")
    for name, address in listeners.items():
        assert protocols[name] == "SASL_PLAINTEXT" or address.startswith("127.0.0.1:")


def test_secrets_are_for_their_owner_and_written_once(secrets: Path):
    before = {name: (secrets / name).read_text() for name in (".env", "operator-key.json")}
    for name in before:
        assert (secrets / name).stat().st_mode & 0o077 == 0
    subprocess.run(["sh", secrets / "deploy/compose/env.sh"], check=True, capture_output=True)
    assert before == {name: (secrets / name).read_text() for name in before}
    words = [value for name, value in _dotenv(secrets).items() if "PASSWORD" in name or "KEK" in name]
    assert len(set(words)) == len(words) == 14


def test_the_operators_key_signs_what_the_services_accept(secrets: Path):
    private = json.loads((secrets / "operator-key.json").read_text())
    [public] = json.loads(_dotenv(secrets)["CAIRN_AUTH_JWKS"])["keys"]
    assert public == {name: value for name, value in private.items() if name != "d"}
    committed = json.loads((ROOT / "deploy/k8s/overlays/dev/operator-key.json").read_text())
    told = env_file(ROOT / "deploy/k8s/overlays/dev/cairn.env")["CAIRN_AUTH_JWKS"]
    assert json.loads(told)["keys"] == [{name: value for name, value in committed.items() if name != "d"}]
