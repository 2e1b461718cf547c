"""What ended long ago is deleted a few rows at a time, and never what something still needs."""

import json
import time
from typing import Any

import pytest

from tests.house import BOT, raw_message
from tests.store.instance import Instance, StartInstance, new_id
from tests.store.test_questions import ask
from tgbot.model import ChatId, FileId, RowId
from tgbot.store import files, history, interrupted, ledger, pruning, sending, settling, workers

OLD = 1.0  # the Unix time at which all of a test's rows were received and ended
BELONGING = ("turn", "outbox", "question", "ledger")
GROUP = -1_000_000_000_005


@pytest.fixture
def bot(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    monkeypatch.setattr(pruning, "ROWS_MAX", 100)
    return instance


def exchange(bot: Instance, words: str, chat: int = 7) -> RowId:
    """Let a message have an answer that is on screen; returns its row."""
    turn = bot.start(words, chat=chat)
    bot.do(ledger.finish, turn, "1", "tool", words)
    bot.finish(turn)
    bot.send_all(chat)
    return turn.row_id


def pass_time(bot: Instance) -> None:
    """Make all rows old, and let a thousand others come in each box since."""
    bot.rows(f"UPDATE pending SET received_at = {OLD}, ended_at = {OLD} WHERE ended_at > 0 RETURNING id")
    bot.rows(f"UPDATE pending SET received_at = {OLD} RETURNING id")
    bot.rows(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1010) INSERT INTO pending"
        " (bot_id, update_id, kind, state, session_key, chat_id, box, message_id, received_at, ended_at, raw)"
        f" SELECT 42, 900000 + i, 'control', 'done', '42:99', 99, (1 - i % 2) * {GROUP}, 900000 + i, 5e9,"
        " 5e9, '{}' FROM n RETURNING id"
    )


def prune(bot: Instance, before: float | None = None) -> int:
    """Prune all that is old, as the service does; returns how many rows are gone."""
    deleted, last = 0, RowId(0)
    before = before or time.time()
    while (old := bot.do(pruning.find, before, last)).last is not None:
        last = old.last
        deleted += bot.do(pruning.prune, before, old.row_ids)
    return deleted


def left(bot: Instance) -> list[int]:
    """List the rows of the test that are left."""
    return [row for (row,) in bot.rows("SELECT id FROM pending WHERE update_id < 900000 ORDER BY id")]


# What goes


def test_a_row_that_ended_long_ago_goes_with_all_that_belongs_to_it(bot: Instance) -> None:
    exchange(bot, "a")
    turn = bot.start("b")
    ask(bot, turn, "really?")
    bot.send_all()
    bot.say("/stop")
    bot.send_all()
    bot.say("/status")
    bot.send_all()
    pass_time(bot)
    assert prune(bot) == 4
    assert left(bot) == []
    assert [bot.rows(f"SELECT count(*) FROM {table}") for table in BELONGING] == [[(0,)]] * 4


def test_what_ended_lately_stays(bot: Instance) -> None:
    exchange(bot, "a")
    pass_time(bot)
    assert prune(bot, before=OLD) == 0
    assert prune(bot, before=OLD + 1) == 1


def test_what_was_received_long_ago_and_ended_lately_stays(bot: Instance) -> None:
    row = exchange(bot, "a")
    pass_time(bot)
    bot.rows("UPDATE pending SET ended_at = 100 WHERE id = :row RETURNING id", row=row)
    assert prune(bot, before=99) == 0


def test_rows_that_ran_together_go_and_those_joined_first(bot: Instance) -> None:
    album: dict[str, Any] = {"media_group_id": "1", "photo": [{"file_id": "f", "file_unique_id": "u"}]}
    bot.say("first", "second", **album)
    [turn] = bot.due()
    bot.finish(turn)
    bot.send_all()
    pass_time(bot)
    assert prune(bot) == 1
    assert left(bot) == [turn.row_id]
    assert prune(bot) == 1


def test_of_more_rows_than_a_step_looks_at_the_next_steps_take_the_rest(bot: Instance) -> None:
    for _ in range(3):
        bot.say(*["/status"] * 80)
    bot.send_all()
    pass_time(bot)
    first = bot.do(pruning.find, time.time(), RowId(0))
    assert len(first.row_ids) <= pruning.ROWS_MAX
    assert prune(bot) == 240


