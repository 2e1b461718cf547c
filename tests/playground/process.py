"""`tgbot play` as a process, for the tests that need the whole thing."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.waiting import DEADLINE_SECONDS

Json = Any  # a body as it came
ROOT = Path(__file__).parent.parent.parent
SLEEPER = "tests.playground.agents:sleeper"


class Playground:
    """A running `tgbot play`."""

    def __init__(self, folder: Path, *options: str, port: int = 0) -> None:
        self.database = folder / "bot.db"
        self.command = [
            sys.executable,
            "-c",
            "from tgbot.playground.play import main; raise SystemExit(main())",
            *("--port", str(port), "--db", str(self.database), *options),
        ]
        environment = {
            key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")
        }
        self.process = subprocess.Popen(
            self.command,
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
        )
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline()
        self.url = next((word for word in self.greeting.split() if word.startswith("http")), "")

    def get(self, path: str) -> Json:
        with urllib.request.urlopen(f"{self.url}/{path}", timeout=DEADLINE_SECONDS) as answer:
            return json.load(answer)

    def post(self, path: str, **body: Json) -> Json:
        return self.send(path, body)

    def send(self, path: str, body: Json) -> Json:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
            return json.load(answer)

    def clear_faults(self) -> None:
        request = urllib.request.Request(f"{self.url}/playground/faults", method="DELETE")
        urllib.request.urlopen(request, timeout=DEADLINE_SECONDS).close()

    def say(self, text: str, chat_id: int = 1001) -> None:
        self.post("playground/messages", chat_id=chat_id, user_id=abs(chat_id), text=text)

    def texts(self, chat_id: int = 1001) -> list[str]:
        return [
            message["text"]
            for message in self.get(f"playground/chats/{chat_id}/messages")
            if "text" in message
        ]

    def answers(self, chat_id: int = 1001) -> list[str]:
        """Return what the bot said."""
        messages = self.get(f"playground/chats/{chat_id}/messages")
        return [message["text"] for message in messages if message["from"]["is_bot"]]

    def reactions(self, chat_id: int = 1001) -> list[str]:
        """Return the reactions to all messages of a chat."""
        messages = self.get(f"playground/chats/{chat_id}/messages")
        return [one["emoji"] for message in messages for one in message["reactions"]]

    def bot_pid(self) -> int:
        return int(until(lambda: self.get("playground/state")["bot"]["pid"]))

    def end(self) -> int:
        self.process.terminate()
        return self.status()

    def status(self) -> int:
        status = self.process.wait(DEADLINE_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def die(self) -> None:
        self.process.kill()
        self.status()


def until(look: Callable[[], Json]) -> Json:
    """Return the first true value of `look`, or fail at the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (seen := look()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
    return seen


def is_gone(pid: int) -> bool:
    """Whether a process has ended; a zombie has, though nobody has asked for its status yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
