"""Shows the words of running turns as they come: previews may be dropped, the final text never is."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tgbot import render
from tgbot.model import ChatId, MessageId, RowId
from tgbot.render import Text
from tgbot.store import sending
from tgbot.store.engine.writer import Database
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import BotApiError, FloodedError, RefusedError, TokenRefusedError, UnreachableError
from tgbot.telegram.rate_limit import RateLimiter
from tgbot.turns.answer import LiveAnswer, LiveAnswers

PRIVATE_SECONDS = 1.0  # between two previews: Telegram allows one message or edit a second in a chat
GROUP_SECONDS = 3.0  # and 20 a minute in a group
SLOWEST_SECONDS = 30.0
TYPING_SECONDS = 4.5  # Telegram shows "typing" for 5
DRAFT_SECONDS = 20.0  # a draft fades after about 30
REQUEST_SECONDS = 5.0  # the longest that a preview may hold up what comes next, perhaps a final text
AGAIN_SECONDS = 0.1  # when the limiter has no room just now


def stop_button(row_id: RowId) -> dict[str, object]:
    """Make the button that stands under an answer while it is being written."""
    return {"inline_keyboard": [[{"text": "⏹ Stop", "callback_data": f"stop:{row_id}"}]]}


@dataclass(slots=True)
class Shown:
    """What one running turn has on screen, and when more may follow (in the event loop's time)."""

    least_seconds: float
    every_seconds: float
    message_id: MessageId | None = None
    version: int = 0
    text: Text | None = None
    next_at: float = 0.0
    typing_at: float = 0.0

    @property
    def visible(self) -> bool:
        """Whether there is more on screen than a placeholder."""
        return self.text is not None

    def slow_down(self) -> None:
        """Leave more time between two previews."""
        self.every_seconds = min(2 * self.every_seconds, SLOWEST_SECONDS)

    def speed_up(self) -> None:
        """Return step by step to the usual pace: the obstacle may be gone while the turn goes on."""
        self.every_seconds = max(self.every_seconds / 1.5, self.least_seconds)


class Previews:
    """The previews of one chat. `mode` is edit, draft or off; a refused draft falls back to edit.

    `note` commits that the outcome of an edit is unknown: it may still arrive and overwrite the final text.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a preview is made from and sent through
        self,
        chat_id: ChatId,
        db: Database,
        api: BotApi,
        rate_limiter: RateLimiter,
        answers: LiveAnswers,
        mode: str,
        note: Callable[..., Awaitable[None]],
    ) -> None:
        self.mode = "edit" if mode == "draft" and chat_id < 0 else mode  # drafts exist in private chats only
        self._chat_id = chat_id
        self._db = db
        self._api = api
        self._rate_limiter = rate_limiter
        self._answers = answers
        self._note = note
        self._shown: dict[RowId, Shown] = {}

    async def step(self) -> float | None:
        """Make one request at most; returns how many seconds to wait, None when no turn is running."""
        running = list(self._answers.in_chat(self._chat_id))
        self._shown = {live.turn.row_id: self._of(live) for live in running}
        closed_seconds = self._rate_limiter.wait_seconds(self._chat_id, self._leaving)
        if running and closed_seconds > 0:
            return max(AGAIN_SECONDS, closed_seconds)
        for live in running:
            if await self._show(live, self._shown[live.turn.row_id]):
                return 0.0
        return min((self._wait_seconds(live) for live in running), default=None)

    @property
    def _leaving(self) -> int:
        # Two requests replace a draft. Between them its words are gone, so the second must not have to wait.
        return 2 if self.mode == "draft" else 1

    @property
    def streaming(self) -> bool:
        """Whether words are on screen and more are waiting for the next preview."""
        answers = self._answers.in_chat(self._chat_id) if self.mode != "off" else []
        shown = ((live, self._shown.get(live.turn.row_id)) for live in answers)
        return any(one is not None and one.visible and one.version != live.version for live, one in shown)

    def _of(self, live: LiveAnswer) -> Shown:
        usual_seconds = GROUP_SECONDS if self._chat_id < 0 else PRIVATE_SECONDS
        return self._shown.get(live.turn.row_id) or Shown(usual_seconds, usual_seconds)

    def _wait_seconds(self, live: LiveAnswer) -> float:
        """Compute how long to wait for this turn if no new words come before."""
        shown, now = self._shown[live.turn.row_id], _now()
        news = self.mode != "off" and live.version != shown.version
        due = [shown.next_at] if news else []
        due += [] if shown.visible else [shown.typing_at]
        due += [shown.next_at + DRAFT_SECONDS] if self.mode == "draft" and shown.visible else []
        return max(AGAIN_SECONDS, min(due, default=now + TYPING_SECONDS) - now)

    async def _show(self, live: LiveAnswer, shown: Shown) -> bool:
        """Send new words if it is time for them, else "typing" as long as there is nothing to see."""
        now = _now()
        faded = self.mode == "draft" and shown.visible and now >= shown.next_at + DRAFT_SECONDS
        news = self.mode != "off" and (live.version != shown.version or faded)
        if news and now >= shown.next_at and await self._show_words(live, shown):
            return True
        if (
            shown.visible
            or now < shown.typing_at
            or not self._rate_limiter.try_acquire(self._chat_id, self._leaving)
        ):
            return False
        shown.typing_at = now + TYPING_SECONDS
        await self._request(
            live,
            "sendChatAction",
            chat_id=self._chat_id,
            message_thread_id=live.turn.address.topic_id,
            action="typing",
        )
        return True

    async def _show_words(self, live: LiveAnswer, shown: Shown) -> bool:
        version, text = live.version, words(live)
        if text is None:
            return False
        if text == shown.text and version != shown.version:
            shown.version = version  # an edit would be "not modified" and still count against the rate limit
            return False
        if self.mode == "edit":
            shown.message_id = shown.message_id or await self._db.read(sending.message_of, live.turn.row_id)
            if shown.message_id is None:
                return False
        if not self._rate_limiter.try_acquire(self._chat_id, self._leaving):
            return False
        if await (self._draft if self.mode == "draft" else self._edit)(live, text):
            shown.version, shown.text = version, text
            shown.speed_up()
        shown.next_at = _now() + shown.every_seconds
        return True

    async def _edit(self, live: LiveAnswer, text: Text) -> bool:
        return await self._request(
            live,
            "editMessageText",
            chat_id=self._chat_id,
            message_id=self._shown[live.turn.row_id].message_id,
            text=text.text,
            entities=text.entities or None,
            link_preview_options={"is_disabled": True},
            reply_markup=stop_button(live.turn.row_id),
        )

    async def _draft(self, live: LiveAnswer, text: Text) -> bool:
        return await self._request(
            live,
            "sendMessageDraft",
            chat_id=self._chat_id,
            message_thread_id=live.turn.address.topic_id,
            draft_id=live.turn.row_id,
            text=text.text,
            entities=text.entities or None,
            can_stop=True,
        )

    async def _request(self, live: LiveAnswer, method: str, **params: object) -> bool:
        """Make a request that may be lost; False if it should be made again later."""
        shown = self._shown[live.turn.row_id]
        try:
            await self._api.call(method, REQUEST_SECONDS, **params)
        except FloodedError as error:
            self._rate_limiter.pause(self._chat_id, error.retry_after_seconds)
            shown.slow_down()
            return False
        except UnreachableError:
            shown.slow_down()
            if method == "editMessageText":
                await self._note(sending.mark_uncertain, live.turn.row_id)
            return False
        except (RefusedError, TokenRefusedError):  # the latter: the server does not know the method
            if method == "sendMessageDraft":
                self.mode = "edit"
                return False
        except BotApiError:
            return False
        return True


def words(live: LiveAnswer) -> Text | None:
    """Show the text so far, and below it what the agent is doing. None while there is neither.

    Not what it is doing in a group, where that is only noise to the others.
    """
    text = render.preview(live.text)
    if not live.progress or live.turn.chat_id < 0:
        return text
    line = render.plain(f"⏳ {live.progress}")[0]
    if text is None:
        return line
    return text.with_line(line.text) or text


def _now() -> float:
    return asyncio.get_running_loop().time()
