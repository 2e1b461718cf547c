"""The unit of systemd: of a user's own manager, or of the system."""

import os
import pwd
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tgbot.service.installed import Command, Service, ServiceError, run

NAME = "tgbot.service"
SYSTEM_UNITS, USER_UNITS = Path("/etc/systemd/system"), Path("systemd/user")
STATES = Path("/var/lib")  # what a StateDirectory is a folder of
PROPERTIES = "LoadState,ActiveState,SubState,StatusText,NRestarts,MainPID"

_UNIT = """\
# Written by `tgbot service install`. Put your changes into a drop-in: `systemctl{option} edit tgbot`.
[Unit]
Description=tgbot, the Telegram front of an agent
{after}# However often it fails, it is started again: a bot that stays down is deaf.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
# The bot reads the file .env there by itself: what stands in its environment could not change on a reload.
WorkingDirectory={folder}
ExecStart={python} -m tgbot run
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
# Without RestartSteps: systemd never takes the steps back, so a crash a month would come to the longest one.
RestartSec=500ms
# Until the first word of the bot; then it says itself how long it needs.
TimeoutStartSec=120
WatchdogSec=120
TimeoutStopSec={stop_seconds:.0f}
# What the agent has started lives until the running turns have ended.
KillMode=mixed
OOMPolicy=continue
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
{hardening}
[Install]
WantedBy={target}
"""

_HARDENING = """\
User={user}
{writable}
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
CapabilityBoundingSet=
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"""


@dataclass(frozen=True, slots=True)
class Systemd:
    """The manager of the system, or a user's own, which has fewer means to lock a service in."""

    system: bool

    @property
    def path(self) -> Path:
        """The unit's file."""
        if self.system:
            return SYSTEM_UNITS / NAME
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / USER_UNITS / NAME

    def text(self, service: Service) -> str:
        """Write the unit. Raises ServiceError where the bot would run as root."""
        return _UNIT.format(
            option="" if self.system else " --user",
            after=_after(service) if self.system else "",  # a user's units cannot wait for the system's
            folder=_literal(service.folder),
            python=_word(service.python).replace("$", "$$"),
            stop_seconds=service.stop_seconds,
            hardening=_hardening(service) if self.system else "",
            target="multi-user.target" if self.system else "default.target",
        )

    def runs_in(self, text: str) -> str:
        """Find the folder in a unit."""
        found = re.search(r"^WorkingDirectory=(.*)$", text, re.MULTILINE)
        return found[1].replace("%%", "%") if found else "another folder"

    @property
    def start(self) -> Sequence[Command]:
        """What starts it, now and with the machine, or the user's session."""
        return [
            self._systemctl("daemon-reload"),
            *(self._systemctl(word, NAME) for word in ("enable", "restart")),
        ]

    @property
    def stop(self) -> Sequence[Command]:
        """What ends it."""
        return [self._systemctl("disable", "--now", NAME)]

    @property
    def forget(self) -> Sequence[Command]:
        """What makes systemd see that the file is gone."""
        return [self._systemctl("daemon-reload")]

    def state(self) -> tuple[bool, str]:
        """Whether it is active, and a line about it. Raises ServiceError."""
        lines = run(self._systemctl("show", NAME, f"--property={PROPERTIES}")).splitlines()
        found = dict(line.partition("=")[::2] for line in lines)
        if found.get("LoadState") == "not-found":
            return False, f"{NAME} is not installed"
        active = found.get("ActiveState") == "active"
        said = f", {found['StatusText']}" if found.get("StatusText") else ""
        pid = f", process {found['MainPID']}" if active else ""
        state = f"{found.get('ActiveState')} ({found.get('SubState')})"
        return active, f"{NAME} is {state}{said}{pid}, restarted {found.get('NRestarts')} times"

    @property
    def hints(self) -> Sequence[str]:
        """Where its log is, and what ends a user's service."""
        option = "" if self.system else " --user"
        log = f"its log: journalctl{option} -u tgbot -f"
        return [log] if self.system else [log, "to run while you are not logged in: loginctl enable-linger"]

    def _systemctl(self, *words: str) -> Command:
        return ["systemctl", *([] if self.system else ["--user"]), *words]


def _after(service: Service) -> str:
    server = " postgresql.service" if service.on_postgres else ""
    return f"Wants=network-online.target\nAfter=network-online.target{server}\n"


def _hardening(service: Service) -> str:
    folder = service.folder
    # Systemd makes it writable by itself; a name with a blank or colon would mean two directories.
    states = folder.parent == STATES and re.fullmatch(r"[\w.-]+", folder.name)
    others = [path for path in service.written if not (states and path == folder)]
    lines = [f"StateDirectory={_literal(Path(folder.name))}\nStateDirectoryMode=0700"] if states else []
    if others:
        lines.append(f"ReadWritePaths={' '.join(map(_word, others))}")
    return _HARDENING.format(user=_owner(folder), writable="\n".join(lines))


def _owner(folder: Path) -> str:
    """Find whose the folder is: as that user the service runs. Raises ServiceError."""
    try:
        user = pwd.getpwuid(folder.stat().st_uid)
    except KeyError:
        raise ServiceError(f"{folder} belongs to no user of this machine: chown it") from None
    if user.pw_uid == 0:
        fix = f"`useradd --system tgbot`, then `chown -R tgbot {folder}`"
        raise ServiceError(f"{folder} belongs to root, and the bot must not run as root: {fix}")
    return user.pw_name


def _literal(path: Path) -> str:
    return str(path).replace("%", "%%")


def _word(path: Path) -> str:
    """Quote one path of several."""
    escaped = _literal(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
