"""What turns ask with buttons."""

import pytest

from tests.store.instance import Instance, StartInstance
from tgbot.model import Choice, RowId, Turn
from tgbot.render import Text
from tgbot.store import outbox, questions, sending, turns
from tgbot.store.parts import Asked
from tgbot.store.turns import Ending

CHOICES = (Choice("Allow", "yes"), Choice("Deny", "no"))


def ask(instance: Instance, turn: Turn, *keys: str, said: tuple[str, ...] = ()) -> Turn | None:
    asks = [Asked(key, Text(f"May I {key}?"), CHOICES) for key in keys]
    ending = Ending("asking", [Text(words) for words in said], first=turn.first_part, asks=asks)
    return instance.do(turns.end, instance.owner, turn, ending).following


def buttons(instance: Instance) -> list[str]:
    sql = "SELECT pending_id, id FROM question WHERE answer IS NULL ORDER BY id"
    return [f"answer:{row}:{one}" for row, one in instance.rows(sql)]


def answers(instance: Instance, row_id: RowId) -> dict[str, str]:
    return instance.do(questions.answers, row_id)


def shown(instance: Instance) -> list[tuple[object, ...]]:
    sql = "SELECT part, text, buttons IS NOT NULL, silent FROM outbox WHERE kind != 'notice' ORDER BY id"
    return instance.rows(sql)


def test_a_row_that_asks_waits_without_a_guard_and_the_rows_behind_it_wait_too(instance: Instance) -> None:
    turn = instance.start("delete it", "next")
    assert ask(instance, turn, "delete") is None
    assert list(instance.states().values()) == ["asking", "queued"]
    assert instance.rows("SELECT * FROM guard") == []
    assert instance.claim_waiting() == []
    assert instance.say("third").claimed == []


def test_other_sessions_run_while_one_asks(instance: Instance) -> None:
    ask(instance, instance.start("delete it"), "delete")
    assert instance.say("hello", chat=8).claimed


def test_the_answer_lets_it_run_again_before_what_came_behind_it(instance: Instance) -> None:
    turn = instance.start("delete it", "next")
    ask(instance, turn, "delete", said=("I will delete it.",))
    [again] = instance.press(f"{buttons(instance)[0]}:0").claimed
    assert (again.row_id, again.attempt, again.first_part) == (turn.row_id, 2, 2)
    assert answers(instance, turn.row_id) == {"delete": "yes"}
    assert shown(instance)[1] == (1, "May I delete?\n\n→ Allow", 0, 0)


def test_it_goes_on_when_the_last_of_its_questions_is_answered(instance: Instance) -> None:
    turn = instance.start("delete both")
    ask(instance, turn, "a", "b")
    first, second = buttons(instance)
    assert instance.press(f"{second}:1").claimed == []
    assert list(instance.states().values()) == ["asking"]
    assert instance.press(f"{first}:0").claimed
    assert answers(instance, turn.row_id) == {"a": "yes", "b": "no"}


def test_a_question_and_what_is_said_after_its_answer_notify(instance: Instance) -> None:
    ask(instance, instance.start("delete it"), "delete", said=("one", "two"))
    [again] = instance.press(f"{buttons(instance)[0]}:0").claimed
    instance.answer(again, "deleted", "more", first=again.first_part)
    assert [(part, silent) for part, *_, silent in shown(instance)] == [
        (0, 0),
        (1, 1),
        (2, 0),
        (3, 0),
        (4, 1),
    ]


def test_a_question_is_a_message_of_its_own_where_a_line_of_progress_stands(instance: Instance) -> None:
    """An edit would notify nobody, and the line is silent."""
    turn = instance.start("delete it")
    assert instance.begin(turn, "⏳ looking", silent=True)
    instance.rows("UPDATE outbox SET state = 'growing', message_id = 9, floor = NULL RETURNING id")
    ask(instance, turn, "delete")
    sql = "SELECT part, kind, message_id, silent FROM outbox ORDER BY part"
    assert instance.rows(sql) == [(0, "surplus", 9, 1), (1, "text", None, 0)]
    [again] = instance.press(f"{buttons(instance)[0]}:0").claimed
    assert again.first_part == 2


@pytest.mark.parametrize(
    ("data", "user"),
    [
        ("answer:{row}:{other}:0", 7),
        ("answer:{row}:{id}:2", 7),
        ("answer:{row}:{id}:0", 8),
        ("answer:{row}:{id}", 7),
        ("answer:{next}:{id}:0", 7),
    ],
    ids=["no such question", "no such choice", "somebody else", "no choice", "another row"],
)
def test_a_forged_button_does_nothing(instance: Instance, data: str, user: int) -> None:
    turn = instance.start("delete it", "next", chat=-7)
    ask(instance, turn, "delete")
    [(row, one)] = instance.rows("SELECT pending_id, id FROM question")
    pressed = data.format(row=row, id=one, other=one + 1, next=row + 1)
    assert instance.press(pressed, chat=-7, user=user).claimed == []
    assert list(instance.states(chat=-7).values()) == ["asking", "queued"]
    assert answers(instance, turn.row_id) == {}


