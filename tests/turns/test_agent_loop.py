"""Agents on a loop of their own: one that blocks its thread delays nobody who is not an agent."""

import asyncio
import dataclasses
import functools
import linecache
import re
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from tests.house import House
from tests.scripted import ScriptedAgent
from tests.waiting import DEADLINE_SECONDS, eventually, eventually_async
from tgbot.store.engine.writer import Database
from tgbot.turns import agent_loop, runner
from tgbot.turns.agent import AgentTurn
from tgbot.turns.calls import Calls
from tgbot.turns.runner import AnswerOptions


class Blocking(ScriptedAgent):
    """Blocks its thread on "block" until the test lets it go; answers everything else at once."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go = threading.Event()

    async def run(self, turn: AgentTurn) -> AsyncGenerator[str, None]:
        self._enter(turn)
        try:
            if turn.text.startswith("block") and turn.attempt == 1:
                yield "half of it"
                self.may_go.wait()
            if turn.text == "patient" and turn.attempt == 1:
                await asyncio.sleep(1e6)
            yield f"re: {turn.text}"
        finally:
            self.ended.append(turn.text)


@pytest.fixture
async def blocked(db: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A house where the agent for "block" blocks the agents' thread, and that for "patient" waits."""
    monkeypatch.setattr(runner, "CANCEL_SECONDS", 0.2)
    monkeypatch.setattr(agent_loop, "PROBE_SECONDS", 0.2)
    agent = Blocking()
    async with House(db, agent) as house:
        try:
            await house.say("patient", chat=8)
            await agent.has_begun("patient")
            await house.say("block", chat=7)
            await agent.has_begun("block")
            yield house
        finally:
            agent.may_go.set()


async def test_a_stop_of_an_agent_that_blocks_frees_its_session_and_the_agents(blocked: House) -> None:
    await blocked.say("/stop", "next", chat=7)
    await blocked.agent.has_begun("next")
    await eventually_async(lambda: _is(blocked, 7, "stopped", "done"), "the next message is answered")
    assert await blocked.answers(7) == ["Stopped.", "half of it\n\n⏹ Stopped.", "re: next"]


async def test_agents_beside_one_that_blocks_for_good_run_again_and_nothing_counts_against_them(
    blocked: House,
) -> None:
    await blocked.say("/stop", chat=7)
    await blocked.agent.has_begun("patient", attempt=2)
    await blocked.idle()
    assert await blocked.states(8) == ["done"]
    assert await blocked.answers(8) == ["re: patient"]
    assert await blocked.rows("SELECT max(crashes) FROM pending") == [(0,)]
    assert blocked.agent.together <= 2, "the first attempt ends when its thread can be had"


async def test_commands_and_other_writes_go_on_while_an_agent_blocks(blocked: House) -> None:
    await blocked.say("/status", chat=9)
    assert "Nothing is running." in (await blocked.answers(9))[0]
    await blocked.say("waits", chat=7)
    assert await blocked.states(7) == ["claimed", "queued"]


async def test_a_turn_that_blocks_until_its_time_is_over_ends_and_the_agents_get_a_fresh_loop(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "CANCEL_SECONDS", 0.1)
    agent = Blocking()
    async with House(db, agent) as house:
        house.runner._options = AnswerOptions(timeout_seconds=0.3)
        try:
            await house.say("block", chat=7)
            await eventually_async(lambda: _is(house, 7, "failed"), "its time is over")
            await house.say("hello", chat=8)
            await eventually_async(lambda: _is(house, 8, "done"), "another agent runs")
        finally:
            agent.may_go.set()
        await eventually(lambda: not house.agents._left_behind, "the blocked thread ends when it can")


async def test_a_drain_does_not_wait_for_an_agent_that_blocks(blocked: House) -> None:
    await blocked.dispatcher.drain(0)
    assert (await blocked.states(7), await blocked.states(8)) == (["queued"], ["queued"])
    assert await blocked.guards() == []


