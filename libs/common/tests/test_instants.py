"""Instants in PostgreSQL are those that were written, to the ends of the calendar."""

from datetime import UTC, datetime, timedelta, timezone

from sqlalchemy import text

from cairn.common.db import Database

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


async def test_every_instant_comes_back_as_it_was_written(probe_database) -> None:
    database = Database(probe_database.url)
    odd = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone(timedelta(hours=-5)))
    instants = [FIRST, FIRST + timedelta(microseconds=1), odd, datetime(2026, 3, 1, tzinfo=UTC), LAST]
    statement = text("SELECT cast(:all AS timestamptz[]) AS every, cast(:first AS timestamptz) AS one")
    async with database.transaction("north") as tx:
        row = await tx.row(statement, {"all": instants, "first": FIRST})
        past = await tx.row(text("SELECT timestamptz '-infinity' AS before, timestamptz 'infinity' AS after"))
        now = await tx.row(text("SELECT now() AS now, to_char(now() AT TIME ZONE 'UTC', :form) AS said"), _FORM)
    await database.close()
    assert row is not None
    assert (row["every"], row["one"]) == (instants, FIRST)
    assert past is not None
    assert (past["before"], past["after"]) == (FIRST, LAST), "as they were stored before"
    assert now is not None
    assert now["now"].isoformat() == now["said"]


_FORM = {"form": 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'}
