"""`tgbot service install`, `uninstall` and `status`: their arguments, and what they print."""

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tgbot import app, config
from tgbot.agents.llm import names
from tgbot.config import ENV_FILE, Settings
from tgbot.service import installed, launchd
from tgbot.service.installed import Manager, Service, ServiceError
from tgbot.service.systemd import Systemd
from tgbot.turns.agent import MODEL_AGENT

Show = Callable[[str], None]


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add what can be done; each sets `act`, which takes the arguments and gives the exit status.

    An `act` raises ServiceError and ConfigError.
    """
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    install = commands.add_parser("install", help="run the bot of this folder, now and with the machine")
    install.add_argument("--dry-run", action="store_true", help="only print what would be written")
    install.set_defaults(act=_install)
    uninstall = commands.add_parser("uninstall", help="end it; the folder with its database stays")
    uninstall.set_defaults(act=_uninstall)
    status = commands.add_parser("status", help="whether it runs, by the exit status, too")
    status.set_defaults(act=_status)
    for command in (install, uninstall, status):
        of_whom = command.add_mutually_exclusive_group()
        of_whom.add_argument("--system", action="store_true", help="for the machine; root's default")
        of_whom.add_argument("--user", action="store_true", help="for your own session")


def _install(arguments: argparse.Namespace, show: Show) -> int:
    manager = _manager(arguments)
    text = manager.text(_service())
    if arguments.dry_run:
        show(f"# {manager.path}")
        for line in text.splitlines():
            show(line)
        return 0
    _may_change(manager)
    installed.install(manager, text)
    for line in (f"{manager.path} is written, and the bot started", *manager.hints):
        show(line)
    return 0


def _uninstall(arguments: argparse.Namespace, show: Show) -> int:
    manager = _manager(arguments)
    _may_change(manager)
    installed.uninstall(manager)
    show(f"the bot has ended, and {manager.path} is removed; {ENV_FILE} and the database stay")
    return 0


def _status(arguments: argparse.Namespace, show: Show) -> int:
    runs, line = _manager(arguments).state()
    show(line)
    return 0 if runs else 1


def _manager(arguments: argparse.Namespace) -> Manager:
    if sys.platform == "darwin":
        if arguments.system:
            raise ServiceError("on macOS the bot is a service of your own session: leave out --system")
        return launchd.of_this_user()
    if shutil.which("systemctl"):
        return Systemd(system=arguments.system or (not arguments.user and os.geteuid() == 0))
    raise ServiceError(f"there is neither systemd nor launchd here: {installed.INSTEAD}")


def _may_change(manager: Manager) -> None:
    if isinstance(manager, Systemd) and manager.system and os.geteuid() != 0:
        raise ServiceError(f"only root may change the system's services: sudo {sys.argv[0]} service ...")


def _service() -> Service:
    """Describe the bot of this folder. Raises ConfigError, ServiceError where no service could start it."""
    settings = config.load()
    _complain_of_shell(settings)
    folder = Path.cwd()
    file = settings.database_file
    folders = [folder, *([file.absolute().parent.resolve()] if file else [])]
    written = tuple(dict.fromkeys(folders))
    # Not resolved: the interpreter of a virtual environment is a link, and is known by its own path.
    python = Path(sys.executable)
    if odd := [path for path in (*written, python) if not _is_nameable(str(path))]:
        raise ServiceError(f"{odd[0]} has characters that no service can have in a path: rename it")
    stop_seconds = app.stop_seconds(settings.grace_seconds)
    return Service(python, folder, written, stop_seconds, on_postgres=settings.database_is_here)


def _is_nameable(path: str) -> bool:
    # Systemd takes quotes and backslashes for its own, in one setting so, in another one differently.
    return path.isprintable() and path == path.strip() and not set(path) & {"\\", '"'}


def _complain_of_shell(settings: Settings) -> None:
    keys = names.KEYS.values() if settings.agent == MODEL_AGENT else ()
    if only_here := config.only_in_shell(*keys):
        fix = f"write each into {ENV_FILE}, then `unset` it here"
        raise ServiceError(
            f"{', '.join(only_here)}: set in this shell only, where a service cannot see it: {fix}"
        )
