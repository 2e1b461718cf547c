"""What goes out: each part from placeholder to sent or parked, in order, and never a text twice."""

import itertools
from dataclasses import replace

import pytest

from tests.house import BOT
from tests.store.life import Life, StartLife
from tgbot.model import Album, BotId, ChatId, File, MessageId, Part
from tgbot.render import Text
from tgbot.store import outbox, sending, turns
from tgbot.store.turns import Ending

_message_ids = itertools.count(500)


def following(life: Life, chat: int = 7) -> Part | None:
    return life.do(sending.next_part, BOT, ChatId(chat))


def the_next(life: Life, chat: int = 7) -> Part:
    part = following(life, chat)
    assert part
    return part


def place(life: Life, part: Part) -> MessageId:
    message_id = MessageId(next(_message_ids))
    life.do(sending.placed, part.part_id, message_id)
    return message_id


def states(life: Life, chat: int = 7) -> list[str]:
    return [state for state, _ in life.outbox(chat)]


def test_a_claim_wants_a_placeholder_where_the_message_was(life: Life) -> None:
    turn = life.say("a", chat=-5, message_thread_id=3, is_topic_message=True).claimed[0]
    part = the_next(life, -5)
    assert (part.row_id, part.number, part.chat_id, part.topic_id) == (turn.row_id, 0, -5, 3)
    assert (part.message_id, part.text, part.reply_to) == (None, None, None)


def test_an_answer_points_at_its_question_where_other_messages_lie_between(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "AT_ONCE_SECONDS", 1e6)  # however slow the machine is
    first = life.start("a", "b")
    assert the_next(life).reply_to == first.address.message_id, "b stands between it and its answer"
    place(life, the_next(life))
    second = life.finish(first)
    assert second
    life.do(sending.sent, the_next(life))
    assert the_next(life).reply_to is None, "nothing came since, and it was claimed at once"


def test_an_answer_points_at_its_question_when_that_has_waited(life: Life) -> None:
    first = life.start("a", "b")
    place(life, the_next(life))
    life.rows("UPDATE pending SET received_at = received_at - 2 RETURNING id")
    second = life.finish(first)
    assert second
    life.do(sending.sent, the_next(life))
    assert the_next(life).reply_to == second.address.message_id


def test_open_placed_ready_sent(life: Life) -> None:
    turn = life.start("a")
    message_id = place(life, the_next(life))
    assert (states(life), following(life)) == (["placed"], None)
    life.finish(turn)
    part = the_next(life)
    assert (part.message_id, part.text) == (message_id, "re: a")
    life.do(sending.sent, part)
    assert (states(life), following(life)) == (["sent"], None)


def test_an_answer_that_is_faster_than_its_placeholder_still_needs_a_message_first(life: Life) -> None:
    life.finish(life.start("a"))
    part = the_next(life)
    assert (part.message_id, part.text) == (None, "re: a")
    place(life, part)
    assert states(life) == ["ready"]
    assert the_next(life).message_id


def test_a_placeholder_that_was_asked_for_as_the_answer_came_takes_the_answer(life: Life) -> None:
    """The request for it was under way while the turn ended."""
    turn = life.start("a")
    asked_for = the_next(life)
    life.finish(turn)
    message_id = place(life, asked_for)
    assert the_next(life).message_id == message_id
    assert the_next(life).text == "re: a"


def test_a_crash_after_the_answer_was_sent_and_before_that_was_noted_shows_it_once(
    live: StartLife,
) -> None:
    """The next life makes the same edit of the same message, which changes nothing."""
    life = live()
    life.finish(life.start("a"))
    place(life, the_next(life))
    shown = the_next(life)
    assert the_next(live()) == shown


def test_a_long_answer_goes_out_part_by_part_before_what_follows(life: Life) -> None:
    turn = life.start("a", "b")
    life.do(turns.end, life.owner, turn, Ending("done", [Text(said, ()) for said in ("one", "two", "three")]))
    shown = []
    for _ in range(3):
        place(life, the_next(life))
        part = the_next(life)
        shown.append((part.number, part.text))
        life.do(sending.sent, part)
    assert shown == [(0, "one"), (1, "two"), (2, "three")]
    assert the_next(life).text is None, "the placeholder of b"


def test_a_rewrite_while_the_old_text_is_on_its_way_is_not_lost(life: Life) -> None:
    """The edit with the old text succeeds after the button's was committed."""
    turn = life.start("a", "b")
    life.say("/stop")
    place(life, the_next(life))
    on_its_way = the_next(life)
    life.release(turn)
    assert on_its_way.buttons
    life.press(f"drop:{on_its_way.row_id}")
    life.do(sending.sent, on_its_way)
    assert (the_next(life).text, the_next(life).buttons) == ("Dropped 1 message.", None)


