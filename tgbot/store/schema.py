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

# AUTOINCREMENT, because no id may be used twice: a row's keeps the order, a turn's is the guard's token.

instance = Table(
    "instance",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
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
    Column("attempt", Integer, nullable=False, server_default="0"),
    # The /stop that holds this row: a button acts on the rows of the /stop it was drawn for.
    Column("held_by", Integer, ForeignKey("pending.id")),
    # What the parts of one album have in common, in its first one; nothing joins it once it is closed.
    Column("album", Text),
    Column("album_closed_at", Float),
    # The first part of the album that this one joined: that one's state is the state of all.
    Column("part_of", Integer, ForeignKey("pending.id")),
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
    CheckConstraint("(state = 'joined') = (part_of IS NOT NULL)", "joined_to_an_album"),
    CheckConstraint("album_closed_at IS NULL OR album IS NOT NULL", "only_albums_close"),
    CheckConstraint("state != 'claimed' OR attempt > 0", "claim_counts"),
    CheckConstraint("(state IN ('queued', 'claimed', 'held')) = (ended_at IS NULL)", "ended"),
    sqlite_autoincrement=True,
)

_QUEUED: TextClause = text("state = 'queued'")
_HELD: TextClause = text("state = 'held'")
_DEAD: TextClause = text("state = 'dead'")
_OPEN_ALBUM: TextClause = text("album IS NOT NULL AND album_closed_at IS NULL")
_PART_OF: TextClause = text("part_of IS NOT NULL")
Index(
    "ix_pending_queued", pending.c.session_key, pending.c.id, sqlite_where=_QUEUED, postgresql_where=_QUEUED
)
Index("ix_pending_held", pending.c.session_key, pending.c.id, sqlite_where=_HELD, postgresql_where=_HELD)
Index("ix_pending_dead", pending.c.id, sqlite_where=_DEAD, postgresql_where=_DEAD)
Index(
    "ix_pending_open_album",
    pending.c.session_key,
    pending.c.album,
    sqlite_where=_OPEN_ALBUM,
    postgresql_where=_OPEN_ALBUM,
)
Index("ix_pending_part_of", pending.c.part_of, sqlite_where=_PART_OF, postgresql_where=_PART_OF)

# One row for each claim. Its id is the guard's fencing token, its instance the owner's life.
turn = Table(
    "turn",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pending_id", Integer, ForeignKey("pending.id"), nullable=False),
    Column("instance_id", Integer, ForeignKey("instance.id"), nullable=False),
    Column("started_at", Float, nullable=False),
    sqlite_autoincrement=True,
)

# Which turn holds a session. It stays over a chain of follow-ups: a hand-over moves turn_id on.
guard = Table(
    "guard",
    metadata,
    Column("session_key", Text, primary_key=True),
    Column("turn_id", Integer, ForeignKey("turn.id"), nullable=False, unique=True),
    Column("since", Float, nullable=False),
)

# open: a placeholder is wanted; placed: it is on screen; ready: the text is final, wants to be shown.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("bot_id", BigInteger, nullable=False),
    Column("pending_id", Integer, ForeignKey("pending.id"), nullable=False),
    Column("part", Integer, nullable=False),
    # The answer's part 0, for the others: all parts of an answer go out before what came after it.
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
    # The number that the first part of an album had at first, for each of its parts: they are one request.
    Column("album", Integer),
    Column("ready_at", Float),
    # How often a part that can not be made by an edit was on its way without a known outcome.
    Column("tries", Integer, nullable=False, server_default="0"),
    # When every preview whose outcome is unknown has arrived, perhaps over the final text.
    Column("doubted_until", Float),
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
_DOUBTED: TextClause = text("doubted_until IS NOT NULL")
Index("ix_outbox_unsent", outbox.c.chat_id, outbox.c.id, sqlite_where=_UNSENT, postgresql_where=_UNSENT)
Index("ix_outbox_doubted", outbox.c.doubted_until, sqlite_where=_DOUBTED, postgresql_where=_DOUBTED)
Index("ix_outbox_parked", outbox.c.id, sqlite_where=_PARKED, postgresql_where=_PARKED)

# Who was told once that this bot is not for everyone.
stranger = Table(
    "stranger",
    metadata,
    Column("bot_id", BigInteger, primary_key=True),
    Column("user_id", BigInteger, primary_key=True),
    Column("told_at", Float, nullable=False),
)
