"""The process lock: one process per database file, whoever looks at it meanwhile."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import IO

import pytest

from tgbot.store.engine.sqlite.lock import DatabaseLockedError, ProcessLock

HOLD = """
import os
import sys
from pathlib import Path
from tgbot.store.engine.sqlite.lock import ProcessLock
with ProcessLock(Path(sys.argv[1])):
    if "fork" not in sys.argv or not os.fork():
        print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(path: Path, *how: str) -> Iterator[subprocess.Popen[str]]:
    """Run another process that holds the lock until its stdin ends; "fork": and a child of its own."""
    command = [sys.executable, "-c", HOLD, str(path), *how]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert _pipe(process.stdout).readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        _pipe(process.stdin).close()
        _pipe(process.stdout).close()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream
    return stream


def test_only_one_process_owns_the_database_and_a_second_hears_which(database_path: Path) -> None:
    with (
        holder(database_path) as process,
        pytest.raises(DatabaseLockedError, match=f"process {process.pid}:"),
        ProcessLock(database_path),
    ):
        pytest.fail("two owners")


def test_a_symlink_to_the_database_has_the_same_lock(database_path: Path) -> None:
    link = database_path.with_name("link.db")
    link.symlink_to(database_path)
    with holder(database_path), pytest.raises(DatabaseLockedError), ProcessLock(link):
        pytest.fail("two owners")


@pytest.mark.parametrize("how", [[], ["fork"]], ids=["alone", "its child is still there"])
def test_sigkill_of_the_holder_frees_the_database(database_path: Path, how: list[str]) -> None:
    with holder(database_path, *how) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with ProcessLock(database_path):
            pass


def test_the_lock_ends_with_its_block_and_names_its_newest_holder(database_path: Path) -> None:
    with holder(database_path):
        pass
    with ProcessLock(database_path), pytest.raises(DatabaseLockedError, match=f"process {os.getpid()}:"):
        ProcessLock(database_path).__enter__()
    with ProcessLock(database_path):
        pass


@pytest.fixture
def left_behind(database_path: Path) -> Iterator[int]:
    """Give the lock file as a killed bot leaves it, open: it names a process that is gone."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    path = database_path.with_name("tgbot.db.lock")
    path.write_text(f"{gone.pid}\n")
    fd = os.open(path, os.O_RDWR)
    yield fd
    os.close(fd)


def test_a_start_outlasts_one_who_looks_whether_the_bot_runs(database_path: Path, left_behind: int) -> None:
    """`tgbot status` shares the lock for an instant; who owned it last is of no matter."""
    fcntl.flock(left_behind, fcntl.LOCK_SH)
    Timer(0.2, fcntl.flock, (left_behind, fcntl.LOCK_UN)).start()
    with ProcessLock(database_path):
        assert ProcessLock(database_path).is_held()


def test_one_who_looks_is_never_taken_for_an_owner(database_path: Path, left_behind: int) -> None:
    os.pwrite(left_behind, f"{os.getpid():<9}\n".encode(), 0)  # its number is another process's now
    fcntl.flock(left_behind, fcntl.LOCK_SH)
    Timer(0.2, fcntl.flock, (left_behind, fcntl.LOCK_UN)).start()
    with ProcessLock(database_path):
        assert ProcessLock(database_path).is_held()


def test_an_owner_that_has_not_written_its_number_yet_is_waited_for(
    database_path: Path, left_behind: int
) -> None:
    fcntl.flock(left_behind, fcntl.LOCK_EX)
    Timer(0.2, os.pwrite, (left_behind, f"{os.getpid()}\n".encode(), 0)).start()
    with pytest.raises(DatabaseLockedError, match=f"process {os.getpid()}:"):
        ProcessLock(database_path).__enter__()


def test_an_owner_that_never_says_its_number_is_not_given_a_stale_one(
    database_path: Path, left_behind: int
) -> None:
    """Its disk was full, say, or it runs in another container."""
    fcntl.flock(left_behind, fcntl.LOCK_EX)
    with pytest.raises(DatabaseLockedError, match="is in use by another process: stop that one first"):
        ProcessLock(database_path).__enter__()
