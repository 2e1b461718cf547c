"""What happens to files of a database, and how they are."""

import sqlite3
from contextlib import closing
from pathlib import Path


def damage(path: Path, table: str) -> None:
    """Overwrite the first page of a table or an index, as a failing disk does."""
    with closing(sqlite3.connect(path)) as raw:
        ((page,),) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,))
        ((size,),) = raw.execute("PRAGMA page_size")
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


def mode(path: Path) -> int:
    """Give who may do what with it, 0o600 say."""
    return path.stat().st_mode & 0o777
