"""How the embedded bus connects to PostgreSQL, and what PostgreSQL's errors mean to it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any, Final

import asyncpg

from cairn.common.bus.contract import Refused, Unreachable

driver: Final[Any] = asyncpg
"""asyncpg, which ships no types."""

DEADLINE: Final = 10.0
"""Seconds after which a statement counts as not answered."""

KEEPALIVE: Final = {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3"}
"""By which the server notices that the machine of who holds a lock fell silent."""

SESSION: Final = {
    "application_name": "cairn-bus",
    # Such a member must not keep its partitions for hours.
    **KEEPALIVE,
    "tcp_user_timeout": "10000",
}

LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # A connection that was cut off in the middle of a statement may be out of step with itself.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
)


def plain(url: str) -> str:
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


@contextlib.contextmanager
def translated() -> Generator[None]:
    """PostgreSQL's errors in the words of the contract."""
    try:
        yield
    except (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        raise Refused(str(error)) from error
    except LOST as error:
        # ValueError: asyncpg's refusal of an argument, for instance of an event id that is no UUID.
        if isinstance(error, Unreachable | Refused | ValueError):
            raise
        raise Unreachable(f"{type(error).__name__}: {error}") from error
