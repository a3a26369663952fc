"""S10: the origin map opens the inner network, so only a onebox or a test may have one."""

import pytest
from pydantic import ValidationError

from cairn.verification.settings import VerificationSettings

GOOD = {
    "database_url": "postgresql://a:b@h/d",
    "kek": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "auth_jwks": "{}",
    "host": "127.0.0.1",
}
MAP = {"https://cairn.localhost": "http://127.0.0.1:8080"}


@pytest.mark.parametrize("environment", ["onebox", "test"])
def test_s10_a_onebox_may_map_origins(environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAIRN_FETCH_ORIGINS", '{"https://cairn.localhost": "http://127.0.0.1:8080"}')
    assert VerificationSettings(**GOOD, environment=environment).fetch_origins == MAP


def test_s10_production_may_not() -> None:
    with pytest.raises(ValidationError, match="CAIRN_FETCH_ORIGINS"):
        VerificationSettings(**GOOD, environment="production", fetch_origins=MAP)
    assert VerificationSettings(**GOOD, environment="production").fetch_origins == {}


@pytest.mark.parametrize(
    "origins",
    [
        {"http://cairn.localhost": "http://127.0.0.1:8080"},
        {"https://cairn.localhost/": "http://127.0.0.1:8080"},
        {"https://cairn.localhost/issuance": "http://127.0.0.1:8080"},
        {"https://": "http://127.0.0.1:8080"},
        {"https://cairn.localhost": "http://10.0.0.1:8080"},
        {"https://cairn.localhost": "http://169.254.169.254"},
        {"https://cairn.localhost": "http://127.0.0.1:8080/admin"},
        {"https://cairn.localhost": "file:///etc/passwd"},
        {"https://cairn.localhost": "127.0.0.1:8080"},
    ],
    ids=str,
)
def test_s10_only_exact_origins_are_mapped_and_only_to_loopback(origins: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="CAIRN_FETCH_ORIGINS"):
        VerificationSettings(**GOOD, environment="test", fetch_origins=origins)


@pytest.mark.parametrize("name", ["fetch_ca_file", "resources"])
def test_s35_a_private_ca_and_an_offline_map_are_for_one_persons_machine(name: str, tmp_path) -> None:
    file = tmp_path / "file"
    file.write_text("{}")
    for environment in ("onebox", "test"):
        assert VerificationSettings(**GOOD, environment=environment, **{name: file})
    for environment in ("production", "development"):
        with pytest.raises(ValidationError, match=f"CAIRN_{name.upper()}"):
            VerificationSettings(**GOOD, environment=environment, **{name: file})


def test_an_offline_map_names_files_beside_it(tmp_path) -> None:
    listed = tmp_path / "resources.json"
    settings = VerificationSettings(**GOOD, environment="test", resources=listed)
    for text in ("", "[]", '{"https://a.example/": 7}'):
        listed.write_text(text)
        with pytest.raises(ValueError, match="CAIRN_RESOURCES"):
            settings.offline()
    listed.write_text('{"https://a.example/x": "resources/x.json"}')
    assert settings.offline() == {"https://a.example/x": tmp_path / "resources" / "x.json"}
    assert VerificationSettings(**GOOD, environment="test").offline() is None
