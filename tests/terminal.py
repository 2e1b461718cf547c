"""Runs the command line as a person at a terminal does: as a real process."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def tgbot(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("TGBOT_")}
    return subprocess.run(
        [sys.executable, "-m", "tgbot", *words],
        cwd=folder,
        env={**bare, "PYTHONPATH": str(ROOT), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
