"""The real `tgbot run` process, and the people who talk to it."""

import asyncio
import functools
import json
import os
import sys
from asyncio.subprocess import Process
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Any

from tests.forking import ROOT, Forked, fork
from tests.terminal import own
from tests.waiting import DEADLINE_SECONDS, eventually
from tgbot.playground.server import PlaygroundServer

TOKEN = "42:playground-secret"  # made up


async def exit_code(process: Process | Forked) -> int:
    """Wait for its end; if that never comes, end it and fail."""
    try:
        return await asyncio.wait_for(process.wait(), DEADLINE_SECONDS)
    except TimeoutError:
        process.kill()
        raise


class BotProcess:
    """Starts and ends the process; everything it logs goes into `log`."""

    def __init__(self, folder: Path, api_url: str, **settings: object) -> None:
        self.database = folder / "tgbot.db"
        self._folder = folder
        self._log = folder / "bot.log"
        self._printed = folder / "bot.out"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TGBOT_")},
            "PYTHONPATH": str(ROOT),
            "TGBOT_TOKEN": TOKEN,
            "TGBOT_API_URL": api_url,
            "TGBOT_DATABASE_URL": f"sqlite:///{self.database}",
            "TGBOT_ALLOWED_USERS": "*",
            "TGBOT_GROUP_ACTIVATION": "always",
            # The server is our own: a test that needs Telegram's limits sets them.
            **dict.fromkeys(("TGBOT_RATE_OVERALL_PER_SECOND", "TGBOT_RATE_CHAT_PER_SECOND"), "0"),
            "TGBOT_RATE_GROUP_PER_MINUTE": "0",
            **{f"TGBOT_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self._process: Process | Forked | None = None
        self.gets_sane_updates = True  # a test that injects others clears it

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    @property
    def had_no_trouble(self) -> bool:
        """Whether one process got an answer to every request that sends."""
        return self.log.count("app.started") == 1 and "delivery.retry" not in self.log

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process is None or self._process.returncode is not None

    def setting(self, **settings: object) -> None:
        self._environment |= {f"TGBOT_{name.upper()}": str(value) for name, value in settings.items()}

    async def start(self) -> None:
        self._process = self.command("run")

    async def start_by_itself(self) -> None:
        """Start it as a program that imports what it needs by itself."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tgbot", "run"), cwd=self._folder, env=self._environment, stderr=log
            )

    def command(self, *words: str) -> Forked:
        # A folder without the developer's .env. What it prints is what the last command printed.
        with self._log.open("ab") as log, self._printed.open("wb") as printed:
            return fork(words, self._folder, self._environment, printed.fileno(), log.fileno())

    async def prints(self, *words: str) -> str:
        """Run a command beside it, to its end."""
        assert await exit_code(self.command(*words)) == 0, self.log
        return self.printed

    @property
    def printed(self) -> str:
        """What the last command has printed so far."""
        return self._printed.read_text()

    async def start_in_terminal(self, terminal: int) -> None:
        """Start it as the process that this terminal belongs to, which hears when it is closed."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tgbot", "run"),
                cwd=self._folder,
                env=self._environment,
                stdin=terminal,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=functools.partial(own, terminal),
            )

    async def kill(self) -> None:
        """End the process with SIGKILL, so that it can do nothing more."""
        await self.signal(SIGKILL)

    async def stop(self) -> int:
        return await self.signal(SIGTERM)

    async def signal(self, number: Signals) -> int:
        assert self._process
        self._process.send_signal(number)
        return await exit_code(self._process)

    def send(self, number: Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    async def wait(self) -> int:
        assert self._process
        return await exit_code(self._process)

    async def status(self) -> dict[str, Any]:
        """Run `tgbot status --json` beside it."""
        report: dict[str, Any] = json.loads(await self.prints("status", "--json"))
        return report

    async def logs(self, words: str, times: int = 1) -> None:
        await eventually(lambda: self.log.count(words) >= times, f"{words!r} in the log")


class Person:
    """One person in a chat, by default the private one."""

    def __init__(self, wire: PlaygroundServer, user_id: int = 7, chat_id: int | None = None) -> None:
        self._world = wire.world
        self.user_id = user_id
        self.chat_id = chat_id or user_id

    def says(self, *texts: str) -> None:
        for said in texts:
            self._world.post_message(self.chat_id, self.user_id, said)

    def edits(self, was: str, now: str) -> None:
        """Edit the newest message with this text."""
        message = next(one for one in reversed(self.screen) if one.get("text") == was)
        self._world.edit_message(self.chat_id, self.user_id, message["message_id"], now)

    def presses(self, label: str) -> None:
        """Press the newest button with this label."""
        labelled = (
            one for one in reversed(self.screen) if label in (button["text"] for button in _buttons(one))
        )
        message = next(labelled, None)
        assert message, f"no button {label!r} on screen"
        self.presses_below(message, label)

    def presses_below(self, message: dict[str, Any], label: str) -> None:
        """Press the button of a message with this label."""
        data = next(button["callback_data"] for button in _buttons(message) if button["text"] == label)
        self._world.press(self.chat_id, message["message_id"], self.user_id, data)

    @property
    def screen(self) -> list[dict[str, Any]]:
        try:
            return self._world.messages(self.chat_id)
        except Exception:  # noqa: BLE001 - the chat was not made yet
            return []

    @property
    def sees(self) -> list[str]:
        """The texts of the bot's messages now, oldest first.

        Without the queue's card: on a slow machine it comes wherever something waits.
        """
        return [message["text"] for message in self.screen if _is_answer(message)]

    @property
    def cards(self) -> list[str]:
        """The texts of the queue's cards now: one at most."""
        return [message["text"] for message in self.screen if _is_card(message)]

    @property
    def shown(self) -> list[str]:
        """The bot's messages now, oldest first: a text, or the kind of a file with its caption."""
        return [_shown(message) for message in self.screen if _is_answer(message)]

    async def sees_at_last(self, *texts: str) -> None:
        """Wait until the bot's messages are exactly these."""
        wanted = list(texts)
        await eventually(lambda: self.sees == wanted, f"{wanted} on screen")

    async def sees_among(self, words: str) -> None:
        await eventually(lambda: any(words in said for said in self.sees), f"{words!r} on screen")

    async def sees_card(self, *texts: str) -> None:
        """Wait until this is the queue's card; no text: until there is none."""
        await eventually(lambda: self.cards == list(texts), f"the card {texts}")


def _is_card(message: dict[str, Any]) -> bool:
    return any(button["callback_data"].startswith("queue_drop_all:") for button in _buttons(message))


def _is_answer(message: dict[str, Any]) -> bool:
    return bool(message["from"]["is_bot"]) and not _is_card(message)


def _shown(message: dict[str, Any]) -> str:
    kinds = [kind for kind in ("photo", "document", "voice") if kind in message]
    if "rich_message" in message:
        return "rich"
    return f"{kinds[0]}: {message.get('caption', '')}" if kinds else message["text"]


def _buttons(message: dict[str, Any]) -> list[dict[str, Any]]:
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [button for row in rows for button in row]
