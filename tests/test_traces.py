"""Each message can be followed from its receipt to its answer on screen, in one trace, without its words."""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.otlp import Collector, Received
from tests.running import running
from tests.terminal import tgbot_of_its_own
from tests.waiting import eventually
from tests.whole_bot.judged import judged_bot
from tests.whole_bot.process import TOKEN, Person
from tgbot.playground.server import PlaygroundServer
from tgbot.tally import tally
from tgbot.turns.agent import AgentTurn

STEPS = ["agent", "commit", "message", "receive", "send", "turn", "wait"]


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with Collector() as made:
        yield made


async def answering(turn: AgentTurn) -> AsyncGenerator[str, None]:
    if turn.text == "raise":
        raise RuntimeError("the agent's secret")
    yield f"re: {turn.text}"


async def lengthy(_: AgentTurn) -> AsyncGenerator[str, None]:
    """Answers in three messages."""
    yield "word " * 2000


def traced(collector: Collector) -> dict[str, Any]:
    """Trace to it, and send no first words: each part is sent once, on a slow machine too."""
    return {"traces_url": collector.url, "stream": "off"}


def trace_of(collector: Collector, whole: Received) -> list[Received]:
    return [span for span in collector.spans if span.trace_id == whole.trace_id]


async def test_a_message_is_one_trace_of_its_steps_each_within_the_whole_and_none_has_a_word(
    wire: PlaygroundServer, database_path: Path, collector: Collector
) -> None:
    async with running(wire, database_path, answering, **traced(collector)) as ann:
        ann.says("hush", "raise")
        first, second = await collector.has("message", 2)
    assert first.trace_id != second.trace_id
    for whole in (first, second):
        spans = trace_of(collector, whole)
        assert sorted(span.name for span in spans) == STEPS
        [turn] = [span for span in spans if span.name == "turn"]
        for span in spans:
            of_turn = span.name in {"agent", "commit"}
            assert span.parent_id == ("" if span is whole else turn.span_id if of_turn else whole.span_id)
            assert span.began_at <= span.ended_at <= whole.ended_at
            assert span.began_at >= whole.began_at or span.name == "receive"
    by_state = {turn.attributes["tgbot.state"]: turn.failed for turn in collector.of("turn")}
    assert by_state == {"done": False, "failed": True}
    assert collector.resource["service.name"] == "tgbot"
    for word in (b"hush", b"raise", b"re: ", b"secret", b"Ann", b"apology", TOKEN.partition(":")[2].encode()):
        assert not any(word in body for body in collector.bodies)


async def test_the_whole_ends_when_the_last_part_of_an_answer_is_on_screen(
    wire: PlaygroundServer, database_path: Path, collector: Collector
) -> None:
    async with running(wire, database_path, lengthy, **traced(collector)) as ann:
        ann.says("hello")
        await collector.has("message")
    sent = collector.of("send")
    assert [span.attributes["tgbot.part"] for span in sorted(sent, key=lambda span: span.began_at)] == [
        0,
        1,
        2,
    ]
    [whole] = collector.of("message")
    assert whole.ended_at >= max(span.ended_at for span in sent)


async def test_what_a_killed_process_left_is_finished_in_the_same_trace(
    wire: PlaygroundServer, tmp_path: Path, collector: Collector
) -> None:
    """And each line that both processes log is a JSON object, as the settings want it."""
    gate = tmp_path / "gate"
    agent = "tests.whole_bot.agents:moody"
    async with judged_bot(wire, tmp_path, agent=agent, traces_url=collector.url, log="json") as bot:
        ann = Person(wire)
        await bot.start()
        ann.says(f"wait for {gate}")
        [waited] = await collector.has("wait")
        await bot.kill()
        gate.touch()
        await bot.start()
        await ann.sees_at_last(f"wait for {gate} (attempt 2)")
        assert await bot.stop() == 0
    [whole] = collector.of("message")  # what was left at the end came before the end
    assert {span.trace_id for span in collector.spans} == {whole.trace_id}
    assert sorted(span.name for span in collector.spans) == STEPS
    [turn] = collector.of("turn")
    assert turn.attributes["tgbot.attempt"] == 2
    assert waited.parent_id == turn.parent_id == whole.span_id
    assert whole.began_at <= waited.began_at, "from the receipt, in the process before"
    logged = [json.loads(line) for line in bot.log.splitlines()]
    assert [one["attempt"] for one in logged if one.get("event") == "turn.claimed"] == [1, 2]
    assert [one.get("event") for one in logged].count("app.started") == 2


async def test_a_collector_that_takes_nothing_harms_nobody_and_is_said_once(
    wire: PlaygroundServer, database_path: Path, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    collector.closed = True
    url = collector.url.replace("//", "//me:hush@")
    async with running(wire, database_path, answering, traces_url=url) as ann:
        ann.says("1")
        await eventually(lambda: collector.refused >= 1, "it is refused")
        ann.says("2")
        await eventually(lambda: collector.refused >= 2, "it is refused again")
        await ann.sees_at_last("re: 1", "re: 2")
        collector.closed = False
        ann.says("3")
        await collector.has("message")
        await eventually(lambda: "traces.exported" in caplog.text, "it is said that they arrive again")
    assert caplog.text.count("traces.lost host=127.0.0.1") == 1
    assert "hush" not in caplog.text


def test_without_the_extra_the_setting_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "opentelemetry.py").write_text("raise ImportError")
    ended = tgbot_of_its_own(
        tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_TRACES_URL="http://127.0.0.1:9/v1/traces"
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "TGBOT_TRACES_URL is wrong (it needs OpenTelemetry: pip install 'tgbot[traces]')" in ended.stderr


async def test_what_telegram_refuses_and_what_is_looked_for_is_counted(
    wire: PlaygroundServer, database_path: Path
) -> None:
    wire.world.add_faults([{"method": "sendMessage", "kind": "429", "times": 1, "retry_after": 1}])
    wire.world.add_faults([{"method": "sendMessage", "kind": "cut_after", "times": 1}])
    floods, flood_seconds, settles = tally.floods, tally.flood_seconds, tally.settles
    first_words = sum(tally.first_words_seconds.counts)
    async with running(wire, database_path, answering) as ann:
        ann.says("hello")
        await eventually(lambda: tally.settles > settles, "it is looked for")
        await ann.sees_at_last("re: hello")
        await eventually(lambda: sum(tally.first_words_seconds.counts) > first_words, "it is seen")
    assert (tally.floods - floods, tally.flood_seconds - flood_seconds) == (1, 1)
    assert tally.first_words_seconds.total >= 1, "what the refusal cost is in it"
