"""One part that cannot be shown, whatever the reason, holds up nothing behind it."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.running import running
from tests.waiting import eventually
from tgbot.delivery import kinds
from tgbot.model import Part
from tgbot.playground.bots import Bot
from tgbot.playground.errors import ApiError
from tgbot.playground.registry import METHODS, Params
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.world import World
from tgbot.store.outbox import CANNOT_SHOW
from tgbot.turns.agent import AgentTurn

DAY_SECONDS = 86_400


async def echo(turn: AgentTurn) -> AsyncGenerator[str, None]:
    yield turn.text


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tgbot.delivery.backoff.RETRY_SECONDS", (0.01, 0.05))
    monkeypatch.setattr("tgbot.delivery.delivery.POLL_SECONDS", 0.1)


@pytest.fixture
async def busy(wire: PlaygroundServer) -> AsyncIterator[None]:
    """Let people talk elsewhere all the time: so Telegram is there, and answers."""

    async def talk() -> None:
        while True:
            wire.world.post_message(-5, 8, "hi")
            await asyncio.sleep(0.05)

    talking = asyncio.create_task(talk())
    yield
    talking.cancel()


def fail_on(monkeypatch: pytest.MonkeyPatch, poisoned: Callable[[Params], bool]) -> None:
    """Let each request that sends or edits poisoned words end with a server error, and take no effect."""
    for name in ("sendmessage", "editmessagetext"):
        monkeypatch.setitem(METHODS, name, replace(METHODS[name], run=_picky(METHODS[name].run, poisoned)))


def _picky(run: Callable[..., object], poisoned: Callable[[Params], bool]) -> Callable[..., object]:
    def picky(world: World, bot: Bot, params: Params) -> object:
        if poisoned(params):
            raise ApiError(500, "Internal Server Error")
        return run(world, bot, params)

    return picky


@pytest.mark.usefixtures("busy")
async def test_a_part_that_fails_for_ever_is_given_up_and_the_next_goes_on(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on(monkeypatch, lambda params: "poison" in params["text"])
    async with running(wire, database_path, echo, receipts=True) as ann:
        ann.says("**poison**", "next")
        await ann.sees_at_last(CANNOT_SHOW, "next")
        await eventually(
            lambda: [one["emoji"] for one in ann.screen[0]["reactions"]] == ["💔"], "it was not shown"
        )


@pytest.mark.usefixtures("busy")
async def test_a_part_whose_formatting_fails_for_ever_comes_without(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on(monkeypatch, lambda params: bool(params.get("entities")))
    async with running(wire, database_path, echo) as ann:
        ann.says("some **words**", "next")
        await ann.sees_at_last("some words", "next")


async def test_a_bug_in_the_sending_of_a_part_holds_up_nothing(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind_of = kinds.kind_of

    def broken(part: Part) -> kinds.Kind:
        if part.text == "poison" and part.state != "parked":
            raise ZeroDivisionError("a bug")
        return kind_of(part)

    monkeypatch.setattr("tgbot.delivery.kinds.kind_of", broken)
    async with running(wire, database_path, echo) as ann:
        ann.says("poison", "next")
        await ann.sees_at_last(CANNOT_SHOW, "next")


async def test_a_bug_in_an_edit_of_a_part_holds_up_nothing(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slowly(turn: AgentTurn) -> AsyncGenerator[str, None]:
        yield f"{turn.text} "
        await eventually(lambda: turn.text in ann.sees, "the first words")
        yield "goes on"

    def broken(*_: object) -> kinds.Request:
        raise ZeroDivisionError("a bug")

    async with running(wire, database_path, slowly) as ann:
        with monkeypatch.context() as context:
            context.setattr("tgbot.delivery.kinds._Text.edit", _only(broken, "poison goes on"))
            ann.says("poison", "next")
            await eventually(lambda: ann.sees[-1:] == ["next goes on"], "the next answer")
        assert CANNOT_SHOW in ann.sees


def _only(broken: Callable[..., kinds.Request], text: str) -> Callable[..., kinds.Request]:
    whole = kinds._Text.edit

    def edit(self: kinds._Text, part: Part, uploads: list[object]) -> kinds.Request:
        return broken() if part.text == text else whole(self, part, uploads)  # type: ignore[arg-type] # none

    return edit


async def test_a_server_that_does_not_know_rich_messages_gets_texts(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(METHODS, "sendrichmessage")
    async with running(wire, database_path, echo, format="rich") as ann:
        ann.says("some **words**", "next")
        await ann.sees_at_last("some words", "next")


async def test_a_reaction_that_is_refused_is_not_tried_again_at_each_start(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "setMessageReaction", ApiError(400, "Bad Request: REACTION_INVALID"))
    with closing(sqlite3.connect(database_path)) as raw:
        async with running(wire, database_path, echo, receipts=True) as ann:
            ann.says("hello")
            await ann.sees_at_last("hello")
            await eventually(
                lambda: any("👌" in str(call["params"]) for call in wire.world.journal), "the reaction"
            )
            await eventually(
                lambda: raw.execute("SELECT 1 FROM outbox WHERE reaction_due").fetchone() is None,
                "it is noted",
            )


async def test_where_the_topic_of_all_is_closed_an_answer_waits(
    wire: PlaygroundServer,
    database_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """General has no number, so there is nowhere else to go: each try would make another."""
    async with running(wire, database_path, echo) as ann:
        with monkeypatch.context() as context:
            refuse(context, "sendMessage", ApiError(400, "Bad Request: TOPIC_CLOSED"))
            ann.says("hello")
            await eventually(lambda: "delivery.muted" in caplog.text, "it waits")
        ann.says("next")
        await ann.sees_at_last("hello", "next")


async def test_what_a_muted_bot_could_not_show_expires_too(
    wire: PlaygroundServer,
    database_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Else it would be tried every ten minutes for ever, wherever somebody blocked the bot."""
    async with running(wire, database_path, echo) as ann:
        with monkeypatch.context() as context:
            refuse(context, "sendMessage", ApiError(403, "Forbidden: bot was blocked by the user"))
            ann.says("hello")
            await eventually(lambda: "delivery.muted" in caplog.text, "it waits")
            with closing(sqlite3.connect(database_path)) as raw, raw:
                raw.execute("UPDATE outbox SET ready_at = 0")
            await eventually(lambda: "delivery.expired" in caplog.text, "it is too old")
        ann.says("next")
        await eventually(lambda: "next" in ann.sees, "the next answer")
        assert ann.sees[0].startswith("I could not show you an answer")


def refuse(monkeypatch: pytest.MonkeyPatch, method: str, refusal: ApiError) -> None:
    """Let each call of a method end with this refusal."""

    def refused(*_: object) -> object:
        raise refusal

    name = method.lower()
    monkeypatch.setitem(METHODS, name, replace(METHODS[name], run=refused))


async def test_a_clock_that_jumps_ahead_makes_no_answer_old(
    wire: PlaygroundServer,
    database_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The answer waits for its chat meanwhile, for longer than it takes to look for old ones."""
    now = time.time
    wire.world.add_faults([{"method": "sendMessage", "kind": "429", "times": 1, "retry_after": 2}])
    async with running(wire, database_path, echo) as ann:
        ann.says("hello")
        await eventually(lambda: "delivery.flooded" in caplog.text, "it has to wait")
        monkeypatch.setattr("time.time", lambda: now() + 3 * DAY_SECONDS)
        ann.says("later")
        await ann.sees_at_last("hello", "later")
        monkeypatch.setattr("time.time", lambda: now() - 3 * DAY_SECONDS)
        ann.says("last")
        await ann.sees_at_last("hello", "later", "last")
