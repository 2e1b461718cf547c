"""Reads and writes the log of a session as messages of pydantic-ai."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, NamedTuple

from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    RetryFeedbackPart,
    RetryPromptPart,
    ToolCallPart,
    ToolReturnPart,
    repair_messages,
)

from tgbot.agents.llm import results
from tgbot.model import RowId
from tgbot.store.history import Entry
from tgbot.store.ledger import Call

UNKNOWN = "This was ended while it ran. It may have taken effect."


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was logged for one row."""

    row_id: RowId
    messages: list[ModelMessage]

    def open_calls(self) -> list[ToolCallPart]:
        """List the calls of tools whose results it lacks: the turn ended before it knew all of a batch."""
        returned = {
            part.tool_call_id
            for message in self.messages
            for part in message.parts
            if isinstance(part, ToolReturnPart | RetryPromptPart)
        }
        calls = [call for response in responses(self.messages) for call in response.tool_calls]
        return [call for call in calls if call.tool_call_id not in returned]

    def settle(self, calls: Sequence[Call]) -> None:
        """Add what the ledger knows of the open calls: what was done must not look as if it was not."""
        known = {call.call_id: call for call in calls}
        returns = [
            ToolReturnPart(call.tool_name, _outcome(known[call.tool_call_id]), call.tool_call_id)
            for call in self.open_calls()
            if call.tool_call_id in known
        ]
        if returns:
            self.messages.append(ModelRequest(returns))


class Log(NamedTuple):
    """What a turn begins with: the exchanges of earlier turns, and its own messages of earlier attempts."""

    earlier: list[Exchange]
    own: list[ModelMessage]

    def messages(self) -> list[ModelMessage]:
        """Put together what an attempt begins with; calls that nothing is known of count as interrupted."""
        earlier = [message for exchange in self.earlier for message in exchange.messages]
        return repair_messages([*repair_messages(earlier), *self.own], repair_last_response=False)


def read(entries: Sequence[Entry], row_id: RowId) -> Log:
    """Make the messages of the entries that the turn for this row sees.

    The own ones may end with calls of tools without their results: the ledger has those, or nobody.
    """
    earlier: list[Exchange] = []
    own: list[ModelMessage] = []
    for row, of_row in groupby(entries, key=lambda entry: entry.row_id):
        mine = list(of_row)
        if row == row_id:
            own += [message for entry in mine if entry.kind == "step" for message in load(entry.content)]
            mine = [entry for entry in mine if entry.kind == "summary"]
        messages = [message for entry in _counting(mine) for message in load(entry.content)]
        earlier.append(Exchange(row, messages))
    return Log(earlier, own)


def _outcome(call: Call) -> Any:  # noqa: ANN401 - whatever the tool returned
    return UNKNOWN if call.result is None else results.load(call.result).shown()


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
    """Write messages as the content of an entry; instructions are given anew with each request."""
    lean = [
        replace(message, instructions=None) if isinstance(message, ModelRequest) else message
        for message in messages
    ]
    return ModelMessagesTypeAdapter.dump_json(lean, exclude_none=True).decode()


def responses(messages: Sequence[ModelMessage]) -> list[ModelResponse]:
    """Pick the responses."""
    return [message for message in messages if isinstance(message, ModelResponse)]


def text_of(response: ModelResponse) -> str:
    """Give the words of a response."""
    return "".join(part.content for part in response.parts if part.part_kind == "text")


def is_whole(response: ModelResponse) -> bool:
    """Whether its stream did not just end: the provider said that and why it finished."""
    return response.provider_name is None or _finish(response) is not None


def is_cut_off(response: ModelResponse) -> bool:
    """Whether the model was stopped at a limit of tokens."""
    return _finish(response) in {"length", "incomplete"}


def _finish(response: ModelResponse) -> str | None:
    """Give the reason for which a response finished, as pydantic-ai knows it, or as the provider said it."""
    said: str | None = (response.provider_details or {}).get("finish_reason")
    return response.finish_reason or said


def tidy(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Leave out empty responses, and the requests for better ones: later turns need not read of them."""
    tidied: list[ModelMessage] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            kept = is_said(message)
        else:
            parts = [part for part in message.parts if not isinstance(part, RetryFeedbackPart)]
            kept, message = bool(parts), replace(message, parts=parts)  # noqa: PLW2901 - the same, tidied
        if kept:
            tidied.append(message)
    return tidied


def is_said(response: ModelResponse) -> bool:
    """Whether a response says something, or calls a tool."""
    return bool(response.tool_calls or text_of(response))
