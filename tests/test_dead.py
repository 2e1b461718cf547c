"""`tgbot dead`: its owner sees what was given up, tries it again or drops it; also while the bot runs."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.store.instance import Instance, StartInstance
from tests.terminal import tgbot
from tests.waiting import eventually
from tests.whole_bot.judged import judged_bot
from tests.whole_bot.process import BotProcess, Person
from tgbot.intake.commands.given_up import TRIED
from tgbot.playground.server import PlaygroundServer
from tgbot.store.dead import DROPPED
from tgbot.store.outbox import GIVEN_UP

POISON = "poison\nin two lines \x1b[31m"


@pytest.fixture
def folder(database_path: Path, start_instance: StartInstance) -> Path:
    """Make a folder whose database has a message that was given up, row 1, and an unreadable one, row 2."""
    start_instance(crashes_max=1).start(POISON)
    instance = start_instance(crashes_max=1)
    assert instance.recover() == ["dead"]
    instance.receive({"update_id": 5, "message": {"text": "x", "chat": {"id": 8}, "from": {}}})
    instance.send_all()
    instance.send_all(8)
    instance.start("fine", chat=9)
    return database_path.parent


@pytest.fixture
def bot_at_rest(folder: Path, start_instance: StartInstance) -> Instance:
    assert folder.exists()
    return start_instance(crashes_max=1)


def lines(folder: Path, *words: str) -> list[str]:
    ended = tgbot(folder, "dead", *words)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


def document(folder: Path, *words: str) -> Any:  # noqa: ANN401 - any JSON
    return json.loads("\n".join(lines(folder, *words, "--json")))


def refused(folder: Path, *words: str) -> str:
    ended = tgbot(folder, "dead", *words)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    return ended.stderr


def states(instance: Instance) -> dict[int, str]:
    return dict(instance.rows("SELECT id, state FROM pending"))


def test_the_list_has_one_line_for_each_dead_row(folder: Path) -> None:
    first, second = lines(folder, "list")
    assert first.startswith("row=1 chat=7 user=7 20")
    assert first.endswith(" UTC crashed the bot once: poison in two lines  [31m")
    assert second.startswith("row=2 chat=8 user=None 20")
    assert second.endswith(" UTC cannot be read: x")


def test_the_list_for_programs_has_the_whole_text_and_no_update(folder: Path) -> None:
    first, second = document(folder, "list")
    assert (first["row_id"], first["crashes"], first["text"]) == (1, 1, POISON)
    assert (second["row_id"], second["kind"]) == (2, "unreadable")
    assert "raw" not in first
    assert "update" not in first


def test_show_has_who_where_when_how_often_and_the_whole_text(folder: Path) -> None:
    head, who, when, gap, *text = lines(folder, "show", "1")
    assert (head, gap) == ("row 1, crashed the bot once", "")
    assert who == "chat 7, user 7, session 42:7"
    assert when.startswith("received 20")
    assert ", given up 20" in when
    assert text == ["poison", "in two lines  [31m"], "and nothing that steers the terminal"


def test_show_for_programs_has_the_update(folder: Path) -> None:
    assert document(folder, "show", "1")["update"]["message"]["text"] == POISON


def test_show_prints_of_what_cannot_be_read_what_came(folder: Path, bot_at_rest: Instance) -> None:
    [(raw,)] = bot_at_rest.rows("SELECT raw FROM pending WHERE id = 2")
    assert lines(folder, "show", "2")[-1] == raw
    assert document(folder, "show", "2")["update"]["update_id"] == 5
    bot_at_rest.rows("UPDATE pending SET raw = '{broken' WHERE id = 2 RETURNING id")
    assert document(folder, "show", "2")["update"] == "{broken"


def test_without_dead_rows_it_says_so(tmp_path: Path) -> None:
    tgbot(tmp_path, "db", "upgrade")
    assert lines(tmp_path, "list") == ["nothing was given up"]
    assert document(tmp_path, "list") == []
    assert lines(tmp_path, "retry", "--all") == ["nothing is dead that could run"]
    assert lines(tmp_path, "drop", "--all") == ["nothing is dead"]


def test_without_a_database_it_says_what_to_do(tmp_path: Path) -> None:
    assert "start the bot once" in refused(tmp_path, "list")


@pytest.mark.parametrize("command", ["show", "retry", "drop"])
def test_of_a_row_that_is_not_dead_it_says_so_in_one_line_and_changes_nothing(
    folder: Path, bot_at_rest: Instance, command: str
) -> None:
    before = states(bot_at_rest)
    for row in ("3", "999"):
        assert f"row {row} is not dead: `tgbot dead list` shows those that are" in refused(
            folder, command, row
        )
    if command != "show":
        refused(folder, command, "1", "3")
    assert states(bot_at_rest) == before


@pytest.mark.parametrize("words", [("show", "one"), ("retry",), ("drop",), ("retry", "1", "--all"), ()])
def test_what_is_asked_wrongly_is_a_usage_error(folder: Path, words: tuple[str, ...]) -> None:
    ended = tgbot(folder, "dead", *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Traceback" not in ended.stderr


def test_retry_queues_a_row_for_one_more_try(
    folder: Path, bot_at_rest: Instance, start_instance: StartInstance
) -> None:
    assert lines(folder, "retry", "1") == ["queued: row 1 (at the next start)"]
    [turn] = [turn for turn in bot_at_rest.claim_waiting() if turn.row_id == 1]
    assert turn.attempt == 2
    assert bot_at_rest.answers() == ["Trying it again."]
    assert "dead" in start_instance(crashes_max=1).recover(), "it was the last one"


def test_retry_of_all_passes_over_what_cannot_be_read(folder: Path, bot_at_rest: Instance) -> None:
    assert lines(folder, "retry", "--all") == ["queued: row 1 (at the next start)"]
    assert states(bot_at_rest)[2] == "dead"


def test_retry_of_what_cannot_be_read_says_what_can_be_done(folder: Path, bot_at_rest: Instance) -> None:
    assert "row 2 could not be read, so it cannot run" in refused(folder, "retry", "2")
    assert refused(folder, "retry", "1", "2")
    assert states(bot_at_rest)[1] == "dead"


def test_a_button_that_is_pressed_after_a_retry_says_that_it_was_tried_already(
    folder: Path, bot_at_rest: Instance
) -> None:
    lines(folder, "retry", "1")
    for data, toast in (("retry:1", TRIED), ("forget:1", "This button does nothing any more.")):
        pressed = bot_at_rest.press(data)
        assert [said for _, said in pressed.controls] == [toast]
    assert states(bot_at_rest)[1] == "queued"


def test_drop_drops_rows_and_says_so_in_the_chat(folder: Path, bot_at_rest: Instance) -> None:
    assert lines(folder, "drop", "1", "2") == ["dropped: rows 1, 2"]
    assert {states(bot_at_rest)[row] for row in (1, 2)} == {"dropped"}
    assert bot_at_rest.answers() == [DROPPED.text]
    assert bot_at_rest.rows("SELECT count(*) FROM outbox WHERE buttons IS NOT NULL") == [(0,)]
    pressed = bot_at_rest.press("retry:1")
    assert (pressed.claimed, states(bot_at_rest)[1]) == ([], "dropped")


def test_drop_of_all_takes_what_cannot_be_read_along(folder: Path, bot_at_rest: Instance) -> None:
    assert lines(folder, "drop", "--all") == ["dropped: rows 1, 2"]
    assert "dead" not in states(bot_at_rest).values()


def test_a_database_that_another_program_holds_is_one_line(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "tgbot.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "tgbot.db cannot be written: database is locked" in refused(folder, "drop", "1")


@pytest.fixture
async def bot(wire: PlaygroundServer, tmp_path: Path) -> AsyncIterator[BotProcess]:
    """A bot in which one message was given up: "wait for GATE"."""
    async with judged_bot(wire, tmp_path, agent="tests.whole_bot.agents:moody") as process:
        process.setting(crashes_max=1)
        await process.start()
        Person(wire).says(f"wait for {tmp_path / 'gate'}")
        await process.logs("turn.claimed")
        await process.kill()
        await process.start()
        await Person(wire).sees_among("gave it up")
        yield process


async def test_a_row_that_is_retried_while_the_bot_runs_is_answered(
    bot: BotProcess, wire: PlaygroundServer, tmp_path: Path
) -> None:
    ann, bob = Person(wire), Person(wire, 8)
    (tmp_path / "gate").touch()
    assert await bot.prints("dead", "retry", "--all") == "queued: row 1 (the bot takes them within seconds)\n"
    await ann.sees_at_last("Trying it again.", f"wait for {tmp_path / 'gate'} (attempt 2)")
    bob.says("hello")
    await bob.sees_at_last("hello (attempt 1)")


async def test_a_row_that_is_retried_while_the_bot_is_down_is_answered_at_its_start(
    bot: BotProcess, wire: PlaygroundServer, tmp_path: Path
) -> None:
    (tmp_path / "gate").touch()
    await bot.kill()
    assert await bot.prints("dead", "retry", "1") == "queued: row 1 (at the next start)\n"
    await bot.start()
    await Person(wire).sees_at_last("Trying it again.", f"wait for {tmp_path / 'gate'} (attempt 2)")


async def test_a_row_that_is_dropped_while_the_bot_runs_loses_its_buttons(
    bot: BotProcess, wire: PlaygroundServer
) -> None:
    ann = Person(wire)
    assert ann.sees == [GIVEN_UP.text]
    await bot.prints("dead", "drop", "1")
    await ann.sees_at_last(DROPPED.text)
    assert "reply_markup" not in ann.screen[-1]


async def test_what_is_written_beside_a_bot_that_is_busy_loses_nothing(
    bot: BotProcess, wire: PlaygroundServer
) -> None:
    people = [Person(wire, user_id) for user_id in range(11, 15)]
    for number in range(5):
        for person in people:
            person.says(f"message {number}")
        if number == 2:
            await bot.prints("dead", "retry", "1")
    wanted = [f"message {number} (attempt 1)" for number in range(5)]
    for person in people:
        await person.sees_at_last(*wanted)
    await eventually(lambda: bot.log.count("turn.claimed") == 22, "the row that was retried")
    assert "storage_error" not in bot.log
