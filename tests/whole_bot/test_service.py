"""The real process as a service: what systemd hears of it, and SIGHUP."""

import os
import pty
from collections.abc import Iterator
from pathlib import Path
from signal import SIGHUP, SIGTERM

import pytest

from tests.systemd import ALIVE, Systemd
from tests.whole_bot.process import TOKEN, BotProcess, Person


@pytest.fixture(autouse=True)
def systemd(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    """Listens; before the bot, which is given its environment when it is made."""
    listening = Systemd(str(tmp_path_factory.mktemp("run") / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", listening.address)
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    yield listening
    listening.close()


async def test_it_is_ready_stays_alive_reloads_and_says_that_it_stops(
    bot: BotProcess, ann: Person, systemd: Systemd, tmp_path: Path
) -> None:
    settings = tmp_path / ".env"
    settings.write_text("TGBOT_USER_MINUTE_MESSAGES_MAX=1\nTGBOT_GRACE_SECONDS=3\n")
    settings.chmod(0o600)
    await bot.start()
    await systemd.hears("READY=1")
    assert systemd.heard[:2] == ["EXTEND_TIMEOUT_USEC=900000000", "STATUS=opening the database"]
    await systemd.hears(ALIVE, 3)
    ann.says("one", "two")
    await ann.sees_among("I take no more than 1 message from you in a minute")

    settings.write_text("TGBOT_USER_MINUTE_MESSAGES_MAX=many\n")
    bot.send(SIGHUP)
    await bot.logs("reload.refused the bot goes on with its old settings: TGBOT_USER_MINUTE_MESSAGES_MAX is")
    settings.write_text("TGBOT_USER_MINUTE_MESSAGES_MAX=100\nTGBOT_GRACE_SECONDS=4\nTGBOT_STREAM=off\n")
    bot.send(SIGHUP)
    await bot.logs("reload.done changed=TGBOT_USER_MINUTE_MESSAGES_MAX,TGBOT_GRACE_SECONDS\n")
    await bot.logs("reload.needs_restart settings=TGBOT_STREAM:")
    ann.says("three")
    await ann.sees_among("three (attempt 1)")

    bot.send(SIGTERM)
    assert await bot.wait() == 0
    await systemd.hears("STOPPING=1")
    assert "EXTEND_TIMEOUT_USEC=24000000" in systemd.heard, "by the new grace"


async def test_a_secret_that_a_reload_cannot_change_stays_out_of_the_log(
    bot: BotProcess, ann: Person, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    settings = tmp_path / ".env"
    settings.write_text("")
    bot.setting(token_file=file)
    del bot._environment["TGBOT_TOKEN"]
    for path in (file, settings):
        path.chmod(0o600)
    await bot.start()
    await bot.logs("intake.ready")
    file.write_text("43:another-secret")
    bot.send(SIGHUP)
    await bot.logs("reload.needs_restart settings=TGBOT_TOKEN:")
    ann.says("raise")  # the error of this agent has the token in it
    await bot.logs("RuntimeError: the agent's own secret")
    assert TOKEN not in bot.log


async def test_the_end_of_its_terminal_ends_it_and_reloads_nothing(bot: BotProcess, systemd: Systemd) -> None:
    ours, its = pty.openpty()
    await bot.start_in_terminal(its)
    os.close(its)
    await systemd.hears("READY=1")
    os.close(ours)
    assert await bot.wait() == 0
    await systemd.hears("STOPPING=1")
    assert "reload." not in bot.log
