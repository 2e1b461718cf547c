"""`tgbot play` as a process: what it keeps, what it refuses, and that no bot outlives it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import postgres
from tests.playground.process import SLEEPER, Playground, is_gone, until
from tests.waiting import DEADLINE_SECONDS


@pytest.fixture
def playground(tmp_path: Path) -> Iterator[Playground]:
    running = Playground(tmp_path, "--agent", "echo")
    yield running
    if running.process.poll() is None:
        running.end()


def test_the_bot_answers(playground: Playground) -> None:
    playground.say("hello there")
    until(lambda: playground.answers() == ["hello there"])


def test_ended_gently_it_ends_the_bot(playground: Playground) -> None:
    pid = playground.bot_pid()
    assert playground.end() == 0
    assert is_gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("stuck", [False, True])
def test_killed_it_leaves_no_bot_behind(playground: Playground, *, stuck: bool) -> None:
    pid = playground.bot_pid()
    until(lambda: playground.get("playground/state")["lines"])  # so that it has asked the kernel
    if stuck:  # a stopped process runs no thread that could watch a pipe
        os.kill(pid, signal.SIGSTOP)
    playground.die()
    until(lambda: is_gone(pid))


def test_the_bot_dies_with_the_pipe_alone(tmp_path: Path) -> None:
    read, write = os.pipe()
    environment = os.environ | {"TGBOT_TOKEN": "1:playground", "TGBOT_API_URL": "http://127.0.0.1:9"}
    child = subprocess.Popen(
        [sys.executable, "-m", "tgbot.playground.child", str(read), str(os.getpid())],
        env=environment | {"TGBOT_DATABASE_URL": f"sqlite:///{tmp_path}/bot.db"},
        pass_fds=[read],
        stderr=subprocess.DEVNULL,
    )
    os.close(read)
    assert child.poll() is None
    os.close(write)
    assert child.wait(DEADLINE_SECONDS) == -signal.SIGKILL


def test_killed_and_started_the_bot_goes_on(tmp_path: Path) -> None:
    playground = Playground(tmp_path, "--agent", SLEEPER)
    playground.say("sleep 1 first")
    playground.say("second")
    until(playground.reactions)  # it works on the first
    playground.post("playground/bot/kill")
    assert not playground.get("playground/state")["bot"]["running"]
    playground.say("third, while it was dead")
    playground.post("playground/bot/start")
    until(lambda: playground.answers() == ["sleep 1 first", "second", "third, while it was dead"])
    playground.end()


def test_with_the_bot_on_a_server_it_is_killed_and_goes_on_and_the_page_sees_its_rows(tmp_path: Path) -> None:
    with postgres.server() as server, server.empty_database() as url:
        playground = Playground(tmp_path, "--agent", SLEEPER, "--db", url)
        playground.say("sleep 1 first")
        playground.say("second")
        until(playground.reactions)  # it works on the first
        playground.post("playground/bot/kill")
        playground.post("playground/bot/start")
        until(lambda: playground.answers()[-1:] == ["second"])
        with psycopg.connect(url.replace("+psycopg", "")) as database:  # as Telegram may send it
            database.execute(r"UPDATE pending SET raw = replace(raw, 'first', 'f\u0000st')")
        with urllib.request.urlopen(f"{playground.url}/playground/events", timeout=DEADLINE_SECONDS):
            until(lambda: playground.get("playground/state")["pending"]["counts"] == {"done": 2})
        rows = playground.get("playground/state")["pending"]["rows"]
        assert [row["text"] for row in rows] == ["second", "sleep 1 f st"]
        assert playground.end() == 0
        assert [file.name for file in (tmp_path / ".playground").glob("*.world")] == ["empty_0.world"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:hunter2@db.example:5433/bots?sslmode=require",
        "postgresql+psycopg://db.example:5433/bots",
    ],
)
def test_no_database_on_a_server_is_deleted_and_no_password_is_in_a_name(tmp_path: Path, url: str) -> None:
    playground = Playground(tmp_path, "--reset", "--db", url)
    assert "remove .playground/db.example-5433-bots.world" in playground.greeting
    assert playground.status() == 1


def test_chats_and_updates_outlive_a_kill_of_everything(tmp_path: Path) -> None:
    first = Playground(tmp_path, "--agent", "echo")
    first.say("answered")
    until(lambda: first.answers() == ["answered"])
    first.post("playground/bot/kill")
    first.say("asked in vain")
    first.die()
    second = Playground(tmp_path, "--agent", "echo")
    until(lambda: second.answers() == ["answered", "asked in vain"])
    second.end()


def test_reset_forgets(tmp_path: Path) -> None:
    first = Playground(tmp_path)
    first.say("hello")
    first.end()
    second = Playground(tmp_path, "--reset")
    assert second.texts() == []
    second.end()


def test_a_bot_that_ends_by_itself_says_why_in_the_terminal(tmp_path: Path) -> None:
    playground = Playground(tmp_path, "--agent", "no_such_module:agent")
    said = _line_with(playground, "The bot ended by itself (status 2)")
    assert "No module named 'no_such_module'" in said
    assert "\x1b" not in said, "colors are for terminals"
    playground.end()


def test_in_a_terminal_that_line_is_red(tmp_path: Path) -> None:
    main, terminal = os.openpty()
    command = [sys.executable, "-m", "tgbot", "play", "--port", "0", "--db", str(tmp_path / "bot.db")]
    environment = {name: text for name, text in os.environ.items() if name not in ("NO_COLOR", "DISPLAY")}
    process = subprocess.Popen([*command, "--agent", "no_such:agent"], stdout=terminal, env=environment)
    os.close(terminal)
    said = ""
    with _ends_by_the_deadline(process):
        while "No module named 'no_such'" not in said:
            said += os.read(main, 4096).decode(errors="replace")
    assert "\x1b[31mThe bot ended by itself" in said
    process.terminate()
    assert process.wait(DEADLINE_SECONDS) == 0
    os.close(main)


def test_a_private_bot_shows_the_link_for_its_owner_in_the_terminal(tmp_path: Path) -> None:
    playground = Playground(tmp_path, "--agent", "echo", "--private")
    link = _line_with(playground, "https://t.me/playground1_bot?start=").strip()
    assert playground.get("playground/state")["bot"]["invitation"] == link
    playground.say(f"/start {link.rpartition('=')[2]}")
    until(lambda: any("This bot is yours now" in answer for answer in playground.answers()))
    playground.end()


def test_a_bot_that_has_an_owner_shows_no_link_any_more(tmp_path: Path) -> None:
    playground = Playground(tmp_path, "--agent", "echo", "--private")
    code = _line_with(playground, "https://t.me/").strip().rpartition("=")[2]
    playground.say(code)
    until(playground.answers)
    playground.post("playground/bot/kill")
    playground.post("playground/bot/start")
    playground.say("hello")
    until(lambda: playground.answers()[-1] == "hello")
    assert playground.get("playground/state")["bot"]["invitation"] is None
    playground.end()


def _line_with(playground: Playground, words: str) -> str:
    """Read what it prints until a line has these words."""
    assert playground.process.stdout is not None
    with _ends_by_the_deadline(playground.process):
        return next(line for line in playground.process.stdout if words in line)


@contextlib.contextmanager
def _ends_by_the_deadline(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Kill a process of which what is read here never comes: the read ends with it."""
    timer = threading.Timer(DEADLINE_SECONDS, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def test_a_second_one_on_the_same_folder_is_refused(playground: Playground, tmp_path: Path) -> None:
    second = Playground(tmp_path)
    assert "another playground uses" in second.greeting
    assert second.status() == 1


def test_a_port_in_use_is_reported(playground: Playground, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    second = Playground(other, port=int(playground.url.rpartition(":")[2]))
    assert "choose another with --port" in second.greeting
    assert second.status() == 1


@pytest.mark.parametrize(
    "header",
    [{"Origin": "https://example.org"}, {"Host": "evil.example.org"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_another_web_site_is_kept_out(playground: Playground, header: dict[str, str]) -> None:
    request = urllib.request.Request(f"{playground.url}/playground/chats", headers=header)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request)