def test_what_is_joined_to_a_row_that_ended_lately_stays(bot: Instance) -> None:
    album: dict[str, Any] = {"media_group_id": "1", "photo": [{"file_id": "f", "file_unique_id": "u"}]}
    bot.say("first", "second", **album)
    [turn] = bot.due()
    bot.finish(turn)
    bot.send_all()
    pass_time(bot)
    bot.rows("UPDATE pending SET ended_at = 100 WHERE id = :row RETURNING id", row=turn.row_id)
    assert prune(bot, before=99) == 0


# What stays


def test_an_update_that_could_come_again_is_known_whatever_the_clock_says(bot: Instance) -> None:
    exchange(bot, "a")
    [(update_id,)] = bot.rows("SELECT update_id FROM pending")
    for _ in range(10):
        exchange(bot, "b")
    bot.rows(f"UPDATE pending SET received_at = {OLD}, ended_at = {OLD} RETURNING id")
    assert prune(bot) == 0
    assert not bot.receive(raw_message(update_id, "a")).claimed


def test_what_waits_runs_or_is_held_stays(bot: Instance) -> None:
    turn = bot.start("a", "b", "c")
    bot.start("d", "e", chat=8)
    bot.say("/stop")
    bot.release(turn)
    bot.send_all()
    pass_time(bot)
    rows = {
        json.loads(raw)["message"]["text"] for (raw,) in bot.rows("SELECT raw FROM pending") if raw != "{}"
    }
    prune(bot)
    kept = {
        json.loads(raw)["message"]["text"] for (raw,) in bot.rows("SELECT raw FROM pending") if raw != "{}"
    }
    assert rows - kept == {"a"}, "and the /stop that holds them"


def test_a_stopped_turn_that_winds_down_keeps_its_row(bot: Instance) -> None:
    turn = bot.start("a")
    bot.say("/stop")
    bot.send_all()
    pass_time(bot)
    prune(bot)
    assert left(bot) == [turn.row_id]
    bot.release(turn)
    assert prune(bot) == 1


def test_what_asks_stays(bot: Instance) -> None:
    turn = bot.start("a")
    ask(bot, turn, "really?")
    bot.send_all()
    pass_time(bot)
    assert prune(bot) == 0
    assert bot.rows("SELECT count(*) FROM question") == [(1,)]


def test_what_was_given_up_stays_with_what_is_joined_to_it(start_instance: StartInstance) -> None:
    first = start_instance(crashes_max=1)
    album: dict[str, Any] = {"media_group_id": "1", "photo": [{"file_id": "f", "file_unique_id": "u"}]}
    first.say("first", "second", **album)
    first.due()
    bot = start_instance(crashes_max=1)
    assert bot.recover() == ["dead"]
    bot.send_all()
    pass_time(bot)
    assert prune(bot) == 0


def test_an_answer_that_waits_behind_another_stays(bot: Instance) -> None:
    bot.finish(bot.start("a"))
    waiting = bot.start("b")
    bot.finish(waiting)
    bot.do(sending.park, bot.the_next(), "blocked")
    pass_time(bot)
    assert prune(bot) == 0
    assert [state for state, _ in bot.outbox()] == ["parked", "ready"]


@pytest.mark.parametrize("lost", [False, True])
def test_an_answer_that_may_be_on_screen_stays(bot: Instance, *, lost: bool) -> None:
    bot.finish(bot.start("a"))
    if lost:
        bot.do(interrupted.lost, bot.the_next())
    pass_time(bot)
    assert prune(bot) == 0
    assert [state for state, _ in bot.outbox()] == ["unknown" if lost else "sending"]


@pytest.mark.parametrize("due", ["reaction_due = true", "uncertain_until = 1"])
def test_a_part_that_has_something_to_be_done_stays(bot: Instance, due: str) -> None:
    exchange(bot, "a")
    bot.rows(f"UPDATE outbox SET {due} RETURNING id")
    pass_time(bot)
    assert prune(bot) == 0


def test_a_row_whose_file_is_still_there_or_that_is_looked_at_again_stays(bot: Instance) -> None:
    row, other = exchange(bot, "a"), exchange(bot, "b")
    file_id: FileId = bot.do(files.begin, row)
    bot.rows(
        "INSERT INTO second_look (bot_id, pending_id, chat_id, floor, text, due_at)"
        " VALUES (42, :row, 7, 950000, 'x', 1e12) RETURNING id",
        row=other,
    )
    pass_time(bot)
    assert prune(bot) == 0
    bot.do(files.discard, file_id)
    assert prune(bot) == 1


