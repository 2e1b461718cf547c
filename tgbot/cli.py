"""The commands: run, status, db upgrade, play."""

import argparse
import asyncio
import dataclasses
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tgbot import app, config, logs
from tgbot.store import report
from tgbot.store.engine import migrate
from tgbot.store.engine.connection import read_once
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.lock import DatabaseLockedError, ProcessLock
from tgbot.telegram.errors import TokenRefusedError
from tgbot.turns import agent

log = logging.getLogger(__name__)

USAGE_ERROR = 2
INTERRUPTED = 128 + signal.SIGINT  # as a shell tells it

# What a person can mend: their texts are told in one line. Everything else is a bug, with a traceback.
MISUSED = (config.ConfigError, migrate.SchemaError, TokenRefusedError)
FAILED = (DatabaseLockedError, StorageError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 fine, 1 it failed, 2 it was asked wrongly."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["play"]:
        return _play(words[1:])
    arguments = _parser().parse_args(words)
    try:
        status: int = arguments.command(arguments)
    except MISUSED as error:
        return _fail(error, USAGE_ERROR)
    except FAILED as error:
        return _fail(error, 1)
    except KeyboardInterrupt:  # before the bot runs, which minds its signals itself
        return _fail("interrupted", INTERRUPTED)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tgbot", description="The Telegram front for an agent that never loses a message."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run the bot until SIGTERM or Ctrl-C")
    run.set_defaults(command=_run)
    status = commands.add_parser("status", help="what runs, waits and is unsent; also while the bot runs")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(command=_status)
    database = commands.add_parser("db", help="the database").add_subparsers(required=True, metavar="COMMAND")
    database.add_parser("upgrade", help="apply the migrations").set_defaults(command=_upgrade)
    commands.add_parser("play", help="try it in the browser, with no account (`tgbot play --help`)")
    return parser


def _play(words: Sequence[str]) -> int:
    # A web server and a page: `tgbot run`, which stays, shall not carry them in memory.
    from tgbot.playground import play  # noqa: PLC0415

    return play.main(words)


def _run(_: argparse.Namespace) -> int:
    settings = config.load()
    logs.configure(settings.token)
    for line in config.unknown_names():
        log.warning("config.warning %s", line)
    chosen = _agent(settings.agent)
    status = 0
    try:
        asyncio.new_event_loop().run_until_complete(app.run(settings, chosen))
    except* FAILED as known:
        status = _fail(_named(settings.database_path, known.exceptions[0]), 1)
    except* MISUSED as known:
        status = _fail(known.exceptions[0], USAGE_ERROR)
    except* Exception:
        log.exception("app.crashed")
        status = 1
    # All of ours is closed. An agent may still sit in a thread, or in a loop that ignores its
    # cancellation: the interpreter would wait for it for ever.
    logging.shutdown()
    os._exit(status)


def _agent(name: str) -> agent.Agent:
    try:
        return agent.load_agent(name)
    except agent.AgentError as error:
        raise config.wrong_setting("agent", error) from None


def _named(path: Path, error: Exception) -> str:
    """Say which database it was, where SQLite's own words do not."""
    return str(error) if str(path) in str(error) else f"{path}: {error}"


def _status(arguments: argparse.Namespace) -> int:
    path = config.database_path()
    revision = migrate.current_revision(path)
    if revision is None:
        return _fail(f"no database at {path}: start the bot once, or set {config.PREFIX}DATABASE_URL", 1)
    if revision != migrate.REVISION:
        ours = f"this tgbot reads {migrate.REVISION}: run `tgbot db upgrade`, or update tgbot"
        return _fail(f"{path} is of schema {revision}, {ours}", 1)
    alive, found = ProcessLock(path).is_held(), read_once(path, report.everything)
    document = {"alive": alive, **dataclasses.asdict(found)}
    print(json.dumps(document, indent=2) if arguments.json else _table(found, alive=alive))
    return 0


def _upgrade(_: argparse.Namespace) -> int:
    path = config.database_path()
    logs.configure()  # where the backup copy lies
    with ProcessLock(path):
        applied = migrate.upgrade(path)
    print(f"{path} is {'now' if applied else 'already'} up to date")
    return 0


def _table(found: report.Report, *, alive: bool) -> str:
    working = "running" if alive else "interrupted"  # and goes on at the next start
    lines = [
        (
            f"{'the bot runs' if alive else 'the bot does not run'}:"
            f" {working} {len(found.running)}, queued {found.queued}, held {found.held},"
            f" dead {found.dead}, unsent {found.unsent}, parked {found.parked}"
        )
    ]
    lines += [
        f"  {'stopping' if r.state == 'stopped' else working:8} session={r.session_key} row={r.row_id}"
        f" attempt={r.attempt} for {r.seconds:.0f} s"
        for r in found.running
    ]
    lines += [
        f"  dead     row={d.row_id} chat={d.chat_id}:"
        f" {'can not be read' if d.kind == 'unreadable' else 'interrupted too often'}"
        for d in found.dead_rows
    ]
    lines += [
        f"  parked   row={p.row_id} part={p.part} chat={p.chat_id}: {p.error}" for p in found.parked_parts
    ]
    return "\n".join(lines)


def _fail(reason: object, status: int) -> int:
    for line in str(reason).splitlines():
        print(f"tgbot: {line}", file=sys.stderr)
    return status
