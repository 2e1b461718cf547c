"""A database of each schema that was released, as SQL: what people have must stay readable.

Before a release, `python -m tests.store.engine.released` writes the one of the newest schema.
"""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from tests.house import raw_message
from tests.store.instance import Instance
from tgbot.store import history
from tgbot.store.engine.sqlite import migrate
from tgbot.store.engine.sqlite.opening import writing_engine

FOLDER = Path(__file__).parent / "schemas"


def write() -> Path:
    """Let a bot have something of everything, and keep that."""
    target = FOLDER / f"{migrate.REVISION}.sql"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tgbot.db"
        migrate.upgrade(path)
        _live(path)
        with closing(sqlite3.connect(path)) as raw:
            target.write_text("\n".join(raw.iterdump()) + "\n")
    return target


def read(revision: str, path: Path) -> None:
    """Make a database of that schema."""
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript((FOLDER / f"{revision}.sql").read_text())


def _live(path: Path) -> None:
    first = Instance(writing_engine(path), crashes_max=1)
    first.start("poison", chat=1)
    first.engine.dispose()
    bot = Instance(writing_engine(path), crashes_max=1)
    bot.recover()  # chat 1: dead
    answered = bot.start("answered", chat=2)
    bot.do(history.append, answered, "step", '{"said": "answered"}')
    bot.finish(answered)
    bot.send_all(2)
    bot.finish(bot.start("unsent", chat=3))
    bot.start("stopped", "on hold", chat=4)
    bot.say("/stop", chat=4)
    bot.receive({**raw_message(1, "", 5), "message": "cannot be read"})
    bot.start("interrupted", "waiting", chat=6)
    bot.engine.dispose()


if __name__ == "__main__":
    print(write())  # noqa: T201 - a command
