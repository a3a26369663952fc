"""What a process is told from outside: environment variables that begin with `CAIRN_`."""

from __future__ import annotations

import base64
import binascii
from typing import Final, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEVELOPMENT_KEK = "ZGV2ZWxvcG1lbnQta2V5LWRvLW5vdC11c2UtaXQhISE="
"""Known to everybody; refused in `production`."""

HARMLESS_SCOPES: Final = frozenset({"audits:evaluate", "credentials:derive", "verifications:create"})
"""What anybody may do anywhere: it changes nothing, and shows only what the caller brought."""


class Settings(BaseSettings):
    """The settings that every service shares. Each service adds its own in a subclass."""

    # Inputs stay out of error messages, because some of them are secrets (S30).
    model_config = SettingsConfigDict(env_prefix="CAIRN_", extra="ignore", hide_input_in_errors=True)

    service: str = ""
    environment: Literal["onebox", "test", "development", "production"] = "production"
    """`onebox` is one person's machine: loopback only, generated keys, some routes open. `test` is a test run.
    `development` is containers for trying things: known secrets and mapped origins are let through, routes are not."""

    database_url: SecretStr
    """The service's own database, as its run-time role: neither owner nor superuser."""
    database_owner_url: SecretStr | None = None
    """The same database as the role that owns the tables. Only the command `migrate` reads it."""
    database_pool: int = Field(default=10, ge=1, le=200)

    bus: Literal["kafka", "postgres"] = "kafka"
    bus_url: SecretStr | None = None
    """The `bus` database, where `bus` is `postgres`."""
    bus_owner_url: SecretStr | None = None
    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_ca_file: str | None = None
    kafka_topic_prefix: str = ""
    """Put before every topic and group name, so that several systems can share one cluster."""
    kafka_replication: int = Field(default=3, ge=1)

    kek: SecretStr
    """Base64 of 32 bytes: wraps the key of each learner and each issuer."""
    auth_jwks: str
    """Public keys that sign access tokens: a JWK set, inline or as a file's path."""
    auth_issuer: str = "cairn"
    public_scopes: frozenset[str] = frozenset()
    """Scopes of a caller without a token. Those that touch what is an institution's: onebox and tests only."""

    host: str = "0.0.0.0"  # noqa: S104 - a container's own interface; onebox says 127.0.0.1
    port: int = 8000
    tls_certificate: str | None = None
    """File of the certificate, PEM with its chain, with which the API answers https. Without it, TLS ends before us."""
    tls_key: str | None = None
    """File of its private key, PEM."""
    health_port: int = 9000
    """Where a worker answers /livez, /readyz and /metrics."""
    public_url: str = Field(default="https://cairn.localhost/issuance", pattern=r"^https://[^/?#\s]+(/[^/?#\s]+)*$")
    """Where the world reaches the issuance service. Issuer DIDs are made of it: it never changes once used."""
    drain_seconds: float = Field(default=10, gt=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    otlp_endpoint: str | None = None
    errors_url: str = "https://cairn.localhost/errors/"
    """Prefix of the `type` of problem documents."""

    @model_validator(mode="after")
    def _refuse_defaults(self) -> Self:
        try:
            length = len(base64.b64decode(self.kek.get_secret_value(), validate=True))
        except binascii.Error:
            length = 0
        if length != 32:
            raise ValueError("CAIRN_KEK must be base64 of exactly 32 bytes: `openssl rand -base64 32` makes one")
        if self.bus == "postgres" and self.bus_url is None:
            raise ValueError("CAIRN_BUS=postgres needs CAIRN_BUS_URL, the address of the bus database")
        if self.environment == "production":
            if self.kek.get_secret_value() == DEVELOPMENT_KEK:
                raise ValueError("CAIRN_KEK is the development key: `openssl rand -base64 32` makes one of your own")
            for name in ("database_url", "bus_url"):
                url: SecretStr | None = getattr(self, name)
                if url and any(f":{word}@" in url.get_secret_value() for word in ("postgres", "password", "changeme")):
                    raise ValueError(f"CAIRN_{name.upper()} carries a default password")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("CAIRN_TLS_CERTIFICATE and CAIRN_TLS_KEY go together")
        opened = sorted(self.public_scopes - HARMLESS_SCOPES)
        if opened and not self.open_on_loopback:
            raise ValueError(f"CAIRN_PUBLIC_SCOPES may not open {opened[0]} to everybody but on one person's machine")
        if self.environment == "onebox" and self.host not in {"127.0.0.1", "::1"}:
            raise ValueError("a onebox serves loopback only: CAIRN_HOST must be 127.0.0.1")
        return self

    @property
    def open_on_loopback(self) -> bool:
        """True where routes may be open without a token: one person's machine, or a test."""
        return self.environment in {"onebox", "test"}
