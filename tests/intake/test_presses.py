"""Whose buttons are whose, and that what is forged, stale, foreign or pressed twice does no harm."""

import dataclasses
import json
from typing import Any

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, StartInstance, new_id, pressed
from tests.store.test_chats import NEW, OLD, upgraded
from tests.store.test_edits import edit
from tests.store.test_questions import ask
from tgbot.intake.batch import Received
from tgbot.intake.commands import ModelRules, registry
from tgbot.intake.commands.registry import NOT_FOR_ALL, NOT_YOURS
from tgbot.model import MODES, GroupSessions, SessionKey, UserId
from tgbot.store import allowed, card, modes

OWNER, ANN, BOB = UserId(7), UserId(8), UserId(9)
GROUP = -5
GONE = "This one does not wait any more."
NO_BUTTON = "This button does nothing any more."
CARD_BUTTONS = ("queue_drop", "queue_next", "queue_now", "queue_drop_all", "queue_run_held", "queue_page")


@pytest.fixture
def bot(start_instance: StartInstance) -> Instance:
    return admitted(start_instance(allowed_users=frozenset([OWNER])))


def admitted(bot: Instance) -> Instance:
    """Let two people talk besides the owner, also in the group, which is not allowed as such."""
    for user_id in (ANN, BOB):
        bot.do(allowed.allow, bot.owner.bot_id, user_id, "user", None, OWNER)
    return bot


def sessions(bot: Instance, whose: GroupSessions) -> Instance:
    bot.rules = dataclasses.replace(bot.rules, group_sessions=whose, model=ModelRules(("a:1", "b:2")))
    return bot


def say(bot: Instance, user_id: int, *texts: str, chat: int = GROUP) -> Received:
    person = {"id": user_id, "is_bot": False, "first_name": "Ann"}
    return bot.receive(*(raw_message(new_id(), text, chat, **{"from": person}) for text in texts))


def toast(bot: Instance, user_id: int, data: str, chat: int = GROUP) -> str | None:
    [(_, shown)] = bot.press(data, chat=chat, user=user_id).controls
    return shown


def row(bot: Instance, text: str) -> int:
    sql = "SELECT id FROM pending WHERE json_extract(raw, '$.message.text') = :text"
    [(row_id,)] = bot.rows(sql, text=text)
    return int(row_id)


def session_of(bot: Instance, text: str) -> SessionKey:
    [(key,)] = bot.rows("SELECT session_key FROM pending WHERE id = :row", row=row(bot, text))
    return SessionKey(key)


def card_of(bot: Instance) -> str:
    found = bot.rows("SELECT text FROM outbox WHERE kind = 'card'")
    return str(found[0][0]) if found else ""


def all_of_it(bot: Instance) -> tuple[Any, ...]:
    """Give all that a press could change."""
    waits = "SELECT id, state, place, held_by FROM pending WHERE kind = 'message' ORDER BY id"
    shown = "SELECT text, buttons, state FROM outbox ORDER BY id"
    chosen = "SELECT * FROM session_value WHERE name != 'may_talk'"
    return bot.rows(waits), bot.rows(shown), bot.rows(chosen)


# The card


@pytest.mark.parametrize("presser", [ANN, BOB, OWNER])
def test_the_card_of_a_shared_session_is_for_all_who_may_type_there(bot: Instance, presser: UserId) -> None:
    say(bot, ANN, "a", "b", "c")
    assert toast(bot, presser, f"queue_drop:{row(bot, 'b')}") == "Dropped."
    toast(bot, presser, f"queue_now:{row(bot, 'c')}")
    assert bot.states(GROUP) == {"a": "stopped", "b": "dropped", "c": "queued"}


