"""The real process on a loopback server: what it costs to start, and to be idle; and its fsyncs."""

import asyncio
import contextlib
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from bench import commits, scene
from bench.figures import Figure, at_most
from tgbot.playground.server import PlaygroundServer

ROUNDS_WARM_UP, ROUNDS = 1, 7  # the first one compiles what is imported
DEADLINE_SECONDS = 30
IDLE_SECONDS = 1.0
FEW, MANY = 100, 300  # commits
# httpx and telegram import these where they find them. Without the development extras there are none.
AS_INSTALLED = "import sys; sys.modules.update(rich=None, pygments=None, cryptography=None);"
BOT = f"{AS_INSTALLED} from tgbot.__main__ import main; sys.argv[1:] = ['run']; sys.exit(main())"
REFERENCE = f"{AS_INSTALLED} import telegram.ext"
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def figures() -> Iterator[Figure]:
    with scene.folder() as folder:
        path = scene.migrated(folder / "idle.db")
        rounds = [_round(path) for _ in range(ROUNDS_WARM_UP + ROUNDS)][ROUNDS_WARM_UP:]
    ratio, megabytes = (statistics.median(column) for column in zip(*rounds, strict=True))
    yield at_most("CPU time from start to the first getUpdates / import telegram.ext", ratio, 1.6, "x")
    yield at_most("resident memory of an idle process", megabytes, 62, "MB")
    if shutil.which("strace"):
        yield at_most("fsyncs a commit", (_fsyncs(MANY) - _fsyncs(FEW)) / (MANY - FEW), 1)
    else:
        yield Figure("fsyncs a commit", "strace is not installed", "<= 1", None)


def _round(path: Path) -> tuple[float, float]:
    """Start both, one after the other; give the ratio of their CPU times, and the bot's megabytes."""
    reference_seconds = _reference_cpu_seconds()
    cpu_seconds, megabytes = asyncio.run(_start(path))
    return cpu_seconds / reference_seconds, megabytes


def _reference_cpu_seconds() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", REFERENCE], env=_compiling(), check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def _start(path: Path) -> tuple[float, float]:
    """Start the bot; give its CPU seconds at its first getUpdates, and its megabytes when idle."""
    async with PlaygroundServer() as server, _bot(server.url, path) as process:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not _polled(server):
                assert process.returncode is None, "the bot ended by itself"
                await asyncio.sleep(0.01)
        cpu_seconds = _cpu_seconds(process.pid)
        await asyncio.sleep(IDLE_SECONDS)  # nothing to wait for: it must do nothing
        return cpu_seconds, _resident_megabytes(process.pid)


def _polled(server: PlaygroundServer) -> bool:
    """Say whether a getUpdates came: only that says which updates are wanted."""
    return any(bot.allowed for bot in server.world.bots.values())


@contextlib.asynccontextmanager
async def _bot(url: str, path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    settings = {
        "TGBOT_TOKEN": "1:playground",
        "TGBOT_API_URL": url,
        "TGBOT_DATABASE_URL": f"sqlite:///{path}",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BOT),
        env={**_compiling(), **settings},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


def _compiling() -> dict[str, str]:
    """Give an environment in which Python keeps what it compiled, as pip does where it installs."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / TICKS_A_SECOND  # user and system, man 5 proc


def _resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s*(\d+) kB", status)[0]) * 1024 / 1e6


def _fsyncs(number: int) -> int:
    """Count those of a process that makes `number` commits; the difference of two is the commits' own."""
    with scene.folder() as folder:
        path, report = scene.migrated(folder / "commits.db"), folder / "strace"
        subprocess.run(
            [
                *("strace", "-f", "--seccomp-bpf", "-e", "trace=fsync,fdatasync", "-o", str(report)),
                *(sys.executable, "-m", commits.__name__, str(path), str(number)),
            ],
            check=True,
        )
        return len(re.findall(r"f(?:data)?sync\(", report.read_text()))
