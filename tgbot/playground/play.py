"""`tgbot play`: server, page and bot process in one command, with state that is kept between runs."""

import argparse
import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import signal
import sys
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from tgbot.playground import agents
from tgbot.playground.page import Page
from tgbot.playground.persistence import Persistence
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.supervisor import Supervisor
from tgbot.playground.tour import tour
from tgbot.playground.world import World

TOKEN = "1:playground"  # noqa: S105  the playground's own, made up
PORT = 8765
GRACE_SECONDS = 5  # who presses Ctrl-C here waits for no long turn: it goes on after the next start
DATABASE = Path(".playground/bot.db")
SERVER = "postgresql+psycopg://"
PEOPLE = {1001: "Ada", 1002: "Ben", 1003: "Chioma"}
GROUP, FORUM = -2001, -1_001_000_000_001
RED = "\x1b[31m{}\x1b[0m"
FAILED = "The bot ended by itself (status {}). Its last line: {}"
INVITED = (
    "Nobody owns the bot yet. Open its link in the page, under “Who may talk”, or send it /start {1} there:\n"
    "    {0}"
)


class PlayError(Exception):
    """The playground can't start; the text is one line for the person at the terminal."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tgbot play`."""
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"of page and Bot API (default {PORT}; 0: any free)"
    )
    parser.add_argument(
        "--db",
        type=_database,
        default=DATABASE,
        help=f"the bot's database (default {DATABASE}), chats beside it; or {SERVER}USER@HOST/DATABASE",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--agent", help="demo, echo, or package.module:name (default: what TGBOT_AGENT says, or demo)"
    )
    which.add_argument(
        "--model", metavar="NAME", help="a model, like openai:gpt-5-mini, with the key in the environment"
    )
    parser.add_argument("--reset", action="store_true", help="forget the chats and the bot's database first")
    scene = parser.add_mutually_exclusive_group()
    scene.add_argument("--tour", action="store_true", help="watch a tour that types for you (echo)")
    scene.add_argument(
        "--private", action="store_true", help="nobody may talk to the bot whom its owner does not let in"
    )


def main(argv: Sequence[str] | None = None, given: Mapping[str, str] | None = None) -> int:
    """Run the playground by itself; returns the exit status.

    `given` are the settings of the bot that are set, as far as they choose its agent: "agent" and "model".
    """
    parser = argparse.ArgumentParser(
        prog="tgbot play", description="The whole bot in the browser, no account."
    )
    add_arguments(parser)
    return run(parser.parse_args(argv), given or {})


def run(arguments: argparse.Namespace, given: Mapping[str, str]) -> int:
    """Run the playground until Ctrl-C or SIGTERM; returns the exit status: 0 fine, 1 it could not start."""
    try:
        with _only_one(_folder(arguments.db)):
            if arguments.reset:
                _forget(arguments.db)
            asyncio.run(_play(arguments, _first_agent(arguments, given)))
    except PlayError as error:
        _say(f"tgbot: {error}", to=sys.stderr)
        return 1
    return 0


def _first_agent(arguments: argparse.Namespace, given: Mapping[str, str]) -> agents.Choice:
    if arguments.tour and not (arguments.agent or arguments.model):  # its messages are for echo
        return agents.ECHO
    return agents.at_start(arguments.agent, arguments.model, given)


async def _play(arguments: argparse.Namespace, agent: agents.Choice) -> None:
    folder = _folder(arguments.db)
    with contextlib.closing(Persistence(folder)) as persistence:
        page = Page(_world(persistence, folder), arguments.db, private=arguments.private)
        server = PlaygroundServer(arguments.port, world=page.world, routes=page.routes())
        try:
            async with server:
                environment = bot_environment(server.url, arguments.db, private=arguments.private)
                supervisor = Supervisor(environment, agent, folder / "bot.log")
                supervisor.failed, supervisor.invited = _say_failed, _say_invited
                page.supervise(supervisor, agents.offered(agent))
                await _serve(page, supervisor, server.url, with_tour=arguments.tour)
        except OSError as error:
            raise PlayError(_port_taken(arguments.port, error)) from error


