"""`python -m bench.commits FILE NUMBER`: writes to a migrated file, each write a commit of its own."""

import asyncio
import os
import sys
from pathlib import Path

from tgbot.store import recovery
from tgbot.store.engine.sqlite.database import SqliteDatabase


async def main(path: Path, number: int) -> None:
    async with SqliteDatabase(path) as db:
        for _ in range(number):
            await db.write(recovery.begin_instance, os.getpid())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
