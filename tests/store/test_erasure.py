"""/forget: who may say so, when, and that no word of the session is in the file afterwards."""

import dataclasses
import json
from typing import Any

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, StartInstance, key, new_id
from tests.store.storage import Storage
from tests.store.test_chats import NEW, OLD, upgraded
from tests.store.test_questions import ask, buttons
from tgbot.access import Access
from tgbot.intake.commands import ModelRules, wipe
from tgbot.intake.commands.registry import NOT_YOURS, NOTHING
from tgbot.model import FileId, KeptFile, RowId, UserId
from tgbot.store import files, history, ledger, sending, values
from tgbot.store.parts import Ping, Rich

GROUP = -5
TOPIC: dict[str, Any] = {"is_topic_message": True, "message_thread_id": 3}
SENDER = {"id": 7, "is_bot": False, "first_name": "Ann"}


@pytest.fixture
def bot(instance: Instance) -> Instance:
    access = Access(None, UserId(7))
    instance.rules = dataclasses.replace(instance.rules, model=ModelRules(("a:1",)), access=access)
    return instance


def asked(bot: Instance, chat: int = 7, **more: Any) -> RowId:  # noqa: ANN401 - any field of a message
    """Type /forget, and give the row that its buttons name."""
    bot.say("/forget", chat=chat, **more)
    bot.send_all(chat)
    [(row,)] = bot.rows("SELECT max(pending_id) FROM outbox WHERE buttons LIKE '%erase:%'")
    return RowId(row)


def press(bot: Instance, data: str, chat: int = 7, user: int | None = None) -> str | None:
    """Press a button; returns the toast."""
    [(_, toast)] = bot.press(data, message_id=new_id(), chat=chat, user=user).controls
    return toast


def forget(bot: Instance, chat: int = 7, **more: Any) -> None:  # noqa: ANN401 - as above
    row = asked(bot, chat, **more)
    assert press(bot, f"erase:{row}", chat, user=more.get("from", {}).get("id")) is None
    assert wipe.FORGOTTEN in bot.send_all(chat)


def holds(storage: Storage, words: str) -> bool:
    """Whether words are anywhere in the database: in a file that it is, or in a row."""
    content = b"".join(storage.content())
    return words.encode() in content or words.encode().hex().encode() in content


def exchange(bot: Instance, words: str, chat: int = 7) -> None:
    """Let a word get wherever words get."""
    turn = bot.start(words, chat=chat)
    bot.do(history.append, turn, "step", json.dumps([words]))
    bot.do(ledger.finish, turn, "1", "tool", words)
    bot.do(values.put, turn, "note", "a", words)
    bot.answer(turn, f"**{words}**", Rich(words), Ping(words))
    bot.send_all(chat)


# Words are gone


def test_no_word_of_the_session_is_in_the_file_afterwards_and_those_of_others_are(
    bot: Instance, own_storage: Storage
) -> None:
    exchange(bot, "xylophone")
    exchange(bot, "marimba", chat=8)
    bot.start("queued", chat=9)
    forget(bot)
    bot.engine.dispose()  # closes the file, which empties its log
    assert not holds(own_storage, "xylophone")
    assert holds(own_storage, "marimba")
    assert holds(own_storage, "Ann"), "of the others"


def test_words_of_a_question_a_parked_part_and_a_second_look_are_gone(
    bot: Instance, own_storage: Storage
) -> None:
    turn = bot.start("xylophone")
    ask(bot, turn, "xylophone", said=("xylophone",))
    bot.send_all()
    [again] = bot.press(f"{buttons(bot)[0]}:0").claimed
    bot.send_all()
    bot.answer(again, "xylophone", first=again.first_part)
    bot.do(sending.park, bot.the_next(), "xylophone is forbidden")
    bot.rows(
        "INSERT INTO second_look (bot_id, pending_id, chat_id, floor, text, due_at)"
        " VALUES (42, :row, 7, 1, 'xylophone', 1e12) RETURNING id",
        row=turn.row_id,
    )
    forget(bot)
    bot.engine.dispose()
    assert not holds(own_storage, "xylophone")


def test_the_bytes_of_its_files_are_gone(bot: Instance, own_storage: Storage) -> None:
    turn = bot.start("draw")
    kept = [_file(bot, turn.row_id), _file(bot, turn.row_id), _file(bot, turn.row_id)]
    bot.answer(turn, KeptFile("xylophone.txt", kept[0]), KeptFile("b.txt", kept[1]))
    bot.send_all()
    assert holds(own_storage, "xylophone")
    forget(bot)
    bot.engine.dispose()
    assert not holds(own_storage, "xylophone")