async def _serve(page: Page, supervisor: Supervisor, url: str, *, with_tour: bool) -> None:
    """Run the bot until a signal comes, then end it; a second signal kills it."""
    signalled = _signals()
    tasks = [asyncio.create_task(page.watch_pending())]
    await supervisor.start()
    _greet(url, supervisor)
    if with_tour:
        tasks.append(asyncio.create_task(tour(page, supervisor)))
    await signalled.wait()
    for task in tasks:
        task.cancel()
    signalled.clear()
    _say("Ending the bot; once more to kill it.")
    ending, impatient = asyncio.create_task(supervisor.close()), asyncio.create_task(signalled.wait())
    await asyncio.wait({ending, impatient}, return_when=asyncio.FIRST_COMPLETED)
    if not ending.done():
        await supervisor.kill()
    await ending
    impatient.cancel()


def _world(persistence: Persistence, folder: Path) -> World:
    """Return the world as the last run left it, or a new one with some people in it."""
    world = World(folder=folder)
    persistence.attach(world)
    world.bot(TOKEN)  # so that what is written before its first call waits for it, on disk as well
    if not world.chats():
        _populate(world)
    return world


def _populate(world: World) -> None:
    for user_id, name in PEOPLE.items():
        world.make_chat(user_id, name)
    world.make_chat(GROUP, "Weekend trip")
    world.make_chat(FORUM, "Workshop", is_forum=True)
    for topic in ("Releases", "Support"):
        world.make_topic(FORUM, min(PEOPLE), topic)


def bot_environment(url: str, database: Path | str, *, private: bool = False) -> dict[str, str]:
    """Return the settings of a bot that talks to the playground at `url`; all others stay as they are.

    `private`: nobody may talk to it whom its owner does not let in; else everybody may.
    """
    return {
        "TGBOT_TOKEN": TOKEN,
        "TGBOT_TOKEN_FILE": "",  # a real bot's: two tokens would be one too many
        "TGBOT_API_URL": url,
        "TGBOT_WEBHOOK_URL": "",
        "TGBOT_DATABASE_URL": database if isinstance(database, str) else f"sqlite:///{database.resolve()}",
        "TGBOT_ALLOWED_USERS": "" if private else "*",
        "TGBOT_GRACE_SECONDS": str(GRACE_SECONDS),
    }


def _database(text: str) -> Path | str:
    """Take a file, or the URL of a database on a server."""
    return text if text.startswith(SERVER) else Path(text)


def _folder(database: Path | str) -> Path:
    """Return where the chats are kept: beside the bot's database, which is the bot's alone."""
    if isinstance(database, Path):
        return database.with_suffix(".world")
    where = database.removeprefix(SERVER).partition("?")[0].rpartition("@")[2]  # without a password
    name = re.sub(r"[^\w.-]+", "-", where).strip("-")
    return DATABASE.parent / f"{name}.world"


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the kernel lets go of it at any death."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PlayError(f"another playground uses {folder}: end it, or name another --db") from error
        yield


def _forget(database: Path | str) -> None:
    if isinstance(database, str):
        folder = _folder(database)
        how = f"make it anew (dropdb, createdb), and remove {folder}"
        raise PlayError(f"--reset deletes files, and no database on a server: {how}")
    shutil.rmtree(_folder(database))
    for suffix in ("", "-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)


def _port_taken(port: int, error: OSError) -> str:
    return (
        f"can't listen on port {port} ({error.strerror}): is a playground running already, at "
        f"http://127.0.0.1:{port} ? Otherwise choose another with --port"
    )


def _signals() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set."""
    event = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return event


def _greet(url: str, supervisor: Supervisor) -> None:
    _say(f"The playground is at {url} (the bot is process {supervisor.state()['pid']}). Ctrl-C ends both.")
    if not _has_display():
        _say("There is no display here: open that address in a browser on this machine.")
    elif not webbrowser.open(url):
        _say("No browser could be started: open that address yourself.")


def _say_failed(status: int, line: str) -> None:
    colored = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    _say(RED.format(FAILED.format(status, line)) if colored else FAILED.format(status, line))


def _say_invited(link: str) -> None:
    _say(INVITED.format(link, link.rpartition("=")[2]))


def _has_display() -> bool:
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _say(text: str, to: TextIO | None = None) -> None:
    print(text, file=to, flush=True)
