"""The sending of the outbox: which part is next, what becomes of it, and what is kept back or shown again."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.house import BOT
from tests.store.instance import Instance, StartInstance, new_id
from tgbot.model import BotId, ChatId, KeptAlbum, KeptFile, MessageId, Part, Token, Turn
from tgbot.render import Text
from tgbot.store import expiry, files, interrupted, outbox, sending
from tgbot.store.outbox import GIVEN_UP, STOPPED, TOO_OLD
from tgbot.store.parts import Content


def states(instance: Instance, chat: int = 7) -> list[str]:
    return [state for state, _ in instance.outbox(chat)]


Made = Callable[[Instance, Turn], Content]


def answered(instance: Instance, *contents: str | Content | Made, said: str = "a", chat: int = 7) -> Turn:
    """Let a message be answered; returns its turn, which has ended."""
    turn = instance.start(said, chat=chat)
    made = [one(instance, turn) if callable(one) else one for one in contents or [f"re: {said}"]]
    instance.answer(turn, *made)
    return turn


def file(instance: Instance, turn: Turn, name: str = "a.ogg", kind: str = "voice") -> KeptFile:
    return KeptFile(name, instance.do(files.begin, turn.row_id), kind, caption=name)  # type: ignore[arg-type]  # a kind


def album(instance: Instance, turn: Turn) -> KeptAlbum:
    return KeptAlbum([file(instance, turn, f"{number}.png", "photo") for number in (1, 2)])


# What is next


def test_ready_sending_sent(instance: Instance) -> None:
    answered(instance)
    answered(instance, said="b")
    assert states(instance) == ["sending", "ready"]
    first = instance.the_next()
    assert (first.text, first.state) == ("re: a", "sending")
    shown_at = instance.sent(first)
    assert states(instance) == ["sent", "ready"]
    second = instance.the_next()
    assert (second.text, second.state, second.floor) == ("re: b", "sending", shown_at)
    assert states(instance) == ["sent", "sending"], "its floor is on disk before it is sent"
    instance.sent(second)
    assert (states(instance), instance.next_part()) == (["sent", "sent"], None)


def test_only_chats_with_something_unsent_are_named_and_no_more_than_asked_for(instance: Instance) -> None:
    for chat in (1, 2, 3):
        answered(instance, chat=chat)
    instance.send_all(2)
    assert instance.do(sending.chats, BOT, ChatId(-9), 10, instance.owner.instance_id) == [1, 3]
    assert instance.do(sending.chats, BOT, ChatId(-9), 1, instance.owner.instance_id) == [1]
    assert instance.do(sending.chats, BOT, ChatId(1), 1, instance.owner.instance_id) == [3]


def test_another_token_on_the_same_database_does_not_send_the_first_ones_answers(instance: Instance) -> None:
    answered(instance)
    theirs = BotId(5)
    assert instance.do(sending.chats, theirs, ChatId(-9), 10, instance.owner.instance_id) == []
    assert instance.do(sending.next_part, theirs, ChatId(7), instance.owner.instance_id) is None


# What became of it


def test_what_a_process_may_have_sent_is_unknown_to_the_next_one_and_comes_first(
    start_instance: StartInstance,
) -> None:
    first = start_instance()
    answered(first)
    answered(first, said="b")
    second = start_instance()
    second.say("/status")
    part = second.the_next()
    assert (part.state, part.text, part.floor is not None) == ("unknown", "re: a", True)
    assert states(second) == ["unknown", "ready", "ready"]
    assert second.the_next() == part, "nothing else is sent until it is known"


def test_what_was_on_screen_before_a_death_is_edited_again_in_the_same_message(
    start_instance: StartInstance,
) -> None:
    instance = start_instance()
    turn = instance.start("a")
    instance.begin(turn, "first words")
    instance.send_all()
    instance.finish(turn)
    before = instance.the_next()
    assert start_instance().the_next() == before


def test_a_request_without_an_answer_leaves_its_part_unknown(instance: Instance) -> None:
    answered(instance)
    answered(instance, chat=8)
    instance.do(interrupted.lost, instance.the_next())
    assert (states(instance), states(instance, 8)) == (["unknown"], ["sending"])
    instance.do(interrupted.lost_in_chat, BOT, ChatId(8))
    assert states(instance, 8) == ["unknown"]


def test_what_is_known_to_be_sent_never_becomes_unknown(instance: Instance) -> None:
    answered(instance)
    part = instance.the_next()
    instance.sent(part)
    instance.do(interrupted.lost, part)
    instance.do(interrupted.lost_by_death)
    assert states(instance) == ["sent"]


def test_a_shutdown_takes_back_what_was_not_begun_and_only_that(instance: Instance) -> None:
    for chat in (1, 2):
        answered(instance, chat=chat)
    instance.begin(instance.start("a", chat=3), "first words")
    instance.do(interrupted.not_begun, [instance.the_next(1).part_id], instance.owner.instance_id)
    assert [states(instance, chat) for chat in (1, 2, 3)] == [["sending"], ["ready"], ["sending"]]


def test_an_id_that_does_not_grow_is_noted_for_its_box(instance: Instance) -> None:
    answered(instance)
    part = instance.the_next()
    assert part.floor
    instance.do(sending.sent, part, MessageId(part.floor))
    assert instance.rows("SELECT bot_id, box FROM disorder") == [(BOT, 0)]


def test_a_message_that_somebody_deleted_is_sent_anew(instance: Instance) -> None:
    turn = instance.start("a")
    instance.begin(turn, "first words")
    old = instance.sent(instance.the_next())
    instance.finish(turn)
    instance.do(sending.forget_message, instance.the_next())
    part = instance.the_next()
    assert (part.state, part.message_id, part.text) == ("sending", None, "re: a")
    assert instance.sent(part) != old


def test_what_no_edit_can_make_replaces_the_message_that_it_has(instance: Instance) -> None:
    turn = instance.start("a")
    instance.begin(turn, "first words")
    shown_at = instance.sent(instance.the_next())
    instance.answer(turn, file(instance, turn))
    instance.do(sending.detach, instance.the_next())
    surplus = instance.the_next()
    assert (surplus.kind, surplus.message_id) == ("surplus", shown_at)
    instance.do(sending.removed, surplus)
    voice = instance.the_next()
    assert (voice.kind, voice.state) == ("voice", "sending")


def test_a_failure_is_counted_until_the_part_is_on_screen(instance: Instance) -> None:
    answered(instance)
    for tries in (1, 2):
        instance.do(sending.failed, instance.the_next())
        assert instance.the_next().tries == tries
    instance.sent(instance.the_next())
    assert instance.rows("SELECT tries FROM outbox") == [(0,)]


# Albums


def test_an_album_is_one_request_that_sends_all_of_its_parts(instance: Instance) -> None:
    answered(instance, "see", album, "end")
    instance.sent(instance.the_next())
    first = instance.the_next()
    parts = instance.do(sending.album_of, first)
    assert [(part.text, part.album) for part in parts] == [("1.png", 1), ("2.png", 1)]
    assert states(instance) == ["sent", "sending", "ready", "ready"]
    instance.do(sending.all_sent, parts, [new_id(), new_id()])
    assert instance.send_all() == ["end"]


def test_an_album_that_is_refused_is_sent_file_by_file(instance: Instance) -> None:
    answered(instance, album, "end")
    instance.do(sending.take_apart, instance.the_next())
    assert [instance.the_next().album, instance.next_part()] == [None, instance.the_next()]
    assert instance.send_all() == ["1.png", "2.png", "end"]


def test_an_album_is_parked_as_a_whole(instance: Instance) -> None:
    answered(instance, album, "end")
    instance.do(sending.park, instance.the_next(), "refused")
    assert states(instance) == ["parked", "parked", "ready"]


# What is refused


def test_a_parked_part_says_why_and_stands_in_nobodys_way(instance: Instance) -> None:
    answered(instance)
    answered(instance, said="b")
    instance.do(sending.park, instance.the_next(), "blocked by the user")
    assert instance.rows("SELECT state, error FROM outbox WHERE text = 're: a'") == [
        ("parked", "blocked by the user")
    ]
    assert instance.send_all() == ["re: b"]


def _searched_for(instance: Instance) -> tuple[Part, MessageId]:
    """Begin to search for a part; returns it as its settling has it, and the id of the "…"."""
    part, ceiling = instance.the_next(), new_id()
    instance.do(interrupted.lost, part)
    instance.rows("UPDATE outbox SET ceiling = :id WHERE state = 'unknown' RETURNING id", id=ceiling)
    return part, ceiling


@pytest.mark.parametrize("how", [sending.park, sending.take_apart])
def test_what_is_given_up_while_it_is_searched_for_leaves_no_stray(instance: Instance, how: Any) -> None:  # noqa: ANN401 - one of two functions
    answered(instance, album)
    part, ceiling = _searched_for(instance)
    instance.do(how, part, *(["it failed again and again"] if how is sending.park else []))
    surplus = instance.the_next()
    assert (surplus.kind, surplus.message_id) == ("surplus", ceiling)
    instance.do(sending.removed, surplus)
    assert instance.send_all() == ([] if how is sending.park else ["1.png", "2.png"])


def test_the_plainer_form_of_what_is_searched_for_takes_the_place_of_the_stray(instance: Instance) -> None:
    answered(instance)
    part, ceiling = _searched_for(instance)
    instance.do(outbox.fall_back, part, [Text("plainer")])
    assert (instance.the_next().message_id, instance.send_all()) == (ceiling, ["plainer"])


# What is old


def grow_old(instance: Instance, seconds: int = 100) -> list[ChatId]:
    instance.rows("UPDATE outbox SET ready_at = ready_at - :seconds RETURNING id", seconds=seconds)
    return expire(instance)


def expire(instance: Instance) -> list[ChatId]:
    return instance.do(expiry.expire, BOT, time.time() - 50)


def take_back(instance: Instance) -> None:
    instance.do(interrupted.not_begun, [], instance.owner.instance_id)


def test_old_answers_are_not_resent_after_a_long_outage_without_a_word(instance: Instance) -> None:
    """Kept back and offered; what is young, what is on screen and what still runs stay as they are."""
    answered(instance, said="shown")
    instance.send_all()
    growing = instance.start("growing", chat=8)
    instance.begin(growing, "first words")
    instance.sent(instance.the_next(8))
    turn = answered(instance, said="old")
    take_back(instance)
    assert grow_old(instance) == [7]
    answered(instance, said="young")
    assert states(instance, 8) == ["growing"]
    assert instance.outbox() == [
        *(("sent", "re: shown"), ("parked", "re: old")),
        *(("ready", TOO_OLD.text), ("ready", "re: young")),
    ]
    assert instance.rows("SELECT error FROM outbox WHERE state = 'parked'") == [(expiry.EXPIRED,)]
    [(buttons,)] = instance.rows("SELECT buttons FROM outbox WHERE buttons LIKE '%Show it%'")
    assert json.loads(buttons)["inline_keyboard"][0][0]["callback_data"] == f"show:{turn.row_id}"
    assert expire(instance) == []


def test_what_was_kept_back_is_shown_after_all_and_once(instance: Instance) -> None:
    turn = answered(instance, "one", "two")
    take_back(instance)
    grow_old(instance)
    assert instance.send_all() == [TOO_OLD.text]
    assert instance.press(f"show:{turn.row_id}").replied == {7}
    assert instance.send_all() == ["Here is the answer from earlier.", "one", "two"]
    instance.press(f"show:{turn.row_id}")
    assert instance.next_part() is None
    assert expire(instance) == [], "what was shown late is not old"


def test_an_answer_is_kept_back_as_a_whole_and_offered_once(instance: Instance) -> None:
    """Its first part was complete long before its last one."""
    answered(instance, "one", "two")
    take_back(instance)
    instance.rows("UPDATE outbox SET ready_at = ready_at - 100 WHERE part = 0 RETURNING id")
    assert expire(instance) == []
    assert grow_old(instance) == [7]
    assert instance.send_all() == [TOO_OLD.text]


def test_the_offer_itself_does_not_expire(instance: Instance) -> None:
    answered(instance)
    take_back(instance)
    grow_old(instance)
    assert grow_old(instance) == []
    assert instance.send_all() == [TOO_OLD.text]


def test_an_old_answer_that_is_on_screen_in_part_is_completed(instance: Instance) -> None:
    answered(instance, "one", "two")
    instance.sent(instance.the_next())
    answered(instance, said="b")
    assert grow_old(instance) == [7]
    assert instance.send_all() == ["two", TOO_OLD.text]


def test_an_old_answer_that_may_be_on_screen_in_part_is_not_kept_back(instance: Instance) -> None:
    """An album in flight: found later, it is found whole."""
    answered(instance, album, "end")
    instance.do(interrupted.lost, instance.the_next())
    assert grow_old(instance) == []
    assert states(instance) == ["unknown", "ready", "ready"]


def test_the_message_of_an_old_answer_disappears(instance: Instance) -> None:
    turn = instance.start("a")
    instance.begin(turn, "first words")
    message_id = instance.sent(instance.the_next())
    instance.answer(turn, "one", "two")
    grow_old(instance)
    surplus = instance.the_next()
    assert (surplus.kind, surplus.message_id) == ("surplus", message_id)
    instance.do(sending.removed, surplus)
    assert instance.send_all() == [TOO_OLD.text]
    instance.press(f"show:{turn.row_id}")
    assert instance.send_all()[1:] == ["one", "two"]


# What a late preview may have overwritten


def late(instance: Instance) -> list[str | None]:
    """Wait until previews have arrived; returns what is shown again."""
    sql = "UPDATE outbox SET uncertain_until = uncertain_until - :late RETURNING id"
    instance.rows(sql, late=interrupted.LATE_SECONDS)
    instance.do(interrupted.show_uncertain, BOT)
    return instance.send_all()


def growing(instance: Instance, said: str = "a") -> Turn:
    turn = instance.start(said)
    instance.begin(turn, "first words")
    instance.send_all()
    return turn


def test_an_answer_that_a_late_preview_may_have_overwritten_is_shown_once_more(instance: Instance) -> None:
    turn = growing(instance)
    instance.do(interrupted.mark_uncertain, turn.row_id)
    instance.finish(turn)
    instance.send_all()
    instance.do(interrupted.show_uncertain, BOT)
    assert instance.next_part() is None, "it may still be on its way"
    assert late(instance) == ["re: a"]
    assert late(instance) == [], "once is enough"


def test_so_is_a_part_behind_the_first(instance: Instance) -> None:
    turn = growing(instance)
    instance.do(outbox.close_part, turn.token, turn.row_id, 0, Text("one"))
    instance.send_all()
    instance.begin(turn, "more words", 1)
    instance.send_all()
    instance.do(interrupted.mark_uncertain, turn.row_id)
    instance.answer(turn, "two", first=1)
    instance.send_all()
    assert "two" in late(instance)


def test_an_answer_is_shown_again_after_a_preview_of_an_earlier_attempt(
    instance: Instance, start_instance: StartInstance
) -> None:
    """A request that left before a kill may take effect long after it."""
    growing(instance)
    second = start_instance()
    second.recover()
    second.finish(second.claim_waiting()[0])
    second.send_all()
    assert late(second) == ["re: a"]


def test_an_answer_is_shown_again_after_a_preview_of_an_earlier_process(
    instance: Instance, start_instance: StartInstance
) -> None:
    """Its last preview was under way when it was killed; the final edit had not been sent."""
    turn = growing(instance)
    instance.finish(turn)
    second = start_instance()
    second.send_all()
    assert late(second) == ["re: a"]


@pytest.mark.parametrize(("said", "text"), [("b", GIVEN_UP.text), ("/stop", STOPPED.text)])
def test_an_ending_is_shown_again_after_a_preview_of_an_interrupted_turn(
    instance: Instance, start_instance: StartInstance, said: str, text: str
) -> None:
    """The turn may not run again, so what the last preview overwrites is the text that says so."""
    growing(instance)
    instance.say(said)
    second = start_instance(crashes_max=1)
    second.recover()
    second.send_all()
    assert late(second) == [text]


def test_an_uncertain_preview_of_a_running_turn_is_forgotten(instance: Instance) -> None:
    turn = growing(instance)
    instance.do(interrupted.mark_uncertain, turn.row_id)
    assert late(instance) == []
    assert states(instance) == ["growing"]
    instance.finish(turn)
    instance.send_all()
    assert late(instance) == [], "it was sent after the preview had arrived"


@pytest.mark.parametrize("content", [file, album])
def test_an_uncertain_preview_sends_no_voice_message_or_album_again(
    instance: Instance, content: Made
) -> None:
    turn = growing(instance)
    instance.do(interrupted.mark_uncertain, turn.row_id)
    instance.answer(turn, content(instance, turn))
    instance.do(sending.detach, instance.the_next())
    instance.send_all()
    assert late(instance) == []


# When the question gets its reaction


def next_shown(instance: Instance) -> sending.Shown:
    """Show the next part, of a question that gets reactions."""
    shown: sending.Shown | None = instance.do(sending.sent, instance.the_next(), new_id(), react=True)
    assert shown
    return shown


def test_a_reaction_is_due_when_the_last_part_of_an_answer_is_on_screen(instance: Instance) -> None:
    answered(instance, "one", "two")
    shown = [next_shown(instance) for _ in range(2)]
    assert [(one.state, one.reaction_due) for one in shown] == [("sent", False), ("sent", True)]


def test_no_reaction_is_due_to_a_reply_or_to_words_that_still_grow(instance: Instance) -> None:
    turn = instance.start("a")
    instance.say("/status")
    reply = next_shown(instance)
    assert (reply.state, reply.reaction_due, reply.is_all) == ("sent", False, False)
    instance.begin(turn, "first words")
    words = next_shown(instance)
    assert (words.state, words.reaction_due, words.is_all) == ("growing", False, False)


def test_what_is_shown_says_whose_answer_it_is_and_when_nothing_of_it_is_missing(instance: Instance) -> None:
    answered(instance, "one", "two")
    [(update_id, received_at)] = instance.rows("SELECT update_id, received_at FROM pending")
    shown = [next_shown(instance) for _ in range(2)]
    assert {(one.update_id, one.received_at) for one in shown} == {(update_id, received_at)}
    assert [one.is_all for one in shown] == [False, True]


def test_a_part_of_another_chat_by_now_is_nobodys(instance: Instance) -> None:
    answered(instance, chat=-5)
    part = instance.the_next(-5)
    instance.rows("UPDATE outbox SET chat_id = -1000000000005 RETURNING id")
    assert instance.do(sending.sent, part, new_id()) is None


def test_words_of_a_turn_that_nobody_runs_are_not_begun(instance: Instance) -> None:
    turn = instance.start("a")
    assert instance.do(outbox.begin, Token(999), turn.row_id, 0, Text("x"), "{}", silent=False) is None