async def test_blocked_threads_are_bounded(
    blocked: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(agent_loop, "BLOCKED_THREADS_MAX", 1)
    await blocked.say("/stop", "block again", chat=7)
    await blocked.agent.has_begun("block again")
    await blocked.say("/stop", chat=7)
    await eventually(lambda: "agents.all_blocked threads=1" in caplog.text, "no third thread")
    await eventually_async(lambda: _is(blocked, 7, "stopped", "stopped"), "the session is free all the same")


async def test_who_blocks_is_logged_with_its_session_and_its_line(
    db: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(agent_loop, "BEAT_SECONDS", 0.02)
    agent = Blocking()
    async with House(db, agent) as house:
        watching = asyncio.create_task(house.agents.serve())
        try:
            await house.say("block")
            await eventually(lambda: "agents.blocked" in caplog.text, "it is logged")
        finally:
            agent.may_go.set()
            watching.cancel()
        await house.idle()
    found = re.search(r"agents\.blocked session=42:7 seconds=\d+ at (.*):(\d+)", caplog.text)
    assert found
    assert found[1] == __file__
    assert linecache.getline(__file__, int(found[2])).strip() == "self.may_go.wait()"


async def test_an_agent_that_says_nothing_for_long_is_logged_once_and_one_that_speaks_is_not(
    db: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(agent_loop, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(agent_loop, "SLOW_SECONDS", 0.5)

    async def speak(turn: AgentTurn) -> AsyncGenerator[str, None]:
        while turn.text == "speak" and "agents.slow" not in caplog.text:  # another thread logs it
            yield "."
            await asyncio.sleep(0.01)
        while turn.text == "brood" and caplog.text.count("agents.slow") < 1:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # some more looks

    agent = ScriptedAgent()
    monkeypatch.setattr(agent, "run", speak)
    async with House(db, agent) as house:
        watching = asyncio.create_task(house.agents.serve())
        await house.say("speak", chat=8)
        await house.say("brood", chat=7)
        await house.idle()
        watching.cancel()
    lines = [line for line in caplog.messages if "agents.slow" in line]
    assert lines == ["agents.slow row=2 session=42:7 seconds=0: it has said nothing for so long"]


async def test_an_agent_that_ends_the_process_from_a_task_of_its_own_ends_nothing(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    class Leaving(ScriptedAgent):
        async def run(self, turn: AgentTurn) -> AsyncGenerator[str, None]:
            self._enter(turn)
            if turn.text == "leave":
                task = asyncio.create_task(leave())
                await asyncio.wait({task})
                assert isinstance(task.exception(), SystemExit)
            yield f"re: {turn.text}"

    async with House(db, Leaving()) as house:
        await house.say("leave", "stay")
        await house.idle()
        assert await house.answers() == ["re: leave", "re: stay"]
    assert "agents.tried_to_end_the_process" in caplog.text


async def test_calls_from_another_thread_run_in_order_and_a_bad_one_harms_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls, seen = Calls(asyncio.get_running_loop()), list[int]()

    def put() -> None:
        for n in range(1000):
            calls.put(lambda n=n: seen.append(n if n != 500 else 1 // 0))  # type: ignore[misc]  # bound by value

    await asyncio.to_thread(put)
    await eventually(lambda: len(seen) == 999, "all have run")
    assert seen == [n for n in range(1000) if n != 500]
    assert "calls.failed" in caplog.text


async def _is(house: House, chat: int, *states: str) -> bool:
    return await house.states(chat) == [*states]


async def test_a_thread_that_a_loop_uses_up_does_not_slow_the_bots_own_loop(db: Database) -> None:
    """`while True` holds the interpreter only in turns: commands are answered."""

    class Busy(ScriptedAgent):
        enough = False

        async def run(self, turn: AgentTurn) -> AsyncGenerator[str, None]:
            self._enter(turn)
            while not self.enough:
                time.perf_counter()
            yield "done"

    agent = Busy()
    async with House(db, agent) as house:
        try:
            await house.say("spin")
            await agent.has_begun("spin")
            for _ in range(20):
                await house.say("/status", chat=9)
            assert len(await house.answers(9)) == 20
        finally:
            agent.enough = True
        await house.idle()


async def test_a_turn_whose_time_is_over_because_another_agent_blocks_runs_again(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It did nothing wrong; and the one that blocks has its own time, and is not begun twice."""
    monkeypatch.setattr(runner, "CANCEL_SECONDS", 0.1)
    monkeypatch.setattr(agent_loop, "PROBE_SECONDS", 0.1)
    agent = Blocking()
    async with House(db, agent) as house:
        house.runner._options = AnswerOptions(timeout_seconds=0.5)
        try:
            await house.say("patient", chat=8)
            await agent.has_begun("patient")
            house.runner._options = AnswerOptions(timeout_seconds=60)
            await house.say("block", chat=7)
            await agent.has_begun("block")
            await agent.has_begun("patient", attempt=2)
            await eventually_async(lambda: _is(house, 8, "done"), "the innocent one is answered")
            assert await house.states(7) == ["claimed"]
        finally:
            agent.may_go.set()
        await house.idle()
        assert await house.answers(7) == ["half of itre: block"]
        assert agent.texts.count("block") == 1


async def test_a_stop_of_a_turn_that_another_agent_holds_up_ends_that_turn_alone(blocked: House) -> None:
    await blocked.say("/stop", chat=8)
    await eventually(lambda: blocked.dispatcher.running == 1, "its task has ended")
    assert blocked.agents._left_behind == set()
    assert (await blocked.states(7), await blocked.states(8)) == (["claimed"], ["stopped"])
    assert blocked.agent.texts == ["patient", "block"], "neither is begun again"


async def test_an_agent_that_blocks_as_it_is_cancelled_keeps_no_other_waiting(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A synchronous close() in its `finally`, say."""
    monkeypatch.setattr(runner, "CANCEL_SECONDS", 0.1)
    monkeypatch.setattr(agent_loop, "PROBE_SECONDS", 0.1)
    may_go = threading.Event()

    class BadEnd(ScriptedAgent):
        async def run(self, turn: AgentTurn) -> AsyncGenerator[str, None]:
            self._enter(turn)
            try:
                if turn.text == "bad end":
                    await asyncio.sleep(1e6)
                yield f"re: {turn.text}"
            finally:
                if turn.text == "bad end":
                    may_go.wait()

    agent = BadEnd()
    async with House(db, agent) as house:
        try:
            await house.say("bad end", chat=7)
            await agent.has_begun("bad end")
            await house.say("/stop", chat=7)
            await eventually_async(lambda: _is(house, 7, "stopped"), "it is stopped")
            await house.say("hello", chat=8)
            await eventually_async(lambda: _is(house, 8, "done"), "another agent runs")
        finally:
            may_go.set()


async def test_the_close_of_the_agents_fails_no_turn(house: House) -> None:
    await house.say("hello")
    await house.agent.has_begun("hello")
    house.dispatcher._owner = dataclasses.replace(house.dispatcher.owner, max_turns=0)
    await house.agents.__aexit__()
    await eventually_async(lambda: _is(house, 7, "queued"), "it is given back")
    assert await house.answers() == []


async def test_the_close_of_the_agents_lets_each_clean_up_and_ends_their_thread(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_loop, "CLOSE_SECONDS", DEADLINE_SECONDS)

    class Tidy(ScriptedAgent):
        async def run(self, turn: AgentTurn) -> AsyncGenerator[str, None]:
            self._enter(turn)
            try:
                await asyncio.sleep(1e6)
                yield "never"
            finally:
                await asyncio.sleep(0.05)
                self.ended.append(turn.text)

    agent = Tidy()
    async with House(db, agent) as house:
        await house.say("hello")
        await agent.has_begun("hello")
        house.dispatcher._owner = dataclasses.replace(house.dispatcher.owner, max_turns=0)
        await house.agents.__aexit__()
        assert agent.ended == ["hello"]
        assert not house.agents._current._thread.is_alive()


def test_the_file_of_an_agent_that_is_a_partial_or_a_method_is_found() -> None:
    assert agent_loop._file_of(functools.partial(Blocking().run)) == __file__
    assert agent_loop._file_of(Blocking().run) == __file__
