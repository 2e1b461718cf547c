"""What the database itself refuses: the state machine holds whatever the code above it does."""

import pytest
from sqlalchemy import CheckConstraint, Table, insert
from sqlalchemy.exc import IntegrityError

from tests.store.instance import Instance
from tgbot.store import schema

Row = dict[str, object]

PENDING: Row = {
    "bot_id": 42,
    "update_id": 1,
    "kind": "message",
    "state": "queued",
    "session_key": "42:7",
    "received_at": 1.0,
    "raw": "{}",
}
OUTBOX: Row = {
    "bot_id": 42,
    "pending_id": 1,
    "part": 0,
    "state": "ready",
    "chat_id": 7,
    "box": 0,
    "text": "x",
    "ready_at": 1.0,
}
ENDED: Row = {"ended_at": 1.0}
QUESTION: Row = {"pending_id": 1, "part": 0, "key": "a", "choices": "[]"}
HISTORY: Row = {
    "session_key": "42:7",
    "pending_id": 1,
    "turn_id": 1,
    "kind": "step",
    "content": "{}",
    "at": 1.0,
}
LEDGER: Row = {"pending_id": 1, "call_id": "a", "tool": "t", "state": "started", "starts": 1, "at": 1.0}
USAGE: Row = {
    "bot_id": 42,
    "session_key": "42:7",
    "chat_id": 7,
    "user_id": 7,
    "pending_id": 1,
    "turn_id": 1,
    "model": "m",
    "state": "reserved",
    "input_tokens": 1,
    "output_tokens": 1,
    "at": 1.0,
}
ALLOWED: Row = {"bot_id": 42, "chat_id": 7, "role": "user", "allowed_by": 7, "since": 1.0}
STRANGER: Row = {"bot_id": 42, "user_id": 8, "replied_at": 1.0}
INSTANCE: Row = {"pid": 1, "started_at": 1.0, "host": "", "revision": "", "lease_until": 0.0}
TURN: Row = {"pending_id": 1, "instance_id": 1, "started_at": 1.0}
ALLOWANCE: Row = {"bot_id": 42, "user_id": 8, "span": "minute", "began": 60, "number": 1}
ROWS: dict[str, Row] = {
    "pending": PENDING,
    "outbox": OUTBOX,
    "question": QUESTION,
    "history": HISTORY,
    "ledger": LEDGER,
    "usage": USAGE,
    "allowed": ALLOWED,
    "stranger": STRANGER,
    "allowance": ALLOWANCE,
    "instance": INSTANCE,
    "turn": TURN,
    "file": {"pending_id": 1},
}
CONTROL: Row = {"kind": "control"}
SHOWN: Row = {"message_id": 5}
FLYING: Row = {"state": "sending", "floor": 0}
WORDS: Row = {"ready_at": None}

