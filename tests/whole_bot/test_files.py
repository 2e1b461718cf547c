"""Files and long answers: after the words they belong to, in order, and exactly once."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.waiting import eventually
from tests.whole_bot.agents import Dictation
from tests.whole_bot.process import BotProcess, Person
from tgbot.model import File, FileKind
from tgbot.playground.errors import ApiError
from tgbot.playground.registry import METHODS
from tgbot.playground.server import PlaygroundServer

# The smallest PNG: one pixel.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360000000020001e221bc330000000049454e44ae426082"
)


@pytest.fixture
def bot(bot: BotProcess) -> BotProcess:
    bot.setting(agent="tests.whole_bot.agents:obedient", receipts="false")
    return bot


@pytest.fixture
def agent(tmp_path: Path) -> Dictation:
    return Dictation(tmp_path)


async def show(person: Person, *wanted: str) -> None:
    await eventually(lambda: person.shown == list(wanted), f"{wanted} on screen")


def content(wire: PlaygroundServer, file_id: str) -> bytes:
    return wire.world.files.on_disk(wire.world.files.get(file_id)).read_bytes()


async def test_files_come_after_the_words_they_belong_to_in_order(
    bot: BotProcess, ann: Person, agent: Dictation, wire: PlaygroundServer
) -> None:
    await bot.start()
    ann.says(agent.message)
    agent.words("The plan:").file("plan.txt", b"dig", caption="Read it.")
    agent.words("The site:").file("site.png", PIXEL, "photo").words("That is all.").end()
    await show(ann, "The plan:", "document: Read it.", "The site:", "photo: ", "That is all.")
    document = ann.screen[-4]["document"]
    assert (document["file_name"], content(wire, document["file_id"])) == ("plan.txt", b"dig")


def album(kind: FileKind, *names: str) -> list[File]:
    return [File(name, PIXEL, kind, f"the {name}") for name in names]


def groups(person: Person) -> list[int]:
    """The number of messages in each album on screen."""
    ids = [message["media_group_id"] for message in person.screen if "media_group_id" in message]
    return list(Counter(ids).values())


async def test_an_album_is_one_group_behind_its_words_and_before_the_next(
    bot: BotProcess, ann: Person, agent: Dictation
) -> None:
    await bot.start()
    ann.says(agent.message)
    agent.words("Look:").album(*album("photo", "a.png", "b.png", "c.png")).words("Nice?").end()
    await show(ann, "Look:", "photo: the a.png", "photo: the b.png", "photo: the c.png", "Nice?")
    assert groups(ann) == [3]


async def test_an_answer_that_begins_with_an_album_leaves_no_line_of_progress(
    bot: BotProcess, ann: Person, agent: Dictation
) -> None:
    await bot.start()
    ann.says(agent.message)
    agent.progress("drawing")
    await show(ann, "⏳ drawing")
    agent.album(*album("document", "a.png", "b.png")).end()
    await show(ann, "document: the a.png", "document: the b.png")
    assert groups(ann) == [2]


async def test_an_album_that_the_server_refuses_comes_as_single_files(
    bot: BotProcess, ann: Person, agent: Dictation
) -> None:
    """One of its pictures is not a picture."""
    await bot.start()
    ann.says(agent.message)
    bad = File("bad.png", b"no picture", "photo", "the bad one")
    agent.words("Look:").album(*album("photo", "a.png"), bad).words("Nice?").end()
    await show(ann, "Look:", "photo: the a.png", "document: the bad one", "Nice?")
    assert groups(ann) == []


async def test_an_album_that_is_refused_after_a_try_of_unknown_fate_comes_as_single_files(
    bot: BotProcess, ann: Person, agent: Dictation, wire: PlaygroundServer
) -> None:
    wire.world.add_faults([{"method": "sendMediaGroup", "kind": "cut_before", "times": 1}])
    await bot.start()
    ann.says(agent.message)
    bad = File("bad.png", b"no picture", "photo", "the bad one")
    agent.words("Look:").album(*album("photo", "a.png"), bad).end()
    await show(ann, "Look:", "photo: the a.png", "document: the bad one")


async def test_a_voice_message_is_sent_and_leaves_no_line_of_progress(
    bot: BotProcess, ann: Person, agent: Dictation
) -> None:
    await bot.start()
    ann.says(agent.message)
    agent.progress("speaking")
    await show(ann, "⏳ speaking")
    agent.file("hello.ogg", b"OggS", "voice", caption="Hello").words("And in words.").end()
    await show(ann, "voice: Hello", "And in words.")


async def test_a_voice_message_that_the_person_does_not_take_comes_as_a_document(
    bot: BotProcess, ann: Person, agent: Dictation, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = ApiError(HTTPStatus.BAD_REQUEST, "Bad Request: VOICE_MESSAGES_FORBIDDEN")
    send_voice = METHODS["sendvoice"]
    monkeypatch.setitem(METHODS, "sendvoice", replace(send_voice, run=_raises(refusal)))
    await bot.start()
    ann.says(agent.message)
    agent.file("hello.ogg", b"OggS", "voice", caption="Hello").end()
    await show(ann, "document: Hello")


def _raises(error: ApiError) -> Callable[..., object]:
    def run(*_: object) -> object:
        raise error

    return run


async def test_a_photo_that_the_server_cannot_show_comes_as_a_document(
    bot: BotProcess, ann: Person, agent: Dictation, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse(monkeypatch, "photo")
    await bot.start()
    ann.says(agent.message)
    agent.words("Look:").file("wide.png", PIXEL, "photo", caption="Wide").end()
    await show(ann, "Look:", "document: Wide")


async def test_a_file_that_the_server_refuses_is_named_instead(
    bot: BotProcess, ann: Person, agent: Dictation, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse(monkeypatch, "photo", "document")
    await bot.start()
    ann.says(agent.message)
    agent.words("Look:").file("wide.png", PIXEL, "photo", caption="Wide").words("Nice?").end()
    await show(ann, "Look:", "Wide\n\n(The file wide.png cannot be shown here.)", "Nice?")


def _refuse(monkeypatch: pytest.MonkeyPatch, *kinds: str) -> None:
    refusal = ApiError(HTTPStatus.BAD_REQUEST, "Bad Request: PHOTO_INVALID_DIMENSIONS")
    for kind in kinds:
        method = METHODS[f"send{kind}"]
        monkeypatch.setitem(METHODS, f"send{kind}", replace(method, run=_raises(refusal)))


async def test_a_caption_that_is_too_long_is_said_in_full_before_its_file(
    bot: BotProcess, ann: Person, agent: Dictation
) -> None:
    caption = " ".join(f"word{n}" for n in range(300))
    await bot.start()
    ann.says(agent.message)
    agent.file("plan.txt", b"dig", caption=caption).end()
    await show(ann, caption, "document: ")


async def test_an_empty_file_is_named_instead(bot: BotProcess, ann: Person, agent: Dictation) -> None:
    await bot.start()
    ann.says(agent.message)
    agent.words("Here:").file("empty.txt", b"").end()
    await show(ann, "Here:\n\n(The file empty.txt cannot be sent: it is empty or larger than 50 MB.)")


async def test_an_answer_of_more_than_eight_messages_ends_in_a_file(
    bot: BotProcess, ann: Person, agent: Dictation, wire: PlaygroundServer
) -> None:
    words = [f"word{n}" for n in range(6000)]
    await bot.start()
    ann.says(agent.message)
    agent.words(" ".join(words)).end()
    await eventually(lambda: "document: The rest of the answer." in ann.shown, "the file")
    *parts, document = ann.shown
    file = ann.screen[-1]["document"]
    rest = content(wire, file["file_id"]).decode()
    assert (len(parts), document, file["file_name"]) == (
        8,
        "document: The rest of the answer.",
        "answer.md",
    )
    assert " ".join([*parts, rest]).split() == words, "nothing lost or doubled at the seams"
