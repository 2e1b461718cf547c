"""Tables and constraints: the state machine as the database enforces it, and Alembic's target."""

from tgbot.store.schema.agents import history, ledger, question, session_value, usage
from tgbot.store.schema.base import FRONT, box_of, metadata
from tgbot.store.schema.people import allowance, allowed, audit, overheard, pairing, stranger
from tgbot.store.schema.rows import chat_lease, guard, instance, pending, role, turn
from tgbot.store.schema.sending import disorder, file, file_piece, outbox, second_look

__all__ = [
    "FRONT",
    "allowance",
    "allowed",
    "audit",
    "box_of",
    "chat_lease",
    "disorder",
    "file",
    "file_piece",
    "guard",
    "history",
    "instance",
    "ledger",
    "metadata",
    "outbox",
    "overheard",
    "pairing",
    "pending",
    "question",
    "role",
    "second_look",
    "session_value",
    "stranger",
    "turn",
    "usage",
]
