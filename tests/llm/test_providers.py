"""Every API of a model through the whole bot: answers, tools, memory, and all the ways that models fail."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from tests.llm.answers import (
    Fixture,
    after_tool,
    calls,
    cut,
    drops,
    fails,
    finished,
    in_order,
    says,
    slow,
    tool,
)
from tests.llm.bots import KEY, SHAPES, ModelBot, model_bot
from tests.waiting import eventually
from tgbot.agents.llm import failures
from tgbot.agents.llm.failures import REJECTED, UNREACHABLE
from tgbot.agents.llm.log import CUT_OFF, WITHHELD
from tgbot.agents.llm.prompt import DEFAULT

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What fails fails in a provider's own way, and Ollama's is that of OpenAI's chat; what we make of it is one.
THREE_APIS = pytest.mark.parametrize("bot", SHAPES[:3], indirect=True, scope="module")
ONE_API = pytest.mark.parametrize("bot", SHAPES[:1], indirect=True, scope="module")

STORY = "Once upon a time there was a bot that never lost a message. The end."
SECRETS = (KEY, KEY[:10], KEY[-6:])
# As a provider quotes keys: whole, in a URL, and half masked.
UNSAFE = f"No: {KEY}, see https://example.com/?key={KEY}\nand {KEY[:10]}*****{KEY[-6:]}"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SHAPES)
async def bot(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ModelBot]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failures, "RETRY_SECONDS", (0.01, 0.01))
        folder = tmp_path_factory.mktemp(request.param)
        async with model_bot(folder, request.param, tools="tests.llm.proof_tools") as running:
            yield running


@pytest.fixture(autouse=True)
def no_secret_anywhere(bot: ModelBot) -> Iterator[None]:
    yield
    shown = json.dumps([call["params"] for call in bot.wire.world.journal], default=str)
    for secret in SECRETS:
        assert secret not in bot.log
        assert secret not in shown


async def test_a_text_is_on_screen_while_the_model_still_speaks(bot: ModelBot) -> None:
    ann = bot.person()
    await bot.answers_by(slow(says("story", STORY * 20), pieces_per_second=10))
    ann.says("A story!")
    await ann.sees_among("Once upon")
    ann.says("/stop")
    await ann.sees_among("Stopped.")
    assert (STORY * 20).startswith(ann.sees[0])


async def test_the_model_is_sent_what_it_has_to_know_and_nothing_twice(bot: ModelBot) -> None:
    ann = bot.person()
    call = tool("weather", {"city": "Rome"})
    answers = (
        calls("weather", call, text="Looking."),
        after_tool("Nice.", result="sunny"),
        says("thanks", "Bye."),
    )
    await bot.answers_by(*answers)
    ann.says("The weather?")
    await ann.sees_at_last("Looking.\n\nNice.")
    ann.says("thanks")
    await ann.sees_at_last("Looking.\n\nNice.", "Bye.")
    asked, called, thanked = bot.sent
    instructions, *said = thanked.messages
    assert instructions["role"] == "system"
    assert instructions["text"].startswith(DEFAULT)
    assert [request.messages[0] for request in bot.sent] == [instructions] * 3
    assert said == [
        {"role": "user", "text": "The weather?"},
        {"role": "assistant", "text": "Looking.", "calls": [call]},
        {"role": "tool", "text": "sunny in Rome"},
        {"role": "assistant", "text": "Nice."},
        {"role": "user", "text": "thanks"},
    ]
    assert asked.messages[1:] == said[:1]
    assert called.messages[1:] == said[:3]


class Refusal(NamedTuple):
    """A failure that does not pass by itself: what the model does, and what the person reads."""

    fixture: Fixture
    words: str


REFUSALS = {
    "a wrong key": Refusal(
        fails("hey", 401, UNSAFE, kind="invalid_request_error", code="invalid_api_key"), "the bot's key"
    ),
    "an unknown model": Refusal(fails("hey", 404, UNSAFE, code="model_not_found"), "not know this model"),
    "a rejected request": Refusal(fails("hey", 400, UNSAFE), REJECTED),
    "too large a request": Refusal(fails("hey", 413, UNSAFE), REJECTED),
    "a spent quota": Refusal(fails("hey", 402, UNSAFE, code="insufficient_quota"), "quota is used up"),
    "a long wait": Refusal(fails("hey", 429, UNSAFE, retry_after_seconds=1800), "too many requests"),
    "a full context": Refusal(
        fails("hey", 400, "prompt is too long", kind="invalid_request_error", code="context_length_exceeded"),
        "too long for the model",
    ),
    "a full context of llama.cpp": Refusal(
        fails("hey", 400, "request (6021 tokens) exceeds the", kind="exceed_context_size_error"),
        "too long for the model",
    ),
}


@THREE_APIS
@pytest.mark.parametrize("name", REFUSALS)
async def test_what_does_not_pass_is_said_in_one_line(bot: ModelBot, name: str) -> None:
    ann = bot.person()
    await bot.answers_by(REFUSALS[name].fixture)
    ann.says("hey")
    await ann.sees_among(REFUSALS[name].words)
    assert len(ann.sees) == 1
    assert "No:" not in ann.sees[0]
    assert len(bot.sent) == 1
    assert bot.log.count("turn.failed") == 1
    assert "Traceback" not in bot.log


@ONE_API
async def test_a_summary_that_is_refused_is_said_in_one_line(bot: ModelBot) -> None:
    ann = bot.person()
    await bot.answers_by(fails("<conversation>", 401, UNSAFE, code="invalid_api_key"), says("hey", "Hello."))
    ann.says("hey", "/compact")
    await ann.sees_among("the bot's key")
    assert bot.log.count("turn.failed") == 1
    assert "Traceback" not in bot.log


PASSING = {
    "a rate limit": fails("", 429, UNSAFE, retry_after_seconds=0.3),
    "a server's error": fails("", 500, UNSAFE),
    "an overloaded server": fails("", 503, UNSAFE),
    "a dropped connection": drops(""),
    "an empty answer": says("", ""),
}


@THREE_APIS
@pytest.mark.parametrize("name", PASSING)
async def test_what_passes_is_asked_again(bot: ModelBot, name: str) -> None:
    ann = bot.person()
    await bot.answers_by(*in_order(PASSING[name], says("", "Hello."), says("", "Yes.")))
    ann.says("hey")
    await ann.sees_at_last("Hello.")
    assert len(bot.sent) == 2
    ann.says("and you?")
    await ann.sees_at_last("Hello.", "Yes.")
    said = [(one["role"], one["text"]) for one in bot.sent[-1].messages]
    assert said[1:] == [("user", "hey"), ("assistant", "Hello."), ("user", "and you?")]


@ONE_API
@pytest.mark.parametrize("name", PASSING)
async def test_what_should_pass_and_does_not_is_said_in_one_line(bot: ModelBot, name: str) -> None:
    ann = bot.person()
    await bot.answers_by(PASSING[name])
    ann.says("hey")
    await ann.sees_among("ry again")
    await eventually(lambda: "state=failed" in bot.log, "the end")
    assert len(ann.sees) == 1
    assert bot.log.count("llm.again") == 2
    assert bot.log.count("turn.failed") == 1


@ONE_API
async def test_a_wait_that_the_provider_asks_for_is_shown_and_can_be_stopped(bot: ModelBot) -> None:
    ann = bot.person()
    await bot.answers_by(fails("hey", 429, retry_after_seconds=30))
    ann.says("hey")
    await ann.sees_among("trying again in 30 s")
    ann.says("/stop")
    await eventually(lambda: "state=stopped" in bot.log, "the end")


async def test_half_an_answer_disappears_and_the_whole_one_stands_once(bot: ModelBot) -> None:
    ann = bot.person()
    whole = slow(says("hey", f"{STORY} Really."), first_seconds=0.2)
    await bot.answers_by(*in_order(cut(says("hey", STORY), pieces_per_second=5), whole))
    ann.says("hey")
    await ann.sees_among("Once")
    await ann.sees_at_last(f"{STORY} Really.")
    assert "llm.again" in bot.log


@THREE_APIS
async def test_half_an_answer_that_stays_has_a_line_that_says_so(bot: ModelBot) -> None:
    ann = bot.person()
    await bot.answers_by(cut(says("hey", STORY)), says("what?", "Sorry."))
    ann.says("hey")
    await ann.sees_among(UNREACHABLE)
    half, line = ann.sees
    assert STORY.startswith(half)
    assert line == UNREACHABLE
    ann.says("what?")
    await ann.sees_among("Sorry.")
    assert [one["text"] for one in bot.sent[-1].messages[1:]] == ["hey", half, "what?"]


@THREE_APIS
async def test_an_answer_at_the_limit_of_tokens_says_so(bot: ModelBot) -> None:
    ann = bot.person()
    await bot.answers_by(finished(says("hey", STORY), "length"))
    ann.says("hey")
    await ann.sees_at_last(STORY + CUT_OFF)


@ONE_API
async def test_an_answer_whose_rest_the_provider_withheld_says_so(bot: ModelBot) -> None:
    ann = bot.person()
    await bot.answers_by(finished(says("hey", STORY), "content_filter"))
    ann.says("hey")
    await ann.sees_at_last(STORY + WITHHELD)


def event(kind: str = "", **body: Any) -> str:  # noqa: ANN401 - JSON
    """Make one event of a stream."""
    return (f"event: {kind}\n" if kind else "") + f"data: {json.dumps(body)}\n\n"


def half_a_stream(shape: str) -> list[str]:
    """The events of an answer up to the middle of its text."""
    if shape == "anthropic":
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "x"}
        block = {"type": "text", "text": ""}
        return [
            event("message_start", type="message_start", message=message | {"usage": usage}),
            event("content_block_start", type="content_block_start", index=0, content_block=block),
            event(
                "content_block_delta",
                type="content_block_delta",
                index=0,
                delta={"type": "text_delta", "text": "Half"},
            ),
        ]
    if shape == "openai":
        response: dict[str, Any] = {
            "id": "r",
            "object": "response",
            "created_at": 1,
            "model": "x",
            "output": [],
        }
        item = {"type": "message", "id": "i", "role": "assistant", "status": "in_progress", "content": []}
        at = {"item_id": "i", "output_index": 0, "content_index": 0}
        events: list[dict[str, Any]] = [
            {"type": "response.created", "response": response | {"status": "in_progress"}},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.output_text.delta", **at, "delta": "Half", "logprobs": []},
        ]
        return [event(one["type"], **one, sequence_number=n) for n, one in enumerate(events)]
    choice = {"index": 0, "delta": {"role": "assistant", "content": "Half"}, "finish_reason": None}
    return [event(id="c", object="chat.completion.chunk", created=1, model="x", choices=[choice])]


def error_in_stream(shape: str) -> str:
    error = {"type": "server_error", "code": "server_error", "message": UNSAFE}
    if shape == "anthropic":
        return event("error", type="error", error={"type": "overloaded_error", "message": UNSAFE})
    if shape == "openai":
        return event("error", **{**error, "type": "error"}, sequence_number=9, param=None)
    return event(error=error)


async def test_a_stream_that_just_ends_is_not_an_answer(
    bot: ModelBot, request: pytest.FixtureRequest
) -> None:
    shape = request.node.callspec.params["bot"]
    ann = bot.person()
    await bot.answers_by(says("hey", "Whole."))
    bot.server.streams_next(*half_a_stream(shape))
    ann.says("hey")
    await ann.sees_at_last("Whole.")
    assert len(bot.sent) == 2


@THREE_APIS
async def test_an_error_within_a_stream_is_one(bot: ModelBot, request: pytest.FixtureRequest) -> None:
    shape = request.node.callspec.params["bot"]
    ann = bot.person()
    await bot.answers_by(says("hey", "Whole."))
    bot.server.streams_next(*half_a_stream(shape), error_in_stream(shape))
    ann.says("hey")
    await ann.sees_at_last("Whole.")
    assert len(bot.sent) == 2


@ONE_API
async def test_garbage_is_not_an_answer(bot: ModelBot) -> None:
    ann = bot.person()
    await bot.answers_by(says("hey", "Whole."))
    bot.server.streams_next("<html>Bad gateway</html>\n\n")
    ann.says("hey")
    await ann.sees_at_last("Whole.")


@THREE_APIS
async def test_a_provider_that_is_down_is_said_and_one_that_is_back_answers(bot: ModelBot) -> None:
    ann = bot.person()
    await bot.answers_by(says("again", "Hello."))
    async with bot.server.down():
        ann.says("hey")
        await ann.sees_at_last(UNREACHABLE)
    assert "All connection attempts failed" in bot.log
    ann.says("again")
    await ann.sees_at_last(UNREACHABLE, "Hello.")
