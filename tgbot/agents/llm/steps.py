"""Makes the steps of a turn durable: each response is logged, and each call of a tool is in the ledger.

A call that has ended is answered from the ledger and never made again. One that was running when the process
died is unknown: an idempotent tool runs again, for others the chat is asked.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from pydantic_ai import ApprovalRequired, ModelRetry, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ToolFailed, UnexpectedModelBehavior
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolCallPart, UserPromptPart
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset

from tgbot.agents.llm import log as log_of
from tgbot.agents.llm import media_out, results
from tgbot.agents.llm.deps import Deps
from tgbot.agents.llm.log import JOINED
from tgbot.agents.llm.questions import AGAIN, ALLOW, ALWAYS, again_key, allow_key
from tgbot.agents.llm.sight import Sight
from tgbot.agents.llm.tools.gone import WithGone
from tgbot.agents.llm.tools.marks import MARK, ORIGIN, Mark
from tgbot.model import Album, File, RowId
from tgbot.store import history, ledger, values
from tgbot.turns.agent import FIRST, AgentTurn, Event, Progress
from tgbot.turns.answer import sendable
from tgbot.turns.keeping import keep

log = logging.getLogger(__name__)

DENIED = "The user did not allow this call. It was not made."
SKIPPED = (
    "The process was interrupted while this ran, so it is not known whether it took effect. The user was "
    "asked, and decided not to run it again."
)
PROGRESS_CHARACTERS = 120
GRANT = "grant"  # the kind of session value that allows a tool for good

_files: ContextVar[list[File | Album] | None] = ContextVar("files", default=None)
Value: TypeAlias = Any  # whatever a tool returns
Proceed = Callable[[dict[str, Any]], Awaitable[Value]]


@dataclass
class Steps(AbstractCapability[Deps]):
    """Logs and looks up the steps of one turn. `own` grows by what is logged.

    Of a tool's result `result_characters_max` are kept: a flood of words would fill the log and the context.
    `seen` counts the messages of the attempt that runs: those that it began with, and those logged since.
    """

    turn: AgentTurn
    own: list[ModelMessage]
    steers: bool  # whether follow-ups may join the turn
    say: Callable[[Event], None]
    result_characters_max: int
    sight: Sight  # what the model can be sent of files that tools return
    seen: int = 0
    logging: asyncio.Future[None] | None = None
    ended: dict[str, str] = field(default_factory=dict)  # results by the ids of calls
    called: set[str] = field(default_factory=set)  # tools
    begun: dict[str, int] = field(default_factory=dict)  # how often each call was begun
    answers: dict[str, str] = field(default_factory=dict)
    granted: set[str] = field(default_factory=set)  # the origins of tools
    joined: RowId = FIRST  # the last follow-up that the model has
    shown: set[str] = field(default_factory=set)  # calls whose files were said already

    async def load(self) -> None:
        """Read what earlier attempts did, and what the chat has answered."""
        turn = self.turn
        self.granted = set(await turn.read(values.all_of, turn.ownership, GRANT))
        if turn.attempt == 1:
            return
        calls = await turn.read(ledger.calls, turn.ownership.row_id)
        self.ended = {call.call_id: call.result for call in calls if call.result is not None}
        self.begun = {call.call_id: call.starts for call in calls}
        self.called = {call.tool for call in calls}
        self.answers = await turn.answers()

    def begin(self, messages: Sequence[ModelMessage]) -> None:
        """Note what a request begins with; what joined one that failed is not in the log, and joins again."""
        self.seen = len(messages)
        self.joined = joined_up_to(self.own)

    def say_of_tool(self, event: Event) -> None:
        """Show what a tool says; its files come when it has ended, so that a kill cannot lose them."""
        collected = _files.get()
        if isinstance(event, File | Album) and collected is not None:
            collected.append(event)
        else:
            self.say(event)

    def get_wrapper_toolset(self, toolset: AbstractToolset[Deps]) -> AbstractToolset[Deps] | None:
        """Let calls of an earlier attempt find their tools, be these there or not."""
        return WithGone(toolset, self.called) if self.called else None

    async def before_model_request(
        self, ctx: RunContext[Deps], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Let follow-ups join: they go with this request, and into the log with it."""
        follow_ups = await self.turn.incoming(self.joined) if self.steers else []
        if follow_ups:
            self.joined = follow_ups[-1].row_id
            parts = [UserPromptPart(follow_up.prompt) for follow_up in follow_ups]
            for messages in (ctx.messages, request_context.messages):
                messages[-1] = _with(messages[-1], parts, self.joined)
        return request_context

    async def after_model_request(
        self,
        ctx: RunContext[Deps],
        *,
        request_context: ModelRequestContext,  # noqa: ARG002 - pydantic-ai passes it
        response: ModelResponse,
    ) -> ModelResponse:
        """Log a finished response, with the request that it answers."""
        if not log_of.is_whole(response):
            raise UnexpectedModelBehavior("the response has no finish reason")
        if not log_of.is_said(response):
            return response  # pydantic-ai asks again
        response = _with_ids_of_its_own(log_of.with_whole_characters(response), ctx.messages)
        # Not the messages of the request's context: those are prepared for the provider, merged with others.
        self.logging = asyncio.ensure_future(self._log([*ctx.messages, response]))
        # Shielded: what is written also if the turn is stopped now must be known as logged.
        await asyncio.shield(self.logging)
        return response

    async def _log(self, messages: Sequence[ModelMessage]) -> None:
        step = log_of.tidy(messages[self.seen :])
        await self.turn.write(history.append, self.turn.ownership, "step", log_of.dump(step))
        self.own += step
        self.seen = len(messages)

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Deps],  # noqa: ARG002 - pydantic-ai passes it
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: Proceed,
    ) -> Value:
        """Answer a call from the ledger, ask the chat about it, or make it."""
        metadata = tool_def.metadata or {}
        mark = Mark(**metadata.get(MARK, {}))
        call_id = call.tool_call_id
        if (result := self.ended.get(call_id)) is not None:
            return self._replayed(call_id, results.load(result))
        if (starts := self.begun.get(call_id)) and not mark.idempotent:
            if self._answer(again_key(call_id, starts)) != AGAIN:
                return await self._finish(call, results.Result(SKIPPED))
        elif mark.ask and not await self._may(call, metadata[ORIGIN]):
            return await self._finish(call, results.Result(DENIED))
        return await self._make(call, mark, args, handler)

    def _replayed(self, call_id: str, result: results.Result) -> Value:
        self._show(call_id, result)
        return result.value()

    def _show(self, call_id: str, result: results.Result) -> None:
        """Say the files of a call, once: each further try of a request comes by here."""
        if call_id not in self.shown:
            self.shown.add(call_id)
            if result.words:
                self.say(result.words)
            for file in result.files:
                self.say(file)

    def _answer(self, key: str) -> str:
        """Give the chat's answer, or end the run with the question."""
        if key not in self.answers:
            raise ApprovalRequired(metadata={"key": key})
        return self.answers[key]

    async def _may(self, call: ToolCallPart, origin: str) -> bool:
        """Ask whether a call may be made; what is allowed for good is the tool of that origin alone."""
        if origin in self.granted:
            return True
        answer = self._answer(allow_key(call.tool_call_id))
        if answer == ALWAYS:
            self.granted.add(origin)
            await self.turn.write(values.put, self.turn.ownership, GRANT, origin, "always")
        return answer in {ALLOW, ALWAYS}

    async def _make(self, call: ToolCallPart, mark: Mark, args: dict[str, Any], handler: Proceed) -> Value:
        """Note that it begins, make the call, and note what came of it."""
        if not mark.idempotent:
            await self.turn.write(ledger.start, self.turn.ownership, call.tool_call_id, call.tool_name)
            self.begun[call.tool_call_id] = self.begun.get(call.tool_call_id, 0) + 1
        log.info("tool.started session=%s tool=%s", self.turn.session_key, call.tool_name)
        self.say(Progress(_line(call, mark, args)))
        files: list[File | Album] = []
        _files.set(files)
        began_at = time.time()
        value = await _outcome(call, mark, args, handler)
        self.turn.traced("tool", began_at, tool=call.tool_name)
        files += map(media_out.sent, results.files_in(value))
        fit = [sendable(one.files if isinstance(one, Album) else [one]) for one in files]
        groups = [group for one in fit for group in one.groups]
        kept = [await keep(self.turn.write, group, self.turn.ownership.row_id) for group in groups]
        return await self._finish(call, results.of(value, kept, "".join(one.words for one in fit)))

    async def _finish(self, call: ToolCallPart, result: results.Result) -> Value:
        result = results.cut(result, self.result_characters_max)
        content = results.dump(result)
        await self.turn.write(ledger.finish, self.turn.ownership, call.tool_call_id, call.tool_name, content)
        self.ended[call.tool_call_id] = content
        self._show(call.tool_call_id, result)
        made = results.files_in(result.content)
        if made and all(self.sight.takes(one.data) for one in made):
            return result.value()  # a picture, which the model should see, and nobody can after a crash
        return results.load(content).value()  # the same as after a crash


