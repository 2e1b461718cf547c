"""Files and long answers: after the words they belong to, in order, and exactly once."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

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


def shown(person: Person) -> list[str]:
    """The bot's messages: a text, or the kind of a file with its caption."""
    return [_shown(message) for message in person.screen if message["from"]["is_bot"]]


def _shown(message: dict[str, Any]) -> str:
    kinds = [kind for kind in ("photo", "document", "voice") if kind in message]
    return f"{kinds[0]}: {message.get('caption', '')}" if kinds else message["text"]


async def show(person: Person, *wanted: str) -> None:
    await eventually(lambda: shown(person) == list(wanted), f"{wanted} on screen")


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


@pytest.mark.parametrize(
    ("kind", "fault"),
    [("document", "cut_after"), ("photo", "cut_after"), ("document", "cut_before"), ("photo", "500")],
)
async def test_a_file_made_by_an_edit_appears_exactly_once(  # noqa: PLR0913, PLR0917 - fixtures
    bot: BotProcess, ann: Person, agent: Dictation, wire: PlaygroundServer, kind: str, fault: str
) -> None:
    wire.world.add_faults([{"method": "editMessageMedia", "kind": fault, "times": 2}])
    await bot.start()
    ann.says(agent.message)
    agent.file("a.png", PIXEL, kind).end()
    await bot.logs("delivery.sent")
    assert shown(ann) == [f"{kind}: "]
    edits = [call["status"] for call in wire.world.journal if call["method"] == "editMessageMedia"]
    assert len(edits) == 3, "two that failed, one more"


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


async def test_an_answer_that_begins_with_an_album_leaves_no_placeholder(
    bot: BotProcess, ann: Person, agent: Dictation
) -> None:
    await bot.start()
    ann.says(agent.message)
    await show(ann, "…")
    agent.album(*album("document", "a.png", "b.png")).end()
    await show(ann, "document: the a.png", "document: the b.png")
    assert groups(ann) == [2]


async def test_an_album_whose_fate_is_unknown_is_sent_once_more_and_marked(
    bot: BotProcess, ann: Person, agent: Dictation, wire: PlaygroundServer
) -> None:
    wire.world.add_faults([{"method": "sendMediaGroup", "kind": "cut_after", "times": 1}])
    await bot.start()
    ann.says(agent.message)
    agent.words("Look:").album(*album("photo", "a.png", "b.png")).words("Nice?").end()
    first = ["photo: the a.png", "photo: the b.png"]
    again = ["photo: the a.png (possibly a duplicate)", "photo: the b.png"]
    await show(ann, "Look:", *first, *again, "Nice?")
    assert groups(ann) == [2, 2]


async def test_an_album_that_never_gets_an_answer_is_parked_as_a_whole(
    bot: BotProcess, ann: Person, agent: Dictation, wire: PlaygroundServer
) -> None:
    wire.world.add_faults([{"method": "sendMediaGroup", "kind": "cut_before", "times": 2}])
    await bot.start()
    ann.says(agent.message)
    agent.words("Look:").album(*album("photo", "a.png", "b.png")).words("Nice?").end()
    await show(ann, "Look:", "Nice?")
    parked = (await bot.status())["parked_parts"]
    assert [part["error"] for part in parked] == ["this was sent twice, and no answer came"] * 2


async def test_an_album_that_was_flood_limited_is_no_duplicate(
    bot: BotProcess, ann: Person, agent: Dictation, wire: PlaygroundServer
) -> None:
    wire.world.add_faults([{"method": "sendMediaGroup", "kind": "429", "times": 1, "retry_after": 1}])
    await bot.start()
    ann.says(agent.message)
    agent.words("Look:").album(*album("photo", "a.png", "b.png")).end()
    await show(ann, "Look:", "photo: the a.png", "photo: the b.png")


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


