"""Runs one turn with a model: from what the log has to the end of the answer."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic_ai import Agent, AgentRunResultEvent, DeferredToolRequests
from pydantic_ai.exceptions import AgentRunError, UserError
from pydantic_ai.messages import (
    AgentStreamEvent,
    FunctionToolCallEvent,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    UserContent,
)
from pydantic_ai.models import Model

from tgbot.agents.llm import failures, questions
from tgbot.agents.llm import log as log_of
from tgbot.agents.llm.deps import Deps
from tgbot.agents.llm.models import MODEL_SETTINGS
from tgbot.agents.llm.steps import Steps
from tgbot.store import history, ledger
from tgbot.turns.agent import AgentTurn, Event, Progress, Replacement, UserFacingError

if TYPE_CHECKING:
    from pydantic_ai.agent import AgentRunEvents

log = logging.getLogger(__name__)

ModelAgent = Agent[Deps, str | DeferredToolRequests]
CUT_OFF = "\n\n(The model's answer was cut off at its limit of tokens.)"
BETWEEN = "\n\n"  # the words of two steps


class Talk:
    """One turn. `say` shows an event at once."""

    def __init__(
        self, agent: ModelAgent, model: Model, turn: AgentTurn, deps: Deps, say: Callable[[Event], None]
    ) -> None:
        self._agent = agent
        self._model = model
        self._turn = turn
        self._deps = deps
        self._say = say
        self._said = ""  # the words of the finished steps since the last question
        self._speaking = ""  # those of the step that runs
        self._events: AgentRunEvents[str | DeferredToolRequests] | None = None

    async def run(self, instructions: str, prompt: Callable[[], Any]) -> None:
        """Go on where the log ends, until the answer is complete or something is asked.

        `prompt` makes what the user sent, for a turn that has logged nothing yet. Raises UserFacingError.
        """
        self._log = await self._read_log()
        self._steps = Steps(self._turn, self._log.own, self._say)
        self._deps.say = self._steps.say_of_tool
        await self._steps.load()
        self._replay()
        if not self._finished():
            content = None if self._log.own else await prompt()
            try:
                await self._until_answered(instructions, content)
            except BaseException:
                await self._log_partial()
                raise
        if log_of.is_cut_off(log_of.responses(self._log.own)[-1]):
            self._say(CUT_OFF)

    async def _read_log(self) -> log_of.Log:
        entries = await self._turn.write(history.seen, self._turn.ownership)
        read = log_of.read(entries, self._turn.ownership.row_id)
        for exchange in read.earlier:
            if exchange.open_calls():
                exchange.settle(await self._turn.write(ledger.calls, exchange.row_id))
        return read

    def _replay(self) -> None:
        """Say again what finished steps have said since the last question: what was before it stands."""
        own = log_of.responses(self._log.own)
        asked = {questions.call_of(key) for key in self._steps.answers}
        calls = [{call.tool_call_id for call in response.tool_calls} for response in own]
        stands = max((n for n, ids in enumerate(calls, start=1) if ids & asked), default=0)
        self._steps.shown = set().union(*calls[:stands])
        for response in own[stands:]:
            self._speak(log_of.text_of(response))
            self._step_ended()

    def _finished(self) -> bool:
        """Whether an earlier attempt died between its last step and its ending."""
        own = self._log.own
        return bool(own) and isinstance(own[-1], ModelResponse) and not own[-1].tool_calls

    async def _until_answered(self, instructions: str, content: list[UserContent] | None) -> None:
        """Try again what may pass by itself: each try goes on behind the last step that was finished."""
        tries = 0
        while True:
            try:
                return await self._attempt(instructions, None if self._log.own else content)
            except (AgentRunError, UserError) as error:
                failure, reason = failures.understood(error, tries), failures.reason(error)
                if failure.again_in_seconds is None:
                    raise UserFacingError(failure.words) from failures.ModelFailedError(reason)
                ids = (self._turn.session_key, failure.again_in_seconds, reason)
                log.warning("llm.again session=%s in_seconds=%.1f reason=%s", *ids)
                await self._wait(failure.again_in_seconds)
                tries += 1

    async def _wait(self, seconds: float) -> None:
        if self._speaking:  # half an answer that will not be finished
            self._speaking = ""
            self._say(Replacement(self._said))
        self._say(Progress(f"the model does not answer, trying again in {seconds:.0f} s"))
        await asyncio.sleep(seconds)

    async def _attempt(self, instructions: str, content: list[UserContent] | None) -> None:
        begins_with = self._log.messages()
        self._steps.seen = len(begins_with)
        async with self._agent.run_stream_events(
            content,
            message_history=begins_with,
            model=self._model,
            model_settings=MODEL_SETTINGS,
            instructions=instructions,
            deps=self._deps,
            capabilities=[self._steps],
        ) as self._events:
            async for event in self._events:
                self._take(event)

    async def _log_partial(self) -> None:
        """Log what came after the last finished step, for later turns if this one is not run again."""
        if self._steps.logging:
            await asyncio.wait({self._steps.logging})
        try:
            messages = self._events.all_messages() if self._events else []
        except UserError:  # it had not begun
            return
        if rest := log_of.tidy(messages[self._steps.seen :]):
            await self._turn.write(history.append, self._turn.ownership, "partial", log_of.dump(rest))

    def _take(self, event: AgentStreamEvent | AgentRunResultEvent[str | DeferredToolRequests]) -> None:
        match event:
            case PartStartEvent(part=TextPart(content=words)):
                self._speak(words)
            case PartDeltaEvent(delta=TextPartDelta(content_delta=words)):
                self._speak(words)
            case PartStartEvent(part=ThinkingPart()):
                self._say(Progress("thinking"))
            case FunctionToolCallEvent():
                self._step_ended()
            case AgentRunResultEvent(result=result) if isinstance(result.output, DeferredToolRequests):
                self._ask(result.output)

    def _speak(self, words: str) -> None:
        if words and not self._speaking and self._said:
            self._say(BETWEEN)
        self._speaking += words
        if words:
            self._say(words)

    def _step_ended(self) -> None:
        if self._speaking:
            self._said += (BETWEEN if self._said else "") + self._speaking
            self._speaking = ""

    def _ask(self, requests: DeferredToolRequests) -> None:
        for call in requests.approvals:
            key = requests.metadata[call.tool_call_id]["key"]
            self._say(questions.question(key, call.tool_name, call.args_as_dict()))
