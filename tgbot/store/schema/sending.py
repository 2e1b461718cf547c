"""The tables of delivery: the parts of answers, and what is known about where they are shown."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    text,
)

from tgbot.store.schema.base import Integer, metadata

# The bytes of a file that an answer carries, in pieces, so that no write holds the others up for long.
file = Table(
    "file",
    metadata,
    Column("id", Integer, primary_key=True),
    # The row whose answer it is for. What a tool gave, its turn must find again when it runs once more.
    Column("pending_id", Integer, ForeignKey("pending.id"), nullable=False),
    sqlite_autoincrement=True,
)
file_piece = Table(
    "file_piece",
    metadata,
    Column("file_id", Integer, ForeignKey("file.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

# ready: to be sent, or edited into the message that it has. sending: a request may be under way, but only
# of this process. unknown: nobody knows whether it was sent. growing: on screen, its turn goes on.
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
    # Which sequence the message id belongs to (`box_of`).
    Column("box", BigInteger, nullable=False),
    Column("topic_id", BigInteger),
    Column("reply_to", BigInteger),
    Column("silent", Boolean, nullable=False, server_default="0"),
    Column("message_id", BigInteger),
    Column("text", Text),
    Column("entities", Text),
    Column("buttons", Text),
    Column("file_name", Text),
    # No foreign key: the file is deleted when its part is on screen.
    Column("file_id", Integer),
    # Equal in all parts of an album, which are one request: the original number of its first part.
    Column("album", Integer),
    # Since when the content is final; NULL while its turn may add to it.
    Column("ready_at", Float),
    # The newest message id that was known in its box before it was sent: its own is larger.
    Column("floor", BigInteger),
    # The id of a "…" that was sent after it: its own is smaller.
    Column("ceiling", BigInteger),
    # What the request of unknown outcome says, where the content has changed since.
    Column("sent_text", Text),
    # It may be on screen a second time, which it says itself.
    Column("duplicate", Boolean, nullable=False, server_default="0"),
    # It completed an answer, or was parked, and the reaction to the question may not be shown yet.
    Column("reaction_due", Boolean, nullable=False, server_default="0"),
    # How often it failed though other requests succeeded.
    Column("tries", Integer, nullable=False, server_default="0"),
    # By then every preview of unknown outcome has arrived; it may have overwritten the final text.
    Column("uncertain_until", Float),
    Column("error", Text),
    # By row, not by turn: a second attempt writes into the messages of the first.
    UniqueConstraint("pending_id", "part"),
    CheckConstraint(
        "kind IN ('text', 'rich', 'reply', 'notice', 'card', 'ping', 'photo', 'document', 'voice',"
        " 'surplus')",
        "kind",
    ),
    CheckConstraint("state IN ('ready', 'sending', 'unknown', 'growing', 'sent', 'parked')", "state"),
    CheckConstraint("state NOT IN ('growing', 'sent') OR message_id IS NOT NULL", "shown_in_a_message"),
    CheckConstraint(
        "kind != 'surplus' OR message_id IS NOT NULL OR state IN ('sending', 'unknown')", "surplus_is_shown"
    ),
    CheckConstraint("coalesce(text, '') != '' OR file_id IS NOT NULL OR state = 'sent'", "has_content"),
    CheckConstraint("state NOT IN ('ready', 'sent') OR ready_at IS NOT NULL", "final"),
    # Only with its floor on disk may a part be sent, and only one of a chat at a time.
    CheckConstraint("(state IN ('sending', 'unknown')) = (floor IS NOT NULL)", "floor_while_sending"),
    CheckConstraint("state NOT IN ('sending', 'unknown') OR message_id IS NULL", "sending_is_not_shown"),
    CheckConstraint("ceiling IS NULL OR state = 'unknown'", "ceiling_while_unknown"),
    CheckConstraint("(part = 0) = (first_id IS NULL)", "part_0_is_first"),
    CheckConstraint("(state = 'parked') = (error IS NOT NULL)", "parked_for_a_reason"),
    sqlite_autoincrement=True,
)

_UNSENT: TextClause = text("state IN ('ready', 'sending', 'unknown')")
_IN_FLIGHT: TextClause = text("state IN ('sending', 'unknown')")
_PARKED: TextClause = text("state = 'parked'")
_UNCERTAIN: TextClause = text("uncertain_until IS NOT NULL")
_REACTION: TextClause = text("reaction_due")
_OF_FILE: TextClause = text("file_id IS NOT NULL")
_CARD: TextClause = text("kind = 'card'")
Index(
    "ix_outbox_unsent",
    *(outbox.c.bot_id, outbox.c.chat_id, outbox.c.id),
    sqlite_where=_UNSENT,
)
Index(
    "ix_outbox_in_flight",
    outbox.c.bot_id,
    outbox.c.chat_id,
    unique=True,
    sqlite_where=_IN_FLIGHT,
)
Index("ix_outbox_uncertain", outbox.c.uncertain_until, sqlite_where=_UNCERTAIN)
Index("ix_outbox_parked", outbox.c.id, sqlite_where=_PARKED)
Index("ix_outbox_reaction", outbox.c.id, sqlite_where=_REACTION)
Index("ix_outbox_card", outbox.c.pending_id, sqlite_where=_CARD)
Index("ix_outbox_file", outbox.c.file_id, sqlite_where=_OF_FILE)
# The same of what the bot sent.
Index(
    "ix_outbox_box",
    *(outbox.c.bot_id, outbox.c.box, outbox.c.message_id, outbox.c.chat_id, outbox.c.pending_id),
)

# A settled request may take effect late, when its content is on screen already: a second look is due then.
second_look = Table(
    "second_look",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("bot_id", BigInteger, nullable=False),
    Column("pending_id", Integer, ForeignKey("pending.id"), nullable=False),
    Column("chat_id", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("due_at", Float, nullable=False),
)
Index("ix_second_look_due", second_look.c.bot_id, second_look.c.due_at)

# A box whose message ids were seen not to grow: nothing can be concluded from them any more.
disorder = Table(
    "disorder",
    metadata,
    Column("bot_id", BigInteger, primary_key=True),
    Column("box", BigInteger, primary_key=True),
)
