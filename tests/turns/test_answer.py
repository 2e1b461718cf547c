"""What a turn has said so far, and previews of it that arrive when they should not any more."""

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.held import Held
from tests.running import running
from tests.scripted import Gate
from tests.waiting import eventually
from tests.whole_bot.process import Person
from tgbot import render
from tgbot.model import Address, ChatId, FileKind, MessageId, RowId, SessionKey, Token, Turn, UserId
from tgbot.playground.server import PlaygroundServer
from tgbot.store.interrupted import LATE_SECONDS
from tgbot.turns import answer
from tgbot.turns.agent import AgentTurn, Album, Event, File, InsteadOf, Progress, Replacement
from tgbot.turns.answer import LiveAnswer, LiveAnswers, Piece
from tgbot.turns.formatting import formatted


def turn(row_id: int = 1, chat_id: int = 7) -> Turn:
    key = SessionKey(f"1:{chat_id}:{row_id}")
    address = Address(key, ChatId(chat_id), UserId(7), MessageId(1))
    return Turn(Token(row_id), RowId(row_id), key, address, 1, ("{}",))


def taken(*events: Event) -> LiveAnswer:
    speaking = LiveAnswer(turn())
    for event in events:
        speaking.take(event)
    return speaking


def said(answered: LiveAnswer) -> list[Piece]:
    """All that is not complete on screen yet."""
    _, segments = answered.rest()
    return segments


HALVES = "\ud83d", "\ude00"  # of one emoji


def test_an_emoji_that_comes_in_two_pieces_is_one() -> None:
    assert said(taken("ha ", *HALVES, "!")) == ["ha \U0001f600!"]
    assert taken("ha ", *HALVES, "!").text == "ha \U0001f600!"


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("words", ["ha ", "word " * 20_000])
async def test_half_a_character_loses_nothing_else(half: str, words: str) -> None:
    """Also of an answer so long that its rest is a file."""
    *_, last = contents = (await formatted(taken(words, half, " end"))).contents
    assert isinstance(last, File | render.Text)
    shown = last.content.decode() if isinstance(last, File) else last.text
    assert shown.endswith("\ufffd end")
    assert len(contents) == (1 if len(words) < 100 else 9)


def test_half_a_character_in_a_rich_answer_loses_nothing_else() -> None:
    [text] = said(taken("**ha** ", HALVES[0], " end"))
    assert "end" in str(render.rich(str(text)))


def test_what_is_complete_on_screen_is_cut_off_and_the_rest_goes_on() -> None:
    speaking = taken("one ", "two ")
    growing = speaking.growing()
    speaking.take("three ")
    speaking.cut(growing, "one", "two ")
    assert speaking.rest() == (1, ["two three "])
    assert (speaking.growing().text, speaking.growing().number) == ("two three ", 1)
    speaking.cut(speaking.growing(), "two", "three ")
    assert (speaking.rest(), speaking.opening) == ((2, ["three "]), "one")


def test_what_was_replaced_while_it_was_closed_is_not_cut() -> None:
    speaking = taken("one ", "two ")
    growing = speaking.growing()
    speaking.take(Replacement("other"))
    speaking.cut(growing, "one", "two ")
    assert speaking.rest() == (0, ["other"])


def test_a_part_with_files_between_its_words_does_not_count_as_text_alone() -> None:
    assert taken("one ", "two ").growing().only_text
    assert not taken("one ", File("plan.txt", b"dig"), "two ").growing().only_text


def test_words_and_files_keep_their_order() -> None:
    plan = File("plan.txt", b"dig")
    assert said(taken("a", "b", plan, "c")) == ["ab", plan, "c"]


def test_words_before_and_after_a_file_do_not_run_into_each_other() -> None:
    assert taken("The plan:", File("plan.txt", b"dig"), "The site:").text == "The plan:\n\nThe site:"


def test_words_end_a_progress_line() -> None:
    assert taken(Progress("searching")).progress == "searching"
    assert taken(Progress("searching"), "Found").progress == ""


def test_a_replacement_takes_back_words_and_keeps_files() -> None:
    plan = File("plan.txt", b"dig")
    assert said(taken("a", plan, "b", Replacement("c"))) == [plan, "c"]


def test_each_event_that_can_be_seen_is_a_new_version() -> None:
    versions = [taken(*(["word"] * n)).version for n in range(3)]
    assert versions == [0, 1, 2]


def test_nothing_counts_after_the_cancellation() -> None:
    speaking = taken("before")
    speaking.closed = True
    speaking.take(" and after")
    assert speaking.text == "before"


def test_what_no_agent_may_yield_is_named() -> None:
    with pytest.raises(TypeError, match="cannot yield a int"):
        LiveAnswer(turn()).take(5)  # type: ignore[arg-type]


def test_an_answer_that_never_ends_is_cut_and_says_so() -> None:
    speaking = taken("x" * answer.ANSWER_MAX_CHARACTERS, "x")
    assert speaking.full
    assert speaking.text.endswith("longer than I can show.)")


def test_files_without_end_are_cut_too() -> None:
    assert not taken(*[File("a", b"a")] * (answer.FILES_MAX - 1)).full
    assert taken(*[File("a", b"a")] * answer.FILES_MAX).full


