"""Tables and constraints: the state machine as the database enforces it, and Alembic's target."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# AUTOINCREMENT, because no id may be used twice: a row's id is its place in the order, a turn's is its token.

instance = Table(
    "instance",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    # Set when it was asked to stop: a turn that its end interrupts has not crashed.
    Column("stopping_at", Float),
    sqlite_autoincrement=True,
)

pending = Table(
    "pending",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("bot_id", BigInteger, nullable=False),
    Column("update_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("session_key", Text),
    Column("chat_id", BigInteger),
    Column("topic_id", BigInteger),
    Column("user_id", BigInteger),
    Column("message_id", BigInteger),
    # Every claim is an attempt; a crash is one during which the process died.
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("crashes", Integer, nullable=False, server_default="0"),
    # The row may be claimed from this time on; NULL: at once.
    Column("not_before", Float),
    # The /stop that holds this row: a button acts on the rows of the /stop it was drawn for.
    Column("held_by", Integer, ForeignKey("pending.id")),
    # Later rows with the same key join this one while it waits (the parts of an album).
    Column("join_key", Text),
    # The lead row that a joined row runs with, and whose state is the state of all.
    Column("lead_id", Integer, ForeignKey("pending.id")),
    Column("error_id", Text),
    Column("received_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("raw", Text, nullable=False),
    UniqueConstraint("bot_id", "update_id"),
    CheckConstraint("kind IN ('message', 'control', 'unreadable')", "kind"),
    CheckConstraint(
        "state IN ('queued', 'claimed', 'held', 'joined', 'done', 'failed', 'stopped', 'dead', 'dropped')",
        "state",
    ),
    # A control is acted on in the transaction that stores it: it can never wait, nor reach the agent.
    CheckConstraint("kind = 'message' OR state IN ('done', 'dead', 'dropped')", "only_messages_wait"),
    CheckConstraint("kind != 'message' OR session_key IS NOT NULL", "message_has_session"),
    CheckConstraint("(state = 'held') = (held_by IS NOT NULL)", "held_by_a_stop"),
    CheckConstraint("(state = 'joined') = (lead_id IS NOT NULL)", "joined_to_a_lead"),
    CheckConstraint("state != 'claimed' OR attempt > 0", "claim_counts"),
    CheckConstraint("(state IN ('queued', 'claimed', 'held')) = (ended_at IS NULL)", "ended"),
    sqlite_autoincrement=True,
)

_QUEUED: TextClause = text("state = 'queued'")
_HELD: TextClause = text("state = 'held'")
_DEAD: TextClause = text("state = 'dead'")
_JOINABLE: TextClause = text("join_key IS NOT NULL AND state IN ('queued', 'held')")
_JOINED: TextClause = text("lead_id IS NOT NULL")
_TIMED: TextClause = text("state = 'queued' AND not_before IS NOT NULL")
Index(
    "ix_pending_queued", pending.c.session_key, pending.c.id, sqlite_where=_QUEUED, postgresql_where=_QUEUED
)
Index("ix_pending_held", pending.c.session_key, pending.c.id, sqlite_where=_HELD, postgresql_where=_HELD)
Index("ix_pending_dead", pending.c.id, sqlite_where=_DEAD, postgresql_where=_DEAD)
Index(
    "ix_pending_joinable",
    pending.c.session_key,
    pending.c.join_key,
    sqlite_where=_JOINABLE,
    postgresql_where=_JOINABLE,
)
Index("ix_pending_joined", pending.c.lead_id, sqlite_where=_JOINED, postgresql_where=_JOINED)
Index("ix_pending_timed", pending.c.not_before, sqlite_where=_TIMED, postgresql_where=_TIMED)

# One row for each claim. Its id is the guard's fencing token, its instance the process that claimed.
turn = Table(
    "turn",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pending_id", Integer, ForeignKey("pending.id"), nullable=False),
    Column("instance_id", Integer, ForeignKey("instance.id"), nullable=False),
    Column("started_at", Float, nullable=False),
    sqlite_autoincrement=True,
)

# Which turn holds a session. It stays for a whole chain of follow-ups: a hand-over only changes turn_id.
guard = Table(
    "guard",
    metadata,
    Column("session_key", Text, primary_key=True),
    Column("turn_id", Integer, ForeignKey("turn.id"), nullable=False, unique=True),
    Column("since", Float, nullable=False),
)

# open: waits for a placeholder; placed: the placeholder is on screen; ready: final, waits to be shown.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("bot_id", BigInteger, nullable=False),
    Column("pending_id", Integer, ForeignKey("pending.id"), nullable=False),
    Column("part", Integer, nullable=False),
    # The id of the answer's part 0, NULL in part 0: an answer is sent whole before what came after it.
    Column("first_id", Integer),
    Column("kind", Text, nullable=False, server_default="text"),
    Column("state", Text, nullable=False),
    Column("chat_id", BigInteger, nullable=False),
    Column("topic_id", BigInteger),
    Column("reply_to", BigInteger),
    Column("message_id", BigInteger),
    Column("text", Text),
    Column("entities", Text),
    Column("buttons", Text),
    Column("file_name", Text),
    Column("file", LargeBinary),
    # Equal in all parts of an album, which are one request: the original number of its first part.
    Column("album", Integer),
    Column("ready_at", Float),
    # How often a part that cannot be made by an edit was sent without a known outcome.
    Column("tries", Integer, nullable=False, server_default="0"),
    # By then every preview of unknown outcome has arrived; it may have overwritten the final text.
    Column("uncertain_until", Float),
    Column("error", Text),
    # By row, not by turn: a second attempt writes into the message that the first one placed.
    UniqueConstraint("pending_id", "part"),
    CheckConstraint("kind IN ('text', 'rich', 'reply', 'ping', 'photo', 'document', 'voice')", "kind"),
    CheckConstraint("state IN ('open', 'placed', 'ready', 'sent', 'parked')", "state"),
    CheckConstraint("state NOT IN ('placed', 'sent') OR message_id IS NOT NULL", "shown_in_a_message"),
    CheckConstraint(
        "state NOT IN ('ready', 'sent') OR (coalesce(text, file, '') != '' AND ready_at IS NOT NULL)",
        "has_content",
    ),
    CheckConstraint("state != 'open' OR message_id IS NULL", "open_is_not_shown"),
    CheckConstraint("(part = 0) = (first_id IS NULL)", "part_0_is_first"),
    CheckConstraint("(state = 'parked') = (error IS NOT NULL)", "parked_for_a_reason"),
    sqlite_autoincrement=True,
)

_UNSENT: TextClause = text("state IN ('open', 'ready')")
_PARKED: TextClause = text("state = 'parked'")
_UNCERTAIN: TextClause = text("uncertain_until IS NOT NULL")
Index("ix_outbox_unsent", outbox.c.chat_id, outbox.c.id, sqlite_where=_UNSENT, postgresql_where=_UNSENT)
Index("ix_outbox_uncertain", outbox.c.uncertain_until, sqlite_where=_UNCERTAIN, postgresql_where=_UNCERTAIN)
Index("ix_outbox_parked", outbox.c.id, sqlite_where=_PARKED, postgresql_where=_PARKED)

# Who already got the reply that this bot is private; everyone gets it once.
stranger = Table(
    "stranger",
    metadata,
    Column("bot_id", BigInteger, primary_key=True),
    Column("user_id", BigInteger, primary_key=True),
    Column("told_at", Float, nullable=False),
)
