"""Runs the command line as a person at a terminal does: as a real process."""

import os
import subprocess
import tempfile
from pathlib import Path

from tests.forking import ROOT, fork


def tgbot(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("TGBOT_")}
    environment = {**bare, "PYTHONPATH": str(ROOT), **settings}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        ended = fork(words, folder, environment, out.fileno(), err.fileno())
        code = ended.wait_in_thread()
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())
