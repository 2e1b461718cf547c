"""The outbox takes answers in: what is stored, in which state, and what becomes of what was there before."""

import json
from typing import Any

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, StartInstance, new_id
from tgbot.model import ChatId, KeptFile
from tgbot.render import Text
from tgbot.store import files, interrupted, ledger, outbox, sending, topics, turns, values
from tgbot.store.outbox import GIVEN_UP
from tgbot.store.parts import Ping, Rich
from tgbot.store.turns import Ending

SUPERGROUP = -1_000_000_000_005
IN_TOPIC = {"message_thread_id": 3, "is_topic_message": True}


def states(instance: Instance, chat: int = 7) -> list[str]:
    return [state for state, _ in instance.outbox(chat)]


# An answer


def test_an_answer_is_stored_as_sending_with_the_newest_id_known_in_the_commit_of_its_ending(
    instance: Instance,
) -> None:
    turn = instance.start("a")
    part = instance.answer(turn, "re: a").part
    assert part
    assert (part.state, part.text, part.message_id) == ("sending", "re: a", None)
    assert part.floor == turn.address.message_id
    assert instance.the_next() == part, "nothing has to be written before it is sent"


def test_an_answer_goes_where_its_question_was(instance: Instance) -> None:
    [turn] = instance.say("a", chat=-5, **IN_TOPIC).claimed
    part = instance.answer(turn, "re: a").part
    assert part
    assert (part.row_id, part.number, part.chat_id, part.topic_id) == (turn.row_id, 0, -5, 3)


@pytest.mark.parametrize(("chat", "newer"), [(7, -5), (-5, 7), (SUPERGROUP, SUPERGROUP)])
def test_the_floor_is_the_newest_id_of_all_chats_that_are_numbered_together(
    instance: Instance, chat: int, newer: int
) -> None:
    turn = instance.start("a", chat=chat)
    newest_id = new_id()
    instance.receive(raw_message(newest_id, "newer", newer))
    instance.say("elsewhere", chat=SUPERGROUP - 1)
    part = instance.answer(turn, "re: a").part
    assert part
    assert part.floor == newest_id


def test_the_floor_counts_what_the_bot_itself_has_sent(instance: Instance) -> None:
    turns_of = [instance.start("a", chat=chat) for chat in (7, 8)]
    instance.answer(turns_of[0], "re: a")
    shown_at = instance.sent(instance.the_next(7))
    part = instance.answer(turns_of[1], "re: a").part
    assert part
    assert part.floor == shown_at


def test_one_part_of_a_chat_is_in_flight_at_a_time_also_from_two_topics(instance: Instance) -> None:
    [first] = instance.say("a", chat=-5).claimed
    [second] = instance.say("b", chat=-5, **IN_TOPIC).claimed
    assert instance.answer(first, "re: a").part
    assert instance.answer(second, "re: b").part is None
    assert states(instance, -5) == ["sending", "ready"]
    assert instance.send_all(-5) == ["re: a", "re: b"]


def test_a_long_answer_goes_out_part_by_part_before_what_follows_and_notifies_once(
    instance: Instance,
) -> None:
    turn = instance.start("a", "b")
    following = instance.answer(turn, "one", "two", "three").following
    assert following
    instance.answer(following, "re: b")
    assert states(instance) == ["sending", "ready", "ready", "ready"]
    shown = []
    while part := instance.next_part():
        assert states(instance).count("sending") == 1
        shown.append((part.number, part.text, part.silent))
        instance.sent(part)
    assert shown == [(0, "one", False), (1, "two", True), (2, "three", True), (0, "re: b", False)]


def test_an_answer_of_which_all_is_on_screen_already_writes_nothing(instance: Instance) -> None:
    turn = instance.start("a")
    instance.do(outbox.close_part, turn.token, turn.row_id, 0, Text("all of it"))
    instance.send_all()
    assert instance.answer(turn, first=1).part is None
    assert instance.outbox() == [("sent", "all of it")]


# To what it replies


def test_an_answer_replies_to_its_question_where_other_messages_lie_between(instance: Instance) -> None:
    first = instance.start("a", "b")
    instance.answer(first, "one", "two")
    part = instance.the_next()
    assert part.reply_to == first.address.message_id, "b stands between it and its answer"
    instance.sent(part)
    assert instance.the_next().reply_to is None, "what follows stands below it"


def test_messages_of_another_chat_do_not_lie_between(instance: Instance) -> None:
    turn = instance.start("a")
    instance.start("b", chat=8)
    instance.answer(turn, "re: a")
    assert instance.the_next().reply_to is None


