"""Death at every step of a whole conversation: nothing is lost, shown twice, or out of order.

Before each SQL statement, each COMMIT, and around each request to Telegram, the disk is copied as a
SIGKILL would leave it, together with Telegram's state. A new instance then starts on each copy, with an
empty memory, and carries on from the line of the script that the old one was in.
"""

import copy
import itertools
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.house import BOT
from tests.store.instance import Instance
from tests.store.telegram import Telegram
from tgbot.model import ChatId, MessageId, Token, Turn
from tgbot.render import Text
from tgbot.store import recovery, sending, turns
from tgbot.store.engine.connection import writing_engine
from tgbot.store.turns import Ending

Step = Callable[[], None]
Line = Callable[["Bot"], None]

STATES = "SELECT json_extract(raw, '$.message.text'), state FROM pending WHERE kind = 'message' ORDER BY id"
LONG = [Text("re: b, first half", ()), Text("re: b, second half", ())]


class Bot:
    """One instance with as little above the store as a conversation needs, on one thread."""

    def __init__(self, engine: Engine, telegram: Telegram, step: Step) -> None:
        self.telegram = telegram
        self.instance = Instance(engine, crashes_max=99)
        self._step = step
        self._running: dict[Token, Turn] = {}
        self._offset = 0
        self.reconcile()

    def poll(self) -> None:
        """Take in what Telegram has; only the next poll confirms it."""
        self._step()
        raws = self.telegram.get_updates(self._offset)
        self._step()
        received = self.instance.receive(*raws)
        self._offset = max([raw["update_id"] + 1 for raw in raws], default=self._offset)
        self._spawn(received.claimed)
        if received.controls:
            self.reconcile()

    def reconcile(self) -> None:
        """Do what the dispatcher does at a wake: release the stopped, recover the orphans, claim."""
        for hold in self.instance.do(recovery.guards):
            if hold.token in self._running and hold.state == "stopped":
                self._hand_over(self.instance.release, self._running[hold.token])
        self.instance.recover()
        self._spawn(self.instance.claim_waiting())

    def end(self, said: str) -> None:
        self._end(said, self._answer)

    def _answer(self, turn: Turn) -> Turn | None:
        return self.instance.finish(turn, "re: " + " + ".join(message["text"] for message in turn.messages))

    def time_passes(self) -> None:
        """Make an album due that waited for more parts."""
        self._spawn(self.instance.due())

    def end_at_length(self, said: str) -> None:
        self._end(
            said,
            lambda turn: (
                self.instance.do(turns.end, self.instance.owner, turn, Ending("done", LONG)).following
            ),
        )

    def fail(self, said: str) -> None:
        self._end(said, self.instance.fail)

    def _end(self, said: str, ending: Callable[[Turn], Turn | None]) -> None:
        """End the turn for these words, unless an earlier instance already did."""
        turn = next((turn for turn in self._running.values() if turn.text == said), None)
        if turn:
            self._hand_over(ending, turn)
        else:
            assert dict(self.instance.rows(STATES))[said] in ("done", "failed"), f"nobody works on {said}"

    def _hand_over(self, ending: Callable[[Turn], Turn | None], turn: Turn) -> None:
        following = ending(turn)
        del self._running[turn.token]
        self._spawn([following] if following else [])

    def _spawn(self, claimed: Sequence[Turn]) -> None:
        self._running |= {turn.token: turn for turn in claimed}
        sessions = [turn.session_key for turn in self._running.values()]
        assert len(sessions) == len(set(sessions)), "two running turns in one session"

    def deliver(self) -> None:
        for chat_id in self.instance.do(sending.chats, BOT, ChatId(0), 10):
            while part := self.instance.do(sending.next_part, BOT, chat_id):
                self._step()
                if part.message_id is None:
                    message_id = MessageId(self.telegram.send_placeholder(chat_id))
                    self._step()
                    self.instance.do(sending.placed, part, message_id)
                else:
                    self.telegram.edit(part)
                    self._step()
                    self.instance.do(sending.sent, part)


def says(said: str, chat: int = 7) -> Line:
    return lambda bot: bot.telegram.hear(said, chat)


def sends(part: str) -> Line:
    return lambda bot: bot.telegram.hear(part, 9, media_group_id="album")


def presses(label: str) -> Line:
    return lambda bot: bot.telegram.press(label)


def ends(said: str) -> Line:
    return lambda bot: bot.end(said)


