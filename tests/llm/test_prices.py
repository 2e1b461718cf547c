"""What a request may cost, estimated without a network."""

import socket
from decimal import Decimal
from typing import Any

import pytest
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from tgbot.agents.llm.budget import ModelId
from tgbot.agents.llm.prices import PICTURE_TOKENS, input_tokens, price

KNOWN = ModelId("gpt-5-mini", "openai", "https://api.openai.com/v1")


def test_the_price_of_a_known_model_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    small, large = price(KNOWN, 1_000, 0), price(KNOWN, 1_000, 1_000)
    assert small
    assert large
    assert 0 < small < large < Decimal("0.1")


def test_a_server_of_ones_own_does_not_hide_the_price_of_a_known_model() -> None:
    assert price(ModelId(KNOWN.name, KNOWN.provider, "http://127.0.0.1:4000/v1"), 1_000, 1_000)


@pytest.mark.parametrize(
    "model",
    [
        ModelId("llama3.2", "ollama", "http://127.0.0.1:11434/v1"),
        ModelId(KNOWN.name, "ollama", "http://127.0.0.1:11434/v1"),  # another one of that name
        ModelId("no-such-model", "openai"),
        ModelId("whisper-1", "openai"),  # the list has a price of it, but none by the token
        ModelId("function", "function"),
    ],
)
def test_an_unknown_price_is_none_and_never_0(model: ModelId) -> None:
    assert price(model, 1_000, 1_000) is None


def asked(*content: Any) -> ModelRequest:  # noqa: ANN401 - any content of a user
    return ModelRequest([UserPromptPart(list(content))])


def answered(text: str, taken: int = 0, given: int = 0) -> ModelResponse:
    usage = RequestUsage(input_tokens=taken, output_tokens=given)
    return ModelResponse([TextPart(text)], usage=usage)


def test_the_input_is_what_the_last_response_took_and_gave_and_what_is_new() -> None:
    messages: list[ModelMessage] = [asked("x" * 9_000), answered("y" * 9_000, 500, 100), asked("z" * 300)]
    assert 700 <= input_tokens(messages, []) <= 702


def test_without_a_measured_response_all_that_is_sent_counts() -> None:
    call = ModelResponse([ToolCallPart("t", {"a": "x" * 300})])
    result = ModelRequest([ToolReturnPart("t", {"b": "x" * 300}, tool_call_id="1")], instructions="x" * 300)
    tool = ToolDefinition(name="t", description="x" * 300)
    messages: list[ModelMessage] = [asked("x" * 300), answered("x" * 300), call, result]
    assert 600 <= input_tokens(messages, [tool]) <= 900


def test_letters_of_other_scripts_count_more() -> None:
    assert input_tokens([asked("字" * 300)], []) == 3 * (input_tokens([asked("a" * 300)], []) - 2) + 2


def test_a_picture_counts_the_same_whatever_its_bytes_and_a_document_by_its_size() -> None:
    def of(kind: str, size: int) -> int:
        return input_tokens([asked(BinaryContent(b"x" * size, media_type=kind))], [])

    assert PICTURE_TOKENS <= of("image/png", 1) == of("image/png", 5_000_000) < 2 * PICTURE_TOKENS
    assert of("application/pdf", 5_000_000) > of("application/pdf", 50_000) >= PICTURE_TOKENS


def test_halves_of_characters_can_be_estimated() -> None:
    assert input_tokens([asked("\ud83d")], [])
