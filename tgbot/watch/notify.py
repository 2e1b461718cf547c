"""Reports to systemd how the service is: a datagram to the socket that it names (sd_notify)."""

import os
import socket
from collections.abc import Mapping

SOCKET, INTERVAL = "NOTIFY_SOCKET", "WATCHDOG_USEC"


class Notifier:
    """Sends to one socket; without one, as anywhere but under systemd, it sends nothing.

    A name that begins with @ is an abstract socket's, which is no file.
    """

    def __init__(self, address: str = "", watchdog_seconds: float = 0.0) -> None:
        """Send to `address`; `watchdog_seconds` is how often systemd wants to hear of it, 0 for never."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_seconds = watchdog_seconds

    def send(self, *lines: str) -> None:
        """Send assignments like READY=1. The bot works on where nobody receives them."""
        if not self._address:
            return
        message = "\n".join(" ".join(line.split()) for line in lines)  # a reason may have line breaks
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
                sending.settimeout(0)  # a full socket must not hold up the loop
                sending.sendto(message.encode(), self._address)
        except OSError:
            return


def of_environment(environment: Mapping[str, str] = os.environ) -> Notifier:
    """Make the one that the environment asks for."""
    microseconds = environment.get(INTERVAL, "")
    seconds = int(microseconds) / 1e6 if microseconds.isdecimal() else 0.0
    return Notifier(environment.get(SOCKET, ""), seconds)


def extend(seconds: float) -> str:
    """Make the assignment that asks for so much time from now, for a start or a stop."""
    return f"EXTEND_TIMEOUT_USEC={seconds * 1e6:.0f}"
