"""A PostgreSQL of the tests' own: one server a process of pytest, whose databases are used again."""

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, event, text

from tests.needed import need
from tests.waiting import STEP_SECONDS
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.postgres.text import accept_nul
from tgbot.store.schema import metadata

FOLDER = Path("/usr/lib/postgresql")  # Debian's; the newest version in it
USER = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
TEMPLATE = "migrated"
# What a power cut would do to it is no question here.
OPTIONS = (
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "autovacuum=off",
    "lock_timeout=20s",
)
# It ends with the process that it is for, however that ends: then there is nothing more to read.
SCRIPT = """
$0/initdb -D data -U postgres -A trust -E UTF8 --locale=C --no-sync > /dev/null &&
    $0/pg_ctl -D data -l log -w -o "-k $PWD -h '' $*" start > /dev/null && echo ready && cat || cat log >&2
$0/pg_ctl -D data -m immediate stop > /dev/null
rm -r "$PWD"
"""
TABLES = [table.name for table in metadata.sorted_tables]
EMPTY = "{}"
VACUUM_EVERY = 20  # uses: what was deleted slows the rest down
# To put other rows into a database takes a hundredth of what it takes to make one.
FUNCTIONS = """
CREATE FUNCTION content() RETURNS text LANGUAGE sql AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object({rows}, 'sequences', (
        SELECT jsonb_object_agg(seqrelid::regclass, pg_sequence_last_value(seqrelid))
        FROM pg_sequence WHERE pg_sequence_last_value(seqrelid) IS NOT NULL
    )))::text
$$;
CREATE FUNCTION put_back(content jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    SET LOCAL session_replication_role = replica; -- no foreign key is checked
    {deletes}
    PERFORM setval(seqrelid, 1, false) FROM pg_sequence WHERE pg_sequence_last_value(seqrelid) IS NOT NULL;
    IF content != '{{}}' THEN
        {inserts}
        PERFORM setval(key::regclass, value::bigint) FROM jsonb_each_text(content -> 'sequences');
    END IF;
    SET LOCAL session_replication_role = DEFAULT;
END $$;
"""
ROWS = "'{0}', (SELECT jsonb_agg({0}) FROM {0})"
INSERT = "INSERT INTO {0} SELECT * FROM jsonb_populate_recordset(NULL::{0}, content -> '{0}');"


class Database:
    """One database, and its one engine; `step` is called before each statement and commit."""

    def __init__(self, url: str) -> None:
        self.step: Callable[[], object] = _nothing
        self._content: str | None = None  # until the next commit
        self._uses = itertools.count(1)
        self.engine = create_engine(url)
        self._aside = create_engine(url, isolation_level="AUTOCOMMIT")
        event.listen(self.engine, "do_connect", self._connect)

    def content(self) -> str:
        """Read all that is committed, whatever the engine is in the middle of."""
        if self._content is None:
            with self._aside.connect() as conn:
                self._content = str(conn.execute(text("SELECT content()")).scalar())
        return self._content

    def put_back(self, content: str) -> None:
        self._content = content
        with self._aside.connect() as conn:
            conn.execute(text("SELECT put_back(CAST(:content AS jsonb))"), {"content": content})
            if next(self._uses) % VACUUM_EVERY == 0:
                conn.execute(text(f"VACUUM {', '.join(TABLES)}"))

    def dispose(self) -> None:
        self.engine.dispose()
        self._aside.dispose()

    def _connect(self, _: object, __: object, words: Any, options: Any) -> psycopg.Connection:  # noqa: ANN401 - as SQLAlchemy has them
        database = self

        class Cursor(psycopg.Cursor[Any]):
            def execute(self, *words: Any, **options: Any) -> "Cursor":  # noqa: ANN401 - as the driver has them
                database.step()
                return super().execute(*words, **options)

            def executemany(self, *words: Any, **options: Any) -> None:  # noqa: ANN401 - same
                database.step()
                super().executemany(*words, **options)

        class Connection(psycopg.Connection[Any]):
            def commit(self) -> None:
                database.step()
                super().commit()
                database._content = None

        made = Connection.connect(*words, **options, cursor_factory=Cursor)
        made.prepare_threshold, made.prepared_max = 1, 1000
        accept_nul(made)
        return made


