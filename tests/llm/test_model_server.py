"""The model server of the tests: it answers as it is asked to, keeps what it was sent, and leaves nothing."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.llm import model_server as module
from tests.llm.answers import (
    after_tool,
    calls,
    counted,
    cut,
    drops,
    fails,
    in_order,
    in_turn,
    says,
    slow,
    tool,
    transcribes,
)
from tests.llm.model_server import ModelServer, model_server
from tests.playground.process import is_gone
from tests.waiting import DEADLINE_SECONDS, eventually

CHAT, RESPONSES, ANTHROPIC, OLLAMA = "/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat"


async def post(server: ModelServer, path: str, **body: Any) -> httpx.Response:  # noqa: ANN401 - JSON
    async with httpx.AsyncClient(base_url=server.url, timeout=DEADLINE_SECONDS, verify=False) as http:
        return await http.post(path, json={"model": "some-model", **body}, headers={"X-Test": "Yes"})


async def ask(server: ModelServer, *messages: str) -> httpx.Response:
    """Send a conversation; the first, third, ... message is the user's."""
    said = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(messages)]
    return await post(server, CHAT, messages=said)


def text(answer: httpx.Response) -> str:
    return str(answer.json()["choices"][0]["message"]["content"])


async def test_a_message_gets_the_answer_of_the_first_fixture_that_matches() -> None:
    async with model_server(
        says("hello", "Hi there"), says("hello you", "never"), says("bye", "Bye")
    ) as server:
        assert text(await ask(server, "Well, hello you!")) == "Hi there"
        assert text(await ask(server, "bye")) == "Bye"


async def test_fixtures_in_order_answer_once_each() -> None:
    async with model_server(*in_order(fails("hello", 500), says("hello", "Hi"))) as server:
        assert (await ask(server, "hello")).status_code == 500
        assert text(await ask(server, "hello")) == "Hi"


async def test_a_fixture_of_a_turn_matches_in_no_other() -> None:
    with pytest.raises(pytest.fail.Exception, match="go on"):
        async with model_server(in_turn(0, says("go on", "one"))) as server:
            answers = await ask(server, "go on"), await ask(server, "go on", "one", "go on")
    assert [answer.status_code for answer in answers] == [200, 503]


async def test_a_request_without_a_fixture_fails_the_test() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"no fixture for .*what is this"):
        async with model_server(says("hello", "Hi")) as server:
            assert (await ask(server, "what is this?")).status_code == 503


async def test_a_request_without_a_fixture_is_named_when_the_test_fails_by_it() -> None:
    with pytest.raises(KeyError) as failed:
        async with model_server(says("hello", "Hi")) as server:
            text(await ask(server, "what is this?"))
    assert any("what is this?" in note for note in failed.value.__notes__)


async def test_errors_have_their_status_and_retry_after() -> None:
    limits = fails("now", 429, kind="rate", retry_after_seconds=7), fails("later", 429)
    async with model_server(*limits, fails("ill", 500, "Something broke")) as server:
        assert (await ask(server, "now")).headers["Retry-After"] == "7"
        assert (await ask(server, "later")).headers["Retry-After"] == ""
        assert (await ask(server, "ill")).json()["error"]["message"] == "Something broke"


async def test_a_dropped_connection_has_no_answer() -> None:
    async with model_server(drops("hello")) as server:
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await ask(server, "hello")


@pytest.mark.parametrize("path", [CHAT, RESPONSES, ANTHROPIC])
async def test_a_cut_answer_has_begun(path: str) -> None:
    story = "Once upon a time there was a bot that never lost a message. The end."
    async with model_server(cut(says("story", story))) as server, streamed(server, path, "story") as pieces:
        seen, error = await until_it_breaks(pieces)
    assert "incomplete" in str(error)
    assert "Once" in seen
    assert "end." not in seen


async def test_an_answer_in_the_middle_of_its_stream_has_pieces_to_see() -> None:
    answer = slow(says("story", "Once upon a time there was a bot"), pieces_per_second=0.001)
    async with model_server(answer) as server, streamed(server, CHAT, "story") as pieces:
        assert b"delta" in await anext(pieces)


async def until_it_breaks(pieces: AsyncIterator[bytes]) -> tuple[str, httpx.RemoteProtocolError | None]:
    seen = b""
    try:
        async for piece in pieces:
            seen += piece
    except httpx.RemoteProtocolError as error:
        return seen.decode(), error
    return seen.decode(), None


@asynccontextmanager
async def streamed(server: ModelServer, path: str, message: str) -> AsyncIterator[AsyncIterator[bytes]]:
    said = [{"role": "user", "content": message}]
    body = {"model": "some-model", "stream": True, "messages": said, "input": said, "max_tokens": 9}
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=DEADLINE_SECONDS, verify=False) as http,
        http.stream("POST", path, json=body) as answer,
    ):
        yield answer.aiter_bytes()


