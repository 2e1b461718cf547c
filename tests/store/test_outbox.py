"""The outbox: each part from placeholder to sent or parked, in order, and no text twice."""

import itertools
from dataclasses import replace

import pytest

from tests.house import BOT
from tests.store.instance import Instance, StartInstance
from tgbot.model import Album, BotId, ChatId, File, MessageId, Part
from tgbot.render import Text
from tgbot.store import outbox, sending, turns
from tgbot.store.turns import Ending

_message_ids = itertools.count(500)


def following(instance: Instance, chat: int = 7) -> Part | None:
    return instance.do(sending.next_part, BOT, ChatId(chat))


def the_next(instance: Instance, chat: int = 7) -> Part:
    part = following(instance, chat)
    assert part
    return part


def place(instance: Instance, part: Part) -> MessageId:
    message_id = MessageId(next(_message_ids))
    instance.do(sending.placed, part, message_id)
    return message_id


def states(instance: Instance, chat: int = 7) -> list[str]:
    return [state for state, _ in instance.outbox(chat)]


def test_a_claim_wants_a_placeholder_where_the_message_was(instance: Instance) -> None:
    turn = instance.say("a", chat=-5, message_thread_id=3, is_topic_message=True).claimed[0]
    part = the_next(instance, -5)
    assert (part.row_id, part.number, part.chat_id, part.topic_id) == (turn.row_id, 0, -5, 3)
    assert (part.message_id, part.text, part.reply_to) == (None, None, None)


def test_an_answer_points_at_its_question_where_other_messages_lie_between(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "AT_ONCE_SECONDS", 1e6)  # however slow the machine is
    first = instance.start("a", "b")
    assert the_next(instance).reply_to == first.address.message_id, "b stands between it and its answer"
    place(instance, the_next(instance))
    second = instance.finish(first)
    assert second
    instance.do(sending.sent, the_next(instance))
    assert the_next(instance).reply_to is None, "nothing came since, and it was claimed at once"


def test_an_answer_points_at_its_question_when_that_has_waited(instance: Instance) -> None:
    first = instance.start("a", "b")
    place(instance, the_next(instance))
    instance.rows("UPDATE pending SET received_at = received_at - 2 RETURNING id")
    second = instance.finish(first)
    assert second
    instance.do(sending.sent, the_next(instance))
    assert the_next(instance).reply_to == second.address.message_id


def test_open_placed_ready_sent(instance: Instance) -> None:
    turn = instance.start("a")
    message_id = place(instance, the_next(instance))
    assert (states(instance), following(instance)) == (["placed"], None)
    instance.finish(turn)
    part = the_next(instance)
    assert (part.message_id, part.text) == (message_id, "re: a")
    instance.do(sending.sent, part)
    assert (states(instance), following(instance)) == (["sent"], None)


def test_an_answer_that_is_faster_than_its_placeholder_still_needs_a_message_first(
    instance: Instance,
) -> None:
    instance.finish(instance.start("a"))
    part = the_next(instance)
    assert (part.message_id, part.text) == (None, "re: a")
    place(instance, part)
    assert states(instance) == ["ready"]
    assert the_next(instance).message_id


def test_a_placeholder_that_was_asked_for_as_the_answer_came_takes_the_answer(instance: Instance) -> None:
    """The request for it was under way while the turn ended."""
    turn = instance.start("a")
    asked_for = the_next(instance)
    instance.finish(turn)
    message_id = place(instance, asked_for)
    assert the_next(instance).message_id == message_id
    assert the_next(instance).text == "re: a"


def test_a_crash_after_the_answer_was_sent_and_before_that_was_noted_shows_it_once(
    start_instance: StartInstance,
) -> None:
    """The next instance edits the same message in the same way, which changes nothing."""
    instance = start_instance()
    instance.finish(instance.start("a"))
    place(instance, the_next(instance))
    shown = the_next(instance)
    assert the_next(start_instance()) == shown


def test_a_long_answer_goes_out_part_by_part_before_what_follows(instance: Instance) -> None:
    turn = instance.start("a", "b")
    instance.do(
        turns.end, instance.owner, turn, Ending("done", [Text(said, ()) for said in ("one", "two", "three")])
    )
    shown = []
    for _ in range(3):
        place(instance, the_next(instance))
        part = the_next(instance)
        shown.append((part.number, part.text))
        instance.do(sending.sent, part)
    assert shown == [(0, "one"), (1, "two"), (2, "three")]
    assert the_next(instance).text is None, "the placeholder of b"


def test_a_rewrite_while_the_old_text_is_on_its_way_is_not_lost(instance: Instance) -> None:
    """The edit with the old text succeeds after the button's reply was committed."""
    turn = instance.start("a", "b")
    instance.say("/stop")
    place(instance, the_next(instance))
    on_its_way = the_next(instance)
    instance.release(turn)
    assert on_its_way.buttons
    instance.press(f"drop:{on_its_way.row_id}")
    instance.do(sending.sent, on_its_way)
    assert (the_next(instance).text, the_next(instance).buttons) == ("Dropped 1 message.", None)


