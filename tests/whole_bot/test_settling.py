"""A send whose fate is unknown: at the end one copy is on screen, complete, and nothing else."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.held import Held
from tests.waiting import eventually
from tests.whole_bot.agents import Dictation
from tests.whole_bot.process import TOKEN, BotProcess, Person
from tests.whole_bot.test_files import PIXEL, album, groups
from tgbot.playground.bots import Bot
from tgbot.playground.errors import ApiError
from tgbot.playground.registry import METHODS, Params
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.world import World
from tgbot.store.settling import PROBES_MAX

SUPERGROUP = -1001234567890
Say = Callable[[Dictation], object]

ANSWERS: dict[str, tuple[Say, list[str]]] = {
    "sendMessage": (lambda agent: agent.words("Done."), ["Done."]),
    "sendRichMessage": (lambda agent: agent.words("# Title\n\n| a |\n|---|\n| 1 |\n"), ["rich"]),
    "sendPhoto": (
        lambda agent: agent.words("Look:").file("a.png", PIXEL, "photo", "A").words("Nice?"),
        ["Look:", "photo: A", "Nice?"],
    ),
    "sendDocument": (
        lambda agent: agent.words("Read:").file("a.txt", b"a", caption="A").words("Done?"),
        ["Read:", "document: A", "Done?"],
    ),
    "sendVoice": (
        lambda agent: agent.words("Listen:").file("a.ogg", b"OggS", "voice", "A").words("Heard?"),
        ["Listen:", "voice: A", "Heard?"],
    ),
    "sendMediaGroup": (
        lambda agent: agent.words("Look:").album(*album("photo", "a.png", "b.png")).words("Nice?"),
        ["Look:", "photo: the a.png", "photo: the b.png", "Nice?"],
    ),
}


@pytest.fixture
def bot(bot: BotProcess) -> BotProcess:
    bot.setting(agent="tests.whole_bot.agents:obedient", receipts="false")
    return bot


@pytest.fixture
def agent(tmp_path: Path) -> Dictation:
    return Dictation(tmp_path)


async def all_is_sent(bot: BotProcess) -> None:
    await eventually(lambda: unsent(bot) == 0, "nothing is unsent")


def unsent(bot: BotProcess) -> int:
    with closing(sqlite3.connect(bot.database)) as raw:
        [number] = raw.execute(
            "SELECT count(*) FROM outbox WHERE state NOT IN ('sent', 'growing', 'parked')"
        ).fetchone()
    return int(number)


def buttons(person: Person) -> list[object]:
    return [message["reply_markup"] for message in person.screen if "reply_markup" in message]


# A second look knows a message by its text or caption: a rich one has none that could prove whose it is.
WITHOUT_WORDS = {("sendRichMessage", "late")}
KINDS = ("cut_after", "cut_before", "500", "late", "429")


@pytest.mark.parametrize(
    ("method", "kind"),
    [(method, kind) for method in ANSWERS for kind in KINDS if (method, kind) not in WITHOUT_WORDS],
)
async def test_whatever_became_of_a_send_one_copy_is_on_screen(  # noqa: PLR0913, PLR0917 - fixtures
    bot: BotProcess, ann: Person, agent: Dictation, wire: PlaygroundServer, method: str, kind: str
) -> None:
    """Also when the same happens to the next of its kind: the second try, or the "…" of a settling."""
    say, wanted = ANSWERS[method]
    fault = {"method": method, "kind": kind, "times": 2, "retry_after": 1, "seconds": 0.5}
    wire.world.add_faults([fault])
    bot.setting(format="rich" if method == "sendRichMessage" else "entities")
    await bot.start()
    ann.says(agent.message)
    say(agent)
    agent.end()
    if kind == "late":
        await bot.logs("delivery.retry")
        await all_is_sent(bot)
        await eventually(lambda: _all_arrived(wire), "what was cut takes effect after all")
        await _second_looks_are_due(bot)
    await eventually(lambda: ann.shown == wanted, f"{wanted} on screen")
    await all_is_sent(bot)
    await bot.stop()
    assert ann.shown == wanted
    assert buttons(ann) == []
    assert groups(ann) == ([2] if method == "sendMediaGroup" else [])
    assert (await bot.status())["parked"] == 0


async def test_albums_that_take_effect_behind_all_else_are_found_whole(
    bot: BotProcess, ann: Person, agent: Dictation, wire: PlaygroundServer
) -> None:
    """Their last message has an id far behind the newest one that is known."""
    say, wanted = ANSWERS["sendMediaGroup"]
    wire.world.add_faults([{"method": "sendMediaGroup", "kind": "late", "times": 2, "seconds": 5}])
    await bot.start()
    ann.says(agent.message)
    say(agent)
    agent.end()
    await bot.logs("delivery.retry")
    await all_is_sent(bot)
    await eventually(lambda: _all_arrived(wire), "what was cut takes effect after all")
    await _second_looks_are_due(bot)
    await eventually(lambda: ann.shown == wanted, f"{wanted} on screen")


def _all_arrived(wire: PlaygroundServer) -> bool:
    cut = 2 - sum(rule.times or 0 for rule in wire.world.faults.rules)
    return cut == len([call for call in wire.world.journal if call["applied"] and call["status"] is None])


async def _second_looks_are_due(bot: BotProcess) -> None:
    """Let so much time pass that what was cut has taken effect, or never will; and wait for the looks."""
    with closing(sqlite3.connect(bot.database)) as raw:
        with raw:
            raw.execute("UPDATE second_look SET due_at = 0")
        await eventually(lambda: raw.execute("SELECT 1 FROM second_look").fetchone() is None, "the looks")


@pytest.mark.parametrize("took_effect", [True, False])
@pytest.mark.parametrize("method", ANSWERS)
async def test_a_kill_between_a_send_and_its_commit_leaves_one_copy(  # noqa: PLR0913, PLR0917 - fixtures
    bot: BotProcess,
    ann: Person,
    agent: Dictation,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    took_effect: bool,  # noqa: FBT001 - a parameter
) -> None:
    say, wanted = ANSWERS[method]
    held = Held(monkeypatch, method)
    bot.setting(format="rich" if method == "sendRichMessage" else "entities")
    await bot.start()
    ann.says(agent.message)
    say(agent)
    agent.end()
    await held.comes()
    await bot.kill()
    if took_effect:
        before = len(ann.screen)
        held.let_go()
        await eventually(lambda: len(ann.screen) > before, "what nobody answered for")
    await bot.start()
    await eventually(lambda: ann.shown == wanted, f"{wanted} on screen")
    await all_is_sent(bot)
    assert ann.shown == wanted
    assert buttons(ann) == []


async def test_a_message_with_buttons_is_found_and_keeps_them(
    bot: BotProcess, ann: Person, agent: Dictation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bot.start()
    ann.says(agent.message)
    await bot.logs("turn.claimed")
    ann.says("held")
    held = Held(monkeypatch, "sendMessage")
    ann.says("/stop")
    await held.comes()
    await bot.kill()
    held.let_go()
    await eventually(lambda: len(ann.sees) == 1, "what nobody answered for")
    await bot.start()
    await all_is_sent(bot)
    [said] = ann.sees
    assert said.startswith("Stopped. On hold")
    ann.presses("Drop them")
    await ann.sees_at_last("Dropped 1 message.")


async def test_a_message_whose_button_was_pressed_before_it_was_settled_is_found(
    bot: BotProcess, ann: Person, agent: Dictation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The press names the id of the bot's message: that does not make it a message of somebody else."""
    await bot.start()
    ann.says(agent.message)
    await bot.logs("turn.claimed")
    ann.says("held")
    held = Held(monkeypatch, "sendMessage")
    ann.says("/stop")
    await held.comes()
    await bot.kill()
    held.let_go()
    await eventually(lambda: len(ann.sees) == 1, "what nobody answered for")
    ann.presses("Drop them")
    await bot.start()
    await bot.logs("name=drop")
    await all_is_sent(bot)
    await ann.sees_at_last("Dropped 1 message.")


