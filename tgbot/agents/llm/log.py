"""Reads and writes the log of a session as messages of pydantic-ai."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    RetryFeedbackPart,
    TextPart,
    ThinkingPart,
    UserContent,
    UserPromptPart,
    repair_messages,
)

from tgbot.agents.llm.media_log import stripped
from tgbot.model import RowId, whole
from tgbot.store.history import Entry

UNANSWERED = "(I did not answer this.)"
CUT_OFF = "\n\n(The model's answer was cut off at its limit of tokens.)"
WITHHELD = "\n\n(The model's provider withheld the rest of this answer.)"
CUT_SHORT = {
    "length": CUT_OFF,
    "incomplete": CUT_OFF,
    "content_filter": WITHHELD,
}  # by the reason for the end
JOINED = "joined"  # in the metadata of a logged request: the last follow-up that it has


class Log(NamedTuple):
    """What a turn begins with: the messages of earlier turns, and its own of earlier attempts."""

    earlier: list[ModelMessage]
    own: list[ModelMessage]

    def messages(self) -> list[ModelMessage]:
        """Put together what an attempt begins with; its own last calls may lack their results."""
        return repair_messages([*self.earlier, *self.own], repair_last_response=False)


def read(entries: Sequence[Entry], row_id: RowId) -> Log:
    """Make the messages of the entries that the turn for this row sees.

    The own ones may end with calls of tools without their results: the ledger has those, or nobody.
    """
    own = [entry for entry in entries if entry.row_id == row_id and entry.kind == "step"]
    return Log(joined(exchanges(earlier(entries, row_id))), _messages(own))


def earlier(entries: Sequence[Entry], row_id: RowId) -> list[Entry]:
    """Pick the entries of what was said before this row; a summary that it has made is of that."""
    return [entry for entry in entries if entry.row_id != row_id or entry.kind == "summary"]


def exchanges(entries: Sequence[Entry]) -> list[list[ModelMessage]]:
    """Make the messages of each exchange, and of a summary, each complete in itself."""
    of_one = groupby(entries, key=lambda entry: (entry.row_id, entry.kind == "summary"))
    found = (_closed(messages_of(list(group))) for _, group in of_one)
    return [messages for messages in found if messages]


def joined(parts: Iterable[Sequence[ModelMessage]]) -> list[ModelMessage]:
    """Put the messages of exchanges into one list."""
    return [message for messages in parts for message in messages]


def prompt_of(entries: Sequence[Entry]) -> list[UserContent]:
    """Find what the user sent, and what joined that, in what a row has logged; empty if it logged nothing."""
    found: list[UserContent] = []
    for number, message in enumerate(messages_of(entries)):
        if number == 0 or JOINED in (message.metadata or {}):
            contents = (part.content for part in message.parts if isinstance(part, UserPromptPart))
            for content in contents:
                # In later requests, other kinds of content come from tools.
                found += [content] if isinstance(content, str) else () if number else content
    return found


def _closed(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """End an exchange that broke off: models want an answer between two requests, and so does the log."""
    whole = repair_messages([message for message in messages if message.parts])
    if whole and isinstance(whole[-1], ModelRequest):
        whole.append(ModelResponse([TextPart(UNANSWERED)]))
    return whole


def messages_of(entries: Sequence[Entry]) -> list[ModelMessage]:
    """Make the messages of one row, without what an attempt that went on later had left behind."""
    return _messages(_counting(entries))


def _messages(entries: Sequence[Entry]) -> list[ModelMessage]:
    return [message for entry in entries for message in load(entry.content)]


def _counting(entries: Sequence[Entry]) -> list[Entry]:
    """Leave out what says nothing to a model, and what an attempt that went on later had left behind."""
    return [
        entry
        for entry in entries
        if entry.kind in {"step", "summary"} or (entry.kind == "partial" and entry is entries[-1])
    ]


def load(content: str) -> list[ModelMessage]:
    """Read the messages of one entry."""
    return ModelMessagesTypeAdapter.validate_json(content) if content else []


def dump(messages: Sequence[ModelMessage]) -> str:
    """Write messages as the content of an entry: without bytes, and instructions are given anew each time."""
    lean = [
        replace(message, instructions=None) if isinstance(message, ModelRequest) else message
        for message in messages
    ]
    return ModelMessagesTypeAdapter.dump_json(stripped(lean), exclude_none=True).decode()


def responses(messages: Sequence[ModelMessage]) -> list[ModelResponse]:
    """Pick the responses."""
    return [message for message in messages if isinstance(message, ModelResponse)]


def text_of(response: ModelResponse) -> str:
    """Give the words of a response."""
    return "".join(part.content for part in response.parts if part.part_kind == "text")


def with_whole_characters(response: ModelResponse) -> ModelResponse:
    """Join the halves of characters that came in two pieces: neither the log nor a provider takes a half."""
    parts = [
        replace(part, content=whole(part.content)) if isinstance(part, TextPart | ThinkingPart) else part
        for part in response.parts
    ]
    return replace(response, parts=parts)


def is_whole(response: ModelResponse) -> bool:
    """Whether its stream did not just end: the provider said that and why it finished."""
    return response.provider_name is None or _finish(response) is not None


def cut_short(response: ModelResponse) -> str:
    """Give the line for an answer that is only a beginning; "" for a whole one."""
    return CUT_SHORT.get(_finish(response) or "", "")


def _finish(response: ModelResponse) -> str | None:
    """Give the reason for which a response finished, as pydantic-ai knows it, or as the provider said it."""
    said: str | None = (response.provider_details or {}).get("finish_reason")
    return response.finish_reason or said


def tidy(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Leave out empty responses, and the requests for better ones: later turns need not read of them."""
    tidied: list[ModelMessage] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            kept, message = is_said(message), with_whole_characters(message)  # noqa: PLW2901 - the same, tidied
        else:
            parts = [part for part in message.parts if not isinstance(part, RetryFeedbackPart)]
            kept, message = bool(parts), replace(message, parts=parts)  # noqa: PLW2901 - the same, tidied
        if kept:
            tidied.append(message)
    return tidied


def is_said(response: ModelResponse) -> bool:
    """Whether a response says something, or calls a tool."""
    return bool(response.tool_calls or text_of(response))
