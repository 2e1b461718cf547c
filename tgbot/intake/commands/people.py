"""/allow, /deny and /users: the owner says who may talk; and the card about a stranger who sent /pair."""

import json
import re
from dataclasses import replace

from tgbot.intake.commands.registry import NOTHING, Call, Notice, Reply, button, command, draw, owners_only
from tgbot.model import Button, Raw, RowId, UserId, whole
from tgbot.render import Text
from tgbot.store import allowed, strangers
from tgbot.store.allowed import Allowed

NAME_CHARACTERS = 64
LISTED_MAX = 30  # whom /users names: so many fit into one message
WHOM = "Whom? /{0} 12345 is for the person with this user id; in a group, /{0} alone is for the group."
WELCOME = "You may talk to me now."
_ID = re.compile(r"-?[1-9][0-9]{0,15}")


@command("allow", "let a person or this group talk to me", reads_words=True, for_owner=True)
def allow(call: Call) -> Reply:
    """Let the person talk whom the words name by their id, or the members of the group it is typed in."""
    chat_id = _named(call)
    if chat_id is None:
        return Reply(WHOM.format("allow"))
    return Reply(_by_settings(call, chat_id)) if _in_settings(call, chat_id) else _let_in(call, chat_id)


@command("deny", "take that back", reads_words=True, for_owner=True)
def deny(call: Call) -> Reply:
    """Take back what /allow did."""
    chat_id = _named(call)
    if chat_id is None:
        return Reply(WHOM.format("deny"))
    return Reply(_by_settings(call, chat_id)) if _in_settings(call, chat_id) else _keep_out(call, chat_id)


@command("users", "who may talk to me", for_owner=True)
def users(call: Call) -> Reply:
    """List who may talk."""
    found = allowed.everyone(call.conn, call.owner.bot_id)
    more = [f"and {len(found) - LISTED_MAX} more"] if len(found) > LISTED_MAX else []
    lines = [*_settings_lines(call), *map(_line, found[:LISTED_MAX]), *more]
    return Reply("\n".join(["These may talk to me:", *lines, "/allow and /deny change it."]))


@command("pair", "")
def pair(_: Call) -> Reply:
    """Answer those who need not ask; everybody else is a stranger (`intake/strangers.py`)."""
    return Reply("You may talk to me already.")


def card(row_id: RowId, user_id: UserId, name: str) -> tuple[Text, tuple[Button, Button]]:
    """Make the card that asks the owner about a stranger, for a row in the owner's chat."""
    buttons = draw("Allow", "allow", row_id, user_id), draw("Deny", "deny", row_id, user_id)
    return Text(f"{name} ({user_id}) asks to talk to me."), buttons


@button("allow", args=2)
@owners_only
def allow_pressed(call: Call) -> Reply:
    """Let the stranger talk whom the card is about."""
    user_id = call.control.args[1]
    return replace(_let_in(call, user_id), instead=True) if _has_asked(call, user_id) else NOTHING


@button("deny", args=2)
@owners_only
def deny_pressed(call: Call) -> Reply:
    """Keep the stranger out whom the card is about."""
    user_id = call.control.args[1]
    return replace(_keep_out(call, user_id), instead=True) if _has_asked(call, user_id) else NOTHING


def name_of(person: Raw) -> str:
    """Make the name by which the owner knows somebody, of a raw User: anyone can choose any."""
    names = [person.get("first_name"), person.get("last_name")]
    if username := person.get("username"):
        names.append(f"@{username}")
    return _short(" ".join(name for name in names if isinstance(name, str))) or "Somebody"


def _short(name: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in whole(name))
    return " ".join(printable.split())[:NAME_CHARACTERS]


def _named(call: Call) -> int | None:
    """Find whom a command is about: the id that it names, else the group that it is typed in."""
    address, words = call.control.address, call.control.words
    if words:
        return int(words) if _ID.fullmatch(words) else None
    return None if address.private else address.chat_id


def _in_settings(call: Call, chat_id: int) -> bool:
    users = call.access.allowed_users
    return users is None or chat_id in users


def _by_settings(call: Call, chat_id: int) -> str:
    whom = "everyone" if call.access.allowed_users is None else chat_id
    return f"TGBOT_ALLOWED_USERS lets {whom} talk to me. Only who runs this bot can change that."


def _let_in(call: Call, chat_id: int) -> Reply:
    """Allow somebody, and let them know if they have written to the bot before."""
    bot_id, by = call.owner.bot_id, call.control.address.user_id
    if chat_id < 0:
        allowed.allow(call.conn, bot_id, chat_id, "group", _title(call, chat_id), by)
        return Reply("Everyone in this group may talk to me here now.")
    user_id = UserId(chat_id)
    known = strangers.find(call.conn, bot_id, user_id)
    strangers.forget(call.conn, bot_id, user_id)
    is_new = allowed.allow(call.conn, bot_id, chat_id, "user", known and known.name, by)
    notices = (Notice(user_id, WELCOME),) if is_new and known else ()
    return Reply(f"{_who(user_id, known and known.name)} may talk to me now.", notices=notices)


def _keep_out(call: Call, chat_id: int) -> Reply:
    bot_id = call.owner.bot_id
    if allowed.role_of(call.conn, bot_id, chat_id) == "owner":
        return Reply(f"{chat_id} owns this bot, and stays its owner.")
    allowed.deny(call.conn, bot_id, chat_id)
    if chat_id < 0:
        return Reply("In this group I talk only with those who may talk to me anywhere.")
    user_id = UserId(chat_id)
    known = strangers.find(call.conn, bot_id, user_id)
    strangers.deny(call.conn, bot_id, user_id)
    return Reply(f"{_who(user_id, known and known.name)} may not talk to me.")


def _has_asked(call: Call, user_id: int) -> bool:
    """Whether a card is still open: it is decided once, also by a typed command."""
    found = strangers.find(call.conn, call.owner.bot_id, UserId(user_id))
    return found is not None and found.state == "asked"


def _who(user_id: UserId, name: str | None) -> str:
    return f"{name} ({user_id})" if name else str(user_id)


def _title(call: Call, chat_id: int) -> str | None:
    chat: Raw = json.loads(call.control.update.raw)["message"]["chat"]
    title = chat.get("title")
    return _short(title) if chat["id"] == chat_id and isinstance(title, str) else None


def _settings_lines(call: Call) -> list[str]:
    users = call.access.allowed_users
    if users is None:
        return ["- everyone (TGBOT_ALLOWED_USERS)"]
    lines = [f"- {one}{', the owner' if one == call.access.owner_id else ''}" for one in users]
    more = [f"and {len(lines) - LISTED_MAX} more"] if len(lines) > LISTED_MAX else []
    return [f"{line} (TGBOT_ALLOWED_USERS)" for line in lines[:LISTED_MAX]] + more


def _line(one: Allowed) -> str:
    named = f"{one.name} ({one.chat_id})" if one.name else str(one.chat_id)
    what = {"owner": ", the owner", "user": "", "group": ", everyone in this group"}[one.role]
    return f"- {named}{what}"