def test_an_answer_of_the_bot_lies_between_too(instance: Instance) -> None:
    first = instance.start("a")
    instance.say("b")
    following = instance.answer(first, "re: a").following
    instance.send_all()
    assert following
    instance.answer(following, "re: b")
    assert instance.the_next().reply_to == following.address.message_id


def test_the_parts_of_an_album_do_not_lie_between(instance: Instance) -> None:
    for number in (1, 2):
        instance.receive(raw_message(new_id(), f"{number}", media_group_id="g"))
    [turn] = instance.due()
    assert len(turn.messages) == 2
    instance.answer(turn, "re: both")
    assert instance.the_next().reply_to is None


def test_the_reply_to_a_command_quotes_nothing(instance: Instance) -> None:
    instance.start("a")
    instance.say("/status", "b")
    assert instance.the_next().reply_to is None


# First words


def test_first_words_are_sent_and_grow_until_their_turn_ends(instance: Instance) -> None:
    turn = instance.start("a")
    part = instance.begin(turn, "first words")
    assert part
    assert (part.state, part.text, part.silent) == ("sending", "first words", False)
    assert part.buttons
    message_id = instance.sent(part)
    assert (states(instance), instance.next_part()) == (["growing"], None)
    assert instance.do(outbox.shown_in, turn.row_id, 0) == (True, message_id)
    assert instance.answer(turn, "re: a").part is None, "an edit is no send"
    part = instance.the_next()
    assert (part.state, part.message_id, part.text, part.buttons) == ("ready", message_id, "re: a", None)
    instance.sent(part)
    assert (states(instance), instance.next_part()) == (["sent"], None)


def test_first_words_wait_while_something_else_of_the_chat_is_unsent(instance: Instance) -> None:
    turn = instance.start("a")
    instance.say("/status")
    assert instance.begin(turn, "first words") is None
    instance.send_all()
    assert instance.begin(turn, "first words")


def test_first_words_are_sent_once(instance: Instance) -> None:
    turn = instance.start("a")
    assert instance.begin(turn, "first words")
    assert instance.begin(turn, "more words") is None, "while they are sent"
    instance.send_all()
    assert instance.begin(turn, "more words") is None, "while they grow"


@pytest.mark.parametrize("end", ["/stop", "finish", "take over"])
def test_first_words_of_a_turn_that_has_ended_are_not_shown(start_instance: StartInstance, end: str) -> None:
    instance = start_instance()
    turn = instance.start("a")
    if end == "/stop":
        instance.say("/stop")
    elif end == "finish":
        instance.finish(turn)
    else:
        start_instance().recover()
    instance.send_all()
    assert instance.begin(turn, "first words") is None
    assert instance.do(outbox.close_part, turn.token, turn.row_id, 0, Text("all of it")) is False


def test_a_closed_part_stays_and_the_next_one_grows_without_a_sound(instance: Instance) -> None:
    turn = instance.start("a")
    instance.begin(turn, "first")
    first = instance.sent(instance.the_next())
    assert instance.do(outbox.close_part, turn.token, turn.row_id, 0, Text("the first part"))
    assert instance.begin(turn, "second", 1) is None, "not before the first one is complete on screen"
    assert instance.sent(instance.the_next()) == first
    part = instance.begin(turn, "second", 1)
    assert part
    assert part.silent
    instance.sent(part)
    instance.answer(turn, "the second part", first=1)
    assert instance.send_all() == ["the second part"]
    assert instance.outbox() == [("sent", "the first part"), ("sent", "the second part")]


def test_a_second_attempt_writes_into_the_messages_of_the_first(start_instance: StartInstance) -> None:
    instance = start_instance()
    turn = instance.start("a")
    instance.begin(turn, "first words")
    message_id = instance.sent(instance.the_next())
    new = start_instance()
    new.recover()
    [again] = new.claim_waiting()
    assert new.begin(again, "other words") is None
    assert new.do(outbox.shown_in, again.row_id, 0) == (True, message_id)
    new.finish(again)
    assert (new.the_next().message_id, new.the_next().text) == (message_id, "re: a")


# What an ending finds


