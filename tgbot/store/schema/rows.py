"""The tables of the queue: the rows that wait and run, their turns, and who holds which session."""

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

# AUTOINCREMENT, because no id may be used twice: a row's id is its place in the order, a turn's is its token.

instance = Table(
    "instance",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    # Set when it was asked to stop: a turn that its end interrupts has not crashed.
    Column("stopping_at", Float),
    Column("host", Text, nullable=False),
    # The newest schema that it knows.
    Column("revision", Text, nullable=False),
    # By the database's clock. From then on others may take over what it did, and it may write nothing.
    Column("lease_until", Float, nullable=False),
    sqlite_autoincrement=True,
)

# With which of several workers a chat is: it alone claims its rows and sends to it. A chat that is idle is
# with none. Empty where one process owns the database.
chat_lease = Table(
    "chat_lease",
    metadata,
    Column("bot_id", BigInteger, primary_key=True),
    Column("chat_id", BigInteger, primary_key=True),
    Column("instance_id", Integer, ForeignKey("instance.id"), nullable=False),
)
Index("ix_chat_lease_instance", chat_lease.c.instance_id)

# What only one of several workers does at a time, such as to poll.
role = Table(
    "role",
    metadata,
    Column("name", Text, primary_key=True),
    Column("instance_id", Integer, ForeignKey("instance.id"), nullable=False),
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
    # Which sequence the message id belongs to (`box_of`); it stays when the chat moves.
    Column("box", BigInteger),
    Column("topic_id", BigInteger),
    Column("user_id", BigInteger),
    Column("message_id", BigInteger),
    # Every claim is an attempt; a crash is one during which the process died.
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("crashes", Integer, nullable=False, server_default="0"),
    # The row may be claimed from this time on; NULL: at once.
    Column("not_before", Float),
    # The rows of a session run by their place, then by their id. One that was put first has a smaller place.
    Column("place", Integer, nullable=False, server_default="0"),
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
        "state IN ('queued', 'claimed', 'asking', 'held', 'joined', 'done', 'failed', 'stopped', 'dead',"
        " 'dropped')",
        "state",
    ),
    # A control is acted on in the transaction that stores it: it can never wait, nor reach the agent.
    CheckConstraint("kind = 'message' OR state IN ('done', 'dead', 'dropped')", "only_messages_wait"),
    CheckConstraint("kind != 'message' OR session_key IS NOT NULL", "message_has_session"),
    CheckConstraint("(state = 'held') = (held_by IS NOT NULL)", "held_by_a_stop"),
    CheckConstraint("(state = 'joined') = (lead_id IS NOT NULL)", "joined_to_a_lead"),
    CheckConstraint("state NOT IN ('claimed', 'asking') OR attempt > 0", "claim_counts"),
    CheckConstraint("(state IN ('queued', 'claimed', 'asking', 'held')) = (ended_at IS NULL)", "ended"),
    sqlite_autoincrement=True,
)

_QUEUED: TextClause = text("state = 'queued'")
_HELD: TextClause = text("state = 'held'")
_ASKING: TextClause = text("state = 'asking'")
_DEAD: TextClause = text("state = 'dead'")
_JOINABLE: TextClause = text("join_key IS NOT NULL AND state IN ('queued', 'held')")
_JOINED: TextClause = text("lead_id IS NOT NULL")
_HOLDS: TextClause = text("held_by IS NOT NULL")
_TIMED: TextClause = text("state = 'queued' AND not_before IS NOT NULL")
Index(
    "ix_pending_queued",
    pending.c.session_key,
    pending.c.place,
    pending.c.id,
    sqlite_where=_QUEUED,
)
Index("ix_pending_held", pending.c.session_key, pending.c.id, sqlite_where=_HELD)
Index("ix_pending_asking", pending.c.session_key, sqlite_where=_ASKING)
Index("ix_pending_dead", pending.c.id, sqlite_where=_DEAD)
Index(
    "ix_pending_joinable",
    pending.c.session_key,
    pending.c.join_key,
    sqlite_where=_JOINABLE,
)
Index("ix_pending_joined", pending.c.lead_id, sqlite_where=_JOINED)
# To delete a row, SQLite looks for whatever refers to it.
Index("ix_pending_holds", pending.c.held_by, sqlite_where=_HOLDS)
Index("ix_pending_timed", pending.c.not_before, sqlite_where=_TIMED)

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

Index("ix_turn_row", turn.c.pending_id)

# Which turn holds a session. It stays for a whole chain of follow-ups: a hand-over only changes turn_id.
guard = Table(
    "guard",
    metadata,
    Column("session_key", Text, primary_key=True),
    Column("turn_id", Integer, ForeignKey("turn.id"), nullable=False, unique=True),
    Column("instance_id", Integer, ForeignKey("instance.id"), nullable=False),
    Column("since", Float, nullable=False),
)
# Which message ids are known: what is not known between two of them may be a message whose reply was lost.
# The rest of the columns is what the search for messages between a question and its answer reads.
Index(
    "ix_pending_box",
    *(pending.c.bot_id, pending.c.box, pending.c.message_id, pending.c.chat_id, pending.c.lead_id),
)
