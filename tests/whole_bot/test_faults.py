"""Trouble on the wire: every answer is on screen exactly once at the end."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from starlette.responses import Response

from tests.gateway import Gateway
from tests.waiting import eventually
from tests.whole_bot.agents import Dictation
from tests.whole_bot.process import TOKEN, BotProcess, Person
from tgbot.playground.server import PlaygroundServer

KINDS = ("429", "500", "cut_before", "cut_after")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_send_whose_outcome_is_unknown_is_neither_lost_nor_shown_twice(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, kind: str
) -> None:
    wire.world.add_faults([{"method": "sendMessage", "kind": kind, "times": 2, "retry_after": 1}])
    await bot.start()
    ann.says("one", "two")
    await ann.sees_at_last("one (attempt 1)", "two (attempt 1)")
    await bot.logs("delivery.sent", times=2)
    assert (await bot.status())["parked"] == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_final_edit_whose_outcome_is_unknown_is_made_again(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, tmp_path: Path, kind: str
) -> None:
    bot.setting(agent="tests.whole_bot.agents:obedient")
    agent = Dictation(tmp_path)
    await bot.start()
    ann.says(agent.message)
    agent.words("Once ")
    await ann.sees_at_last("Once")
    wire.world.add_faults([{"method": "editMessageText", "kind": kind, "times": 2, "retry_after": 1}])
    agent.words("upon a time.").end()
    await bot.logs("delivery.sent", times=2)
    assert ann.sees == ["Once upon a time."]
    assert "reply_markup" not in ann.screen[-1]


async def test_retry_after_is_honoured(bot: BotProcess, ann: Person, wire: PlaygroundServer) -> None:
    await bot.start()
    wire.world.add_faults([{"method": "sendMessage", "kind": "429", "times": 1, "retry_after": 2}])
    ann.says("hello")
    await ann.sees_at_last("hello (attempt 1)")
    calls = [call for call in wire.world.journal if call["params"].get("chat_id") == ann.chat_id]
    refused = next(n for n, call in enumerate(calls) if call["status"] == httpx.codes.TOO_MANY_REQUESTS)
    await bot.logs("delivery.sent")
    assert _logged_at(bot, "delivery.sent") - _logged_at(bot, "retry_after_seconds=2") >= timedelta(seconds=2)
    assert calls[refused + 1]["method"] == "sendMessage", "nothing else was tried in the penalty window"


def _logged_at(bot: BotProcess, words: str) -> datetime:
    line = next(line for line in bot.log.splitlines() if words in line)
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f")  # noqa: DTZ007 - only differences count


async def test_one_flooded_chat_does_not_delay_another(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    await bot.start()
    bob = Person(wire, user_id=8)
    wire.world.add_faults(
        [{"method": "*", "kind": "429", "times": None, "retry_after": 600, "chat_id": ann.chat_id}]
    )
    ann.says("flooded")
    await bot.logs("delivery.flooded")
    bob.says("hello")
    await bob.sees_at_last("hello (attempt 1)")


async def test_an_answer_whose_first_words_the_user_deleted_is_sent_anew(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, tmp_path: Path
) -> None:
    bot.setting(agent="tests.whole_bot.agents:obedient")
    agent = Dictation(tmp_path)
    await bot.start()
    ann.says(agent.message)
    agent.words("Once ")
    await ann.sees_at_last("Once")
    wire.world.delete_message(wire.world.chat(ann.chat_id), ann.screen[-1]["message_id"])
    agent.words("upon a time.").end()
    await ann.sees_at_last("Once upon a time.")


async def test_a_second_poller_is_reported_and_recovered_from(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    await bot.start()
    await bot.logs("intake.ready")
    async with httpx.AsyncClient(base_url=wire.url) as other:
        for times in (1, 2):
            await eventually(lambda: _polls(wire), "it polls")
            await other.post(f"/bot{TOKEN}/getUpdates", json={"timeout": 0})
            await bot.logs("intake.conflict", times)
    ann.says("hello")
    await ann.sees_at_last("hello (attempt 1)")


def _polls(wire: PlaygroundServer) -> bool:
    poll = wire.world.bot(TOKEN)._poll
    return poll is not None and not poll.done()


async def test_a_network_that_is_gone_for_a_while_does_not_leave_the_bot_deaf(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    wire.world.add_faults([{"method": "*", "kind": "cut_before", "times": 3}])
    await bot.start()
    await bot.logs("intake.retry", times=3)
    ann.says("hello")
    await ann.sees_at_last("hello (attempt 1)")


async def test_an_error_while_storing_never_moves_the_offset_and_never_leaves_the_bot_deaf(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    await bot.start()
    ann.says("first")
    await ann.sees_at_last("first (attempt 1)")
    with closing(sqlite3.connect(bot.database)) as other:
        other.execute("BEGIN IMMEDIATE")
        ann.says("while locked")
        await bot.logs("intake.retry")
        marked = [call["params"]["message_id"] for call in wire.world.journal if "Reaction" in call["method"]]
        assert ann.screen[-1]["message_id"] not in marked, "received is said only when it is on disk"
        updates = wire.world.bot(TOKEN).updates
        assert [u["message"]["text"] for u in updates] == ["while locked"], "Telegram still has it"
        other.rollback()
    await ann.sees_at_last("first (attempt 1)", "while locked (attempt 1)")


async def test_the_token_is_in_no_log_when_the_server_is_not_there(bot: BotProcess) -> None:
    bot.setting(api_url="http://127.0.0.1:9")
    await bot.start()
    await bot.logs("intake.retry", times=2)  # the fixture looks for the token afterwards


async def test_a_token_that_the_server_refuses_ends_with_a_clear_line(bot: BotProcess) -> None:
    bot.setting(token="123456789:looks-like-a-real-one")
    await bot.start()
    assert await bot.wait() == 2
    assert "check TGBOT_TOKEN" in bot.log
    assert "Traceback" not in bot.log


@pytest.mark.parametrize("status", [401, 403, 413])
async def test_the_pages_of_a_gateway_end_no_bot_and_park_no_answer(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, status: int
) -> None:
    """Whatever a proxy or a captive portal says, Telegram refused nothing: the answer comes afterwards."""
    async with Gateway(wire) as gateway:
        for method in ("getMe", "getUpdates", "sendMessage", "editMessageReplyMarkup", "editMessageText"):
            gateway.pages[method] = [Response(b"<html>please log in</html>", status)]
        bot.setting(api_url=gateway.url)
        await bot.start()
        ann.says("hello")
        await ann.sees_at_last("hello (attempt 1)")
        await bot.logs("delivery.sent")
        assert f"not a Bot API answer: {status} text/html" in bot.log
        assert (await bot.status())["parked"] == 0
        assert not any(gateway.pages.values()), "each was met"
        await bot.kill()


async def test_a_table_that_vanishes_ends_the_bot_loudly_instead_of_being_waited_for(
    bot: BotProcess, ann: Person
) -> None:
    await bot.start()
    ann.says("hello")
    await ann.sees_at_last("hello (attempt 1)")
    with closing(sqlite3.connect(bot.database)) as raw:
        raw.execute("DROP TABLE outbox")
    assert await bot.wait() == 1
    assert "no such table: outbox" in bot.log
    assert "app.crashed" in bot.log
