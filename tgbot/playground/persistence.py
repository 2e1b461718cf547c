"""The world on disk between runs: a SQLite file that is written as things happen, and read once at the start.

It is a sandbox's memory, so it doesn't wait for the disk (synchronous=OFF): a killed process loses nothing, a
power cut may. The journal, fault rules and unanswered button presses are not kept.
"""

import contextlib
import json
import os
import sqlite3
from collections import OrderedDict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tgbot.playground.bots import Bot
from tgbot.playground.boxes import box_of
from tgbot.playground.chats import Chat
from tgbot.playground.files import Stored
from tgbot.playground.world import World

_SCHEMA = """
CREATE TABLE IF NOT EXISTS box (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS chat (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS message (
    chat_id INTEGER, id INTEGER, body TEXT NOT NULL, PRIMARY KEY (chat_id, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reactions (
    chat_id INTEGER, id INTEGER, body TEXT NOT NULL, PRIMARY KEY (chat_id, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bot (token TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS bot_update (
    token TEXT, id INTEGER, body TEXT NOT NULL, PRIMARY KEY (token, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS file (id TEXT PRIMARY KEY, body TEXT NOT NULL);
"""


class Persistence:
    """Listens to a world and writes down each change, in the event loop: a write takes about 20 us."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # what people uploaded and what the bot logged is in it, too
        path = folder / "world.db"
        with contextlib.suppress(FileExistsError):
            _create_private(path)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(_SCHEMA)

    def attach(self, world: World) -> None:
        """Fill the world with what an earlier run left, then follow it."""
        self._load_files(world)
        self._load_boxes(world)
        self._load_chats(world)
        self._load_bots(world)
        world.listeners.append(lambda event: self._follow(world, event))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # -- writing --

    def _follow(self, world: World, event: dict[str, Any]) -> None:
        kind, chat_id = event["kind"], event["chat_id"]
        if kind == "message":
            self._message(world, chat_id, event["message"])
        elif kind == "deleted":
            self._forget_message(chat_id, event["message_id"])
        elif kind == "reactions":
            self._reactions(world.chat(chat_id), event["message_id"])
        elif kind == "chat":
            self._chat(world.chat(chat_id))
        elif kind == "file":
            self._put("file", (event["file"].file_id,), asdict(event["file"]))
        elif kind == "bot.queued":
            self._put("bot_update", (event["bot"].token, event["update"]["update_id"]), event["update"])
            self._bot(event["bot"])  # the next number: used twice, the bot would take the second for a repeat
        elif kind == "bot.confirmed":
            key = (event["bot"].token, event["update"]["update_id"])
            self._db.execute("DELETE FROM bot_update WHERE token = ? AND id = ?", key)
        elif kind == "bot.settings":
            self._bot(event["bot"])

    def _put(self, table: str, key: tuple[object, ...], body: object) -> None:
        marks = ", ".join("?" * (len(key) + 1))
        # The table is one of the names above, never anything from outside.
        self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", (*key, json.dumps(body)))  # noqa: S608

    def _chat(self, chat: Chat) -> None:
        body = {
            "info": chat.info,
            "topics": list(chat.topics.items()),
            "blocked": chat.blocked,
            "muted": chat.muted,
            "notification": chat.notification,
        }
        self._put("chat", (chat.id,), body)

    def _message(self, world: World, chat_id: int, message: dict[str, Any]) -> None:
        kept = {key: value for key, value in message.items() if key != "reactions"}
        # First the number: a kill between the two then skips an id, and never gives it to two messages.
        box = box_of(chat_id)
        self._put("box", (box,), world.boxes.last_ids[box])
        self._put("message", (chat_id, message["message_id"]), kept)
        self._chat(world.chat(chat_id))  # for its notification

    def _forget_message(self, chat_id: int, message_id: int) -> None:
        self._db.execute("DELETE FROM message WHERE chat_id = ? AND id = ?", (chat_id, message_id))
        self._db.execute("DELETE FROM reactions WHERE chat_id = ? AND id = ?", (chat_id, message_id))

    def _reactions(self, chat: Chat, message_id: int) -> None:
        self._put("reactions", (chat.id, message_id), list(chat.reactions.get(message_id, {}).items()))

    def _bot(self, bot: Bot) -> None:
        allowed = sorted(bot.allowed) if bot.allowed is not None else None
        body = {"allowed": allowed, "commands": bot.commands, "next_update_id": bot.next_update_id}
        self._put("bot", (bot.token,), body)

    # -- reading --

    def _bodies(self, query: str, *key: object) -> list[Any]:
        return [json.loads(row[0]) for row in self._db.execute(query, key)]

    def _load_boxes(self, world: World) -> None:
        for box, text in self._db.execute("SELECT id, body FROM box"):
            world.boxes.last_ids[box] = json.loads(text)

    def _load_files(self, world: World) -> None:
        for body in self._bodies("SELECT body FROM file ORDER BY rowid"):
            world.files.restore(Stored(**body))

    def _load_chats(self, world: World) -> None:
        for body in self._bodies("SELECT body FROM chat ORDER BY id < 0, abs(id)"):
            chat = Chat(
                info=body["info"],
                topics=dict(body["topics"]),
                blocked=body["blocked"],
                muted=body["muted"],
                notification=body["notification"],
            )
            messages = self._bodies("SELECT body FROM message WHERE chat_id = ? ORDER BY id", chat.id)
            chat.silent = {message["message_id"] for message in messages if message.pop("silent", False)}
            chat.messages = OrderedDict((message["message_id"], message) for message in messages)
            rows = self._db.execute("SELECT id, body FROM reactions WHERE chat_id = ?", (chat.id,))
            chat.reactions = {message_id: dict(json.loads(text)) for message_id, text in rows}
            world.add_chat(chat)

    def _load_bots(self, world: World) -> None:
        for token, text in self._db.execute("SELECT token, body FROM bot").fetchall():
            body = json.loads(text)
            bot = Bot(token, body["next_update_id"])
            bot.allowed = frozenset(body["allowed"]) if body["allowed"] is not None else None
            bot.commands = body["commands"]
            for update in self._bodies("SELECT body FROM bot_update WHERE token = ? ORDER BY id", token):
                bot.updates.append(update)
            world.add_bot(bot)


def _create_private(path: Path) -> None:
    """Make the file its owner's alone, under any umask; SQLite gives those beside it the same mode."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.fchmod(fd, 0o600)
    os.close(fd)
