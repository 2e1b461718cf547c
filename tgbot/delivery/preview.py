"""Shows the words of running turns as they come: previews may be dropped, the final text never is.

The first words are a message, which is stored and sent like any other part, and grows by edits. A part that
is full is closed: what it shows then is final, and the next one goes on growing.
"""

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Literal

from tgbot import render
from tgbot.delivery.commits import Commits
from tgbot.delivery.tools import Tools
from tgbot.model import ChatId, MessageId, RowId
from tgbot.render import Closed, Text
from tgbot.store import interrupted, outbox, questions
from tgbot.telegram.errors import BotApiError, FloodedError, RefusedError, TokenRefusedError, UnreachableError
from tgbot.turns.answer import Growing, LiveAnswer
from tgbot.turns.formatting import PARTS_MAX, THREADS

PRIVATE_SECONDS = 1.0  # between two previews: Telegram allows one message or edit a second in a chat
GROUP_SECONDS = 3.0  # and 20 a minute in a group
SLOWEST_SECONDS = 30.0
TYPING_SECONDS = 4.5  # Telegram shows "typing" for 5
DRAFT_SECONDS = 20.0  # a draft fades after about 30
REQUEST_SECONDS = 5.0  # the longest that a preview may hold up what comes next, perhaps a final text
AGAIN_SECONDS = 0.1  # when the limiter has no room just now
SENTENCE_SECONDS = 0.3  # from its first words until a sentence is shown: a short answer is whole by then
WORDS_SECONDS = 1.0  # the same for less than a sentence
SHORT_CHARACTERS = 400  # formatted at once; more in a thread
CUT_CHARACTERS = 3_000  # fewer never fill a message

_SENTENCE = re.compile(r"[.!?:…。]\s|\n")

Action = Literal["words", "typing"]


@dataclass(slots=True)
class Shown:
    """What one running turn has on screen, and when more may follow (in the event loop's time)."""

    least_seconds: float
    first: int = 0  # the part that the answer begins with
    quiet: bool = False  # a line of progress may stand where words after a question are to come
    every_seconds: float = 0.0
    number: int = -1
    message_id: MessageId | None = None
    begun: Text | None = None  # the first words, which are on their way
    text: Text | None = None
    version: int = -1
    next_at: float = 0.0
    typing_at: float = 0.0

    def __post_init__(self) -> None:
        self.every_seconds = self.least_seconds

    @property
    def visible(self) -> bool:
        """Whether any words are on screen, or on their way."""
        return self.number > self.first or self.text is not None or self.begun is not None

    def go_on(self, number: int) -> None:
        """Begin with the next part, or anew."""
        self.number, self.message_id, self.begun, self.text = number, None, None, None

    def slow_down(self) -> None:
        """Leave more time between two previews."""
        self.every_seconds = min(2 * self.every_seconds, SLOWEST_SECONDS)

    def speed_up(self) -> None:
        """Return step by step to the usual pace: the obstacle may be gone while the turn goes on."""
        self.every_seconds = max(self.every_seconds / 1.5, self.least_seconds)


def next_action(now: float, mode: str, version: int, shown: Shown) -> Action | float:
    """Decide what to show of a running turn now, or how many seconds to wait if no new words come."""
    faded_at = shown.next_at + DRAFT_SECONDS if mode == "draft" and shown.text is not None else None
    news = mode != "off" and (version != shown.version or (faded_at is not None and now >= faded_at))
    if news and now >= shown.next_at:
        return "words"
    if not shown.visible and now >= shown.typing_at:
        return "typing"
    due = [shown.next_at] if news else []
    due += [] if shown.visible else [shown.typing_at]
    due += [faded_at] if faded_at is not None else []
    return max(AGAIN_SECONDS, min(due, default=now + TYPING_SECONDS) - now)


