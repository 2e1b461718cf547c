"""`tgbot doctor`, as a person at a terminal sees it: a line for each check, and what to do about it."""

import asyncio
import json
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from email.utils import formatdate
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse

from tests.odd_wire import ME, OddWire, result
from tests.terminal import tgbot
from tgbot.doctor import bot_api, files, model
from tgbot.playground.server import PlaygroundServer
from tgbot.store.engine.sqlite.lock import ProcessLock
from tgbot.store.engine.sqlite.wal import LARGE_BYTES

TOKEN = "42:playground-secret"
TO_SET = "set it in the environment or in .env to"
NO_WEBHOOK: dict[str, Any] = {"url": "", "pending_update_count": 0}


@pytest.fixture
async def odd() -> AsyncIterator[OddWire]:
    async with OddWire() as wire:
        wire.answers["getWebhookInfo"] = [result(NO_WEBHOOK)]
        yield wire


async def doctor(folder: Path, url: str, *words: str, **more: str) -> CompletedProcess[str]:
    """Run it in a thread: the server is in this loop."""
    settings = {"TGBOT_TOKEN": TOKEN, "TGBOT_API_URL": url, **more}
    return await asyncio.to_thread(tgbot, folder, "doctor", *words, **settings)


def trouble(ended: CompletedProcess[str]) -> list[str]:
    """Give the lines of what is not well."""
    return [line for line in ended.stdout.splitlines() if not line.startswith("ok   ")]


