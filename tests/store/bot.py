"""A bot that may die at any step: one instance on one thread, with the real sender and the real settling."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Engine

from tests.house import BOT
from tests.store.instance import Instance, said_in
from tests.store.telegram import Telegram
from tgbot.delivery.delivery import BEFORE_ALL
from tgbot.delivery.preview import stop_button
from tgbot.delivery.sender import ChatSender
from tgbot.delivery.tools import Tools
from tgbot.model import ChatId, RowId, Token, Turn
from tgbot.render import Text
from tgbot.store import card, expiry, files, interrupted, joins, outbox, recovery, sending, settling, turns
from tgbot.store.parts import Said
from tgbot.store.turns import Ending
from tgbot.telegram.errors import NotModifiedError
from tgbot.telegram.rate_limit import RateLimiter
from tgbot.turns.answer import LiveAnswers
from tgbot.turns.keeping import kept

if TYPE_CHECKING:
    from tgbot.store.engine.writer import Database
    from tgbot.telegram.client import BotApi

Step = Callable[[], None]

UNSENT = (
    "SELECT outbox.id, raw FROM outbox JOIN pending ON pending.id = pending_id"
    " WHERE outbox.state = 'ready' AND buttons IS NULL"
)
STREAMED = [Text("the first part"), Text("the second part")]  # what a streamed answer says


class Here:
    """The database and Telegram, called at once on the one thread."""

    answered_at = 0.0

    def __init__(self, instance: Instance, telegram: Telegram, step: Step) -> None:
        self.read = self.write = self._do
        self._instance = instance
        self._telegram = telegram
        self._step = step

    async def _do(self, operation: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401 - any operation
        return self._instance.do(operation, *args)

    async def call(self, method: str, _wait_seconds: float | None = None, /, **params: object) -> Any:  # noqa: ANN401 - JSON
        self._telegram.asked = method, params
        self._step()
        answer = self._telegram.call(method, params)
        self._step()
        return answer


class Bot:
    """One instance with as little above the store as a conversation needs, on one thread."""

    def __init__(self, engine: Engine, telegram: Telegram, step: Step, loop: asyncio.Runner) -> None:
        self.telegram = telegram
        self.instance = Instance(engine, crashes_max=99)
        self._step = step
        self._loop = loop
        self._here = Here(self.instance, telegram, step)
        self._db, self._api = cast("Database", self._here), cast("BotApi", self._here)
        self._running: dict[Token, Turn] = {}
        self._closed: dict[Token, int] = {}  # how many parts of a streamed answer
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
        if received.controls or received.timed:
            self.reconcile()

    def reconcile(self) -> None:
        """Do what the dispatcher does at a wake: release the stopped, recover the orphans, claim."""
        for hold in self.instance.do(recovery.guards, self.instance.owner.instance_id):
            if hold.token in self._running and hold.state == "stopped":
                turn = self._running[hold.token]
                words = STREAMED[: self._closed[turn.token] + 1] if turn.token in self._closed else []
                self._hand_over(
                    turn, Ending("interrupted", words[-1:], first=self._closed.get(turn.token, 0))
                )
        self.instance.recover()
        self._spawn(self.instance.claim_waiting())

    def time_passes(self) -> None:
        """Make an album due that waited for more parts."""
        self._spawn(self.instance.due())

    def draw_card(self) -> None:
        """Draw the card of each session anew, as is done a moment after a change."""
        for session_key in self.instance.do(card.sessions):
            self.instance.do(card.refresh, session_key)

    # What agents do

    def take_in(self, said: str) -> None:
        """Take in what came while a turn runs, as an agent does between two steps."""
        if turn := self._of(said):
            self.instance.do(joins.incoming, turn, RowId(0))

    def end(self, said: str, *contents: Said) -> None:
        turn = self._of(said)
        texts = [message["text"] for message in turn.messages] if turn else []
        self._end(turn, Ending("done", contents or [Text("re: " + " + ".join(texts))]))

    def fail(self, said: str) -> None:
        self._end(self._of(said), Ending("failed", [Text("sorry")], error_id="e1d"))

    def grow(self, said: str) -> None:
        """Show more of a streamed answer, as the previews do: not while its last words are settled."""
        turn = self._of(said)
        if turn is None:
            return
        number = self._closed.setdefault(turn.token, 0)
        text, buttons = STREAMED[number], stop_button(turn.row_id)
        exists, message_id = self.instance.do(outbox.shown_in, turn.row_id, number)
        if message_id is not None:
            with contextlib.suppress(NotModifiedError):
                place = {"chat_id": turn.chat_id, "message_id": message_id}
                edit = self._api.call("editMessageText", **place, text=text.text, reply_markup=buttons)
                self._loop.run(_await(edit))
            return
        arguments = turn.token, turn.row_id, number, text, json.dumps(buttons)
        if not exists and self.instance.do(outbox.begin, *arguments, silent=number > 0):
            self.deliver()

    def close(self, said: str) -> None:
        """Complete the part that grows, so that the next one grows."""
        turn = self._of(said)
        if turn:
            number = self._closed.setdefault(turn.token, 0)
            assert self.instance.do(outbox.close_part, turn.token, turn.row_id, number, STREAMED[number])
            self._closed[turn.token] += 1

    def end_streamed(self, said: str) -> None:
        turn = self._of(said)
        first = self._closed.get(turn.token, 0) if turn else 0
        self._end(turn, Ending("done", STREAMED[first:], first=first))

    def _of(self, said: str) -> Turn | None:
        """Find the turn for these words, None if an earlier instance has ended it."""
        turn = next(
            (turn for turn in self._running.values() if turn.messages[0]["text"].startswith(said)), None
        )
        assert turn or self.instance.states(None)[said] in ("done", "failed"), f"nobody works on {said}"
        return turn

    def _end(self, turn: Turn | None, ending: Ending) -> None:
        if turn:
            self._hand_over(turn, self._loop.run(kept(self._db, ending, turn.row_id)))

    def _hand_over(self, turn: Turn, ending: Ending) -> None:
        following = self.instance.do(turns.end, self.instance.owner, turn, ending).following
        del self._running[turn.token]
        self._spawn([following] if following else [])

    def _spawn(self, claimed: Sequence[Turn]) -> None:
        self._running |= {turn.token: turn for turn in claimed}
        sessions = [turn.session_key for turn in self._running.values()]
        assert len(sessions) == len(set(sessions)), "two running turns in one session"

    # What is sent

    def deliver(self) -> None:
        while self.instance.do(files.discard_unused):
            pass
        for chat_id in self.instance.do(sending.chats, BOT, BEFORE_ALL, 10, self.instance.owner.instance_id):
            assert self._loop.run(self._send(chat_id)) is None, "nothing has to wait, for nothing failed"

    def look_again(self) -> None:
        """Have a second look at all that was settled, as is done a minute later."""
        self.instance.rows("UPDATE second_look SET due_at = 0 RETURNING id")
        for look in self.instance.do(settling.second_looks, BOT, 1, self.instance.owner.instance_id):
            assert self._loop.run(self._send(look.chat_id, look)) is None
        assert self.instance.do(settling.second_looks, BOT, 1, self.instance.owner.instance_id) == []

    async def _send(self, chat_id: ChatId, look: settling.SecondLook | None = None) -> float | None:
        answers, rate_limiter = LiveAnswers(lambda _: None), RateLimiter(0, 0, 0)
        tools = Tools(
            *(self._db, self._api, rate_limiter, answers, self.instance.owner),
            stream="off",
            cuts=True,
            receipts=False,
            wake=lambda _: None,
        )
        sender = ChatSender(chat_id, tools)
        sender.wake()
        if look:
            sender.look_again(look)
        return await sender.run()

    def hold_back(self) -> None:
        """Do what a shutdown does: nothing was begun."""
        self.instance.do(interrupted.not_begun, [], self.instance.owner.instance_id)

    def expire(self, said: str) -> None:
        """Make what is unsent of an answer old; it has no buttons."""
        unsent = [part_id for part_id, raw in self.instance.rows(UNSENT) if said_in(raw) == said]
        assert unsent
        for part_id in unsent:
            self.instance.rows("UPDATE outbox SET ready_at = 5 WHERE id = :id RETURNING id", id=part_id)
        self.instance.do(expiry.expire, BOT, 9)


async def _await(call: Any) -> object:  # noqa: ANN401 - a coroutine, as a Runner wants it
    return await call
