"""Puts a budget around the requests of a run of pydantic-ai."""

from dataclasses import dataclass, replace
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.settings import ModelSettings

from tgbot.agents.llm.budget import OUTPUT_TOKENS_MAX, Budget
from tgbot.agents.llm.prices import id_of, input_tokens

_GAVE_UP = {502, 504}  # says a gateway, while the model may have answered


@dataclass
class Spending(AbstractCapability[Any]):
    """Reserves before each request of a turn, and settles after it; a limit ends the run as UserFacingError.

    Give it to a run as the last capability: then no other one can end the run before it has settled.
    """

    budget: Budget

    async def before_model_request(
        self,
        ctx: RunContext[Any],  # noqa: ARG002 - pydantic-ai passes it
        request_context: ModelRequestContext,
    ) -> ModelRequestContext:
        """Reserve, and let the model say no more than that."""
        settings = request_context.model_settings or ModelSettings()
        most = settings.get("max_tokens") or self.budget.output_tokens_max
        tools = request_context.model_request_parameters.function_tools
        expected = input_tokens(request_context.messages, tools)
        await self.budget.before_request(id_of(request_context.model), expected, most or OUTPUT_TOKENS_MAX)
        if most is None:
            return request_context
        return replace(request_context, model_settings={**settings, "max_tokens": most})

    async def after_model_request(
        self,
        ctx: RunContext[Any],  # noqa: ARG002 - as above
        *,
        request_context: ModelRequestContext,  # noqa: ARG002 - as above
        response: ModelResponse,
    ) -> ModelResponse:
        """Settle with what the response says it took."""
        await self.budget.after_request(response.usage)
        return response

    async def on_model_request_error(
        self,
        ctx: RunContext[Any],  # noqa: ARG002 - as above
        *,
        request_context: ModelRequestContext,  # noqa: ARG002 - as above
        error: Exception,
    ) -> ModelResponse:
        """Give back what a request was to take that never reached a model."""
        if _took_nothing(error):
            await self.budget.refused()
        raise error


def _took_nothing(error: Exception) -> bool:
    """Whether the provider refused a request, or was not reached; anything else may have cost something."""
    if isinstance(error, ModelConnectionError):
        return error.phase in {"pool", "connect"}
    return isinstance(error, ModelHTTPError) and not error.in_stream and error.status_code not in _GAVE_UP
