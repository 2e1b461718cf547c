"""One instance of the process, as the store sees it: an owner, one writing connection, no event loop."""

import itertools
import json
import os
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Engine, text

from tests.house import BOT, raw_message
from tgbot.access import Access
from tgbot.intake.batch import Received, Rules, receive
from tgbot.model import (
    Arrival,
    BotId,
    ChatId,
    MessageId,
    Owner,
    Part,
    Raw,
    SessionKey,
    Turn,
    UserId,
    session_key,
)
from tgbot.render import Text
from tgbot.store import allowed, claims, outbox, recovery, sending, turns
from tgbot.store.engine.connection import Connection
from tgbot.store.parts import Content
from tgbot.store.turns import Ended, Ending, Outcome
from tgbot.telegram import updates

P = ParamSpec("P")
T = TypeVar("T")

_update_ids = itertools.count(1000)  # shared by all instances, as Telegram counts


class Instance:
    """One process on the database. `do` runs an operation as one transaction; `say` sends messages."""

    def __init__(  # noqa: PLR0913 - each is a limit that some test sets
        self,
        engine: Engine,
        *,
        max_turns: int = 64,
        crashes_max: int = 3,
        queue_max: int = 100,
        bot_id: BotId = BOT,
        allowed_users: frozenset[UserId] | None = None,
    ) -> None:
        self.engine = engine
        access = Access(allowed_users, next(iter(allowed_users or ()), None))
        self.rules = Rules(access, queue_max, group_activation="always")
        self.do(allowed.note_settings, bot_id, allowed_users, ())
        # The older ones are dead: where several may live, their leases are over.
        self.rows("UPDATE instance SET lease_until = 0 RETURNING id")
        self.owner = Owner(bot_id, self.do(recovery.begin_instance, os.getpid()), max_turns, crashes_max)
        self.do(recovery.guards, self.owner.instance_id)

    def do(self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self.engine.begin() as conn:
            return operation(conn, *args, **kwargs)

    def receive(self, *raws: Raw) -> Received:
        return self.do(receive, self.owner, self.rules, self.parse(*raws))

    def parse(self, *raws: Raw) -> list[Arrival]:
        names, speakers = (self.owner.bot_id, "the_bot"), self.rules.access.speakers
        arrivals = [updates.parse(*names, raw, self.rules.group_sessions, speakers) for raw in raws]
        return [arrival for arrival in arrivals if arrival]

    def say(self, *texts: str, chat: int = 7, **more: Any) -> Received:  # noqa: ANN401 - any field of a message
        """Send messages as one batch."""
        return self.receive(*(raw_message(next(_update_ids), said, chat, **more) for said in texts))

    def start(self, said: str, *waiting: str, chat: int = 7) -> Turn:
        """Send messages to an idle session; returns the turn of the first."""
        [turn] = self.say(said, *waiting, chat=chat).claimed
        return turn

    def press(self, data: str, message_id: int = 1, chat: int = 7, user: int | None = None) -> Received:
        return self.receive(pressed(next(_update_ids), data, message_id, chat, user))

    def due(self) -> list[Turn]:
        """Make every row due that waits for its time, and claim."""
        self.rows("UPDATE pending SET not_before = 0 WHERE not_before IS NOT NULL RETURNING id")
        return self.claim_waiting()

    def begin(self, turn: Turn, words: str, number: int = 0, *, silent: bool = False) -> Part | None:
        """Show the first words of a part, with a button below them."""
        buttons = f'{{"inline_keyboard": [[{{"text": "Stop", "callback_data": "stop:{turn.row_id}"}}]]}}'
        begun = turn.token, turn.row_id, number, Text(words), buttons
        return self.do(outbox.begin, *begun, silent=silent or number > 0)

    def answer(self, turn: Turn, *contents: str | Content, first: int = 0) -> Ended:
        """End a turn with an answer of several parts."""
        said = [Text(one) if isinstance(one, str) else one for one in contents]
        return self.do(turns.end, self.owner, turn, Ending("done", said, first=first))

    def end(self, turn: Turn, outcome: Outcome, *said: str, error_id: str | None = None) -> Turn | None:
        ending = Ending(outcome, [Text(words, ()) for words in said], error_id=error_id)
        return self.do(turns.end, self.owner, turn, ending).following

    def finish(self, turn: Turn, answer: str | None = None) -> Turn | None:
        return self.end(turn, "done", answer or f"re: {turn.text}")

    def fail(self, turn: Turn) -> Turn | None:
        return self.end(turn, "failed", "sorry", error_id="e1d")

    def release(self, turn: Turn) -> Turn | None:
        return self.end(turn, "interrupted")

    def recover(self) -> list[str]:
        """Recover every guard of another instance; returns the new states of their rows."""
        held = [
            hold
            for hold in self.do(recovery.guards, self.owner.instance_id)
            if hold.instance_id != self.owner.instance_id
        ]
        return [self.do(recovery.recover, self.owner, hold) for hold in held]

    def claim_waiting(self) -> list[Turn]:
        return self.do(claims.claim_waiting, self.owner)

    def next_part(self, chat: int = 7) -> Part | None:
        return self.do(sending.next_part, self.owner.bot_id, ChatId(chat), self.owner.instance_id)

    def the_next(self, chat: int = 7) -> Part:
        part = self.next_part(chat)
        assert part
        return part

    def sent(self, part: Part) -> MessageId:
        """Note that a part is on screen: as the message that it has, or as the newest one."""
        message_id = part.message_id or new_id()
        self.do(sending.sent, part, message_id)
        return message_id

    def send_all(self, chat: int = 7) -> list[str | None]:
        """Send what is unsent in a chat, without a fault; returns the texts in order."""
        said = []
        while part := self.next_part(chat):
            said.append(part.text)
            self.do(sending.removed, part) if part.kind == "surplus" else self.sent(part)
        return said

    def rows(self, sql: str, **values: object) -> list[tuple[Any, ...]]:
        def select(conn: Connection) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in conn.execute(text(sql), values)]

        return self.do(select)

    def states(self, chat: int | None = 7) -> dict[str | None, str]:
        """Map each message's text to its state, in arrival order; of all chats with None."""
        sql = "SELECT raw, state, chat_id FROM pending WHERE kind = 'message' ORDER BY id"
        return {said_in(raw): state for raw, state, place in self.rows(sql) if chat in (None, place)}

    def outbox(self, chat: int = 7) -> list[tuple[str, str | None]]:
        """List (state, text) of every part for a chat, in the order of sending."""
        return self.rows("SELECT state, text FROM outbox WHERE chat_id = :chat ORDER BY id", chat=chat)

    def answers(self, chat: int = 7) -> list[str]:
        return [said for _, said in self.outbox(chat) if said is not None]

    def guards(self) -> dict[str, int]:
        """Map each session that is held to the token of its guard."""
        return dict(self.rows("SELECT session_key, turn_id FROM guard"))


