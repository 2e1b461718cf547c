"""The tour: the real bot, killed and started by the script, with the waiting for readers left out."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.playground.conftest import until
from tests.playground.process import ROOT, SLEEPER
from tests.waiting import DEADLINE_SECONDS
from tgbot.playground import tour
from tgbot.playground.agents import Choice
from tgbot.playground.page import Page
from tgbot.playground.play import TOKEN, bot_environment
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.supervisor import Supervisor
from tgbot.playground.world import World


async def test_the_tour_shows_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tour, "KEY_SECONDS", 0)
    monkeypatch.setattr(tour, "READ_SECONDS", 0.3)
    monkeypatch.setattr(tour, "LONG_ONE", "sleep 1 first: the long one")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    page = Page(World(), tmp_path / "bot.db")
    page.world.bot(TOKEN)
    events: list[dict[str, Any]] = []
    async with PlaygroundServer(world=page.world, routes=page.routes()) as server:
        environment = bot_environment(server.url, tmp_path / "bot.db")
        sleeper = Choice(SLEEPER, {"TGBOT_AGENT": SLEEPER})
        supervisor = Supervisor(environment, sleeper, tmp_path / "bot.log")
        page.supervise(supervisor, {})
        await supervisor.start()
        tasks = [
            asyncio.create_task(page.watch_pending()),
            asyncio.create_task(_listen(server.url, events)),
            asyncio.create_task(tour.tour(page, supervisor)),
        ]
        await tasks[2]  # every step of the tour has its own deadline
        await until(lambda: any("Try it yourself" in event.get("caption", "") for event in events))
        await supervisor.close()
        for task in tasks:
            task.cancel()
    answers = [one["text"] for one in page.world.messages(tour.ADA) if one["from"]["is_bot"]]
    assert answers[:4] == [
        "sleep 1 first: the long one",
        "second, while the first runs",
        "third",
        "fourth, sent while the bot was dead",
    ]
    for asked in ("fourth", "fifth", "sixth"):
        assert sum(answer.startswith(asked) for answer in answers) == 1
    assert answers[-1] == "sixth, over a bad network"
    assert any("On hold" in answer for answer in answers), answers
    cut = [call["method"] for call in page.world.journal.after(0) if call["status"] is None]
    assert "sendMessage" in cut, "the network was not bad while the answer was sent"
    assert [one["faults"] for one in events if one["kind"] == "faults"] == [
        [rule["kind"] for rule in tour.CUTS],
        [],
    ]
    assert page.pending["rows"][-1]["attempt"] == 2, "the kill did not come in the middle of the turn"
    ended_by = [event["bot"]["ended_by"] for event in events if event["kind"] == "bot"]
    assert "kill -9" in ended_by


async def _listen(url: str, events: list[dict[str, Any]]) -> None:
    async with (
        httpx.AsyncClient(timeout=DEADLINE_SECONDS) as http,
        http.stream("GET", f"{url}/playground/events") as stream,
    ):
        async for line in stream.aiter_lines():
            events += [json.loads(line.removeprefix("data: "))] if line.startswith("data: ") else []
