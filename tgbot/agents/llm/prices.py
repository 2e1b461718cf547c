"""Estimates requests to models: their price, from the list that comes with pydantic-ai, and their input."""

from collections.abc import Sequence
from decimal import Decimal

from pydantic_ai.messages import BinaryContent, ModelMessage, ModelRequest, ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from tgbot.agents.llm.budget import ModelId

BYTES_PER_TOKEN = 3  # of UTF-8: English has 4 to 5, code and most other scripts have 3 or more
PICTURE_TOKENS = 2500  # about the most that a provider makes of a picture that it does not have to scale down
FILE_BYTES_PER_TOKEN = 20  # a page of a PDF: 50 kB or more, 2,500 tokens or less


def id_of(model: Model) -> ModelId:
    """Name a model as price lists know it."""
    return ModelId(model.model_name, model.system, model.base_url)


def price(model: ModelId, input_tokens: int, output_tokens: int) -> Decimal | None:
    """Find the price of a request in dollars, without the network; None if it is not known."""
    used = RequestUsage(input_tokens=input_tokens, output_tokens=output_tokens)
    response = ModelResponse(
        [], usage=used, model_name=model.name, provider_name=model.provider, provider_url=model.url
    )
    try:
        # The list has 0 also for models of which it knows no price by the token.
        return response.cost().total_price or None
    except (LookupError, ValueError):
        return None


def input_tokens(messages: Sequence[ModelMessage], tools: Sequence[ToolDefinition]) -> int:
    """Estimate what a model is sent: what it took and gave the last time, and what is new since."""
    for at in reversed(range(len(messages))):
        message = messages[at]
        if isinstance(message, ModelResponse) and message.usage.input_tokens:
            return message.usage.total_tokens + sum(map(_of_message, messages[at + 1 :]))
    last = messages[-1]
    instructions = last.instructions if isinstance(last, ModelRequest) else None
    return sum(map(_of_message, messages)) + _tokens(instructions or "") + _tokens(list(map(str, tools)))


def _of_message(message: ModelMessage) -> int:
    contents = (getattr(part, "content", None) or getattr(part, "args", None) or "" for part in message.parts)
    return sum(map(_tokens, contents))


def _tokens(content: object) -> int:
    match content:
        case BinaryContent():
            return PICTURE_TOKENS + (0 if content.is_image else len(content.data) // FILE_BYTES_PER_TOKEN)
        case list() | tuple():
            return sum(map(_tokens, content))
        case dict():
            return _tokens([*content, *content.values()])
        case _:
            return len(str(content).encode(errors="replace")) // BYTES_PER_TOKEN + 1