def test_an_ending_while_first_words_are_in_flight_leaves_them_there_and_remembers_what_was_sent(
    instance: Instance,
) -> None:
    turn = instance.start("a")
    asked_for = instance.begin(turn, "first words")
    assert asked_for
    assert instance.answer(turn, "re: a").part is None, "its request may be under way"
    found = instance.rows("SELECT state, text, sent_text, floor FROM outbox")
    assert found == [("sending", "re: a", "first words", asked_for.floor)]
    message_id = instance.sent(asked_for)
    part = instance.the_next()
    assert (part.state, part.message_id, part.text, part.sent_text) == ("ready", message_id, "re: a", None)


def test_what_was_sent_is_remembered_however_often_the_content_changes(instance: Instance) -> None:
    turn = instance.start("a")
    instance.begin(turn, "first words")
    instance.do(interrupted.lost_by_death)
    for said in ("re: a", "another"):
        instance.do(outbox.answer, turn.row_id, [Text(said)])
    assert instance.rows("SELECT state, text, sent_text FROM outbox") == [
        ("unknown", "another", "first words")
    ]


def test_what_was_rewritten_and_not_sent_after_all_is_looked_for_as_it_is_sent_now(
    instance: Instance,
) -> None:
    """Telegram refused the request with the old words, or it was never made."""
    turn = instance.start("a")
    instance.begin(turn, "first words")
    instance.answer(turn, "re: a")
    part = instance.the_next()
    assert (part.state, part.text, part.sent_text) == ("sending", "re: a", None)
    assert instance.rows("SELECT sent_text FROM outbox") == [(None,)]


def test_what_a_reply_overtook_and_was_rewritten_is_looked_for_as_it_is_sent_later(
    instance: Instance,
) -> None:
    turn = instance.start("a")
    instance.begin(turn, "first words")
    instance.answer(turn, "re: a")
    instance.say("/status")
    assert instance.the_next().kind == "reply"
    instance.sent(instance.the_next())
    part = instance.the_next()
    assert (part.state, part.text, part.sent_text) == ("sending", "re: a", None)


def test_an_answer_that_got_shorter_removes_what_it_had_shown_beyond_its_end(instance: Instance) -> None:
    turn = instance.start("a")
    shown = []
    for number in range(2):
        instance.do(outbox.close_part, turn.token, turn.row_id, number, Text(f"part {number}"))
        shown.append(instance.sent(instance.the_next()))
    for number in (2, 3):
        instance.do(outbox.close_part, turn.token, turn.row_id, number, Text("not sent yet"))
    assert states(instance) == ["sent", "sent", "sending", "ready"]
    instance.answer(turn, "all is said")
    surplus = instance.the_next()
    assert (surplus.kind, surplus.message_id) == ("surplus", shown[1])
    instance.do(sending.removed, surplus)
    assert instance.the_next().message_id == shown[0], "the others were not sent"
    assert instance.send_all() == ["all is said"]
    assert instance.outbox() == [("sent", "all is said")]


def test_what_is_in_flight_beyond_the_end_is_removed_when_it_is_known(instance: Instance) -> None:
    turn = instance.start("a")
    instance.do(outbox.close_part, turn.token, turn.row_id, 0, Text("first"))
    instance.send_all()
    asked_for = instance.begin(turn, "second", 1)
    assert asked_for
    instance.answer(turn, "all is said")
    message_id = instance.sent(asked_for)
    surplus = instance.the_next()
    assert (surplus.kind, surplus.message_id) == ("surplus", message_id)
    assert instance.send_all() == ["…", "all is said"]


def test_a_ping_follows_only_an_answer_that_grew_on_screen(instance: Instance) -> None:
    turn = instance.start("a")
    ending = Ending("done", [Text("re: a")], [Ping("✅ re: a")])
    instance.do(turns.end, instance.owner, turn, ending)
    assert instance.send_all() == ["re: a"], "it notifies by itself"
    grown = instance.start("b")
    instance.begin(grown, "first words")
    instance.sent(instance.the_next())
    instance.do(turns.end, instance.owner, grown, ending)
    instance.sent(instance.the_next())
    ping = instance.the_next()
    assert (ping.kind, ping.text, ping.silent) == ("ping", "✅ re: a", False)


def test_what_is_dropped_says_so_where_something_of_it_is_on_screen(start_instance: StartInstance) -> None:
    """A turn that was interrupted after its first words were shown, and has to wait for a slot."""
    first = start_instance()
    first.begin(first.start("a"), "first words")
    message_id = first.sent(first.the_next())
    second = start_instance(max_turns=0)
    second.say("waits")
    second.recover()
    second.say("/stop")
    second.say("/drop")
    shown = {part.text: part.message_id for part in iter(second.next_part, None) if second.sent(part)}
    assert shown["Dropped."] == message_id
    assert [text for text in second.answers() if text == "Dropped."] == ["Dropped."], "nothing of the other"


