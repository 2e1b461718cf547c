"""Answers as they come: typing, first words, previews, the stop button, drafts, reactions."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from tests.held import Held
from tests.waiting import eventually
from tests.whole_bot.agents import Dictation
from tests.whole_bot.process import BotProcess, Person
from tgbot.playground.errors import ApiError
from tgbot.playground.registry import METHODS
from tgbot.playground.server import PlaygroundServer

GROUP = -5
Call = dict[str, Any]


@pytest.fixture
def bot(bot: BotProcess) -> BotProcess:
    bot.setting(agent="tests.whole_bot.agents:obedient")
    return bot


@pytest.fixture
def agent(tmp_path: Path) -> Dictation:
    return Dictation(tmp_path)


class Watch:
    """Records what the bot sends to chats, each call with its time; must be made before the bot starts."""

    def __init__(self, wire: PlaygroundServer) -> None:
        self._seen: list[tuple[float, Call]] = []
        record = wire.world.journal.record

        def timed(entry: Call) -> None:
            self._seen.append((asyncio.get_running_loop().time(), entry))
            record(entry)

        wire.world.journal.record = timed  # type: ignore[method-assign]

    def __iter__(self) -> Iterator[tuple[float, Call]]:
        return iter([(at, call) for at, call in self._seen if "chat_id" in call["params"]])

    def calls(self, method: str = "") -> list[Call]:
        return [call for _, call in self if method in call["method"]]

    def previews(self) -> list[Call]:
        """The first words and the edits that add to them: with a stop button, their turn is not over yet."""
        return [call for call in self.calls("MessageText") + self.calls("sendMessage") if _grows(call)]

    def texts(self) -> list[str]:
        return [call["params"]["text"] for _, call in self if _grows(call)]

    def notified(self) -> list[str]:
        """The texts that a phone has shown as notifications."""
        sent = [call["params"] for _, call in self if call["method"] == "sendMessage"]
        return [params["text"] for params in sent if not params.get("disable_notification")]


def _grows(call: Call) -> bool:
    return buttons(call["params"]) == ["⏹ Stop"]


@pytest.fixture
def watch(wire: PlaygroundServer) -> Watch:
    return Watch(wire)


def buttons(message: dict[str, Any]) -> list[str]:
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [button["text"] for row in rows for button in row]


async def test_typing_is_shown_until_an_answer_that_comes_at_once_is_one_request(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch
) -> None:
    bot.setting(receipts="false", notify_after_seconds=0.01)
    await bot.start()
    ann.says(agent.message)
    await eventually(lambda: bool(watch.calls("sendChatAction")), "typing")
    assert ann.sees == []
    agent.words("Done.").end()
    await ann.sees_at_last("Done.")
    await bot.stop()  # ends the sender: what it would still do, it has done
    assert {call["method"] for call in watch.calls()} == {"sendChatAction", "sendMessage"}
    [sent] = watch.calls("sendMessage")
    assert sent["params"].keys() == {"chat_id", "text", "link_preview_options"}
    assert watch.calls()[-1] == sent, "no typing beside the answer"
    assert watch.notified() == ["Done."]


async def test_the_first_words_notify_and_every_edit_shows_more(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch
) -> None:
    await bot.start()
    ann.says(agent.message)
    for piece in ("One ", "**two ", "three** ", "`four` "):
        before = len(watch.previews())
        agent.words(piece)
        await eventually(lambda seen=before: len(watch.previews()) > seen, f"a preview with {piece!r}")  # type: ignore[misc]
    assert watch.texts() == ["One", "One two", "One two three", "One two three four"]
    first, *_ = watch.calls("editMessageText")
    assert [e["type"] for e in first["params"]["entities"]] == ["bold"], "closed mid-way"
    assert buttons(ann.screen[-1]) == ["⏹ Stop"]
    agent.end()
    await eventually(lambda: not buttons(ann.screen[-1]), "the final text takes the button away")
    assert [call["params"]["text"] for call in watch.calls("sendMessage")] == ["One"]
    assert watch.notified() == ["One"]
    assert [entity["type"] for entity in ann.screen[-1]["entities"]] == ["bold", "code"]


async def test_a_long_answer_grows_message_by_message_and_what_is_full_stays_as_it_is(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch
) -> None:
    words = [f"word{n} " for n in range(1200)]
    await bot.start()
    ann.says(agent.message)
    full: list[str] = []
    for number in range(1, 4):
        agent.words("".join(words[(number - 1) * 400 : number * 400]))
        await eventually(lambda: len(ann.sees) == number, f"{number} messages")  # noqa: B023 - waited for
        assert ann.sees[: len(full)] == full
        full = ann.sees[:-1]
        assert [buttons(message) for message in ann.screen[1:]] == [[]] * len(full) + [["⏹ Stop"]]
    agent.words("the end.").end()
    await eventually(lambda: ann.sees[-1].endswith("the end."), "the end")
    assert ann.sees[:2] == full
    assert " ".join(ann.sees).split() == [*"".join(words).split(), "the", "end."], "nothing lost or doubled"
    assert len(watch.calls("sendMessage")) == 3
    assert len(watch.notified()) == 1, "one answer, one notification"


async def test_an_answer_of_eight_messages_and_a_file_that_comes_at_once_takes_nine_requests(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch
) -> None:
    bot.setting(receipts="false", stream="off")
    await bot.start()
    ann.says(agent.message)
    agent.words(" ".join(f"word{n}" for n in range(6000))).end()
    await eventually(lambda: ann.shown[-1:] == ["document: The rest of the answer."], "the file")
    await bot.stop()
    methods = [call["method"] for call in watch.calls() if call["method"] != "sendChatAction"]
    assert methods == ["sendMessage"] * 8 + ["sendDocument"]
    assert watch.notified() == ann.shown[:1]
    assert [message.get("silent", False) for message in ann.screen[1:]] == [False] + [True] * 8


async def test_typing_is_not_shown_once_there_are_words(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch
) -> None:
    await bot.start()
    ann.says(agent.message)
    agent.words("Once ")
    await ann.sees_among("Once")
    before = len(watch.calls("sendChatAction"))
    await asyncio.sleep(5)  # typing is shown again every 4.5 seconds
    agent.words("upon a time.").end()
    await ann.sees_at_last("Once upon a time.")
    assert len(watch.calls("sendChatAction")) == before


@pytest.mark.parametrize(("chat_id", "every_seconds"), [(7, 1.0), (GROUP, 3.0)])
async def test_previews_keep_their_pace(  # noqa: PLR0913, PLR0917 - fixtures
    bot: BotProcess,
    wire: PlaygroundServer,
    agent: Dictation,
    watch: Watch,
    chat_id: int,
    every_seconds: float,
) -> None:
    await bot.start()
    person = Person(wire, chat_id=chat_id)
    person.says(agent.message)
    for n in range(2):
        agent.words(f"word{n} ")
        await eventually(lambda seen=n: len(watch.previews()) > seen, "a preview")  # type: ignore[misc]
    agent.end()
    await person.sees_at_last("word0 word1")
    at = [at for at, call in watch if _grows(call)]
    # The time of arrival, so a slow request may shorten a gap; half of it would be another pace.
    assert all(later - sooner > every_seconds / 2 for sooner, later in itertools.pairwise(at))


async def test_previews_never_spend_the_penalty_window_and_go_on_after_it(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch, wire: PlaygroundServer
) -> None:
    await bot.start()
    ann.says(agent.message)
    agent.words("Once ")
    await ann.sees_among("Once")
    await eventually(lambda: bool(watch.calls("setMessageReaction")), "all else is said")
    wire.world.add_faults([{"method": "editMessageText", "kind": "429", "times": 1, "retry_after": 3}])
    agent.words("upon ")
    await eventually(lambda: bool(_refused(watch)), "the flood limit")
    await eventually(
        lambda: ann.sees == ["Once upon"], "what was refused is shown, though no word came since"
    )
    agent.words("a time.").end()
    await ann.sees_at_last("Once upon a time.")
    at, _ = _refused(watch)[0]
    assert min(later for later, _ in watch if later > at) - at >= 3, "nothing was tried in the penalty window"


async def test_the_final_text_arrives_when_a_preview_edit_was_flood_limited(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, "editMessageText")
    await bot.start()
    ann.says(agent.message)
    agent.words("Once ")
    await ann.sees_among("Once")
    agent.words("upon ")
    await held.comes()
    agent.words("a time.").end()
    await bot.logs("state=done")
    held.let_go(ApiError(HTTPStatus.TOO_MANY_REQUESTS, "Too Many Requests: retry after 1", retry_after=1))
    await ann.sees_at_last("Once upon a time.")
    assert len(watch.calls("editMessageText")) == 2, "the flooded preview, then at once the final text"


def _refused(watch: Watch) -> list[tuple[float, Call]]:
    return [(at, call) for at, call in watch if call["status"] == HTTPStatus.TOO_MANY_REQUESTS]


async def test_a_preview_whose_fate_is_unknown_does_not_freeze_the_stream(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch, wire: PlaygroundServer
) -> None:
    await bot.start()
    ann.says(agent.message)
    agent.words("Once ")
    await ann.sees_among("Once")
    wire.world.add_faults([{"method": "editMessageText", "kind": "cut_after", "times": 1}])
    agent.words("upon ")
    await eventually(lambda: bool(watch.calls("editMessageText")), "the one that is cut")
    agent.words("a time ")
    await eventually(lambda: ann.sees == ["Once upon a time"], "what came after it")
    agent.end()
    await eventually(lambda: not buttons(ann.screen[-1]), "the end")
    assert ann.sees == ["Once upon a time"]


async def test_the_stop_button_stops_its_own_turn_and_keeps_what_was_written(
    bot: BotProcess, ann: Person, tmp_path: Path, wire: PlaygroundServer
) -> None:
    await bot.start()
    bob = Person(wire, user_id=8)
    anns, bobs = Dictation(tmp_path, "ann"), Dictation(tmp_path, "bob")
    for person, agent in ((ann, anns), (bob, bobs)):
        person.says(agent.message)
        agent.words("Once **upon** a time ")
        await person.sees_among("Once upon a time")
    anns.words("there *was")
    await ann.sees_among("Once upon a time there was")
    ann.presses("⏹ Stop")
    await ann.sees_at_last("Once upon a time there was\n\n⏹ Stopped.")  # and no other message
    assert [entity["type"] for entity in ann.screen[-1]["entities"]] == ["bold", "italic"]
    assert not any(buttons(message) for message in ann.screen)
    bobs.words("there was").end()
    await bob.sees_at_last("Once upon a time there was")


async def test_an_old_stop_button_says_so_and_stops_nothing(
    bot: BotProcess, ann: Person, tmp_path: Path, wire: PlaygroundServer
) -> None:
    await bot.start()
    first, second = Dictation(tmp_path, "first"), Dictation(tmp_path, "second")
    ann.says(first.message)
    first.words("First ")
    await ann.sees_at_last("First")
    message_id, data = ann.screen[-1]["message_id"], _stop_data(ann.screen[-1])
    first.words("one.").end()
    ann.says(second.message)
    second.words("Second ")
    await ann.sees_at_last("First one.", "Second")
    # The screen of a phone may be behind: the button is pressed after its message has lost it.
    callback_id = wire.world.press(ann.chat_id, message_id, ann.user_id, data)
    await eventually(lambda: wire.world.callback(callback_id) is not None, "an answer to the press")
    assert wire.world.callback(callback_id) == {"text": "This has ended already."}
    second.words("one.").end()
    await ann.sees_at_last("First one.", "Second one.")


def _stop_data(message: dict[str, Any]) -> str:
    data: str = message["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
    return data


async def test_a_recovered_turn_reuses_the_message_of_its_earlier_attempt_and_overwrites_it(
    bot: BotProcess, ann: Person, tmp_path: Path
) -> None:
    await bot.start()
    first, second = Dictation(tmp_path), Dictation(tmp_path, attempt=2)
    ann.says(first.message)
    first.words("A first attempt that gets lost ")
    await ann.sees_among("A first attempt")
    message_id = ann.screen[-1]["message_id"]
    await bot.kill()
    await bot.start()
    second.words("Second ")
    await eventually(lambda: ann.sees == ["Second"], "the same message, overwritten")
    second.words("attempt.").end()
    await ann.sees_at_last("Second attempt.")
    assert [m["message_id"] for m in ann.screen if m["from"]["is_bot"]] == [message_id]


async def test_the_answer_replies_to_its_question_only_when_other_messages_lie_between(
    bot: BotProcess, ann: Person, tmp_path: Path
) -> None:
    await bot.start()
    alone, *agents = [Dictation(tmp_path, str(n)) for n in range(3)]
    ann.says(alone.message)
    alone.words("alone").end()
    await ann.sees_among("alone")
    ann.says(*(agent.message for agent in agents))
    agents[0].words("answer 0").end()
    await ann.sees_at_last("alone", "answer 0")
    agents[1].words("answer 1").end()
    await ann.sees_at_last("alone", "answer 0", "answer 1")
    answers = [message for message in ann.screen if message["from"]["is_bot"]]
    replies = [message.get("reply_to_message", {}).get("text") for message in answers]
    assert replies == [None, *(agent.message for agent in agents)]


async def test_progress_lines_are_silent_replace_each_other_and_words_replace_them(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch
) -> None:
    await bot.start()
    ann.says(agent.message)
    agent.progress("searching the library")
    await eventually(lambda: ann.sees == ["⏳ searching the library"], "the line")
    agent.words("So far: ").progress("reading page 2")
    await eventually(lambda: ann.sees == ["So far:\n\n⏳ reading page 2"], "words and the newest line")
    agent.words("found ")
    await eventually(lambda: ann.sees == ["So far: found"], "words alone")
    agent.words("nothing.").end()
    await ann.sees_at_last("So far: found nothing.")
    assert watch.notified() == [], "the turn was short: somebody still looks"


async def test_progress_lines_are_quiet_in_groups(
    bot: BotProcess, wire: PlaygroundServer, agent: Dictation, watch: Watch
) -> None:
    await bot.start()
    person = Person(wire, chat_id=GROUP)
    person.says(agent.message)
    agent.progress("searching the library")
    await eventually(lambda: bool(watch.calls("sendChatAction") or watch.previews()), "something to see")
    agent.words("Found ").progress("reading page 2").words("it.").end()
    await person.sees_at_last("Found it.")
    assert not any("⏳" in call["params"].get("text", "") for call in watch.calls())


async def test_a_replacement_takes_the_place_of_what_was_said(
    bot: BotProcess, ann: Person, agent: Dictation
) -> None:
    await bot.start()
    ann.says(agent.message)
    agent.words("The answer is 41.")
    await ann.sees_among("The answer is 41.")
    agent.replacement("The answer is 42")
    await eventually(lambda: ann.sees == ["The answer is 42"], "the replacement while it streams")
    agent.words(".").end()
    await ann.sees_at_last("The answer is 42.")


async def test_stream_off_shows_only_typing_and_the_end(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch
) -> None:
    bot.setting(stream="off", receipts="false")
    await bot.start()
    ann.says(agent.message)
    agent.words("Once upon ")
    await eventually(lambda: bool(watch.calls("sendChatAction")), "typing")
    agent.words("a time.").end()
    await ann.sees_at_last("Once upon a time.")
    methods = [method for method, _ in itertools.groupby(call["method"] for call in watch.calls())]
    assert methods == ["sendChatAction", "sendMessage"]


@pytest.mark.parametrize("how", ["ends", "is stopped", "raises"])
async def test_typing_stops_when_the_turn_ends_however_it_ends(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch, how: str
) -> None:
    bot.setting(agent="tests.whole_bot.agents:obedient")
    await bot.start()
    ann.says(agent.message)
    await eventually(lambda: bool(watch.calls("sendChatAction")), "typing")
    _end(how, agent, ann)
    await bot.logs("turn.ended")
    await eventually(lambda: len(ann.sees) == 1, "one message says how it ended")
    await bot.stop()  # ends the senders: what they would still do, they have done
    methods = [call["method"] for call in watch.calls()]
    assert "sendChatAction" not in methods[methods.index("sendMessage") :]
    assert len(ann.sees) == 1


def _end(how: str, agent: Dictation, ann: Person) -> None:
    if how == "is stopped":
        ann.says("/stop")
    elif how == "raises":
        agent.fail()
    else:
        agent.words("Done.").end()


async def test_a_draft_streams_natively_and_ends_in_one_message(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch, wire: PlaygroundServer
) -> None:
    bot.setting(stream="draft")
    await bot.start()
    ann.says(agent.message)
    agent.words("Once ")
    await eventually(_draft_reads(wire, ann, "Once"), "a draft")
    agent.words("**upon** ")
    await eventually(_draft_reads(wire, ann, "Once upon"), "it grows")
    assert ann.sees == [], "nothing is sent before the end"
    agent.words("a time.").end()
    await ann.sees_at_last("Once upon a time.")
    assert watch.notified() == ["Once upon a time."]
    assert wire.world.chat(ann.chat_id).shown_draft() is None
    drafts = [call["params"] for call in watch.calls("sendMessageDraft")]
    assert len({draft["draft_id"] for draft in drafts}) == 1
    assert all(draft["can_stop"] for draft in drafts)
    assert watch.previews() == []


async def test_the_native_stop_of_a_draft_ends_its_turn_and_keeps_what_was_written(
    bot: BotProcess, ann: Person, agent: Dictation, wire: PlaygroundServer
) -> None:
    bot.setting(stream="draft")
    await bot.start()
    ann.says(agent.message)
    agent.words("Once upon ")
    await eventually(_draft_reads(wire, ann, "Once upon"), "a draft")
    wire.world.stop_draft(ann.chat_id)
    await ann.sees_at_last("Once upon\n\n⏹ Stopped.")
    assert "state=stopped" in bot.log


def _draft_reads(wire: PlaygroundServer, person: Person, text: str) -> Callable[[], bool]:
    def reads() -> bool:
        draft = wire.world.chat(person.chat_id).shown_draft()
        return draft is not None and draft["text"] == text

    return reads


async def test_a_draft_that_the_server_refuses_becomes_edits(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tgbot.playground.world.World.set_draft", _refuse)
    bot.setting(stream="draft")
    await bot.start()
    ann.says(agent.message)
    agent.words("Once ")
    await ann.sees_at_last("Once")
    agent.words("upon a time.").end()
    await ann.sees_at_last("Once upon a time.")
    assert len(watch.calls("sendMessageDraft")) == 1, "asked once, then no more"


async def test_a_server_that_does_not_know_drafts_gets_edits(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Bot API server of one's own that is older than drafts has no such method."""
    monkeypatch.delitem(METHODS, "sendmessagedraft")
    bot.setting(stream="draft")
    await bot.start()
    ann.says(agent.message)
    agent.words("Once ")
    await ann.sees_at_last("Once")
    agent.words("upon a time.").end()
    await ann.sees_at_last("Once upon a time.")


