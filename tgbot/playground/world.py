"""All state of the playground, and what people do in it; the bots' side is in `methods.py`."""

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tgbot.playground import text as texts
from tgbot.playground.bots import UPDATES_MAX, Bot, bot_id
from tgbot.playground.boxes import Boxes
from tgbot.playground.chats import Chat, Message, chat_info, quoted
from tgbot.playground.errors import bad_request
from tgbot.playground.faults import Faults
from tgbot.playground.files import ALBUM_MAX, Files, Stored, Upload, kind_of, shown
from tgbot.playground.journal import Journal
from tgbot.playground.membership import ADMIN, member_change
from tgbot.playground.presses import Presses

CHATS_MAX = 10_000
MESSAGES_MAX = 20_000  # kept per chat; older ones are forgotten, as if they had been deleted
BOTS_MAX = 100
CHATS_SHOWN_MAX = 1_000
DRAFT_SECONDS = 30  # https://core.telegram.org/bots/api#sendmessagedraft


class World:
    """Chats, bots, journal and faults. Everything runs in the server's event loop; nothing here blocks.

    `seed` makes the numbering of updates repeatable. Without a `folder` nothing outlives the world.
    """

    def __init__(self, seed: int | None = None, folder: Path | None = None) -> None:
        self.journal = Journal()
        self.faults = Faults(lambda kinds: self.emit("faults", 0, faults=kinds))
        self.boxes = Boxes()
        self.files = Files(folder / "files" if folder else None)
        self.closing = asyncio.Event()
        self.listeners: list[Callable[[dict[str, Any]], None]] = []
        self.bots: dict[str, Bot] = {}
        self._chats: dict[int, Chat] = {}
        self._random = random.Random(seed)  # noqa: S311  numbers for tests, not secrets
        self._presses = Presses(self._random)
        # What people did before the first bot called: that bot gets it, as at Telegram.
        self._early: deque[dict[str, Any]] = deque(maxlen=UPDATES_MAX)

    # -- the bots' side --

    def bot(self, token: str) -> Bot:
        """Return the bot of a token, made at its first call; refuse a token that is not the playground's."""
        bot_id(token)
        if token not in self.bots:
            if len(self.bots) >= BOTS_MAX:
                raise bad_request(f"the playground takes at most {BOTS_MAX} bots")
            bot = self.add_bot(Bot(token, self._random.randint(10**8, 9 * 10**8)))
            bot.tell("settings")
            for update in self._early:
                bot.push(update)
            self._early.clear()
        return self.bots[token]

    def add_bot(self, bot: Bot) -> Bot:
        """Take in a bot, new or of an earlier run."""
        bot.listeners.append(lambda what, update: self.emit(f"bot.{what}", 0, bot=bot, update=update))
        self.bots[bot.token] = bot
        return bot

    def add_chat(self, chat: Chat) -> Chat:
        """Take in a chat, new or of an earlier run."""
        self._chats[chat.id] = chat
        self.emit("chat", chat.id, chat=chat.overview())
        return chat

    def chat(self, chat_id: int) -> Chat:
        """Return a chat that exists, for a bot."""
        if chat_id not in self._chats:
            raise bad_request("chat not found")
        return self._chats[chat_id].not_upgraded()

    def chat_to_send(self, chat_id: int) -> Chat:
        """Return a chat that the bot may write to."""
        chat = self.chat(chat_id)
        chat.check_open()
        return chat

    def add_message(
        self, chat: Chat, sender: dict[str, Any], content: Mapping[str, Any], *, silent: bool = False
    ) -> Message:
        """Put a new message with this content into a chat; `silent`: without a notification."""
        message = {
            "message_id": self.boxes.take_id(chat.id),
            "from": sender,
            "chat": chat.info,
            "date": int(time.time()),
            **content,
        }
        chat.add(message, silent=silent)
        if chat.draft and chat.draft["bot_id"] == sender["id"]:
            chat.draft = None
        self.emit("message", chat.id, message=chat.shown(message), notification=chat.notification)
        if len(chat.messages) > MESSAGES_MAX:
            self.delete_message(chat, next(iter(chat.messages)))
        return message

    def set_draft(self, chat: Chat, bot: Bot, draft: dict[str, Any]) -> None:
        """Show what a bot is writing, until it is sent or expires."""
        chat.draft = {**draft, "bot_id": bot.id, "expires": int(time.time()) + DRAFT_SECONDS}
        self.emit("draft", chat.id, draft=chat.draft)

    def change_message(self, chat: Chat, message: Message) -> Message:
        """Replace a message by its edited form."""
        chat.messages[message["message_id"]] = message
        self.emit("message", chat.id, message=chat.shown(message))
        return message

    def delete_message(self, chat: Chat, message_id: int) -> None:
        """Take a message away for everybody."""
        chat.remove(message_id)
        self.emit("deleted", chat.id, message_id=message_id)

    def react(self, chat: Chat, message_id: int, user_id: int, reaction: list[dict[str, Any]]) -> None:
        """Set one user's reaction."""
        chat.react(message_id, user_id, reaction)
        self.emit("reactions", chat.id, message_id=message_id, reactions=chat.reactions_of(message_id))

    def keep_file(self, kind: str, upload: Upload) -> Stored:
        """Keep a file that somebody sends."""
        stored = self.files.add(kind, upload)
        self.emit("file", 0, file=stored)
        return stored

    def answer_callback(self, callback_id: str, answer: dict[str, Any]) -> None:
        """Record a bot's answer to a pressed button."""
        self._presses.answer(callback_id, answer)
        self.emit("callback", 0, callback_id=callback_id, answer=answer)

    def emit(self, kind: str, chat_id: int, **facts: object) -> None:
        """Tell the listeners (the page, the disk) what changed."""
        for listener in self.listeners:
            listener({"kind": kind, "chat_id": chat_id, **facts})

    # -- the people's side; the same by HTTP in `people.py` --

    def post_message(
        self,
        chat_id: int,
        user_id: int,
        text: str,
        reply_to_message_id: int | None = None,
        message_thread_id: int | None = None,
    ) -> Message:
        """Let a person send text, and return the Message; every bot gets it. Unknown chats are made."""
        chat = self._chat_of(chat_id, user_id)
        text, entities = texts.formatted(text, [], texts.TEXT_UNITS_MAX, "message is too long")
        if not text:
            raise bad_request("message text is empty")
        content = {"text": text} | ({"entities": entities} if entities else {})
        return self._say(chat, user_id, content, reply_to_message_id, message_thread_id)

    def post_files(  # noqa: PLR0913  the fields of the form, by name
        self,
        chat_id: int,
        user_id: int,
        files: list[Upload],
        *,
        caption: str = "",
        reply_to_message_id: int | None = None,
        message_thread_id: int | None = None,
        kind: str | None = None,
    ) -> list[Message]:
        """Let a person send files, several as one album, the caption on the first; return the Messages.

        `kind` (photo, document, voice ...) is guessed from each file's MIME type when it isn't given.
        """
        if not 1 <= len(files) <= ALBUM_MAX:
            raise bad_request(f"send 1 to {ALBUM_MAX} files at once")
        chat = self._chat_of(chat_id, user_id)
        text, entities = texts.formatted(caption, [], texts.CAPTION_UNITS_MAX, "message caption is too long")
        marked = ({"caption": text} if text else {}) | ({"caption_entities": entities} if entities else {})
        album = {"media_group_id": str(self._random.getrandbits(53))} if len(files) > 1 else {}
        sent: list[Message] = []
        for upload in files:
            media = self.keep_file(kind or kind_of(upload), upload)
            content = {**shown(media), **album, **(marked if not sent else {})}
            sent.append(self._say(chat, user_id, content, reply_to_message_id, message_thread_id))
        return sent

    def post_content(
        self, chat_id: int, user_id: int, content: dict[str, Any], reply_to_message_id: int | None = None
    ) -> Message:
        """Let a person send what else a Message can hold: `content` is fields of it, and is not checked."""
        if not content:
            raise bad_request("the content is empty")
        if own := content.keys() & {"message_id", "from", "chat", "date"}:
            raise bad_request(f"the content cannot say its {min(own)}")
        return self._say(self._chat_of(chat_id, user_id), user_id, content, reply_to_message_id, None)

    def edit_message(self, chat_id: int, user_id: int, message_id: int, text: str) -> Message:
        """Let a person edit text of their own, and return the Message; every bot gets an edited_message."""
        chat = self.chat(chat_id)
        old = chat.message(message_id, "message to edit not found")
        if old["from"]["id"] != user_id or "text" not in old:
            raise bad_request("message can't be edited")
        text, entities = texts.formatted(text, [], texts.TEXT_UNITS_MAX, "message is too long")
        if not text:
            raise bad_request("message text is empty")
        kept = {key: value for key, value in old.items() if key != "entities"}
        marked = {"entities": entities} if entities else {}
        message = self.change_message(chat, {**kept, "text": text, "edit_date": int(time.time()), **marked})
        self.inject_update({"edited_message": message})
        return message

    def inject_update(self, update: dict[str, Any]) -> None:
        """Queue a raw update, also an invalid one, for every bot; its update_id is added."""
        if not isinstance(update, dict) or "update_id" in update:
            raise bad_request("an update is an object without update_id")
        for bot in self.bots.values():
            bot.push(update)
        if not self.bots:
            self._early.append(update)

    def _tell(self, bot_id: int, update: dict[str, Any]) -> None:
        """Queue an update for the one bot that it concerns: a press is for whose message it is."""
        for bot in self.bots.values():
            if bot.id == bot_id:
                bot.push(update)

    def press(self, chat_id: int, message_id: int, user_id: int, callback_data: str) -> str:
        """Let a person press an inline button, and return the callback query's id."""
        message = self.chat(chat_id).message(message_id, "message not found")
        query = self._presses.add(self.person(user_id), message, callback_data)
        self._tell(message["from"]["id"], {"callback_query": query})
        return str(query["id"])

    def stop_draft(self, chat_id: int) -> None:
        """Let a person press stop on what the bot is writing."""
        chat = self.chat(chat_id)
        draft = chat.shown_draft()
        if draft is None or not draft["can_stop"]:
            raise bad_request("nothing to stop here")
        thread = {key: draft[key] for key in ("message_thread_id",) if key in draft}
        stopped = {"chat": chat.info, "draft_id": draft["draft_id"], **thread}
        self._tell(draft["bot_id"], {"stopped_message_generation": stopped})

    def react_to(self, chat_id: int, user_id: int, message_id: int, emoji: str) -> None:
        """Let a person react to a message; an empty emoji takes the reaction back."""
        chat = self.chat(chat_id)
        chat.message(message_id, "message to react not found")
        old = chat.reactions.get(message_id, {}).get(user_id, [])
        new = [{"type": "emoji", "emoji": emoji}] if emoji else []
        self.react(chat, message_id, user_id, new)
        changed = {"old_reaction": old, "new_reaction": new, "user": self.person(user_id)}
        about = {"chat": chat.info, "message_id": message_id, "date": int(time.time())}
        self.inject_update({"message_reaction": about | changed})

    def callback(self, callback_id: str) -> dict[str, Any] | None:
        """Return the bot's answer to a press, `{"text"?, "show_alert"?, "url"?}`; None before it came."""
        return self._presses.answer_to(callback_id)

    def block(self, user_id: int, *, blocked: bool) -> None:
        """Let a person block the bots, or unblock them."""
        chat = self._chat_of(user_id, user_id, allow_blocked=True)
        if chat.blocked == blocked:
            return
        chat.blocked = blocked
        self.membership_changed(chat, self.person(user_id), "kicked", lost=blocked)

    def mute(self, chat_id: int, *, muted: bool = True) -> None:
        """Let an administrator take the bots' right to write in a group, or give it back."""
        chat = self.chat(chat_id)
        if chat.private:
            raise bad_request("a private chat is blocked, not muted")
        if chat.muted == muted:
            return
        chat.muted = muted
        self.membership_changed(chat, ADMIN, "restricted", lost=muted)

    def make_chat(self, chat_id: int, title: str | None = None, *, is_forum: bool = False) -> dict[str, Any]:
        """Make a chat with a name, or a forum, before anybody writes; return its overview."""
        if chat_id in self._chats:
            raise bad_request("the chat exists already")
        return self._make_chat(chat_id, title, is_forum=is_forum).overview()

    def make_topic(self, chat_id: int, user_id: int, name: str) -> int:
        """Make a topic in a forum, and return its message_thread_id."""
        chat = self.chat(chat_id)
        if not chat.info.get("is_forum"):
            raise bad_request("the chat is not a forum")
        created = {"name": name, "icon_color": 0x6FB9F0}
        thread = {"message_thread_id": self.boxes.next_id(chat.id), "is_topic_message": True}
        message = self.add_message(chat, self.person(user_id), {**thread, "forum_topic_created": created})
        chat.topics[message["message_id"]] = name
        self.emit("chat", chat.id, chat=chat.overview())
        self.inject_update({"message": message})
        return int(message["message_id"])

    def delete_topic(self, chat_id: int, message_thread_id: int) -> None:
        """Delete a topic of a forum and all that is in it; no update says so, as at Telegram."""
        chat = self.chat(chat_id)
        for message_id in chat.ids_in_topic(message_thread_id):
            self.delete_message(chat, message_id)
        del chat.topics[message_thread_id]
        self.emit("chat", chat.id, chat=chat.overview())

    def chats(self) -> list[dict[str, Any]]:
        """Return the chats, newest last, each as `Chat.overview` has it."""
        return [chat.overview() for chat in list(self._chats.values())[-CHATS_SHOWN_MAX:]]

    def messages(
        self,
        chat_id: int,
        before: int | None = None,
        limit: int | None = None,
        message_thread_id: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return a chat's messages as they stand on screen, oldest first, each with its `reactions`.

        `before` (a message id) and `limit` page backwards from the end. `message_thread_id` asks for one
        topic of a forum; 0 is the General one.
        """
        chat = self.chat(chat_id)
        newest = itertools.islice(chat.newest_first(before, message_thread_id), limit)
        return [chat.shown(message) for message in newest][::-1]

    def commands(self) -> list[dict[str, str]]:
        """Return the commands menu that people see: the first one any bot has set."""
        menus = [menu for bot in self.bots.values() for menu in bot.commands.values() if menu]
        return menus[0] if menus else []

    def person(self, user_id: int) -> dict[str, Any]:
        """Return a person as a User; the name is that of their private chat, if there is one."""
        if user_id <= 0:
            raise bad_request("a user's id is positive")
        known = self._chats.get(user_id)
        name = known.info["first_name"] if known else f"Person {user_id}"
        return {"id": user_id, "is_bot": False, "first_name": name, "language_code": "en"}

    def add_faults(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Add fault rules (see `faults.Fault`)."""
        self.faults.add(rules)

    def replace_faults(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Put fault rules in place of those in force."""
        self.faults.replace(rules)

    def clear_faults(self) -> None:
        """Drop all fault rules."""
        self.faults.clear()

    async def close(self) -> None:
        """Let every waiting poll, delay and late call end now, and stop the webhooks."""
        self.closing.set()
        for bot in self.bots.values():
            bot.end_poll()
            if bot.webhook is not None:
                await bot.webhook.stop()

    # -- inside --

    def _say(
        self,
        chat: Chat,
        user_id: int,
        content: Mapping[str, Any],
        reply_to_message_id: int | None,
        message_thread_id: int | None,
    ) -> Message:
        reply = {}
        if reply_to_message_id is not None:
            target = chat.message(reply_to_message_id, "message to be replied not found")
            reply = {"reply_to_message": quoted(target)}
        around = {**chat.thread(message_thread_id), **reply}
        message = self.add_message(chat, self.person(user_id), {**content, **around})
        self.inject_update({"message": message})
        return message

    def _chat_of(self, chat_id: int, user_id: int, *, allow_blocked: bool = False) -> Chat:
        """Return the chat a person acts in, made when it is new."""
        if chat_id > 0 and chat_id != user_id:
            raise bad_request("a private chat's id is its user's id")
        chat = self._chats.get(chat_id) or self._make_chat(chat_id)
        if chat.blocked and not allow_blocked:
            raise bad_request("the bot is blocked, or was removed: unblock or add it first")
        return chat

    def membership_changed(self, chat: Chat, by: dict[str, Any], status: str, *, lost: bool) -> None:
        """Let the bots hear that they may do less in a chat, or as much as before."""
        for bot in self.bots.values():
            bot.push({"my_chat_member": member_change(chat, bot, by, status, lost=lost)})
        self.emit("chat", chat.id, chat=chat.overview())

    def _make_chat(self, chat_id: int, title: str | None = None, *, is_forum: bool = False) -> Chat:
        if len(self._chats) >= CHATS_MAX:
            raise bad_request(f"the playground takes at most {CHATS_MAX} chats")
        return self.add_chat(Chat(chat_info(chat_id, title, is_forum=is_forum)))
