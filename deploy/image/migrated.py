"""Waits until the service's database has been migrated for the first time: the first migration makes the outbox."""

import asyncio
import os
import sys

import asyncpg

PATIENCE_SECONDS = 600


async def migrated(url: str) -> bool:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return await connection.fetchval("SELECT to_regclass('public.outbox') IS NOT NULL")
    finally:
        await connection.close()


async def main() -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                if await migrated(os.environ["CAIRN_DATABASE_URL"]):
                    return
                reason = "not migrated yet"
            except (OSError, asyncpg.PostgresError) as error:
                reason = str(error)
            sys.stderr.write(f"waiting: {reason}\n")
            await asyncio.sleep(2)


if __name__ == "__main__":
    asyncio.run(main())
