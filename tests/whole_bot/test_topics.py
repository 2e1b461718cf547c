"""Topics of forums and of private chats: each is a session, and an answer comes where the question was."""

from typing import Any

import pytest

from tests.waiting import eventually
from tests.whole_bot.process import BotProcess
from tgbot.playground.server import PlaygroundServer

FORUM = -1_000_000_000_005
PRIVATE = 7


def topics_of(wire: PlaygroundServer, chat_id: int) -> list[int | None]:
    """Make two topics; the third place is the General one, or what stands in no topic."""
    wire.world.make_chat(chat_id, "Workshop", is_forum=chat_id < 0)
    if chat_id < 0:
        return [*(wire.world.make_topic(chat_id, 7, name) for name in ("Releases", "Support")), None]
    wire.world.chat(chat_id).topics |= {101: "Releases", 102: "Support"}
    return [101, 102, None]


@pytest.mark.parametrize("stream", ["edit", "draft"])
@pytest.mark.parametrize("chat_id", [FORUM, PRIVATE])
async def test_an_answer_comes_in_the_topic_of_its_question(
    bot: BotProcess, wire: PlaygroundServer, chat_id: int, stream: str
) -> None:
    bot.setting(agent="echo", stream=stream)
    topics = topics_of(wire, chat_id)
    await bot.start()
    for topic in topics:
        wire.world.post_message(chat_id, 7, f"said in {topic}", message_thread_id=topic)
        wire.world.post_message(chat_id, 7, "sleep 600", message_thread_id=topic)
    await eventually(lambda: len(answers(wire, chat_id)) == len(topics), "each is answered")
    await bot.logs("turn.claimed", 2 * len(topics))
    wire.world.post_message(chat_id, 7, "/stop", message_thread_id=topics[0])
    await eventually(lambda: len(answers(wire, chat_id)) == len(topics) + 1, "the reply to /stop")
    placed = {one["text"]: one.get("message_thread_id") for one in answers(wire, chat_id)}
    assert placed == {**{f"said in {topic}": topic for topic in topics}, "Stopped.": topics[0]}
    assert len({row["session_key"] for row in (await bot.status())["running"]}) == len(topics) - 1


def answers(wire: PlaygroundServer, chat_id: int) -> list[dict[str, Any]]:
    return [one for one in wire.world.messages(chat_id) if one["from"]["is_bot"]]