@dataclass(slots=True)
class Previews:
    """The previews of one chat. `mode` is edit, draft or off; a refused draft falls back to edit."""

    chat_id: ChatId
    tools: Tools
    commits: Commits
    mode: str = ""
    _shown: dict[RowId, Shown] = field(default_factory=dict)

    def __post_init__(self) -> None:
        drafts = self.tools.stream == "draft" and self.chat_id > 0  # they exist in private chats only
        self.mode = "edit" if self.tools.stream == "draft" and not drafts else self.tools.stream

    async def step(self) -> float | None:
        """Do one thing at most; returns how many seconds to wait, None when no turn is running."""
        running = list(self.tools.answers.in_chat(self.chat_id))
        self._shown = {live.turn.row_id: self._of(live) for live in running}
        closed_seconds = self.tools.rate_limiter.wait_seconds(self.chat_id)
        if running and closed_seconds > 0:
            return max(AGAIN_SECONDS, closed_seconds)
        waits = []
        for live in running:
            shown = self._shown[live.turn.row_id]
            action = next_action(_now(), self.mode, live.version, shown)
            wait_seconds = action if isinstance(action, float) else await self._do(action, live, shown)
            if wait_seconds is None:
                return 0.0
            waits.append(wait_seconds)
        return min(waits, default=None)

    @property
    def streaming(self) -> bool:
        """Whether words are on screen and more are waiting for the next preview."""
        answers = self.tools.answers.in_chat(self.chat_id) if self.mode != "off" else []
        shown = ((live, self._shown.get(live.turn.row_id)) for live in answers)
        return any(one is not None and one.visible and one.version != live.version for live, one in shown)

    def _of(self, live: LiveAnswer) -> Shown:
        shown = self._shown.get(live.turn.row_id)
        if shown is None:
            first = live.turn.first_part
            least_seconds = GROUP_SECONDS if self.chat_id < 0 else PRIVATE_SECONDS
            shown = Shown(least_seconds, first, quiet=first > 0 and self.mode == "edit")
        if shown.number != live.first:
            shown.go_on(live.first)
        return shown

    async def _do(self, action: Action, live: LiveAnswer, shown: Shown) -> float | None:
        """Do it; None if something was done, else how many seconds to wait."""
        if action == "typing":
            return await self._type(live, shown)
        if shown.quiet and live.length and await self._makes_way(live, shown):
            return None
        version, growing = live.version, live.growing()
        picture = await self._picture(live, growing)
        if isinstance(picture, Closed):
            return await self._close(live, shown, growing, picture)
        if picture is None or picture == shown.text:
            shown.version = version  # an edit would be "not modified" and still count against the rate limit
            return AGAIN_SECONDS
        if self.mode != "draft" and shown.message_id is None:
            return await self._begin(live, shown, version, picture)
        return await self._show(live, shown, version, picture)

    async def _makes_way(self, live: LiveAnswer, shown: Shown) -> bool:
        """Take a line of progress away: the first words after a question are a message that notifies."""
        gone = await self.commits.write(questions.make_way, live.turn.row_id)
        shown.quiet = False
        if gone:
            shown.go_on(shown.number)
        return bool(gone)

    async def _picture(self, live: LiveAnswer, growing: Growing) -> Text | Closed | None:
        """Format the part that grows now; in a thread, if that takes long."""
        most = live.turn.first_part + PARTS_MAX - 1
        cuts = self.tools.cuts and growing.only_text and growing.number < most
        progress = live.progress if live.turn.chat_id > 0 else ""  # only noise to the others in a group
        if len(growing.text) <= SHORT_CHARACTERS:
            return picture(growing.text, progress, cuts=False)
        work = asyncio.get_running_loop().run_in_executor
        return await work(THREADS, lambda: picture(growing.text, progress, cuts=cuts))

    async def _close(self, live: LiveAnswer, shown: Shown, growing: Growing, closed: Closed) -> float | None:
        turn, version = live.turn, live.version
        part = growing.number, closed.text
        if await self.commits.write(outbox.close_part, turn.token, turn.row_id, *part, loud=shown.first):
            live.cut(growing, closed.text.text, closed.rest)
            return None
        shown.version = version  # the turn has ended: its ending says what this part shows
        return AGAIN_SECONDS

    async def _begin(self, live: LiveAnswer, shown: Shown, version: int, text: Text) -> float | None:
        """Send the first words of a part, unless they are on screen already, from an earlier attempt say."""
        turn = live.turn
        exists, shown.message_id = await self.tools.db.read(outbox.shown_in, turn.row_id, shown.number)
        if shown.message_id is not None:
            if text != shown.begun:
                return await self._show(live, shown, version, text)
            shown.text, shown.version = text, version
            return AGAIN_SECONDS
        if exists:  # it is being sent, or settled
            return AGAIN_SECONDS
        shown.begun = None
        if (wait_seconds := self._not_yet(live, shown, text)) > 0:
            return wait_seconds if _now() < shown.typing_at else await self._type(live, shown)
        silent = shown.number > shown.first or not live.length  # only a line of progress
        buttons = json.dumps(stop_button(turn.row_id))
        part = await self.commits.write(
            outbox.begin, turn.token, turn.row_id, shown.number, text, buttons, silent=silent
        )
        if part is None:
            return AGAIN_SECONDS
        shown.begun = text
        shown.quiet = silent and shown.number == shown.first > 0
        shown.next_at = _now() + shown.every_seconds
        return None

    def _not_yet(self, live: LiveAnswer, shown: Shown, text: Text) -> float:
        """Compute how long to wait for more words before the first ones are sent."""
        if shown.number > shown.first or live.said_at is None:
            return 0.0
        enough = SENTENCE_SECONDS if _SENTENCE.search(text.text) else WORDS_SECONDS
        return live.said_at + enough - _now()  # the loop's clock is the monotonic one

    async def _show(self, live: LiveAnswer, shown: Shown, version: int, text: Text) -> float | None:
        if not self.tools.rate_limiter.try_acquire(self.chat_id):
            return AGAIN_SECONDS
        if await (self._draft if self.mode == "draft" else self._edit)(live, shown, text):
            shown.version, shown.text = version, text
            shown.speed_up()
        shown.next_at = _now() + shown.every_seconds
        return None

    async def _type(self, live: LiveAnswer, shown: Shown) -> float | None:
        if not self.tools.rate_limiter.try_acquire(self.chat_id):
            return AGAIN_SECONDS
        shown.typing_at = _now() + TYPING_SECONDS
        await self._request(
            shown,
            "sendChatAction",
            chat_id=self.chat_id,
            message_thread_id=live.turn.address.topic_id,
            action="typing",
        )
        return None

    async def _edit(self, live: LiveAnswer, shown: Shown, text: Text) -> bool:
        try:
            return await self._request(
                shown,
                "editMessageText",
                chat_id=self.chat_id,
                message_id=shown.message_id,
                text=text.text,
                entities=text.entities or None,
                link_preview_options={"is_disabled": True},
                reply_markup=stop_button(live.turn.row_id),
            )
        except UnreachableError:
            await self.commits.write(interrupted.mark_uncertain, live.turn.row_id)
            return False

    async def _draft(self, live: LiveAnswer, shown: Shown, text: Text) -> bool:
        try:
            return await self._request(
                shown,
                "sendMessageDraft",
                chat_id=self.chat_id,
                message_thread_id=live.turn.address.topic_id,
                draft_id=live.turn.row_id,
                text=text.text,
                entities=text.entities or None,
                can_stop=True,
                keep_on_stop=True,
            )
        except UnreachableError:
            return False
        except (RefusedError, TokenRefusedError):  # the latter: the server does not know the method
            self.mode = "edit"
            return False

    async def _request(self, shown: Shown, method: str, **params: object) -> bool:
        """Make a request that may be lost; False if it should be made again later.

        Raises UnreachableError if nobody knows what became of it, and for a draft what else went wrong.
        """
        try:
            await self.tools.api.call(method, REQUEST_SECONDS, **params)
        except FloodedError as error:
            self.tools.flooded(self.chat_id, error)
            shown.slow_down()
            return False
        except UnreachableError:
            shown.slow_down()
            if method == "sendChatAction":
                return False
            raise
        except BotApiError as error:
            if method == "sendMessageDraft":
                raise
            return isinstance(error, RefusedError)  # then it would be refused again
        return True


def picture(markdown: str, progress: str, *, cuts: bool) -> Text | Closed | None:
    """Format the part that grows: closed if it is full, else with the line of progress below.

    None while there is neither text nor progress.
    """
    if cuts and len(markdown) >= CUT_CHARACTERS and (closed := render.close_part(markdown)):
        return closed
    text = render.preview(markdown)
    if not progress:
        return text
    line = render.plain(f"⏳ {progress}")[0]
    if text is None:
        return line
    return text.with_line(line.text) or text


def stop_button(row_id: RowId) -> dict[str, object]:
    """Make the button that stands under an answer while it is being written."""
    return {"inline_keyboard": [[{"text": "⏹ Stop", "callback_data": f"stop:{row_id}"}]]}


def _now() -> float:
    return asyncio.get_running_loop().time()
