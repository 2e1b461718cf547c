"""Some workers on one database, and what their agents noted of the turns they ran."""

import asyncio
from pathlib import Path
from signal import SIGCONT, SIGSTOP

from tests.waiting import eventually
from tests.whole_bot.process import BotProcess
from tgbot.playground.server import PlaygroundServer


class Crew:
    """Workers, each with a folder of its own. `turns` are the notes of `agents.noted`."""

    def __init__(
        self, wire: PlaygroundServer, folder: Path, url: str, number: int, **settings: object
    ) -> None:
        self._folder = folder
        chosen = {"agent": "tests.workers.agents:noted", "crashes_max": 1000, "queue_max": 1000} | settings
        self.workers = [
            BotProcess(self._made(number), wire.url, database_url=url, **chosen) for number in range(number)
        ]

    def _made(self, number: int) -> Path:
        folder = self._folder / f"worker-{number}"
        folder.mkdir()
        return folder

    async def start(self) -> None:
        for worker in self.workers:
            await worker.start()
        await self.began()

    async def began(self, times: int = 1) -> None:
        for worker in self.workers:
            await worker.logs("app.started", times)

    async def end(self) -> None:
        ending = [worker.stop() for worker in self.workers if not worker.ended]
        codes = set(await asyncio.gather(*ending))
        assert codes <= {0}, "\n\n".join(worker.log for worker in self.workers)

    async def kill(self, worker: BotProcess) -> None:
        pid = worker.pid
        await worker.kill()
        self.note(f"dead {pid}")

    def pause(self, worker: BotProcess) -> None:
        worker.send(SIGSTOP)
        self.note(f"dead {worker.pid}")

    def go_on(self, worker: BotProcess) -> None:
        worker.send(SIGCONT)

    def note(self, line: str) -> None:
        with self.notes_file.open("a") as notes:
            notes.write(f"{line}\n")

    @property
    def notes_file(self) -> Path:
        return self._folder / "turns"

    @property
    def notes(self) -> list[list[str]]:
        return (
            [line.split() for line in self.notes_file.read_text().splitlines()]
            if self.notes_file.exists()
            else []
        )

    def owner_of(self, text: str) -> BotProcess:
        """Find the worker that began a turn last."""
        pid = next(words[2] for words in reversed(self.notes) if words[:2] == ["begins", text])
        return next(worker for worker in self.workers if worker.pid == int(pid))

    async def begins(self, text: str, times: int = 1) -> BotProcess:
        """Wait until a turn has begun, for this time, and give the worker that runs it."""
        await eventually(lambda: self.begun(text) >= times, f"the turn of {text!r}")
        return self.owner_of(text)

    def begun(self, text: str) -> int:
        return sum(words[:2] == ["begins", text] for words in self.notes)

    def let_end(self, text: str) -> None:
        """Let `agents.slow` end the turn of this text."""
        (self._folder / text).touch()

    def check_turns(self) -> None:
        """No two turns of a chat ran at once. A text is `<chat>-<number>`."""
        running: dict[str, str] = {}
        for what, *words in self.notes:
            if what == "dead":
                running = {chat: pid for chat, pid in running.items() if pid != words[0]}
                continue
            text, pid = words
            chat = text.partition("-")[0]
            if what == "begins":
                assert chat not in running, f"{text} begins while another turn runs in its chat"
                running[chat] = pid
            elif running.get(chat) == pid:
                del running[chat]
