"""What an agent is given of messages that run as one turn."""

import json
from typing import Any

from tests.house import no_download, raw_message
from tests.store.instance import Instance
from tgbot.model import Address, ChatId, MessageId, Raw, RowId, SessionKey, Token, Turn, UserId
from tgbot.store import modes
from tgbot.turns.agent import AgentTurn

NO_STORE: Any = None  # what is read of messages needs none


def turn_of(*raws: Raw) -> AgentTurn:
    address = Address(SessionKey("42:7"), ChatId(7), UserId(7), MessageId(1))
    turn = Turn(Token(1), RowId(1), SessionKey("42:7"), address, 1, tuple(map(json.dumps, raws)))
    return AgentTurn(turn, no_download, NO_STORE, NO_STORE)


def store_of(instance: Instance) -> Any:  # noqa: ANN401 - what a turn asks the store with
    async def run(operation: Any, *args: Any) -> Any:  # noqa: ANN401 - any operation
        return instance.do(operation, *args)

    return run


def forwarded(update_id: int, said: str, name: str, **more: Any) -> Raw:  # noqa: ANN401 - any field
    origin = {"type": "hidden_user", "sender_user_name": name, "date": 1}
    return raw_message(update_id, said, forward_origin=origin, **more)


def test_of_forwarded_messages_each_says_whose_it_was() -> None:
    turn = turn_of(raw_message(1, "who is right?"), forwarded(2, "yes", "Bob"), forwarded(3, "no", "Cleo"))
    assert turn.prompt == (
        "[1 of 3]\nwho is right?\n\n[2 of 3]\n[Forwarded from Bob]\n\nyes\n\n"
        "[3 of 3]\n[Forwarded from Cleo]\n\nno"
    )


def test_an_album_has_one_header_with_all_its_files() -> None:
    photo: dict[str, Any] = {"photo": [{"file_id": "f", "width": 1, "height": 1}], "media_group_id": "g"}
    turn = turn_of(raw_message(1, "", caption="look", **photo), raw_message(2, "", **photo))
    assert turn.prompt == "[Photo, 1x1]\n[Photo, 1x1]\n\nlook"


async def test_a_long_text_that_joins_a_running_turn_is_one_follow_up(instance: Instance) -> None:
    instance.do(modes.set_default, instance.owner.bot_id, "steer")
    turn = AgentTurn(instance.start("busy", chat=-7), no_download, store_of(instance), store_of(instance))
    instance.say("x" * 4096, chat=-7)
    instance.say("Bob's", chat=-7, **{"from": {"id": 8, "is_bot": False, "first_name": "Bob"}})
    instance.say("end", chat=-7)
    found = await turn.incoming()
    assert [one.message["text"] for one in found] == ["Bob's", "x" * 4096 + "end"]
    assert await turn.incoming(found[-1].row_id) == []
