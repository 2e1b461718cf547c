"""The rooms and their walls: who may import whom is written in pyproject.toml, and kept here."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINT = (
    "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(cache_dir=None, no_cache=True))"
)


def test_every_room_is_named_and_imports_only_what_it_may() -> None:
    # In a process of its own: it switches off every logger that it finds.
    linted = subprocess.run(
        [sys.executable, "-c", LINT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr
