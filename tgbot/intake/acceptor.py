"""Accepts batches of raw updates, from wherever: one transaction, then wakes for whoever has work.

An update counts as received when its row is committed. The caller may confirm the batch to Telegram when
`accept` returns.
"""

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Sequence

from tgbot import tracing
from tgbot.delivery.delivery import Delivery
from tgbot.intake import commands
from tgbot.intake.batch import Received, Rules, receive
from tgbot.intake.ignored import Ignored
from tgbot.model import Arrival, ChatMoved, Control, Message, Raw, SessionKey, Unreadable
from tgbot.store import overheard
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.writer import Database
from tgbot.telegram import get_updates, outcomes, updates
from tgbot.telegram.get_updates import Unparsed
from tgbot.telegram.privacy import PRIVACY_MODE
from tgbot.turns.answer import Reaction
from tgbot.turns.dispatcher import Dispatcher

log = logging.getLogger(__name__)


class Acceptor:
    """Takes raw updates in; knows neither where they come from nor when to ask for more.

    `username` is the bot's own, which distinguishes /stop@this_bot from /stop@another; None until getMe
    was answered. `forget_files` removes what was downloaded for a session; it raises OSError.
    """

    def __init__(
        self,
        db: Database,
        rules: Rules,
        dispatcher: Dispatcher,
        delivery: Delivery,
        forget_files: Callable[[SessionKey], None],
    ) -> None:
        self.username: str | None = None
        self._db = db
        self._rules = rules
        self._dispatcher = dispatcher
        self._delivery = delivery
        self._forget_files = forget_files
        self._ignored = Ignored()

    def introduce(self, username: str, *, privacy_mode: bool) -> None:
        """Take in what getMe says of the bot itself."""
        self.username = username
        self._rules = dataclasses.replace(self._rules, privacy_mode=privacy_mode)
        if privacy_mode and self._rules.group_activation == "always":
            log.warning("intake.privacy_mode %s", PRIVACY_MODE)

    def change(self, rules: Rules) -> None:
        """Go by these from the next batch on; what was learned since the start stays."""
        known = self._rules
        self._rules = dataclasses.replace(rules, full=known.full, privacy_mode=known.privacy_mode)

    @property
    def menu(self) -> dict[str, str]:
        """What people can type here: the name of each command, and a line about it."""
        return commands.menu(self._rules.model)

    @property
    def allowed_updates(self) -> list[str]:
        """The kinds of update to ask Telegram for."""
        return outcomes.allowed_updates(reactions=self._rules.reactions != "off")

    async def accept(self, batch: Sequence[Raw | Unparsed]) -> None:
        """Commit a batch, then wake whoever has work from it.

        Raises StorageError when nothing was stored; then the batch must not be confirmed.
        """
        arrivals = self._parsed(batch)
        self._note_alive(arrivals, batch)
        await self._forget_overheard(batch)
        try:
            self._pass_on(await self._receive(arrivals))
        except StorageError:
            raise
        except Exception:
            # One of them hits a bug in the code. Taken one by one, only that one is parked.
            log.exception("intake.batch_failed updates=%s", len(arrivals))
            for arrival in arrivals:
                await self._accept_alone(arrival)

    def _note_alive(self, arrivals: Sequence[Arrival], batch: Sequence[Raw | Unparsed]) -> None:
        """Hint at chats in which somebody wrote, or the bot's rights changed: it may write there again."""
        chats = {one.address.chat_id for one in arrivals if isinstance(one, Message | Control)}
        chats |= {chat for item in batch if (chat := updates.rights_changed_in(item)) is not None}
        for chat_id in chats:
            self._delivery.alive(chat_id)

    async def _forget_overheard(self, batch: Sequence[Raw | Unparsed]) -> None:
        for item in batch:
            if (chat_id := updates.left_chat_in(item)) is not None:
                await self._db.write(overheard.forget_chat, self._dispatcher.owner.bot_id, chat_id)

    async def _accept_alone(self, arrival: Arrival) -> None:
        try:
            self._pass_on(await self._receive([arrival]))
        except StorageError:
            raise
        except Exception:
            log.exception("intake.parked update=%s", arrival.update.update_id)
            where = arrival if isinstance(arrival, Unreadable | ChatMoved) else arrival.address
            parked = Unreadable(arrival.update, where.chat_id, where.topic_id)
            self._pass_on(await self._receive([parked]))

    async def _receive(self, arrivals: Sequence[Arrival]) -> Received:
        if not arrivals:
            return Received()
        began_at = time.time()
        received = await self._db.write(receive, self._dispatcher.owner, self._rules, arrivals)
        tracing.received(self._dispatcher.owner.bot_id, received.update_ids, began_at)
        if received.erased:
            await self._erase_rest(received.erased)
        return received

    async def _erase_rest(self, session_keys: Sequence[SessionKey]) -> None:
        """Erase what is kept of sessions beside the database's own tables."""
        log.info("intake.erased sessions=%s", ",".join(session_keys))
        with contextlib.suppress(StorageError):  # it is committed, and must be passed on
            await self._db.empty_log()
        for session_key in session_keys:
            try:
                await asyncio.to_thread(self._forget_files, session_key)
            except OSError as error:
                log.error("intake.files_not_erased session=%s reason=%s", session_key, error)  # noqa: TRY400

    def _parsed(self, batch: Sequence[Raw | Unparsed]) -> list[Arrival]:
        arrivals = []
        for item in batch:
            arrival = self._arrival(item)
            if arrival is not None:
                arrivals.append(arrival)
            elif isinstance(item, dict) and (kind := outcomes.ignored_as(item, self._rules.access.speakers)):
                self._ignored.note(kind)
            if isinstance(arrival, Unreadable):
                log.warning("intake.unreadable update=%s chat=%s", arrival.update.update_id, arrival.chat_id)
        return arrivals

    def _arrival(self, item: Raw | Unparsed) -> Arrival | None:
        bot_id = self._dispatcher.owner.bot_id
        if isinstance(item, Unparsed):
            return get_updates.unreadable(bot_id, item)
        try:
            rules = self._rules
            arrival = updates.parse(bot_id, self.username, item, rules.group_sessions, rules.access.speakers)
        except RecursionError:  # nested so deep that JSON can read it but not write it
            return get_updates.unreadable(bot_id, item)
        except Exception:
            log.exception("intake.parse_failed update=%s", get_updates.update_id(item))
            return get_updates.unreadable(bot_id, item)
        return arrival if self._rules.wants(arrival) else None

    def _pass_on(self, received: Received) -> None:
        self._dispatcher.spawn(received.claimed)
        self._ignored.note(f"message.{outcomes.NOT_ADDRESSED}", received.not_addressed)
        if received.timed:
            self._dispatcher.wake()
        for chat_id in received.replied:
            self._delivery.wake(chat_id)
        self._draw_cards(received)
        for address in received.waiting:
            self._delivery.react(address, Reaction.RECEIVED)
        for address, waits in received.marks:
            self._delivery.react(address, Reaction.RECEIVED if waits else None)
        for address in received.changed:
            self._delivery.react(address, Reaction.CHANGED)
        for callback_id in received.turned_away:
            self._delivery.answer_callback(callback_id, None)
        for control, toast in received.controls:
            log.info("control.acted name=%s session=%s", control.name, control.address.session_key)
            self._dispatcher.wake()
            if control.callback_id:
                self._delivery.answer_callback(control.callback_id, toast)

    def _draw_cards(self, received: Received) -> None:
        if received.moved:
            self._delivery.cards.moved()
        for address in [*received.waiting, *received.changed, *(address for address, _ in received.marks)]:
            self._delivery.cards.waits(address.session_key)
