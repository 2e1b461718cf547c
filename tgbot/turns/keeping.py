"""Puts the files that an agent said into the database, before the ending that names them."""

import dataclasses

from tgbot.model import Album, File, KeptAlbum, KeptFile
from tgbot.store import files, parts
from tgbot.store.engine.writer import Database
from tgbot.store.turns import Ending


async def kept(db: Database, ending: Ending) -> Ending:
    """Replace each file by the one that is kept for it. Raises StorageError."""
    if not any(isinstance(one, File | Album) for one in ending.said):
        return ending
    return dataclasses.replace(ending, said=[await _keep(db, one) for one in ending.said])


async def _keep(db: Database, said: parts.Said) -> parts.Said:
    match said:
        case File():
            return await _keep_file(db, said)
        case Album():
            return KeptAlbum([await _keep_file(db, file) for file in said.files])
        case _:
            return said


async def _keep_file(db: Database, file: File) -> KeptFile:
    file_id = await db.write(files.begin)
    for number, start in enumerate(range(0, len(file.content), files.PIECE_BYTES)):
        piece = file.content[start : start + files.PIECE_BYTES]
        await db.write(files.add, file_id, number, piece)
    return KeptFile(file.name, file_id, file.kind, file.caption)
