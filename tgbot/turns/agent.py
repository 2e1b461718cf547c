"""The protocol of an agent, and the import of the one that the settings name."""

import importlib
import inspect
import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from types import ModuleType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from tgbot import together, tracing
from tgbot.model import (
    Album,
    ChatId,
    Choice,
    File,
    KeptAlbum,
    KeptFile,
    Ownership,
    Raw,
    RowId,
    SessionKey,
    Turn,
    UserId,
    first_text,
    message_text,
    numbered,
    start_payload,
)
from tgbot.store import history, joins, questions
from tgbot.store.engine.connection import Connection
from tgbot.tracing import Value
from tgbot.turns.context import Attachment, Context, DownloadError, User
from tgbot.turns.prompt import prompt_of
from tgbot.turns.reading import context_of

__all__ = [
    "Agent",
    "AgentError",
    "AgentTurn",
    "Album",
    "Attachment",
    "Choice",
    "Context",
    "DownloadError",
    "Event",
    "File",
    "FollowUp",
    "InsteadOf",
    "KeptAlbum",
    "KeptFile",
    "Progress",
    "Question",
    "Replacement",
    "User",
    "UserFacingError",
    "import_module",
    "load_agent",
]

FIRST = RowId(0)
P = ParamSpec("P")
T = TypeVar("T")

Download = Callable[[Attachment], Awaitable[bytes]]


