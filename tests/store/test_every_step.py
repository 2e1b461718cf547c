"""Death at every step of whole conversations: nothing is lost, shown twice, or out of order, and no stray."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Callable, Iterator

import pytest

from tests.store.bot import Bot
from tests.store.storage import Storages
from tests.store.telegram import REFUSED
from tests.store.teller import BEGIN, Line, Moment, Story, Teller
from tgbot.intake.commands.mode import MEANING
from tgbot.model import Album, File, Mode
from tgbot.render import Text
from tgbot.store.parts import Rich, Said

SUPERGROUP = -1_000_000_000_005


def says(said: str, chat: int = 7) -> Line:
    return lambda bot: bot.telegram.hear(said, chat)


def sends(part: str) -> Line:
    return lambda bot: bot.telegram.hear(part, 9, media_group_id="album")


def presses(label: str) -> Line:
    return lambda bot: bot.telegram.press(label)


def edits(said: str, new: str) -> Line:
    return lambda bot: bot.telegram.change(said, new)


def ends(said: str, *contents: Said) -> Line:
    return lambda bot: bot.end(said, *contents)


def on(do: Callable[[Bot, str], None], said: str) -> Line:
    return lambda bot: do(bot, said)


def chosen(mode: Mode) -> str:
    return f"The mode here is {mode} from now on. {MEANING[mode]}"


HOW = "Run them with /resume, forget them with /drop."
STATUS = f"Nothing is running.\nWaiting: 0.\nOn hold: 2. {HOW}"
QUEUE = Story(
    [
        *(says("a"), Bot.poll, Bot.deliver),
        *(says("b"), says("c"), sends("g"), Bot.poll, Bot.deliver, sends("h"), Bot.poll),
        *(ends("a"), Bot.deliver, ends("b", Text("re: b, first half"), Text("re: b, rest"))),
        *(Bot.deliver, Bot.time_passes, sends("k"), Bot.poll, ends("g"), Bot.time_passes, ends("k")),
        *(Bot.deliver, says("d"), says("e"), Bot.poll, says("/stop"), says("f"), Bot.poll),
        *(Bot.deliver, ends("f"), says("/status"), Bot.poll, Bot.deliver),
        *(presses("resume"), Bot.poll, Bot.deliver, on(Bot.fail, "d"), ends("e"), Bot.deliver),
        *(says("/stop"), Bot.poll, Bot.deliver),
        *(says("m"), says("n"), Bot.poll, Bot.deliver, says("/stop p"), Bot.poll, Bot.deliver, ends("p")),
    ],
    {
        7: [
            [
                "re: a",
                *("re: b, first half", "re: b, rest"),
                "Running 2 messages now.",  # where the reply to /stop stood, with its button
                *overtaking,
                *("sorry", "re: e", "Nothing is running."),
                f"Stopped. On hold, not run until you say so:\n1. “n”\n{HOW}",
                "re: p",  # the words behind that /stop
            ]
            # The reply to /status goes before an answer that waits; one that a death left unknown is first.
            for overtaking in ([STATUS, "re: f"], ["re: f", STATUS])
        ],
        9: [["re: g + h", "re: k"]],
    },
    dict.fromkeys("abefgkp", "done")
    | {"c": "stopped", "d": "failed", "h": "joined", "m": "stopped", "n": "held"},
    steps=300,
)

STREAM = Story(
    [
        *(says("a", SUPERGROUP), Bot.poll, on(Bot.grow, "a"), on(Bot.close, "a"), Bot.deliver),
        *(on(Bot.grow, "a"), on(Bot.grow, "a")),
        *(says("b", SUPERGROUP), Bot.poll, on(Bot.end_streamed, "a"), Bot.deliver),
        *(on(Bot.grow, "b"), on(Bot.close, "b"), Bot.deliver, on(Bot.grow, "b"), ends("b"), Bot.deliver),
        *(says("c"), Bot.poll, on(Bot.grow, "c"), says("/stop"), Bot.poll, Bot.deliver),
        *(says("d"), says("e"), Bot.poll, on(Bot.grow, "d"), ends("d"), ends("e"), Bot.deliver),
    ],
    {
        # The second part of b is gone: its agent has replaced all that it had said.
        SUPERGROUP: [["the first part", "the second part", "re: b"]],
        # A second attempt at c had said nothing yet when it was stopped.
        7: [
            [words, "Stopped.", "re: d", "re: e"] for words in ("the first part\n\n⏹ Stopped.", "⏹ Stopped.")
        ],
    },
    dict.fromkeys("abde", "done") | {"c": "stopped"},
    steps=150,
)

VOICE = File("a.ogg", b"x", "voice", "spoken")
PICTURES = Album([File("a.png", b"x", "photo", "one"), File("b.png", b"y", "photo", "two")])
NO_PICTURES = Album([File("a.png", REFUSED, "photo", "three"), File("b.png", REFUSED, "photo", "four")])
FILES = Story(
    [
        *(says("a"), says("b"), Bot.poll, Bot.deliver, ends("a", Text("see"), PICTURES, VOICE, Text("end"))),
        *(Bot.deliver, ends("b", NO_PICTURES, Rich("plain"), File("c.txt", b"z")), Bot.deliver),
    ],
    {
        7: [
            [
                *("see", "[photo of an album] one", "[photo of an album] two", "[voice] spoken", "end"),
                *("[photo] three", "[photo] four", "plain", "[document]"),
            ]
        ]
    },
    dict.fromkeys("ab", "done"),
    steps=100,
)

LATE = Story(
    [
        *(says("a"), says("b"), Bot.poll, ends("a"), ends("b", Text("re: b"), VOICE), Bot.hold_back),
        *(on(Bot.expire, "b"), Bot.deliver, presses("show"), Bot.poll, Bot.deliver),
    ],
    {
        7: [
            ["re: a", "Here is the answer from earlier.", "re: b", "[voice] spoken"],
        ]
    },
    dict.fromkeys("ab", "done"),
    steps=60,
)
CARD = Story(
    [
        *(
            says("a"),
            Bot.poll,
            says("b"),
            says("c"),
            says("d"),
            says("e"),
            Bot.poll,
            Bot.draw_card,
            Bot.deliver,
        ),
        *(presses("queue_drop:"), Bot.poll, Bot.deliver),  # the last one: e
        *(presses("queue_next"), Bot.poll, Bot.deliver),  # d
        *(edits("b", "b, edited"), Bot.poll, Bot.draw_card, ends("a"), Bot.deliver),
        *(presses("queue_now"), Bot.poll, Bot.draw_card, Bot.deliver),  # c, in place of d
        *(says("/stop"), Bot.poll, Bot.draw_card, Bot.deliver),  # c, and holds b
        *(says("f"), says("g"), Bot.poll, Bot.draw_card, Bot.deliver),
        *(presses("queue_run_held"), Bot.poll, Bot.deliver, presses("queue_drop:"), Bot.poll),  # b; g
        *(ends("f"), ends("b, edited"), Bot.draw_card, Bot.deliver),
        *(says("h"), says("i"), Bot.poll, Bot.draw_card, Bot.deliver, presses("queue_drop_all"), Bot.poll),
        *(ends("h"), Bot.draw_card, Bot.deliver),
    ],
    {
        7: [
            [
                "re: a",
                f"Stopped. On hold, not run until you say so:\n1. “b, edited”\n{HOW}",
                *("re: f", "re: b, edited", "re: h"),
            ]
        ]
    },
    dict.fromkeys(("a", "b, edited", "f", "h"), "done")
    | dict.fromkeys("cd", "stopped")
    | dict.fromkeys("egi", "dropped"),
    steps=100,
)
MODES = Story(
    [
        *(says("/mode collect"), says("a"), Bot.poll, says("b"), says("c"), Bot.poll, Bot.deliver),
        *(ends("a"), ends("b"), Bot.deliver, says("/mode interrupt"), says("d"), Bot.poll, Bot.deliver),
        *(says("e"), Bot.poll, ends("e"), Bot.deliver),
        *(says("/mode steer"), says("f"), Bot.poll, Bot.deliver, says("g"), Bot.poll, on(Bot.take_in, "f")),
        *(says("h"), Bot.poll, ends("f"), Bot.deliver),
        *(edits("h", "h, edited"), Bot.poll, Bot.deliver, presses("again"), Bot.poll, Bot.deliver),
        *(ends("h, edited"), Bot.deliver),
    ],
    {
        7: [
            [
                *(chosen("collect"), "re: a", "re: b + c"),
                *(chosen("interrupt"), "re: e"),
                *(chosen("steer"), "re: f", "Running it with the edit."),
                "re: h, edited",
            ]
        ]
    },
    dict.fromkeys(("a", "b", "e", "f", "h, edited"), "done")
    | dict.fromkeys("cg", "joined")
    | dict.fromkeys("dh", "stopped"),
    steps=100,
)
FIRST, SECOND, OTHER = (name + " words" * 400 for name in ("first", "second", "other"))
PASTE = Story(
    [
        *(says("a"), Bot.poll, says(FIRST), Bot.poll, says(SECOND), Bot.poll, says("rest"), Bot.poll),
        *(Bot.deliver, ends("a"), Bot.time_passes, ends(FIRST), Bot.deliver),  # a new instance waits anew
        *(says(OTHER), Bot.poll, Bot.time_passes, ends(OTHER), Bot.deliver),
    ],
    {7: [["re: a", f"re: {FIRST}\n{SECOND}\nrest", f"re: {OTHER}"]]},
    dict.fromkeys(("a", FIRST, OTHER), "done") | dict.fromkeys((SECOND, "rest"), "joined"),
    steps=60,
)
STORIES = {
    "paste": PASTE,
    "card": CARD,
    "modes": MODES,
    "queue": QUEUE,
    "stream": STREAM,
    "files": FILES,
    "late": LATE,
}


def short(answer: Line, *shown: str, show: Line = Bot.deliver) -> Story:
    """Make the story of one answer, to a message that another chat's lies behind."""
    script = [says("a"), says("b", 8), Bot.poll, answer, show, ends("a"), Bot.deliver]
    return Story(script, {7: [list(shown)], 8: [[]]}, {"a": "done", "b": "claimed"}, steps=300)


