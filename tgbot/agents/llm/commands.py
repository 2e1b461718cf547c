"""Obeys the commands about what the model remembers; one that runs again after a crash changes nothing."""

from collections.abc import Callable, Sequence

from pydantic_ai.exceptions import AgentRunError, UserError
from pydantic_ai.messages import UserContent

from tgbot.agents.llm import broken_off, failures
from tgbot.agents.llm import log as log_of
from tgbot.agents.llm.compaction import Compaction
from tgbot.store import history
from tgbot.turns.agent import AgentTurn, Event, InsteadOf, Progress, UserFacingError

WORDS_CHARACTERS = 60  # of the message that was forgotten

FRESH = "Started afresh: nothing that was said before counts any more."
SUMMED_UP = "Summed up. I go on with a summary of what was said so far."
NOTHING_TO_SUM_UP = "There is nothing to sum up yet."
NOTHING_TO_UNDO = "There is nothing to undo."
NOTHING_TO_RETRY = "There is no message that I could answer again."
PART_OF_A_SUMMARY = "This is not possible any more: what was said before is part of a summary."

Say = Callable[[Event], None]


async def start_afresh(turn: AgentTurn, say: Say) -> None:
    """Let the conversation begin anew (/new)."""
    await turn.write(history.start_afresh, turn.ownership)
    say(FRESH)


async def undo(turn: AgentTurn, say: Say) -> None:
    """Forget the last exchange (/undo), and say with which words it began."""
    prompt = await _undo_last(turn, say, NOTHING_TO_UNDO)
    if prompt is not None:
        say(f"Forgotten: “{_first_words(prompt)}”")


async def prompt_again(turn: AgentTurn, say: Say) -> list[UserContent] | None:
    """Find what to answer again (/retry); None if there is nothing, which is said then."""
    return await _undo_last(turn, say, NOTHING_TO_RETRY, instead=True)


async def sum_up(turn: AgentTurn, say: Say, compaction: Compaction) -> None:
    """Sum up what was said so far (/compact). Raises UserFacingError."""
    entries = await broken_off.entries_for(turn)
    if any(entry.row_id == turn.ownership.row_id for entry in entries):
        say(SUMMED_UP)  # an earlier attempt did it
    elif not log_of.exchanges(entries):
        say(NOTHING_TO_SUM_UP)
    else:
        say(Progress("summing up"))
        try:
            await compaction.sum_up(entries)
        except (AgentRunError, UserError) as error:
            failure = failures.understood(error, tries=len(failures.RETRY_SECONDS))
            raise UserFacingError(failure.words) from failures.ModelFailedError(failures.reason(error))
        say(SUMMED_UP)


async def _undo_last(
    turn: AgentTurn, say: Say, nothing: str, *, instead: bool = False
) -> list[UserContent] | None:
    """Let the last exchange not count any more; gives what the user had sent."""
    row_id = await turn.write(history.undo_last, turn.ownership)
    if row_id is None:
        seen = await turn.read(history.seen, turn.ownership)
        say(PART_OF_A_SUMMARY if any(entry.kind == "summary" for entry in seen) else nothing)
        return None
    if instead:
        say(InsteadOf(row_id))
    return log_of.prompt_of(await turn.read(history.of_row, turn.ownership, row_id))


def _first_words(prompt: Sequence[UserContent]) -> str:
    """Quote the beginning of a message, without the lines in brackets above it that say what came with it."""
    lines = [line for one in prompt if isinstance(one, str) for line in one.splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith(("[", ">"))]
    words = " ".join(" ".join(own or lines).split()) or "(no text)"
    return words if len(words) <= WORDS_CHARACTERS else f"{words[: WORDS_CHARACTERS - 1]}…"
