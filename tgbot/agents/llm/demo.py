"""The model "demo": a script in place of a model, so that all of it can be seen without a key.

What it says and calls goes the way of any model: it streams, its steps are logged, its tools are in the
ledger, and those that ask first ask.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

from pydantic_ai.messages import ModelMessage, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from tgbot.agents.llm.steps import DENIED, SKIPPED

WORD_SECONDS = 0.03
WORK_STEPS = 10
WORK_MAX_SECONDS = 300  # half of what ten calls may take

HELP = """\
I am a script in place of a model: I need no key, and understand only a few sentences. All else is real.

Try:

- `what time is it`
- `remember that my cat is called Tom`
- `what do you remember`
- `draw a chart of 3 5 8 13`
- `pay 20 € to Ann`: I ask first. Allow it, kill me (-9) while I pay, start me again.
- `work for a minute`: kill me in the middle, and I go on where I was.

Write more while I work, it waits its turn; /stop stops me."""


class Call(NamedTuple):
    """A tool to call."""

    tool: str
    arguments: dict[str, Any]


class Step(NamedTuple):
    """One response: what is said, and then perhaps called."""

    words: str
    call: Call | None = None


# Gives the next step for a sentence, by the results of the tools that were called for it.
Script = Callable[[re.Match[str], Sequence[str]], Step]


def model() -> FunctionModel:
    """Make the model."""
    return FunctionModel(stream_function=_respond, model_name="demo")


async def _respond(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    words, call = _next(*_exchange(messages))
    for piece in re.findall(r"\s*\S+\s*", words):
        await asyncio.sleep(WORD_SECONDS)
        yield piece
    if call:
        yield {0: DeltaToolCall(call.tool, json.dumps(call.arguments))}


def _exchange(messages: Sequence[ModelMessage]) -> tuple[str, list[str]]:
    """Find what the user said last, and what the tools have returned since."""
    said = ""
    results: list[str] = []
    for part in (part for message in messages for part in message.parts):
        if isinstance(part, UserPromptPart):
            said, results = _text(part), []
        elif isinstance(part, ToolReturnPart):
            results.append(str(part.content))
    return said, results


def _text(part: UserPromptPart) -> str:
    pieces = [part.content] if isinstance(part.content, str) else part.content
    return "\n".join(piece for piece in pieces if isinstance(piece, str))


def _next(said: str, results: Sequence[str]) -> Step:
    for pattern, script in _SCRIPTS:
        if found := re.search(pattern, said, re.IGNORECASE | re.MULTILINE):
            return script(found, results)
    return Step(HELP)


def _one(call: Callable[[re.Match[str]], Call], answer: Callable[[str], str], before: str = "") -> Script:
    """Make a script that calls one tool, and answers with its result."""

    def script(found: re.Match[str], results: Sequence[str]) -> Step:
        return Step(answer(results[-1])) if results else Step(before, call(found))

    return script


def _note(found: re.Match[str]) -> Call:
    text = found[1].rstrip(" .!")
    name = re.split(r" (?:is|are|has|have|likes?) ", text)[0]
    return Call("remember", {"name": " ".join(name.split()[:5]), "text": text})


def _noted(result: str) -> str:
    return f"{result} Ask “what do you remember” at any time, also after a restart."


def _notes(result: str) -> str:
    notes = [text for line in result.splitlines() if (text := line.partition(": ")[2])]
    lines = "\n".join(f"- {text}" for text in notes)
    return f"In this chat I noted:\n\n{lines}" if notes else "Nothing yet. Say “remember that …”."


def _chart(found: re.Match[str]) -> Call:
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", found[0])]
    return Call("draw_chart", {"values": numbers or [3, 5, 8, 13, 8, 5]})


def _payment(found: re.Match[str]) -> Call:
    return Call("pay", {"amount": f"{found[1]} {found[2] or '€'}", "to": found[3]})


def _paid(result: str) -> str:
    if result == DENIED:
        return "As you wish: nothing was paid."
    if result == SKIPPED:
        return "Then I leave it as it is. Whether it was paid you would see in your account."
    return f"**{result}** (The money is made up, too.)"


def _work(found: re.Match[str], results: Sequence[str]) -> Step:
    done = len(results)
    words = f"Step {done} of {WORK_STEPS} is done." if done else "I take ten steps. Kill me in any of them."
    if done == WORK_STEPS:
        return Step(f"{words} That is all, and none was left out.")
    seconds = int(found[1] or 1) * (1 if found[2] == "second" else 60)
    each = min(seconds, WORK_MAX_SECONDS) / WORK_STEPS
    return Step(words, Call("work", {"step": done + 1, "of": WORK_STEPS, "seconds": each}))


# The first whose pattern is found.
_SCRIPTS: tuple[tuple[str, Script], ...] = (
    (r"^remember (?:that )?(.+)", _one(_note, _noted)),
    (r"^forget (?:that |about )?(.+)", _one(lambda found: Call("forget", {"name": found[1]}), str)),
    (r"\bremember\b", _one(lambda _: Call("recall", {}), _notes)),
    (
        r"^pay (\d+(?:[.,]\d+)?) ?(€|\$|£|[a-z]{3,7})? to (\w+)",
        _one(_payment, _paid, "This would leave your account, so I ask first."),
    ),
    (r"^work\b(?: for (?:an?|(\d+)) (second|minute)s?)?", _work),
    (r"\bchart\b.*", _one(_chart, lambda _: "Here it is, drawn by a tool.", "One moment.")),
    (r"\btime\b", _one(lambda _: Call("current_time", {}), lambda result: f"It is {result}.")),
)
