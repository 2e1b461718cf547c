"""Runs one turn with a model: from what the log has to the end of the answer."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic_ai import Agent, AgentRunResultEvent, DeferredToolRequests
from pydantic_ai.exceptions import AgentRunError, UserError
from pydantic_ai.messages import (
    AgentStreamEvent,
    FilePart,
    FunctionToolCallEvent,
    ModelMessage,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    UserContent,
)
from pydantic_ai.models import Model
from pydantic_ai.usage import UsageLimits

from tgbot.agents.llm import broken_off, failures, media_log, media_out, questions
from tgbot.agents.llm import log as log_of
from tgbot.agents.llm.budget import Budget
from tgbot.agents.llm.compaction import Compaction
from tgbot.agents.llm.deps import Deps
from tgbot.agents.llm.media import TURN_BYTES_MAX
from tgbot.agents.llm.models import MODEL_SETTINGS
from tgbot.agents.llm.sight import Sight
from tgbot.agents.llm.spending import Spending
from tgbot.agents.llm.steps import Steps
from tgbot.store import history
from tgbot.turns.agent import Progress, Replacement, UserFacingError

if TYPE_CHECKING:
    from pydantic_ai.agent import AgentRunEvents

log = logging.getLogger(__name__)

ModelAgent = Agent[Deps, str | DeferredToolRequests]
BETWEEN = "\n\n"  # the words of two steps


class Talk:
    """One turn."""

    def __init__(
        self, agent: ModelAgent, model: Model, deps: Deps, compaction: Compaction, budget: Budget
    ) -> None:
        self._agent = agent
        self._model = model
        self._sight = Sight.of(model)
        self._turn = deps.turn
        self._deps = deps
        self._spending = Spending(budget)
        self._say = deps.say
        self._asked = False
        self._compaction = compaction
        self._made_room = False
        self._said = ""  # the words of the finished steps since the last question
        self._speaking = ""  # those of the step that runs
        self._events: AgentRunEvents[str | DeferredToolRequests] | None = None

    async def run(self, instructions: str, prompt: Callable[[], Any]) -> bool:
        """Go on where the log ends, until the answer is complete or something is asked.

        `prompt` makes what the user sent, for a turn that has logged nothing yet. Returns whether the answer
        is complete. Raises UserFacingError.
        """
        row_id = self._turn.ownership.row_id
        entries = await broken_off.entries_for(self._turn)
        self._log, self._before = log_of.read(entries, row_id), log_of.earlier(entries, row_id)
        self._steps = Steps(
            *(self._turn, self._log.own, self._deps.steers, self._say),
            *(self._compaction.result_characters_max, self._sight),
        )
        self._deps.say = self._steps.say_of_tool  # what tools say is kept until their result is
        await self._steps.load()
        self._replay()
        if not self._finished():
            await self._answer(instructions, prompt)
        if self._log.own and (line := log_of.cut_short(log_of.responses(self._log.own)[-1])):
            self._say(line)
        return not self._asked

    async def _answer(self, instructions: str, prompt: Callable[[], Any]) -> None:
        await self._fill_in_media()
        content = None if self._log.own else await prompt()
        if not self._log.own and self._compaction.needed(self._before):
            await self._make_room()
        try:
            await self._until_answered(instructions, content)
        except BaseException:
            await self._log_partial()
            raise

    async def _fill_in_media(self) -> None:
        """Give the files that the log names their bytes, as far as a model should see them again."""
        earlier, own = self._log
        own[:] = await media_log.restored(own, self._turn.download, self._sight, TURN_BYTES_MAX)
        self._log = self._log._replace(earlier=await self._with_media(earlier))

    async def _with_media(self, messages: list[ModelMessage]) -> list[ModelMessage]:
        return await media_log.restored(messages, self._turn.download, self._sight)

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

    async def _until_answered(self, instructions: str, content: str | list[UserContent] | None) -> None:
        """Try again what may pass by itself: each try goes on behind the last step that was finished."""
        tries = steps = 0
        while True:
            try:
                return await self._attempt(instructions, None if self._log.own else content)
            except (AgentRunError, UserError) as error:
                if failures.is_too_long(error) and await self._make_room():
                    continue
                if len(self._log.own) > steps:  # it got further
                    tries, steps = 0, len(self._log.own)
                failure, reason = failures.understood(error, tries), failures.reason(error)
                if failure.again_in_seconds is None:
                    raise UserFacingError(failure.words) from failures.ModelFailedError(reason)
                ids = (self._turn.session_key, failure.again_in_seconds, reason)
                log.warning("llm.again session=%s in_seconds=%.1f reason=%s", *ids)
                await self._wait(failure.again_in_seconds)
                tries += 1

    async def _make_room(self) -> bool:
        """Shorten what was said before, once in a turn. False if that cannot help any more."""
        if self._made_room or not self._before:
            return False
        self._made_room = True
        self._say(Progress("summing up what was said before"))
        shorter = await self._compaction.shortened(self._before)
        self._log = self._log._replace(earlier=await self._with_media(shorter))
        return True

    async def _wait(self, seconds: float) -> None:
        if self._speaking:  # half an answer that will not be finished
            self._speaking = ""
            self._say(Replacement(self._said))
        self._say(Progress(f"the model does not answer, trying again in {seconds:.0f} s"))
        await asyncio.sleep(seconds)

    async def _attempt(self, instructions: str, content: str | list[UserContent] | None) -> None:
        begins_with = self._log.messages()
        self._steps.begin(begins_with)
        async with self._agent.run_stream_events(
            content,
            message_history=begins_with,
            model=self._model,
            model_settings=MODEL_SETTINGS,
            instructions=instructions,
            deps=self._deps,
            capabilities=[self._steps, self._spending],  # in this order: a request is settled in any case
            usage_limits=UsageLimits(request_limit=None),  # the budget has one of its own
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
            case PartStartEvent(part=FilePart(content=content)):
                self._say(media_out.sent(content))
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
        self._asked = True
        for call in requests.approvals:
            key = requests.metadata[call.tool_call_id]["key"]
            self._say(questions.question(key, call.tool_name, call.args_as_dict()))