SHORT = {
    "text": short(ends("a"), "re: a"),
    "first words": short(Bot.poll, "re: a", show=on(Bot.grow, "a")),
    "voice": short(ends("a", VOICE), "[voice] spoken"),
    "album": short(ends("a", PICTURES), "[photo of an album] one", "[photo of an album] two"),
}
SHOWN = 4  # the line of a short story that shows its answer


class KilledError(BaseException):
    """Ends an instance; no handler in the code may catch it."""


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.parametrize("name", STORIES)
def test_death_before_any_step_loses_doubles_and_reorders_nothing_and_leaves_no_stray(
    storages: Storages, loop: asyncio.Runner, name: str
) -> None:
    teller = Teller(STORIES[name], storages, loop)
    teller.die_everywhere(BEGIN)
    assert teller.steps > STORIES[name].steps, "the conversation is as long as it was meant to be"


@pytest.mark.parametrize("name", SHORT)
def test_two_deaths_at_any_two_steps_lose_double_and_reorder_nothing_and_leave_no_stray(
    storages: Storages, loop: asyncio.Runner, name: str
) -> None:
    """So also death at any step of a settling."""
    teller = Teller(SHORT[name], storages, loop)
    teller.die_everywhere(BEGIN, deaths=2, after=SHOWN)
    assert teller.steps > SHORT[name].steps


