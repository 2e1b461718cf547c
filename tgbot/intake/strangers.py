"""Answers those who may not talk, in private chats only: little, once, and their words are not kept."""

import json
import time
from dataclasses import dataclass, replace

from tgbot.access import Access
from tgbot.intake import pairing
from tgbot.intake.commands import people
from tgbot.intake.commands.registry import row_in
from tgbot.model import BotId, ChatId, Message, Owner, Raw, RowId, UserId
from tgbot.render import Text
from tgbot.store import allowed, inbox, outbox, strangers
from tgbot.store.engine.connection import Connection
from tgbot.store.erasure import NO_WORDS
from tgbot.store.strangers import Code

PRIVATE = "This bot is private. Its owner can let you in: your user id is {}. Send /pair to ask."
NO_OWNER = (
    "This bot is private and has no owner yet: your user id is {}. If you run it, send it the code that it"
    " showed when it started."
)
OWNS = "This bot is yours now. /help says what it does; /allow, /deny and /users say who else may talk to it."
WRONG = "This code is wrong."
LOCKED = "This code is wrong, too. I take no more codes from you."
EXPIRED = "This code has expired. The bot shows a new one when it starts."
ASKED = "I have asked the owner. You will hear from me when they let you in."


def answer(conn: Connection, owner: Owner, access: Access, message: Message) -> set[ChatId]:
    """Answer somebody who may not talk, if there is anything to say that was not said before.

    Returns the chats in which something is to be sent now.
    """
    if not message.address.private:
        return set()
    return _Stranger(conn, owner.bot_id, access, message).answer()


@dataclass(slots=True)
class _Stranger:
    conn: Connection
    bot_id: BotId
    access: Access
    message: Message

    @property
    def user_id(self) -> UserId:
        return self.message.address.user_id

    def answer(self) -> set[ChatId]:
        said: Raw = json.loads(self.message.update.raw)["message"]
        name = people.name_of(said["from"])
        known = strangers.find(self.conn, self.bot_id, self.user_id)
        if known is None and not strangers.note(self.conn, self.bot_id, self.user_id):
            return set()
        if (code := strangers.pairing_code(self.conn, self.bot_id)) and (sent := pairing.code_in(said)):
            return self._try(sent, code, name, known.wrong_codes if known else 0)
        if self._is_pair() and (known is None or known.state == "replied") and self._ask(name):
            return {ChatId(self.user_id), *map(ChatId, filter(None, [self._owner_id()]))}
        return self._say(self._introduction()) if known is None else set()

    def _try(self, sent: str, code: Code, name: str, wrong_before: int) -> set[ChatId]:
        """Make the sender of the right code the owner, unless they guessed too often."""
        if wrong_before >= pairing.WRONG_CODES_MAX:
            return set()
        if pairing.is_right(sent, code):
            return self._say(EXPIRED) if code.expires_at <= time.time() else self._pair(name)
        said = self._say(LOCKED if wrong_before + 1 == pairing.WRONG_CODES_MAX else WRONG)
        if said:  # else it comes again, and was counted
            strangers.guessed_wrong(self.conn, self.bot_id, self.user_id)
        return said

    def _pair(self, name: str) -> set[ChatId]:
        if not strangers.close_pairing(self.conn, self.bot_id):  # another worker was first
            return self._say(self._introduction())
        strangers.forget(self.conn, self.bot_id, self.user_id)
        allowed.allow(self.conn, self.bot_id, self.user_id, "owner", name, self.user_id)
        return self._say(OWNS)

    def _is_pair(self) -> bool:
        words = self.message.command
        return words is not None and words.slash and words.name == "pair"

    def _ask(self, name: str) -> bool:
        """Give the owner a card with the choice. False if there is no owner, or too many have asked."""
        owner_id = self._owner_id()
        if owner_id is None or not strangers.ask(self.conn, self.bot_id, self.user_id, name):
            return False
        row_id = self._row()
        if row_id is not None:
            outbox.notice(self.conn, row_id, Text(ASKED))
            card = row_in(self.conn, self.message.update, row_id, owner_id)
            outbox.notice(self.conn, card, *people.card(card, self.user_id, name))
        return True

    def _owner_id(self) -> UserId | None:
        return self.access.owner_id or allowed.owner_of(self.conn, self.bot_id)

    def _introduction(self) -> str:
        return (NO_OWNER if self._owner_id() is None else PRIVATE).format(self.user_id)

    def _say(self, text: str) -> set[ChatId]:
        row_id = self._row()
        if row_id is None:
            return set()
        outbox.notice(self.conn, row_id, Text(text))
        return {self.message.address.chat_id}

    def _row(self) -> RowId | None:
        """Store that there was a message, without its words. None if it comes again."""
        wordless = self.message.update._replace(raw=NO_WORDS)
        return inbox.store(self.conn, replace(self.message, update=wordless), "dropped")