async def test_first_words_that_a_kill_left_become_the_answer_of_the_next_attempt(
    bot: BotProcess, ann: Person, agent: Dictation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, "sendMessage")
    await bot.start()
    ann.says(agent.message)
    agent.words("A first attempt ")
    await held.comes()
    await bot.kill()
    held.let_go()
    await ann.sees_at_last("A first attempt")
    message_id = ann.screen[-1]["message_id"]
    Dictation(tmp_path, attempt=2).words("A second attempt.").end()
    await bot.start()
    await ann.sees_at_last("A second attempt.")
    await all_is_sent(bot)
    assert [message["message_id"] for message in ann.screen if message["from"]["is_bot"]] == [message_id]
    assert buttons(ann) == []


@pytest.mark.parametrize("took_effect", [True, False])
async def test_a_message_that_another_program_sent_meanwhile_is_left_as_it_was(  # noqa: PLR0913, PLR0917 - fixtures
    bot: BotProcess,
    ann: Person,
    agent: Dictation,
    wire: PlaygroundServer,
    monkeypatch: pytest.MonkeyPatch,
    took_effect: bool,  # noqa: FBT001 - a parameter
) -> None:
    held = Held(monkeypatch, "sendMessage")
    await bot.start()
    ann.says(agent.message)
    agent.words("Done.").end()
    await held.comes()
    await bot.kill()
    async with httpx.AsyncClient(base_url=wire.url) as other:
        await other.post(f"/bot{TOKEN}/sendMessage", json={"chat_id": ann.chat_id, "text": "Rain at four"})
    if took_effect:
        held.let_go()
        await eventually(lambda: len(ann.sees) == 2, "what nobody answered for")
    await bot.start()
    await ann.sees_at_last("Rain at four", "Done.")
    await all_is_sent(bot)
    assert ann.sees == ["Rain at four", "Done."]
    assert buttons(ann) == []


