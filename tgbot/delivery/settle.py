"""Settles a part of unknown fate: finds out by message ids whether it is on screen, and leaves one copy.

A request whose answer never came (cut, timed out, a server error, kill -9) may have taken effect. Telegram
numbers messages upwards, so the message, if it exists, has an id between the newest one known before
(`floor`) and that of a "…" sent after it (`ceiling`). Each id in between that we do not know is asked for,
by a change of its buttons, which harms nothing. A process may die at any point of this: the next one begins
again, and what it then finds too much is deleted.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from tgbot.delivery import kinds, seen
from tgbot.delivery.commits import Commits
from tgbot.delivery.tools import Looked, Tools
from tgbot.model import ChatId, MessageId, Part, Raw
from tgbot.store import sending, settling
from tgbot.store.outbox import SURPLUS_TEXT
from tgbot.tally import tally
from tgbot.telegram.errors import (
    MessageGoneError,
    NotModifiedError,
    NotNowError,
    RefusedError,
    UnreachableError,
)

log = logging.getLogger(__name__)

OURS: Raw = {}  # a message that has exactly the buttons of the part
MARKER = {"inline_keyboard": [[{"text": "…", "callback_data": "settling"}]]}


@dataclass(slots=True)
class Search:
    """What was found of a part: the messages that show it, in order, and those that must disappear."""

    wanted: list[Part]
    found: list[MessageId] = field(default_factory=list)
    surplus: list[MessageId] = field(default_factory=list)

    def take(self, message_id: MessageId, message: Raw) -> bool:
        """Judge a message of ours whose id we did not know; False if it is none of our business."""
        if message is OURS:
            self.surplus += self.found  # a copy, or what a settling that was killed gave the part's buttons
            self.found = [message_id]
        elif len(self.found) < len(self.wanted) and kinds.is_shown_by(self.wanted[len(self.found)], message):
            self.found.append(message_id)
        elif message.get("text") == SURPLUS_TEXT or kinds.is_shown_by(self.wanted[0], message):
            self.surplus.append(message_id)
        else:
            return False
        return True

    @property
    def complete(self) -> bool:
        """Whether the whole part is on screen; an album has several messages."""
        return len(self.found) == len(self.wanted)


class Settling:
    """Settles one part of a chat.

    `allow` waits until a request may go out.
    """

    def __init__(
        self, chat_id: ChatId, tools: Tools, commits: Commits, allow: Callable[[], Awaitable[None]]
    ) -> None:
        self._chat_id = chat_id
        self._tools = tools
        self._commits = commits
        self._allow = allow
        # Where many requests fail, a search would never end that began anew each time.
        self._absent: tuple[MessageId | None, set[MessageId]] = (None, set())

    async def settle(self, part: Part) -> None:
        """Find the part and note where it is, or have it shown anew.

        Raises BotApiError: then call it again.
        """
        began_at = time.time()
        part = await self._with_ceiling(part)
        ids = await self._tools.db.read(settling.unknown_ids, self._tools.bot_id, part)
        wanted = [part]
        if part.album is not None:
            wanted = await self._tools.db.read(sending.album_of, part)
        search = Search(wanted)
        if self._absent[0] != part.ceiling:
            self._absent = part.ceiling, set()
        absent = self._absent[1]
        for message_id in ids or ():
            if message_id not in absent and not await self._look_at(message_id, part, search):
                absent.add(message_id)
        log.info(
            "delivery.settled chat=%s row=%s part=%s looked_at=%s found=%s",
            *(part.chat_id, part.row_id, part.number, None if ids is None else len(ids), search.found),
        )
        tally.settles += 1
        await self._note(part, search, began_at, searched=ids is not None)

    async def look_again(self, look: settling.SecondLook) -> bool:
        """Find what took effect only after it was settled, and have it deleted. Raises BotApiError.

        It may ask for many ids, each in its time. False where there is something to show before it goes on.
        """
        if not await self._commits.keep():  # else what another worker shows meanwhile would be a stray
            return True  # its scan finds it
        looked = self._tools.looked.setdefault(look.look_id, Looked())
        # Read anew each time: what was sent meanwhile is no stray, though it may say the same; and behind
        # one that was found there may be more.
        while ids := await self._unasked(look, looked):
            for message_id in ids:
                await self._judge(message_id, look, looked)
                if self._commits.waiting or self._tools.answers.in_chat(self._chat_id):
                    return False
        self._tools.looked.pop(look.look_id, None)
        self._commits.may_leave()
        await self._commits.note(settling.looked, look, looked.surplus)
        return True

    async def _unasked(self, look: settling.SecondLook, looked: Looked) -> list[MessageId]:
        ids = await self._tools.db.read(settling.ids_since, self._tools.bot_id, look, looked.newest)
        return [message_id for message_id in ids if message_id not in looked.asked]

    async def _judge(self, message_id: MessageId, look: settling.SecondLook, looked: Looked) -> None:
        """Ask for one message, and see whether it is a stray of this look."""
        message = await self._message(message_id, None)
        looked.asked.add(message_id)
        if message is None:
            return
        looked.newest = max(looked.newest, message_id)
        words = (message.get("text") or message.get("caption") or "").strip()
        if words in {look.text.strip(), SURPLUS_TEXT} - {""}:
            looked.surplus.append(message_id)
        else:
            await self._unmarked(message_id)

    async def _with_ceiling(self, part: Part) -> Part:
        """Send a "…" after the part, and note its id: what the part's own must be below."""
        if part.ceiling is not None:
            return part
        await self._allow()
        place = kinds.place(replace(part, silent=True), part.reply_to)
        message_id = _message_id(await self._tools.api.call("sendMessage", text=SURPLUS_TEXT, **place))
        await self._commits.note(settling.placed, part, message_id)
        return replace(part, ceiling=message_id)

    async def _look_at(self, message_id: MessageId, part: Part, search: Search) -> bool:
        """Ask for one message, and leave it as it was; a text of ours is edited anyway.

        False if it is not there.
        """
        message = await self._message(message_id, kinds.buttons(part))
        if message is None:
            return False
        ours = search.take(message_id, message)
        if not ours:
            log.warning("delivery.not_ours chat=%s message_id=%s", part.chat_id, message_id)
        if not ours or (part.file_id is not None and part.sent_text is None):
            await self._unmarked(message_id)
        return True

    async def _message(self, message_id: MessageId, own: object) -> Raw | None:
        """Get a message of ours by its id; None if it is not there, or somebody else's.

        The same buttons as it has are refused as "not modified", which proves that it exists, and shows
        nothing; others are set, and the whole message comes back.
        """
        try:
            return await self._mark(message_id, own)
        except NotModifiedError:
            if own:  # they name this very part
                return OURS
        except MessageGoneError:
            return None
        except NotNowError:  # it proves nothing
            raise
        except RefusedError as error:
            log.info("delivery.cannot_look chat=%s message_id=%s reason=%s", self._chat_id, message_id, error)
            return None
        try:
            return await self._mark(message_id, MARKER)
        except (NotModifiedError, MessageGoneError):  # marked by a settling that died; or deleted meanwhile
            return await self._unmarked(message_id)

    async def _unmarked(self, message_id: MessageId) -> Raw | None:
        try:
            return await self._mark(message_id, None)
        except (NotModifiedError, MessageGoneError):
            return None

    async def _mark(self, message_id: MessageId, buttons: object) -> Raw:
        await self._allow()
        message = await self._tools.api.call(
            "editMessageReplyMarkup", chat_id=self._chat_id, message_id=message_id, reply_markup=buttons
        )
        if not isinstance(message, dict):
            raise UnreachableError("useless answer: no message")
        return message

    async def _note(self, part: Part, search: Search, began_at: float, *, searched: bool) -> None:
        assert part.ceiling is not None
        if search.complete:
            surplus = [*search.surplus, part.ceiling]
            shown = await self._commits.note(
                settling.found, search.wanted, search.found, surplus, react=self._tools.receipts
            )
            seen.note(self._tools.bot_id, part, shown, began_at)
            return
        surplus = [*search.found, *search.surplus]  # an album of which some are missing is sent again
        write = settling.not_found if kinds.kind_of(part).editable else settling.send_again
        await self._commits.note(write, part, surplus, duplicate=not searched)


def _message_id(message: object) -> MessageId:
    found = message.get("message_id") if isinstance(message, dict) else None
    if not isinstance(found, int):
        raise UnreachableError("useless answer: no message id")
    return MessageId(found)
