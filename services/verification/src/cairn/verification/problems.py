"""The verification service's refusals, and how each appears over HTTP. Every code has a page in `docs/errors/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cairn.common.problem import Problem

PROBLEMS: Final[Mapping[str, Problem]] = {
    "credential-missing": Problem(422, "The payload holds no credential", "Send one."),
}
