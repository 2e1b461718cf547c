"""Long texts and forwarded messages that people send to the real process: one turn, however they arrive."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

import pytest

from tests.waiting import eventually
from tests.whole_bot.process import TOKEN, BotProcess, Person
from tgbot.playground.server import PlaygroundServer

WORDS = "".join(chr(ord("a") + number * number % 26) for number in range(4096 + 4096 + 1698))
PIECES = (WORDS[:4096], WORDS[4096:8192], WORDS[8192:])


def named(text: str) -> str:
    return f"{len(text)} characters, {sha256(text.encode()).hexdigest()[:12]}"


def send(wire: PlaygroundServer, text: str, **more: Any) -> None:  # noqa: ANN401 - any field of a message
    """Deliver a message that was sent in the same second as all others, however late that is."""
    world = wire.world
    content = {"text": text, "date": 1_700_000_000, **more}
    sender = {"id": 7, "is_bot": False, "first_name": "Ann"}
    world.inject_update({"message": world.add_message(world.chat(7), sender, content)})


@pytest.fixture
def bot(bot: BotProcess) -> BotProcess:
    bot.setting(agent="tests.whole_bot.collector:measurer")
    return bot


@pytest.fixture
def wire(wire: PlaygroundServer) -> PlaygroundServer:
    wire.world.make_chat(7, "Ann")
    return wire


async def all_is_stored(wire: PlaygroundServer) -> None:
    await eventually(lambda: not wire.world.bot(TOKEN).updates, "all updates are confirmed")


async def test_a_text_of_9890_units_is_one_turn(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says(*PIECES)
    await ann.sees_at_last(f"{named(WORDS)} (attempt 1)")
    assert bot.log.count("turn.claimed") == 1


async def test_it_is_one_turn_even_when_its_pieces_arrive_one_by_one(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    """Each comes when the one before is on disk and confirmed."""
    await bot.start()
    for piece in PIECES:
        send(wire, piece)
        await all_is_stored(wire)
    await ann.sees_at_last(f"{named(WORDS)} (attempt 1)")
    assert bot.log.count("turn.claimed") == 1


@pytest.mark.parametrize("end", [BotProcess.kill, BotProcess.stop])
async def test_a_kill_inside_the_window_loses_nothing_and_what_was_sent_while_down_is_in_the_text(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, end: Callable[[BotProcess], Awaitable[object]]
) -> None:
    await bot.start()
    for piece in PIECES[:2]:
        send(wire, piece)
    await all_is_stored(wire)
    await end(bot)
    send(wire, PIECES[2])
    await bot.start()
    await ann.sees_at_last(f"{named(WORDS)} (attempt 1)")


async def test_a_comment_and_what_was_forwarded_with_it_are_one_turn_that_says_whose_it_was(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    bot.setting(agent="tests.whole_bot.collector:reader")
    send(wire, "who is right?")
    for name, text in (("Bob", "yes"), ("Cleo", "no")):
        send(wire, text, forward_origin={"type": "hidden_user", "sender_user_name": name, "date": 1})
    await bot.start()
    await ann.sees_at_last(
        "[1 of 3]\nwho is right?\n\n[2 of 3]\n[Forwarded from Bob]\n\nyes\n\n"
        "[3 of 3]\n[Forwarded from Cleo]\n\nno"
    )
    assert bot.log.count("turn.claimed") == 1