async def test_the_journal_keeps_requests_as_they_were_sent() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 100_000}}
    content = [{"type": "text", "text": "look"}, image]
    async with model_server(counted(says("look", "Nice"), input_tokens=3, output_tokens=5)) as server:
        answer = await post(server, ANTHROPIC, max_tokens=9, messages=[{"role": "user", "content": content}])
        [request] = server.journal()
    assert answer.json()["usage"] == {"input_tokens": 3, "output_tokens": 5}
    assert (request.method, request.path, request.headers["x-test"]) == ("POST", ANTHROPIC, "Yes")
    assert request.body["max_tokens"] == 9
    assert request.messages == [{"role": "user", "text": "look", "media": [image]}]


async def test_a_file_is_transcribed_and_kept_in_the_journal() -> None:
    async with model_server(transcribes("Good morning")) as server, httpx.AsyncClient(verify=False) as http:
        files = {"file": ("voice.ogg", b"OggS\x00\xff", "audio/ogg")}
        answer = await http.post(
            f"{server.openai_url}/audio/transcriptions", data={"model": "w"}, files=files
        )
        [request] = server.journal()
    assert answer.json()["text"] == "Good morning"
    assert b"OggS\x00\xff" in request.body


WEATHER = {"name": "get_weather", "arguments": {"city": "Rome"}}
ROUND_TRIP = [
    {"role": "system", "text": "Be brief."},
    {"role": "user", "text": "weather?"},
    {"role": "assistant", "text": "Looking.", "calls": [WEATHER]},
    {"role": "tool", "text": "sunny"},
]


def _function(arguments: object) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}


def _chat(arguments: object) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": "Looking.", "tool_calls": [_function(arguments)]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ]
    }


CONVERSATIONS: dict[str, dict[str, Any]] = {
    CHAT: _chat('{"city": "Rome"}'),
    OLLAMA: _chat({"city": "Rome"}),
    RESPONSES: {
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": [{"type": "output_text", "text": "Looking."}]},
            {
                "type": "function_call",
                "call_id": "c1",
                "name": "get_weather",
                "arguments": '{"city": "Rome"}',
            },
            {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        ],
    },
    ANTHROPIC: {
        "max_tokens": 9,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": "weather?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                    {"type": "text", "text": "Looking."},
                    {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {"city": "Rome"}},
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "sunny"}],
            },
        ],
    },
}


@pytest.mark.parametrize("path", CONVERSATIONS)
async def test_a_conversation_reads_the_same_in_every_api(path: str) -> None:
    fixtures = calls("weather", tool("get_weather")), after_tool("Cool.", result="rain"), after_tool("Sunny.")
    async with model_server(*fixtures) as server:
        answer = await post(server, path, stream=False, **CONVERSATIONS[path])
        [request] = server.journal()
    assert "Sunny." in answer.text
    assert request.messages == ROUND_TRIP


async def test_nothing_is_left_when_a_test_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    started = _started(monkeypatch)

    async def hang() -> None:
        async with model_server(says("hello", "Hi")):
            await asyncio.sleep(DEADLINE_SECONDS)

    await _cancel(asyncio.create_task(hang()), started)
    assert is_gone(started[0])


async def test_nothing_is_left_when_a_test_is_cancelled_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    started = _started(monkeypatch)

    async def never(_: object) -> str:
        await asyncio.sleep(DEADLINE_SECONDS)
        return ""

    monkeypatch.setattr(module, "_url_of", never)
    await _cancel(asyncio.create_task(model_server(says("hello", "Hi")).__aenter__()), started)
    assert is_gone(started[0])


async def _cancel(task: asyncio.Task[Any], started: list[int]) -> None:
    await eventually(lambda: bool(started), "a process")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def _started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the list that the ids of the processes started from now on are added to."""
    started: list[int] = []
    start = asyncio.create_subprocess_exec

    async def noted(*command: Any, **options: Any) -> asyncio.subprocess.Process:  # noqa: ANN401 - passed on
        process = await start(*command, **options)
        started.append(process.pid)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    return started


@pytest.mark.parametrize(("ci", "outcome"), [(None, pytest.skip.Exception), ("true", pytest.fail.Exception)])
async def test_a_missing_server_skips_the_test_but_fails_it_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str | None, outcome: type[BaseException]
) -> None:
    monkeypatch.setattr(module, "AIMOCK", Path("nowhere/aimock-cli.cjs"))
    monkeypatch.setattr(os, "environ", {**({"CI": ci} if ci else {}), "PATH": ""})
    with pytest.raises(outcome, match=r"nowhere/aimock-cli.cjs is missing: npm install"):
        async with model_server(says("hello", "Hi")):
            pass