def _refuse(*_: object) -> None:
    raise ApiError(400, "Bad Request: TEXTDRAFT_PEER_INVALID")


async def test_a_group_gets_edits_where_drafts_are_asked_for(
    bot: BotProcess, wire: PlaygroundServer, agent: Dictation, watch: Watch
) -> None:
    bot.setting(stream="draft")
    await bot.start()
    person = Person(wire, chat_id=GROUP)
    person.says(agent.message)
    agent.words("Once ")
    await person.sees_at_last("Once")
    agent.words("upon a time.").end()
    await person.sees_at_last("Once upon a time.")
    assert watch.calls("sendMessageDraft") == []


async def test_reactions_say_received_working_and_done_or_failed(
    bot: BotProcess, ann: Person, tmp_path: Path, watch: Watch
) -> None:
    await bot.start()
    agents = [Dictation(tmp_path, str(n)) for n in range(2)]
    ann.says(agents[0].message)
    await eventually(lambda: _reactions(ann)[0] == ["✍"], "working")
    ann.says(agents[1].message)
    await eventually(lambda: _reactions(ann)[1] == ["👀"], "received")
    agents[0].words("Done.").end()
    await eventually(lambda: _reactions(ann) == [["👌"], ["✍"]], "done, working")
    _end("raises", agents[1], ann)
    await eventually(lambda: _reactions(ann) == [["👌"], ["💔"]], "done, failed")


