"""Files that messages are in: only their owner may read them."""

import os
from pathlib import Path

from tgbot.store.engine.errors import StorageError

MODE = 0o600
FOLDER_MODE = 0o700


def create_private(path: Path) -> None:
    """Make an empty file that only its owner may read, under any umask; one that is there stays as it is.

    SQLite gives the files beside a database the mode of the database. Raises StorageError.
    """
    try:
        fd = os.open(path.resolve(), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    except FileExistsError:
        return  # and was not opened: closing it would free every lock that SQLite holds on it
    except OSError as error:
        raise StorageError(f"cannot make {path}: {error.strerror}") from error
    os.fchmod(fd, MODE)
    os.close(fd)


def create_private_folder(path: Path) -> None:
    """Make a folder that only its owner may enter, under any umask; one that is there stays as it is.

    Raises OSError.
    """
    try:
        path.mkdir(FOLDER_MODE)
    except FileExistsError:
        return
    path.chmod(FOLDER_MODE)
