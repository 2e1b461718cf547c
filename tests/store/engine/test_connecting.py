"""What a server refuses is one line with what to do, without a password; what may pass is waited for."""

import asyncio
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import psycopg
import pytest
from sqlalchemy import Connection, text

from tests import postgres
from tests.pgbouncer import pgbouncer
from tests.waiting import DEADLINE_SECONDS, STEP_SECONDS
from tgbot.store.engine.errors import DatabaseRefusedError, StorageError
from tgbot.store.engine.hints import CHANNEL
from tgbot.store.engine.place import place_of
from tgbot.store.engine.retry import retry_within
from tgbot.store.engine.writer import Database

T = TypeVar("T")

SECRET = "hunter2"
READY = {"server_version": "15.1", "server_encoding": "UTF8"}
UPGRADE, READ = "upgrade", "read"
TRANSACTION = "pool_mode = transaction"
SSL_REQUEST = 80877103


class FakeServer(socketserver.ThreadingTCPServer):
    """Speaks as much of the protocol as a client sees before its first query."""

    daemon_threads = True

    def __init__(self, refusal: str, tls: bytes, **parameters: str) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.refusal, self.tls = refusal, tls
        self.parameters = READY | parameters

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://me:{SECRET}@127.0.0.1:{self.server_address[1]}/bots"


class _Session(socketserver.StreamRequestHandler):
    server: FakeServer

    def handle(self) -> None:
        while (code := self._startup()) == SSL_REQUEST:
            self.wfile.write(self.server.tls)
        if code and self.server.refusal:
            self._send(b"E", b"SFATAL\0C08000\0M" + self.server.refusal.encode() + b"\0\0")
        elif code:
            self._let_in()

    def _startup(self) -> int:
        """Read what a client begins with; 0 if it has gone."""
        length, code = struct.unpack("!ii", self.rfile.read(8) or bytes(8))
        self.rfile.read(max(0, length - 8))
        return int(code)

    def _let_in(self) -> None:
        self._send(b"R", struct.pack("!i", 0))
        for pair in self.server.parameters.items():
            self._send(b"S", b"".join(word.encode() + b"\0" for word in pair))
        self._send(b"K", struct.pack("!ii", 7, 7))
        self._send(b"Z", b"I")
        self.rfile.read()  # until the client has gone

    def _send(self, kind: bytes, body: bytes) -> None:
        self.wfile.write(kind + struct.pack("!i", len(body) + 4) + body)


