"""Statements for the driver: names become places, and nothing else changes."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError

from cairn.common.db import Database
from cairn.common.sql import Sql


def test_a_name_has_one_place_however_often_it_is_written():
    statement = Sql("SELECT :b, :a, cast(:b AS text[]), 'x'::text")
    assert statement.text == "SELECT $1, $2, cast($1 AS text[]), 'x'::text"
    assert statement.names == ("b", "a")


async def test_what_the_driver_raises_is_raised_as_by_every_other_statement(database: Database):
    async with database.transaction("north") as tx:
        assert [dict(row) for row in await tx.fetch(Sql("SELECT cast(:n AS int) AS n"), n=7)] == [{"n": 7}]
        with pytest.raises(DBAPIError) as raised:
            await tx.fetch(Sql("SELECT 1 / cast(:n AS int)"), n=0)
    assert getattr(raised.value.orig, "sqlstate", None) == "22012"
