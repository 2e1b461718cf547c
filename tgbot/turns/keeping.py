"""Puts the files that an agent said into the database, before the ending that names them."""

import dataclasses

from tgbot.model import Album, File, KeptAlbum, KeptFile, RowId
from tgbot.store import files
from tgbot.store.engine.writer import Database
from tgbot.store.turns import Ending
from tgbot.turns.agent import Run


async def kept(db: Database, ending: Ending, row_id: RowId) -> Ending:
    """Replace each file by the one that is kept for it. Raises StorageError."""
    if not any(isinstance(one, File | Album) for one in ending.said):
        return ending
    said = [
        await keep(db.write, one, row_id) if isinstance(one, File | Album) else one for one in ending.said
    ]
    return dataclasses.replace(ending, said=said)


async def keep(write: Run, said: File | Album, row_id: RowId) -> KeptFile | KeptAlbum:
    """Put files into the database, where they stay at least until the row has ended."""
    if isinstance(said, Album):
        return KeptAlbum([await _keep_file(write, file, row_id) for file in said.files])
    return await _keep_file(write, said, row_id)


async def _keep_file(write: Run, file: File, row_id: RowId) -> KeptFile:
    file_id = await write(files.begin, row_id)
    for number, start in enumerate(range(0, len(file.content), files.PIECE_BYTES)):
        piece = file.content[start : start + files.PIECE_BYTES]
        await write(files.add, file_id, number, piece)
    return KeptFile(file.name, file_id, file.kind, file.caption)
