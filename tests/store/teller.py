"""Tells a story again and again: a bot's conversation, with deaths at every step of it.

Before each SQL statement, each COMMIT, and around each request to Telegram, the disk is copied as a
SIGKILL would leave it, together with Telegram's state. A new instance then starts on each copy, with an
empty memory, and carries on from the line of the script that the old one was in.
"""

import asyncio
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Engine, event

from tests.store.bot import STATES, Bot, Step
from tests.store.telegram import Telegram
from tgbot.store.engine.connection import writing_engine

Line = Callable[[Bot], object]
Interrupt = Callable[[Path, Telegram, int], None]


@dataclass(frozen=True)
class Story:
    """A script, and what it comes to: each chat's screen (one of several), and the end of each message."""

    script: list[Line]
    screens: dict[int, list[list[str]]]
    ends: dict[str, str]
    steps: int  # that it has at least, or it is not the story that was meant


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


class Moment(NamedTuple):
    """What a SIGKILL leaves: the file and its log, Telegram, and the line of the script that it came in."""

    disk: tuple[bytes, bytes]
    telegram: Telegram
    line: int

    @classmethod
    def of(cls, path: Path, telegram: Telegram, line: int) -> "Moment":
        log = _log(path)
        return cls((path.read_bytes(), log.read_bytes() if log.exists() else b""), telegram, line)

    def put_back(self, path: Path) -> Telegram:
        for place, content in zip((path, _log(path)), self.disk, strict=True):
            place.write_bytes(content)
        return self.telegram.copy()

    def differs(self, other: "Moment") -> bool:
        """Whether another instance could see a difference: a transaction leaves nothing before its end."""
        mine, theirs = ((one.line, one.telegram.changes, one.disk) for one in (self, other))
        return mine != theirs


def _log(path: Path) -> Path:
    return Path(f"{path}-wal")


class Teller:
    """Tells a story from any moment of it to its end, and lets it be interrupted."""

    def __init__(self, story: Story, folder: Path, loop: asyncio.Runner) -> None:
        self.steps = self.deaths = 0
        self._story = story
        self._loop = loop
        self._paths = (folder / f"{number}.db" for number in itertools.count())

    def tell(
        self,
        moment: Moment,
        interrupt: Interrupt = lambda *_: None,
        pause: Step = lambda: None,
        end: Line = lambda _: None,
    ) -> None:
        """Carry on from a moment, then check what users see and the tables hold.

        Calls `interrupt` at each step, `pause` after each line, and `end` behind the last.
        """
        path, line = next(self._paths), moment.line
        telegram = moment.put_back(path)

        def step() -> None:
            interrupt(path, telegram, line)

        with mortal_engine(path, step) as engine:
            bot = Bot(engine, telegram, step, self._loop)
            for line in range(moment.line, len(self._story.script)):
                self._story.script[line](bot)
                pause()
            for do in (bot.poll, bot.deliver, bot.deliver, bot.poll):
                do()
            end(bot)
            self._check(bot)

    def _check(self, bot: Bot) -> None:
        for chat, screens in self._story.screens.items():
            assert bot.telegram.screen(chat) in screens
        assert bot.telegram.strays == 0
        assert dict(bot.instance.rows(STATES)) == self._story.ends
        assert len(bot.instance.guards()) == [*self._story.ends.values()].count("claimed")
        assert set(bot.instance.rows("SELECT state FROM outbox")) == {("sent",)}
        assert bot.instance.rows("SELECT count(*) FROM file_piece") == [(0,)], "what is shown is not kept"
        assert bot.telegram.get_updates(0) == [], "all is confirmed"

    def die_everywhere(self, begin: Moment, deaths: int = 1, after: int = 0) -> None:
        """Tell the story with a death at each step, from the line `after` on, and so many deaths in a row."""
        graves: list[Moment] = []
        last = begin

        def die(path: Path, telegram: Telegram, line: int) -> None:
            nonlocal last
            self.steps += 1
            moment = Moment.of(path, telegram, line)
            if line >= after and moment.differs(last):
                last = moment._replace(telegram=telegram.copy())
                graves.append(last)

        def rise() -> None:  # not at once: the loop of the one that dies runs while it sends
            while graves:
                self._rise(graves.pop(0), deaths)

        self.tell(begin, die, rise)
        rise()

    def _rise(self, grave: Moment, deaths: int) -> None:
        self.deaths += 1
        try:
            if deaths > 1:
                self.die_everywhere(grave, deaths - 1)
            else:
                self.tell(grave)
        except AssertionError as error:
            error.add_note(f"after a death in line {grave.line} of the script")
            raise
