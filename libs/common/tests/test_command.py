"""What an operator is told where a process cannot start: the variable, the reason, the exit code, and no traceback."""

import asyncio

import pytest

from cairn.common import auth, command
from cairn.common.settings import DEVELOPMENT_KEK, Settings
from cairn.provision.processes import free_port

SOUND = {
    "CAIRN_ENVIRONMENT": "test",
    "CAIRN_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
    "CAIRN_KEK": DEVELOPMENT_KEK,
    "CAIRN_AUTH_JWKS": auth.public_jwks(auth.new_signing_key()),
}


class Told(Settings):
    service: str = "probe"


def start(monkeypatch, capsys, told: dict[str, str], *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(command, "set_up", lambda *_: None)  # it is for a process, and this is that of the tests
    for name, value in told.items():
        monkeypatch.setenv(name, value)

    def app(settings: Settings):
        raise AssertionError(auth.Authenticator(settings))

    async def worker(_: Settings) -> None:
        raise AssertionError

    code = command.main(Told, app=app, worker=worker, arguments=arguments)
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"CAIRN_LOG_LEVEL": "loud"}, "CAIRN_LOG_LEVEL: Input should be 'debug'"),
        ({"CAIRN_PORT": "http"}, "CAIRN_PORT: Input should be a valid integer"),
        ({"CAIRN_PUBLIC_SCOPES": "audits:evaluate"}, "CAIRN_PUBLIC_SCOPES is not JSON"),
        ({"CAIRN_PUBLIC_URL": "http://cairn.example"}, "CAIRN_PUBLIC_URL: String should match"),
        ({"CAIRN_PUBLIC_URL": "https://cairn.example/"}, "CAIRN_PUBLIC_URL: String should match"),
        ({"CAIRN_KEK": "c2hvcnQ="}, "CAIRN_KEK must be base64 of exactly 32 bytes"),
        ({"CAIRN_AUTH_JWKS": "nowhere.json"}, "CAIRN_AUTH_JWKS is neither"),
        ({"CAIRN_AUTH_JWKS": '{"keys": []}'}, "CAIRN_AUTH_JWKS is neither"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(monkeypatch, capsys, changes, words) -> None:
    code, said = start(monkeypatch, capsys, SOUND | changes, "api")
    assert code == 78
    assert said.startswith(f"cairn does not start: {words}")
    assert "pydantic" not in said


def test_every_setting_that_is_missing_is_named(monkeypatch, capsys) -> None:
    code, said = start(monkeypatch, capsys, {"CAIRN_ENVIRONMENT": "production"}, "worker")
    assert code == 78
    assert said.split(":", 1)[1].strip().split("\n  ") == [
        f"CAIRN_{name}: it is not set" for name in ("DATABASE_URL", "KEK", "AUTH_JWKS")
    ]


def test_a_certificate_that_is_not_there_is_named(monkeypatch, capsys) -> None:
    told = SOUND | {"CAIRN_TLS_CERTIFICATE": "/nowhere.pem", "CAIRN_TLS_KEY": "/nowhere.pem"}
    code, said = start(monkeypatch, capsys, told, "worker")
    assert (code, "CAIRN_TLS_CERTIFICATE" in said) == (78, True)


def test_a_misspelt_setting_is_said() -> None:
    told = {"CAIRN_DATABASE_POL": "20", "CAIRN_SIGN_BATCH": "9", "CAIRN_KEK": "", "PATH": ""}
    assert command.misspelt(Told, told) == {"CAIRN_DATABASE_POL": "CAIRN_DATABASE_POOL"}


def test_another_command_is_told_which_there_are(monkeypatch, capsys) -> None:
    code, said = start(monkeypatch, capsys, {}, "serve")
    assert (code, said) == (2, "usage: python -m cairn.probe api | worker | migrate | openapi\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("mint", "nowhere.json", "lms", "north", "credentials:read"), "nowhere.json"),
        (("mint", "{key}", "lms", "north", "credentials:reed"), "unknown scopes: credentials:reed"),
        (("mint", "{key}", "lms", "North Coast", "credentials:read"), "'North Coast' is no tenant"),
        (("keygen", "{key}"), "exists"),
    ],
    ids=str,
)
def test_a_token_that_cannot_be_minted_is_a_line(tmp_path, capsys, arguments, words) -> None:
    key = tmp_path / "key.json"
    assert auth.main(["keygen", str(key)]) == 0
    capsys.readouterr()
    assert auth.main([argument.format(key=key) for argument in arguments]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_a_worker_whose_port_is_taken_says_so(settings) -> None:
    """And ends, rather than work where nobody sees how it is."""
    from cairn.common.db import Database
    from cairn.common.worker import run_worker

    async def taken() -> None:
        port = free_port()
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
        told = settings.model_copy(update={"health_port": port, "host": "127.0.0.1"})
        async with server:
            await run_worker(told, Database("postgresql://nobody@127.0.0.1:9/none"), [])

    with pytest.raises(SystemExit):
        asyncio.run(taken())