async def test_where_too_many_ids_are_unknown_it_is_sent_again_and_says_so(
    bot: BotProcess, agent: Dictation, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bot with Telegram's privacy mode does not see what the people of a supergroup say to each other."""
    wire.world.make_chat(SUPERGROUP, "Friends")
    ann = Person(wire, chat_id=SUPERGROUP)
    held = Held(monkeypatch, "sendMessage")
    await bot.start()
    ann.says(agent.message)
    agent.words("Done.").end()
    await held.comes()
    await bot.kill()
    held.let_go()
    await ann.sees_at_last("Done.")
    wire.world.boxes.last_ids[SUPERGROUP] += PROBES_MAX + 1
    await bot.start()
    await ann.sees_at_last("Done.", "Done. (possibly a duplicate)")
    probes = [call for call in wire.world.journal if call["method"] == "editMessageReplyMarkup"]
    assert probes == []


class Strike:
    """Strikes at the n-th request that sends, edits or deletes: before its effect, or before its answer."""

    METHODS = ("sendMessage", "editMessageText", "editMessageReplyMarkup", "deleteMessage")

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        self.takes_effect = False
        self.has_struck = False
        for name in self.METHODS:
            method = METHODS[name.lower()]
            monkeypatch.setitem(METHODS, name.lower(), replace(method, run=self._counted(method.run)))

    def at(self, n: int, *, takes_effect: bool) -> None:
        self.left, self.takes_effect, self.has_struck = n, takes_effect, False

    def _counted(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def counted(world: World, bot: Bot, params: Params) -> object:
            self.left -= 1
            if self.left != 0:
                return run(world, bot, params)
            self.has_struck = True
            if self.takes_effect:
                with suppress(ApiError):
                    run(world, bot, params)
            return asyncio.get_running_loop().create_future()  # no answer, ever

        return counted


def strikes() -> Iterator[tuple[int, bool]]:
    return ((n, takes_effect) for n in range(1, 100) for takes_effect in (False, True))


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_kill_at_any_request_of_a_settling_leaves_one_copy(  # noqa: PLR0913, PLR0917 - fixtures
    bot: BotProcess,
    ann: Person,
    tmp_path: Path,
    wire: PlaygroundServer,
    monkeypatch: pytest.MonkeyPatch,
    is_there: bool,  # noqa: FBT001 - a parameter
) -> None:
    """The reply to an answer is lost; of the requests that settle it, one after the other kills the bot."""
    strike = Strike(monkeypatch)
    bot.setting(crashes_max=1000)
    await bot.start()
    wanted = []
    for n, takes_effect in strikes():
        agent = Dictation(tmp_path, f"{n} {takes_effect}")
        wanted.append(f"Answer {n} {takes_effect}.")
        # On a slow machine a second look at an earlier answer may make request n, before this turn has ended.
        Dictation(tmp_path, f"{n} {takes_effect}", attempt=2).words(wanted[-1]).end()
        kind = "cut_after" if is_there else "cut_before"
        wire.world.add_faults([{"method": "sendMessage", "kind": kind, "times": 1}])
        strike.at(n + is_there, takes_effect=takes_effect)  # the answer itself is the first
        ann.says(agent.message)
        agent.words(wanted[-1]).end()
        await eventually(lambda: strike.has_struck or _settled(bot, ann, wanted), "request n, or the end")
        if not strike.has_struck:
            break
        await bot.kill()
        await bot.start()
        await eventually(lambda: _settled(bot, ann, wanted), f"after a death at {n}, {takes_effect}")
    assert len(wanted) > 4, "a settling makes several requests"


def _settled(bot: BotProcess, person: Person, wanted: list[str]) -> bool:
    return person.sees == wanted and buttons(person) == [] and unsent(bot) == 0
