"""Reactions to the bot's messages, with the real process: they act once, also around a kill."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import eventually
from tests.whole_bot.agents import Dictation
from tests.whole_bot.judged import judged_bot
from tests.whole_bot.process import TOKEN, BotProcess, Person
from tgbot.playground.server import PlaygroundServer

YES, NO, AGAIN = "👍", "👎", "🤔"
GROUP = -1_000_000_000_005


@pytest.fixture
async def bot(wire: PlaygroundServer, tmp_path: Path) -> AsyncIterator[BotProcess]:
    """A bot whose agent yields what a test dictates."""
    async with judged_bot(wire, tmp_path, agent="tests.whole_bot.agents:obedient") as process:
        yield process


def bubble(person: Person, words: str) -> dict[str, Any]:
    """Find the newest message of the bot with these words."""
    return next(
        one for one in reversed(person.screen) if one["from"]["is_bot"] and words in one.get("text", "")
    )


def react(wire: PlaygroundServer, person: Person, words: str, emoji: str, user_id: int | None = None) -> None:
    message_id = bubble(person, words)["message_id"]
    wire.world.react_to(person.chat_id, user_id or person.user_id, message_id, emoji)


async def sees(bot: BotProcess, person: Person, words: str) -> None:
    """Wait until words are on screen, and the bot has noted as which message."""
    await person.sees_among(words)
    await eventually(lambda: not _unsent(bot), "its message id is noted")


def _unsent(bot: BotProcess) -> int:
    with closing(sqlite3.connect(bot.database)) as raw:
        sql = "SELECT count(*) FROM outbox WHERE state IN ('ready', 'sending', 'unknown')"
        return int(raw.execute(sql).fetchone()[0])


async def confirmed(wire: PlaygroundServer) -> None:
    await eventually(lambda: not wire.world.bot(TOKEN).updates, "the offset is behind all updates")


async def test_a_thumb_down_stops_the_answer_that_streams(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, tmp_path: Path
) -> None:
    await bot.start()
    said = Dictation(tmp_path).words("Once upon a time ")
    ann.says(said.message, "next")
    await sees(bot, ann, "Once upon")
    react(wire, ann, "Once upon", NO)
    await ann.sees_among("⏹ Stopped.")
    await ann.sees_among("On hold, not run until you say so:\n1. “next”")


async def test_think_again_runs_a_message_again_once_though_the_process_is_killed_around_it(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, tmp_path: Path
) -> None:
    await bot.start()
    said = Dictation(tmp_path).words("42")
    said.end()
    ann.says(said.message)
    await sees(bot, ann, "42")
    await bot.kill()
    react(wire, ann, "42", AGAIN)
    await bot.start()
    await ann.sees_at_last("42", "42")
    await bot.kill()
    await bot.start()
    ann.says("/status")
    await ann.sees_among("Nothing is running.")
    assert ann.sees.count("42") == 2


async def test_a_thumb_down_after_a_restart_stops_what_runs_again(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, tmp_path: Path
) -> None:
    await bot.start()
    ann.says(Dictation(tmp_path).words("first try ").message)
    Dictation(tmp_path, attempt=2).words("second try ")
    await sees(bot, ann, "first try")
    await bot.kill()
    await bot.start()
    await sees(bot, ann, "second try")
    react(wire, ann, "second try", NO)
    await ann.sees_among("⏹ Stopped.")
    assert bot.log.count("turn.claimed") == 2


async def test_a_thumb_up_allows_what_is_asked_also_after_a_kill(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, tmp_path: Path
) -> None:
    await bot.start()
    asked = Dictation(tmp_path).question("May I?", "allow", "deny")
    asked.end()
    Dictation(tmp_path, attempt=2).words("Done.").end()
    ann.says(asked.message)
    await sees(bot, ann, "May I?")
    await bot.kill()
    react(wire, ann, "May I?", YES)
    await bot.start()
    await ann.sees_at_last("May I?\n\n→ allow", "Done.")


async def test_in_a_group_a_thumb_down_of_a_stranger_or_without_the_setting_does_nothing(
    bot: BotProcess, wire: PlaygroundServer, tmp_path: Path
) -> None:
    bot.setting(reactions="all", allowed_users="7,8")
    ann = Person(wire, 7, GROUP)
    await bot.start()
    said = Dictation(tmp_path).words("Once upon a time ")
    ann.says(said.message)
    await sees(bot, ann, "Once upon")
    for user_id in (9, 8):  # a stranger, another member
        react(wire, ann, "Once upon", NO, user_id)
    await confirmed(wire)
    said.words("there was ")
    await ann.sees_among("there was")
    await bot.kill()
    Dictation(tmp_path, attempt=2).words("Once upon a time again ")
    bot.setting(reactions="private")
    await bot.start()
    await sees(bot, ann, "again")
    react(wire, ann, "again", NO)
    await bot.logs("intake.ignored kind=message_reaction count=1")
    ann.says("/status")
    await ann.sees_among("Working for")


async def test_telegram_is_asked_for_reactions_only_where_the_settings_want_some(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, tmp_path: Path
) -> None:
    for start, (reactions, wanted) in enumerate((("private", True), ("off", False)), start=1):
        bot.setting(reactions=reactions)
        await bot.start()
        said = Dictation(tmp_path, f"{start}").words(reactions)
        said.end()
        ann.says(said.message)
        await ann.sees_among(reactions)
        assert ("message_reaction" in _asked_for(wire)[-1]) is wanted
        await bot.kill()


def _asked_for(wire: PlaygroundServer) -> list[list[str]]:
    """List the kinds of update that the bot asked for, at each poll that was answered."""
    polls = [call["params"] for call in wire.world.journal if call["method"] == "getUpdates"]
    return [poll["allowed_updates"] for poll in polls]