def _file(bot: Instance, row_id: RowId) -> FileId:
    file_id = bot.do(files.begin, row_id)
    bot.do(files.add, file_id, 0, b"xylophone" * 10_000)
    return file_id


def test_words_of_commands_and_of_what_could_not_be_read_are_gone(
    bot: Instance, own_storage: Storage
) -> None:
    bot.say("/prompt xylophone", "/prompt", "/prompt -")
    bot.receive({"update_id": new_id(), "message": {"chat": {"id": 7}, "from": {}, "text": "xylophone"}})
    bot.send_all()
    forget(bot)
    bot.engine.dispose()
    assert not holds(own_storage, "xylophone")


def test_words_of_a_message_with_a_nul_and_half_an_emoji_are_gone(
    bot: Instance, own_storage: Storage
) -> None:
    bot.finish(bot.start("xylophone\0 \ud83d"), "done")
    bot.send_all()
    forget(bot)
    bot.engine.dispose()
    assert not holds(own_storage, "xylophone")


def test_a_long_log_is_erased_whole(bot: Instance, own_storage: Storage) -> None:
    for number in range(200):
        exchange(bot, f"xylophone{number} " * (15 * (number % 9)) or "xylophone")
    forget(bot)
    bot.engine.dispose()
    assert not holds(own_storage, "xylophone")


def test_files_that_are_kept_under_the_id_of_a_group_before_its_upgrade_are_forgotten_too(
    bot: Instance,
) -> None:
    exchange(bot, "before", chat=OLD)
    bot.receive(upgraded(1))
    exchange(bot, "after", chat=NEW)
    bot.send_all(NEW)
    row = asked(bot, NEW, **{"from": SENDER})
    erased = bot.press(f"erase:{row}", message_id=new_id(), chat=NEW, user=7).erased
    assert sorted(erased) == sorted([key(OLD), key(NEW)])


def test_no_files_of_another_chat_are_forgotten(bot: Instance) -> None:
    exchange(bot, "a", chat=OLD)
    exchange(bot, "b")
    row = asked(bot)
    assert bot.press(f"erase:{row}", message_id=new_id()).erased == [key()]


# What stays


def test_what_waits_or_is_held_stays_and_runs(bot: Instance) -> None:
    turn = bot.start("a", "b", "c")
    bot.say("/stop")
    bot.release(turn)
    bot.send_all()
    forget(bot)
    assert [said for said, state in bot.states().items() if state == "held"] == ["b", "c"]
    bot.say("/resume")
    assert list(bot.states().values())[-2:] == ["claimed", "queued"]


def test_the_parts_of_an_album_that_still_waits_stay(bot: Instance) -> None:
    album: dict[str, Any] = {"media_group_id": "1", "photo": [{"file_id": "f", "file_unique_id": "u"}]}
    bot.say("first", "second", **album)
    forget(bot)
    [turn] = bot.due()
    assert [message["text"] for message in turn.messages] == ["first", "second"]


def test_a_turn_that_runs_again_keeps_its_own_steps_but_not_the_summary_of_others(
    bot: Instance, start_instance: StartInstance
) -> None:
    exchange(bot, "a")
    turn = bot.start("b")
    bot.do(history.append, turn, "summary", "summary of a")
    bot.do(history.append, turn, "step", "b")
    bot.do(ledger.finish, turn, "1", "tool", "done")
    another = start_instance(max_turns=0)
    another.rules = bot.rules
    assert another.recover() == ["queued"]
    forget(another)
    assert another.rows("SELECT kind, content FROM history") == [("step", "b")]
    assert another.rows("SELECT pending_id, result FROM ledger") == [(turn.row_id, "done")]


def test_a_message_that_was_given_up_cannot_be_tried_again(start_instance: StartInstance) -> None:
    instance = start_instance(crashes_max=1)
    instance.start("a")
    bot = start_instance(crashes_max=1)
    bot.rules = dataclasses.replace(bot.rules, model=ModelRules(("a:1",)))
    assert bot.recover() == ["dead"]
    bot.send_all()
    forget(bot)
    [(row,)] = bot.rows("SELECT id FROM pending WHERE kind = 'message'")
    assert press(bot, f"retry:{row}") == NOTHING.toast
    assert bot.rows("SELECT state FROM pending WHERE kind = 'message'") == [("dropped",)]


def test_an_update_that_comes_again_is_still_known(bot: Instance) -> None:
    exchange(bot, "a")
    [(update_id,)] = bot.rows("SELECT update_id FROM pending")
    forget(bot)
    assert not bot.receive(raw_message(update_id, "a")).claimed


