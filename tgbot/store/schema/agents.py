"""The tables of agents: what turns ask, what the model and its tools said, and what it cost."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    text,
)

from tgbot.store.schema.base import Integer, metadata

# What a turn asks with buttons. Its row waits in the state `asking` until the last one is answered.
question = Table(
    "question",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pending_id", Integer, ForeignKey("pending.id"), nullable=False),
    # The part of the answer that shows it: what is said after the answer begins behind it.
    Column("part", Integer, nullable=False),
    # The name that the agent gave it, and the labels and values of its buttons, as JSON.
    Column("key", Text, nullable=False),
    Column("choices", Text, nullable=False),
    Column("answer", Text),
    Column("answered_by", BigInteger),
    UniqueConstraint("pending_id", "key"),
    CheckConstraint("answered_by IS NULL OR answer IS NOT NULL", "answered_by_someone"),
    sqlite_autoincrement=True,
)

# What the model was sent and said, as JSON: appended to and never changed. Which of it a later turn sees is
# decided by the states of the rows. step: a request and its response; partial: of a turn that was stopped;
# fresh: nothing before it counts; undo: nor does anything of the row `target_id`; summary: it stands for all
# before it.
history = Table(
    "history",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("session_key", Text, nullable=False),
    Column("pending_id", Integer, ForeignKey("pending.id"), nullable=False),
    # No foreign key: turns are pruned, and what was said stays.
    Column("turn_id", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("target_id", Integer, ForeignKey("pending.id")),
    Column("content", Text, nullable=False),
    Column("at", Float, nullable=False),
    CheckConstraint("kind IN ('step', 'partial', 'fresh', 'undo', 'summary', 'memory')", "kind"),
    CheckConstraint("(kind = 'undo') = (target_id IS NOT NULL)", "undo_has_a_target"),
    sqlite_autoincrement=True,
)
_BOUNDARY: TextClause = text("kind IN ('fresh', 'summary')")
_UNDO: TextClause = text("target_id IS NOT NULL")
Index("ix_history_session", history.c.session_key, history.c.id)
Index("ix_history_row", history.c.pending_id, history.c.id)
Index(
    "ix_history_boundary",
    # With `kind` it beats ix_history_session, which SQLite would take otherwise.
    *(history.c.session_key, history.c.kind, history.c.id),
    sqlite_where=_BOUNDARY,
)
Index("ix_history_undo", history.c.target_id, sqlite_where=_UNDO)

# The calls of tools that a turn has begun. started: it may have taken effect; done: with this result.
ledger = Table(
    "ledger",
    metadata,
    Column("pending_id", Integer, ForeignKey("pending.id"), primary_key=True),
    Column("call_id", Text, primary_key=True),
    Column("tool", Text, nullable=False),
    Column("state", Text, nullable=False),
    # How often it was begun: an answer to "it may have run" is about one of these times.
    Column("starts", Integer, nullable=False),
    Column("result", Text),
    Column("at", Float, nullable=False),
    CheckConstraint("state IN ('started', 'done')", "state"),
    CheckConstraint("(state = 'done') = (result IS NOT NULL)", "done_has_a_result"),
)

# What an agent keeps for a session, besides its conversation: notes, settings.
session_value = Table(
    "session_value",
    metadata,
    Column("session_key", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", Float, nullable=False),
)
# What requests to models cost, a row each. reserved: up to this much, for nobody knows yet (or ever, if the
# process died); settled: this much. No foreign keys: what was spent outlives the messages.
usage = Table(
    "usage",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("bot_id", BigInteger, nullable=False),
    Column("session_key", Text, nullable=False),
    Column("chat_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("pending_id", Integer, nullable=False),
    Column("turn_id", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    # Billionths of a dollar; NULL: the price is not known, which is never 0.
    Column("nano_dollars", BigInteger),
    Column("at", Float, nullable=False),
    CheckConstraint("state IN ('reserved', 'settled')", "state"),
    CheckConstraint("input_tokens >= 0 AND output_tokens >= 0", "no_less_than_nothing"),
    CheckConstraint("nano_dollars > 0", "unknown_is_not_0"),
    sqlite_autoincrement=True,
)
# What is summed up stands in the indexes: to look each row up would take ten times as long.
_SUMMED = (usage.c.input_tokens, usage.c.output_tokens, usage.c.nano_dollars, usage.c.state)
Index("ix_usage_user", usage.c.bot_id, usage.c.user_id, usage.c.at, *_SUMMED)
Index("ix_usage_chat", usage.c.bot_id, usage.c.chat_id, usage.c.at, *_SUMMED)
Index("ix_usage_session", usage.c.session_key, usage.c.at, *_SUMMED)
Index("ix_usage_row", usage.c.pending_id)
