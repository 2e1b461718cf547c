"""The bot's process as the playground starts it: `python -m tgbot run`, which dies when the playground does.

Two watchers, because each has a gap. A thread waits for the end of a pipe that only the playground holds
open: the kernel closes it at any death, SIGKILL included, on Linux and macOS alike; but a thread can't run
while the process is stopped or stuck in C. On Linux the kernel is therefore also asked to kill this process
when its parent dies (PR_SET_PDEATHSIG); macOS has no such call, there the pipe is all.
"""

import ctypes
import os
import runpy
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    """Watch the pipe on the given descriptor, and be the bot."""
    pipe, parent = int(sys.argv[1]), int(sys.argv[2])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be watched
        _die()
    threading.Thread(target=_die_at_end, args=(pipe,), daemon=True).start()
    sys.argv = ["tgbot", "run"]
    runpy.run_module("tgbot", run_name="__main__", alter_sys=True)


def _die_at_end(pipe: int) -> None:
    os.read(pipe, 1)  # nothing is ever written: it returns when the last writer is gone
    _die()


def _die() -> None:
    # As hard as the playground's own end: the bot recovers from SIGKILL, that is its promise.
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
