"""`tgbot doctor --live`: checks on the real server what sending each answer exactly once relies on."""

from collections.abc import Callable
from typing import Any

from tgbot.config import Settings
from tgbot.doctor.bot_api import privacy_mode
from tgbot.doctor.check import Check, DoctorError
from tgbot.model import ChatId, MessageId
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import (
    BotApiError,
    ChatMigratedError,
    FloodedError,
    MessageGoneError,
    NotModifiedError,
    RefusedError,
    TokenRefusedError,
    UnreachableError,
)

TEXTS = [f"tgbot doctor checks this chat ({number} of 3), and deletes this again" for number in (1, 2, 3)]
UNKNOWN_AHEAD = 1_000  # so far behind the newest id there is no message yet, also in a busy group
DELETE_SECONDS = 5.0  # for each: whoever waits already knows that the server is gone
BUTTONS = {"inline_keyboard": [[{"text": "tgbot doctor", "callback_data": "doctor"}]]}

_ADVICE = "update the Bot API server if it is your own, else report this to the authors of tgbot"
TWICE = f"an answer whose confirmation is lost cannot be found again and may come twice: {_ADVICE}"
UNCERTAIN = f"an answer that is on screen already cannot be recognized: {_ADVICE}"
LEFT = "delete by hand what is left in the chat"


async def check_live(settings: Settings, chat_id: ChatId, show: Callable[[Check], None]) -> None:
    """Check with three silent messages in a chat, which are deleted again.

    Raises DoctorError, TokenRefusedError.
    """
    async with BotApi(settings.token, settings.api_url) as api:
        checkup = _Checkup(api, chat_id, show)
        try:
            await checkup.run()
            if settings.group_activation == "always":
                await checkup.note_privacy_mode()
        finally:
            await checkup.delete_all()


class _Checkup:
    def __init__(self, api: BotApi, chat_id: ChatId, show: Callable[[Check], None]) -> None:
        self._api = api
        self._chat_id = chat_id
        self._show = show
        self._sent: list[MessageId] = []

    async def run(self) -> None:
        for text in TEXTS:
            await self._send(text)
        first, second, third = self._sent
        grow = first < second < third
        self._report("ids grow", _listed(self._sent, " < " if grow else ", "), TWICE, ok=grow)
        await self._check_unknown_id(MessageId(max(self._sent) + UNKNOWN_AHEAD))
        await self._check_edit_without_change(third)
        await self._check_what_new_buttons_return(third)

    async def note_privacy_mode(self) -> None:
        me = await self._ask("getMe")
        if isinstance(me, dict):
            self._show(privacy_mode(me, wanted_off=True))

    async def delete_all(self) -> None:
        left = [message_id for message_id in self._sent if not await self._delete(message_id)]
        if self._sent:
            seen = f"all but {_listed(left)}" if left else _listed(self._sent)
            self._report("deleted again", seen, LEFT, ok=not left)

    async def _send(self, text: str) -> None:
        sent = await self._ask("sendMessage", text=text, disable_notification=True)
        if isinstance(sent, RefusedError):
            raise DoctorError(_why_refused(self._chat_id, sent))
        if not isinstance(sent, dict) or type(sent.get("message_id")) is not int:
            raise DoctorError(f"the Bot API server does not give the id of a sent message: {_ADVICE}")
        self._sent.append(MessageId(sent["message_id"]))

    async def _check_unknown_id(self, message_id: MessageId) -> None:
        seen = await self._ask("editMessageReplyMarkup", message_id=message_id, reply_markup=BUTTONS)
        ok = type(seen) is MessageGoneError  # not a subclass: that is a message which is there
        self._report("an unknown id is not there", _said(seen), TWICE, ok=ok)

    async def _check_edit_without_change(self, message_id: MessageId) -> None:
        seen = await self._ask("editMessageText", message_id=message_id, text=TEXTS[-1])
        ok = isinstance(seen, NotModifiedError)
        self._report("an edit without change is refused", _said(seen), UNCERTAIN, ok=ok)

    async def _check_what_new_buttons_return(self, message_id: MessageId) -> None:
        seen = await self._ask("editMessageReplyMarkup", message_id=message_id, reply_markup=BUTTONS)
        asked = {"message_id": message_id, "text": TEXTS[-1]}
        whole = isinstance(seen, dict) and {name: seen.get(name) for name in asked} == asked
        said = "with its id and text" if whole else _said(seen, "they return something else")
        self._report("new buttons return the whole message", said, UNCERTAIN, ok=whole)

    async def _ask(self, method: str, **params: object) -> Any:  # noqa: ANN401 - each method has its own
        """Call a method; returns the result, or the RefusedError. Raises DoctorError, TokenRefusedError."""
        try:
            place = {} if method == "getMe" else {"chat_id": self._chat_id}
            return await self._api.call(method, **place, **params)
        except RefusedError as refusal:
            return refusal
        except TokenRefusedError:
            raise
        except BotApiError as error:
            raise DoctorError(_why_no_answer(error)) from None

    async def _delete(self, message_id: MessageId) -> bool:
        try:
            await self._api.call(
                "deleteMessage", DELETE_SECONDS, chat_id=self._chat_id, message_id=message_id
            )
        except BotApiError:
            return False
        return True

    def _report(self, what: str, seen: str, meaning: str, *, ok: bool) -> None:
        self._show(Check("ok", what, seen) if ok else Check("fail", what, seen, meaning))


def _listed(ids: list[MessageId], between: str = ", ") -> str:
    return between.join(map(str, ids))


def _said(seen: object, otherwise: str = "it was accepted") -> str:
    return str(seen) if isinstance(seen, RefusedError) else otherwise


def _why_refused(chat_id: ChatId, refusal: RefusedError) -> str:
    if isinstance(refusal, ChatMigratedError):
        return f"chat {chat_id} became a supergroup: check {refusal.new_chat_id} instead"
    if "chat not found" in str(refusal):
        return f"chat {chat_id} was not found: check its id, and write to the bot there first"
    return f"the bot may not write to chat {chat_id} ({refusal}): let it, or check another chat"


def _why_no_answer(error: BotApiError) -> str:
    if isinstance(error, FloodedError):
        return f"too many requests: try again in {error.retry_after_seconds:.0f} s"
    if isinstance(error, UnreachableError):
        return f"the Bot API server does not answer ({error}): check the network and TGBOT_API_URL"
    return str(error)