SCRIPT: list[Line] = [
    *(says("a"), Bot.poll, Bot.deliver),
    *(says("b"), says("c"), says("x", 8), sends("g"), Bot.poll, Bot.deliver, sends("h"), Bot.poll),
    *(ends("a"), Bot.deliver, ends("x"), lambda bot: bot.end_at_length("b"), Bot.deliver),
    *(Bot.time_passes, sends("k"), Bot.poll, ends("g"), Bot.time_passes, ends("k"), Bot.deliver),
    *(says("d"), says("e"), Bot.poll, says("/stop"), says("f"), says("y", 8), Bot.poll, Bot.deliver),
    *(ends("f"), says("/status"), Bot.poll, Bot.deliver),
    *(presses("resume"), Bot.poll, Bot.deliver, lambda bot: bot.fail("d"), ends("e"), ends("y")),
    *(says("/stop"), Bot.poll, Bot.deliver),
    *(says("m"), says("n"), Bot.poll, Bot.deliver, says("/stop p"), Bot.poll, Bot.deliver, ends("p")),
]
SCREEN_7 = [
    "re: a",
    *("re: b, first half", "re: b, second half"),
    "⏹ Stopped.",
    "Running 2 messages now.",  # where the reply to /stop stood, with its button
    "re: f",
    "Nothing is running.\nWaiting: 0.\nOn hold: 2. Run them with /resume, forget them with /drop.",
    "sorry",
    "Nothing is running.",  # a control's reply goes before an answer that waits to be sent
    "re: e",
    "⏹ Stopped.",
    "Stopped. On hold, not run until you say so:\n1. “n”\nRun them with /resume, forget them with /drop.",
    "re: p",  # the words behind that /stop
]
SCREEN_8 = ["re: x", "re: y"]
SCREEN_9 = ["re: g + h", "re: k"]
ENDS = dict.fromkeys("abxefygkp", "done") | {"c": "stopped", "d": "failed", "h": "joined"}
ENDS |= {"m": "stopped", "n": "held"}


@contextmanager
def mortal_engine(path: Path, step: Step) -> Iterator[Engine]:
    """An engine that calls `step` before every statement and commit that reaches the driver."""

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, values: Any = ()) -> "Cursor":  # noqa: ANN401 - as the driver has it
            step()
            super().execute(sql, values)
            return self

        def executemany(self, sql: str, values: Any) -> "Cursor":  # noqa: ANN401 - same
            step()
            super().executemany(sql, values)
            return self

    class Connection(sqlite3.Connection):
        def cursor(self, _: object = None) -> Cursor:  # type: ignore[override]  # nobody wants another
            return Cursor(self)

        def execute(self, sql: str, values: Any = ()) -> Cursor:  # noqa: ANN401 - same
            return self.cursor().execute(sql, values)

        def executemany(self, sql: str, values: Any) -> Cursor:  # noqa: ANN401 - same
            return self.cursor().executemany(sql, values)

        def commit(self) -> None:
            step()
            super().commit()

    engine = writing_engine(path)
    event.listen(engine, "do_connect", lambda _d, _r, _a, options: options.update(factory=Connection))
    # A SIGKILL loses nothing that the kernel has; waiting for the disk would triple the time.
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
    try:
        yield engine
    finally:
        engine.dispose()


def carry_on(path: Path, telegram: Telegram, line: int, on_step: Callable[[int], None]) -> None:
    """Run the script from a line to its end, then check what users see and the tables hold."""

    def step() -> None:
        on_step(line)

    with mortal_engine(path, step) as engine:
        bot = Bot(engine, telegram, step)
        while line < len(SCRIPT):
            SCRIPT[line](bot)
            line += 1
        bot.poll()
        bot.deliver()
        bot.poll()
        assert telegram.screen(7) == SCREEN_7
        assert telegram.screen(8) == SCREEN_8
        assert telegram.screen(9) == SCREEN_9
        assert dict(bot.instance.rows(STATES)) == ENDS
        assert bot.instance.guards() == {}
        assert set(bot.instance.rows("SELECT state FROM outbox")) == {("sent",)}
        assert telegram.get_updates(0) == [], "all is confirmed"


def as_killed(path: Path, copy_of_it: Path) -> Path:
    """Copy the file and its log as a SIGKILL would leave them."""
    for suffix in ("", "-wal"):
        if (source := Path(f"{path}{suffix}")).exists():
            shutil.copyfile(source, f"{copy_of_it}{suffix}")
    return copy_of_it


def test_death_before_any_step_loses_doubles_and_reorders_nothing(
    database_path: Path, tmp_path: Path
) -> None:
    telegram, deaths = Telegram(), itertools.count(1)

    def die_and_carry_on(line: int) -> None:
        grave = tmp_path / "grave"
        grave.mkdir()
        telegram_then = copy.deepcopy(telegram)
        number = next(deaths)
        try:
            carry_on(as_killed(database_path, grave / "copy.db"), telegram_then, line, lambda _: None)
            assert telegram_then.strays <= 1
        except AssertionError as error:
            error.add_note(f"after a death before step {number}, in line {line} of the script")
            raise
        shutil.rmtree(grave)

    carry_on(database_path, telegram, 0, die_and_carry_on)
    assert telegram.strays == 0
    assert next(deaths) > 300, "the conversation is as long as it was meant to be"


class KilledError(BaseException):
    """Ends an instance; no handler in the code may catch it."""


@pytest.mark.parametrize("seed", range(20))
def test_deaths_in_a_row_lose_double_and_reorder_nothing(
    database_path: Path, tmp_path: Path, seed: int
) -> None:
    """Also when an instance dies while it still recovers from the last death."""
    chance = random.Random(seed)
    telegram, path, line = Telegram(), database_path, 0
    for number in range(8):
        steps_left = itertools.count(chance.choice((5, 20, 80)), -1)

        def die(at: int) -> None:
            nonlocal path, line
            if next(steps_left) == 0:  # noqa: B023 - called only in this round
                path, line = as_killed(path, tmp_path / f"{number}.db"), at  # noqa: B023 - same
                raise KilledError

        with pytest.raises(KilledError):
            carry_on(path, telegram, line, die)
    carry_on(path, telegram, line, lambda _: None)
    assert telegram.strays <= 8
