"""Brings one part on screen: sends, edits, settles or removes it, and judges what went wrong."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Any

from tgbot.delivery import kinds, seen
from tgbot.delivery.backoff import Backoff
from tgbot.delivery.commits import Commits
from tgbot.delivery.reactions import Reactions
from tgbot.delivery.settle import Settling
from tgbot.delivery.tools import Tools
from tgbot.delivery.uploads import uploads_of
from tgbot.model import ChatId, MessageId, Part, RowId
from tgbot.store import chats, files, interrupted, outbox, sending, settling, topics
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.errors import StorageError
from tgbot.store.parts import OnePart
from tgbot.telegram.errors import (
    BotApiError,
    ChatMigratedError,
    FloodedError,
    MessageGoneError,
    NotModifiedError,
    NotNowError,
    NotSentError,
    RefusedError,
    TokenRefusedError,
    TopicGoneError,
    UnreachableError,
)
from tgbot.telegram.rate_limit import Priority
from tgbot.turns.answer import Reaction

log = logging.getLogger(__name__)

TRIES_MAX = 5  # failures of one part, while other requests succeed, until a plainer one takes its place
MUTED_SECONDS = 600.0  # how long to wait where the bot may not write, unless the chat shows activity
UNLUCKY_SECONDS = 3.0  # the longest wait after a failure while Telegram answers other requests


class Deliverer:
    """Delivers the parts of one chat, one request at a time."""

    def __init__(self, chat_id: ChatId, tools: Tools, commits: Commits, reactions: Reactions) -> None:
        self.muted = False  # the bot may not write here just now
        self._chat_id = chat_id
        self._tools = tools
        self._commits = commits
        self._reactions = reactions
        self._settling = Settling(chat_id, tools, commits, self._allow)
        self._backoff = Backoff()
        self._verdicts: dict[RowId, tuple[MessageId, Reaction]] = {}

    def react_when_shown(self, row_id: RowId, message_id: MessageId, reaction: Reaction) -> None:
        """React to the question of this row when all of its answer is on screen."""
        self._verdicts[row_id] = (message_id, reaction)

    async def deliver(self, part: Part) -> float | None:
        """Make the request that a part needs now; returns after how many seconds to go on, None for at once.

        Raises StorageError.
        """
        self._commits.hint()  # read the next part anew, unless a write below already does
        try:
            await self._request(part)
        except BotApiError as error:
            return await self._failed(part, error)
        except StorageError:
            raise
        except Exception:
            log.exception("delivery.failed chat=%s row=%s part=%s", part.chat_id, part.row_id, part.number)
            await self._commits.note(_lost_again, part)
            return self._backoff.failed(_now())
        self._backoff.succeeded()
        self.muted = False
        return None

    async def look_again(self, look: settling.SecondLook) -> bool:
        """Find what took effect only after it was settled; False if it has to go on. Raises StorageError.

        What fails is done later.
        """
        try:
            return await self._settling.look_again(look)
        except FloodedError as error:
            self._tools.rate_limiter.pause(self._chat_id, error.retry_after_seconds)
        except BotApiError as error:
            log.info("delivery.not_looked chat=%s reason=%s", self._chat_id, error)
        return True

    async def _request(self, part: Part) -> None:
        if part.tries >= TRIES_MAX:
            raise RefusedError("it failed again and again")
        if part.state == "unknown":
            await self._settling.settle(part)
        elif part.kind == "surplus":
            await self._remove(part)
        elif part.message_id is None:
            await self._send(part)
        elif kinds.kind_of(part).editable:
            await self._edit(part)
        else:
            await self._commits.write(sending.detach, part)

    async def _send(self, part: Part) -> None:
        """Send a part that is `sending` on disk, then commit its message id."""
        parts = [part]
        if part.album is not None:
            parts = await self._tools.db.read(sending.album_of, part)
        uploads = await uploads_of(self._tools.db, parts)
        method, content = kinds.kind_of(part).send(part, uploads)
        place = kinds.place(part, await self._reply_to(part))
        self._tools.under_way.add(part.part_id)
        began_at = time.time()
        try:
            answer = await self._tools.api.call(method, **place, reply_markup=kinds.buttons(part), **content)
            await self._shown(part, parts, _message_ids(answer, len(parts)), began_at)
        except NotSentError:
            raise
        except UnreachableError:
            await self._commits.note(interrupted.lost, part)
            raise
        finally:
            if not _cancelled():  # then the next process has to settle it
                self._tools.under_way.discard(part.part_id)

    async def _edit(self, part: Part) -> None:
        """Edit the content in; "not modified" means that an earlier try took effect."""
        assert part.message_id is not None
        method, content = kinds.kind_of(part).edit(part, await uploads_of(self._tools.db, [part]))
        began_at = time.time()
        with contextlib.suppress(NotModifiedError):
            await self._tools.api.call(
                method,
                chat_id=part.chat_id,
                message_id=part.message_id,
                reply_markup=kinds.buttons(part),
                **content,
            )
        await self._shown(part, [part], [part.message_id], began_at)

    async def _shown(
        self, part: Part, parts: Sequence[Part], message_ids: Sequence[MessageId], began_at: float
    ) -> None:
        """Note where parts are since a request that began then, and do what had to wait for that."""
        react = self._tools.receipts
        shown: sending.Shown | None = await self._commits.note(
            sending.all_sent, parts, message_ids, react=react
        )
        log.info("delivery.sent chat=%s row=%s part=%s", part.chat_id, part.row_id, part.number)
        seen.note(self._tools.bot_id, part, shown, began_at)
        if shown is None or shown.state != "sent":
            return
        if shown.reaction_due and (verdict := self._verdicts.pop(part.row_id, None)):
            self._reactions.add(*verdict, part.part_id)
        for one in parts:
            if one.file_id is not None:
                while await self._tools.db.write(files.discard, one.file_id):
                    pass

    async def _remove(self, part: Part) -> None:
        """Delete what is on screen and should not be."""
        with contextlib.suppress(MessageGoneError):
            await self._tools.api.call("deleteMessage", chat_id=part.chat_id, message_id=part.message_id)
        await self._commits.write(sending.removed, part)

    async def _reply_to(self, part: Part) -> MessageId | None:
        """Find the message to reply to: for one that says an answer is there, that answer."""
        if part.kind != "ping":
            return part.reply_to
        _, answer_id = await self._tools.db.read(outbox.shown_in, part.row_id, 0)
        return answer_id

    async def _failed(self, part: Part, error: BotApiError) -> float | None:
        """Judge why a request failed."""
        match error:
            case FloodedError():
                self._tools.flooded(self._chat_id, error)
            case ChatMigratedError():
                await self._commits.write(chats.move, self._tools.bot_id, self._chat_id, error.new_chat_id)
                self._tools.wake(error.new_chat_id)
            case TopicGoneError() if part.topic_id is not None:
                await self._commits.write(topics.leave, part)
            case NotNowError() | TopicGoneError():  # the latter: General is closed, and may be opened again
                return await self._muted(part, error)
            case MessageGoneError() if part.tries + 1 < TRIES_MAX:
                await self._commits.write(_send_anew, part)
            case RefusedError():
                await self._refused(part, str(error))
            case TokenRefusedError() if (
                part.kind == "rich"
            ):  # to the server, the method is as unknown as a token
                await self._refused(part, "the server does not know rich messages")
            case _:
                return await self._unreachable(part, error)
        return None

    async def _muted(self, part: Part, error: BotApiError) -> float:
        """Wait until the bot may write here again; the part is `ready` meanwhile, so that it can expire."""
        log.warning("delivery.muted chat=%s row=%s reason=%s", part.chat_id, part.row_id, error)
        self.muted = True
        await self._tools.db.write(interrupted.take_back, part)  # a look would begin to send it again
        return MUTED_SECONDS if self.muted else 0.0  # not if the chat has shown activity since the refusal

    async def _unreachable(self, part: Part, error: BotApiError) -> float:
        """Wait, and count it against an edit if Telegram answers everybody else meanwhile.

        What became of a send, only a settling can say.
        """
        log.warning("delivery.retry chat=%s row=%s reason=%s", part.chat_id, part.row_id, error)
        wait_seconds = self._backoff.failed(_now())
        if self._tools.api.answered_at <= self._backoff.since:
            return wait_seconds
        if part.message_id is not None and not isinstance(error, NotSentError):
            await self._commits.write(sending.failed, part)
        return min(wait_seconds, UNLUCKY_SECONDS)

    async def _refused(self, part: Part, reason: str) -> None:
        """Show a plainer form of what Telegram refuses for good; park the part when there is none."""
        ids = (part.chat_id, part.row_id, part.number)
        log.warning("delivery.refused chat=%s row=%s part=%s reason=%s", *ids, reason)
        if part.kind == "surplus":  # too old to be deleted
            await self._commits.write(sending.removed, part)
        elif part.album is not None:
            await self._commits.write(sending.take_apart, part)
        elif plainer := _plainer(part):
            await self._commits.write(outbox.fall_back, part, plainer)
        else:
            log.warning("delivery.parked chat=%s row=%s part=%s", *ids)
            await self._commits.write(_park, part, reason, react=self._tools.receipts)
            if verdict := self._verdicts.pop(part.row_id, None):
                self._reactions.add(verdict[0], Reaction.FAILED, part.part_id)

    async def _allow(self) -> None:
        await self._tools.rate_limiter.acquire(self._chat_id, Priority.ANSWER)


def _plainer(part: Part) -> Sequence[OnePart]:
    """Choose what to show instead; nothing if that fails: a part must not crash its sender for ever."""
    try:
        return kinds.kind_of(part).plainer(part)
    except Exception:
        log.exception("delivery.no_plainer chat=%s row=%s part=%s", part.chat_id, part.row_id, part.number)
        return []


def _park(conn: Connection, part: Part, reason: str, *, react: bool) -> None:
    """Park a part, say so in the chat, once, and let nothing of it stay on screen, not even a "…"."""
    if part.message_id is not None:
        sending.detach(conn, part)
    sending.park(conn, part, reason, react=react)
    if part.text != outbox.CANNOT_SHOW:
        outbox.add(conn, part.row_id, outbox.CANNOT_SHOW)


def _send_anew(conn: Connection, part: Part) -> None:
    """Forget a message that somebody deleted; it may be deleted again and again."""
    sending.failed(conn, part)
    sending.forget_message(conn, part)


def _lost_again(conn: Connection, part: Part) -> None:
    """Note that nobody knows what became of a part, and that it was not the first time perhaps."""
    interrupted.lost(conn, part)
    sending.failed(conn, part)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _message_ids(answer: Any, number: int) -> list[MessageId]:  # noqa: ANN401 - as Telegram answers
    """Find the ids of what was sent; an album is answered with a list of messages.

    Raises UnreachableError without one for each of `number` parts: the outcome is unknown.
    """
    messages = answer if isinstance(answer, list) else [answer]
    ids = [message.get("message_id") if isinstance(message, dict) else None for message in messages]
    if len(ids) != number or not all(isinstance(one, int) for one in ids):
        raise UnreachableError("useless answer: not one message for each part")
    return [MessageId(one) for one in ids if one is not None]
