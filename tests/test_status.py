"""`tgbot status`, for people and for programs: what is listed is one line each, whatever people wrote."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.forking import ROOT
from tests.terminal import tgbot
from tgbot import status

DAY_SECONDS = 86_400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with a migrated database in it."""
    assert tgbot(tmp_path, "db", "upgrade").returncode == 0
    return tmp_path


def add_dead(folder: Path, *raws: object, kind: str = "message", received_at: float = 0) -> None:
    with closing(sqlite3.connect(folder / "tgbot.db")) as raw, raw:
        (first,) = raw.execute("SELECT coalesce(max(id), 0) + 1 FROM pending").fetchone()
        raw.executemany(
            "INSERT INTO pending (update_id, kind, bot_id, state, session_key, received_at, ended_at, raw)"
            " VALUES (?, ?, 1, 'dead', '1:7', ?, 0, ?)",
            [(first + n, kind, received_at, json.dumps(update)) for n, update in enumerate(raws)],
        )


def said(text: object) -> dict[str, object]:
    return {"message": {"text": text}}


def listed(folder: Path, **environment: str) -> list[str]:
    ended = tgbot(folder, "status", **environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.removesuffix("\n").split("\n")[1:]


def test_without_a_database_it_says_what_to_do(tmp_path: Path) -> None:
    ended = tgbot(tmp_path, "status")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "start the bot once" in ended.stderr


def test_of_a_newer_schema_it_says_what_helps(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "tgbot.db")) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    ended = tgbot(folder, "status")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "was written by a newer tgbot (schema 9999): update tgbot, or use another database" in ended.stderr


def test_it_names_its_database_file(folder: Path) -> None:
    none = "the bot does not run: interrupted 0, queued 0, asking 0, held 0, dead 0, unsent 0, parked 0"
    path = str(folder / "tgbot.db")
    assert tgbot(folder, "status").stdout == f"{none} ({path})\n"
    document = json.loads(tgbot(folder, "status", "--json").stdout)
    assert (document["database"], document["running"]) == (path, [])


def test_the_one_owner_of_a_file_is_not_listed_as_a_worker(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "tgbot.db")) as raw, raw:
        raw.execute(
            "INSERT INTO instance (pid, host, revision, started_at, lease_until) VALUES (1, '', '', 0, 1e12)"
        )
    assert listed(folder) == []
    assert "workers" not in json.loads(tgbot(folder, "status", "--json").stdout)


def test_it_needs_no_other_setting_to_be_right(folder: Path) -> None:
    assert tgbot(folder, "status", TGBOT_MAX_TURNS="0", TGBOT_TOKEN="hush").returncode == 0


def test_of_another_schema_it_says_what_to_do(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "tgbot.db")) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '0000'")
        raw.execute("DROP TABLE outbox")
    ended = tgbot(folder, "status")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "run `tgbot db upgrade`" in ended.stderr


def test_a_dead_row_shows_why_its_age_and_its_first_words(folder: Path) -> None:
    add_dead(folder, said("Please count the stars"), received_at=time.time() - 3 * DAY_SECONDS - 60)
    add_dead(folder, said({"not": "a text"}), kind="unreadable", received_at=time.time() - 90)
    assert listed(folder) == [
        "  dead     row=1 chat=None for 3 d: interrupted too often: Please count the stars",
        "  dead     row=2 chat=None for 1 min: cannot be read",
    ]
    first, second = json.loads(tgbot(folder, "status", "--json").stdout)["dead_rows"]
    assert (first["text"], second["text"]) == ("Please count the stars", "")
    assert time.time() - first["since"] >= 3 * DAY_SECONDS + 60


def test_what_people_wrote_cannot_break_its_line(folder: Path) -> None:
    shown = {
        "one\ntwo\r\nthree\u2028four\vfive": "one two three four five",
        "\x1b[31mred\x1b[0m\x07": "[31mred [0m",
        "\u202edrawkcab": "drawkcab",  # would turn the rest of the line around
        "\ud800 lone": "\ufffd lone",
        "ä" * 500: "ä" * (status.WORDS_MAX_CHARACTERS - 1) + "…",
    }
    add_dead(folder, *map(said, shown))
    assert [line.rpartition(": ")[2] for line in listed(folder)] == list(shown.values())


