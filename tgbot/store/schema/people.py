"""The tables of people: who may talk, how much, and what was said to others in a group."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    Index,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    text,
)

from tgbot.store.schema.base import Integer, metadata

# Who may talk to the bot, besides those of the settings.
allowed = Table(
    "allowed",
    metadata,
    Column("bot_id", BigInteger, primary_key=True),
    # A person's user id, which is also the id of their private chat; or a group's id, which is negative.
    Column("chat_id", BigInteger, primary_key=True),
    Column("role", Text, nullable=False),
    Column("name", Text),
    Column("allowed_by", BigInteger, nullable=False),
    Column("since", Float, nullable=False),
    CheckConstraint("role IN ('owner', 'user', 'group')", "role"),
    CheckConstraint("(role = 'group') = (chat_id < 0)", "group_is_negative"),
)

# Who already got the reply that this bot is private; everyone gets it once. asked: the owner has a card that
# says so; denied: they may not ask any more.
stranger = Table(
    "stranger",
    metadata,
    Column("bot_id", BigInteger, primary_key=True),
    Column("user_id", BigInteger, primary_key=True),
    Column("replied_at", Float, nullable=False),
    Column("state", Text, nullable=False, server_default="replied"),
    Column("name", Text),
    # How many wrong pairing codes they sent: after a few no code of theirs counts any more.
    Column("wrong_codes", Integer, nullable=False, server_default="0"),
    CheckConstraint("state IN ('replied', 'asked', 'denied')", "state"),
)
_ASKED: TextClause = text("state = 'asked'")
Index("ix_stranger_replied", stranger.c.bot_id, stranger.c.replied_at)
Index(
    "ix_stranger_asked",
    # With `state` it beats the index above, which SQLite would take otherwise.
    *(stranger.c.bot_id, stranger.c.state),
    sqlite_where=_ASKED,
)

# The code that makes its sender the owner of a bot that has none; only its hash is kept.
pairing = Table(
    "pairing",
    metadata,
    Column("bot_id", BigInteger, primary_key=True),
    Column("code_hash", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
)

# What was done on the admin page. No foreign key: the rows are pruned earlier.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("role", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("row_id", Integer, nullable=False),
    Column("chat_id", BigInteger),
    sqlite_autoincrement=True,
)
Index("ix_audit_at", audit.c.at)

# What each user took of their limits, where there are some: the messages of a minute, the turns of a day.
allowance = Table(
    "allowance",
    metadata,
    Column("bot_id", BigInteger, primary_key=True),
    Column("user_id", BigInteger, primary_key=True),
    Column("span", Text, primary_key=True),
    # When the minute or day began in which they were counted (Unix time in seconds, UTC).
    Column("began", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    CheckConstraint("span IN ('minute', 'day')", "span"),
)

# What people in a group said to each other lately, a line each: context for the next turn there. Few for each
# place; a topic of 0 is none.
overheard = Table(
    "overheard",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("bot_id", BigInteger, nullable=False),
    Column("update_id", BigInteger, nullable=False),
    Column("chat_id", BigInteger, nullable=False),
    Column("topic_id", BigInteger, nullable=False),
    Column("line", Text, nullable=False),
    UniqueConstraint("bot_id", "update_id"),
    sqlite_autoincrement=True,
)
Index("ix_overheard_place", overheard.c.bot_id, overheard.c.chat_id, overheard.c.topic_id, overheard.c.id)
