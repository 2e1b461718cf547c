"""Puts the files that an agent said into the database, before the ending that names them."""

import dataclasses

from tgbot.model import Album, File, KeptAlbum, KeptFile, RowId
from tgbot.store import files, parts
from tgbot.store.engine.writer import Database
from tgbot.store.turns import Ending
from tgbot.turns.agent import Write


async def kept(db: Database, ending: Ending) -> Ending:
    """Replace each file by the one that is kept for it. Raises StorageError."""
    if not any(isinstance(one, File | Album) for one in ending.said):
        return ending
    return dataclasses.replace(ending, said=[await _keep(db, one) for one in ending.said])


async def _keep(db: Database, said: parts.Said) -> parts.Said:
    match said:
        case File():
            return await keep_file(db.write, said)
        case Album():
            return KeptAlbum([await keep_file(db.write, file) for file in said.files])
        case _:
            return said


async def keep_file(write: Write, file: File, row_id: RowId | None = None) -> KeptFile:
    """Put a file into the database; it stays at least until the row has ended."""
    file_id = await write(files.begin, row_id)
    for number, start in enumerate(range(0, len(file.content), files.PIECE_BYTES)):
        piece = file.content[start : start + files.PIECE_BYTES]
        await write(files.add, file_id, number, piece)
    return KeptFile(file.name, file_id, file.kind, file.caption)
