"""What a person can do with the memory of the model: start afresh, try again, take back, sum up."""

from pathlib import Path

import pytest
from pydantic_ai.exceptions import ModelHTTPError

from tests.llm.talking import Model, talking
from tests.waiting import eventually
from tgbot.agents.llm import commands
from tgbot.agents.llm.log import UNANSWERED
from tgbot.intake.commands import wipe
from tgbot.playground.server import PlaygroundServer

REFUSED = ModelHTTPError(400, "demo")


@pytest.fixture
def model() -> Model:
    return Model()


async def test_a_fresh_start_forgets_what_was_said_before_it(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    async with talking(wire, database_path, monkeypatch, model) as person:
        person.says("a", "b", "/new", "c", "d")
        await person.sees_at_last("re: a", "re: b", commands.FRESH, "re: c", "re: d")
    assert model.requests == [["a"], ["a", "re: a", "b"], ["c"], ["c", "re: c", "d"]]


async def test_words_behind_a_fresh_start_are_the_first_of_the_new_conversation(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    async with talking(wire, database_path, monkeypatch, model) as person:
        person.says("a", "/new b")
        await person.sees_at_last("re: a", commands.FRESH, "re: b")
    assert model.requests[-1] == ["b"]


async def test_a_retry_replaces_the_last_answer_on_screen_and_in_the_memory(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    async with talking(wire, database_path, monkeypatch, model) as person:
        person.says("a", "b")
        await person.sees_at_last("re: a", "re: b")
        model.answers["b"] = "better"
        person.says("/retry")
        await person.sees_at_last("re: a", "better")
        person.says("c")
        await person.sees_at_last("re: a", "better", "re: c")
    assert model.requests[2] == ["a", "re: a", "b"]
    assert model.requests[3] == ["a", "re: a", "b", "better", "c"]


async def test_a_retry_can_be_tried_again(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    async with talking(wire, database_path, monkeypatch, model) as person:
        person.says("a")
        await person.sees_at_last("re: a")
        for answer in ("second", "third"):
            model.answers["a"] = answer
            person.says("/retry")
            await person.sees_at_last(answer)
        person.says("/undo", "b")
        await person.sees_at_last("third", "Forgotten: “a”", "re: b")
    assert model.requests == [["a"], ["a"], ["a"], ["b"]]


async def test_a_retry_that_fails_leaves_the_old_answer_and_the_next_one_replaces_it(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    async with talking(wire, database_path, monkeypatch, model) as person:
        person.says("a")
        await person.sees_at_last("re: a")
        model.errors.append(REFUSED)
        person.says("/retry")
        await person.sees_at_last("re: a", "The model refused this request.")
        model.answers["a"] = "better"
        person.says("/retry", "b")
        await person.sees_at_last("The model refused this request.", "better", "re: b")
    assert model.requests[-1] == ["a", "better", "b"]


async def test_a_message_that_failed_is_tried_again(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    model.errors.append(REFUSED)
    async with talking(wire, database_path, monkeypatch, model) as person:
        person.says("a")
        await person.sees_at_last("The model refused this request.")
        person.says("/retry")
        await person.sees_at_last("re: a")
    assert model.requests == [["a"], ["a"]]


async def test_what_failed_counts_as_a_message_without_an_answer(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    model.errors.append(REFUSED)
    async with talking(wire, database_path, monkeypatch, model) as person:
        person.says("a", "b", "/undo", "c")
        await person.sees_among("re: c")
    assert model.requests[1:] == [["a", UNANSWERED, "b"], ["a", UNANSWERED, "c"]]


async def test_undo_forgets_one_exchange_after_another_and_says_which(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    long = "word " * 30
    async with talking(wire, database_path, monkeypatch, model) as person:
        person.says("a", long, "/undo", "/undo", "/undo", "b")
        cut = f"Forgotten: “{('word ' * 12)[:59]}…”"
        await eventually(lambda: person.sees[-1:] == ["re: b"], "all is answered")
        assert person.sees[2:] == [cut, "Forgotten: “a”", commands.NOTHING_TO_UNDO, "re: b"]
    assert model.requests[-1] == ["b"]


async def test_without_a_message_there_is_nothing_to_retry_undo_or_sum_up(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    async with talking(wire, database_path, monkeypatch, model) as person:
        person.says("/retry", "/undo", "/compact")
        await person.sees_at_last(
            commands.NOTHING_TO_RETRY, commands.NOTHING_TO_UNDO, commands.NOTHING_TO_SUM_UP
        )
    assert model.requests == []


async def test_a_summary_takes_the_place_of_what_was_said_and_that_cannot_be_undone(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    async with talking(wire, database_path, monkeypatch, model) as person:
        person.says("a", "b", "/compact", "/undo", "/retry", "c")
        past = commands.PART_OF_A_SUMMARY
        await person.sees_at_last("re: a", "re: b", commands.SUMMED_UP, past, past, "re: c")
    [summed_up] = model.summaries
    assert "User: a\nYou: re: a\nUser: b\nYou: re: b" in summed_up
    heading, goes_on, last = model.requests[-1]
    assert heading.endswith("SUMMARY")
    assert (goes_on, last) == ("I go on from there.", "c")


async def test_a_summary_that_fails_says_why_and_changes_nothing(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    model.summary = REFUSED
    async with talking(wire, database_path, monkeypatch, model) as person:
        person.says("a", "/compact", "b")
        await person.sees_at_last("re: a", "The model refused this request.", "re: b")
    assert model.requests[-1] == ["a", "re: a", "b"]


async def test_a_command_with_the_name_of_the_bot_is_obeyed(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    async with talking(wire, database_path, monkeypatch, model) as person:
        person.says("/NEW@playground42_bot!")
        await person.sees_at_last(commands.FRESH)
    assert model.requests == []


async def test_the_chosen_model_answers_and_the_chats_own_instructions_are_given_to_it(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    async with talking(
        wire, database_path, monkeypatch, model, models=("ollama:b",), model_url="http://x"
    ) as person:
        person.says("/model", "/prompt Be brief.")
        await person.sees_among("Choose another one")
        person.presses("ollama:b")
        await person.sees_among("ollama:b from now on")
        person.says("a")
        await person.sees_among("re: a")
    assert model.names == ["ollama:b"]
    assert (model.instructions[0] or "").startswith("Be brief.")


async def test_forget_leaves_no_word_in_the_file_while_the_bot_runs(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    async with talking(wire, database_path, monkeypatch, model) as person:
        person.says("xylophone", "/prompt xylophone", "/compact", "xylophone")
        await eventually(lambda: person.sees.count("re: xylophone") == 2, "all is answered")
        person.says("/forget")
        await person.sees_among("It cannot be undone")
        person.presses("Forget everything")
        await person.sees_among(wipe.FORGOTTEN)
        files = [file.read_bytes() for file in database_path.parent.glob("tgbot.db*") if file.is_file()]
        assert not any(b"xylophone" in content for content in files)
        person.says("/prompt", "a")
        await eventually(lambda: person.sees[-1:] == ["re: a"], "it goes on")
        assert "This chat has no instructions of its own: the bot's are used." in person.sees
    assert model.requests[-1] == ["a"]