REFUSED: list[tuple[str, Row]] = [
    ("ck_pending_kind", ENDED | {"kind": "wish", "state": "done"}),
    ("ck_pending_state", ENDED | {"state": "lost"}),
    ("ck_pending_only_messages_wait", CONTROL),
    ("ck_pending_only_messages_wait", CONTROL | {"state": "claimed", "attempt": 1}),
    ("ck_pending_only_messages_wait", CONTROL | {"state": "held", "held_by": 1}),
    ("ck_pending_only_messages_wait", CONTROL | {"state": "stopped"} | ENDED),
    ("ck_pending_message_has_session", {"session_key": None}),
    ("ck_pending_held_by_a_stop", {"state": "held"}),
    ("ck_pending_held_by_a_stop", {"held_by": 1}),
    ("ck_pending_joined_to_a_lead", ENDED | {"state": "joined"}),
    ("ck_pending_joined_to_a_lead", {"lead_id": 1}),
    ("ck_pending_claim_counts", {"state": "claimed"}),
    ("ck_pending_claim_counts", {"state": "asking"}),
    ("ck_pending_ended", ENDED),
    ("ck_pending_ended", ENDED | {"state": "asking", "attempt": 1}),
    *[("ck_pending_ended", Row(state=state)) for state in ("done", "failed", "stopped", "dead", "dropped")],
    ("ck_outbox_state", {"state": "lost"}),
    ("ck_outbox_kind", {"kind": "poem"}),
    ("ck_outbox_shown_in_a_message", {"state": "sent"}),
    ("ck_outbox_shown_in_a_message", WORDS | {"state": "growing"}),
    ("ck_outbox_surplus_is_shown", {"kind": "surplus"}),
    ("ck_outbox_surplus_is_shown", {"kind": "surplus", "state": "parked", "error": "no reason"}),
    ("ck_outbox_has_content", {"text": None}),
    ("ck_outbox_has_content", {"text": ""}),
    ("ck_outbox_final", WORDS),
    ("ck_outbox_final", WORDS | SHOWN | {"state": "sent"}),
    ("ck_outbox_floor_while_sending", {"floor": 0}),
    *[("ck_outbox_floor_while_sending", Row(state=state)) for state in ("sending", "unknown")],
    ("ck_outbox_sending_is_not_shown", FLYING | SHOWN),
    ("ck_outbox_ceiling_while_unknown", {"ceiling": 9}),
    ("ck_outbox_ceiling_while_unknown", FLYING | {"ceiling": 9}),
    ("ck_outbox_part_0_is_first", {"first_id": 1}),
    ("ck_outbox_part_0_is_first", {"part": 1}),
    ("ck_outbox_parked_for_a_reason", {"state": "parked"}),
    ("ck_outbox_parked_for_a_reason", {"error": "no reason"}),
    ("ck_question_answered_by_someone", {"answered_by": 7}),
    ("ck_history_kind", {"kind": "poem"}),
    ("ck_history_undo_has_a_target", {"kind": "undo"}),
    ("ck_history_undo_has_a_target", {"target_id": 1}),
    ("ck_ledger_state", {"state": "lost"}),
    ("ck_ledger_done_has_a_result", {"state": "done"}),
    ("ck_ledger_done_has_a_result", {"result": "1"}),
    ("ck_usage_state", {"state": "lost"}),
    ("ck_usage_no_less_than_nothing", {"input_tokens": -1}),
    ("ck_usage_no_less_than_nothing", {"output_tokens": -1}),
    ("ck_usage_unknown_is_not_0", {"nano_dollars": 0}),
    ("ck_allowance_span", {"span": "week"}),
    ("ck_stranger_state", {"state": "liked"}),
    ("ck_allowed_role", {"role": "king"}),
    ("ck_allowed_group_is_negative", {"role": "group"}),
    ("ck_allowed_group_is_negative", {"chat_id": -7}),
]
ACCEPTED: list[tuple[str, Row]] = [
    ("pending", {}),
    ("pending", {"state": "claimed", "attempt": 1}),
    ("pending", {"state": "asking", "attempt": 1}),
    ("pending", {"state": "held", "held_by": 1}),
    ("pending", {"join_key": "a", "not_before": 1.0}),
    ("pending", ENDED | {"state": "joined", "lead_id": 1}),
    *[("pending", ENDED | {"state": state}) for state in ("done", "failed", "stopped", "dead", "dropped")],
    *[("pending", CONTROL | {"state": state} | ENDED) for state in ("done", "dropped")],
    ("pending", ENDED | {"kind": "unreadable", "state": "dead", "session_key": None}),
    ("outbox", {}),
    ("outbox", SHOWN),
    ("outbox", FLYING),
    ("outbox", FLYING | WORDS),
    ("outbox", FLYING | {"state": "unknown"}),
    ("outbox", FLYING | {"state": "unknown", "ceiling": 9}),
    ("outbox", FLYING | {"kind": "surplus", "sent_text": "more"}),
    ("outbox", WORDS | SHOWN | {"state": "growing"}),
    ("outbox", SHOWN | {"state": "sent"}),
    ("outbox", SHOWN | {"state": "sent", "text": None}),
    ("outbox", SHOWN | {"kind": "surplus"}),
    ("outbox", {"text": None, "file_id": 1, "kind": "voice"}),
    ("outbox", {"state": "parked", "error": "blocked"}),
    ("outbox", WORDS | {"state": "parked", "error": "blocked"}),
    ("question", {}),
    ("question", {"answer": "yes", "answered_by": 7}),
    ("question", {"answer": "stopped"}),
    ("history", {}),
    ("history", {"kind": "undo", "target_id": 1}),
    ("ledger", {}),
    ("ledger", {"state": "done", "result": "1"}),
    ("usage", {"input_tokens": 0, "output_tokens": 0}),
    ("usage", {"state": "settled", "nano_dollars": 1}),
    ("allowance", {}),
    ("allowance", {"span": "day"}),
    ("stranger", {}),
    *[("stranger", Row(state=state)) for state in ("asked", "denied")],
    ("allowed", {}),
    ("allowed", {"role": "owner"}),
    ("allowed", {"role": "group", "chat_id": -7, "name": "Trip"}),
]