class Server:
    """A server that listens on a socket in its folder, and nowhere else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._admin = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        self._idle: list[Database] = []
        self._numbers = itertools.count()

    def begin(self) -> None:
        """Make the database that the others are copies of."""
        with self._begin_in(TEMPLATE) as conn:
            _migrate(conn)
            _add_functions(conn)

    @contextmanager
    def blank(self) -> Iterator[Connection]:
        """Give a connection to a database without any table."""
        with self._begin_in("blank") as conn:
            yield conn
        self.run("DROP DATABASE blank")

    @contextmanager
    def _begin_in(self, name: str) -> Iterator[Connection]:
        self.run(f"CREATE DATABASE {name}")
        engine = create_engine(self.url(name))
        with engine.begin() as conn:
            yield conn
        engine.dispose()  # nobody may be in it when it is copied, or dropped

    @contextmanager
    def database(self, content: str = EMPTY) -> Iterator[Database]:
        """Give a migrated database with this content."""
        given = self._idle.pop() if self._idle else self._new()
        given.put_back(content)
        try:
            yield given
        finally:
            given.step = _nothing
            self._idle.append(given)

    def _new(self) -> Database:
        name = f"test_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return Database(self.url(name))

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """Give the URL of a database with nothing in it, which loses nothing when the server crashes."""
        name = f"empty_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        self.run(f"ALTER DATABASE {name} SET synchronous_commit = on")
        yield self.url(name)
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def lets_in(self, *lines: str) -> Iterator[None]:
        """Let in whom these lines of pg_hba.conf let in, and ourselves."""
        file = self.folder / "data" / "pg_hba.conf"
        before = file.read_text()
        file.write_text("\n".join(["local all postgres trust", *lines, ""]))
        self._reload()
        yield
        file.write_text(before)
        self._reload()

    def _reload(self) -> None:
        before = self._loaded_at()
        self.run("SELECT pg_reload_conf()")
        while self._loaded_at() == before:
            time.sleep(STEP_SECONDS)

    def _loaded_at(self) -> object:
        self._admin.dispose()  # a new connection knows what the next ones are let in by
        with self._admin.connect() as conn:
            return conn.execute(text("SELECT pg_conf_load_time()")).scalar()

    def restart(self, how: str) -> None:
        """Restart it: "fast" ends connections, "immediate" is as a crash."""
        self._control("-m", how, "-w", "restart")
        self._admin.dispose()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Stop it for a while."""
        options = (self.folder / "data" / "postmaster.opts").read_text().split(maxsplit=1)[1]
        self._control("-m", "fast", "-w", "stop")
        yield
        self._control("-w", "-o", options.replace('"', "'"), "start")
        self._admin.dispose()

    def _control(self, *words: str) -> None:
        command = [str(programs() / "pg_ctl"), "-D", "data", "-l", "log", *words]
        quiet = subprocess.DEVNULL
        subprocess.run(command, cwd=self.folder, user=USER, stdin=quiet, stdout=quiet, check=True)

    def run(self, sql: str) -> None:
        with self._admin.connect() as conn:
            conn.execute(text(sql))

    def url(self, database: str, who: str = "postgres") -> str:
        """Give the URL of a database for a role, which may be followed by a password."""
        return f"postgresql+psycopg://{who}@/{database}?host={self.folder}"

    def end(self) -> None:
        for database in self._idle:
            database.dispose()
        self._admin.dispose()


def programs() -> Path:
    """Find PostgreSQL's. Skips the test where it is not installed."""
    versions = sorted(FOLDER.glob("*/bin"), key=lambda folder: int(folder.parent.name))
    return need(versions[-1] if versions else FOLDER, "apt install postgresql")


@contextmanager
def server(options: Sequence[str] = OPTIONS) -> Iterator[Server]:
    """Start one. Skips the test where PostgreSQL is not installed."""
    folder = Path(tempfile.mkdtemp(prefix="tgbot-postgres-"))
    if USER:
        shutil.chown(folder, USER)
    with _running([str(programs()), *(f"-c {option}" for option in options)], folder):
        started = Server(folder)
        started.begin()
        yield started
        started.end()


@contextmanager
def _running(words: list[str], folder: Path) -> Iterator[None]:
    pipe = subprocess.PIPE
    command = ["sh", "-c", SCRIPT, *words]
    with subprocess.Popen(
        command, cwd=folder, user=USER, stdin=pipe, stdout=pipe, start_new_session=True
    ) as shell:
        assert shell.stdout
        assert shell.stdout.readline() == b"ready\n", "PostgreSQL does not start; it says why on stderr"
        yield


def _migrate(conn: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations"))
    config.attributes["connection"] = conn
    command.upgrade(config, "head")


def _add_functions(conn: Connection) -> None:
    functions = FUNCTIONS.format(
        rows=", ".join(map(ROWS.format, TABLES)),
        deletes=" ".join(f"DELETE FROM {name};" for name in TABLES),
        inserts=" ".join(map(INSERT.format, TABLES)),
    )
    conn.exec_driver_sql(functions)


def _nothing() -> None:
    pass
