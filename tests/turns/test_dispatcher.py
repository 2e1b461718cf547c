"""The guard and its owner, with real tasks: the promises that the project began with."""

import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.house import House, raw_message
from tests.scripted import Gate, ScriptedAgent
from tests.waiting import eventually, eventually_async
from tgbot.model import Turn
from tgbot.render import Text
from tgbot.store import fence, recovery, turns
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.writer import Database
from tgbot.store.turns import Ending
from tgbot.turns import dispatcher, runner
from tgbot.turns.agent import AgentTurn
from tgbot.turns.formatting import LONG_CHARACTERS
from tgbot.turns.runner import AnswerOptions, Interrupt


async def test_a_normal_single_message_releases_guard_and_owner_at_its_end(house: House) -> None:
    await house.say("hello")
    await house.agent.has_begun("hello")
    assert [key for key, *_ in await house.guards()] == ["42:7"]
    house.agent.let("hello")
    await house.idle()
    assert await house.states() == ["done"]
    assert await house.answers() == ["re: hello"]


async def test_a_drain_turn_that_is_cancelled_mid_handler_releases_the_session(house: House) -> None:
    await house.say("first", "second")
    house.agent.let("first")
    await house.agent.has_begun("second")
    await house.say("/stop")
    await house.idle()
    assert house.agent.cancelled == ["second"]
    assert await house.states() == ["done", "stopped"]
    await house.say("third")
    await house.agent.has_begun("third")


async def test_a_late_arrival_still_starts_a_turn_when_no_hand_over_came_before(house: House) -> None:
    house.agent.auto = True
    await house.say("early")
    await house.idle()
    await house.say("late")
    await house.idle()
    assert house.agent.texts == ["early", "late"]


async def test_a_message_that_arrives_at_any_moment_of_an_ending_runs_once(house: House) -> None:
    """Messages arrive at every moment of turns that end at once; none is stranded or runs twice."""
    house.agent.auto = True
    for n in range(300):
        await house.say(f"m{n}")
        for _ in range(n % 7):
            await asyncio.sleep(0)
    await house.idle()
    assert house.agent.texts == [f"m{n}" for n in range(300)]
    assert house.agent.together == 1


async def test_the_guard_is_the_same_across_a_chain_of_follow_ups(house: House) -> None:
    await house.say(*(f"m{n}" for n in range(5)))
    seen = []
    for n in range(5):
        await house.agent.has_begun(f"m{n}")
        seen += await house.guards()
        house.agent.let(f"m{n}")
    assert len({(key, since) for key, _, since in seen}) == 1
    tokens = [token for _, token, _ in seen]
    assert tokens == sorted(set(tokens)), "each hand-over has a new, higher token"


async def test_the_stack_depth_is_constant_over_10000_chained_follow_ups(db: Database) -> None:
    depths = set()

    class Deep(ScriptedAgent):
        async def run(self, turn: AgentTurn) -> AsyncGenerator[str, None]:
            self.begun.append(turn)
            depths.add(_depth())
            yield ""

    agent = Deep()
    async with House(db, agent) as house:
        for start in range(0, 10_000, 100):
            await house.say(*(f"m{n}" for n in range(start, start + 100)))
        await house.idle()
    assert agent.texts == [f"m{n}" for n in range(10_000)]
    assert len(depths) == 1


def _depth() -> int:
    frame, depth = sys._getframe(), 0
    while frame := frame.f_back:  # type: ignore[assignment]  # ends with None
        depth += 1
    return depth


async def test_two_messages_in_one_tick_start_one_turn(house: House) -> None:
    await asyncio.gather(house.say("one"), house.say("two"))
    await house.agent.has_begun("one")
    assert house.agent.together == 1
    assert await house.states() == ["claimed", "queued"]


async def test_a_late_arrival_while_a_drain_turn_owns_the_session_starts_no_second_one(house: House) -> None:
    await house.say("first", "second")
    house.agent.let("first")
    await house.agent.has_begun("second")
    await house.say("late")
    assert await house.states() == ["done", "claimed", "queued"]
    house.agent.let("second")
    house.agent.let("late")
    await house.idle()
    assert (house.agent.texts, house.agent.together) == (["first", "second", "late"], 1)