def test_the_answers_forgets_who_has_spoken() -> None:
    changed: list[ChatId] = []
    answers = LiveAnswers(changed.append)
    first, second = answers.open(turn(1)), answers.open(turn(2))
    assert answers.in_chat(ChatId(7)) == [first, second]
    answers.changed(second)
    answers.close(first)
    answers.close(second)
    assert (answers.in_chat(ChatId(7)), changed) == ([], [7])


def of(kind: FileKind, *names: str) -> list[File]:
    return [File(name, b"x", kind) for name in names]


def test_an_album_is_sent_in_groups_that_telegram_takes() -> None:
    """Ten at most, photos apart from documents, a single one or a voice alone; in order."""
    many = of("photo", *"abcdefghijkl")
    [plan] = of("document", "plan")
    voices = of("voice", "hi", "ho")
    answered = taken("See:", Album([*many, plan, *voices, *many[:1]]))
    assert said(answered) == ["See:", Album(many[:10]), Album(many[10:]), plan, *voices, many[0]]


def test_what_is_said_of_an_albums_files_stands_before_it() -> None:
    photos = of("photo", "a", "b")
    notice, sent = said(taken(Album([*photos, File("empty", b"", "photo")])))
    assert sent == Album(photos)
    assert "empty cannot be sent" in str(notice)


def test_an_album_counts_as_its_files() -> None:
    assert taken(Album(of("photo", *"abc" * 40))).full


# -- the bot in this process, where a preview can be given up soon --


@pytest.fixture
async def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    """Hold the first edit, a preview; the bot gives it up, and it takes effect when the test says so."""
    monkeypatch.setattr("tgbot.delivery.preview.REQUEST_SECONDS", 0.5)
    monkeypatch.setattr("tgbot.delivery.delivery.POLL_SECONDS", 0.1)
    monkeypatch.setattr("tgbot.delivery.preview.PRIVATE_SECONDS", 0.05)
    return Held(monkeypatch, "editMessageText")


def edits(wire: PlaygroundServer) -> list[dict[str, Any]]:
    return [call for call in wire.world.journal if call["method"] == "editMessageText"]


def texts(wire: PlaygroundServer) -> list[str]:
    """The texts that the edits gave the message, one after the other."""
    return [text for text, _ in itertools.groupby(call["params"]["text"] for call in edits(wire))]


def let_time_pass(database_path: Path) -> None:
    """Let so much time pass that a preview that has not arrived never will."""
    with contextlib.closing(sqlite3.connect(database_path)) as raw, raw:
        raw.execute("UPDATE outbox SET uncertain_until = uncertain_until - ?", (LATE_SECONDS,))


async def test_a_preview_that_arrives_after_the_final_text_does_not_stay(
    wire: PlaygroundServer, database_path: Path, held: Held
) -> None:
    gate = Gate()

    async def agent(_: AgentTurn) -> AsyncGenerator[str, None]:
        yield "Once "
        await eventually(lambda: ann.sees == ["Once"], "the first words")
        yield "upon "
        await gate.wait()
        yield "a time."

    ann = Person(wire)
    async with running(wire, database_path, agent):
        ann.says("tell me")
        await held.comes()
        gate.set()
        await eventually(lambda: ann.sees == ["Once upon a time."], "the final text")
        held.let_go()
        await eventually(lambda: ann.sees == ["Once upon"], "the late preview, over it")
        let_time_pass(database_path)
        await eventually(lambda: ann.sees == ["Once upon a time."], "the final text again")
        assert "reply_markup" not in ann.screen[-1]
    assert texts(wire) == ["Once upon a time.", "Once upon", "Once upon a time."]


async def test_a_late_preview_of_a_turn_that_goes_on_is_overwritten_by_its_next_words(
    wire: PlaygroundServer, database_path: Path, held: Held
) -> None:
    gate = Gate()

    async def agent(_: AgentTurn) -> AsyncGenerator[str, None]:
        yield "Once "
        await eventually(lambda: bool(ann.sees), "the first words")
        yield "upon "
        await held.comes()
        while not gate.is_set():
            await asyncio.sleep(0.05)
            yield "upon "
        yield "a time."

    ann = Person(wire)
    async with running(wire, database_path, agent):
        ann.says("tell me")
        await eventually(lambda: len(texts(wire)) > 1, "previews go on after the one that is held")
        held.let_go()
        await eventually(lambda: held.text in texts(wire)[:-1], "it arrives, and others after it")
        assert held.text not in ann.sees
        gate.set()
        await ann.sees_among("a time.")


async def test_an_answer_that_takes_the_place_of_an_earlier_one_is_the_only_one_on_screen(
    wire: PlaygroundServer, database_path: Path
) -> None:
    rows: list[RowId] = []

    async def agent(turn: AgentTurn) -> AsyncGenerator[Event, None]:
        if turn.text == "again":
            yield InsteadOf(rows[0])
        rows.append(turn.ownership.row_id)
        if turn.text == "fail":
            yield InsteadOf(rows[0])
            raise RuntimeError
        yield f"re: {turn.text}"

    async with running(wire, database_path, agent) as person:
        person.says("a")
        await person.sees_at_last("re: a")
        person.says("fail")
        await person.sees_among("Sorry, something went wrong")
        assert person.sees[0] == "re: a", "it was not replaced by a failure"
        person.says("again")
        await eventually(lambda: "re: again" in person.sees and "re: a" not in person.sees, "it is replaced")