@contextmanager
def fake_server(refusal: str = "", tls: bytes = b"N", **parameters: str) -> Iterator[FakeServer]:
    with FakeServer(refusal, tls, **parameters) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def roles(postgres_server: postgres.Server) -> Iterator[postgres.Server]:
    """A server with some roles, and with databases that do not fit."""
    run = postgres_server.run
    run(f"CREATE ROLE ann LOGIN PASSWORD '{SECRET}'")
    run("CREATE ROLE nologin")
    run("CREATE ROLE full_up LOGIN CONNECTION LIMIT 0")
    run("CREATE DATABASE mine OWNER ann")
    run("CREATE DATABASE others")
    run("CREATE DATABASE closed")
    run("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    run("CREATE DATABASE old ENCODING 'SQL_ASCII' TEMPLATE template0")
    lines = ["local all ann scram-sha-256", "local all nologin trust", "local all full_up trust"]
    with postgres_server.lets_in(*lines, "local all root,peer peer", "local all nobody trust"):
        yield postgres_server
    for name in ("mine", "others", "closed", "old"):
        run(f"DROP DATABASE {name}")
    for name in ("ann", "nologin", "full_up"):
        run(f"DROP ROLE {name}")


def refused(url: str, operation: str = READ) -> StorageError:
    """Give what is said against this URL: one line that names it, with no password in it."""
    place = place_of(url)
    with pytest.raises(StorageError) as raised:
        place.upgrade() if operation == UPGRADE else place.read_once(one)
    line = str(raised.value)
    assert line.startswith(f"{place}: ")
    assert "\n" not in line
    assert SECRET not in line
    return raised.value


def one(conn: Connection) -> int:
    return int(conn.execute(text("SELECT 1")).scalar_one())


@pytest.mark.parametrize(
    ("who", "database", "operation", "said"),
    [
        ("ann:wrong", "mine", READ, "wrong password for the role ann: correct it in the URL"),
        ("ann", "mine", READ, "it asks for a password: write it into the URL"),
        (f"ann:{SECRET}", "nope", READ, "the server has no database nope: make it (`createdb nope`)"),
        ("nobody", "mine", READ, "the server lets no role nobody log in: make it (`createuser nobody`)"),
        ("nologin", "mine", READ, "the server lets no role nologin log in"),
        ("peer", "mine", READ, "the server does not take this process for peer"),
        ("stranger", "mine", READ, "the server lets this role in with TLS only, or not from here"),
        (
            f"ann:{SECRET}",
            "closed",
            READ,
            "this role may not connect to it: GRANT CONNECT ON DATABASE closed",
        ),
        (
            f"ann:{SECRET}",
            "others",
            UPGRADE,
            "may not do that (permission denied for schema public): let the",
        ),
        ("postgres", "old", READ, "its encoding is SQL_ASCII, not UTF8: make one with `createdb"),
    ],
)
def test_what_only_a_person_can_change_is_one_line_with_what_to_do(
    roles: postgres.Server, who: str, database: str, operation: str, said: str
) -> None:
    error = refused(roles.url(database, who), operation)
    assert said in str(error)
    assert isinstance(error, DatabaseRefusedError)


def test_a_role_that_owns_its_database_may_do_all_that_is_needed(roles: postgres.Server) -> None:
    assert place_of(roles.url("mine", f"ann:{SECRET}")).upgrade()


def test_a_role_without_any_schema_is_told_what_it_lacks(roles: postgres.Server) -> None:
    roles.run("ALTER ROLE ann IN DATABASE others SET search_path = nowhere")
    error = refused(roles.url("others", f"ann:{SECRET}"), UPGRADE)
    assert "has no schema to make tables in (no schema has been selected to create in): let the role" in str(
        error
    )
    roles.run("ALTER ROLE ann IN DATABASE others RESET search_path")


def test_what_may_pass_is_another_error(roles: postgres.Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for url, said in (
        (roles.url("mine", "full_up"), "the server takes no more connections: raise its max_connections"),
        (
            f"postgresql+psycopg://me:{SECRET}@127.0.0.1:{port}/bots",
            "no server answers there: start PostgreSQL",
        ),
        ("postgresql+psycopg:///bots?host=/nowhere", "no server answers there: start PostgreSQL"),
        (f"postgresql+psycopg://me:{SECRET}@no.invalid/bots", "the name of the host no.invalid is not known"),
    ):
        error = refused(url)
        assert said in str(error)
        assert not isinstance(error, DatabaseRefusedError)


@pytest.mark.parametrize(
    "words",
    ["the database system is starting up", "Passwort-Authentifizierung für Benutzer »me« fehlgeschlagen"],
)
def test_words_that_are_not_known_are_shown_and_may_pass(words: str) -> None:
    with fake_server(words) as server:
        error = refused(server.url)
    assert words in str(error)
    assert not isinstance(error, DatabaseRefusedError)


def test_a_server_that_is_too_old_is_refused() -> None:
    with fake_server(server_version="13.22") as server:
        error = refused(server.url)
    assert "it is PostgreSQL 13: 14 or newer is needed" in str(error)
    assert isinstance(error, DatabaseRefusedError)


@pytest.mark.parametrize(
    ("option", "tls", "said"),
    [
        ("sslmode=require", b"N", "the server has no TLS: turn it on there, or take sslmode out of the URL"),
        (
            "sslmode=verify-full&sslrootcert=nowhere.pem",
            b"S",
            "the server's certificate is not trusted (conn",
        ),
        ("sslmode=maybe", b"N", 'the URL cannot be used (invalid sslmode value: "maybe"): correct it'),
        ("colour=red", b"N", 'the URL cannot be used (invalid connection option "colour"): correct it'),
    ],
)
def test_an_option_of_the_url_that_does_not_fit_is_named(option: str, tls: bytes, said: str) -> None:
    with fake_server(tls=tls) as server:
        error = refused(f"{server.url}?password={SECRET}&{option}")
    assert said in str(error)
    assert isinstance(error, DatabaseRefusedError)


async def test_what_only_a_person_can_change_is_not_waited_for_at_a_start_but_while_the_bot_runs() -> None:
    errors = [DatabaseRefusedError("wrong password")]

    async def attempt() -> None:
        if errors:
            raise errors.pop()

    with pytest.raises(DatabaseRefusedError):
        await retry_within(DEADLINE_SECONDS, attempt, DatabaseRefusedError)

    errors.append(DatabaseRefusedError("wrong password"))
    await retry_within(DEADLINE_SECONDS, attempt)


@pytest.mark.parametrize(
    "settings",
    [
        (TRANSACTION,),
        (TRANSACTION, "server_round_robin = 1"),
        (TRANSACTION, "server_reset_query_always = 1"),
        (TRANSACTION, "default_pool_size = 1"),
        ("pool_mode = statement",),
    ],
)
def test_a_pooler_in_transaction_mode_is_refused_also_while_others_use_it(
    postgres_server: postgres.Server, settings: tuple[str, ...]
) -> None:
    with postgres_server.empty_database() as direct, pgbouncer(postgres_server, *settings) as query:
        url = f"{direct.partition('?')[0]}?{query}"
        assert place_of(direct).read_once(one) == 1
        errors = [refused(url), *_at_once(30, lambda: refused(url))]
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as somebody:
            left = somebody.execute("SHOW idle_in_transaction_session_timeout").fetchone()
        assert left == ("0",), "nothing that we set is left to others"
    said = "a pooler in transaction mode is between, which loses notifications and a session's settings"
    assert all(f"{said}: connect to the server itself, or set pool_mode=session" in str(e) for e in errors)
    assert {type(error) for error in errors} == {DatabaseRefusedError}


async def test_through_a_pooler_in_session_mode_all_is_as_without_one(
    postgres_server: postgres.Server,
) -> None:
    with (
        postgres_server.empty_database() as direct,
        pgbouncer(postgres_server, "pool_mode = session", "default_pool_size = 50") as query,
    ):
        place = place_of(f"{direct.partition('?')[0]}?{query}")
        assert await asyncio.to_thread(_at_once, 30, lambda: place.read_once(one)) == [1] * 30
        assert place.read_once(_lock_timeout) == "10s"
        async with place.database() as db:
            heard: list[str] = []
            hearing = asyncio.create_task(_hear(db, heard))
            while not heard:  # nobody says when it listens
                await db.write(lambda conn: conn.execute(text(f"NOTIFY {CHANNEL}, 'now'")))
                await asyncio.sleep(STEP_SECONDS)
            hearing.cancel()
            await asyncio.wait({hearing})
    assert set(heard) == {"now"}


async def _hear(db: Database, heard: list[str]) -> None:
    async for hint in db.hints():
        heard.append(hint)  # noqa: PERF401 - who waits looks at it meanwhile


def _lock_timeout(conn: Connection) -> object:
    return conn.execute(text("SHOW lock_timeout")).scalar()


def _at_once(times: int, call: Callable[[], T]) -> list[T]:
    with ThreadPoolExecutor(10) as threads:
        return [future.result() for future in [threads.submit(call) for _ in range(times)]]
