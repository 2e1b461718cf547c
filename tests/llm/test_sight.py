"""What a model takes is known by its profile and its name; what it does not take has a reason in words."""

import pytest
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

from tests.llm.files import GIF, JPEG, PDF, png
from tgbot.agents.llm import sniff
from tgbot.agents.llm.sight import PICTURE_BYTES_MAX, Sight
from tgbot.turns.context import MB

EVERYTHING, PICTURES, NOTHING = (True, True), (True, False), (False, False)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI", "ANTHROPIC", "OPENROUTER", "DEEPSEEK"):
        monkeypatch.setenv(f"{name}_API_KEY", "made up")
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:1/v1")


def on_own_server(name: str, profile: ModelProfile | None = None) -> Model:
    provider = OpenAIProvider(base_url="http://127.0.0.1:1/v1", api_key="none")
    return OpenAIChatModel(name, provider=provider, profile=profile)


def taken(model: Model) -> tuple[bool, bool]:
    sight = Sight.of(model)
    return sight.pictures, sight.documents


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("name", "takes"),
    [
        ("openai:gpt-5-mini", EVERYTHING),
        ("openai-chat:gpt-4o", EVERYTHING),
        ("openai-chat:gpt-4-turbo", EVERYTHING),
        ("openai-chat:gpt-4", NOTHING),
        ("openai-chat:gpt-4-0613", NOTHING),
        ("openai-chat:gpt-3.5-turbo", NOTHING),
        ("openai:o3-mini", NOTHING),
        ("openai:o3", EVERYTHING),
        ("anthropic:claude-sonnet-4-5", EVERYTHING),
        ("openrouter:anthropic/claude-sonnet-4.5", EVERYTHING),
        ("openrouter:google/gemini-2.5-flash", EVERYTHING),
        ("openrouter:openai/gpt-oss-120b", NOTHING),
        ("openrouter:meta-llama/llama-3.3-70b-instruct", NOTHING),
        ("openrouter:meta-llama/llama-3.2-11b-vision-instruct", EVERYTHING),
        ("deepseek:deepseek-chat", NOTHING),
        ("ollama:llama3.2", NOTHING),
        ("ollama:llama3.2-vision", PICTURES),
        ("ollama:gemma3:4b", PICTURES),
        ("ollama:qwen2.5vl:7b", PICTURES),
        ("ollama:qwen3-vl:8b", PICTURES),
        ("ollama:qwen3:8b", NOTHING),
        ("ollama:llava", PICTURES),
        ("ollama:smollm2", NOTHING),
    ],
)
def test_a_model_is_known_by_its_name(name: str, takes: tuple[bool, bool]) -> None:
    assert taken(infer_model(name)) == takes


@pytest.mark.parametrize(
    ("name", "takes"),
    [("llama-3.1-8b", NOTHING), ("Qwen2.5-VL-7B-Instruct", PICTURES), ("claude-sonnet-4-5", EVERYTHING)],
)
def test_a_server_of_ones_own_runs_what_does_not_see_unless_the_name_says_so(
    name: str, takes: tuple[bool, bool]
) -> None:
    assert taken(on_own_server(name)) == takes


@pytest.mark.parametrize(
    ("profile", "takes"),
    [
        (ModelProfile(supports_image_input=False), NOTHING),
        (ModelProfile(supports_document_input=False), PICTURES),
        (OpenAIModelProfile(openai_chat_supports_document_input=False), PICTURES),
    ],
)
def test_what_the_librarys_profile_rules_out_is_not_taken(
    profile: ModelProfile, takes: tuple[bool, bool]
) -> None:
    assert taken(on_own_server("gpt-4o", profile)) == takes


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("openai:gpt-5", 16 * MB),
        ("anthropic:claude-sonnet-4-5", PICTURE_BYTES_MAX),
        ("openrouter:google/gemini-2.5-flash", PICTURE_BYTES_MAX),
        ("openai-chat:claude-sonnet-4-5", PICTURE_BYTES_MAX),
    ],
)
def test_the_size_of_a_picture_is_the_providers_and_claudes_wherever_that_runs(model: str, most: int) -> None:
    assert Sight.of(infer_model(model)).picture_bytes_max == most


def test_anthropics_five_megabytes_are_of_base64() -> None:
    assert PICTURE_BYTES_MAX * 4 / 3 < 5 * MB


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (JPEG, None),
        (png(size_bytes=MB), None),
        (png(size_bytes=2 * MB), "it has 2 MB, and this model takes pictures of at most 1 MB"),
        (png(8_000, 5), None),
        (png(5, 8_001), "it has 5 by 8,001 pixels, and this model takes at most 8,000 on a side"),
        (GIF, None),
        (GIF + GIF[13:], "it moves, and models take still pictures"),
        (png()[:12] + b"nonsense", "the picture is damaged"),
        (PDF, "this model cannot read PDFs"),
    ],
)
def test_a_file_that_the_model_does_not_take_has_a_reason(content: bytes, words: str | None) -> None:
    sight = Sight(pictures=True, documents=False, picture_bytes_max=MB)
    assert sight.refusal(str(sniff.media_type(content)), content) == words


def test_a_model_that_takes_nothing_says_so_of_either() -> None:
    blind = Sight(pictures=False, documents=False)
    assert blind.refusal("image/png", png()) == "this model cannot see pictures"
    assert blind.refusal("application/pdf", PDF) == "this model cannot read PDFs"
    assert Sight(pictures=True, documents=True).refusal("application/pdf", PDF) is None
