"""`tgbot dead`: what was given up or could not be read, to look at, to try again, and to drop."""

import argparse
import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from tgbot.model import RowId, message_text
from tgbot.store import dead as dead_rows
from tgbot.store import workers
from tgbot.store.dead import DeadRow, DeadRowError
from tgbot.store.engine.place import Place

__all__ = ["DeadRowError", "add_commands"]

WORDS_MAX_CHARACTERS = 60  # of a text, in the list


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the commands. Each sets `act`, which takes the database and the arguments and gives lines.

    An `act` raises DeadRowError and StorageError.
    """
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listed = commands.add_parser("list", help="one line for each row")
    listed.set_defaults(act=_list)
    shown = commands.add_parser("show", help="all that is known of one row")
    shown.add_argument("row", metavar="ROW", type=_row_id)
    shown.set_defaults(act=_show)
    for command in (listed, shown):
        command.add_argument("--json", action="store_true", help="for programs")
    retried = commands.add_parser("retry", help="run rows once more; also while the bot runs")
    retried.set_defaults(act=_retry)
    dropped = commands.add_parser("drop", help="drop rows; also while the bot runs")
    dropped.set_defaults(act=_drop)
    for command in (retried, dropped):
        which = command.add_mutually_exclusive_group(required=True)
        which.add_argument("rows", metavar="ROW", type=_row_id, nargs="*", default=[])
        which.add_argument("--all", action="store_true")


def _row_id(text: str) -> RowId:
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
        raise argparse.ArgumentTypeError(f"a row is a number, as `tgbot dead list` shows it, not {text!r}")
    return RowId(int(text))


def _list(place: Place, arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.json:
        found = place.read_once(lambda conn: [_entry(row) for row in dead_rows.each(conn)])
        return _json_lines(found)
    lines = place.read_once(lambda conn: [_line(row) for row in dead_rows.each(conn)])
    return iter(lines or ["nothing was given up"])


def _show(place: Place, arguments: argparse.Namespace) -> Iterator[str]:
    row = place.read_once(lambda conn: dead_rows.find(conn, arguments.row))
    return _json_lines(_entry(row) | {"update": _update(row) or row.raw}) if arguments.json else _lines(row)


def _retry(place: Place, arguments: argparse.Namespace) -> Iterator[str]:
    rows = None if arguments.all else arguments.rows
    row_ids = place.write_once(lambda conn: dead_rows.retry(conn, rows))
    when = "the bot takes them within seconds" if workers.is_running(place) else "at the next start"
    yield f"queued: {_named(row_ids)} ({when})" if row_ids else "nothing is dead that could run"


def _drop(place: Place, arguments: argparse.Namespace) -> Iterator[str]:
    rows = None if arguments.all else arguments.rows
    row_ids = place.write_once(lambda conn: dead_rows.drop(conn, rows))
    yield f"dropped: {_named(row_ids)}" if row_ids else "nothing is dead"


def _named(row_ids: Sequence[RowId]) -> str:
    return ("row " if len(row_ids) == 1 else "rows ") + ", ".join(map(str, row_ids))


def _line(row: DeadRow) -> str:
    words = " ".join(_text(row).split())
    short = words if len(words) <= WORDS_MAX_CHARACTERS else words[: WORDS_MAX_CHARACTERS - 1] + "…"
    behind = f": {short}" if short else ""
    return (
        f"row={row.row_id} chat={row.chat_id} user={row.user_id} {_at(row.received_at)} {_why(row)}{behind}"
    )


def _lines(row: DeadRow) -> Iterator[str]:
    yield f"row {row.row_id}, {_why(row)}"
    yield f"chat {row.chat_id}, user {row.user_id}, session {row.session_key}"
    yield f"received {_at(row.received_at)}, given up {_at(row.ended_at)}"
    yield ""
    if row.kind == "unreadable":
        yield from row.raw.split("\n")
    else:
        yield from (_text(row) or "(no text: --json shows the whole update)").split("\n")


def _entry(row: DeadRow) -> dict[str, Any]:
    known = dataclasses.asdict(row)
    del known["raw"]
    return known | {"text": _text(row)}


def _why(row: DeadRow) -> str:
    if row.kind == "unreadable":
        return "cannot be read"
    return "crashed the bot once" if row.crashes == 1 else f"crashed the bot {row.crashes} times"


def _text(row: DeadRow) -> str:
    """Give the whole text of the message; "" if it has none, or cannot be read."""
    try:
        return message_text(_update(row)["message"])
    except (KeyError, TypeError, AttributeError):
        return ""


def _update(row: DeadRow) -> Any:  # noqa: ANN401 - any JSON; None if it is none
    try:
        return json.loads(row.raw)
    except (ValueError, RecursionError):
        return None


def _json_lines(document: object) -> Iterator[str]:
    return iter(json.dumps(document, indent=2).split("\n"))


def _at(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
