"""The commands: init, run, status, dead, backup, restore, doctor, service, db upgrade, db move, play."""

import argparse
import asyncio
import faulthandler
import functools
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence

import tgbot
from tgbot import app, backups, config, dead, logs, move, status
from tgbot.agents.llm import names
from tgbot.doctor import command as doctor
from tgbot.doctor.check import DoctorError, MisuseError
from tgbot.init import command as init
from tgbot.init.asking import InitError
from tgbot.service import command as service
from tgbot.service.installed import ServiceError
from tgbot.store import upgrading
from tgbot.store.engine.errors import DatabaseDamagedError, StorageError
from tgbot.store.engine.place import Place, place_of
from tgbot.store.engine.revisions import REVISION, SchemaError, check_revision
from tgbot.store.engine.sqlite.lock import DatabaseLockedError
from tgbot.telegram.errors import TokenRefusedError
from tgbot.turns import agent

log = logging.getLogger(__name__)

USAGE_ERROR = 2
INTERRUPTED = 128 + signal.SIGINT  # as a shell has it
UNREAD = 128 + signal.SIGPIPE


class DatabaseNotReadyError(Exception):
    """There is no database yet, or it is of another version; the text says what to do."""


# What a person can fix: their texts are for the terminal. Everything else is a bug, with a traceback.
MISUSED = (config.ConfigError, MisuseError, SchemaError, TokenRefusedError)
FAILED = (
    *(DatabaseNotReadyError, DatabaseLockedError, DatabaseDamagedError, StorageError),
    *(dead.DeadRowError, DoctorError, InitError, move.MoveError, ServiceError),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 fine, 1 it failed, 2 it was asked wrongly."""
    words = sys.argv[1:] if argv is None else list(argv)
    parser = _parser()
    if not words:
        # As a wrong one, not as `--help`: a service that lacks its command must not look well.
        parser.print_help(sys.stderr)
        return USAGE_ERROR
    try:
        return _command(parser, words)
    except MISUSED as error:
        return _fail(error, USAGE_ERROR)
    except FAILED as error:
        return _fail(error, 1)
    except BrokenPipeError:  # whoever reads what is printed has enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains as it ends
        return UNREAD
    except KeyboardInterrupt:  # before the bot runs, which minds its signals itself
        return _fail("interrupted", INTERRUPTED)


def _command(parser: argparse.ArgumentParser, words: Sequence[str]) -> int:
    if words[0] == "play":  # it has a parser of its own
        return _play(words[1:])
    arguments = parser.parse_args(words)
    code: int = arguments.command(arguments)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tgbot", description="The Telegram front for an agent that never loses a message."
    )
    parser.add_argument("--version", action="version", version=f"tgbot {tgbot.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    first = commands.add_parser("init", help="ask for what a bot needs, check it, and write .env")
    init.add_arguments(first)
    first.set_defaults(command=_init)
    run = commands.add_parser("run", help="run the bot until SIGTERM or Ctrl-C")
    run.set_defaults(command=_run)
    status.add_command(commands).set_defaults(command=_status)
    letters = commands.add_parser("dead", help="what was given up: list, show, retry, drop")
    letters.set_defaults(command=_dead_letters)
    dead.add_commands(letters)
    for added in backups.add_commands(commands):
        added.set_defaults(command=_copies)
    checkup = commands.add_parser("doctor", help="check what the bot relies on")
    doctor.add_arguments(checkup)
    checkup.set_defaults(command=_doctor)
    kept = commands.add_parser("service", help="run as a service: install, uninstall, status")
    service.add_commands(kept)
    kept.set_defaults(command=_service)
    database = commands.add_parser("db", help="the database").add_subparsers(required=True, metavar="COMMAND")
    database.add_parser("upgrade", help="apply the migrations").set_defaults(command=_upgrade)
    move.add_command(database).set_defaults(command=_move)
    commands.add_parser("play", help="try it in the browser, with no account (`tgbot play --help`)")
    return parser


def _play(words: Sequence[str]) -> int:
    # A web server and a page: `tgbot run`, which stays, must not carry them in memory.
    from tgbot.playground import play  # noqa: PLC0415

    return play.main(words, config.given("agent", "model"))


def _init(arguments: argparse.Namespace) -> int:
    init.run(arguments, _print)
    return 0


def _run(_: argparse.Namespace) -> int:
    settings = _settings()
    reload = functools.partial(_settings, *_secrets(settings))
    fail = _fail if settings.log == "text" else _log_failure
    chosen, adapt = _agent(settings)
    # The watchdog of systemd ends a process that hangs by SIGABRT: then the log says where.
    faulthandler.enable()
    status = 0
    try:
        running = app.run_on(settings, chosen, _print, reload, adapt)
        asyncio.new_event_loop().run_until_complete(running)
    except* FAILED as known:
        status = fail(_named(settings.database_url, known.exceptions[0]), 1)
    except* MISUSED as known:
        status = fail(known.exceptions[0], USAGE_ERROR)
    except* Exception:
        log.exception("app.crashed")
        status = 1
    # All of ours is closed. An agent may still sit in a thread, or in a loop that ignores its
    # cancellation: the interpreter would wait for it forever.
    logging.shutdown()
    os._exit(status)


def _settings(*used: str) -> config.Settings:
    """Read them, at the start and at each reload: neither new secrets nor those in use may reach the log."""
    settings = config.load()
    logs.configure(*used, *_secrets(settings), style=settings.log, level=settings.log_level)
    for line in [*config.unknown_names(), *config.exposed_files(settings.database_file)]:
        log.warning("config.warning %s", line)
    return settings


def _secrets(settings: config.Settings) -> tuple[str, ...]:
    ours = (settings.token, *settings.page_tokens, *settings.database_passwords)
    return *ours, *names.secrets(settings)


def _agent(settings: config.Settings) -> tuple[agent.Agent, Callable[[config.Settings], None]]:
    """Give the agent, and what lets it go by other settings."""
    try:
        if settings.agent == agent.MODEL_AGENT:
            from tgbot.agents.llm.agent import LlmAgent  # noqa: PLC0415 - no other agent needs pydantic

            assistant = LlmAgent(settings)
            assistant.prepare()
            return assistant.run, assistant.change
        return agent.load_agent(settings.agent), lambda _: None
    except agent.AgentError as error:
        raise config.wrong_setting("agent", error) from None


def _named(url: str, error: Exception) -> str:
    """Say which database it was, where its own words do not."""
    name = str(place_of(url))
    return str(error) if name in str(error) else f"{name}: {error}"


def _status(arguments: argparse.Namespace) -> int:
    status.run(_database(), arguments, _print)
    return 0


def _dead_letters(arguments: argparse.Namespace) -> int:
    for line in arguments.act(_database(), arguments):
        _print(line)
    return 0


def _copies(arguments: argparse.Namespace) -> int:
    for line in arguments.act(place_of(config.database_url()), arguments):
        _print(line)
    return 0


def _database() -> Place:
    """Find the database, at which the bot may work. Raises DatabaseNotReadyError, SchemaError."""
    place = place_of(config.database_url())
    revision = place.revision()
    if revision is None:
        missing = f"no database at {place}: start the bot once, or set {config.PREFIX}DATABASE_URL"
        raise DatabaseNotReadyError(missing)
    if revision > REVISION:
        check_revision(place, revision)
    if revision != REVISION:
        ours = f"this tgbot reads {REVISION}: run `tgbot db upgrade`"
        raise DatabaseNotReadyError(f"{place} is of schema {revision}, {ours}")
    return place


def _doctor(arguments: argparse.Namespace) -> int:
    return 0 if doctor.run(arguments, _print) else 1


def _service(arguments: argparse.Namespace) -> int:
    status: int = arguments.act(arguments, _print)
    return status


def _upgrade(_: argparse.Namespace) -> int:
    place = place_of(config.database_url())
    logs.configure()  # where the backup copy lies
    with place.owned():
        applied = upgrading.upgrade(place)
    print(f"{place} is {'now' if applied else 'already'} up to date")
    return 0


def _move(arguments: argparse.Namespace) -> int:
    for line in move.run(_database(), arguments):
        _print(line)
    return 0


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _print(line: str) -> None:
    """Print it also where the terminal cannot show all of it."""
    encoding = sys.stdout.encoding
    print(_printable(line).encode(encoding, "replace").decode(encoding), flush=True)


def _fail(reason: object, status: int) -> int:
    for line in str(reason).splitlines():
        print(f"tgbot: {line}", file=sys.stderr)
    return status


def _log_failure(reason: object, status: int) -> int:
    """Fail where a program reads what is logged, line by line."""
    log.error("app.failed reason=%s", reason)
    return status
