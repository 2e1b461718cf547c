"""The end of the notify protocol that systemd has."""

import socket

from tests.waiting import eventually

ALIVE = "WATCHDOG=1"


class Systemd:
    """The socket that systemd would listen on, and what came there."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.settimeout(0)
        self.heard: list[str] = []

    def close(self) -> None:
        self._socket.close()

    def count(self, line: str) -> int:
        try:
            while True:
                self.heard += self._socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            return self.heard.count(line)

    async def hears(self, line: str, times: int = 1) -> None:
        await eventually(lambda: self.count(line) >= times, f"{line} {times} times, not {self.heard}")
