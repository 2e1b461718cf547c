"""Functions as a model sees and calls them."""

import asyncio
import threading

import pytest

from tests.llm.calling import Place, call, run
from tgbot.agents.llm.tools.builtin import FUNCTIONS
from tgbot.agents.llm.tools.loading import load
from tgbot.agents.llm.tools.module import functions
from tgbot.turns.agent import File

USERS = functions("tests.llm.user_tools")


async def test_the_model_sees_docstrings_and_parameters_but_not_the_turn(place: Place) -> None:
    [offered] = (await run(load(USERS, []), place.deps)).offered
    add, whoami = offered["add"], offered["whoami"]
    assert add.description == "Add two numbers."
    assert add.parameters_json_schema["properties"] == {
        "a": {"description": "The first one.", "type": "integer"},
        "b": {"default": 1, "description": "What is added to it.", "type": "integer"},
    }
    assert list(whoami.parameters_json_schema["properties"]) == ["greeting"]
    assert offered["chart"].parameters_json_schema["properties"] == {}


async def test_every_tool_carries_its_mark(place: Place) -> None:
    [offered] = (await run(load(USERS, []), place.deps)).offered
    assert set(offered) == {*FUNCTIONS, *USERS}
    assert offered["add"].metadata == {
        "tgbot": {"ask": False, "idempotent": False, "timeout_seconds": 60, "progress": ""},
        "origin": "tests.llm.user_tools.add",
    }
    assert offered["move"].metadata == {
        "tgbot": {"ask": True, "idempotent": True, "timeout_seconds": 5, "progress": "Moving, {speed}"},
        "origin": "tests.llm.user_tools.move",
    }


async def test_tools_get_what_they_are_annotated_with(place: Place) -> None:
    results = await run(
        load(USERS, []),
        place.deps,
        call("add", a="2"),
        call("move", place={"x": 1, "y": 2}, speed="slow"),
        call("whoami", greeting="Hello"),
    )
    assert results.results == [3, "1/2 slow", "Hello 7"]


async def test_a_file_that_a_function_returns_is_sent(place: Place) -> None:
    ran = await run(load(USERS, []), place.deps, call("chart"))
    assert ran.results == ["It is sent with your answer."]
    assert place.said == [File("chart.txt", b"7")]


async def test_a_plain_function_runs_in_a_thread(place: Place) -> None:
    ran = await run(load(USERS, []), place.deps, call("thread"))
    assert ran.results[0] != threading.current_thread().name


async def test_a_plain_function_that_hangs_does_not_hold_up_a_cancellation(place: Place) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        may_end.wait()

    running = asyncio.create_task(run(load({"hang": hang}, []), place.deps, call("hang")))
    await asyncio.to_thread(begun.wait)
    running.cancel()
    try:
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not may_end.is_set()
    finally:
        may_end.set()


async def test_a_function_takes_the_place_of_a_built_in_one_of_its_name(place: Place) -> None:
    def recall() -> str:
        return "mine"

    ran = await run(load({"recall": recall}, []), place.deps, call("recall"))
    assert ran.results == ["mine"]