def test_another_topic_and_the_group_itself_keep_their_words(bot: Instance) -> None:
    [turn] = bot.say("in the topic", chat=GROUP, **TOPIC).claimed
    bot.do(history.append, turn, "step", "in the topic")
    bot.finish(turn)
    exchange(bot, "in the group", chat=GROUP)
    bot.send_all(GROUP)
    forget(bot, GROUP, **TOPIC, **{"from": SENDER})
    assert bot.rows("SELECT content FROM history") == [('["in the group"]',)]
    words = [raw for (raw,) in bot.rows("SELECT raw FROM pending WHERE kind = 'message' ORDER BY id")]
    assert ["in the group" in raw for raw in words] == [False, True]


# Who, and when


def test_the_question_is_answered_by_its_message_and_cancel_keeps_everything(bot: Instance) -> None:
    exchange(bot, "a")
    row = asked(bot)
    press(bot, f"cancel:{row}")
    assert bot.send_all() == [wipe.KEPT]
    assert press(bot, f"erase:{row}") == NOTHING.toast
    assert bot.rows("SELECT content FROM history") == [('["a"]',)]


def test_a_second_press_erases_nothing_of_what_was_said_since(bot: Instance) -> None:
    row = asked(bot)
    press(bot, f"erase:{row}")
    bot.send_all()
    exchange(bot, "later")
    assert press(bot, f"erase:{row}") == NOTHING.toast
    assert bot.rows("SELECT content FROM history") == [('["later"]',)]


def test_only_the_person_who_asked_can_answer(bot: Instance) -> None:
    row = asked(bot, GROUP, **{"from": SENDER})
    for data in (f"erase:{row}", f"cancel:{row}"):
        assert press(bot, data, GROUP, user=8) == NOT_YOURS
    assert press(bot, f"erase:{row}", GROUP, user=7) is None


def test_in_a_group_only_the_owner_can_erase_what_all_have_said(bot: Instance) -> None:
    bot.say("/forget", chat=GROUP, **{"from": {**SENDER, "id": 8}})
    assert bot.send_all(GROUP) == [wipe.OWNER_ONLY]
    forget(bot, GROUP, **{"from": SENDER})


def test_in_a_private_chat_everyone_can_erase_their_own_words(bot: Instance) -> None:
    forget(bot, chat=8)


def test_in_a_group_of_a_bot_without_an_owner_everyone_can(bot: Instance) -> None:
    bot.rules = dataclasses.replace(bot.rules, access=Access(None))
    forget(bot, GROUP)


def test_who_is_not_the_owner_any_more_erases_nothing(bot: Instance) -> None:
    row = asked(bot, GROUP, **{"from": SENDER})
    bot.rules = dataclasses.replace(bot.rules, access=Access(None, UserId(8)))
    assert press(bot, f"erase:{row}", GROUP, user=7) == wipe.OWNER_ONLY
    assert press(bot, f"cancel:{row}", GROUP, user=7) is None


@pytest.mark.parametrize("data", ["erase:{other}", "cancel:{other}", "erase:{message}", "erase:{row}:1"])
def test_a_forged_button_erases_nothing(bot: Instance, data: str) -> None:
    exchange(bot, "a")
    [(message,)] = bot.rows("SELECT id FROM pending")
    other = asked(bot, chat=8)
    row = asked(bot)
    assert press(bot, data.format(other=other, message=message, row=row)) == NOTHING.toast
    assert bot.rows("SELECT content FROM history") == [('["a"]',)]


def test_while_a_turn_runs_or_asks_nothing_is_erased(bot: Instance) -> None:
    exchange(bot, "a")
    row = asked(bot)
    turn = bot.start("b")
    assert press(bot, f"erase:{row}") == wipe.RUNS
    ask(bot, turn, "delete")
    bot.send_all()
    assert press(bot, f"erase:{row}") == wipe.RUNS
    bot.say("/forget")
    assert bot.send_all() == [wipe.RUNS]
    bot.say("/stop")
    bot.send_all()
    assert press(bot, f"erase:{row}") is None


def test_a_stopped_turn_that_winds_down_still_needs_its_log(bot: Instance) -> None:
    row = asked(bot)
    turn = bot.start("a")
    bot.say("/stop")
    bot.send_all()
    assert press(bot, f"erase:{row}") == wipe.RUNS
    bot.release(turn)
    assert press(bot, f"erase:{row}") is None


def test_while_an_answer_is_on_its_way_nothing_is_erased(bot: Instance) -> None:
    row = asked(bot)
    turn = bot.start("a")
    bot.finish(turn)
    assert press(bot, f"erase:{row}") == wipe.UNSENT
    bot.send_all()
    assert press(bot, f"erase:{row}") is None
