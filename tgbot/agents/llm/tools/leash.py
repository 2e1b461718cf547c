"""Runs an MCP server as its child, and lets nothing of it outlive the bot. A script: one beside each server.

Servers should end when their stdin ends, and many do not. This process has the bot's end of that stdin, which
closes with the bot, however it dies, and kills all that the server has started.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 2.0  # for the server to end by itself
TERM_SECONDS = 1.0  # for it to obey a SIGTERM


def main(command: list[str]) -> None:
    """Run the command until it or the bot ends."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # it is for the server: this process ends last
    if os.getpgrp() != os.getpid():
        os.setpgrp()  # what is killed at the end is this group
    try:
        server = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603 - what the owner's file says
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")
    os.close(1)  # or the bot would not see the server's stdout end
    threading.Thread(target=_feed, args=(server,), daemon=True).start()
    server.wait()
    os.killpg(0, signal.SIGKILL)


def _feed(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin
    with contextlib.suppress(OSError):  # the server ended, or does not listen any more
        while data := os.read(0, 65536):
            server.stdin.write(data)
            server.stdin.flush()
    while os.read(0, 65536):
        pass
    with contextlib.suppress(OSError):
        server.stdin.close()
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGTERM)
    time.sleep(TERM_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