@pytest.mark.parametrize("words", [False, True])
def test_a_stopped_turn_says_so_only_where_something_of_it_is_on_screen(
    instance: Instance, *, words: bool
) -> None:
    turn = instance.start("a")
    if words:
        instance.begin(turn, "first words")
        instance.sent(instance.the_next())
    instance.say("/stop")
    instance.release(turn)
    assert instance.send_all() == ["Stopped.", "⏹ Stopped."][: 1 + words]


# Replies and notices


def test_a_reply_overtakes_an_answer_that_is_not_under_way(instance: Instance) -> None:
    instance.answer(instance.start("a"), "re: a", "more")
    instance.say("/status")
    part = instance.the_next()
    assert (part.kind, part.state) == ("reply", "sending")
    assert states(instance) == ["ready", "ready", "sending"]
    instance.sent(part)
    assert instance.send_all() == ["re: a", "more"]


def test_first_words_that_a_reply_overtakes_are_said_again_behind_it(instance: Instance) -> None:
    """Their turn runs, and has more to say by then."""
    turn = instance.start("a")
    instance.begin(turn, "first words")
    instance.say("/status")
    assert instance.the_next().kind == "reply"
    assert instance.do(outbox.shown_in, turn.row_id, 0) == (False, None)
    instance.send_all()
    assert instance.begin(turn, "more words")


def test_what_need_not_be_shown_any_more_and_was_not_sent_is_forgotten(instance: Instance) -> None:
    turn = instance.start("a")
    instance.do(outbox.close_part, turn.token, turn.row_id, 0, Text("first"))
    instance.send_all()
    instance.begin(turn, "second", 1)
    instance.answer(turn, "all is said")
    instance.say("/status")
    [reply, answer] = instance.send_all()
    assert reply
    assert answer == "all is said"


def test_a_notice_is_sent_last(start_instance: StartInstance) -> None:
    """A crowd of strangers, or a queue that is full, delays no answer."""
    instance = start_instance(queue_max=1)
    turn = instance.start("a", "waits")
    instance.say("refused")
    assert states(instance) == ["ready"], "nor is it sent at once"
    instance.answer(turn, "re: a")
    [answer, notice] = instance.send_all()
    assert answer == "re: a"
    assert notice
    assert "The queue is full" in notice


def test_a_reply_notifies_and_an_answer_behind_it_does_too(instance: Instance) -> None:
    turn = instance.start("a")
    instance.say("/status")
    instance.answer(turn, "re: a")
    assert instance.rows("SELECT silent FROM outbox") == [(0,), (0,)]


# Buttons


def _held(instance: Instance) -> tuple[Any, str]:
    """Make a reply to /stop, with buttons; returns it as it is sent, and the data of one."""
    turn = instance.start("a", "b")
    instance.say("/stop")
    instance.release(turn)
    part = instance.the_next()
    assert part.buttons
    return part, json.loads(part.buttons)["inline_keyboard"][0][1]["callback_data"]


def test_a_rewrite_while_the_old_text_is_in_flight_is_not_lost(instance: Instance) -> None:
    on_its_way, data = _held(instance)
    instance.press(data)
    assert instance.rows("SELECT state, sent_text FROM outbox") == [("sending", on_its_way.text)]
    message_id = instance.sent(on_its_way)
    part = instance.the_next()
    assert (part.message_id, part.text, part.buttons) == (message_id, "Dropped 1 message.", None)


def test_a_rewrite_while_the_old_text_is_edited_in_is_not_lost(instance: Instance) -> None:
    """The edit with the old text succeeds after the button's reply was committed."""
    part, data = _held(instance)
    instance.sent(part)
    instance.rows("UPDATE outbox SET state = 'ready' RETURNING id")
    on_its_way = instance.the_next()
    instance.press(data)
    instance.sent(on_its_way)
    assert (instance.the_next().text, instance.the_next().buttons) == ("Dropped 1 message.", None)


@pytest.mark.parametrize("chat", [7, 8])
def test_a_rewrite_needs_buttons_and_its_own_chat(instance: Instance, chat: int) -> None:
    turn = instance.start("a")
    instance.finish(turn)
    instance.do(outbox.rewrite, turn.row_id, ChatId(chat), "resume:1", Text("forged"))
    assert instance.answers() == ["re: a"]


