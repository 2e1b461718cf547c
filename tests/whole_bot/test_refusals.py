"""Refusals that are not final, and chats that wait: nothing is lost, and nobody else waits."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.waiting import eventually
from tests.whole_bot.process import BotProcess, Person
from tgbot.playground.bots import Bot
from tgbot.playground.errors import ApiError
from tgbot.playground.registry import METHODS, Params
from tgbot.playground.removal import remove_bots
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.world import World

GROUP, SUPERGROUP = -5, -1001234567890
HOUR_SECONDS = 3600


async def _asks(bot: BotProcess, person: Person, gate: Path) -> str:
    """Let a person ask something that is answered when the gate is there; returns the answer."""
    person.says(f"wait for {gate}")
    await bot.logs("turn.claimed")
    return f"wait for {gate} (attempt 1)"


async def test_what_could_not_be_shown_while_the_bot_was_blocked_comes_when_the_person_is_back(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, tmp_path: Path
) -> None:
    await bot.start()
    answer = await _asks(bot, ann, tmp_path / "gate")
    wire.world.block(ann.user_id, blocked=True)
    (tmp_path / "gate").touch()
    await bot.logs("delivery.muted")
    assert (await bot.status())["parked"] == 0
    wire.world.block(ann.user_id, blocked=False)
    ann.says("hello")
    await ann.sees_at_last(answer, "hello (attempt 1)")


async def test_what_could_not_be_shown_while_the_bot_was_blocked_comes_when_it_is_unblocked(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, tmp_path: Path
) -> None:
    await bot.start()
    answer = await _asks(bot, ann, tmp_path / "gate")
    wire.world.block(ann.user_id, blocked=True)
    (tmp_path / "gate").touch()
    await bot.logs("delivery.muted")
    wire.world.block(ann.user_id, blocked=False)
    await ann.sees_at_last(answer)


async def test_what_could_not_be_shown_while_the_bot_was_muted_comes_when_the_group_goes_on(
    bot: BotProcess, wire: PlaygroundServer, tmp_path: Path
) -> None:
    ann = Person(wire, chat_id=GROUP)
    await bot.start()
    answer = await _asks(bot, ann, tmp_path / "gate")
    wire.world.mute(GROUP)
    (tmp_path / "gate").touch()
    await bot.logs("delivery.muted")
    wire.world.mute(GROUP, muted=False)
    ann.says("hello")
    await ann.sees_at_last(answer, "hello (attempt 1)")


@pytest.mark.parametrize("chat_id", [GROUP, SUPERGROUP])
async def test_what_could_not_be_shown_while_the_bot_was_removed_comes_when_it_is_added_again(
    bot: BotProcess, wire: PlaygroundServer, tmp_path: Path, chat_id: int
) -> None:
    """The answer ends meanwhile, a message waits behind it, and the bot is restarted."""
    ann = Person(wire, chat_id=chat_id)
    await bot.start()
    answer = await _asks(bot, ann, tmp_path / "gate")
    ann.says("and this")
    await eventually(lambda: bool(ann.screen[-1].get("reactions")), "it waits")
    remove_bots(wire.world, chat_id)
    (tmp_path / "gate").touch()
    await bot.logs("turn.ended", times=2)
    await bot.logs("delivery.muted")
    await bot.kill()
    await bot.start()
    await bot.logs("delivery.muted", times=2)
    assert (await bot.status())["parked"] == 0
    assert ann.sees == []
    remove_bots(wire.world, chat_id, removed=False)
    await ann.sees_at_last(answer, "and this (attempt 1)")


async def test_an_answer_that_grows_when_the_bot_is_removed_is_completed_when_it_is_added_again(
    bot: BotProcess, wire: PlaygroundServer, tmp_path: Path
) -> None:
    ann, said = Person(wire, chat_id=SUPERGROUP), tmp_path / "said.1"
    bot.setting(agent="tests.whole_bot.agents:obedient")
    await bot.start()
    ann.says(str(tmp_path / "said"))
    said.write_text('["words", "one"]\n')
    await ann.sees_at_last("one")
    remove_bots(wire.world, SUPERGROUP)
    with said.open("a") as lines:
        lines.write('["words", " two"]\n["end"]\n')
    await bot.logs("turn.ended")
    await bot.logs("delivery.muted")
    assert ann.sees == ["one"]
    remove_bots(wire.world, SUPERGROUP, removed=False)
    await ann.sees_at_last("one two")


async def test_an_answer_for_a_topic_that_is_gone_comes_in_the_chat_and_names_the_topic(
    bot: BotProcess, wire: PlaygroundServer, tmp_path: Path
) -> None:
    wire.world.make_chat(SUPERGROUP, "Friends", is_forum=True)
    topic = wire.world.make_topic(SUPERGROUP, 7, "Garden")
    ann = Person(wire, chat_id=SUPERGROUP)
    await bot.start()
    wire.world.post_message(SUPERGROUP, 7, f"wait for {tmp_path / 'gate'}", message_thread_id=topic)
    await bot.logs("turn.claimed")
    wire.world.delete_topic(SUPERGROUP, topic)
    (tmp_path / "gate").touch()
    await eventually(lambda: len(ann.sees) == 1, "the answer")
    [said] = ann.sees
    assert said.startswith(f"wait for {tmp_path / 'gate'} (attempt 1)")
    assert "For the topic" in said
    assert "is gone" in said
    assert "message_thread_id" not in ann.screen[-1]
    assert (await bot.status())["parked"] == 0


async def test_hundreds_of_flooded_chats_do_not_keep_another_one_waiting(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than there are places for senders; each was asked to wait for an hour."""
    flooded = [Person(wire, 1000 + n) for n in range(300)]
    _refuse(monkeypatch, lambda chat_id: chat_id >= 1000)
    bot.setting(receipts="false")
    await bot.start()
    for person in flooded:
        person.says("hi")
    await bot.logs("delivery.flooded", times=300)
    ann.says("hello")
    await ann.sees_at_last("hello (attempt 1)")
    assert (await bot.status())["unsent"] == 300
    before = _sends(wire)
    await asyncio.sleep(1)
    assert _sends(wire) == before, "nothing is tried in the penalty window"


def _refuse(monkeypatch: pytest.MonkeyPatch, which: Callable[[int], bool]) -> None:
    method = METHODS["sendmessage"]

    def run(world: World, bot: Bot, params: Params) -> object:
        if which(params["chat_id"]):
            raise ApiError(
                HTTPStatus.TOO_MANY_REQUESTS, "Too Many Requests: retry after 3600", retry_after=HOUR_SECONDS
            )
        return method.run(world, bot, params)

    monkeypatch.setitem(METHODS, "sendmessage", replace(method, run=run))


def _sends(wire: PlaygroundServer) -> int:
    return sum(call["method"] == "sendMessage" for call in wire.world.journal)
