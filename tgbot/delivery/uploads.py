"""Reads the content of files that are to be uploaded."""

from collections.abc import Sequence

from tgbot.delivery import kinds
from tgbot.model import FileId, Part
from tgbot.store import files
from tgbot.store.engine.writer import Database
from tgbot.telegram.client import Upload


async def uploads_of(db: Database, parts: Sequence[Part]) -> list[Upload]:
    """Read the files of these parts. Raises StorageError."""
    return [
        kinds.upload(part, await _content(db, part.file_id)) for part in parts if part.file_id is not None
    ]


async def _content(db: Database, file_id: FileId) -> bytes:
    content = bytearray()
    number = 0
    while (piece := await db.read(files.piece, file_id, number)) is not None:
        content += piece
        number += 1
    return bytes(content)
