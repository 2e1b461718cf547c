"""Pictures and files through the whole bot: to the model, from its tools, and out of the database."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic_ai.messages import BinaryContent, ModelMessage, ModelRequest, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from tests.llm.files import png
from tests.running import running, running_with, settings_for
from tests.waiting import eventually
from tests.whole_bot.process import Person
from tgbot.agents.llm import models
from tgbot.agents.llm.agent import LlmAgent
from tgbot.agents.llm.results import SENT
from tgbot.config import Settings
from tgbot.playground.files import Upload
from tgbot.playground.server import PlaygroundServer

PICTURE = png(3, 2)


class Eye:
    """A model that says how many pictures it is sent; for "draw" it calls a tool that makes one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str = "gpt-5") -> None:
        self.returned: list[object] = []
        self.name = name
        monkeypatch.setattr(models, "make", self._make)
        self.agent = LlmAgent(Settings(token="42:a", model="demo", models=("openai:blind",), model_key="k"))

        async def draw() -> BinaryContent:
            """Draw."""
            return BinaryContent(PICTURE, media_type="image/png")

        self.agent._functions = {"draw": draw}

    def _make(self, *_: object) -> FunctionModel:
        return FunctionModel(stream_function=self._respond, model_name=self.name)

    async def _respond(
        self, messages: list[ModelMessage], _: AgentInfo
    ) -> AsyncIterator[str | DeltaToolCalls]:
        last = messages[-1]
        returns = [part for part in last.parts if isinstance(part, ToolReturnPart)]
        self.returned += [part.content for part in returns]
        words = [one for part in prompts(last) for one in part if isinstance(one, str)]
        if any("draw" in one for one in words):
            yield {0: DeltaToolCall("draw", "{}", tool_call_id="d")}
        else:
            pictures = [
                one.data
                for message in messages
                for part in prompts(message)
                for one in part
                if isinstance(one, BinaryContent)
            ]
            yield f"I see {len(pictures)}, whole: {all(one == PICTURE for one in pictures)}"


def prompts(message: ModelMessage) -> list[list[object]]:
    if not isinstance(message, ModelRequest):
        return []
    parts = [part for part in message.parts if isinstance(part, UserPromptPart)]
    return [[part.content] if isinstance(part.content, str) else list(part.content) for part in parts]


def send_picture(wire: PlaygroundServer, caption: str) -> None:
    upload = Upload("a.png", "image/png", PICTURE)
    wire.world.post_files(7, 7, [upload], caption=caption)


async def test_a_picture_reaches_the_model_in_its_turn_and_in_the_next(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eye = Eye(monkeypatch)
    async with running(wire, database_path, eye.agent.run) as ann:
        ann.says("hello")
        await ann.sees_among("I see 0")
        send_picture(wire, "what is this?")
        await ann.sees_among("I see 1, whole: True")
        ann.says("and what else?")
        await eventually(lambda: said(ann, "I see 1, whole: True") == 2, "it is shown again")
    assert PICTURE not in await asyncio.to_thread(database_path.read_bytes), "the log has no bytes"


async def test_a_picture_that_a_tool_makes_is_sent_and_the_model_sees_it(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eye = Eye(monkeypatch)
    async with running(wire, database_path, eye.agent.run) as ann:
        ann.says("draw something")
        await eventually(lambda: any("photo" in message for message in ann.screen), "the photo")
        await eventually(lambda: any("I see 0" in message.get("text", "") for message in ann.screen), "words")
    [content] = eye.returned
    assert isinstance(content, BinaryContent)
    assert content.data == PICTURE


@pytest.mark.parametrize("next_message", ["and what else?", "/retry"])
async def test_a_model_that_sees_nothing_gets_no_picture_that_an_earlier_one_was_sent(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch, next_message: str
) -> None:
    eye = Eye(monkeypatch)
    settings = dataclasses.replace(
        settings_for(wire, database_path), agent="llm", model="demo", models=("openai:blind",)
    )
    async with running_with(settings, wire, eye.agent.run) as ann:
        send_picture(wire, "what is this?")
        await ann.sees_among("I see 1, whole: True")
        eye.name = "gpt-3.5-turbo"
        ann.says("/model openai:blind")
        await ann.sees_among("is openai:blind from now on")
        ann.says(next_message)
        await ann.sees_among("I see 0")


async def test_a_model_that_sees_nothing_gets_no_picture_of_a_tool(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eye = Eye(monkeypatch, "gpt-3.5-turbo")
    async with running(wire, database_path, eye.agent.run) as ann:
        ann.says("draw something")
        await eventually(lambda: any("photo" in message for message in ann.screen), "the photo")
        await eventually(lambda: any("I see 0" in message.get("text", "") for message in ann.screen), "words")
    assert eye.returned == [SENT]


def said(person: Person, words: str) -> int:
    return sum(words in text for text in person.sees)