@pytest.mark.parametrize("in_flight", [False, True])
def test_what_is_set_aside_leaves_its_place_to_a_new_message(
    start_instance: StartInstance, *, in_flight: bool
) -> None:
    start_instance(crashes_max=1).start("poison")
    instance = start_instance(crashes_max=1)
    instance.recover()
    offer = instance.the_next()
    message_id = new_id() if in_flight else instance.sent(offer)
    [turn] = instance.press(f"retry:{offer.row_id}").claimed
    if in_flight:
        assert instance.rows("SELECT state, sent_text FROM outbox") == [("sending", GIVEN_UP.text)]
        instance.do(sending.sent, offer, message_id)
    instance.finish(turn)
    shown = []
    while part := instance.next_part():
        shown.append((part.text, part.message_id))
        instance.sent(part)
    assert shown == [("Trying it again.", message_id), ("re: poison", None)]


# What the server refuses


@pytest.mark.parametrize("said", [["one", "two"], ["one", "two", "three", "four"]])
def test_the_plainer_form_of_a_part_stands_before_what_follows_it(
    instance: Instance, said: list[str]
) -> None:
    """What follows moves: two parts by one, or by more than two."""
    turn = instance.start("a", "b")
    file = KeptFile("f.txt", instance.do(files.begin, turn.row_id), caption="f")
    following = instance.answer(turn, Rich("# long"), file, Text("end")).following
    assert following
    instance.finish(following)
    refused = instance.the_next()
    instance.do(outbox.fall_back, refused, [Text(text) for text in said])
    assert states(instance)[0] == "ready"
    assert instance.send_all() == [*said, "f", "end", "re: b"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("Releases", "“Releases”"), ("a\ud83d\0", "“a\ufffd ”"), (5, "number 3"), ("", "number 3")],
)
def test_an_answer_to_a_topic_that_is_gone_goes_to_the_chat_and_says_where_it_belongs(
    instance: Instance, name: object, shown: str
) -> None:
    made = {"message_id": 3, "chat": {"id": -5}, "forum_topic_created": {"name": name, "icon_color": 1}}
    [turn] = instance.say("a", chat=-5, **IN_TOPIC, reply_to_message=made).claimed
    instance.answer(turn, "re: a", "more")
    instance.do(topics.leave, instance.the_next(-5))
    assert instance.rows("SELECT topic_id, reply_to FROM outbox") == [(None, None), (None, None)]
    assert instance.send_all(-5) == [f"re: a\n\n(For the topic {shown}, which is gone.)", "more"]


def test_a_topic_without_a_name_that_is_known_is_named_by_its_number(instance: Instance) -> None:
    [turn] = instance.say("a", chat=-5, **IN_TOPIC).claimed
    instance.answer(turn, "re: a")
    instance.do(topics.leave, instance.the_next(-5))
    assert instance.send_all(-5) == ["re: a\n\n(For the topic number 3, which is gone.)"]


def test_first_words_for_a_topic_that_is_gone_are_said_again_in_the_chat(instance: Instance) -> None:
    [turn] = instance.say("a", chat=-5, **IN_TOPIC).claimed
    instance.begin(turn, "first words")
    instance.do(topics.leave, instance.the_next(-5))
    assert instance.do(outbox.shown_in, turn.row_id, 0) == (False, None)
    part = instance.begin(turn, "more words")
    assert part
    assert (part.topic_id, part.text) == (None, "more words")


def test_an_answer_that_waits_behind_another_one_replies_to_its_question(instance: Instance) -> None:
    """The one before it is not on screen yet, but will stand between."""
    first = instance.start("a")
    second = instance.say("b", message_thread_id=3, is_topic_message=True).claimed
    instance.answer(first, "re: a")
    [turn] = second or instance.claim_waiting()
    instance.answer(turn, "re: b")
    parts = instance.rows("SELECT text, reply_to FROM outbox ORDER BY id")
    assert parts[0] == ("re: a", first.address.message_id), "b is newer than a"
    assert parts[1] == ("re: b", turn.address.message_id)


def test_a_nul_in_what_an_agent_or_telegram_says_is_no_trouble(instance: Instance) -> None:
    """A model emits one at times, and PostgreSQL cannot hold it."""
    turn = instance.start("a")
    instance.do(values.put, turn, "note", "key\0", "value\0")
    instance.do(ledger.finish, turn, "call\0", "tool\0", json.dumps("\0"))
    instance.finish(turn, "re: \0a")
    instance.do(sending.park, instance.the_next(), "Forbidden: \0")
    assert states(instance) == ["parked"]
