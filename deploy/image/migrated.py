"""Waits until the service's database has been migrated to what this image needs."""

import asyncio
import os
import sys

import asyncpg

from cairn.common.migrations import suffices

PATIENCE_SECONDS = 600


async def migrated(url: str, service: str) -> bool:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return suffices(service, await connection.fetchval("SELECT version_num FROM alembic_version"))
    finally:
        await connection.close()


async def main() -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                if await migrated(os.environ["CAIRN_DATABASE_URL"], os.environ["CAIRN_SERVICE"]):
                    return
                reason = "not migrated yet"
            except (OSError, asyncpg.PostgresError) as error:
                reason = str(error) or type(error).__name__
            sys.stderr.write(f"waiting: {reason}\n")
            await asyncio.sleep(2)


if __name__ == "__main__":
    asyncio.run(main())
