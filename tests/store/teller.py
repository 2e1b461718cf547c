"""Tells a story again and again: a bot's conversation, with deaths at every step of it.

Before each SQL statement, each COMMIT, and around each request to Telegram, the database is copied as
a SIGKILL would leave it, together with Telegram's state. A new instance then starts on each copy, with an
empty memory, and carries on from the line of the script that the old one was in.
"""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tests.store.bot import Bot, Step
from tests.store.storage import Content, Storages
from tests.store.telegram import Telegram

Line = Callable[[Bot], object]


@dataclass(frozen=True)
class Story:
    """A script, and what it comes to: each chat's screen (one of several), and the end of each message."""

    script: list[Line]
    screens: dict[int, list[list[str]]]
    ends: dict[str, str]
    steps: int  # that it has at least, or it is not the story that was meant


class Moment(NamedTuple):
    """What a SIGKILL leaves: the database, Telegram, and the line of the script that it came in."""

    content: Content | None  # None: nothing has happened yet
    telegram: Telegram
    line: int

    def differs(self, other: "Moment") -> bool:
        """Whether another instance could see a difference: a transaction leaves nothing before its end."""
        mine, theirs = ((one.line, one.telegram.changes, one.content) for one in (self, other))
        return mine != theirs


Interrupt = Callable[[Callable[[], Moment]], None]
BEGIN = Moment(None, Telegram(), 0)


class Teller:
    """Tells a story from any moment of it to its end, and lets it be interrupted."""

    def __init__(self, story: Story, storages: Storages, loop: asyncio.Runner) -> None:
        self.steps = self.deaths = 0
        self._story = story
        self._loop = loop
        self._storages = storages

    def tell(
        self,
        moment: Moment,
        interrupt: Interrupt = lambda *_: None,
        pause: Step = lambda: None,
        end: Line = lambda _: None,
    ) -> None:
        """Carry on from a moment, then check what users see and the tables hold.

        Calls `interrupt` at each step with a look at that moment, `pause` after each line, and `end` behind
        the last.
        """
        line, telegram = moment.line, moment.telegram.copy()
        with self._storages(moment.content) as storage:

            def now() -> Moment:
                return Moment(storage.content(), telegram, line)

            def step() -> None:
                interrupt(now)

            bot = Bot(storage.mortal_engine(step), telegram, step, self._loop)
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
        assert bot.instance.states(None) == self._story.ends
        assert len(bot.instance.guards()) == [*self._story.ends.values()].count("claimed")
        assert set(bot.instance.rows("SELECT state FROM outbox")) == {("sent",)}
        assert bot.instance.rows("SELECT count(*) FROM file_piece") == [(0,)], "what is shown is not kept"
        assert bot.telegram.get_updates(0) == [], "all is confirmed"

    def die_everywhere(self, begin: Moment, deaths: int = 1, after: int = 0) -> None:
        """Tell the story with a death at each step, from the line `after` on, and so many deaths in a row."""
        graves: list[Moment] = []
        found = itertools.count(1)
        last = begin

        def die(now: Callable[[], Moment]) -> None:
            nonlocal last
            self.steps += 1
            moment = now()
            if moment.line >= after and moment.differs(last):
                last = moment._replace(telegram=moment.telegram.copy())
                if deaths > 1 or next(found) % self._storages.one_in == 0:
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
