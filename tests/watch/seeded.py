"""A real bot with its admin page, in a playground, and rows in its database that only long use makes."""

import json
import random
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.playground.process import SLEEPER, Playground, until

ADMIN, VIEWER = "the-admin's-own-token", "a-viewer's-own-token"
SERVING = re.compile(r"watch\.serving (http://127\.0\.0\.1:\d+)")
HOUR_SECONDS = 3600
SCRIPT = '<img src=x onerror="document.title=1"><b>bold</b>'


class Bot:
    """A bot in a playground; `url` is that of its admin page."""

    def __init__(self, folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TGBOT_HTTP_ADDRESS", "127.0.0.1:0")
            for limit in ("OVERALL_PER_SECOND", "CHAT_PER_SECOND", "GROUP_PER_MINUTE"):
                patch.setenv(f"TGBOT_RATE_{limit}", "0")
            patch.setenv("TGBOT_ADMIN_TOKEN", ADMIN)
            patch.setenv("TGBOT_VIEWER_TOKEN", VIEWER)
            self.playground = Playground(folder, "--agent", SLEEPER)
        self.url = str(until(self._find))
        self._numbers = iter(range(1, 1_000_000))

    def _find(self) -> str | None:
        lines = self.playground.get("playground/state")["lines"]
        return next((found[1] for line in lines if (found := SERVING.search(line))), None)

    def rows(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.playground.database, timeout=60)) as raw, raw:
            return raw.execute(sql, values).fetchall()

    def add_row(self, said: str, state: str, chat: int = 1002, name: str = "Ben", hours: float = 0) -> int:
        """Add a message that was received so many hours ago, and is in this state since."""
        number, at = next(self._numbers), time.time() - hours * HOUR_SECONDS
        message = {"message_id": number, "chat": {"id": chat, "first_name": name}, "text": said}
        bot_id, *_ = self.rows("SELECT max(bot_id) FROM pending")[0]
        values = (-number, state, f"{bot_id or 1}:{chat}", chat, chat, number, at, at)
        [(row_id,)] = self.rows(
            "INSERT INTO pending (bot_id, update_id, kind, state, session_key, chat_id, box, user_id,"
            " message_id, received_at, ended_at, raw, attempt, crashes)"
            f" VALUES ({bot_id or 1}, ?, 'message', ?, ?, ?, 0, ?, ?, ?, ?, ?, 1, 3) RETURNING id",
            *values,
            json.dumps({"update_id": -number, "message": message}),
        )
        assert isinstance(row_id, int)
        return row_id

    def add_turn(self, row_id: int, hours: float) -> None:
        """Let a turn of a row begin so many hours ago."""
        instances = "(SELECT max(id) FROM instance)"
        sql = f"INSERT INTO turn (pending_id, instance_id, started_at) VALUES (?, {instances}, ?)"
        self.rows(sql, row_id, time.time() - hours * HOUR_SECONDS)

    def fill_a_day(self) -> None:
        """Let messages have come and ended in each of the last hours, fewer in the night."""
        chosen = random.Random(3)
        for hour in range(24):
            for _ in range(chosen.randint(1, 4) if 8 < hour < 16 else chosen.randint(5, 14)):
                [state] = chosen.choices(["done", "failed", "stopped"], [30, 2, 1])
                hours = hour + chosen.random() * 0.1
                row_id = self.add_row("…", state, hours=hours)
                self.add_turn(row_id, hours - chosen.expovariate(0.4) / HOUR_SECONDS)

    def park(self, row_id: int, text: str, why: str, chat: int = 1002) -> None:
        """Put an answer to a row aside."""
        self.rows(
            "INSERT INTO outbox (bot_id, pending_id, part, text, state, chat_id, box, error, ready_at)"
            f" SELECT bot_id, id, 0, ?, 'parked', {chat}, 0, ?, ended_at FROM pending WHERE id = ?",
            *(text, why, row_id),
        )


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    running = Bot(tmp_path_factory.mktemp("admin"))
    yield running
    running.playground.end()
