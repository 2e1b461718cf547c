"""Makes room in the context of a model: what was said before is summed up, by exchanges, and by the model."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic_ai import Agent
from pydantic_ai.exceptions import AgentRunError, UnexpectedModelBehavior, UserError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from tgbot.agents.llm import failures
from tgbot.agents.llm import log as log_of
from tgbot.agents.llm.budget import Budget
from tgbot.agents.llm.models import MODEL_SETTINGS
from tgbot.agents.llm.spending import Spending
from tgbot.store import history
from tgbot.store.history import Entry
from tgbot.turns.agent import AgentTurn, UserFacingError

log = logging.getLogger(__name__)

FULL = 0.7  # of the context: more than that, and it is summed up before a turn
WORTH = 0.1  # of the context: less than that is not worth a summary
KEPT = 0.2  # of the context, that the exchanges may have which are kept as they are
KEPT_EXCHANGES = 2
LEFT = 0.5  # of the context, that the newest exchanges may have where no summary can be made
TRANSCRIPT = 0.8  # of the context, that the transcript may have which is summed up
RESULT = 0.25  # of the context, that one result of a tool may have
RESULT_CHARACTERS_MAX = 50_000  # and in any case
LINE_CHARACTERS = 4_000  # of one message or result of a tool, in the transcript
CHARACTERS_A_TOKEN = 3  # a careful guess
CHARACTERS_A_TOKEN_MAX = 4  # of English; other languages have fewer
SUMMARY_TOKENS_MAX = 4_000  # with what the model thinks

TASK = (
    "Sum up this conversation between a user and you, so that you can go on with it without having it: what "
    "the user wants and has said about themselves, what was found out, decided and done, names, numbers and "
    "links, and what is still open. Write at most 400 words, in the language of the conversation, and "
    "nothing else."
)
HEADING = "[What was said before, summed up]"
GO_ON = "I go on from there."
CUT = "[…]"

FAILURES = (AgentRunError, UserError, UserFacingError)  # the last one if a budget is used up

Exchange = Sequence[ModelMessage]

_SUMMARIZER = Agent(name="summary", retries=0)


class Compaction:
    """Makes room for one turn. `context_tokens`: how much its model reads, if the library does not know."""

    def __init__(self, model: Model, turn: AgentTurn, context_tokens: int, budget: Budget) -> None:
        self._model = model
        self._turn = turn
        self._spending = Spending(budget)
        self._tokens_max = model.context_window or context_tokens

    @property
    def result_characters_max(self) -> int:
        """How much of one result of a tool the model may read."""
        return min(int(RESULT * self._tokens_max * CHARACTERS_A_TOKEN), RESULT_CHARACTERS_MAX)

    def needed(self, entries: Sequence[Entry]) -> bool:
        """Whether the context is so full that what was said before has to be summed up, and is worth it."""
        exchanges = log_of.exchanges(entries)
        old, _ = self._parted(exchanges)
        full = _context_tokens(log_of.joined(exchanges)) > FULL * self._tokens_max
        return full and _tokens(log_of.joined(old)) > WORTH * self._tokens_max

    async def shortened(self, entries: Sequence[Entry]) -> list[ModelMessage]:
        """Sum up all but the last exchanges; where that fails, leave out the oldest ones, for this time."""
        exchanges = log_of.exchanges(entries)
        old, kept = self._parted(exchanges)
        try:
            return await self._sum_up(old, kept)
        except FAILURES as error:
            newest = _newest(exchanges, LEFT * self._tokens_max)
            left_out = len(exchanges) - len(newest)
            log.warning("llm.left_out exchanges=%s reason=%s", left_out, failures.reason(error))
            return log_of.joined(newest)

    async def sum_up(self, entries: Sequence[Entry]) -> None:
        """Sum up everything. Raises one of FAILURES."""
        await self._sum_up(log_of.exchanges(entries), [])

    async def _sum_up(self, old: Sequence[Exchange], kept: Sequence[Exchange]) -> list[ModelMessage]:
        """Log a summary of the old exchanges, and the kept ones with it; gives what stands for them all."""
        summary = await self._ask(_transcript(old, TRANSCRIPT * self._tokens_max * CHARACTERS_A_TOKEN))
        heading = ModelRequest([UserPromptPart(f"{HEADING}\n\n{summary}")])
        messages = [heading, ModelResponse([TextPart(GO_ON)]), *map(_unmeasured, log_of.joined(kept))]
        await self._turn.write(history.sum_up, self._turn.ownership, log_of.dump(messages))
        return messages

    async def _ask(self, transcript: str) -> str:
        """Ask the model for a summary, without tools: of words, because calls without tools are refused."""
        async with _SUMMARIZER.run_stream_events(
            f"<conversation>\n{transcript}\n</conversation>\n\n{TASK}",
            model=self._model,
            model_settings=ModelSettings(**MODEL_SETTINGS, max_tokens=SUMMARY_TOKENS_MAX),
            capabilities=[self._spending],
        ) as events:
            async for _ in events:
                pass
        return _summary_of(events.all_messages()[-1])

    def _parted(self, exchanges: Sequence[Exchange]) -> tuple[Sequence[Exchange], Sequence[Exchange]]:
        """Part what is to be summed up, at least one exchange, from the last ones, which are kept."""
        kept = _newest(exchanges[1:][-KEPT_EXCHANGES:], KEPT * self._tokens_max)
        first_kept = len(exchanges) - len(kept)
        return exchanges[:first_kept], exchanges[first_kept:]


def _summary_of(message: ModelMessage) -> str:
    """Take the words of a response that has come to its end."""
    assert isinstance(message, ModelResponse), "the run has ended"
    if message.provider_name and message.finish_reason is None:
        raise UnexpectedModelBehavior("the summary has no finish reason")
    if not (summary := log_of.text_of(message).strip()):
        raise UnexpectedModelBehavior("the summary is empty")
    return summary


def _newest(exchanges: Sequence[Exchange], tokens_max: float) -> Sequence[Exchange]:
    """Pick the newest exchanges that have no more tokens together."""
    tokens = 0
    for count, exchange in enumerate(reversed(exchanges)):
        tokens += _tokens(exchange)
        if tokens > tokens_max:
            return exchanges[len(exchanges) - count :]
    return exchanges


def _context_tokens(messages: Sequence[ModelMessage]) -> int:
    """Take what the last response was measured with, and estimate what came after it.

    Its context may have been shortened, so it is not believed if there are too many words for it.
    """
    after: list[ModelMessage] = []
    for message in reversed(messages):
        if isinstance(message, ModelResponse) and message.usage.input_tokens:
            measured = message.usage.input_tokens + message.usage.output_tokens + _tokens(after)
            return max(measured, _tokens(messages) * CHARACTERS_A_TOKEN // CHARACTERS_A_TOKEN_MAX)
        after.append(message)
    return _tokens(after)


def _tokens(messages: Sequence[ModelMessage]) -> int:
    return sum(map(len, _lines(messages))) // CHARACTERS_A_TOKEN


def _unmeasured(message: ModelMessage) -> ModelMessage:
    """Take off what a response was measured with: its context was longer than it is now."""
    return replace(message, usage=RequestUsage()) if isinstance(message, ModelResponse) else message


def _transcript(exchanges: Sequence[Exchange], characters_max: float) -> str:
    """Write down a conversation; of one that is too long the end, and the beginning: an earlier summary."""
    first, *others = exchanges
    beginning = "\n".join(map(_cut, _lines(first)))[: int(characters_max / 2)]
    lines = [*map(_cut, _lines(log_of.joined(others)))]
    room, end = characters_max - len(beginning), len(lines)
    while end and len(lines[end - 1]) <= room:
        end -= 1
        room -= len(lines[end])
    return "\n".join([beginning, *([CUT] if end else []), *lines[end:]])


def _cut(line: str) -> str:
    return line if len(line) <= LINE_CHARACTERS else f"{line[:LINE_CHARACTERS]} {CUT}"


def _lines(messages: Sequence[ModelMessage]) -> Iterator[str]:
    """Write down what was said, and what tools were asked and gave."""
    for message in messages:
        for part in message.parts:
            match part:
                case UserPromptPart():
                    yield f"User: {_words(part)}"
                case TextPart():
                    yield f"You: {part.content}"
                case ToolCallPart():
                    yield f"You called {part.tool_name}: {part.args_as_json_str()}"
                case ToolReturnPart():
                    yield f"{part.tool_name} gave: {part.model_response_str()}"


def _words(part: UserPromptPart) -> str:
    if isinstance(part.content, str):
        return part.content
    return "\n".join(one if isinstance(one, str) else "[a file]" for one in part.content)