@pytest.fixture
def first_row(instance: Instance) -> Instance:
    """Row 1 and turn 1 exist, so that a foreign key has something to name."""
    add(instance, schema.pending, PENDING | {"update_id": 0})
    add(instance, schema.turn, TURN)
    return instance


def add(instance: Instance, table: Table, values: Row) -> None:
    instance.do(lambda conn: conn.execute(insert(table).values(values)))


def whole_row(table: str, differs: Row) -> Row:
    return ROWS[table] | differs


@pytest.mark.parametrize(("constraint", "differs"), REFUSED)
def test_the_database_refuses(first_row: Instance, constraint: str, differs: Row) -> None:
    table = constraint.split("_")[1]
    with pytest.raises(IntegrityError, match=constraint):
        add(first_row, schema.metadata.tables[table], whole_row(table, differs))


@pytest.mark.parametrize(("table", "differs"), ACCEPTED)
def test_the_database_accepts(first_row: Instance, table: str, differs: Row) -> None:
    add(first_row, schema.metadata.tables[table], whole_row(table, differs))


def test_every_check_constraint_has_an_example_here() -> None:
    checks = {
        str(constraint.name)
        for table in schema.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert checks == {constraint for constraint, _ in REFUSED}


def test_one_guard_a_session_and_one_session_a_turn(instance: Instance) -> None:
    turn = instance.start("a", chat=7)
    other = instance.start("b", chat=8)
    values = {"session_key": "42:7", "turn_id": other.token, "instance_id": 1, "since": 1.0}
    instance.finish(other)
    with pytest.raises(IntegrityError, match=r"guard\.session_key|pk_guard"):
        add(instance, schema.guard, values)
    with pytest.raises(IntegrityError, match=r"guard\.turn_id|uq_guard_turn_id"):
        add(instance, schema.guard, values | {"session_key": "42:9", "turn_id": turn.token})


def test_one_row_an_update_and_one_part_a_number(first_row: Instance) -> None:
    with pytest.raises(
        IntegrityError, match=r"pending\.bot_id, pending\.update_id|uq_pending_bot_id_update_id"
    ):
        add(first_row, schema.pending, PENDING | {"update_id": 0})
    add(first_row, schema.outbox, OUTBOX)
    with pytest.raises(IntegrityError, match=r"outbox\.pending_id, outbox\.part|uq_outbox_pending_id_part"):
        add(first_row, schema.outbox, OUTBOX)


def test_one_part_of_a_chat_is_in_flight_at_a_time(first_row: Instance) -> None:
    add(first_row, schema.outbox, OUTBOX | FLYING)
    second = OUTBOX | FLYING | {"part": 1, "first_id": 1}
    for state in ("sending", "unknown"):
        with pytest.raises(IntegrityError, match=r"outbox\.bot_id, outbox\.chat_id|ix_outbox_in_flight"):
            add(first_row, schema.outbox, second | {"state": state})
    add(first_row, schema.outbox, second | {"chat_id": 8})


def test_a_guard_names_a_turn_that_exists(instance: Instance) -> None:
    with pytest.raises(IntegrityError, match=r"FOREIGN KEY|fk_guard_turn_id"):
        add(
            instance,
            schema.guard,
            {"session_key": "42:7", "turn_id": 999, "instance_id": 1, "since": 1.0},
        )


@pytest.mark.parametrize("table", ["instance", "pending", "turn", "outbox", "file", "usage"])
def test_an_id_is_never_used_twice(first_row: Instance, table: str) -> None:
    """Tokens and the order of arrival depend on it, even after old rows are deleted."""
    add(first_row, schema.metadata.tables[table], ROWS[table])
    [(used,)] = first_row.rows(f"DELETE FROM {table} WHERE id = (SELECT max(id) FROM {table}) RETURNING id")
    add(first_row, schema.metadata.tables[table], ROWS[table])
    assert first_row.rows(f"SELECT max(id) FROM {table}") == [(used + 1,)]
