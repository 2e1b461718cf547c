"""Imports: which room may import which is written in pyproject.toml, and enforced here."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINT = (
    "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(cache_dir=None, no_cache=True))"
)

# Modules that cost CPU at every start, and memory for ever, and that the bot does not use.
TOO_MUCH = (
    *("sqlalchemy.orm", "sqlalchemy.ext.asyncio", "psycopg", "greenlet", "alembic", "pydantic"),
    *("starlette", "uvicorn", "prometheus_client", "opentelemetry"),
)
# Libraries for models: seconds and tens of megabytes, that only the first turn with a model may cost.
FOR_MODELS = ("pydantic_ai", "openai", "anthropic", "mcp", "fastmcp")
WITHOUT_MODELS = (
    *("tgbot.cli", "tgbot.agents.echo", "tgbot.agents.llm.deps", "tgbot.agents.llm.tools.builtin"),
    *("tgbot.agents.llm.menu", "tgbot.intake.commands"),
    *("tgbot.agents.llm.tools.module", "tgbot.agents.llm.tools.names", "tgbot.agents.llm.tools.servers"),
)
RUN = """
import asyncio, sys
from pathlib import Path
from tgbot import cli
from tgbot.store import recovery, report
from tgbot.store.engine.sqlite.database import SqliteDatabase

async def run():
    async with SqliteDatabase(Path(sys.argv[1])) as db:
        await db.write(recovery.begin_instance, 1)
        await db.read(report.everything)

asyncio.run(run())
print(*(name for name in sys.modules if name.startswith(tuple(sys.argv[2:]))))
"""


def test_every_room_is_named_and_imports_only_what_it_may() -> None:
    # In a process of its own: it switches off every logger that it finds.
    linted = subprocess.run(
        [sys.executable, "-c", LINT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_a_bot_that_runs_has_imported_nothing_that_it_does_not_use(database_path: Path) -> None:
    command = [sys.executable, "-c", RUN, str(database_path), *TOO_MUCH]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("\n", "", 0)


@pytest.mark.parametrize("module", WITHOUT_MODELS)
def test_what_a_start_imports_has_no_library_for_models(module: str) -> None:
    look = f"import sys, {module}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in ran.stdout.split()}
    assert module in ran.stdout.split()
    assert imported.isdisjoint(FOR_MODELS)
