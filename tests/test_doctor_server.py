"""`tgbot doctor` on a PostgreSQL server: a line for each thing that it looks at, and what to do about it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.pgbouncer import pgbouncer
from tests.terminal import tgbot
from tgbot.doctor import server as judges
from tgbot.store.engine.place import place_of
from tgbot.store.engine.postgres import health


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.server() as started:
        yield started


@pytest.fixture
def url(server: postgres.Server) -> Iterator[str]:
    with server.empty_database() as made:
        yield made


def doctor(folder: Path, url: str) -> dict[str, str]:
    """Give the lines about the database, by the name of each."""
    settings = {"TGBOT_API_URL": "http://127.0.0.1:1", "TGBOT_TOKEN": "1:x", "TGBOT_DATABASE_URL": url}
    lines = [line.split(": ", 1) for line in tgbot(folder, "doctor", **settings).stdout.splitlines()]
    return {name[5:]: f"{name[:4].strip()} {said}" for name, said in lines if "database" in name}


def test_each_thing_that_a_bot_relies_on_has_a_line(tmp_path: Path, url: str) -> None:
    found = doctor(tmp_path, url)
    assert list(found) == [
        f"database {w}" for w in ("server", "clock", "rights", "connections", "encryption", "schema")
    ]
    assert {line.partition(" ")[0] for line in found.values()} == {"ok"}
    assert ", connected to directly; its encoding is UTF8" in found["database server"]
    assert found["database schema"].endswith("has no tables yet: the first `tgbot run` makes them")
    place_of(url).upgrade()
    assert doctor(tmp_path, url)["database schema"].endswith("as this tgbot writes it")


def test_a_pooler_in_session_mode_is_named(tmp_path: Path, server: postgres.Server, url: str) -> None:
    with pgbouncer(server, "pool_mode = session") as query:
        found = doctor(tmp_path, f"{url.partition('?')[0]}?{query}")
    assert ", through a pooler in session mode" in found["database server"]


def test_a_role_that_may_make_no_tables_or_does_not_own_them_hears_of_it(
    tmp_path: Path, server: postgres.Server, url: str
) -> None:
    server.run("CREATE ROLE guest LOGIN")
    as_guest = url.replace("postgres@", "guest@")
    found = doctor(tmp_path, as_guest)["database rights"]
    assert (
        found
        == "fail this role may make no tables: let it own the database: `ALTER DATABASE NAME OWNER TO ROLE`"
    )
    place_of(url).upgrade()
    assert (
        "tables belong to another role, so this one cannot upgrade them"
        in doctor(tmp_path, as_guest)["database rights"]
    )
    server.run("DROP ROLE guest")


def test_the_clock_of_the_server_is_compared_with_ours(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    ahead_seconds = place_of(url).read_once(health.look).ahead_seconds
    assert ahead_seconds == pytest.approx(3600, abs=1800)
    assert judges.clock(ahead_seconds).what.endswith(" s ahead of this machine's")


@pytest.mark.parametrize(("ahead", "level"), [(9.9, "ok"), (-9.9, "ok"), (10, "warn"), (-10, "warn")])
def test_ten_seconds_make_the_servers_clock_wrong(ahead: float, level: str) -> None:
    assert judges.clock(ahead).level == level


@pytest.mark.parametrize(("used", "level"), [(0, "ok"), (87, "ok"), (88, "warn"), (97, "warn")])
def test_connections_that_run_short_are_named(used: int, level: str) -> None:
    assert judges.connections(used, 97).level == level


@pytest.mark.parametrize(
    ("remote", "encrypted", "level"), [(False, False, "ok"), (True, True, "ok"), (True, False, "warn")]
)
def test_words_that_go_over_a_network_should_be_encrypted(
    level: str, *, remote: bool, encrypted: bool
) -> None:
    assert judges.encryption(remote=remote, encrypted=encrypted).level == level


@pytest.mark.parametrize(
    ("address", "remote"),
    [("", False), ("127.0.0.1", False), ("::1", False), ("10.0.0.7", True), ("2001:db8::7", True)],
)
def test_a_socket_and_the_loopback_are_no_network(address: str, *, remote: bool) -> None:
    assert health._is_remote(address) == remote