def test_what_the_model_was_told_stays_and_its_row_keeps_no_words(bot: Instance) -> None:
    turn = bot.start("xylophone")
    bot.do(history.append, turn, "step", '["the log"]')
    bot.finish(turn)
    bot.send_all()
    pass_time(bot)
    assert prune(bot) == 0
    assert bot.rows("SELECT raw FROM pending WHERE id = :row", row=turn.row_id) == [("{}",)]
    assert [bot.rows(f"SELECT count(*) FROM {table}") for table in BELONGING] == [[(0,)]] * 4
    later = bot.start("and?")
    assert [entry.content for entry in bot.do(history.seen, later)] == ['["the log"]']
    assert bot.do(pruning.find, time.time(), RowId(0)).row_ids == [], "and is done with"


def test_what_was_undone_stays_undone(bot: Instance) -> None:
    turn = bot.start("a")
    bot.do(history.append, turn, "step", '["a"]')
    bot.finish(turn)
    undoing = bot.start("/undo")
    bot.do(history.undo_last, undoing)
    bot.finish(undoing)
    bot.send_all()
    pass_time(bot)
    assert prune(bot) == 0
    assert [entry.kind for entry in bot.do(history.seen, bot.start("b"))] == ["undo"]


def test_a_row_that_an_undo_names_stays_though_its_own_words_were_erased(bot: Instance) -> None:
    turn = bot.start("a")
    bot.do(history.append, turn, "step", '["a"]')
    bot.finish(turn)
    bot.do(history.undo_last, bot.start("/undo"))
    bot.send_all()
    bot.rows("DELETE FROM history WHERE kind = 'step' RETURNING id")
    pass_time(bot)
    assert prune(bot) == 0


# What a search by message ids needs


def test_the_newest_message_of_a_box_stays_known(bot: Instance) -> None:
    """What is sent next, and lost, is looked for above it."""
    for words in ("first", "second"):
        exchange(bot, words, chat=GROUP - 1)
    newest = (
        "SELECT max(message_id) FROM (SELECT box, message_id FROM outbox UNION ALL"
        " SELECT box, message_id FROM pending) AS known WHERE box = :box"
    )
    [(before,)] = bot.rows(newest, box=GROUP - 1)
    pass_time(bot)
    prune(bot)
    assert bot.rows(newest, box=GROUP - 1) == [(before,)]


def test_what_a_part_of_unknown_outcome_is_searched_among_stays_known(bot: Instance) -> None:
    """The bot was down for a month after it had sent it."""
    exchange(bot, "long before")
    exchange(bot, "far from it" * 2)
    for _ in range(10):
        new_id()
    exchange(bot, "just before")
    turn = bot.start("asked")
    bot.finish(turn)
    bot.do(interrupted.lost, bot.the_next())
    exchange(bot, "just after", chat=8)
    ceiling = new_id()
    bot.do(settling.placed, bot.the_next(), ceiling)
    part = bot.the_next()
    unknown = bot.do(settling.unknown_ids, BOT, part)
    pass_time(bot)
    assert prune(bot) == 2
    assert bot.do(settling.unknown_ids, BOT, part) == unknown


# Instances


def test_a_dead_instance_goes_once_it_is_old_and_nothing_is_of_it(start_instance: StartInstance) -> None:
    worked, idle, lives = (start_instance() for _ in range(3))
    worked.finish(worked.start("a"))
    worked.send_all()
    for dead in (worked, idle):
        dead.do(workers.end, dead.owner.instance_id)
    began = lives.rows("SELECT min(started_at) FROM instance")[0][0]
    later = time.time() + 1

    def prune_instances(before: float) -> list[int]:
        lives.do(workers.prune, before)
        return [one for (one,) in lives.rows("SELECT id FROM instance ORDER BY id")]

    ids = [one.owner.instance_id for one in (worked, idle, lives)]
    assert prune_instances(began) == ids, "not old yet"
    assert prune_instances(later) == [ids[0], ids[2]], "one runs, and a turn is of another one"
    pass_time(lives)
    assert prune(lives) == 1
    lives.do(workers.free_left, workers.Chat(BOT, ChatId(7)))  # where chats are with workers
    assert prune_instances(later) == [ids[2]]
