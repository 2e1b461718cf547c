"""Tables and constraints: the state machine as the database enforces it, and Alembic's target."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
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
    case,
    literal_column,
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

# The place of a row that is queued again: its turn was interrupted, or asked something.
FRONT = -1_000_000_000


def box_of(chat_id: Any) -> ColumnElement[int]:  # noqa: ANN401 - a column or a parameter
    """Make the SQL expression of the sequence that numbers the messages of a chat.

    Private chats and basic groups of a bot share one, 0; a supergroup or channel has its own, its id.
    """
    return case((chat_id > literal_column("-1000000000000"), literal_column("0")), else_=chat_id)


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
_TIMED: TextClause = text("state = 'queued' AND not_before IS NOT NULL")
Index(
    "ix_pending_queued",
    pending.c.session_key,
    pending.c.place,
    pending.c.id,
    sqlite_where=_QUEUED,
    postgresql_where=_QUEUED,
)
Index("ix_pending_held", pending.c.session_key, pending.c.id, sqlite_where=_HELD, postgresql_where=_HELD)
Index("ix_pending_asking", pending.c.session_key, sqlite_where=_ASKING, postgresql_where=_ASKING)
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

# The bytes of a file that an answer carries, in pieces, so that no write holds the others up for long.
file = Table(
    "file",
    metadata,
    Column("id", Integer, primary_key=True),
    # The row whose turn got it from a tool, and must find it again when it runs once more.
    Column("pending_id", Integer, ForeignKey("pending.id")),
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
        "kind IN ('text', 'rich', 'reply', 'notice', 'ping', 'photo', 'document', 'voice', 'surplus')", "kind"
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
Index(
    "ix_outbox_unsent",
    *(outbox.c.bot_id, outbox.c.chat_id, outbox.c.id),
    sqlite_where=_UNSENT,
    postgresql_where=_UNSENT,
)
Index(
    "ix_outbox_in_flight",
    outbox.c.bot_id,
    outbox.c.chat_id,
    unique=True,
    sqlite_where=_IN_FLIGHT,
    postgresql_where=_IN_FLIGHT,
)
Index("ix_outbox_uncertain", outbox.c.uncertain_until, sqlite_where=_UNCERTAIN, postgresql_where=_UNCERTAIN)
Index("ix_outbox_parked", outbox.c.id, sqlite_where=_PARKED, postgresql_where=_PARKED)
Index("ix_outbox_reaction", outbox.c.id, sqlite_where=_REACTION, postgresql_where=_REACTION)
Index("ix_outbox_file", outbox.c.file_id, sqlite_where=_OF_FILE, postgresql_where=_OF_FILE)
# Which message ids are known: what is not known between two of them may be a message whose reply was lost.
# The rest of the columns is what the search for messages between a question and its answer reads.
Index(
    "ix_pending_box",
    *(pending.c.bot_id, pending.c.box, pending.c.message_id, pending.c.chat_id, pending.c.lead_id),
)
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
    postgresql_where=_ASKED,
)

# The code that makes its sender the owner of a bot that has none; only its hash is kept.
pairing = Table(
    "pairing",
    metadata,
    Column("bot_id", BigInteger, primary_key=True),
    Column("code_hash", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
)

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
    Column("turn_id", Integer, ForeignKey("turn.id"), nullable=False),
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
    postgresql_where=_BOUNDARY,
)
Index("ix_history_undo", history.c.target_id, sqlite_where=_UNDO, postgresql_where=_UNDO)

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
