"""Opens connections to a server: those that write, and those that only read."""

from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg.types.numeric import Int8Dumper
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.errors import storage_errors
from tgbot.store.engine.postgres import session
from tgbot.store.engine.postgres.text import accept_nul

T = TypeVar("T")

STATEMENTS_MAX = 1000  # that a connection keeps prepared; there are fewer
PROBES = {"keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}
CONNECT_SECONDS = 5

WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED"
READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"  # it sees one state


def engine(url: str, begin: str | None = None) -> Engine:
    """Make an engine of one connection at a time, which is made anew when it is lost.

    A transaction begins with `begin`, or has to be begun by whoever uses it.
    """
    made = create_engine(
        url,
        pool_size=1,
        max_overflow=0,
        pool_pre_ping=True,
        isolation_level="AUTOCOMMIT",  # the driver's own BEGIN would be a round trip more
        connect_args={"connect_timeout": CONNECT_SECONDS, **PROBES},
    )

    @event.listens_for(made, "do_connect")
    def connect(_: object, __: object, words: list[Any], options: dict[str, Any]) -> psycopg.Connection[Any]:
        raw = psycopg.connect(*words, **options)
        try:
            session.prepare(raw, lambda: psycopg.connect(*words, **options), name_of(url))
        except BaseException:
            raw.close()
            raise
        return raw

    @event.listens_for(made, "connect")
    def connected(raw: psycopg.Connection[Any], _: object) -> None:
        raw.prepare_threshold = 1
        raw.prepared_max = STATEMENTS_MAX
        # By itself it would choose the type by the size of each number: one plan for every size.
        raw.adapters.register_dumper(int, Int8Dumper)
        accept_nul(raw)

    @event.listens_for(made, "begin")
    def begun(conn: Connection) -> None:
        if begin:
            driver_of(conn).execute(begin)

    return made


def name_of(url: str) -> str:
    """Name the database for people, without a password."""
    # libpq takes one behind the `?`, too.
    shown = make_url(url).difference_update_query(["password", "sslpassword"])
    return shown.render_as_string(hide_password=True)


def once(url: str, begin: str, operation: Callable[[Connection], T]) -> T:
    """Run one operation as a transaction on a connection of its own. Raises StorageError."""
    made = engine(url, begin)
    try:
        with storage_errors(f"{name_of(url)}: "), made.begin() as conn:
            return operation(conn)
    finally:
        made.dispose()


def driver_of(conn: Connection) -> psycopg.Connection[Any]:
    """Give psycopg's own connection."""
    driver = conn.connection.dbapi_connection
    assert isinstance(driver, psycopg.Connection)
    return driver