def inside(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def sql(database: Path, script: str) -> None:
    with closing(sqlite3.connect(database)) as raw, raw:
        raw.executescript(script)


async def set_webhook(wire: PlaygroundServer, url: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{wire.url}/bot{TOKEN}/setWebhook", data={"url": url})
    assert answer.json()["ok"]


@asynccontextmanager
async def server_that_says(head: str) -> AsyncIterator[str]:
    """Answer each request with these lines and nothing more."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_where_all_is_well_each_line_says_ok_and_no_update_is_taken_from_the_bot(
    database_path: Path, wire: PlaygroundServer
) -> None:
    bot = wire.world.bot(TOKEN)
    wire.world.post_message(7, 7, "hello")
    ended = await doctor(database_path.parent, wire.url)
    assert (ended.returncode, ended.stderr, trouble(ended)) == (0, "", [])
    assert "1 updates wait" in ended.stdout
    assert "another poller: none" in ended.stdout
    [poll] = wire.world.journal.after(methods="getUpdates")
    assert poll["params"].keys() == {"limit", "timeout"}, "no offset, and no other allowed_updates"
    assert len(bot.updates) == 1


async def test_while_the_bot_runs_its_poll_is_left_alone(database_path: Path, wire: PlaygroundServer) -> None:
    with ProcessLock(database_path):
        ended = await doctor(database_path.parent, wire.url)
    assert ended.returncode == 0
    assert "another poller: not looked for, as the bot itself polls" in ended.stdout
    assert wire.world.journal.after(methods="getUpdates") == []


async def test_before_the_first_start_it_makes_no_file(tmp_path: Path, wire: PlaygroundServer) -> None:
    ended = await doctor(tmp_path, wire.url)
    assert (ended.returncode, inside(tmp_path)) == (0, [])
    assert "tgbot.db is not there yet: the first `tgbot run` makes it" in ended.stdout


async def test_without_a_network_it_says_so_and_checks_the_rest(database_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    ended = await doctor(database_path.parent, url)
    assert (ended.returncode, ended.stderr) == (1, "")
    failed = ended.stdout.splitlines()[-1]
    assert failed.startswith("fail Bot API server: it does not answer (127.0.0.1:")
    assert failed.endswith("check the network and TGBOT_API_URL")
    assert "ok   database integrity: " in ended.stdout


def test_without_a_token_it_says_how_to_set_one_and_checks_the_rest(database_path: Path) -> None:
    ended = tgbot(database_path.parent, "doctor", TGBOT_STREAM="fast")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert trouble(ended) == [
        f"fail settings: TGBOT_TOKEN is missing: {TO_SET} the bot's token, from @BotFather",
        f"fail settings: TGBOT_STREAM is wrong: {TO_SET} edit, draft or off",
    ]
    assert "ok   database integrity: " in ended.stdout


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"TGBOT_MAX_TURN": "3"},
            "warn settings: unknown setting TGBOT_MAX_TURN, did you mean TGBOT_MAX_TURNS?: correct or",
        ),
        ({"TGBOT_AGENT": "nope:x"}, "fail agent: cannot import agent 'nope:x': ModuleNotFoundError"),
        (
            {"TGBOT_AGENT": "llm", "TGBOT_MODEL": "ollama:x", "OLLAMA_BASE_URL": ""},
            "fail agent: TGBOT_MODEL_URL is wrong (ollama needs the address of its server): set it in",
        ),
        ({"TGBOT_GROUP_ACTIVATION": "always"}, "warn privacy mode: Privacy mode is on: in a group where"),
    ],
)
async def test_a_setting_that_does_not_fit_is_one_line_with_what_to_do(
    tmp_path: Path, odd: OddWire, settings: dict[str, str], line: str
) -> None:
    odd.answers["getMe"] = [result({**ME, "can_read_all_group_messages": False})]
    ended = await doctor(tmp_path, odd.url, **settings)
    [found] = trouble(ended)
    assert found.startswith(line)
    assert ended.returncode == line.startswith("fail")


async def test_a_token_that_the_server_does_not_know_is_named(tmp_path: Path, odd: OddWire) -> None:
    odd.answers["getMe"] = [JSONResponse({"ok": False, "error_code": 401, "description": "No"}, 401)]
    ended = await doctor(tmp_path, odd.url)
    assert ended.returncode == 1
    assert trouble(ended) == [
        "fail token: the Bot API server does not know it: check TGBOT_TOKEN and TGBOT_API_URL"
    ]


async def test_another_poller_is_found_whose_updates_are_not_taken(
    tmp_path: Path, wire: PlaygroundServer
) -> None:
    wire.world.bot(TOKEN)

    async def poll() -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            while True:
                await client.post(f"{wire.url}/bot{TOKEN}/getUpdates", data={"timeout": "30"})
                await asyncio.sleep(0.2)

    other = asyncio.create_task(poll())
    ended = await doctor(tmp_path, wire.url)
    other.cancel()
    [found] = trouble(ended)
    assert found.startswith("fail another poller: another program polls with this token, and takes")
    assert "/revoke" in found


async def test_what_telegram_no_longer_keeps_for_a_bot_that_runs_is_named(
    database_path: Path, odd: OddWire
) -> None:
    odd.answers["getWebhookInfo"] = [result({**NO_WEBHOOK, "allowed_updates": ["message"]})] * 2
    with ProcessLock(database_path):
        ended = await doctor(database_path.parent, odd.url)
    [found] = trouble(ended)
    assert found.startswith("warn allowed updates: Telegram does not keep callback_query, channel_post, ")


async def test_a_clock_that_is_wrong_is_named(tmp_path: Path) -> None:
    async with server_that_says(f"404 Not Found\r\nDate: {formatdate(86_400, usegmt=True)}") as url:
        ended = await doctor(tmp_path, url)
    assert "warn clock: it is " in ended.stdout
    assert " s ahead of the server's: set it" in ended.stdout


async def test_a_webhook_is_found_and_deleted_with_fix_and_no_update_is_dropped(
    tmp_path: Path, wire: PlaygroundServer
) -> None:
    bot = wire.world.bot(TOKEN)
    await set_webhook(wire, "http://127.0.0.1:9/hush-hush")
    wire.world.post_message(7, 7, "hello")
    found = await doctor(tmp_path, wire.url)
    assert found.returncode == 1
    [line] = trouble(found)
    assert line.startswith("fail webhook: Telegram sends the updates to 127.0.0.1, so the bot, which polls,")
    assert line.endswith("run `tgbot doctor --fix`, which deletes the webhook and no update")
    assert bot.webhook is not None
    fixed = await doctor(tmp_path, wire.url, "--fix")
    assert (fixed.returncode, trouble(fixed)) == (0, [])
    assert "ok   webhook: fixed: " in fixed.stdout
    assert (wire.world.bot(TOKEN).webhook, len(bot.updates)) == (None, 1)


async def test_a_webhook_that_the_settings_want_is_left_alone(tmp_path: Path, wire: PlaygroundServer) -> None:
    url = "http://127.0.0.1:9/hush-hush"
    before = await doctor(tmp_path, wire.url, "--fix", TGBOT_WEBHOOK_URL=url)
    [line] = trouble(before)
    assert line == "warn webhook: none is set; 0 updates wait: run `tgbot run`, which sets its own"
    await set_webhook(wire, url)
    assert not trouble(await doctor(tmp_path, wire.url, "--fix", TGBOT_WEBHOOK_URL=url))
    assert wire.world.bot(TOKEN).webhook is not None
    assert not [call for call in wire.world.journal if call["method"] == "getUpdates"]


@pytest.mark.parametrize(
    ("info", "running", "found"),
    [
        ({"url": "https://a.org/x"}, True, "fail another one is set, at a.org, though the bot runs"),
        ({"url": ""}, True, "fail none is set, though the bot runs"),
        (
            {"url": "https://b.org/hush", "pending_update_count": 3, "last_error_message": "no route"},
            True,
            "warn 3 updates wait; Telegram could not post to b.org (no route)",
        ),
        ({"url": "https://b.org/hush", "last_error_message": "once"}, True, "ok Telegram posts to b.org"),
    ],
)
def test_a_webhook_is_judged_by_what_telegram_says_of_it(
    info: dict[str, Any],
    running: bool,  # noqa: FBT001 - as pytest gives it
    found: str,
) -> None:
    check = bot_api.posts(info, "https://b.org/hush", running=running)
    assert f"{check.level} {check.what}".startswith(found)
    assert "hush" not in f"{check}"


async def test_what_cannot_be_fixed_stays_a_failure_and_says_why(tmp_path: Path, odd: OddWire) -> None:
    odd.answers["getWebhookInfo"] = [result({**NO_WEBHOOK, "url": "https://example.org/hush"})]
    refused = {"ok": False, "error_code": 400, "description": "Bad Request: not today"}
    odd.answers["deleteWebhook"] = [JSONResponse(refused, 400)]
    ended = await doctor(tmp_path, odd.url, "--fix")
    assert ended.returncode == 1
    assert "gets none, and that could not be fixed (Bad Request: not today): run" in ended.stdout


async def test_files_that_others_can_read_are_named_and_closed_with_fix(
    database_path: Path, wire: PlaygroundServer
) -> None:
    folder = database_path.parent
    loose = [folder / name for name in (".env", "token", "tgbot.db", "tgbot.db.0001-x.backup")]
    for path in [*loose, folder / "tgbot.db.lock"]:
        path.touch()
        path.chmod(0o644)
    (folder / "tgbot.db.files").mkdir(0o755)
    (folder / "token").write_text(TOKEN)
    (folder / ".env").write_text("TGBOT_TOKEN_FILE=token\n")
    arguments = {"TGBOT_API_URL": wire.url}
    found = await asyncio.to_thread(tgbot, folder, "doctor", **arguments)
    assert (found.returncode, len(trouble(found))) == (0, 6)
    assert "warn file permissions: .env is open to other users (its mode is 644): chmod 600 .env" in trouble(
        found
    )
    await asyncio.to_thread(tgbot, folder, "doctor", "--fix", **arguments)
    assert {path.stat().st_mode & 0o777 for path in loose} == {0o600}
    assert (folder / "tgbot.db.files").stat().st_mode & 0o777 == 0o700


def test_the_database_is_judged_by_what_is_in_it(database_path: Path) -> None:
    columns = "update_id, kind, bot_id, state, session_key, received_at, ended_at, raw"
    sql(
        database_path,
        f"""INSERT INTO pending ({columns}) VALUES (1, 'message', 1, 'dead', '1:7', 0, 0, '');
        INSERT INTO pending ({columns}) VALUES (2, 'message', 1, 'queued', '1:7', 0, NULL, '');
        INSERT INTO outbox (bot_id, pending_id, part, text, state, chat_id, box, error)
        VALUES (1, 1, 0, 'x', 'parked', 7, 0, 'Bad Gateway')""",
    )
    waits, dead, parked = trouble(tgbot(database_path.parent, "doctor"))[1:]
    assert waits.startswith("warn oldest waiting message: it has waited for ")
    assert waits.endswith(" s: start the bot")
    assert dead.startswith("warn dead messages: 1 given up: see `tgbot dead list`")
    assert parked.startswith("warn parked answers: 1 will not be sent: `tgbot status` lists them")


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192:40960] = b"\xff" * 32768
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (spoil, "fail database integrity: "),
        (lambda path: path.write_bytes(b"no database" * 99), "fail database integrity: tgbot.db cannot be"),
        (
            lambda path: sql(path, "UPDATE alembic_version SET version_num = '9999'"),
            "fail database schema: tgbot.db is of schema 9999, this tgbot writes 0001: update tgbot",
        ),
        (
            lambda path: sql(path, "UPDATE alembic_version SET version_num = '0000'"),
            "warn database schema: tgbot.db is of schema 0000, this tgbot writes 0001: run `tgbot db",
        ),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line_with_what_to_do(
    database_path: Path, harm: Callable[[Path], object], line: str
) -> None:
    harm(database_path)
    ended = tgbot(database_path.parent, "doctor")
    assert (ended.returncode, ended.stderr) == (1, "")
    [found] = trouble(ended)[1:]
    assert found.replace(f"{database_path.parent}/", "").startswith(line)


def test_a_write_ahead_log_that_has_grown_is_named(database_path: Path) -> None:
    log = database_path.with_name("tgbot.db-wal")
    log.touch(0o600)
    with log.open("r+b") as file:
        file.truncate(LARGE_BYTES)
    assert "warn write-ahead log: 131072 KiB: end what keeps" in tgbot(database_path.parent, "doctor").stdout


@pytest.mark.parametrize(
    ("free_bytes", "level"), [(2**30, "ok"), (2**30 - 1, "warn"), (100 * 2**20 - 1, "fail")]
)
def test_a_disk_that_fills_is_named_before_it_is_full(free_bytes: int, level: str) -> None:
    assert files.disk_space(free_bytes, Path("/data")).level == level


@pytest.mark.parametrize(("ahead", "level"), [(59, "ok"), (-59, "ok"), (61, "warn"), (-61, "warn")])
def test_a_minute_makes_a_clock_wrong(ahead: float, level: str) -> None:
    assert bot_api.clock(ahead).level == level


@pytest.mark.parametrize(
    ("status", "own", "level"),
    [(200, True, "ok"), (401, True, "ok"), (404, True, "warn"), (404, False, "ok"), (503, False, "warn")],
)
def test_a_model_server_need_only_answer(status: int, level: str, *, own: bool) -> None:
    assert model.answered("host", status, own=own).level == level


async def test_a_model_server_is_asked_without_the_key_and_one_that_is_gone_is_named(
    tmp_path: Path, wire: PlaygroundServer
) -> None:
    async with server_that_says("401 Unauthorized") as url:
        settings = {"TGBOT_AGENT": "llm", "TGBOT_MODEL": "x", "TGBOT_MODEL_KEY": "sk-hush"}
        there = await doctor(tmp_path, wire.url, TGBOT_MODEL_URL=f"{url}/v1", **settings)
    gone = await doctor(tmp_path, wire.url, TGBOT_MODEL_URL=f"{url}/v1", **settings)
    host = url.removeprefix("http://")
    assert f"ok   model server: {host} answers" in there.stdout
    assert (there.returncode, gone.returncode) == (0, 1)
    [line] = trouble(gone)
    assert line.startswith(f"fail model server: {host} does not answer (ConnectError): start it, or check")


async def test_for_programs_it_is_one_json_document(tmp_path: Path, odd: OddWire) -> None:
    (tmp_path / "loud.py").write_text("print('imported')\nasync def agent(turn):\n    yield ''\n")
    odd.answers["getWebhookInfo"] = [result({**NO_WEBHOOK, "url": "https://example.org/hush"})]
    ended = await doctor(tmp_path, odd.url, "--json", TGBOT_AGENT="loud:agent")
    document = json.loads(ended.stdout)
    assert document["ok"] is False
    assert [check["name"] for check in document["checks"] if check["level"] == "fail"] == ["webhook"]
    assert {frozenset(check) for check in document["checks"]} == {frozenset(("level", "name", "what", "fix"))}


@pytest.mark.parametrize("words", [("--json",), ("--fix",), ("--json", "--live", "7")])
async def test_no_secret_is_printed(tmp_path: Path, odd: OddWire, words: tuple[str, ...]) -> None:
    (tmp_path / "leaky.py").write_text(f"raise ValueError('{TOKEN} sk-hush')\n")
    said = {"ok": False, "error_code": 400, "description": f"Bad Request: {TOKEN}"}
    odd.answers["getWebhookInfo"] = [result({**NO_WEBHOOK, "url": f"https://example.org/{TOKEN}"})]
    odd.answers["deleteWebhook"] = odd.answers["editMessageText"] = [JSONResponse(said, 400)]
    odd.answers["sendMessage"] = [result({"message_id": 101 + index}) for index in range(3)]
    ended = await doctor(tmp_path, odd.url, *words, TGBOT_AGENT="leaky:agent", TGBOT_MODEL_KEY="sk-hush")
    assert "***" in ended.stdout
    for secret in ("playground-secret", "hush"):
        assert secret not in ended.stdout + ended.stderr


def test_to_fix_and_to_check_live_are_two_commands(tmp_path: Path) -> None:
    ended = tgbot(tmp_path, "doctor", "--fix", "--live", "7", TGBOT_TOKEN=TOKEN)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "not allowed with argument" in ended.stderr


async def test_an_answer_that_is_no_object_is_one_line(tmp_path: Path, odd: OddWire) -> None:
    odd.answers["getMe"] = [result([])]
    [found] = trouble(await doctor(tmp_path, odd.url))
    assert found.startswith("fail Bot API server: it does not answer (getMe gives no object)")