def test_what_the_terminal_cannot_show_is_replaced(folder: Path) -> None:
    add_dead(folder, said("naïve 🙂"))
    (line,) = listed(folder, PYTHONIOENCODING="ascii")
    assert line.endswith("na?ve ?")


def test_the_reason_of_a_parked_part_is_one_line_too(folder: Path) -> None:
    add_dead(folder, said("x"))
    with closing(sqlite3.connect(folder / "tgbot.db")) as raw, raw:
        raw.execute(
            "INSERT INTO outbox (bot_id, pending_id, part, text, state, chat_id, box, error)"
            " VALUES (1, 1, 0, 'x', 'parked', 7, 0, 'Bad\nGateway')"
        )
    [_, line] = listed(folder)
    assert re.fullmatch(r"  parked   row=1 part=0 chat=7 for \d+ d: Bad Gateway: x", line)


def test_a_caption_counts_as_words_and_what_has_none_shows_none(folder: Path) -> None:
    add_dead(folder, {"message": {"caption": "a chart"}}, {"message": {"photo": []}}, {"message": 1}, [])
    assert [line.rpartition("often")[2] for line in listed(folder)] == [": a chart", "", "", ""]


def test_a_row_nested_too_deep_to_be_parsed_shows_no_words(folder: Path) -> None:
    add_dead(folder, said("x"))
    with closing(sqlite3.connect(folder / "tgbot.db")) as raw, raw:
        raw.execute("UPDATE pending SET raw = ?", ('{"message":' * 100_000,))
    (line,) = listed(folder)
    assert line.endswith("interrupted too often")


def test_it_lists_a_handful_and_counts_them_all_and_for_programs_it_lists_all(folder: Path) -> None:
    add_dead(folder, *[said(n) for n in map(str, range(status.LISTED_MAX + 5))])
    ended = tgbot(folder, "status").stdout
    assert f"dead {status.LISTED_MAX + 5}," in ended
    assert ended.count("  dead ") == status.LISTED_MAX
    assert ended.splitlines()[-1] == "  and 5 more dead"
    assert len(json.loads(tgbot(folder, "status", "--json").stdout)["dead_rows"]) == status.LISTED_MAX + 5


def test_without_text_no_word_and_no_name_of_a_chat_is_shown(folder: Path) -> None:
    chat = {"id": 7, "first_name": "Ann", "last_name": "Lee"}
    add_dead(folder, {"message": {"text": "a secret word", "chat": chat}})
    [entry] = json.loads(tgbot(folder, "status", "--json").stdout)["dead_rows"]
    assert (entry["name"], entry["text"]) == ("Ann Lee", "a secret word")
    for words in (["status", "--no-text"], ["status", "--no-text", "--json"]):
        ended = tgbot(folder, *words).stdout
        assert "interrupted too often" in ended
        assert "secret" not in ended
        assert "Ann" not in ended


def test_what_waits_is_held_asks_or_is_unsent_is_listed_with_its_age(folder: Path) -> None:
    add_dead(folder, *map(said, ("wait", "hold", "ask")), received_at=time.time() - 7200)
    with closing(sqlite3.connect(folder / "tgbot.db")) as raw, raw:
        raw.execute("UPDATE pending SET state = 'queued', ended_at = NULL WHERE id = 1")
        raw.execute("UPDATE pending SET state = 'held', held_by = 1, ended_at = NULL WHERE id = 2")
        raw.execute("UPDATE pending SET state = 'asking', attempt = 2, ended_at = NULL WHERE id = 3")
        raw.execute(
            "INSERT INTO outbox (bot_id, pending_id, part, text, state, chat_id, box, ready_at)"
            " VALUES (1, 3, 0, 'May I?', 'ready', 7, 0, ?)",
            [time.time() - 60],
        )
    assert listed(folder) == [
        "  queued   row=1 chat=None for 2 h: wait",
        "  asking   row=3 chat=None for 2 h (attempt 2): ask",
        "  held     row=2 chat=None for 2 h: hold",
        "  unsent   row=3 part=0 chat=7 for 1 min: May I?",
    ]


def test_watched_it_is_shown_again_and_again_until_it_is_interrupted(folder: Path) -> None:
    with watched(folder) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert lines[0] == lines[1]
    assert "the bot does not run" in lines[0]


def watched(folder: Path) -> subprocess.Popen[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("TGBOT_")}
    command = [sys.executable, "-m", "tgbot", "status", "--watch"]
    environment = {**bare, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
