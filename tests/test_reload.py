"""SIGHUP: what can change while the bot runs changes, and the log says what cannot."""

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import sqlite3
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from tests.posted import free_port
from tests.running import settings_for
from tests.waiting import DEADLINE_SECONDS, eventually
from tests.whole_bot.process import TOKEN, Person
from tgbot import app
from tgbot.agents.llm.agent import LlmAgent
from tgbot.config import ConfigError, Settings
from tgbot.intake import webhook
from tgbot.model import UserId
from tgbot.playground.server import PlaygroundServer
from tgbot.reload import Reloader
from tgbot.store.engine.errors import StorageError
from tgbot.turns.agent import AgentTurn


class Running:
    """A bot in this process, whose settings a test changes; `adapted` are those that its agent was given."""

    def __init__(self, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
        self.settings = settings
        self.wrong: str | None = None
        self.gate = threading.Event()
        self.adapted: list[Settings] = []
        self._caplog = caplog

    async def echo(self, turn: AgentTurn) -> AsyncGenerator[str, None]:
        if turn.text == "slow":
            await asyncio.to_thread(self.gate.wait, DEADLINE_SECONDS)
        yield turn.text

    def load(self) -> Settings:
        if self.wrong:
            raise ConfigError(self.wrong)
        return self.settings

    async def reload(self, says: str, **settings: object) -> str:
        """Set these, send the signal, and give the line of the log that begins so."""
        self.settings = dataclasses.replace(self.settings, **settings)  # type: ignore[arg-type]  # as Settings has them
        self._caplog.clear()
        os.kill(os.getpid(), signal.SIGHUP)
        await eventually(lambda: any(line.startswith(says) for line in self._caplog.messages), says)
        return next(line for line in self._caplog.messages if line.startswith(says))


@pytest.fixture
async def running(
    wire: PlaygroundServer, database_path: Path, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Running]:
    async with started(settings_for(wire, database_path), caplog) as bot:
        yield bot


@contextlib.asynccontextmanager
async def started(settings: Settings, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Running]:
    caplog.set_level(logging.INFO)
    bot = Running(settings, caplog)
    serving = asyncio.create_task(app.run(bot.settings, bot.echo, print, bot.load, bot.adapted.append))
    await eventually(lambda: any("intake.ready" in line for line in caplog.messages), "it runs")
    yield bot
    bot.gate.set()
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


async def test_who_may_talk_changes_and_the_agent_is_given_it(
    running: Running, wire: PlaygroundServer
) -> None:
    ann, bob = Person(wire, 7), Person(wire, 8)
    line = await running.reload("reload.done", allowed_users=(UserId(8),))
    assert line == "reload.done changed=TGBOT_ALLOWED_USERS"
    ann.says("hello")
    bob.says("hello")
    await bob.sees_at_last("hello")
    assert "hello" not in ann.sees
    assert [settings.allowed_users for settings in running.adapted] == [(UserId(8),)]


async def test_who_may_not_talk_any_more_is_not_answered_from_the_queue_either(
    running: Running, wire: PlaygroundServer
) -> None:
    ann = Person(wire, 7)
    ann.says("slow", "waits")
    await eventually(lambda: ann.cards != [], "one waits")
    await running.reload("reload.done", allowed_users=(UserId(8),))
    running.gate.set()
    await ann.sees_at_last("slow", "You may not talk to this bot any more, so I did not work on this.")


async def test_limits_the_queue_and_the_mode_count_from_the_next_message(
    running: Running, wire: PlaygroundServer, database_path: Path
) -> None:
    ann = Person(wire, 7)
    await running.reload("reload.done", queue_max=1, mode="collect")
    with contextlib.closing(sqlite3.connect(database_path)) as database:
        modes = database.execute("SELECT value FROM session_value WHERE name = 'mode'").fetchall()
    assert modes == [("collect",)]
    ann.says("slow", "waits", "too many")
    await ann.sees_among("The queue is full (1)")
    await running.reload("reload.done", user_minute_messages_max=1)
    running.gate.set()
    await ann.sees_among("waits")
    ann.says("one", "over the limit")
    await ann.sees_among("I take no more than 1 message from you in a minute")


async def test_with_a_webhook_too_other_kinds_of_updates_are_asked_for(
    wire: PlaygroundServer,
    database_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook, "LOOK_SECONDS", 0.02)
    port = free_port()
    here = {"webhook_url": f"http://127.0.0.1:{port}/", "webhook_address": ("127.0.0.1", port)}
    settings = dataclasses.replace(settings_for(wire, database_path), **here, reactions="off")  # type: ignore[arg-type]  # as Settings has them

    def asked_for() -> list[bool]:
        calls = (call["params"] for call in wire.world.journal if call["method"] == "setWebhook")
        return ["message_reaction" in call["allowed_updates"] for call in calls]

    async with started(settings, caplog) as bot:
        await eventually(lambda: asked_for() == [False], "it is set")
        await bot.reload("reload.done", reactions="all")
        await eventually(lambda: len(asked_for()) > 1, "it is set again")
        assert asked_for() == [False, True]


async def test_what_cannot_change_stays_and_is_named_without_its_value(running: Running) -> None:
    line = await running.reload("reload.needs_restart", token="43:another", queue_max=5)
    assert line == "reload.needs_restart settings=TGBOT_TOKEN: they change with the next start"
    [adapted] = running.adapted
    assert (adapted.token, adapted.queue_max) == (TOKEN, 5)


async def test_wrong_settings_leave_the_old_ones_in_place_with_one_line(
    running: Running, wire: PlaygroundServer
) -> None:
    ann = Person(wire, 7)
    running.wrong = "TGBOT_MODE is wrong: set it\nunknown setting TGBOT_MOOD"
    line = await running.reload("reload.refused", allowed_users=())
    assert line.endswith("old settings: TGBOT_MODE is wrong: set it; unknown setting TGBOT_MOOD")
    ann.says("hello")
    await ann.sees_at_last("hello")
    assert await running.reload("reload.refused") == line


async def test_nothing_new_is_said_to_be_nothing(running: Running) -> None:
    assert await running.reload("reload.done") == "reload.done changed=nothing"
    assert running.adapted == []


async def test_an_agent_that_cannot_go_by_the_new_settings_keeps_the_old_ones() -> None:
    old = Settings(token=TOKEN, agent="llm", model="openai:x", model_key="sk")
    agent = LlmAgent(old)
    with pytest.raises(ConfigError, match="TGBOT_MODELS is wrong"):
        agent.change(dataclasses.replace(old, models=("nobody-knows",)))
    assert agent._settings is old


async def test_a_database_that_refuses_leaves_the_agent_with_the_old_settings(
    caplog: pytest.LogCaptureFixture,
) -> None:
    adapted: list[int] = []

    async def refuse(_: Settings) -> None:
        raise StorageError("the disk is full")

    old = Settings(token=TOKEN, queue_max=1)
    reloader = Reloader(
        old,
        lambda: dataclasses.replace(old, queue_max=2),
        lambda settings: adapted.append(settings.queue_max),
        refuse,
    )
    serving = asyncio.create_task(reloader.serve())
    reloader.ask()
    await eventually(lambda: "reload.refused" in caplog.text, "it refuses")
    serving.cancel()
    assert (adapted, reloader.settings) == ([2, 1], old)
    assert "old settings: the disk is full" in caplog.text
