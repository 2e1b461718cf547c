"""`tgbot doctor --live`, as a person at a terminal sees it: a line for each check, no trace in the chat."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from starlette.responses import JSONResponse, Response

from tests.odd_wire import OddWire, result
from tests.terminal import tgbot
from tgbot.doctor.live import TEXTS
from tgbot.playground.server import PlaygroundServer

TOKEN = "42:playground-secret"
LAST = {"message_id": 103, "text": TEXTS[-1]}
GONE = "Bad Request: message to edit not found"
SOMETHING: object = True


@pytest.fixture
async def odd() -> AsyncIterator[OddWire]:
    async with OddWire() as wire:
        yield wire


async def doctor(folder: Path, url: str, *words: str, **more: str) -> CompletedProcess[str]:
    """Run it in a thread: the server is in this loop."""
    settings = {"TGBOT_TOKEN": TOKEN, "TGBOT_API_URL": url, **more}
    return await asyncio.to_thread(tgbot, folder, "doctor", "--live", *words, **settings)


def refusal(description: str, code: int = 400, **parameters: int) -> Response:
    body = {"ok": False, "error_code": code, "description": description, "parameters": parameters}
    return JSONResponse(body, code)


def as_telegram(odd: OddWire) -> None:
    """Answer each request as Telegram does."""
    odd.answers |= {
        "sendMessage": [result({"message_id": 101 + index}) for index in range(3)],
        "editMessageReplyMarkup": [refusal(GONE), result(LAST)],
        "editMessageText": [refusal("Bad Request: message is not modified: they are exactly the same")],
    }


@pytest.mark.parametrize("chat_id", [7, -1001234567890])
async def test_all_is_well_on_a_server_like_telegrams_and_nothing_is_left_in_the_chat(
    tmp_path: Path, wire: PlaygroundServer, chat_id: int
) -> None:
    question = wire.world.post_message(chat_id, 7, "hello")
    ended = await doctor(tmp_path, wire.url, str(chat_id))
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("ok   ids grow: ")
    assert lines[0].count(" < ") == 2
    assert [line[:5] for line in lines] == ["ok   "] * 5
    assert [message["message_id"] for message in wire.world.messages(chat_id)] == [question["message_id"]]
    sends = wire.world.journal.after(methods="sendMessage")
    assert [send["params"]["disable_notification"] for send in sends] == [True] * 3


@pytest.mark.parametrize(
    ("answers", "line"),
    [
        (
            {
                "sendMessage": [result({"message_id": 103 - index}) for index in range(3)],
                "editMessageReplyMarkup": [refusal(GONE), result({**LAST, "message_id": 101})],
            },
            "fail ids grow: 103, 102, 101: an answer whose confirmation is lost",
        ),
        (
            {"editMessageReplyMarkup": [result(SOMETHING), result(LAST)]},
            "fail an unknown id is not there: it was accepted: an answer whose confirmation is lost",
        ),
        (
            {"editMessageReplyMarkup": [refusal("Bad Request: message can't be edited"), result(LAST)]},
            "fail an unknown id is not there: Bad Request: message can't be edited: an answer",
        ),
        (
            {"editMessageText": [result(LAST)]},
            "fail an edit without change is refused: it was accepted: an answer that is on screen",
        ),
        (
            {"editMessageReplyMarkup": [refusal(GONE), result(SOMETHING)]},
            "fail new buttons return the whole message: they return something else: an answer",
        ),
        (
            {"editMessageReplyMarkup": [refusal(GONE), refusal("Bad Request: BUTTON_DATA_INVALID")]},
            "fail new buttons return the whole message: Bad Request: BUTTON_DATA_INVALID: an answer",
        ),
        (
            {"deleteMessage": [result(SOMETHING), refusal("Bad Request: message can't be deleted")]},
            "fail deleted again: all but 102: delete by hand",
        ),
    ],
)
async def test_what_is_not_as_at_telegram_is_one_line_that_says_what_it_means(
    tmp_path: Path, odd: OddWire, answers: dict[str, list[Response]], line: str
) -> None:
    as_telegram(odd)
    odd.answers |= answers
    ended = await doctor(tmp_path, odd.url, "7")
    assert (ended.returncode, ended.stderr) == (1, "")
    [failed] = [one for one in ended.stdout.splitlines() if one.startswith("fail")]
    assert failed.startswith(line)
    assert odd.asked.count("deleteMessage") == 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refusal("Bad Request: chat not found"), "chat 7 was not found: check its id"),
        (
            refusal("Forbidden: bot was blocked by the user", 403),
            "may not write to chat 7 (Forbidden: bot was",
        ),
        (
            refusal("Bad Request: group chat was upgraded", migrate_to_chat_id=-100123),
            "chat 7 became a supergroup: check -100123 instead",
        ),
        (refusal("Too Many Requests", 429, retry_after=9), "too many requests: try again in 9 s"),
        (Response("<html>", 502), "the Bot API server does not answer"),
        (result(SOMETHING), "does not give the id of a sent message"),
    ],
)
async def test_what_keeps_it_from_checking_is_one_line_that_says_what_to_do(
    tmp_path: Path, odd: OddWire, answer: Response, reason: str
) -> None:
    odd.answers["sendMessage"] = [answer]
    ended = await doctor(tmp_path, odd.url, "7")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert ended.stderr.startswith("tgbot: ")
    assert reason in ended.stderr


async def test_what_was_sent_before_the_server_went_away_is_deleted_too(tmp_path: Path, odd: OddWire) -> None:
    as_telegram(odd)
    odd.answers["editMessageText"] = [Response("<html>", 502)]
    ended = await doctor(tmp_path, odd.url, "7")
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1] == "ok   deleted again: 101, 102, 103"
    assert "does not answer" in ended.stderr


async def test_a_token_that_the_server_does_not_know_is_one_line(tmp_path: Path, odd: OddWire) -> None:
    odd.answers["sendMessage"] = [refusal("Unauthorized", 401)]
    ended = await doctor(tmp_path, odd.url, "7")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert "check TGBOT_TOKEN" in ended.stderr


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    ended = tgbot(tmp_path, "doctor", "--live", "7", TGBOT_TOKEN=TOKEN, TGBOT_API_URL=url)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert url.removeprefix("http://") in ended.stderr
    assert "check the network and TGBOT_API_URL" in ended.stderr
    assert "secret" not in ended.stderr


def test_without_a_token_it_says_how_to_set_one(tmp_path: Path) -> None:
    ended = tgbot(tmp_path, "doctor", "--live", "7")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "TGBOT_TOKEN is missing" in ended.stderr


@pytest.mark.parametrize("chat_id", ["@friend", "7.5", "0", "", "7\u0661", "1" * 20])
def test_a_chat_id_that_is_none_is_named(tmp_path: Path, chat_id: str) -> None:
    ended = tgbot(tmp_path, "doctor", "--live", chat_id, TGBOT_TOKEN=TOKEN)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert f"not {chat_id!r}" in ended.stderr


def test_it_needs_no_database_and_makes_none(tmp_path: Path) -> None:
    tgbot(tmp_path, "doctor", "--live", "7", TGBOT_TOKEN=TOKEN, TGBOT_API_URL="http://127.0.0.1:9")
    assert list(tmp_path.iterdir()) == []


async def test_a_bot_that_is_to_answer_everything_in_groups_and_has_privacy_mode_is_warned_of(
    tmp_path: Path, odd: OddWire, wire: PlaygroundServer
) -> None:
    as_telegram(odd)
    ended = await doctor(tmp_path, odd.url, "7", TGBOT_GROUP_ACTIVATION="always")
    assert ended.returncode == 0
    [note] = [line for line in ended.stdout.splitlines() if not line.startswith("ok   ")]
    assert note.startswith("warn privacy mode: Privacy mode is on: ")
    assert "/setprivacy" in note
    without = await doctor(tmp_path, wire.url, "7", TGBOT_GROUP_ACTIVATION="always")
    assert "Privacy" not in without.stdout