@pytest.mark.parametrize("name", SHORT)
def test_a_request_that_takes_effect_when_it_was_settled_already_leaves_one_copy(
    storages: Storages, loop: asyncio.Runner, name: str
) -> None:
    """The process died as it sent; the request arrives when the next one has shown the answer."""
    teller, moment = Teller(SHORT[name], storages, loop), BEGIN

    def die_as_it_sends(now: Callable[[], Moment]) -> None:
        nonlocal moment
        if now().telegram.asked:
            moment = now()
            raise KilledError

    def arrive(bot: Bot) -> None:
        assert moment.telegram.asked
        bot.telegram.call(*moment.telegram.asked)
        bot.look_again()
        bot.deliver()

    with pytest.raises(KilledError):
        teller.tell(moment, die_as_it_sends)
    teller.tell(moment, end=arrive)


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("seed", range(3))
def test_deaths_in_a_row_lose_double_and_reorder_nothing_and_leave_no_stray(
    storages: Storages, loop: asyncio.Runner, name: str, seed: int
) -> None:
    """Also when an instance dies while it still recovers from the last death."""
    chance = random.Random(f"{name} {seed}")
    teller, moment = Teller(STORIES[name], storages, loop), BEGIN
    for _ in range(8):
        steps_left = itertools.count(chance.choice((5, 20, 80)), -1)

        def die(now: Callable[[], Moment]) -> None:
            nonlocal moment
            if next(steps_left) == 0:  # noqa: B023 - called only in this round
                moment = now()
                raise KilledError

        with contextlib.suppress(KilledError):  # a short story may come to its end
            teller.tell(moment, die)
    teller.tell(moment)