def _reactions(person: Person) -> list[list[str]]:
    asked = [message for message in person.screen if not message["from"]["is_bot"]]
    return [[reaction["emoji"] for reaction in message["reactions"]] for message in asked]


async def test_a_stopped_question_does_not_stay_marked_as_worked_on(
    bot: BotProcess, ann: Person, agent: Dictation
) -> None:
    await bot.start()
    ann.says(agent.message)
    agent.words("Once ")
    await ann.sees_among("Once")
    await eventually(lambda: _reactions(ann) == [["✍"]], "working")
    ann.presses("⏹ Stop")
    await eventually(lambda: _reactions(ann) == [[]], "no mark any more")


async def test_what_waits_for_an_answer_is_not_marked_as_worked_on(
    bot: BotProcess, ann: Person, tmp_path: Path
) -> None:
    await bot.start()
    first, second = Dictation(tmp_path), Dictation(tmp_path, attempt=2)
    ann.says(first.message)
    await eventually(lambda: _reactions(ann) == [["✍"]], "working")
    first.question("Delete it?", "Yes", "No").end()
    await eventually(lambda: _reactions(ann) == [[]], "it is the person's turn")
    ann.presses("Yes")
    await eventually(lambda: _reactions(ann) == [["✍"]], "working again")
    second.words("Gone.").end()
    await eventually(lambda: _reactions(ann) == [["👌"]], "done")


