"""Completes what turns have logged that were broken off, with what the ledger knows of their tools.

A turn that was stopped, or failed, or whose process died, may end with calls whose results are not in the
log. What was done must not look to the next turn as if it was not: its model would do it again.
"""

from collections.abc import Sequence
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest, RetryPromptPart, ToolCallPart, ToolReturnPart

from tgbot.agents.llm import log as log_of
from tgbot.agents.llm import results
from tgbot.model import RowId
from tgbot.store import history, ledger
from tgbot.store.history import Entry
from tgbot.store.ledger import Call
from tgbot.turns.agent import AgentTurn

UNKNOWN = "This was ended while it ran. It may have taken effect."
_CALL = '"part_kind":"tool-call"'  # as the content of an entry has it


async def entries_for(turn: AgentTurn) -> list[Entry]:
    """Read the entries that a turn sees, those of earlier turns completed."""
    entries = await turn.read(history.seen, turn.ownership)
    for row_id in _rows_with_open_calls(log_of.earlier(entries, turn.ownership.row_id)):
        calls = await turn.read(ledger.calls, row_id)
        entries = completed(entries, row_id, calls)
    return entries


def completed(entries: Sequence[Entry], row_id: RowId, calls: Sequence[Call]) -> list[Entry]:
    """Put what the ledger has of a row's last calls behind its last entry, in the place of a partial one."""
    *_, last = of_row = _of(entries, row_id)
    steps = [entry for entry in of_row if entry.kind == "step"]
    returns = _returns(_open_calls(log_of.messages_of(steps)), calls)
    added = [last._replace(kind="step", content=log_of.dump([ModelRequest(returns)]))] if returns else []
    return [one for entry in entries for one in ([entry, *added] if entry is last else [entry])]


def _rows_with_open_calls(entries: Sequence[Entry]) -> list[RowId]:
    """Find the rows whose last step calls tools; few are read for it, because most end with words."""
    last_steps = {entry.row_id: entry for entry in entries if entry.kind == "step"}
    may_have = [row_id for row_id, entry in last_steps.items() if _CALL in entry.content]
    return [row_id for row_id in may_have if _open_calls(log_of.messages_of(_of(entries, row_id)))]


def _of(entries: Sequence[Entry], row_id: RowId) -> list[Entry]:
    return [entry for entry in entries if entry.row_id == row_id and entry.kind in {"step", "partial"}]


def _open_calls(messages: Sequence[ModelMessage]) -> list[ToolCallPart]:
    """List the calls of tools that have no result."""
    parts = [part for message in messages for part in message.parts]
    returned = {part.tool_call_id for part in parts if isinstance(part, ToolReturnPart | RetryPromptPart)}
    calls = [call for response in log_of.responses(messages) for call in response.tool_calls]
    return [call for call in calls if call.tool_call_id not in returned]


def _returns(open_calls: Sequence[ToolCallPart], calls: Sequence[Call]) -> list[ToolReturnPart]:
    known = {call.call_id: call for call in calls}
    return [
        ToolReturnPart(call.tool_name, _outcome(known[call.tool_call_id]), call.tool_call_id)
        for call in open_calls
        if call.tool_call_id in known
    ]


def _outcome(call: Call) -> Any:  # noqa: ANN401 - whatever the tool returned
    return UNKNOWN if call.result is None else results.load(call.result).shown()
