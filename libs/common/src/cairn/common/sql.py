"""Statements that go to asyncpg as they are.

SQLAlchemy takes three times the CPU of the driver for a statement, which counts where every event asks: see
`Transaction.fetch`.
"""

from __future__ import annotations

import re
from typing import Final

_PARAMETER: Final = re.compile(r"(?<!:):([a-z_]+)")


class Sql:
    """A statement with `:name` in the place of each parameter, as in SQLAlchemy's `text`.

    `names` are those of the parameters in the order in which the driver takes them. PostgreSQL must be able to tell
    their types from the text.
    """

    def __init__(self, statement: str) -> None:
        self.names: Final = tuple(dict.fromkeys(_PARAMETER.findall(statement)))
        self.text: Final = _PARAMETER.sub(lambda found: f"${self.names.index(found[1]) + 1}", statement)
