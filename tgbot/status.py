"""`tgbot status`: whether the bot runs, and what runs, waits, was given up or is unsent."""

import argparse
import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from tgbot.model import InstanceId
from tgbot.store import instances, workers
from tgbot.store.engine.place import Place
from tgbot.store.instances import Worker
from tgbot.store.overview import ALL, Entry, Section, overview

LISTED_MAX = 5  # of each kind, for people
WORDS_MAX_CHARACTERS = 60
WATCH_SECONDS = 2.0
CLEAR = "\x1b[H\x1b[2J"  # moves to the top of a terminal, and empties it
NAMES = {
    **{kind: f"{kind}_rows" for kind in ("queued", "asking", "held", "dead")},
    **{kind: f"{kind}_parts" for kind in ("unsent", "parked")},
}
LABELS = {"running": "interrupted"}  # while the bot does not run; it goes on at the next start


def add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> argparse.ArgumentParser:
    """Add the command, and give its parser."""
    status = commands.add_parser("status", help="what runs, waits and is unsent; also while the bot runs")
    status.add_argument("--json", action="store_true", help="for programs, with all entries")
    status.add_argument("--no-text", action="store_true", help="leave out what people and the bot wrote")
    status.add_argument("--watch", action="store_true", help="every 2 seconds again, until Ctrl-C")
    return status


def run(place: Place, arguments: argparse.Namespace, show: Callable[[str], None]) -> None:
    """Show the status, line by line. Raises StorageError."""
    if not arguments.watch:
        return _show(place, arguments, show)
    with contextlib.suppress(KeyboardInterrupt):  # the ordinary end
        while True:
            if sys.stdout.isatty():
                sys.stdout.write(CLEAR)
            _show(place, arguments, show)
            time.sleep(WATCH_SECONDS)


@dataclasses.dataclass(frozen=True, slots=True)
class _Seen:
    """What is shown; `workers` is None where only one may work on the database."""

    place: Place
    alive: bool
    sections: dict[str, Section]
    workers: list[Worker] | None


def _show(place: Place, arguments: argparse.Namespace, show: Callable[[str], None]) -> None:
    seen = _look(place, ALL if arguments.json else LISTED_MAX)
    if arguments.no_text:
        bare = {kind: _without_text(section) for kind, section in seen.sections.items()}
        seen = dataclasses.replace(seen, sections=bare)
    for line in _document(seen) if arguments.json else _table(seen):
        show(line)


def _look(place: Place, most: int) -> _Seen:
    sections = place.read_once(lambda conn: overview(conn, most, WORDS_MAX_CHARACTERS))
    at_work = place.read_once(instances.workers) if place.is_owned() is None else None
    return _Seen(place, workers.is_running(place), sections, at_work)


def _without_text(section: Section) -> Section:
    return Section(section.total, [dataclasses.replace(one, name="", text="") for one in section.entries])


def _document(seen: _Seen) -> list[str]:
    document: dict[str, Any] = {"database": str(seen.place), "alive": seen.alive}
    if seen.workers is not None:
        document["workers"] = [dataclasses.asdict(worker) for worker in seen.workers]
    for kind, section in seen.sections.items():
        entries = [dataclasses.asdict(entry) for entry in section.entries]
        document |= {"running": entries} if kind == "running" else {kind: section.total, NAMES[kind]: entries}
    return json.dumps(document, indent=2).split("\n")


def _table(seen: _Seen) -> Iterator[str]:
    labels = {kind: kind if seen.alive else LABELS.get(kind, kind) for kind in seen.sections}
    totals = ", ".join(f"{labels[kind]} {section.total}" for kind, section in seen.sections.items())
    yield f"{'the bot runs' if seen.alive else 'the bot does not run'}: {totals} ({seen.place})"
    now = time.time()
    yield from (_worker_line(worker, now) for worker in seen.workers or ())
    runs = {row_id: worker.instance_id for worker in seen.workers or () for row_id in worker.row_ids}
    for kind, section in seen.sections.items():
        whose = runs if kind == "running" else {}
        yield from (_line(labels[kind], entry, now, whose.get(entry.row_id)) for entry in section.entries)
        if more := section.total - len(section.entries):
            yield f"  and {more} more {labels[kind]}"


def _worker_line(worker: Worker, now: float) -> str:
    named = f"id={worker.instance_id} host={_one_line(worker.host)} pid={worker.pid}"
    turns = f"turns {len(worker.row_ids)}"
    if worker.is_gone:
        return f"  gone     {named}: {turns}, which another worker takes over"
    age, left = _duration(max(0.0, now - worker.started_at)), _duration(worker.lease_seconds or 0.0)
    polls = ", polls" if worker.polls else ""
    return f"  worker   {named} for {age}: {turns}, chats {worker.chats}, lease {left}{polls}"


def _line(label: str, entry: Entry, now: float, worker: InstanceId | None) -> str:
    what = "stopping" if entry.state == "stopped" and entry.part is None else label
    part = "" if entry.part is None else f" part={entry.part}"
    where = f" chat={entry.chat_id}" + ("" if worker is None else f" worker={worker}")
    again = f" (attempt {entry.attempt})" if entry.attempt > 1 and entry.part is None else ""
    age = _duration(max(0.0, now - entry.since))
    said = "".join(f": {_one_line(words)}" for words in (entry.why, entry.text) if words)
    return f"  {what:8} row={entry.row_id}{part}{where} for {age}{again}{said}"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _one_line(text: str) -> str:
    """Take out what is not printable: line breaks, what steers a terminal, marks that turn a line around."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
