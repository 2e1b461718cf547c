"""Registers commands and buttons, finds them, and shows their replies.

A command is a function in a module of this folder; to add one, add a function, or a file with one:

    @command("ping", "say whether I am here")
    def ping(conn: Connection, owner: Owner, control: Control, row_id: RowId) -> Reply:
        return Reply("I am here.", (draw("Again", "ping", row_id),))

    @button("ping", args=1)
    def ping_again(conn: Connection, owner: Owner, control: Control, row_id: RowId) -> Reply: ...

Such a function runs inside the transaction that stores the control, so "stored" and "acted on" are one
commit: after a crash there are either both or neither, and every message stays before or after the control.
`row_id` is the control's own row, `control.target` the one that a button was drawn for. There may be a button
without a command of the same name.

Each acts at once, beside the queue. One that has to wait its turn (say /new) would need a flag here, and be
stored by `batch` as a queued row of its session: then it is claimed in order, by the same claim as messages.
One that reads the words behind it would need a flag too; the words are in `Message.command`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tgbot.model import Button, Control, Message, MessageId, Owner, RowId, Turn
from tgbot.render import Text
from tgbot.store import inbox, outbox
from tgbot.store.engine.connection import Connection

DATA_BYTES_MAX = 64  # of a button (Bot API, InlineKeyboardButton)


class Mark(NamedTuple):
    """Whether a message that somebody sent waits for its turn now, as its reaction is to say."""

    message_id: MessageId
    waits: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """What a control answers: a message, or a `toast` on the button that was pressed, or both.

    `claimed` is the turn that it began, `stopped` the row whose turn it stopped, `marks` what it changed for
    messages that waited or were held. With `instead` the message takes the place of the one whose button was
    pressed.
    """

    text: str | Text | None
    buttons: tuple[Button, ...] = ()
    toast: str | None = None
    claimed: Turn | None = None
    stopped: RowId | None = None
    instead: bool = False
    marks: tuple[Mark, ...] = ()


NOTHING = Reply(None, toast="This button does nothing any more.")
Act = Callable[[Connection, Owner, Control, RowId], Reply]


@dataclass(frozen=True, slots=True)
class Command:
    """A command to type; `help` is its line in /help and in the menu.

    `bare`: in a private chat, while a turn runs, the word alone is enough, without the slash.
    """

    name: str
    help: str
    act: Act
    bare: bool


@dataclass(frozen=True, slots=True)
class _Button:
    args: int
    act: Act


_commands: dict[str, Command] = {}  # by name and alias
_buttons: dict[str, _Button] = {}


def command(
    name: str, help_line: str, *, aliases: tuple[str, ...] = (), bare: bool = False
) -> Callable[[Act], Act]:
    """Register a function for `/name`, and for each alias, which no menu shows."""

    def register(act: Act) -> Act:
        for alias in (name, *aliases):
            assert alias not in _commands, f"two commands /{alias}"
            _commands[alias] = Command(name, help_line, act, bare)
        return act

    return register


def button(name: str, *, args: int) -> Callable[[Act], Act]:
    """Register a function for buttons with the data `name:number...`, with `args` numbers.

    The first number is the id of a row in the chat. A button may be forged: other data never reaches the
    function, but the row may be any of the chat's. The function replies NOTHING if the button is not for it.
    """

    def register(act: Act) -> Act:
        assert name not in _buttons, f"two buttons {name}"
        _buttons[name] = _Button(args, act)
        return act

    return register


def draw(label: str, name: str, *args: int) -> Button:
    """Make a button that is registered as `name`, with `label` on it."""
    data = _data(name, args)
    assert len(args) == _buttons[name].args, f"{data} is no button {name}"
    assert len(data.encode()) <= DATA_BYTES_MAX, f"{data} is too long"
    return Button(label, data)


def _data(name: str, args: Sequence[int]) -> str:
    return ":".join([name, *map(str, args)])


def menu() -> dict[str, str]:
    """Map the name of each command to its help line, in the order of the modules; /help comes last."""
    lines = {one.name: one.help for one in _commands.values()}
    return lines | {"help": lines.pop("help")}


def find_command(message: Message) -> Command | None:
    """Find the command that a message is, if any; a `bare` one counts only while a turn runs."""
    words = message.command
    found = _commands.get(words.name) if words else None
    if words and not words.slash and not (found and found.bare and message.address.private):
        return None
    return found


def find_button(conn: Connection, pressed: Control) -> tuple[Control, Act]:
    """Find the function of a button, and give the control the session of its row.

    The session is looked up, because an old message does not name its topic, and a button may be forged.
    """
    found, address = _buttons.get(pressed.name), pressed.address
    if found is None or pressed.target is None or len(pressed.args) != found.args:
        return pressed, _nothing
    place = inbox.place(conn, pressed.update.bot_id, address.chat_id, pressed.target)
    if place is None:
        return pressed, _nothing
    session_key, topic_id = place
    return replace(pressed, address=address._replace(session_key=session_key, topic_id=topic_id)), found.act


def show(conn: Connection, control: Control, row_id: RowId, reply: Reply) -> None:
    """Put the reply to a control into the outbox."""
    if reply.text and reply.instead and control.target is not None:
        pressed = _data(control.name, control.args)
        outbox.rewrite(conn, control.target, control.address.chat_id, pressed, _text(reply.text))
    elif reply.text:
        outbox.reply(conn, row_id, _text(reply.text), reply.buttons)


def _text(text: str | Text) -> Text:
    return text if isinstance(text, Text) else Text(text)


def _nothing(*_: object) -> Reply:
    return NOTHING
