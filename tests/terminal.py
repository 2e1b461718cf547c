"""Runs the command line as a person at a terminal does: as a real process."""

import fcntl
import functools
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.forking import ROOT, fork
from tests.waiting import DEADLINE_SECONDS


def tgbot(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = fork(words, folder, _environment(settings), out.fileno(), err.fileno())
        try:
            code = process.wait_in_thread(DEADLINE_SECONDS)
        finally:
            process.kill()
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


def tgbot_of_its_own(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run it as a program that imports what it needs by itself."""
    return subprocess.run(
        [sys.executable, "-m", "tgbot", *words],
        cwd=folder,
        env=_environment(settings),
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("TGBOT_")}
    return {**bare, "PYTHONPATH": str(ROOT), **settings}


def typing(folder: Path, *words: str, answers: Sequence[tuple[str, str]], **settings: str) -> tuple[int, str]:
    """Run it in a terminal of its own, and type each answer when its question is there.

    Gives the exit status and all that was on screen.
    """
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tgbot", *words],
        cwd=folder,
        env=_environment(settings),
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        preexec_fn=functools.partial(own, its),  # noqa: PLW1509 - two system calls
    )
    os.close(its)
    screen = ""
    for question, answer in answers:
        screen += _until(ours, question)
        os.write(ours, answer.encode())
    screen += _until(ours, None)
    os.close(ours)
    return process.wait(60), screen


def own(terminal: int) -> None:
    """Let this new process have the terminal, which sends it Ctrl-C, and its end."""
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever runs the tests may ignore it


def _until(terminal: int, words: str | None) -> str:
    """Read until these words come; None: until the end."""
    seen = ""
    while words is None or words not in seen:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, f"{words!r} never came: {seen}"
        try:
            seen += os.read(terminal, 4096).decode()
        except OSError:  # the other end is closed
            assert words is None, f"{words!r} never came: {seen}"
            return seen
    return seen