class StartInstance(Protocol):
    """The type of the fixture `start_instance`: starts an instance on the test's file, with these limits."""

    def __call__(
        self,
        *,
        max_turns: int = 64,
        crashes_max: int = 3,
        queue_max: int = 100,
        bot_id: BotId = BOT,
        allowed_users: frozenset[UserId] | None = None,
    ) -> Instance: ...


def said_in(raw: str) -> str | None:
    """Read the text of a message in an update as it is stored; None where it was erased."""
    text: str | None = json.loads(raw).get("message", {}).get("text")
    return text


def new_id() -> MessageId:
    """Give the id of a new message, which is above all before it, whatever the chat."""
    return MessageId(next(_update_ids))


def key(chat: int = 7) -> SessionKey:
    return session_key(BOT, ChatId(chat))


def pressed(update_id: int, data: str, message_id: int = 1, chat: int = 7, user: int | None = None) -> Raw:
    """Make the update of a pressed button."""
    person = {"id": user or abs(chat), "is_bot": False, "first_name": "Ann"}
    place = {"id": chat, "type": "private" if chat > 0 else "supergroup"}
    bubble = {"message_id": message_id, "date": 1, "chat": place, "text": "…"}
    query = {"id": f"q{update_id}", "from": person, "chat_instance": "1", "message": bubble, "data": data}
    return {"update_id": update_id, "callback_query": query}