@pytest.mark.parametrize("everyone", [False, True])
@pytest.mark.parametrize("name", CARD_BUTTONS)
def test_the_card_of_a_persons_own_session_is_for_them_and_the_owner(
    start_instance: StartInstance,
    name: str,
    everyone: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Where everyone may talk, or the group is allowed, others may not press it either."""
    bot = start_instance(allowed_users=None if everyone else frozenset([OWNER]))
    bot.do(allowed.allow, bot.owner.bot_id, GROUP, "group", None, OWNER)
    bot.do(allowed.allow, bot.owner.bot_id, OWNER, "owner", None, OWNER)
    sessions(bot, "user")
    say(bot, ANN, "a", "b")
    bot.do(card.refresh, session_of(bot, "b"))
    data = f"{name}:{row(bot, 'b')}{':0' if name == 'queue_page' else ''}"
    before = all_of_it(bot)
    assert toast(bot, BOB, data) == NOT_YOURS
    assert all_of_it(bot) == before
    for presser in (ANN, OWNER):
        assert toast(bot, presser, data) != NOT_YOURS


def test_who_may_not_talk_any_more_may_not_press_the_card_and_what_they_held_is_for_the_owner(
    bot: Instance,
) -> None:
    say(bot, ANN, "a", "b", "/stop")
    bot.do(card.refresh, session_of(bot, "b"))
    bot.do(allowed.deny, bot.owner.bot_id, ANN)
    before = all_of_it(bot)
    assert bot.press(f"queue_run_held:{row(bot, 'b')}", chat=GROUP, user=ANN).turned_away
    assert all_of_it(bot) == before
    assert toast(bot, OWNER, f"queue_drop:{row(bot, 'b')}") == "Dropped."
    assert card_of(bot) == ""


def test_the_card_of_a_group_that_became_a_supergroup_is_drawn_anew_there(instance: Instance) -> None:
    instance.start("a", "b", chat=OLD)
    old = session_of(instance, "b")
    instance.do(card.refresh, old)
    instance.send_all(OLD)
    assert instance.receive(upgraded(new_id())).moved
    assert card_of(instance) == "", "the old one stays where it is, and nothing of it is edited"
    assert instance.do(card.sessions) == [session_of(instance, "b")] != [old]
    instance.do(card.refresh, session_of(instance, "b"))
    assert [part.text for part in [instance.the_next(NEW)]] == ["1 waiting:\n1. “b”"]


@pytest.mark.parametrize("name", CARD_BUTTONS)
def test_the_old_card_does_nothing_in_the_old_chat(instance: Instance, name: str) -> None:
    instance.start("a", "b", chat=OLD)
    b = row(instance, "b")
    instance.receive(upgraded(new_id()))
    before = all_of_it(instance)
    data = f"{name}:{b}{':0' if name == 'queue_page' else ''}"
    assert toast(instance, ANN, data, chat=OLD) == NO_BUTTON
    assert all_of_it(instance) == before


def test_forget_leaves_no_quote_of_what_does_not_wait_on_the_card(instance: Instance) -> None:
    sessions(instance, "chat")
    turn = instance.start("a", "xylophone", "waits")
    instance.say("/stop")
    instance.finish(turn)
    instance.do(card.refresh, session_of(instance, "waits"))
    instance.send_all()
    instance.rows(
        "UPDATE pending SET state = 'dropped', held_by = NULL, ended_at = 1 WHERE id = :row RETURNING id",
        row=row(instance, "xylophone"),
    )
    assert "xylophone" in card_of(instance), "it is drawn anew only a moment later"
    instance.say("/forget")
    [(asked,)] = instance.rows("SELECT max(id) FROM pending")
    instance.send_all()
    assert toast(instance, OWNER, f"erase:{asked}", chat=7) is None
    assert card_of(instance) == "1 on hold:\n1. “waits”"
    assert "xylophone" not in str(instance.rows("SELECT * FROM outbox"))
    assert "xylophone" not in str(instance.rows("SELECT raw FROM pending"))


# Forged, stale, twice


@pytest.fixture
def busy(bot: Instance) -> dict[str, int]:
    """Give names to rows: here, in a topic, in another chat, of a command."""
    sessions(bot, "chat")
    say(bot, ANN, "runs", "waits")
    topic = {"message_thread_id": 3, "is_topic_message": True}
    bot.say("topic", "topic waits", chat=GROUP, **topic, **{"from": {"id": ANN, "first_name": "Ann"}})
    say(bot, OWNER, "elsewhere", "waits elsewhere", chat=OWNER)
    say(bot, ANN, "/mode")
    names = ("runs", "waits", "topic", "elsewhere", "waits elsewhere", "/mode")
    return {name: row(bot, name) for name in names}


BUTTONS = sorted((name, one.args) for name, one in registry._buttons.items())
# No row of the chat, or another shape: each with as many numbers as the button has.
ODD = [
    *("", ":x", ":-1", ":0", ":999999", f":{10**17}", f":{2**63}", ":0x1", ":{waits elsewhere}"),
    *(":{runs}:{runs}:{runs}:{runs}", ":-{waits}", ":{waits}:", ": {waits}"),
]


@pytest.mark.parametrize(("name", "args"), BUTTONS)
def test_what_names_no_row_of_the_chat_or_has_another_shape_does_nothing(
    bot: Instance, busy: dict[str, int], name: str, args: int
) -> None:
    before = all_of_it(bot)
    for odd in ODD:
        numbers = odd.format(**busy) + ":0" * (args - 1)
        assert toast(bot, OWNER, name + numbers) == NO_BUTTON, numbers
    assert all_of_it(bot) == before


@pytest.mark.parametrize("number", [2, 99, 10**17])
@pytest.mark.parametrize("name", ["mode", "model", "again", "allow", "deny"])
def test_a_number_that_is_out_of_range_does_nothing(
    bot: Instance, busy: dict[str, int], name: str, number: int
) -> None:
    if name == "mode":
        number += len(MODES)
    before = all_of_it(bot)
    assert toast(bot, OWNER, f"{name}:{busy['/mode']}:{number}") == NO_BUTTON
    assert all_of_it(bot) == before


@pytest.mark.parametrize("name", ["stop", "retry", "forget", "resume", "drop", "show"])
def test_a_button_for_a_row_that_it_was_never_drawn_for_does_nothing(
    bot: Instance, busy: dict[str, int], name: str
) -> None:
    before = all_of_it(bot)
    toast(bot, OWNER, f"{name}:{busy['waits']}")
    assert all_of_it(bot) == before


def test_a_button_acts_in_the_session_of_its_row_whatever_message_it_is_below(
    bot: Instance, busy: dict[str, int]
) -> None:
    toast(bot, OWNER, f"stop:{busy['topic']}")
    assert bot.states(GROUP)["runs"] == "claimed"
    assert bot.states(GROUP)["topic"] == "stopped"


def press_twice(bot: Instance, data: str, user_id: int, *, at_once: bool) -> list[str | None]:
    presses = [pressed(new_id(), data, chat=GROUP, user=user_id) for _ in range(2)]
    batches = [presses] if at_once else [[one] for one in presses]
    return [shown for batch in batches for _, shown in bot.receive(*batch).controls]


@pytest.mark.parametrize("at_once", [True, False])
def test_two_presses_drop_or_stop_once(bot: Instance, busy: dict[str, int], at_once: bool) -> None:  # noqa: FBT001
    assert press_twice(bot, f"queue_drop:{busy['waits']}", ANN, at_once=at_once) == ["Dropped.", GONE]
    stops = press_twice(bot, f"stop:{busy['runs']}", ANN, at_once=at_once)
    assert stops == ["Stopped.", "This has ended already."]
    assert bot.states(GROUP)["runs"] == "stopped"


@pytest.mark.parametrize("at_once", [True, False])
def test_two_presses_of_now_stop_no_second_turn(bot: Instance, at_once: bool) -> None:  # noqa: FBT001
    [turn] = say(bot, ANN, "a", "b").claimed
    data = f"queue_now:{row(bot, 'b')}"
    assert press_twice(bot, data, BOB, at_once=at_once)[0] == "Running it now."
    following = bot.finish(turn)
    assert following
    assert toast(bot, BOB, data) == GONE, "what runs by now does not wait"
    assert bot.states(GROUP) == {"a": "stopped", "b": "claimed"}


@pytest.mark.parametrize("at_once", [True, False])
def test_two_presses_run_an_edit_once(bot: Instance, at_once: bool) -> None:  # noqa: FBT001
    [turn] = say(bot, ANN, "a").claimed
    bot.finish(turn)
    edit(bot, "a", "better", chat=GROUP, **{"from": {"id": ANN, "is_bot": False, "first_name": "Ann"}})
    [(keyboard,)] = bot.rows("SELECT buttons FROM outbox WHERE buttons LIKE '%again:%'")
    data = json.loads(keyboard)["inline_keyboard"][0][0]["callback_data"]
    assert toast(bot, BOB, data) == NOT_YOURS
    assert press_twice(bot, data, ANN, at_once=at_once) == ["Running it with the edit.", NO_BUTTON]
    assert bot.states(GROUP) == {"a": "done", "better": "claimed"}


@pytest.mark.parametrize("at_once", [True, False])
def test_two_presses_answer_a_question_once(bot: Instance, at_once: bool) -> None:  # noqa: FBT001
    [turn] = say(bot, ANN, "pay").claimed
    ask(bot, turn, "pay")
    [(question,)] = bot.rows("SELECT id FROM question")
    data = f"answer:{turn.row_id}:{question}:0"
    assert toast(bot, BOB, data) == NOT_YOURS
    assert press_twice(bot, data, ANN, at_once=at_once)[1] == "This was answered already."
    assert bot.rows("SELECT answered_by FROM question") == [(ANN,)]
    [(attempt,)] = bot.rows("SELECT attempt FROM pending WHERE id = :row", row=turn.row_id)
    assert attempt == 2


def test_buttons_act_on_their_rows_after_a_restart_and_a_press_that_comes_again_acts_once(
    bot: Instance, start_instance: StartInstance
) -> None:
    say(bot, ANN, "a", "b", "c")
    press = pressed(new_id(), f"queue_drop:{row(bot, 'b')}", chat=GROUP, user=ANN)
    later = start_instance(allowed_users=frozenset([OWNER]))
    assert len(later.receive(press).controls) == 1
    assert later.receive(press).controls == []
    assert later.states(GROUP) == {"a": "claimed", "b": "dropped", "c": "queued"}


# What holds for a whole group


@pytest.mark.parametrize("command", ["/mode steer", "/activation mention"])
def test_only_the_owner_changes_how_the_bot_behaves_in_a_group(bot: Instance, command: str) -> None:
    say(bot, ANN, command)
    assert bot.answers(GROUP) == [NOT_FOR_ALL]
    say(bot, ANN, command.partition(" ")[0])
    assert bot.answers(GROUP)[1] != NOT_FOR_ALL, "how it is, everyone may see"
    say(bot, OWNER, command)
    assert bot.answers(GROUP)[2] != NOT_FOR_ALL


def test_nor_do_others_by_the_buttons_of_mode(bot: Instance) -> None:
    say(bot, ANN, "/mode")
    data = f"mode:{row(bot, '/mode')}:3"
    assert toast(bot, ANN, data) == NOT_FOR_ALL
    assert bot.do(modes.of, session_of(bot, "/mode")) == "queue"
    toast(bot, OWNER, data)
    assert bot.do(modes.of, session_of(bot, "/mode")) == "steer"


def test_in_a_session_of_their_own_and_where_nobody_owns_the_bot_everyone_changes_it(
    bot: Instance, start_instance: StartInstance
) -> None:
    sessions(bot, "user")
    say(bot, ANN, "/mode steer")
    assert bot.do(modes.of, session_of(bot, "/mode steer")) == "steer"
    nobodys = start_instance()
    say(nobodys, ANN, "/mode collect")
    assert nobodys.do(modes.of, session_of(nobodys, "/mode collect")) == "collect"
