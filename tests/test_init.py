"""`tgbot init`, as a person at a terminal sees it: what is asked, checked, and written."""

import asyncio
import io
import logging
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse

from tests.forking import ROOT
from tests.odd_wire import OddWire
from tests.terminal import typing
from tgbot import cli, config
from tgbot.init import env_file
from tgbot.init.asking import InitError
from tgbot.playground.server import PlaygroundServer

TOKEN = "42:playground-secret"
CTRL_C = "\x03\n"  # the new line is for a read that begins just after the signal
AGENT = "async def agent(turn):\n    yield turn.text\n"


@pytest.fixture
async def known(wire: PlaygroundServer) -> PlaygroundServer:
    """A server that knows the token."""
    wire.world.bot(TOKEN)
    return wire


class Here:
    """Runs `tgbot init` in this process, in a thread, because the server is in this loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    async def init(self, wire: PlaygroundServer | OddWire, *words: str, **more: str) -> tuple[int, str, str]:
        """Give the exit status, and what was printed."""
        with self._monkeypatch.context() as patch:
            for name, value in {"TGBOT_API_URL": wire.url, **more}.items():
                patch.setenv(name, value)
            status = await asyncio.to_thread(cli.main, ["init", *words])
        return status, *self._capsys.readouterr()


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Here]:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("TGBOT_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.syspath_prepend(ROOT)
    handlers = logging.getLogger().handlers[:]
    yield Here(monkeypatch, capsys)
    logging.getLogger().handlers[:] = handlers  # what `init` logs to is this test's alone


def written(folder: Path) -> dict[str, str | None]:
    return dotenv_values(folder / ".env")


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@asynccontextmanager
async def models(status: str, body: str = "{}") -> AsyncIterator[tuple[str, list[str]]]:
    """Answer each request so; give the URL, and the requests that came."""
    heard: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await reader.readuntil(b"\r\n\r\n")).decode())
        head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", heard


async def test_in_a_terminal_it_asks_and_the_token_is_not_shown(
    known: PlaygroundServer, tmp_path: Path
) -> None:
    status, screen = await asyncio.to_thread(
        typing,
        tmp_path,
        "init",
        answers=[
            ("from @BotFather: ", "42\n"),
            ("from @BotFather: ", f"{TOKEN}\n"),
            ("[echo]: ", "nowhere:agent\n"),
            ("[echo]: ", "\n"),
            ("its owner: ", "7, 8\n"),
        ],
        TGBOT_API_URL=known.url,
    )
    assert status == 0, screen
    assert "the token is wrong (a token looks like 123456:ABC-DEF)" in screen
    assert "This token belongs to @" in screen
    assert "cannot import agent 'nowhere:agent'" in screen
    assert screen.rstrip().endswith("Next: tgbot run")
    assert "secret" not in screen
    assert written(tmp_path) == {
        "TGBOT_TOKEN": TOKEN,
        "TGBOT_AGENT": "echo",
        "TGBOT_ALLOWED_USERS": "7, 8",
    }
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


async def test_what_is_written_is_what_the_bot_starts_with(
    known: PlaygroundServer, here: Here, tmp_path: Path
) -> None:
    status, out, err = await here.init(known, "--token", TOKEN, "--agent", "echo", "--yes")
    assert (status, err) == (0, "")
    next_line = "Next: tgbot run, which shows a link: whoever opens it owns the bot"
    assert out.splitlines()[1:] == [".env is written; only you can read it.", next_line]
    assert leftovers(tmp_path) == [".env"]
    loaded = config.load()
    assert (loaded.token, loaded.agent, loaded.allowed_users) == (TOKEN, "echo", ())


async def test_an_existing_file_is_changed_only_where_somebody_agrees_and_only_there(
    known: PlaygroundServer, tmp_path: Path
) -> None:
    before = "# mine\nTGBOT_TOKEN_FILE=gone\nexport OTHER='a b'\nTGBOT_AGENT=echo\nTGBOT_MODE=steer"
    file = tmp_path / ".env"
    file.write_text(before)
    file.chmod(0o644)
    (tmp_path / "gone").write_text(TOKEN)
    (tmp_path / "mine.py").write_text(AGENT)
    words = ("init", "--token", TOKEN, "--agent", "mine:agent", "--allow", "7")
    question = "Write TGBOT_TOKEN, TGBOT_AGENT, TGBOT_ALLOWED_USERS into .env? [y/N] "
    for answer, wanted in (("\n", 1), ("y\n", 0)):
        assert file.read_text() == before
        status, screen = await asyncio.to_thread(
            typing, tmp_path, *words, answers=[(question, answer)], TGBOT_API_URL=known.url
        )
        assert status == wanted, screen
    assert file.read_text() == (
        "# mine\nexport OTHER='a b'\nTGBOT_AGENT=mine:agent\nTGBOT_MODE=steer\n"
        f"TGBOT_TOKEN={TOKEN}\nTGBOT_ALLOWED_USERS=7\n"
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_ctrl_c_leaves_no_file(known: PlaygroundServer, tmp_path: Path) -> None:
    answers = [("from @BotFather: ", f"{TOKEN}\n"), ("[echo]: ", CTRL_C)]
    status, screen = await asyncio.to_thread(
        typing, tmp_path, "init", answers=answers, TGBOT_API_URL=known.url
    )
    assert status == 130
    assert "tgbot: interrupted" in screen
    assert leftovers(tmp_path) == []


async def test_ctrl_d_at_the_token_is_one_line_and_leaves_no_file(
    known: PlaygroundServer, tmp_path: Path
) -> None:
    typed = [("from @BotFather: ", "\x04")]
    status, screen = await asyncio.to_thread(typing, tmp_path, "init", answers=typed, TGBOT_API_URL=known.url)
    assert (status, leftovers(tmp_path)) == (1, [])
    assert "tgbot: no answer to “The bot's token" in screen
    assert "Traceback" not in screen


async def test_a_token_in_a_file_stays_there_and_one_from_a_pipe_is_written(
    known: PlaygroundServer, here: Here, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert (await here.init(known, "--token-file", "token", "--yes"))[0] == 0
    assert written(tmp_path) == {"TGBOT_TOKEN_FILE": str(tmp_path / "token"), "TGBOT_AGENT": "echo"}
    (tmp_path / ".env").unlink()
    command = [sys.executable, "-m", "tgbot", "init", "--token", "-", "--yes"]
    environment = {"PYTHONPATH": str(ROOT), "TGBOT_API_URL": known.url}
    piped = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=tmp_path,
        env=environment,
        input=f"{TOKEN}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert piped.returncode == 0, piped.stderr
    assert "secret" not in piped.stdout + piped.stderr
    assert written(tmp_path) == {"TGBOT_TOKEN": TOKEN, "TGBOT_AGENT": "echo"}


async def test_once_more_with_yes_it_keeps_what_it_is_not_given(
    known: PlaygroundServer, here: Here, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(AGENT)
    await here.init(known, "--token", TOKEN, "--allow", "7", "--yes")
    status, _, err = await here.init(known, "--agent", "mine:agent", "--yes")
    assert status == 0, err
    agent = "mine:agent"
    assert written(tmp_path) == {
        "TGBOT_TOKEN": TOKEN,
        "TGBOT_AGENT": agent,
        "TGBOT_ALLOWED_USERS": "7",
    }


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--token", "hush"], "tgbot: the token is wrong (a token looks like 123456:ABC-DEF)\n"),
        (["--token-file", "gone"], "tgbot: gone cannot be read: "),
        (["--token", TOKEN, "--agent", "nowhere:agent"], "tgbot: cannot import agent 'nowhere:agent': Modu"),
        (
            ["--token", TOKEN, "--allow", "bob"],
            "tgbot: who may talk is wrong (a user id is a number like 123456789; a name is none)\n",
        ),
        (["--token", TOKEN, "--agent", "llm"], "tgbot: a model is needed: provider:model, like openai:gp"),
        (["--token", TOKEN, "--model", "nobody"], "tgbot: 'nobody' names no provider: provider:model"),
        (
            ["--token", TOKEN, "--model", "openai:x"],
            "tgbot: openai:x needs a key: set OPENAI_API_KEY, or give",
        ),
    ],
)
async def test_a_wrong_answer_is_one_line_and_writes_nothing(
    known: PlaygroundServer, here: Here, words: list[str], line: str
) -> None:
    status, _, err = await here.init(known, *words, "--yes")
    assert status in {1, 2}
    assert err.startswith(line)
    assert err.count("\n") == 1
    assert leftovers(Path()) == []


async def test_without_a_terminal_a_question_is_an_error_that_names_the_options(
    known: PlaygroundServer, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tgbot", "init", "--token", TOKEN]
    environment = {"PYTHONPATH": str(ROOT), "TGBOT_API_URL": known.url}
    failed = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1
    assert failed.stderr.startswith("tgbot: no answer to “What answers: echo")
    assert failed.stderr.endswith("give it as an option (`tgbot init --help`)\n")
    assert leftovers(tmp_path) == []


async def test_without_a_terminal_the_question_that_got_no_answer_is_named_also_for_a_secret(
    here: Here, monkeypatch: pytest.MonkeyPatch, known: PlaygroundServer
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    status, _, err = await here.init(known)
    assert status == 1
    assert err.startswith("tgbot: no answer to “The bot's token, from @BotFather”: give it as an option")


async def test_a_model_without_a_provider_or_a_server_that_does_not_answer_is_asked_about_again(
    known: PlaygroundServer, tmp_path: Path
) -> None:
    async with models("200 OK") as (url, _):
        status, screen = await asyncio.to_thread(
            typing,
            tmp_path,
            "init",
            answers=[
                ("from @BotFather: ", f"{TOKEN}\n"),
                ("[echo]: ", "llm\n"),
                ("gpt-5-mini: ", "qwen3\n"),
                ("gpt-5-mini: ", "ollama:qwen3\n"),
                ("address [", "http://127.0.0.1:1/v1\n"),
                ("address [", f"{url}\n"),
                ("its owner: ", "\n"),
            ],
            TGBOT_API_URL=known.url,
        )
    assert status == 0, screen
    assert "'qwen3' names no provider" in screen
    assert "127.0.0.1:1 does not answer" in screen
    assert written(tmp_path)["TGBOT_MODEL_URL"] == url


async def test_a_token_that_telegram_does_not_know_is_said_to_be_that(here: Here) -> None:
    async with OddWire() as odd:
        odd.answers["getMe"] = [JSONResponse({"ok": False, "error_code": 401, "description": "No"}, 401)]
        status, _, err = await here.init(odd, "--token", TOKEN, "--yes")
    line = "tgbot: Telegram does not know this token: copy it again from @BotFather\n"
    assert (status, err) == (1, line)
    _, _, err = await here.init(odd, "--token", TOKEN, "--yes")
    assert "tgbot: the Bot API server does not answer (127.0.0.1:" in err
    assert "secret" not in err


async def test_a_models_key_is_shown_to_its_server_alone_and_stays_in_its_file(
    known: PlaygroundServer, here: Here, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("sk-hush\n")
    words = ("--token", TOKEN, "--model", "x", "--model-key-file", "key", "--yes")
    async with models("200 OK", '{"data": [{"id": "x"}]}') as (url, heard):
        status, out, err = await here.init(known, *words, "--model-url", url)
    host = url.removeprefix("http://").removesuffix("/v1")
    assert status == 0, err
    assert f"{host} answers\n" in out
    [request] = heard
    assert request.startswith("GET /v1/models HTTP")
    assert "authorization: bearer sk-hush" in request.lower()
    assert written(tmp_path) == {
        "TGBOT_TOKEN": TOKEN,
        "TGBOT_AGENT": "llm",
        "TGBOT_MODEL": "x",
        "TGBOT_MODEL_URL": url,
        "TGBOT_MODEL_KEY_FILE": str(tmp_path / "key"),
    }
    assert "hush" not in out + err


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (("401 No", ""), "tgbot: {} does not accept the key: copy it again from your provider\n"),
        (("404 No", ""), "{} answers with status 404, so the key was not checked\n"),
        (("200 OK", '{"data": [{"id": "y"}]}'), "{} answers, but does not list x: if it is misspelled, say"),
        (("200 OK", "[]"), "{} answers\n"),
    ],
)
async def test_what_a_models_server_says_is_passed_on(
    known: PlaygroundServer, here: Here, said: tuple[str, str], line: str
) -> None:
    async with models(*said) as (url, _):
        words = ("--token", TOKEN, "--model", "x", "--model-url", url, "--yes")
        status, out, err = await here.init(known, *words, TGBOT_MODEL_KEY="sk-hush")
    assert line.format(url.removeprefix("http://").removesuffix("/v1")) in out + err
    assert "hush" not in out + err
    assert (status == 0) == (".env" in leftovers(Path())) == (not err)


async def test_what_the_shell_sets_otherwise_is_named(known: PlaygroundServer, here: Here) -> None:
    words = ("--token", TOKEN, "--agent", "echo", "--yes")
    _, out, _ = await here.init(known, *words, TGBOT_AGENT="llm")
    assert "TGBOT_AGENT is set in this shell, too, to something else, which goes first: unset it" in out


@settings(max_examples=40)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"])))
def test_a_value_is_read_as_it_was_written_or_is_refused(value: str) -> None:
    try:
        text = env_file.changed("A=1\n# B=2\n", {"B": value}, ())
    except InitError:
        assert "$" in value
        return
    assert dotenv_values(stream=io.StringIO(text)) == {"A": "1", "B": value}


def test_a_link_stays_a_link_and_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    real = tmp_path / "real"
    link = tmp_path / ".env"
    link.symlink_to(real)
    env_file.write(link, "A=1\n")
    assert (link.is_symlink(), real.read_text()) == (True, "A=1\n")
    with pytest.raises(InitError, match=r"nowhere/\.env cannot be written: No such file or directory"):
        env_file.write(tmp_path / "nowhere" / ".env", "A=1\n")