async def test_an_album_that_is_refused_after_a_try_of_unknown_fate_comes_as_files_that_say_so(
    bot: BotProcess, ann: Person, agent: Dictation, wire: PlaygroundServer
) -> None:
    wire.world.add_faults([{"method": "sendMediaGroup", "kind": "cut_before", "times": 1}])
    await bot.start()
    ann.says(agent.message)
    bad = File("bad.png", b"no picture", "photo", "the bad one")
    agent.words("Look:").album(*album("photo", "a.png"), bad).end()
    marked = [f"{shown} (possibly a duplicate)" for shown in ("photo: the a.png", "document: the bad one")]
    await show(ann, "Look:", *marked)


async def test_a_voice_message_is_sent_and_leaves_no_placeholder(
    bot: BotProcess, ann: Person, agent: Dictation
) -> None:
    await bot.start()
    ann.says(agent.message)
    await show(ann, "…")
    agent.file("hello.ogg", b"OggS", "voice", caption="Hello").words("And in words.").end()
    await show(ann, "voice: Hello", "And in words.")


async def test_a_voice_message_whose_fate_is_unknown_is_sent_once_more_and_marked(
    bot: BotProcess, ann: Person, agent: Dictation, wire: PlaygroundServer
) -> None:
    wire.world.add_faults([{"method": "sendVoice", "kind": "cut_after", "times": 5}])
    await bot.start()
    ann.says(agent.message)
    agent.words("Listen:").file("hello.ogg", b"OggS", "voice", caption="Hello").words("Heard?").end()
    await show(ann, "Listen:", "voice: Hello", "voice: Hello (possibly a duplicate)", "Heard?")
    assert [part["error"] for part in (await bot.status())["parked_parts"]] == [
        "this was sent twice, and no answer came"
    ]


async def test_a_voice_message_that_was_flood_limited_is_no_duplicate(
    bot: BotProcess, ann: Person, agent: Dictation, wire: PlaygroundServer
) -> None:
    wire.world.add_faults([{"method": "sendVoice", "kind": "429", "times": 1, "retry_after": 1}])
    await bot.start()
    ann.says(agent.message)
    agent.words("Listen:").file("hello.ogg", b"OggS", "voice").end()
    await show(ann, "Listen:", "voice: ")


async def test_a_kill_while_a_voice_message_is_on_its_way_sends_it_once_more_and_marks_it(
    bot: BotProcess, ann: Person, agent: Dictation, wire: PlaygroundServer
) -> None:
    wire.world.add_faults([{"method": "sendVoice", "kind": "delay", "seconds": 60, "times": 1}])
    await bot.start()
    ann.says(agent.message)
    agent.words("Listen:").file("hello.ogg", b"OggS", "voice").end()
    await eventually(lambda: not any(rule.times for rule in wire.world.faults.rules), "it is on its way")
    await bot.kill()
    await bot.start()
    await show(ann, "Listen:", "voice: (possibly a duplicate)")


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


async def test_a_file_that_the_server_refuses_is_named_and_leaves_no_placeholder(
    bot: BotProcess, ann: Person, agent: Dictation, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse(monkeypatch, "photo", "document")
    await bot.start()
    ann.says(agent.message)
    agent.words("Look:").file("wide.png", PIXEL, "photo", caption="Wide").words("Nice?").end()
    await show(ann, "Look:", "Wide\n\n(The file wide.png cannot be shown here.)", "Nice?")


def _refuse(monkeypatch: pytest.MonkeyPatch, *kinds: str) -> None:
    from tgbot.playground import media  # noqa: PLC0415 - only here is it changed

    take = media._input_media

    def picky(item: object) -> dict[str, Any]:
        taken = take(item)
        if taken["type"] in kinds:
            raise ApiError(HTTPStatus.BAD_REQUEST, "Bad Request: PHOTO_INVALID_DIMENSIONS")
        return taken

    monkeypatch.setattr(media, "_input_media", picky)


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
    await eventually(lambda: "document: The rest of the answer." in shown(ann), "the file")
    *parts, document = shown(ann)
    file = ann.screen[-1]["document"]
    rest = content(wire, file["file_id"]).decode()
    assert (len(parts), document, file["file_name"]) == (
        8,
        "document: The rest of the answer.",
        "answer.md",
    )
    assert " ".join([*parts, rest]).split() == words, "nothing lost or doubled at the seams"