async def test_a_handler_exception_frees_the_session_and_the_next_row_runs(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.say("bad", "good")
    house.agent.let("bad", RuntimeError("secret of the agent"))
    house.agent.let("good")
    await house.idle()
    assert await house.states() == ["failed", "done"]
    apology, answer = await house.answers()
    assert answer == "re: good"
    assert "secret" not in apology
    error_id = apology.partition("error ")[2][:6]
    assert error_id in caplog.text, "the log has the traceback under the id that the user sees"
    assert "secret of the agent" in caplog.text


async def test_what_was_said_before_an_agent_failed_stays(db: Database) -> None:
    async def agent(turn: AgentTurn) -> AsyncGenerator[str, None]:
        yield f"half of **{turn.text}"
        await asyncio.sleep(1e6 if turn.text == "too slow" else 0)
        raise RuntimeError

    scripted = ScriptedAgent()
    scripted.run = agent  # type: ignore[method-assign]  # this one talks before it fails
    async with House(db, scripted) as house:
        await house.say("bad")
        await house.idle()
        house.runner._options = AnswerOptions(timeout_seconds=0.1)
        await house.say("too slow")
        await house.idle()
        half, apology, other_half, other_apology = await house.answers()
        assert (half, other_half) == ("half of bad", "half of too slow")
        assert "something went wrong" in apology
        assert "too long" in other_apology
        assert await house.states() == ["failed", "failed"]


async def test_an_empty_answer_still_hands_over(house: House) -> None:
    await house.say("quiet", "next")
    house.agent.let("quiet", "")
    house.agent.let("next")
    await house.idle()
    assert await house.answers() == [runner.NO_ANSWER.text, "re: next"]


async def test_a_turn_that_times_out_keeps_its_follow_ups(db: Database, agent: ScriptedAgent) -> None:
    async with House(db, agent) as house:
        house.runner._options = AnswerOptions(timeout_seconds=0.05)
        agent.let("next")  # before it begins: its time is as short
        await house.say("slow", "next")
        await house.idle()
        assert await house.states() == ["failed", "done"]
        assert "too long" in (await house.answers())[0]


async def test_stop_ends_only_the_running_turn_of_its_own_session(house: House) -> None:
    await house.say("mine", chat=7)
    await house.say("yours", chat=8)
    await house.agent.has_begun("mine")
    await house.agent.has_begun("yours")
    await house.say("/stop", chat=7)
    await eventually(lambda: house.agent.cancelled == ["mine"], "the stopped turn is cancelled")
    house.agent.let("yours")
    await house.idle()
    assert (await house.states(7), await house.states(8)) == (["stopped"], ["done"])


async def test_a_stop_and_a_shutdown_are_distinguished_though_both_are_a_cancellation(
    house: House,
) -> None:
    for chat, said in ((7, "stopped"), (8, "cut off")):
        await house.say(said, chat=chat)
        await house.agent.has_begun(said)
    stopping = await house.say("/stop", chat=7)
    assert stopping.controls
    await house.dispatcher.drain(0)
    assert sorted(house.agent.cancelled) == ["cut off", "stopped"]
    assert (await house.states(7), await house.states(8)) == (["stopped"], ["queued"])
    assert await house.answers(7) != []
    assert await house.answers(8) == []


async def test_stop_before_the_agent_has_started_counts(house: House) -> None:
    """The /stop comes in the same batch as the message: its task does not exist yet, and never does."""
    await house.say("doomed", "held", "/stop", "after")
    await house.agent.has_begun("after")
    house.agent.let("after")
    await house.idle()
    assert await house.states() == ["stopped", "held", "done"]
    assert house.agent.texts == ["after"]
    reply, answer = await house.answers()
    assert reply.splitlines()[0] == "Stopped. On hold, not run until you say so:"
    assert answer == "re: after"


async def test_stop_during_a_hand_over_stops_the_new_turn_too(house: House) -> None:
    """The /stop is committed right after the ending that handed over, before the new task exists."""
    await house.say("first", "second")
    await house.agent.has_begun("first")
    house.agent.let("first")
    await eventually_async(lambda: _is_claimed(house, 1), "the second row is claimed")
    await house.say("/stop")
    await house.idle()
    assert await house.states() == ["done", "stopped"]


async def _is_claimed(house: House, index: int) -> bool:
    return (await house.states())[index] == "claimed"


async def test_a_message_right_after_stop_is_answered(house: House) -> None:
    await house.say("long")
    await house.agent.has_begun("long")
    await house.say("/stop", "after")
    await house.agent.has_begun("after")
    house.agent.let("after")
    await house.idle()
    assert await house.states() == ["stopped", "done"]
    assert house.agent.together == 1


async def test_late_output_of_a_stopped_turn_is_suppressed(db: Database) -> None:
    class Stubborn(ScriptedAgent):
        async def run(self, turn: AgentTurn) -> AsyncGenerator[str, None]:
            self.begun.append(turn)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled.append(turn.text)
            yield "too late"

    agent = Stubborn()
    async with House(db, agent) as house:
        await house.say("x")
        await agent.has_begun("x")
        await house.say("/stop")
        await house.idle()
        assert agent.cancelled == ["x"]
        assert "too late" not in "".join(await house.answers())


async def test_what_an_agent_raises_at_its_cancellation_is_logged_with_its_turn(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    class Sore(ScriptedAgent):
        async def run(self, turn: AgentTurn) -> AsyncGenerator[str, None]:
            self.begun.append(turn)
            try:
                yield "x"
                await asyncio.sleep(60)
            finally:
                raise RuntimeError("the connection is gone")

    agent = Sore()
    async with House(db, agent) as house:
        await house.say("x")
        await agent.has_begun("x")
        await house.say("/stop")
        await house.idle()
        await eventually(lambda: "turn.cancelled_badly turn=1 session=42:7" in caplog.text, "it is logged")
    assert "never retrieved" not in caplog.text


async def test_stop_of_a_wedged_turn_frees_the_session(
    db: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An agent that ignores its cancellation loses its guard after CANCEL_SECONDS; the next one runs."""
    assert runner.CANCEL_SECONDS <= 5
    monkeypatch.setattr(runner, "CANCEL_SECONDS", 0.05)
    wake_up = Gate()

    class Wedged(ScriptedAgent):
        async def run(self, turn: AgentTurn) -> AsyncGenerator[str, None]:
            self.begun.append(turn)
            while turn.text == "wedged" and not wake_up.is_set():
                try:
                    await wake_up.wait()
                except asyncio.CancelledError:
                    self.cancelled.append(turn.text)
            yield f"re: {turn.text}"

    agent = Wedged()
    async with House(db, agent) as house:
        try:
            await house.say("wedged")
            await agent.has_begun("wedged")
            await house.say("/stop", "next")
            await agent.has_begun("next")
            await house.idle()
        finally:
            wake_up.set()  # also when that failed: the loop's end would wait for it for ever
        await eventually(lambda: not house.agents._working, "the wedged agent ends at last")
        assert await house.states() == ["stopped", "done"]
        assert "re: wedged" not in await house.answers()
    assert "turn.wedged" in caplog.text


async def test_an_agent_that_swallows_its_cancellation_and_goes_on_talking_is_ended(db: Database) -> None:
    enough = False

    class Talker(ScriptedAgent):
        async def run(self, turn: AgentTurn) -> AsyncGenerator[str, None]:
            self._enter(turn)
            try:
                while not enough:
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.sleep(0.01)
                    yield "and another thing"
            finally:
                self.ended.append(turn.text)

    agent = Talker()
    async with House(db, agent) as house:
        await house.say("x")
        await agent.has_begun("x")
        await asyncio.sleep(0.02)  # it sleeps now, or is about to
        await house.say("/stop")
        await house.idle()
        wedged, enough = len(house.agents._working), True  # else the loop's end would wait for it for ever
        assert (agent.ended, wedged) == (["x"], 0)


async def test_agents_that_sit_in_every_thread_keep_no_long_answer_and_no_stop_waiting(
    db: Database,
) -> None:
    may_go = threading.Event()

    class Sitting(ScriptedAgent):
        async def run(self, turn: AgentTurn) -> AsyncGenerator[str, None]:
            self.begun.append(turn)
            yield "word " * LONG_CHARACTERS
            if turn.text == "sit":
                await asyncio.to_thread(may_go.wait)

    with ThreadPoolExecutor(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        async with House(db, Sitting()) as house:
            try:
                await house.say("sit")
                await house.agent.has_begun("sit")
                await house.say("long", chat=8)
                await eventually_async(lambda: _is(house, 8, "done"), "the long answer")
                await house.say("/stop")
                await eventually_async(lambda: _is(house, 7, "stopped"), "the stop")
                await house.idle()
            finally:
                may_go.set()


async def _is(house: House, chat: int, state: str) -> bool:
    return await house.states(chat) == [state]


async def test_a_turn_whose_task_is_cancelled_at_any_await_never_orphans_its_guard(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever cancels it from outside, at its n-th wait, for every n: the row runs again, once."""
    monkeypatch.setattr(dispatcher, "POLL_SECONDS", 0.01)
    for n in range(12):
        agent = ScriptedAgent()
        agent.auto = True
        async with House(db, agent, crashes_max=99) as house:
            await house.say("hit", "next", chat=100 + n)
            [task] = house.dispatcher._tasks
            for _ in range(n):
                await asyncio.sleep(0)
            task.cancel()
            await house.idle()
            assert await house.states(100 + n) == ["done", "done"]
            assert await house.answers(100 + n) == ["re: hit", "re: next"]
            assert agent.together == 1


async def test_a_failed_task_spawn_rolls_the_claim_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "POLL_SECONDS", 0.01)
    house.agent.auto = True
    real = dispatcher.Dispatcher._run
    monkeypatch.setattr(dispatcher.Dispatcher, "_run", _no_task)
    await house.say("x")
    monkeypatch.setattr(dispatcher.Dispatcher, "_run", real)
    await house.idle()
    assert [t.attempt for t in house.agent.begun] == [2]
    assert await house.answers() == ["re: x"]


def _no_task(*_: object) -> None:
    raise RuntimeError("no more tasks")


async def test_guard_and_owner_are_set_before_the_turn_task_exists(house: House) -> None:
    owner = house.dispatcher.owner
    rows = [raw_message(1, "x")]
    received = await house.accept_without_spawning(*rows)
    sql = "SELECT turn_id, guard.instance_id FROM guard JOIN turn ON turn.id = turn_id"
    assert await house.rows(sql) == [(received.claimed[0].token, owner.instance_id)]
    assert house.dispatcher.running == 0


async def test_a_stale_owner_can_write_nothing(house: House) -> None:
    """Its guard was taken by token; what it writes afterwards raises and leaves no trace."""
    received = await house.say("x")
    stale = received.claimed[0]
    await house.agent.has_begun("x")
    await house.rows("DELETE FROM guard")
    house.agent.let("x", "stale words")
    await eventually(lambda: house.dispatcher.running == 0, "the stale turn's task ends")
    assert await house.answers() == []
    assert await house.states() == ["claimed"]
    with pytest.raises(fence.LostGuardError):
        await house.db.write(turns.end, house.dispatcher.owner, stale, turns.Ending("interrupted"))


async def test_an_ending_outlasts_a_database_that_refuses(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "RETRY_SECONDS", (0.01,))
    await house.say("x", "y")
    await house.agent.has_begun("x")
    real, refusals = house.db.write, iter(range(3))

    def refuse(operation: object, *args: object) -> object:
        if operation is turns.end and next(refusals, None) is not None:
            failed = asyncio.get_running_loop().create_future()
            failed.set_exception(StorageError("disk full"))
            return failed
        return real(operation, *args)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(house.db, "write", refuse)
    house.agent.let("x")
    house.agent.let("y")
    await house.idle()
    assert await house.answers() == ["re: x", "re: y"]


async def test_a_drain_lets_turns_end_and_claims_nothing_more(house: House) -> None:
    await house.say("running", "waiting")
    await house.agent.has_begun("running")
    draining = asyncio.create_task(house.dispatcher.drain(30))
    await asyncio.sleep(0)
    house.agent.let("running")
    await draining
    assert await house.states() == ["done", "queued"]
    assert await house.guards() == []


async def test_a_drain_interrupts_what_does_not_end_in_time_and_leaves_it_recoverable(house: House) -> None:
    await house.say("long", "waiting")
    await house.agent.has_begun("long")
    await house.dispatcher.drain(0)
    assert house.agent.cancelled == ["long"]
    assert await house.states() == ["queued", "queued"]
    assert await house.guards() == []


async def test_a_chat_with_1000_queued_rows_delays_anothers_first_turn_by_one_turn(
    db: Database, agent: ScriptedAgent
) -> None:
    agent.auto = True
    async with House(db, agent, max_turns=1) as house:
        await house.say(*(f"hog{n}" for n in range(1000)), chat=7)
        await agent.has_begun("hog3")
        before = len(agent.begun)
        await house.say("guest", chat=8)
        await agent.has_begun("guest")
        turn_number = agent.texts.index("guest")
        await house.idle()
        assert agent.texts[turn_number - 1].startswith("hog")
        assert turn_number - before <= 60, "one turn per slot, and those that ran while it was being stored"
        assert agent.texts[turn_number + 1].startswith("hog")


async def test_nothing_is_kept_in_memory_for_idle_chats(house: House) -> None:
    house.agent.auto = True
    for chat in range(1, 101):
        await house.say("hello", chat=chat)
    await house.idle()
    assert house.dispatcher._tasks == {}
    assert house.dispatcher._interrupts == {}
    assert house.dispatcher._without_task == set()
    assert house.agents._working == set()
    assert house.live_answers.chats == 0


async def test_a_drain_gives_nothing_up(db: Database, agent: ScriptedAgent) -> None:
    """A batch that the stop interrupted was claimed without a task: no crash, however long others take."""
    async with House(db, agent, crashes_max=1) as house:
        await house.say("long", chat=8)
        await agent.has_begun("long")
        await house.accept_without_spawning(raw_message(1, "cut off"))
        draining = asyncio.create_task(house.dispatcher.drain(30))
        await asyncio.sleep(0)
        for _ in range(3):
            guards = await house.db.write(recovery.guards, house.dispatcher.owner.instance_id)
            await house.dispatcher._recover(guards)
        agent.let("long")
        await draining
        assert await house.states() == ["queued"]
        assert await house.guards() == []
        assert await house.answers() == []


@pytest.mark.parametrize("steps", range(5))
async def test_a_wake_right_before_its_end_does_not_keep_it_serving(house: House, steps: int) -> None:
    await eventually(lambda: bool(house.dispatcher._woken._waiters), "it rests")
    house.dispatcher.wake()
    for _ in range(steps):
        await asyncio.sleep(0)
    house.serving.cancel()
    await eventually(house.serving.done, "it ends")


async def test_a_task_that_ends_at_the_last_moment_of_a_drain_breaks_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was abandoned already, and ends while an interrupted batch is released."""
    real, let_end = house.db.write, asyncio.Event()

    async def obey_nobody(_turn: Turn, _interrupt: Interrupt) -> Ending:
        await let_end.wait()
        return Ending("done", [Text("late")])

    async def write(operation: object, *args: object) -> object:
        if operation is turns.end and args[1] != late and house.dispatcher.running:
            let_end.set()
            await eventually(lambda: house.dispatcher.running == 0, "the late task ends")
        return await real(operation, *args)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(dispatcher, "WIND_UP_SECONDS", 0.01)
    monkeypatch.setattr(house.runner, "run", obey_nobody)
    await house.accept_without_spawning(raw_message(1, "cut off"))
    [late] = (await house.say("late", chat=8)).claimed
    monkeypatch.setattr(house.db, "write", write)
    await house.dispatcher.drain(0)
    assert (await house.states(7), await house.states(8)) == (["queued"], ["done"])
    assert await house.guards() == []


async def test_the_next_row_on_its_last_attempt_starts_when_the_one_before_it_ends(
    db: Database, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, not when the next poll finds it."""
    monkeypatch.setattr(dispatcher, "POLL_SECONDS", 1e6)
    async with House(db, agent) as house:
        for chat, said in ((7, "a"), (8, "b")):
            await house.say(said, chat=chat)
            await agent.has_begun(said)
        await house.rows("UPDATE pending SET crashes = 1")
    agent = ScriptedAgent()
    async with House(db, agent, crashes_max=2) as house:
        await agent.has_begun("a", attempt=2)
        assert house.dispatcher.running == 1
        agent.let("a")
        await agent.has_begun("b", attempt=2)
        agent.let("b")
        await house.idle()


async def test_a_turn_that_is_handed_over_as_the_drain_begins_has_its_grace_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ending was on its way to the writer when the stop came, with an owner who may still claim."""
    await house.say("first", "second")
    await house.agent.has_begun("first")
    real, draining = house.db.write, list[asyncio.Task[None]]()

    def write(operation: object, *args: object) -> object:
        written: object = real(operation, *args)  # type: ignore[arg-type]  # as it came
        if operation is turns.end and not draining:
            draining.append(asyncio.create_task(house.dispatcher.drain(30)))
        return written

    monkeypatch.setattr(house.db, "write", write)
    house.agent.let("first")
    await house.agent.has_begun("second")
    await asyncio.sleep(0.05)
    house.agent.let("second")
    await draining[0]
    assert house.agent.cancelled == []
    assert await house.states() == ["done", "done"]


async def test_a_turn_that_crashes_while_recovery_awaits_is_found_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is recovered does not end: a second attempt that does makes the dispatcher look again."""
    monkeypatch.setattr(dispatcher, "POLL_SECONDS", 1e6)
    await house.say("crashes", chat=8)
    await house.agent.has_begun("crashes")
    [lost] = (await house.accept_without_spawning(raw_message(1, "lost"))).claimed
    writing, [task] = house.db.write, house.dispatcher._tasks

    async def write(operation: object, *args: object) -> object:
        if operation is recovery.recover and not task.done():
            task.cancel()
            await asyncio.wait({task})
        return await writing(operation, *args)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(house.db, "write", write)
    house.dispatcher._abandon(lost)
    await house.agent.has_begun("crashes", attempt=2)


async def test_a_drain_notes_first_that_the_process_was_asked_to_stop(house: House) -> None:
    """So that a SIGKILL within its grace, as a container's stop sends it, counts as no crash."""
    await house.say("long")
    await house.agent.has_begun("long")
    draining = asyncio.create_task(house.dispatcher.drain(60))

    async def noted() -> bool:
        return await house.rows("SELECT count(*) FROM instance WHERE stopping_at IS NOT NULL") == [(1,)]

    await eventually_async(noted, "the stop is noted while the turn still runs")
    assert await house.states() == ["claimed"]
    house.agent.let("long")
    await draining


async def test_a_stop_that_the_database_refused_to_note_is_noted_at_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, refused = house.db.write, list[object]()

    async def write(operation: object, *args: object) -> object:
        if operation is recovery.note_stopping and not refused:
            refused.append(operation)
            raise StorageError("database is locked")
        return await writing(operation, *args)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(house.db, "write", write)
    await house.dispatcher.drain(0)
    assert refused
    assert await house.rows("SELECT count(*) FROM instance WHERE stopping_at IS NOT NULL") == [(1,)]


async def test_while_the_database_refuses_a_row_that_is_due_is_not_looked_for_at_once_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def refuse(*_: object) -> None:
        nonlocal looks
        looks += 1
        raise StorageError("the server is away")

    monkeypatch.setattr(dispatcher, "POLL_SECONDS", 1000.0)
    monkeypatch.setattr(house.db, "write", refuse)
    house.dispatcher._due_at = 1.0  # long ago
    house.dispatcher.wake()
    await eventually(lambda: looks > 0, "a look")
    for _ in range(1000):
        await asyncio.sleep(0)
    monkeypatch.undo()
    assert looks < 10
