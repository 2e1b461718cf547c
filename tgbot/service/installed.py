"""What a service manager is given, and how its files are put in place and its commands run."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

NO_SYSTEMD = "not been booted with systemd"  # its own words, in a container say
INSTEAD = "keep `tgbot run` running with something else (Docker, OpenRC, runit)"
COMMAND_SECONDS = 300.0  # a restart waits for the turns that run

Command = Sequence[str]


class ServiceError(Exception):
    """The service could not be installed, removed or asked; the text is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Service:
    """What is to run: `python -m tgbot run` in `folder`, where `.env` lies.

    `written` are the folders that it writes in, `stop_seconds` is how long it may take to end; `on_postgres`:
    its database is on a PostgreSQL server of this machine.
    """

    python: Path
    folder: Path
    written: tuple[Path, ...]
    stop_seconds: float
    on_postgres: bool = False


class Manager(Protocol):
    """A service manager: where its file lies, and the commands that make it act on it."""

    @property
    def path(self) -> Path:
        """The file."""

    def text(self, service: Service) -> str:
        """Write the file. Raises ServiceError where this service cannot be one."""

    def runs_in(self, text: str) -> str:
        """Find in a file the folder that its service runs in."""

    @property
    def start(self) -> Sequence[Command]:
        """What starts the service, now and with the machine."""

    @property
    def stop(self) -> Sequence[Command]:
        """What ends it, before the file is removed."""

    @property
    def forget(self) -> Sequence[Command]:
        """What makes the manager see that the file is gone."""

    def state(self) -> tuple[bool, str]:
        """Whether it runs, and a line about it. Raises ServiceError."""

    @property
    def hints(self) -> Sequence[str]:
        """What a person should know once it is installed."""


def install(manager: Manager, text: str) -> None:
    """Write the file, and start the service. Raises ServiceError."""
    path = manager.path
    before = _content(path)
    if before is not None and manager.runs_in(before) != manager.runs_in(text):
        other = f"{path} runs the bot in {manager.runs_in(before)}"
        raise ServiceError(f"{other}: run `tgbot service uninstall` first if this one is to take its place")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _put(path, text)
    except OSError as error:
        raise ServiceError(f"{path} cannot be written: {error.strerror}") from None
    for command in manager.start:
        run(command)


def uninstall(manager: Manager) -> None:
    """End the service, and remove the file. Raises ServiceError."""
    if _content(manager.path) is None:
        raise ServiceError(f"no service is installed: there is no {manager.path}")
    for command in manager.stop:
        run(command)
    try:
        manager.path.unlink()
    except OSError as error:
        raise ServiceError(f"{manager.path} cannot be removed: {error.strerror}") from None
    for command in manager.forget:
        run(command)


def run(command: Command) -> str:
    """Run a command, and give what it prints. Raises ServiceError if it fails."""
    try:
        ended = subprocess.run(  # noqa: S603 - ours, word by word
            command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(f"`{' '.join(command)}` cannot be run: {error}") from None
    if ended.returncode:
        said = " ".join((ended.stderr or ended.stdout).split())
        if NO_SYSTEMD in said:
            raise ServiceError(f"systemd does not run on this machine: {INSTEAD}")
        raise ServiceError(f"`{' '.join(command)}` failed: {said}")
    return ended.stdout


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"{path} cannot be read: {error}") from None


def _put(path: Path, text: str) -> None:
    """Write a file that is there as a whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
