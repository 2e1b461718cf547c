"""A process that dies while a command about the memory is obeyed: it is obeyed once, by the next one."""

import pytest

from tests.llm.dying import Writer, speak
from tests.llm.talking import Model, words_of
from tests.store.instance import Instance, StartInstance
from tgbot.agents.llm import commands, models
from tgbot.agents.llm.agent import LlmAgent
from tgbot.agents.llm.compaction import GO_ON, HEADING
from tgbot.agents.llm.log import read
from tgbot.config import Settings
from tgbot.model import RowId, Turn
from tgbot.render import Text
from tgbot.store import history, turns
from tgbot.store.turns import Ending
from tgbot.turns.agent import Event, InsteadOf

WRITES = 12  # more than any command has: the last ones die behind all of them, before the ending
REMEMBERED = {
    "/new": [],
    "/undo": ["a", "re: a"],
    "/retry": ["a", "re: a", "b", "re: b"],
    "/compact": [f"{HEADING}\n\nSUMMARY", GO_ON],
}
REPLIES = {
    "/new": commands.FRESH,
    "/undo": "Forgotten: “b”",
    "/retry": "re: b",
    "/compact": commands.SUMMED_UP,
}


def agent() -> LlmAgent:
    return LlmAgent(Settings(token="42:a", model="demo"))


def end(instance: Instance, turn: Turn, events: list[Event]) -> str:
    """End a turn as the bot does; returns its words."""
    words = "".join(event for event in events if isinstance(event, str))
    replaces = next((event.row_id for event in events if isinstance(event, InsteadOf)), None)
    instance.do(turns.end, instance.owner, turn, Ending("done", [Text(words)], replaces=replaces))
    instance.send_all()
    return words


async def exchange(instance: Instance, said: str) -> RowId:
    turn = instance.start(said)
    events = await speak(agent().run, turn, Writer(instance, None))
    assert events
    end(instance, turn, events)
    return turn.row_id


@pytest.mark.parametrize("dies_at", range(WRITES))
@pytest.mark.parametrize("command", REMEMBERED)
async def test_a_command_is_obeyed_once_though_its_process_died(
    start_instance: StartInstance, monkeypatch: pytest.MonkeyPatch, command: str, dies_at: int
) -> None:
    model = Model()
    monkeypatch.setattr(models, "make", model.make)
    dying = start_instance()
    await exchange(dying, "a")
    last = await exchange(dying, "b")
    await speak(agent().run, dying.start(command), Writer(dying, dies_at))
    instance = start_instance()
    instance.recover()
    [turn] = instance.claim_waiting()
    events = await speak(agent().run, turn, Writer(instance, None))
    assert events
    assert end(instance, turn, events) == REPLIES[command]
    replaced = command == "/retry"
    shown = ["re: a", *([] if replaced else ["re: b"]), REPLIES[command]]
    assert [text for _, text in instance.outbox()] == shown
    assert remembered(instance) == REMEMBERED[command]
    sql = "SELECT kind, target_id FROM history WHERE pending_id = :row AND kind != 'step'"
    [(kind, target)] = instance.rows(sql, row=turn.row_id)
    assert (kind, target) == {"/new": ("fresh", None), "/compact": ("summary", None)}.get(
        command, ("undo", last)
    )


def remembered(instance: Instance) -> list[str]:
    turn = instance.start("next")
    return [words_of(one) for one in read(instance.do(history.seen, turn), turn.row_id).earlier]