def test_a_second_press_does_nothing(instance: Instance) -> None:
    turn = instance.start("delete it")
    ask(instance, turn, "delete")
    [button] = buttons(instance)
    assert instance.press(f"{button}:0").claimed
    assert instance.press(f"{button}:1").claimed == []
    assert answers(instance, turn.row_id) == {"delete": "yes"}


def test_stop_ends_a_row_that_asks_and_its_buttons_do_nothing_any_more(instance: Instance) -> None:
    turn = instance.start("delete it", "next")
    ask(instance, turn, "delete")
    [button] = buttons(instance)
    instance.say("/stop")
    assert list(instance.states().values()) == ["stopped", "held"]
    assert shown(instance)[0] == (0, "May I delete?\n\n⏹ Stopped.", 0, 0)
    assert instance.press(f"{button}:0").claimed == []
    assert list(instance.states().values()) == ["stopped", "held"]


def test_a_stop_that_came_before_the_question_wins(instance: Instance) -> None:
    turn = instance.start("delete it")
    instance.say("/stop")
    ask(instance, turn, "delete", said=("I will",))
    assert list(instance.states().values()) == ["stopped"]
    assert instance.rows("SELECT * FROM question") == []


def test_a_question_outlives_the_process(instance: Instance, start_instance: StartInstance) -> None:
    turn = instance.start("delete it")
    ask(instance, turn, "delete")
    another = start_instance()
    assert another.recover() == []
    [again] = another.press(f"{buttons(another)[0]}:1").claimed
    assert (again.row_id, again.first_part) == (turn.row_id, 1)


def test_what_is_stopped_or_given_up_after_an_answer_leaves_what_was_said_before(instance: Instance) -> None:
    turn = instance.start("delete it")
    ask(instance, turn, "delete", said=("I will",))
    [again] = instance.press(f"{buttons(instance)[0]}:0").claimed
    instance.rows("UPDATE outbox SET state = 'sent', message_id = id, floor = NULL RETURNING id")
    assert instance.begin(again, "deleting", again.first_part)
    instance.say("/stop")
    instance.release(again)
    assert [text for _, text, *_ in shown(instance)][:3] == [
        "I will",
        "May I delete?\n\n→ Allow",
        "⏹ Stopped.",
    ]


def answered(instance: Instance) -> Turn:
    """Have a question answered; gives the turn that goes on."""
    ask(instance, instance.start("delete it"), "delete")
    instance.send_all()
    [again] = instance.press(f"{buttons(instance)[0]}:0").claimed
    instance.send_all()
    return again


@pytest.mark.parametrize("on_its_way", [False, True])
def test_a_line_of_progress_after_a_question_makes_way_for_words_that_notify(
    instance: Instance, *, on_its_way: bool
) -> None:
    turn = answered(instance)
    progress = instance.begin(turn, "deleting", turn.first_part, silent=True)
    assert progress
    if on_its_way:
        instance.answer(turn, "Gone.", first=turn.first_part)
        at = instance.sent(progress)
    else:
        at = instance.sent(progress)
        instance.answer(turn, "Gone.", first=turn.first_part)
    surplus = instance.the_next()
    assert (surplus.kind, surplus.message_id) == ("surplus", at)
    instance.do(sending.removed, surplus)
    words = instance.the_next()
    assert (words.number, words.text, words.message_id, words.silent) == (1, "Gone.", None, False)


def test_a_line_of_progress_that_was_not_sent_yet_never_is(instance: Instance) -> None:
    turn = answered(instance)
    assert instance.begin(turn, "deleting", turn.first_part, silent=True)
    instance.answer(turn, "Gone.", first=turn.first_part)
    assert instance.send_all() == ["Gone."]


@pytest.mark.parametrize("on_its_way", [False, True])
def test_a_full_part_after_a_question_notifies_and_stays(instance: Instance, *, on_its_way: bool) -> None:
    turn = answered(instance)
    first = turn.first_part
    full = turn.token, turn.row_id, first, Text("All of this.")
    assert instance.do(outbox.close_part, *full, loud=first)
    part = instance.the_next()
    assert not part.silent
    instance.rows("UPDATE outbox SET silent = true RETURNING id")  # which alone makes no line of progress
    if on_its_way:
        instance.answer(turn, "And more.", first=first + 1)
        instance.sent(part)
        assert instance.send_all() == ["And more."]
    else:
        instance.answer(turn, "And more.", first=first + 1)
        assert instance.send_all() == ["All of this.", "And more."]


def test_words_after_a_question_stay_in_the_message_that_notified(instance: Instance) -> None:
    turn = answered(instance)
    begun = turn.token, turn.row_id, turn.first_part, Text("Gone"), "{}"
    words = instance.do(outbox.begin, *begun, silent=False)
    assert words
    at = instance.sent(words)
    assert not instance.do(questions.make_way, turn.row_id)
    instance.answer(turn, "Gone.", first=turn.first_part)
    assert instance.the_next().message_id == at


def test_a_line_of_progress_stays_where_nothing_was_asked(instance: Instance) -> None:
    turn = instance.start("delete it")
    progress = instance.begin(turn, "deleting", silent=True)
    assert progress
    at = instance.sent(progress)
    instance.answer(turn, "Gone.")
    assert instance.the_next().message_id == at
