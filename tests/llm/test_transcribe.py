"""A server that transcribes is asked as OpenAI's is, and whatever it answers does no harm."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.llm.ears import Ears
from tests.llm.files import OGG
from tgbot.agents.llm import names
from tgbot.agents.llm.media import NotTranscribedError
from tgbot.agents.llm.transcribe import Transcriber
from tgbot.config import Settings


@pytest.fixture
async def ears() -> AsyncIterator[Ears]:
    async with Ears() as server:
        yield server


async def test_the_words_come_without_space_around_them(ears: Ears) -> None:
    ears.words = " What is the weather?\n"
    assert await Transcriber("whisper-1", ears.url)("a.ogg", OGG) == "What is the weather?"
    assert ears.asked == [("whisper-1", "a.ogg", OGG)]


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse({"error": {"message": "Incorrect API key provided: sk-sec***ret"}}, 401),
        JSONResponse({"error": {"message": "unsupported format"}}, 400),
        PlainTextResponse("<html>a page</html>"),
        JSONResponse({}),
        JSONResponse({"text": 5}),
        JSONResponse(["text"]),
        PlainTextResponse("{", headers={"content-type": "application/json"}),
    ],
    ids=["key", "format", "page", "no text", "a number", "a list", "no JSON"],
)
async def test_an_answer_without_words_is_a_failure_whose_reason_is_logged_without_the_key(
    ears: Ears, caplog: pytest.LogCaptureFixture, answer: Response
) -> None:
    ears.answers = [answer]
    with pytest.raises(NotTranscribedError):
        await Transcriber("whisper-1", ears.url, "sk-secret")("a.ogg", OGG)
    assert "llm.not_transcribed" in caplog.text
    assert "sk-sec" not in caplog.text


async def test_a_server_that_stumbles_is_asked_again(ears: Ears) -> None:
    ears.answers = [JSONResponse({}, 503, headers={"retry-after": "0"})]
    assert await Transcriber("whisper-1", ears.url)("a.ogg", OGG) == ears.words
    assert len(ears.asked) == 2


async def test_a_server_that_is_not_there_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(NotTranscribedError):
        await Transcriber("whisper-1", f"http://127.0.0.1:{port}/v1")("a.ogg", OGG)


async def test_without_any_key_for_openai_it_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(NotTranscribedError):
        await Transcriber("whisper-1")("a.ogg", OGG)


def test_transcriptions_have_the_key_of_their_own_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-openai\n")

    def key(model: str, url: str | None = None) -> str | None:
        return names.transcribe_key(Settings(token="42:a", model=model, model_key="sk-given", model_url=url))

    assert key("openai:gpt-5") == "sk-given"
    assert key("anthropic:claude") == "sk-openai", "not the one of another provider"
    assert key("some-model", "http://127.0.0.1:1/v1") == "sk-given"