def _send(life: Life, part: Part) -> None:
    place(life, part)
    life.do(sending.sent, the_next(life))


def _wait_till_previews_have_arrived(life: Life) -> None:
    sql = "UPDATE outbox SET uncertain_until = uncertain_until - :late RETURNING id"
    life.rows(sql, late=outbox.LATE_SECONDS)
    life.do(sending.show_uncertain, BOT)


def test_an_answer_that_a_late_preview_may_have_overwritten_is_shown_once_more(life: Life) -> None:
    turn = life.start("a")
    place(life, the_next(life))
    life.do(sending.mark_uncertain, turn.row_id)
    life.finish(turn)
    life.do(sending.sent, the_next(life))
    life.do(sending.show_uncertain, BOT)
    assert following(life) is None, "it may still be on its way"
    _wait_till_previews_have_arrived(life)
    part = the_next(life)
    assert part.text == "re: a"
    life.do(sending.sent, part)
    _wait_till_previews_have_arrived(life)
    assert following(life) is None, "once is enough"


def test_what_an_earlier_attempt_was_about_to_show_is_doubted(life: Life, live: StartLife) -> None:
    """A request that left before a kill may take effect long after it."""
    life.start("a")
    place(life, the_next(life))
    second = live()
    second.recover()
    second.finish(second.claim_waiting()[0])
    second.do(sending.sent, the_next(second))
    _wait_till_previews_have_arrived(second)
    assert the_next(second).text == "re: a"


def test_what_an_earlier_life_was_showing_as_the_answer_came_is_doubted(life: Life, live: StartLife) -> None:
    """Its last preview was on its way when it was killed, the answer's first edit was not."""
    turn = life.start("a")
    place(life, the_next(life))
    life.finish(turn)
    second = live()
    second.do(sending.sent, the_next(second))
    _wait_till_previews_have_arrived(second)
    assert the_next(second).text == "re: a"


@pytest.mark.parametrize(("said", "text"), [("b", outbox.GIVEN_UP.text), ("/stop", outbox.STOPPED.text)])
def test_what_an_earlier_life_was_showing_as_its_turn_was_interrupted_is_doubted(
    life: Life, live: StartLife, said: str, text: str
) -> None:
    """The turn may not run again, so what the last preview overwrites is the word that it ended."""
    life.start("a")
    place(life, the_next(life))
    life.say(said)
    second = live(crashes_max=1)
    second.recover()
    while part := following(second):
        second.do(sending.sent, replace(part, message_id=part.message_id or MessageId(1)))
    _wait_till_previews_have_arrived(second)
    assert the_next(second).text == text


def test_doubts_of_what_still_runs_are_forgotten(life: Life) -> None:
    turn = life.start("a")
    place(life, the_next(life))
    life.do(sending.mark_uncertain, turn.row_id)
    _wait_till_previews_have_arrived(life)
    assert states(life) == ["placed"]
    assert following(life) is None
    life.finish(turn)
    life.do(sending.sent, the_next(life))
    _wait_till_previews_have_arrived(life)
    assert following(life) is None, "it was sent after the preview had arrived"


PICTURES = Album([File("a.png", b"x", "photo"), File("b.png", b"y", "photo")])


@pytest.mark.parametrize("content", [File("a.ogg", b"x", "voice"), PICTURES], ids=["voice", "album"])
def test_a_doubt_sends_nothing_again_that_no_edit_can_make(life: Life, content: outbox.Content) -> None:
    turn = life.start("a")
    place(life, the_next(life))
    life.do(sending.mark_uncertain, turn.row_id)
    life.do(turns.end, life.owner, turn, Ending("done", [content]))
    while part := following(life):
        life.do(sending.sent, replace(part, message_id=MessageId(next(_message_ids))))
    _wait_till_previews_have_arrived(life)
    assert following(life) is None


@pytest.mark.parametrize("said", [["one", "two"], ["one", "two", "three", "four"]])
def test_the_plainer_form_of_a_part_stands_before_what_follows_it(life: Life, said: list[str]) -> None:
    """What follows makes room: two parts that move by one, and two that move by more than two."""
    turn = life.start("a", "b")
    answer: list[outbox.Content] = [outbox.Rich("# long"), File("f.txt", b"x"), Text("end", ())]
    life.do(turns.end, life.owner, turn, Ending("done", answer))
    place(life, the_next(life))
    life.do(outbox.fall_back, BOT, the_next(life), [Text(text, ()) for text in said])
    shown = []
    while (part := the_next(life)).row_id == turn.row_id:
        _send(life, part) if part.message_id is None else life.do(sending.sent, part)
        shown.append(part.text or part.file_name)
    assert shown == [*said, "f.txt", "end"]


