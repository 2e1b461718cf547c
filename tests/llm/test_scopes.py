"""Two private chats, a group, a topic of it and two users side by side: no words get from one to another."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.llm.answers import Fixture, after_tool, calls, says, tool
from tests.llm.bots import model_bot
from tests.llm.request import Request
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
        place = request[-1].splitlines()[-1].partition("-")[0]
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
    begun = {request[-1].splitlines()[-1]: request[0].splitlines()[-1] for request in model.requests}
    assert begun["topic-last-7"].startswith("topic-last"), "it began afresh"
    assert begun["group-last-7"].startswith("group-first"), "the group did not"
    [summed_up] = [request[0] for request in model.requests if request[-1] == "ann-last-7"]
    assert summed_up.startswith(HEADING), "it was summed up"


async def test_in_a_group_the_model_reads_who_speaks_and_its_instructions_are_the_same_for_all(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.world.make_chat(7, "Ann")
    wire.world.make_chat(8, "Bob")
    model = Model()
    async with talking(wire, database_path, monkeypatch, model, allowed_users=None) as _:
        for user in (7, 8):
            wire.world.post_message(GROUP, user, "hi")
        await eventually(lambda: len(model.requests) == 2, "both are answered")
    assert model.requests[-1][::2] == ["[From Ann]\n\nhi", "[From Bob]\n\nhi"]
    assert len(set(model.instructions)) == 1


async def test_no_request_to_a_model_has_the_notes_or_the_results_of_tools_of_another_session(
    tmp_path: Path,
) -> None:
    """As the model's server sees it: the whole body of each request, whatever part of it words stand in."""
    async with model_bot(tmp_path, tools="tests.llm.proof_tools") as bot:
        world = bot.wire.world
        world.make_chat(GROUP, "Friends", is_forum=True)
        topic = world.make_topic(GROUP, 7, "Garden")
        places = {
            "ann": (7, 7, None),
            "bob": (8, 8, None),
            "group": (GROUP, 7, None),
            "topic": (GROUP, 8, topic),
        }
        await bot.answers_by(*(one for place in places for one in _secrets_of(place)))
        for words in ("keep", "recall", "weather", "last"):
            for place, (chat_id, user, thread) in places.items():
                world.post_message(chat_id, user, f"{words} {place}", message_thread_id=thread)
        await eventually(lambda: bot.log.count("state=done") == 16, "all is answered")
        requests = [(_place(request), json.dumps(request.body)) for request in bot.sent]
        assert len(requests) == 4 * 7
        for place, body in requests:
            assert not [other for other in places if other != place and f"{other}-" in body], body
        own = {place: body for place, body in requests if f"last {place}" in body}
        for place in places:
            assert f"{place}-noted" in own[place], "what the tool recall gave"
            assert f"sunny in {place}-town" in own[place]


def _secrets_of(place: str) -> list[Fixture]:
    """Let the model note something, read its notes, and use a tool, in each place with words of the place."""
    note = {"name": f"{place}-name", "text": f"{place}-noted"}
    return [
        calls(f"keep {place}", tool("remember", note), text=f"{place}-said"),
        calls(f"recall {place}", tool("recall")),
        calls(f"weather {place}", tool("weather", {"city": f"{place}-town"})),
        says(f"last {place}", f"{place}-bye"),
        *(_after(f"{words} {place}") for words in ("keep", "recall", "weather")),
    ]


def _after(message: str) -> Fixture:
    answer = after_tool("Done.")
    return answer | {"match": answer["match"] | {"userMessage": message}}


def _place(request: Request) -> str:
    said = [one["text"] for one in request.messages if one["role"] == "user"]
    return str(said[-1].split()[-1])
