"""Settings of the verification service."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from cairn.common.settings import Settings

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class VerificationSettings(Settings):
    service: str = "verification"
    fetch_origins: dict[str, str] = Field(default_factory=dict[str, str])
    """JSON, exact origin to the one to ask instead: {"https://cairn.localhost": "http://127.0.0.1:8080"}.

    None in production, and only on loopback but in `development`, where each part has a container of its own."""
    fetch_ca_file: Path | None = None
    """A private CA, PEM, which is trusted in place of the public ones. For onebox and tests only."""
    resources: Path | None = None
    """JSON, URL to a file beside it: what is read in place of the network. For onebox and tests only."""
    fetch_seconds: float = Field(default=5, gt=0, le=60)
    """Deadline of each thing that is fetched."""
    fetch_max_bytes: int = Field(default=1_000_000, ge=1000)
    verification_seconds: float = Field(default=12, gt=0, le=120)
    """Deadline of everything that one verification fetches."""
    did_cache_seconds: float = Field(default=30, ge=0, le=3600)
    """How long a DID document is used again. A key that is withdrawn is believed for that long at most."""
    kept_days: int = Field(default=90, ge=1)
    """How long the record of a verification is kept. It holds no credential, and nothing that names a person."""

    @model_validator(mode="after")
    def _refuse_private_world(self) -> Self:
        for name in ("fetch_ca_file", "resources"):
            if getattr(self, name) is not None and not self.open_on_loopback:
                raise ValueError(f"CAIRN_{name.upper()} is for one person's machine: it decides who others are")
        return self

    def offline(self) -> dict[str, Path] | None:
        """The offline map, each file where it is found; None where there is no map. Raises ValueError."""
        if self.resources is None:
            return None
        try:
            listed = TypeAdapter(dict[str, str]).validate_json(self.resources.read_bytes())
        except (OSError, ValidationError) as error:
            raise ValueError(f"CAIRN_RESOURCES is not a map from URL to file ({type(error).__name__})") from None
        return {url: self.resources.parent / file for url, file in listed.items()}

    @model_validator(mode="after")
    def _refuse_origins(self) -> Self:
        if self.fetch_origins and self.environment == "production":
            raise ValueError("CAIRN_FETCH_ORIGINS is not for production: it would open the inner network")
        for origin, instead in self.fetch_origins.items():
            one, other = urlsplit(origin), urlsplit(instead)
            if origin != f"https://{one.netloc}" or not one.hostname:
                raise ValueError("each key of CAIRN_FETCH_ORIGINS is an origin such as https://cairn.localhost")
            near = other.hostname in _LOOPBACK or self.environment == "development"
            if other.scheme not in {"http", "https"} or not near or other.path:
                raise ValueError("each value of CAIRN_FETCH_ORIGINS is an origin such as http://127.0.0.1:8080")
        return self