@pytest.mark.parametrize("chat", [7, 8])
def test_a_rewrite_needs_buttons_and_its_own_chat(life: Life, chat: int) -> None:
    turn = life.start("a")
    life.finish(turn)
    life.do(outbox.rewrite, turn.row_id, ChatId(chat), "resume:1", Text("forged", ()))
    assert life.answers() == ["re: a"]


def test_a_message_the_user_deleted_is_placed_anew(life: Life) -> None:
    life.finish(life.start("a"))
    old = place(life, the_next(life))
    life.do(sending.forget_message, the_next(life).part_id)
    assert the_next(life).message_id is None
    new = place(life, the_next(life))
    assert (the_next(life).message_id, the_next(life).text) == (new, "re: a")
    assert new != old


def test_a_parked_part_says_why_and_stands_in_nobodys_way(life: Life) -> None:
    life.finish(life.start("a"))
    life.start("b")
    life.do(sending.park, the_next(life), "blocked by the user")
    assert life.rows("SELECT state, error FROM outbox ORDER BY id") == [
        ("parked", "blocked by the user"),
        ("open", None),
    ]
    assert the_next(life).text is None


def test_the_answer_is_tried_although_its_placeholder_was_refused(life: Life) -> None:
    turn = life.start("a")
    life.do(sending.park, the_next(life), "blocked by the user")
    life.finish(turn)
    assert the_next(life).text == "re: a"


def test_old_answers_are_not_resent_after_a_long_outage_without_a_word(life: Life) -> None:
    """Parked and listed; what is young, what is on screen and what still runs stay as they are."""
    life.finish(life.start("shown"))
    _send(life, the_next(life))
    for said in ("old", "young"):
        life.finish(life.start(said))
    life.start("running")
    life.rows("UPDATE outbox SET ready_at = ready_at - 100 WHERE text != 're: young' RETURNING id")
    assert life.do(sending.expire, 99) == 1
    assert states(life) == ["sent", "parked", "ready", "open"]
    assert life.rows("SELECT error FROM outbox WHERE state = 'parked'") == [("too old to send",)]
    assert life.do(sending.expire, 99) == 0


def _grow_old(life: Life) -> int:
    life.rows("UPDATE outbox SET ready_at = ready_at - 100 RETURNING id")
    return life.do(sending.expire, 99)


def _say_one_two(life: Life) -> None:
    turn = life.start("a")
    place(life, the_next(life))
    life.do(turns.end, life.owner, turn, Ending("done", [Text("one", ()), Text("two", ())]))


def test_an_old_answer_that_is_on_screen_in_part_is_completed(life: Life) -> None:
    _say_one_two(life)
    life.do(sending.sent, the_next(life))
    life.finish(life.start("b"))
    assert _grow_old(life) == 1
    assert life.outbox() == [("sent", "one"), ("ready", "two"), ("parked", "re: b")]


def test_the_placeholder_of_an_old_answer_says_that_it_was_kept_back(life: Life) -> None:
    _say_one_two(life)
    placeholder = the_next(life).message_id
    assert _grow_old(life) == 2
    assert states(life) == ["parked", "parked", "ready"]
    part = the_next(life)
    assert (part.text, part.message_id) == (sending.TOO_OLD.text, placeholder)
    life.do(sending.sent, part)
    assert following(life) is None


def test_what_is_dropped_leaves_no_placeholder(live: StartLife) -> None:
    """A turn that was interrupted after its placeholder was shown, and has to wait for a slot."""
    first = live()
    first.start("a")
    place(first, the_next(first))
    second = live(max_turns=0)
    second.recover()
    second.say("/stop")
    second.say("/drop")
    assert "Dropped." in second.answers()
    assert "placed" not in states(second)


def test_only_chats_with_something_unsent_are_named_and_no_more_than_asked_for(life: Life) -> None:
    for chat in (1, 2, 3):
        life.start("a", "b", chat=chat)
    place(life, the_next(life, 2))
    assert life.do(sending.chats, BOT, ChatId(-9), 10) == [1, 3]
    assert life.do(sending.chats, BOT, ChatId(-9), 1) == [1]
    assert life.do(sending.chats, BOT, ChatId(1), 1) == [3]


def test_another_token_on_the_same_database_does_not_send_the_first_ones_answers(live: StartLife) -> None:
    mine, theirs = live(), BotId(5)
    mine.finish(mine.start("a"))
    assert mine.do(sending.chats, theirs, ChatId(-9), 10) == []
    assert mine.do(sending.next_part, theirs, ChatId(7)) is None
