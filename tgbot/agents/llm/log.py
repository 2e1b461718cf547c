"""Reads and writes the log of a session as messages of pydantic-ai."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    repair_messages,
)

from tgbot.model import RowId
from tgbot.store.history import Entry


class Log(NamedTuple):
    """What a turn begins with: the messages of earlier turns, and its own of earlier attempts."""

    earlier: list[ModelMessage]
    own: list[ModelMessage]


def read(entries: Sequence[Entry], row_id: RowId) -> Log:
    """Make the messages of the entries that the turn for this row sees.

    The own ones may end with calls of tools without their results: the ledger has those, or nobody.
    """
    earlier, own = [], []
    for row, of_row in groupby(entries, key=lambda entry: entry.row_id):
        mine = list(of_row)
        if row == row_id:
            own += [message for entry in mine if entry.kind == "step" for message in load(entry.content)]
            mine = [entry for entry in mine if entry.kind == "summary"]
        earlier += [message for entry in _counting(mine) for message in load(entry.content)]
    return Log(repair_messages(earlier), own)


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
