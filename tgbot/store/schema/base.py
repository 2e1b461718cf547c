"""What all tables share: names of constraints, the type of numbers, and values that statements name."""

from typing import Any

import sqlalchemy
from sqlalchemy import BigInteger, ColumnElement, MetaData, case, literal_column

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite makes an AUTOINCREMENT of this word only, and means 64 bits by it; PostgreSQL means 32.
Integer = BigInteger().with_variant(sqlalchemy.Integer(), "sqlite")

# The place of a row that is queued again: its turn was interrupted, or asked something.
FRONT = -1_000_000_000


def box_of(chat_id: Any) -> ColumnElement[int]:  # noqa: ANN401 - a column or a parameter
    """Make the SQL expression of the sequence that numbers the messages of a chat.

    Private chats and basic groups of a bot share one, 0; a supergroup or channel has its own, its id.
    """
    return case((chat_id > literal_column("-1000000000000"), literal_column("0")), else_=chat_id)
