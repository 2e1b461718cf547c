"""The process seen from outside: whether it is well, and its numbers."""

import re
import sqlite3
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.waiting import eventually_async
from tests.whole_bot.process import BotProcess, Person
from tgbot.playground.server import PlaygroundServer

SERVING = re.compile(r"watch\.serving (http://127\.0\.0\.1:\d+)")


@pytest.fixture
async def watched(bot: BotProcess) -> httpx.AsyncClient:
    """A client of the bot's own address; the bot has begun."""
    bot.setting(http_address="127.0.0.1:0")
    await bot.start()
    await bot.logs("watch.serving")
    found = SERVING.search(bot.log)
    assert found
    return httpx.AsyncClient(base_url=found[1], timeout=60)


async def numbers(watched: httpx.AsyncClient) -> dict[str, float]:
    """Read all of /metrics: the sample with its labels -> its value."""
    answer = await watched.get("/metrics")
    families = text_string_to_metric_families(answer.raise_for_status().text)
    return {
        one.name + "".join(f" {value}" for value in one.labels.values()): one.value
        for family in families
        for one in family.samples
    }


async def test_it_is_well_while_its_loop_turns_and_ready_when_telegram_has_answered(
    watched: httpx.AsyncClient, bot: BotProcess, ann: Person
) -> None:
    async with watched:
        assert (await watched.get("/healthz")).text == "ok\n"

        async def is_ready() -> bool:
            return (await watched.get("/readyz")).status_code == 200

        await eventually_async(is_ready, "ready")
        assert (await watched.get("/")).status_code == 404
    assert await bot.stop() == 0


async def test_it_is_not_ready_while_telegram_does_not_answer(
    bot: BotProcess, wire: PlaygroundServer
) -> None:
    wire.world.add_faults([{"method": "getUpdates", "kind": "500"}])
    bot.setting(http_address="127.0.0.1:0")
    await bot.start()
    await bot.logs("intake.retry")
    found = SERVING.search(bot.log)
    assert found
    async with httpx.AsyncClient(base_url=found[1], timeout=60) as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "not ready: Telegram has not answered yet\n")


async def test_its_numbers_say_what_runs_waits_and_was_done(
    watched: httpx.AsyncClient, ann: Person, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    async with watched:
        ann.says("first")
        await ann.sees_at_last("first (attempt 1)")
        ann.says(f"wait for {gate}", "two", "three")

        async def all_are_there() -> bool:
            found = await numbers(watched)
            return (found["tgbot_running"], found["tgbot_waiting"]) == (1, 2)

        await eventually_async(all_are_there, "one runs, two wait")
        found = await numbers(watched)
        assert found["tgbot_turns_total done"] == 1
        assert found["tgbot_oldest_waiting_seconds"] > 0
        assert found["tgbot_turn_seconds_count"] == found["tgbot_first_words_seconds_count"] == 1
        assert found["tgbot_commit_writes_sum"] >= found["tgbot_commit_writes_count"] > 0
        assert found["tgbot_commit_seconds_count"] == found["tgbot_commit_writes_count"]
        assert found["process_resident_memory_bytes"] > found["process_start_time_seconds"] / 1e6 > 0
        assert found["tgbot_poll_age_seconds"] >= 0
        gate.touch()


async def test_no_secret_and_no_word_of_a_chat_is_in_them(
    watched: httpx.AsyncClient, bot: BotProcess, ann: Person
) -> None:
    async with watched:
        ann.says("a secret word")
        await ann.sees_at_last("a secret word (attempt 1)")
        text = (await watched.get("/metrics")).text
    assert "secret word" not in text
    with sqlite3.connect(bot.database) as database:
        [(raw,)] = database.execute("SELECT raw FROM pending WHERE kind = 'message'").fetchall()
    database.close()
    assert "secret word" in raw
    assert "42:" not in text, "the token begins like that"