async def test_a_question_is_marked_as_answered_only_when_the_answer_is_on_screen(  # noqa: PLR0913, PLR0917 - fixtures
    bot: BotProcess,
    ann: Person,
    tmp_path: Path,
    wire: PlaygroundServer,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another chat shows that the bot has had the time for it."""
    await bot.start()
    anns, bobs = Dictation(tmp_path, "ann"), Dictation(tmp_path, "bob")
    bob = Person(wire, user_id=8)
    ann.says(anns.message)
    await eventually(lambda: _reactions(ann) == [["✍"]], "working")
    held = Held(monkeypatch, "sendMessage")
    anns.words("Done.").end()
    await held.comes()
    bob.says(bobs.message)
    bobs.words("Done.").end()
    await eventually(lambda: _reactions(bob) == [["👌"]], "the other chat's")
    assert _reactions(ann) == [["✍"]]
    held.let_go()
    await eventually(lambda: _reactions(ann) == [["👌"]], "done")
    methods = [call["method"] for call in watch.calls() if call["params"]["chat_id"] == ann.chat_id]
    assert methods[-2:] == ["sendMessage", "setMessageReaction"]


async def test_a_question_whose_answer_cannot_be_shown_is_marked_so(
    bot: BotProcess, ann: Person, agent: Dictation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tgbot.playground.methods.text_content", _refuse)
    await bot.start()
    ann.says(agent.message)
    agent.words("Done.").end()
    await eventually(lambda: _reactions(ann) == [["💔"]], "failed")
    await bot.logs("delivery.parked")


async def test_a_reaction_that_a_kill_prevented_is_made_up_for(
    bot: BotProcess, ann: Person, agent: Dictation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bot.start()
    ann.says(agent.message)
    await eventually(lambda: _reactions(ann) == [["✍"]], "working")
    held = Held(monkeypatch, "setMessageReaction")
    agent.words("Done.").end()
    await held.comes()
    await bot.kill()
    await bot.start()
    await eventually(lambda: _reactions(ann) == [["👌"]], "done")
    assert ann.sees == ["Done."]


async def test_what_is_held_or_dropped_is_not_marked_as_received_any_more(
    bot: BotProcess, ann: Person, tmp_path: Path
) -> None:
    await bot.start()
    running, waiting = Dictation(tmp_path, "running"), Dictation(tmp_path, "waiting")
    ann.says(running.message)
    await eventually(lambda: _reactions(ann) == [["✍"]], "working")
    ann.says(waiting.message)
    await eventually(lambda: _reactions(ann) == [["✍"], ["👀"]], "received")
    ann.says("/stop")
    await eventually(lambda: _reactions(ann) == [[], [], []], "stopped, and on hold")
    ann.presses("Run them")
    await eventually(lambda: _reactions(ann) == [[], ["✍"], []], "it runs after all")
    waiting.words("Done.").end()
    await eventually(lambda: _reactions(ann) == [[], ["👌"], []], "done")


async def test_reactions_can_be_turned_off(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch
) -> None:
    bot.setting(receipts="false")
    await bot.start()
    ann.says(agent.message)
    agent.words("Done.").end()
    await ann.sees_at_last("Done.")
    await bot.stop()
    assert watch.calls("setMessageReaction") == []


@pytest.mark.parametrize(("after_seconds", "pings"), [(0.01, ["✅ Once upon a time."]), (0, []), (600, [])])
async def test_a_long_turn_ends_with_a_ping_of_its_first_words_that_points_at_the_answer(  # noqa: PLR0913, PLR0917 - fixtures
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch, after_seconds: float, pings: list[str]
) -> None:
    bot.setting(notify_after_seconds=after_seconds)
    await bot.start()
    ann.says(agent.message)
    agent.progress("looking for words")
    await ann.sees_among("looking")
    agent.words("Once upon a time.").end()
    await ann.sees_at_last("Once upon a time.", *pings)
    await bot.stop()  # ends the sender: what it would still do, it has done
    assert ann.sees == ["Once upon a time.", *pings]
    assert watch.notified() == pings
    replies = [message.get("reply_to_message", {}).get("text") for message in ann.screen[2:]]
    assert replies == ["Once upon a time."] * len(pings)


async def answered(bot: BotProcess, ann: Person, folder: Path) -> Dictation:
    """Start a bot that asks something, and answer it; gives what the agent says from then on."""
    await bot.start()
    first = Dictation(folder)
    ann.says(first.message)
    first.question("Delete it?", "Yes", "No").end()
    await ann.sees_among("Delete it?")
    ann.presses("Yes")
    return Dictation(folder, attempt=2)


@pytest.mark.parametrize("pauses", [False, True])
async def test_the_first_words_after_a_question_notify_also_where_a_line_of_progress_came_before(
    bot: BotProcess,
    ann: Person,
    tmp_path: Path,
    watch: Watch,
    pauses: bool,  # noqa: FBT001 - before the end, so that the words are a preview first
) -> None:
    second = await answered(bot, ann, tmp_path)
    second.progress("deleting")
    await ann.sees_at_last("Delete it?\n\n→ Yes", "⏳ deleting")
    second.words("It is gone. ")
    if pauses:
        await ann.sees_at_last("Delete it?\n\n→ Yes", "It is gone.")
    second.words("For good.").end()
    await ann.sees_at_last("Delete it?\n\n→ Yes", "It is gone. For good.")
    await bot.stop()
    [question, words] = watch.notified()
    assert (question, words[:11]) == ("Delete it?", "It is gone.")
    assert bot.had_no_trouble


async def test_words_notify_after_a_question_also_where_earlier_ones_were_taken_back(
    bot: BotProcess, ann: Person, tmp_path: Path, watch: Watch
) -> None:
    second = await answered(bot, ann, tmp_path)
    second.words("Wai")
    await asyncio.sleep(0.3)  # delivery has seen them, and waits for more
    second.replacement("").progress("deleting")
    await ann.sees_at_last("Delete it?\n\n→ Yes", "⏳ deleting")
    second.words("It is gone. ")
    await ann.sees_at_last("Delete it?\n\n→ Yes", "It is gone.")
    [_, words] = watch.notified()
    assert words in {"It is gone.", "Wai"}, "a slow machine may have shown the first ones before they went"
    second.end()


async def test_markdown_is_shown_as_formatting(bot: BotProcess, ann: Person, agent: Dictation) -> None:
    await bot.start()
    ann.says(agent.message)
    agent.words("# Title\n\nSome **bold** and a [link](https://example.com/).\n\n```python\nprint(1)\n```")
    agent.end()
    await ann.sees_at_last("Title\n\nSome bold and a link.\n\nprint(1)")
    entities = {entity["type"]: entity for entity in ann.screen[-1]["entities"]}
    assert {"bold", "text_link", "pre"} <= entities.keys()
    assert entities["pre"]["language"] == "python"


async def test_format_rich_shows_one_rich_message(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch
) -> None:
    bot.setting(format="rich")
    await bot.start()
    ann.says(agent.message)
    agent.words("# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n").end()
    await eventually(lambda: "rich_message" in ann.screen[-1], "a rich message")
    assert [block["type"] for block in ann.screen[-1]["rich_message"]["blocks"]] == ["heading", "table"]
    assert [call["method"] for call in watch.calls("Message") if "text" in call["params"]] == []


async def test_a_rich_message_that_the_server_refuses_becomes_text(
    bot: BotProcess, ann: Person, agent: Dictation, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tgbot.playground.methods.rich_content", _refuse)
    bot.setting(format="rich")
    await bot.start()
    ann.says(agent.message)
    agent.words("# Title\n\nSome **bold**.").end()
    await ann.sees_at_last("Title\n\nSome bold.")
    assert len(watch.calls("sendMessage")) == 1


@pytest.mark.parametrize(("chat_id", "per_second"), [(7, 5), (GROUP, 4)])
async def test_a_chat_gets_no_more_than_its_rate_in_the_long_run(  # noqa: PLR0913, PLR0917 - fixtures
    bot: BotProcess,
    wire: PlaygroundServer,
    agent: Dictation,
    watch: Watch,
    chat_id: int,
    per_second: int,
) -> None:
    bot.setting(rate_chat_per_second=5, rate_group_per_minute=4 * 60)
    await bot.start()
    began = asyncio.get_running_loop().time()
    person = Person(wire, chat_id=chat_id)
    person.says(agent.message)
    agent.words(" ".join(f"word{n}" for n in range(6000))).end()
    await eventually(lambda: bool(person.screen) and "document" in person.screen[-1], "the end")
    passed = asyncio.get_running_loop().time() - began
    assert 9 <= len(watch.calls()) <= 3 + passed * per_second, "a burst of three, then the rate"
