"""Makes the model that a name stands for; this imports the library of its provider, which takes seconds."""

from typing import Any

from pydantic_ai.models import Model, infer_model
from pydantic_ai.profiles import merge_profile
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers import Provider, infer_provider_class
from pydantic_ai.settings import ModelSettings

from tgbot.agents.llm import demo, names
from tgbot.config import Settings

NO_KEY = "none"  # a server of one's own often wants none, and the client wants some
SILENCE_SECONDS = 120.0  # until the first byte of an answer, and between two

# Without the client's own retries: they show nothing meanwhile, and sleep as long as a server says.
MODEL_SETTINGS = ModelSettings(timeout=SILENCE_SECONDS, max_retries=0)


def make(name: str, settings: Settings) -> Model:
    """Make a model from "provider:model", or from a plain name where TGBOT_MODEL_URL is set.

    Raises UserError or ImportError of pydantic-ai, which say what is missing. Call it in a thread. A model
    must not be shared by event loops: its connections belong to one.
    """
    if name == names.DEMO:
        return demo.model()
    full_name = names.full(name, settings.model_url)
    model = infer_model(full_name, lambda provider: _provider(provider, settings))
    # Or half an answer whose stream just ended would pass for a whole one.
    finishes = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
    model.profile = merge_profile(model.profile, finishes)
    if full_name.startswith("openai:"):
        _build_responses()
    return model


def _build_responses() -> None:
    """Build the largest type of this API, or the first answer would, for two seconds in the event loop."""
    from openai.types.responses import Response  # noqa: PLC0415 - other providers do without this library

    Response.model_rebuild()


def _provider(name: str, settings: Settings) -> Provider[Any]:
    given: dict[str, str] = {}
    if settings.model_url:
        given = {"base_url": settings.model_url, "api_key": settings.model_key or NO_KEY}
    elif settings.model_key:
        given = {"api_key": settings.model_key}
    return infer_provider_class(name)(**given)
