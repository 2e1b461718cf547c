"""What one message costs on PostgreSQL: commits, statements, and round trips to the server.

Counted is what libpq puts on the wire. A round trip is what the server is asked to answer at once: a simple
query (BEGIN and what goes with it, COMMIT), or a Sync behind a prepared statement.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Pool, event

from bench import counts, scene
from bench.figures import Figure
from tests.postgres import Server
from tgbot.store import upgrading
from tgbot.store.engine.place import place_of

# What it takes today. Of showing it, two round trips leave the chat to other workers.
ANSWERING = {"commits": 2, "SQL statements": 20, "round trips": 20}
SHOWING = {"commits": 1, "SQL statements": 7, "round trips": 7}


def figures(server: Server) -> Iterator[Figure]:
    with server.empty_database() as url, scene.folder() as folder, _traced(folder / "wire") as wire:
        place = place_of(url)
        upgrading.upgrade(place)
        answering, showing, _ = counts.converse(place.database(), lambda: _sent(wire.read_text()))
    yield from counts.costs(answering, ANSWERING, "store its answer")
    yield from counts.costs(showing, SHOWING, "show it")


@contextlib.contextmanager
def _traced(path: Path) -> Iterator[Path]:
    """Note all that connections opened meanwhile send and get, a line each."""
    with path.open("w") as wire:

        def connected(connection: psycopg.Connection[Any], _: object) -> None:
            connection.pgconn.trace(wire.fileno())

        event.listen(Pool, "connect", connected)
        try:
            yield path
        finally:
            event.remove(Pool, "connect", connected)


def _sent(lines: str) -> Counter[str]:
    """Count what was sent. A line is: when, by whom (`F`: by us), how many bytes, what, and its content."""
    fields = [line.split("\t") for line in lines.splitlines()]
    sent = [(words[3], words[4:]) for words in fields if len(words) > 3 and words[1] == "F"]
    kinds = Counter(kind for kind, _ in sent)
    return Counter(
        {
            "commits": sent.count(("Query", [' "COMMIT"'])),
            "SQL statements": kinds["Query"] + kinds["Execute"],
            "round trips": kinds["Query"] + kinds["Sync"],
        }
    )
