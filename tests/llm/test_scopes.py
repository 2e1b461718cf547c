"""Two private chats, a group, a topic of it and two users side by side: no words get from one to another."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.llm.talking import Model, talking
from tests.waiting import eventually
from tests.whole_bot.process import TOKEN
from tgbot.agents.llm import commands
from tgbot.agents.llm.compaction import HEADING
from tgbot.playground.server import PlaygroundServer

GROUP = -1_000_000_000_005
BOT = TOKEN.partition(":")[0]


async def test_no_session_knows_the_words_of_another(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.world.make_chat(GROUP, "Friends", is_forum=True)
    topic = wire.world.make_topic(GROUP, 7, "Garden")
    places: dict[str, tuple[int, tuple[int, ...], int | None]] = {
        "ann": (7, (7,), None),
        "bob": (8, (8,), None),
        "group": (GROUP, (7, 8), None),
        "topic": (GROUP, (7, 8), topic),
    }

    def say(words: str) -> None:
        """Let everyone say it everywhere, in words of the place."""
        for place, (chat_id, users, thread) in places.items():
            for user in users:
                said = words if words.startswith("/") else f"{place}-{words}-{user}"
                wire.world.post_message(chat_id, user, said, message_thread_id=thread)

    def shown(words: str) -> int:
        chats = (wire.world.messages(chat) for chat in (7, 8, GROUP))
        return sum(words in one.get("text", "") for chat in chats for one in chat if one["from"]["is_bot"])

    async def all_show(words: str, times: int) -> None:
        await eventually(lambda: shown(words) == times, f"{words!r} in every place")

    model = Model(summary="what was said")
    async with talking(wire, database_path, monkeypatch, model, allowed_users=None) as _:
        for words in ("first", "second"):
            say(words)
        await all_show("-second-", 6)
        say("/undo")
        await all_show("Forgotten", 6)
        say("third")
        await all_show("-third-", 6)
        say("/retry")
        await eventually(lambda: len(model.requests) == 24, "all was answered again")
        wire.world.post_message(GROUP, 7, "/new", message_thread_id=topic)
        wire.world.post_message(7, 7, "/compact")
        await all_show(commands.FRESH, 1)
        await all_show(commands.SUMMED_UP, 1)
        say("last")
        await all_show("-last-", 6)
    for request in model.requests:
        place = request[-1].partition("-")[0]
        others = places.keys() - {place}
        assert not [words for words in request for other in others if f"{other}-" in words], request
    keys = {"ann": "7", "bob": "8", "group": f"{GROUP}", "topic": f"{GROUP}:{topic}"}
    with closing(sqlite3.connect(database_path)) as raw:
        logged = raw.execute("SELECT session_key, kind, content FROM history").fetchall()
    assert {session for session, *_ in logged} == {f"{BOT}:{key}" for key in keys.values()}
    for place, key in keys.items():
        own = "".join(content for session, _, content in logged if session == f"{BOT}:{key}")
        assert f"{place}-first" in own
        assert not [other for other in places.keys() - {place} if f"{other}-" in own]
    begun = {request[-1]: request[0] for request in model.requests}
    assert begun["topic-last-7"].startswith("topic-last"), "it began afresh"
    assert begun["group-last-7"].startswith("group-first"), "the group did not"
    assert begun["ann-last-7"].startswith(HEADING), "it was summed up"