class Run(Protocol):
    """Runs a store function, as one transaction; waits while the database is locked or full."""

    def __call__(
        self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[T]:
        """Run it."""


MODEL_AGENT = "llm"  # needs settings, so it is made where those are
EMBEDDED = {"echo": "tgbot.agents.echo:agent"}


@dataclass(frozen=True, slots=True)
class Progress:
    """One line about what the agent is doing ("searching the web"); replaced by the next one, or by text."""

    line: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """`text` takes the place of all that was said so far."""

    text: str


@dataclass(frozen=True, slots=True)
class InsteadOf:
    """The answer takes the place of an earlier row's, whose messages disappear when this turn is done."""

    row_id: RowId


@dataclass(frozen=True, slots=True)
class Question:
    """Asks the person something (Markdown), with a button for each choice.

    An agent that yields questions and then returns has not ended its turn: the row waits, for days and over
    restarts, without a task. When the last question is answered the agent runs again, and finds the values of
    the choices in `await turn.answers()` under each `key`. What it says then comes behind the questions.
    """

    key: str
    text: str
    choices: tuple[Choice, ...]


class UserFacingError(Exception):
    """The turn failed for a reason that its user should read: the text is shown as it is."""


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A message that was sent while the turn ran, and joined it; `message` is raw, as Telegram sent it."""

    row_id: RowId
    message: Raw

    @property
    def prompt(self) -> str:
        """The text for a model, below lines in brackets with its context."""
        return prompt_of(message_text(self.message), context_of([self.message]))


@dataclass(frozen=True, slots=True)
class AgentTurn:
    """What the agent gets: one message, or an album, with all that it carries, and where it was sent."""

    _turn: Turn
    _download: Download
    _write: Run
    _read: Run

    @property
    def text(self) -> str:
        """The text or caption, in an album the first one there is; "" when there is none."""
        return self._turn.text

    @property
    def prompt(self) -> str:
        """The text for a model, below lines in brackets with its context (a reply, a forward, files, ...).

        Of several messages that were collected or forwarded each has its own, below "[1 of 3]".
        """
        groups = together.grouped(self.messages)
        return numbered([prompt_of(first_text(group), context_of(group)) for group in groups])

    @property
    def context(self) -> Context:
        """What the message carries besides its text: sender, reply, links, files, location, ..."""
        return context_of(self.messages)

    @property
    def sender(self) -> User:
        """Who wrote the message: name, id, username. In a group the next one may be somebody else's."""
        return self.context.sender

    @property
    def start_payload(self) -> str | None:
        """The payload of the link (https://t.me/your_bot?start=payload) that was opened; None without."""
        return start_payload(self.message)

    async def download(self, file: Attachment) -> bytes:
        """Fetch a file of `context.files` or `context.reply.files`: Telegram allows 20 MB at most.

        Raises DownloadError, whose text may be shown to the user.
        """
        return await self._download(file)

    async def answers(self) -> dict[str, str]:
        """Map the key of each question that this turn has asked to the value of the choice.

        A question that a /stop ended has the value "stopped".
        """
        return await self._read(questions.answers, self._turn.row_id)

    async def incoming(self, after: RowId = FIRST) -> list[FollowUp]:
        """Let the messages that wait behind this one join its turn, and give those that joined `after` a row.

        They do so where the session's mode is "steer" (/mode); else they wait, and this is empty.
        What joined has no turn of its own any more. An attempt after a crash gets them all again.
        """
        rows = await self._write(joins.incoming, self._turn, after)
        messages = [json.loads(row.raw)["message"] for row in rows]
        # By their last rows, so that the last one of the list is what the agent has got up to.
        texts = sorted(together.pieces(messages), key=itemgetter(-1))
        return [
            FollowUp(rows[places[-1]].row_id, together.whole_text([messages[place] for place in places]))
            for places in texts
        ]

    async def remember(self, text: str) -> None:
        """Keep a text for later turns of the session; a later one of the same turn takes its place."""
        await self._write(history.append, self._turn, "memory", text)

    async def recall(self, most: int = 50) -> list[str]:
        """Give what earlier turns of the session remember, the oldest first; `most` of them at most.

        What a turn keeps is seen once it has ended, so a turn that runs again does not see its own.
        """
        return await self._read(history.remembered, self._turn, most)

    async def write(
        self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function of `tgbot.store` as one transaction; waits while the database is locked or full.

        Raises what the function raises: LostGuardError if another turn has the session by now.
        """
        return await self._write(operation, *args, **kwargs)

    async def read(
        self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function of `tgbot.store` that only reads, beside the writer; else as `write`."""
        return await self._read(operation, *args, **kwargs)

    def traced(self, name: str, began_at: float, *, failed: bool = False, **attributes: Value) -> None:
        """Note that a step of this turn has ended, for traces; `began_at` is Unix time in seconds.

        Attributes are ids and numbers: no words of anybody's.
        """
        tracing.step(self._turn, name, began_at, failed=failed, **attributes)

    @property
    def ownership(self) -> Ownership:
        """The guard that this turn holds, for what it writes."""
        return self._turn

    @property
    def first_part(self) -> int:
        """The number of the part that the answer begins with: more than 0 after a question."""
        return self._turn.first_part

    @property
    def message(self) -> Raw:
        """The raw Bot API Message, as Telegram sent it; the first of several."""
        return self._turn.message

    @property
    def messages(self) -> list[Raw]:
        """All raw Messages of the turn, in order: one, or those sent together; of a text in pieces, one."""
        return self._turn.messages

    @property
    def session_key(self) -> SessionKey:
        """The key of the conversation: one for each chat, or for each topic of a chat."""
        return self._turn.session_key

    @property
    def chat_id(self) -> ChatId:
        """Telegram's id of the chat."""
        return self._turn.chat_id

    @property
    def user_id(self) -> UserId:
        """Telegram's id of the sender."""
        return self._turn.user_id

    @property
    def attempt(self) -> int:
        """1 at first; more if earlier turns for the same message were interrupted, or asked something."""
        return self._turn.attempt


Event = str | Progress | Replacement | File | KeptFile | Album | KeptAlbum | Question | InsteadOf

# `async def agent(turn)` that yields pieces of Markdown, and other events if it likes. A CancelledError in it
# means: stop now.
Agent = Callable[[AgentTurn], AsyncGenerator[Event, None]]


class AgentError(Exception):
    """The agent that the settings name cannot be used; the text says why."""


def load_agent(name: str) -> Agent:
    """Import `echo` or `package.module:name`: an async generator function, or an object whose `run` is one.

    Raises AgentError if it cannot be imported, or is neither of the two.
    """
    module_name, colon, attribute = EMBEDDED.get(name, name).partition(":")
    if not (module_name and colon and attribute) or module_name.startswith("."):
        raise AgentError(f"{name!r} is not {', '.join([*EMBEDDED, MODEL_AGENT])} or package.module:name")
    found = _attribute(import_module(module_name, f"agent {name!r}"), attribute)
    agent = found if inspect.isasyncgenfunction(found) else getattr(found, "run", None)
    if isinstance(found, type) or not inspect.isasyncgenfunction(agent):
        raise AgentError(f"{name!r} is not an async generator function, nor an object with such a run method")
    return agent


def import_module(module_name: str, what: str) -> ModuleType:
    """Import a module, which may lie in the working folder. Raises AgentError, which says `what` it is."""
    folder = str(Path.cwd())
    if not module_name.startswith("tgbot.") and folder not in sys.path:
        sys.path.insert(0, folder)  # `python -m tgbot` has it on the path, the console script does not
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # code of others, which may raise anything
        first_line = str(error).partition("\n")[0]
        reason = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
        raise AgentError(f"cannot import {what}: {reason}") from error


def _attribute(module: ModuleType, name: str) -> Any:  # noqa: ANN401 - a module can hold anything
    try:
        return getattr(module, name)
    except AttributeError:
        raise AgentError(f"module {module.__name__!r} has no {name!r}") from None
