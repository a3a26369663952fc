"""Who is served next: institutions take turns, so that one with much to do does not keep the others waiting (R15)."""

from __future__ import annotations

from typing import Final

_DEPTH: Final = 8
"""How many times its even share one may get of what others leave: it bounds how much is read to decide."""


def in_turn(table: str, waiting: str, since: str) -> str:
    """SQL for `WITH RECURSIVE`: a table `turns (tenant, share)` says how many rows of each to take, `:limit` in
    all. The first row of each is taken, then the second of each, and so on.

    `waiting` says which rows of `table` wait, `since` is the column by which they are ordered. An index on (tenant_id,
    since) of those rows is needed: each tenant is then found by one look at it, however many rows it has.
    """
    return f"""
        waiting (tenant) AS (
            (SELECT tenant_id FROM {table} WHERE {waiting} ORDER BY tenant_id LIMIT 1)
            UNION ALL
            SELECT (SELECT tenant_id FROM {table} WHERE {waiting} AND tenant_id > w.tenant ORDER BY tenant_id LIMIT 1)
              FROM waiting w WHERE w.tenant IS NOT NULL
        ), turns AS (
            SELECT tenant, count(*) AS share FROM (
                SELECT w.tenant
                  FROM (SELECT tenant, :limit / count(*) OVER () + 1 AS even FROM waiting WHERE tenant IS NOT NULL) w
                 CROSS JOIN LATERAL (
                    SELECT {since} AS since, row_number() OVER (ORDER BY {since}) AS place FROM (
                        SELECT {since} FROM {table} WHERE {waiting} AND tenant_id = w.tenant
                         ORDER BY {since} LIMIT least(:limit, {_DEPTH} * w.even)) AS next) AS queue
                 ORDER BY place, since LIMIT :limit) AS taken
             GROUP BY tenant
        )"""  # noqa: S608 - of our own words only