def _send(instance: Instance, part: Part) -> None:
    place(instance, part)
    instance.do(sending.sent, the_next(instance))


def _wait_till_previews_have_arrived(instance: Instance) -> None:
    sql = "UPDATE outbox SET uncertain_until = uncertain_until - :late RETURNING id"
    instance.rows(sql, late=outbox.LATE_SECONDS)
    instance.do(sending.show_uncertain, BOT)


def test_an_answer_that_a_late_preview_may_have_overwritten_is_shown_once_more(instance: Instance) -> None:
    turn = instance.start("a")
    place(instance, the_next(instance))
    instance.do(sending.mark_uncertain, turn.row_id)
    instance.finish(turn)
    instance.do(sending.sent, the_next(instance))
    instance.do(sending.show_uncertain, BOT)
    assert following(instance) is None, "it may still be on its way"
    _wait_till_previews_have_arrived(instance)
    part = the_next(instance)
    assert part.text == "re: a"
    instance.do(sending.sent, part)
    _wait_till_previews_have_arrived(instance)
    assert following(instance) is None, "once is enough"


def test_an_answer_is_shown_again_after_a_preview_of_an_earlier_attempt(
    instance: Instance, start_instance: StartInstance
) -> None:
    """A request that left before a kill may take effect long after it."""
    instance.start("a")
    place(instance, the_next(instance))
    second = start_instance()
    second.recover()
    second.finish(second.claim_waiting()[0])
    second.do(sending.sent, the_next(second))
    _wait_till_previews_have_arrived(second)
    assert the_next(second).text == "re: a"


def test_an_answer_is_shown_again_after_a_preview_of_an_earlier_process(
    instance: Instance, start_instance: StartInstance
) -> None:
    """Its last preview was under way when it was killed; the final edit had not been sent."""
    turn = instance.start("a")
    place(instance, the_next(instance))
    instance.finish(turn)
    second = start_instance()
    second.do(sending.sent, the_next(second))
    _wait_till_previews_have_arrived(second)
    assert the_next(second).text == "re: a"


@pytest.mark.parametrize(("said", "text"), [("b", outbox.GIVEN_UP.text), ("/stop", outbox.STOPPED.text)])
def test_an_ending_is_shown_again_after_a_preview_of_an_interrupted_turn(
    instance: Instance, start_instance: StartInstance, said: str, text: str
) -> None:
    """The turn may not run again, so what the last preview overwrites is the text that says so."""
    instance.start("a")
    place(instance, the_next(instance))
    instance.say(said)
    second = start_instance(crashes_max=1)
    second.recover()
    while part := following(second):
        second.do(sending.sent, replace(part, message_id=part.message_id or MessageId(1)))
    _wait_till_previews_have_arrived(second)
    assert the_next(second).text == text


def test_an_uncertain_preview_of_a_running_turn_is_forgotten(instance: Instance) -> None:
    turn = instance.start("a")
    place(instance, the_next(instance))
    instance.do(sending.mark_uncertain, turn.row_id)
    _wait_till_previews_have_arrived(instance)
    assert states(instance) == ["placed"]
    assert following(instance) is None
    instance.finish(turn)
    instance.do(sending.sent, the_next(instance))
    _wait_till_previews_have_arrived(instance)
    assert following(instance) is None, "it was sent after the preview had arrived"


PICTURES = Album([File("a.png", b"x", "photo"), File("b.png", b"y", "photo")])


@pytest.mark.parametrize("content", [File("a.ogg", b"x", "voice"), PICTURES], ids=["voice", "album"])
def test_an_uncertain_preview_sends_no_voice_message_or_album_again(
    instance: Instance, content: outbox.Content
) -> None:
    turn = instance.start("a")
    place(instance, the_next(instance))
    instance.do(sending.mark_uncertain, turn.row_id)
    instance.do(turns.end, instance.owner, turn, Ending("done", [content]))
    while part := following(instance):
        instance.do(sending.sent, replace(part, message_id=MessageId(next(_message_ids))))
    _wait_till_previews_have_arrived(instance)
    assert following(instance) is None


@pytest.mark.parametrize("said", [["one", "two"], ["one", "two", "three", "four"]])
def test_the_plainer_form_of_a_part_stands_before_what_follows_it(
    instance: Instance, said: list[str]
) -> None:
    """What follows moves: two parts by one, or by more than two."""
    turn = instance.start("a", "b")
    answer: list[outbox.Content] = [outbox.Rich("# long"), File("f.txt", b"x"), Text("end", ())]
    instance.do(turns.end, instance.owner, turn, Ending("done", answer))
    place(instance, the_next(instance))
    instance.do(outbox.fall_back, BOT, the_next(instance), [Text(text, ()) for text in said])
    shown = []
    while (part := the_next(instance)).row_id == turn.row_id:
        _send(instance, part) if part.message_id is None else instance.do(sending.sent, part)
        shown.append(part.text or part.file_name)
    assert shown == [*said, "f.txt", "end"]


