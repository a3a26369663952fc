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
