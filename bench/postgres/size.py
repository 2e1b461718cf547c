"""A claim on PostgreSQL beside a million old rows, and the plans of its statements."""

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from bench import scene
from bench.figures import Figure, at_most, speed_ratio
from bench.plans import none_of, recorded
from bench.postgres import rows
from tests.postgres import Server
from tgbot.model import ChatId, Owner, session_key
from tgbot.store import claims, recovery
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.writer import Database

CLAIMS = 50  # a sample
CLAIM_PAIRS = 21
PARAMETER = re.compile(r"%\((\w+)\)s")


class _UndoneError(Exception):
    """Raised so that nothing is committed."""


def figures(server: Server) -> Iterator[Figure]:
    with server.empty_database() as large, server.empty_database() as small:
        for url, old, queued, chats in ((large, 1_000_000, 100_000, 10_000), (small, 1_000, 640, 64)):
            rows.migrated(url)
            rows.add_old(url, old)
            rows.add_queued(url, queued, chats)
        yield at_most(
            "a claim beside 1e6 old rows / beside 1e3", asyncio.run(_claims(large, small)), 1.5, "x"
        )
        plans = asyncio.run(_plans(large))
    walking = [sql for sql, plan in plans.items() if "Seq Scan on pending" in plan]
    yield none_of("statements of a claim that walk through all rows", walking, len(plans))
    of_waiting = {sql: plan for sql, plan in plans.items() if "pending.state = 'queued'" in sql}
    without = [sql for sql, plan in of_waiting.items() if "ix_pending_queued" not in plan]
    yield none_of("statements of a claim without the index of what waits", without, len(of_waiting))


async def _claims(large: str, small: str) -> float:
    """Compare claims, all rolled back, of the same sessions."""
    async with rows.migrated(large).database() as beside_many, rows.migrated(small).database() as beside_few:

        async def in_large(_: int) -> None:
            await _undone(beside_many, _claim)

        async def in_small(_: int) -> None:
            await _undone(beside_few, _claim)

        return 1 / (await speed_ratio(in_large, in_small, range(CLAIM_PAIRS))).wall


async def _plans(url: str) -> dict[str, str]:
    """Claim, and explain each statement that it takes, as the server plans it for any parameters."""
    async with rows.migrated(url).database() as db:
        with recorded() as statements:
            await _undone(db, _claim)
            await _undone(db, claims.claim_waiting)
    with rows.connect(url) as conn:
        conn.execute("SET plan_cache_mode = force_generic_plan")
        return {sql: _plan(conn, sql) for sql in statements}


def _plan(conn: psycopg.Connection[Any], sql: str) -> str:
    names = list(dict.fromkeys(re.findall(PARAMETER, sql)))
    numbered = re.sub(PARAMETER, lambda found: f"${names.index(found[1]) + 1}", sql).replace("%%", "%")
    conn.execute(f"PREPARE explained AS {numbered}")
    nulls = f"({', '.join(['NULL'] * len(names))})" if names else ""
    plan = conn.execute(f"EXPLAIN EXECUTE explained{nulls}").fetchall()
    conn.execute("DEALLOCATE explained")
    return "\n".join(line for (line,) in plan)


async def _undone(db: Database, claim: Callable[[Connection, Owner], object]) -> None:
    """Claim as a new process does, and roll it back."""

    def claim_and_undo(conn: Connection) -> None:
        instance_id = recovery.begin_instance(conn, 1)
        claim(conn, Owner(scene.BOT_ID, instance_id, scene.MAX_TURNS, scene.CRASHES_MAX))
        raise _UndoneError

    try:
        await db.write(claim_and_undo)
    except _UndoneError:
        return
    raise AssertionError("it was not undone")


def _claim(conn: Connection, owner: Owner) -> None:
    for chat_id in range(1, CLAIMS + 1):
        assert claims.claim(conn, session_key(scene.BOT_ID, ChatId(chat_id)), owner)
