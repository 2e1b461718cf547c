"""Whoever takes over from a dead worker hints to the others, who may have looked too early."""

import psycopg
from sqlalchemy import create_engine

from tests.store.instance import Instance
from tests.waiting import DEADLINE_SECONDS
from tgbot.store import recovery
from tgbot.store.engine.hints import CHANNEL
from tgbot.store.engine.place import place_of


def test_whoever_recovers_a_turn_or_comes_too_late_for_it_hints_to_all(url: str) -> None:
    place_of(url).upgrade()
    engine = create_engine(url)
    turn = Instance(engine).start("a")
    heir = Instance(engine)  # the other one is dead by now
    [guard] = heir.do(recovery.guards, heir.owner.instance_id)
    assert guard.token == turn.token
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as hearing:
        hearing.execute(f"LISTEN {CHANNEL}")
        states = [heir.do(recovery.recover, heir.owner, guard) for _ in range(2)]
        hints = [hint.payload for hint in hearing.notifies(timeout=DEADLINE_SECONDS, stop_after=2)]
    engine.dispose()
    assert states == ["queued", "ended"]
    assert hints == ["turns:0", "turns:0"]
