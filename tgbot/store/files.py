"""Keeps the bytes of files that answers carry, piece by piece, so that no write holds the others up for long.

A file is written before the ending that names it, and deleted when its part is on screen. One that nothing
names when its row has ended (a process died in between, and the row ran again) is found and deleted, too.
"""

from sqlalchemy import bindparam, delete, exists, insert, select

from tgbot.model import FileId, RowId
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import file, file_piece, guard, outbox, pending, turn

PIECE_BYTES = 1_000_000  # about 10 ms of the writer
DISCARDED_MAX = 8  # pieces deleted in one transaction

_OF_FILE = file_piece.c.file_id == bindparam("file_id")
_BEGIN = Statement(insert(file).values(pending_id=bindparam("row_id")))
_ADD = Statement(
    insert(file_piece).values(
        file_id=bindparam("file_id"), number=bindparam("number"), content=bindparam("content")
    )
)
_PIECE = Statement(select(file_piece.c.content).where(_OF_FILE, file_piece.c.number == bindparam("number")))
_UNUSED = Statement(
    select(file.c.id)
    .where(
        ~exists().where(outbox.c.file_id == file.c.id, outbox.c.state != literal("'sent'")),
        # Else its answer will name it: also that of a row that was stopped, while its turn holds the guard.
        ~exists().where(pending.c.id == file.c.pending_id, pending.c.ended_at.is_(None)),
        ~exists().where(turn.c.id == guard.c.turn_id, turn.c.pending_id == file.c.pending_id),
    )
    .order_by(file.c.id)
    .limit(literal("1"))
)
_FORGET = Statement(delete(file).where(file.c.id == bindparam("file_id")))
_DISCARD = Statement(
    delete(file_piece).where(
        _OF_FILE,
        file_piece.c.number.in_(
            select(file_piece.c.number).where(_OF_FILE).limit(literal(str(DISCARDED_MAX)))
        ),
    )
)


def begin(conn: Connection, row_id: RowId) -> FileId:
    """Make an empty file for the answer to a row; it stays at least until that has ended."""
    return FileId(_BEGIN(conn, row_id=row_id).lastrowid)


def add(conn: Connection, file_id: FileId, number: int, content: bytes) -> None:
    """Add the next piece, of PIECE_BYTES at most."""
    _ADD(conn, file_id=file_id, number=number, content=content)


def piece(conn: Connection, file_id: FileId, number: int) -> bytes | None:
    """Read one piece; None behind the last one."""
    content: bytes | None = _PIECE(conn, file_id=file_id, number=number).scalar()
    return content


def has_unused(conn: Connection) -> bool:
    """Whether `discard_unused` would find something: to look costs no commit."""
    return _UNUSED(conn).scalar() is not None


def discard_unused(conn: Connection) -> bool:
    """Delete some pieces of a file that is on screen, or that no answer names. False if there is none."""
    file_id = _UNUSED(conn).scalar()
    if file_id is None:
        return False
    discard(conn, file_id)
    return True


def discard(conn: Connection, file_id: FileId) -> bool:
    """Delete some pieces of a file, and in the end the file itself. Returns whether more are left."""
    if _DISCARD(conn, file_id=file_id).rowcount == DISCARDED_MAX:
        return True
    _FORGET(conn, file_id=file_id)
    return False
