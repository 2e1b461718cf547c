"""The agent of launchd, on macOS: it runs while its user is logged in."""

import os
import plistlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tgbot.service.installed import Command, Service, ServiceError, run

LABEL = "tgbot"
AGENTS, LOG = Path("Library/LaunchAgents"), Path("Library/Logs/tgbot.log")


@dataclass(frozen=True, slots=True)
class Launchd:
    """The manager of one user's session."""

    home: Path
    uid: int

    @property
    def path(self) -> Path:
        """The property list."""
        return self.home / AGENTS / f"{LABEL}.plist"

    def text(self, service: Service) -> str:
        """Write the property list."""
        return plistlib.dumps(
            {
                "Label": LABEL,
                "ProgramArguments": [str(service.python), "-m", "tgbot", "run"],
                "WorkingDirectory": str(service.folder),
                "RunAtLoad": True,
                "KeepAlive": True,
                "ThrottleInterval": 1,  # seconds between two starts; 10 without it
                "ExitTimeOut": round(service.stop_seconds),
                "Umask": 0o077,
                "StandardErrorPath": str(self.home / LOG),
                "StandardOutPath": str(self.home / LOG),
            }
        ).decode()

    def runs_in(self, text: str) -> str:
        """Find the folder in a property list."""
        try:
            return str(plistlib.loads(text.encode())["WorkingDirectory"])
        except (plistlib.InvalidFileException, KeyError, ValueError):
            return "another folder"

    @property
    def start(self) -> Sequence[Command]:
        """What starts it, now and at each login; one that runs is ended first."""
        again = self.stop if self._is_loaded() else []
        return [*again, ["launchctl", "bootstrap", f"gui/{self.uid}", str(self.path)]]

    @property
    def stop(self) -> Sequence[Command]:
        """What ends it."""
        return [["launchctl", "bootout", self._target]] if self._is_loaded() else []

    @property
    def forget(self) -> Sequence[Command]:
        """Nothing: launchd has forgotten it."""
        return []

    def state(self) -> tuple[bool, str]:
        """Whether it runs, and a line about it."""
        try:
            lines = [line.strip() for line in run(["launchctl", "print", self._target]).splitlines()]
        except ServiceError:
            return False, f"{LABEL} is not installed"
        state = next((line for line in lines if line.startswith("state = ")), "state = unknown")
        return state == "state = running", f"{LABEL}: {state}"

    @property
    def hints(self) -> Sequence[str]:
        """Where its log is."""
        return [f"its log: tail -f {self.home / LOG}"]

    @property
    def _target(self) -> str:
        return f"gui/{self.uid}/{LABEL}"

    def _is_loaded(self) -> bool:
        try:
            run(["launchctl", "print", self._target])
        except ServiceError:
            return False
        return True


def of_this_user() -> Launchd:
    """Make the one of whoever asks."""
    return Launchd(Path.home(), os.getuid())
