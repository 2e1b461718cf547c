"""Registers commands and buttons, finds them, and shows their replies.

A command is a function in a module of this folder; to add one, add a function, or a file with one:

    @command("ping", "say whether I am here")
    def ping(call: Call) -> Reply:
        return Reply("I am here.", (draw("Again", "ping", call.row_id),))

    @button("ping", args=1)
    def ping_again(call: Call) -> Reply: ...

Such a function runs inside the transaction that stores the control, so "stored" and "acted on" are one
commit: after a crash there are either both or neither, and every message stays before or after the control.
There may be a button without a command of the same name.

Each acts at once, beside the queue; words behind it are the next message, unless it `reads_words`. One that
has to wait its turn is only listed here, with `queued`: `batch` stores it like a message, and the agent obeys
it. What is for a model only (`needs_model`) exists where the settings name one (ModelRules).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tgbot.model import (
    Activation,
    Button,
    Control,
    Message,
    MessageId,
    Owner,
    RowId,
    SessionKey,
    Turn,
    UserId,
)
from tgbot.render import Text
from tgbot.store import inbox, outbox
from tgbot.store.engine.connection import Connection

DATA_BYTES_MAX = 64  # of a button (Bot API, InlineKeyboardButton)


@dataclass(frozen=True, slots=True)
class ModelRules:
    """What a chat may do with its model.

    It may choose one of `models`, of which the first is the default. Only `owner_id` may set instructions
    (None: nobody), and erase a group (None: everyone).
    """

    models: tuple[str, ...]
    owner_id: UserId | None


@dataclass(frozen=True, slots=True)
class Call:
    """What a command or button is given.

    `conn` is the transaction that stores the control, as the row `row_id`. Where no model answers there are
    no `model_rules`. `group_activation` is that of groups that have not chosen one; `privacy_mode`: Telegram
    does not pass on everything that is said in a group.
    """

    conn: Connection
    owner: Owner
    control: Control
    row_id: RowId
    model_rules: ModelRules | None = None
    group_activation: Activation = "mention"
    privacy_mode: bool = False

    @property
    def session_key(self) -> SessionKey:
        """The session in which it acts."""
        return self.control.address.session_key

    @property
    def target(self) -> RowId:
        """The row that the button was drawn for."""
        assert self.control.target is not None, "only a button has a row"
        return self.control.target


class Mark(NamedTuple):
    """Whether a message that somebody sent waits for its turn now, as its reaction is to say."""

    message_id: MessageId
    waits: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """What a control answers: a message, or a `toast` on the button that was pressed, or both.

    `claimed` is the turn that it began, `stopped` the row whose turn it stopped, `marks` what it changed for
    messages that waited or were held; of the sessions `erased` nothing that was said may be kept. With
    `instead` the message takes the place of the one whose button was pressed.
    """

    text: str | Text | None
    buttons: tuple[Button, ...] = ()
    toast: str | None = None
    claimed: Turn | None = None
    stopped: RowId | None = None
    instead: bool = False
    erased: Sequence[SessionKey] = ()
    marks: tuple[Mark, ...] = ()


NOTHING = Reply(None, toast="This button does nothing any more.")
Act = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class Command:
    """A command to type; `help` is its line in /help and in the menu.

    Without an `act` it waits its turn, and the agent obeys it. `bare`: in a private chat, while a turn runs,
    the word alone is enough, without the slash.
    """

    name: str
    help: str
    act: Act | None
    bare: bool = False
    reads_words: bool = False
    needs_model: bool = False


@dataclass(frozen=True, slots=True)
class _Button:
    args: int
    act: Act
    needs_model: bool


_commands: dict[str, Command] = {}  # by name and alias
_buttons: dict[str, _Button] = {}


def command(name: str, help_line: str, *, aliases: tuple[str, ...] = (), **how: bool) -> Callable[[Act], Act]:
    """Register a function for `/name`, and for each alias, which no menu shows; `how`: flags of Command."""

    def register(act: Act) -> Act:
        for alias in (name, *aliases):
            _add(alias, Command(name, help_line, act, **how))
        return act

    return register


def queued(name: str, help_line: str) -> None:
    """List a command that the agent with a model obeys when it is its turn."""
    _add(name, Command(name, help_line, None, needs_model=True))


def _add(alias: str, one: Command) -> None:
    assert alias not in _commands, f"two commands /{alias}"
    _commands[alias] = one


def button(name: str, *, args: int, needs_model: bool = False) -> Callable[[Act], Act]:
    """Register a function for buttons with the data `name:number...`, with `args` numbers.

    The first number is the id of a row in the chat. A button may be forged: other data never reaches the
    function, but the row may be any of the chat's. The function replies NOTHING if the button is not for it.
    """

    def register(act: Act) -> Act:
        assert name not in _buttons, f"two buttons {name}"
        _buttons[name] = _Button(args, act, needs_model)
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


def menu(model_rules: ModelRules | None) -> dict[str, str]:
    """Map the name of each command to its help line: those for a model behind the others, /help last."""
    lines = {one.name: one.help for one in _commands.values() if not one.needs_model}
    if model_rules:
        lines |= {one.name: one.help for one in _commands.values()}
    return lines | {"help": lines.pop("help")}


def find_command(message: Message, model_rules: ModelRules | None) -> Command | None:
    """Find the command that a message is, if any; a `bare` one counts only while a turn runs."""
    words = message.command
    found = _commands.get(words.name) if words else None
    if found is None or (found.needs_model and model_rules is None):
        return None
    if words and not words.slash and not (found.bare and message.address.private):
        return None
    return found


def find_button(conn: Connection, pressed: Control, model_rules: ModelRules | None) -> tuple[Control, Act]:
    """Find the function of a button, and give the control the session of its row.

    The session is looked up, because an old message does not name its topic, and a button may be forged.
    """
    found, address = _buttons.get(pressed.name), pressed.address
    if found is None or pressed.target is None or len(pressed.args) != found.args:
        return pressed, _nothing
    if found.needs_model and model_rules is None:
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


def _nothing(_: Call) -> Reply:
    return NOTHING