@pytest.mark.parametrize("chat", [7, 8])
def test_a_rewrite_needs_buttons_and_its_own_chat(instance: Instance, chat: int) -> None:
    turn = instance.start("a")
    instance.finish(turn)
    instance.do(outbox.rewrite, turn.row_id, ChatId(chat), "resume:1", Text("forged", ()))
    assert instance.answers() == ["re: a"]


def test_a_message_the_user_deleted_is_placed_anew(instance: Instance) -> None:
    instance.finish(instance.start("a"))
    old = place(instance, the_next(instance))
    instance.do(sending.forget_message, the_next(instance).part_id)
    assert the_next(instance).message_id is None
    new = place(instance, the_next(instance))
    assert (the_next(instance).message_id, the_next(instance).text) == (new, "re: a")
    assert new != old


def test_a_parked_part_says_why_and_stands_in_nobodys_way(instance: Instance) -> None:
    instance.finish(instance.start("a"))
    instance.start("b")
    instance.do(sending.park, the_next(instance), "blocked by the user")
    assert instance.rows("SELECT state, error FROM outbox ORDER BY id") == [
        ("parked", "blocked by the user"),
        ("open", None),
    ]
    assert the_next(instance).text is None


def test_the_answer_is_tried_although_its_placeholder_was_refused(instance: Instance) -> None:
    turn = instance.start("a")
    instance.do(sending.park, the_next(instance), "blocked by the user")
    instance.finish(turn)
    assert the_next(instance).text == "re: a"


def test_old_answers_are_not_resent_after_a_long_outage_without_a_word(instance: Instance) -> None:
    """Parked and listed; what is young, what is on screen and what still runs stay as they are."""
    instance.finish(instance.start("shown"))
    _send(instance, the_next(instance))
    for said in ("old", "young"):
        instance.finish(instance.start(said))
    instance.start("running")
    instance.rows("UPDATE outbox SET ready_at = ready_at - 100 WHERE text != 're: young' RETURNING id")
    assert instance.do(sending.expire, 99) == 1
    assert states(instance) == ["sent", "parked", "ready", "open"]
    assert instance.rows("SELECT error FROM outbox WHERE state = 'parked'") == [("too old to send",)]
    assert instance.do(sending.expire, 99) == 0


def _grow_old(instance: Instance) -> int:
    instance.rows("UPDATE outbox SET ready_at = ready_at - 100 RETURNING id")
    return instance.do(sending.expire, 99)


def _say_one_two(instance: Instance) -> None:
    turn = instance.start("a")
    place(instance, the_next(instance))
    instance.do(turns.end, instance.owner, turn, Ending("done", [Text("one", ()), Text("two", ())]))


def test_an_old_answer_that_is_on_screen_in_part_is_completed(instance: Instance) -> None:
    _say_one_two(instance)
    instance.do(sending.sent, the_next(instance))
    instance.finish(instance.start("b"))
    assert _grow_old(instance) == 1
    assert instance.outbox() == [("sent", "one"), ("ready", "two"), ("parked", "re: b")]


def test_the_placeholder_of_an_old_answer_says_that_it_was_kept_back(instance: Instance) -> None:
    _say_one_two(instance)
    placeholder = the_next(instance).message_id
    assert _grow_old(instance) == 2
    assert states(instance) == ["parked", "parked", "ready"]
    part = the_next(instance)
    assert (part.text, part.message_id) == (sending.TOO_OLD.text, placeholder)
    instance.do(sending.sent, part)
    assert following(instance) is None


def test_what_is_dropped_leaves_no_placeholder(start_instance: StartInstance) -> None:
    """A turn that was interrupted after its placeholder was shown, and has to wait for a slot."""
    first = start_instance()
    first.start("a")
    place(first, the_next(first))
    second = start_instance(max_turns=0)
    second.recover()
    second.say("/stop")
    second.say("/drop")
    assert "Dropped." in second.answers()
    assert "placed" not in states(second)


def test_only_chats_with_something_unsent_are_named_and_no_more_than_asked_for(instance: Instance) -> None:
    for chat in (1, 2, 3):
        instance.start("a", "b", chat=chat)
    place(instance, the_next(instance, 2))
    assert instance.do(sending.chats, BOT, ChatId(-9), 10) == [1, 3]
    assert instance.do(sending.chats, BOT, ChatId(-9), 1) == [1]
    assert instance.do(sending.chats, BOT, ChatId(1), 1) == [3]


def test_another_token_on_the_same_database_does_not_send_the_first_ones_answers(
    start_instance: StartInstance,
) -> None:
    mine, theirs = start_instance(), BotId(5)
    mine.finish(mine.start("a"))
    assert mine.do(sending.chats, theirs, ChatId(-9), 10) == []
    assert mine.do(sending.next_part, theirs, ChatId(7)) is None