def _with_ids_of_its_own(response: ModelResponse, before: Sequence[ModelMessage]) -> ModelResponse:
    """Give calls other ids where they have those of earlier ones: some servers count anew each time."""
    taken = {call.tool_call_id for one in log_of.responses(before) for call in one.tool_calls}
    parts = list(response.parts)
    for index, part in enumerate(parts):
        if isinstance(part, ToolCallPart) and part.tool_call_id in taken:
            parts[index] = replace(part, tool_call_id=f"call_{secrets.token_hex(8)}")
        elif isinstance(part, ToolCallPart):
            taken.add(part.tool_call_id)
    return replace(response, parts=parts)


def _line(call: ToolCallPart, mark: Mark, args: dict[str, Any]) -> str:
    """Fill the arguments into a tool's line of progress."""
    line = mark.progress or call.tool_name
    for name, value in args.items():
        line = line.replace(f"{{{name}}}", str(value))
    return " ".join(line.split())[:PROGRESS_CHARACTERS]


def _with(message: ModelMessage, parts: Sequence[UserPromptPart], joined: RowId) -> ModelMessage:
    """Add follow-ups to a request, with a note of the last one for an attempt after a crash."""
    assert isinstance(message, ModelRequest), "a request is about to be made"
    return replace(message, parts=[*message.parts, *parts], metadata={JOINED: joined})


def joined_up_to(own: Sequence[ModelMessage]) -> RowId:
    """Find the last follow-up that is in the log of this turn; 0 without any."""
    noted = (message.metadata or {} for message in own if isinstance(message, ModelRequest))
    return RowId(max((one.get(JOINED, 0) for one in noted), default=0))


async def _outcome(call: ToolCallPart, mark: Mark, args: dict[str, Any], handler: Proceed) -> Value:
    """Run the tool; what it raises is an outcome, too, in words for the model."""
    limit = asyncio.timeout(mark.timeout_seconds)
    try:
        async with limit:
            return await handler(args)
    except Exception as error:
        if isinstance(error.__cause__, ModelRetry | ToolFailed):  # it has words for the model itself
            return error.__cause__
        if limit.expired():
            return (
                f"This took longer than {mark.timeout_seconds:g} s and was ended. It may have taken effect."
            )
        error_id = secrets.token_hex(3)
        log.exception("tool.failed tool=%s error=%s", call.tool_name, error_id)
        return (
            f"The tool failed (error {error_id}); the reason is in the bot's log. It may have taken effect."
        )
