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

from tgbot.access import Access
from tgbot.intake.limits import NO_LIMITS, Limits
from tgbot.model import (
    Activation,
    Address,
    Button,
    ChatId,
    Control,
    Message,
    MessageId,
    Owner,
    RowId,
    SessionKey,
    Turn,
    Update,
    UserId,
    session_key,
    session_user,
)
from tgbot.render import Text
from tgbot.store import allowed, inbox, outbox, queue
from tgbot.store.engine.connection import Connection
from tgbot.store.erasure import NO_WORDS

DATA_BYTES_MAX = 64  # of a button (Bot API, InlineKeyboardButton)


@dataclass(frozen=True, slots=True)
class ModelRules:
    """What a chat may do with its model: choose one of `models`, of which the first is the default."""

    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """What a command or button is given.

    `conn` is the transaction that stores the control, as the row `row_id`. Where no model answers there are
    no `model_rules`. `group_activation` is that of groups that have not chosen one; `privacy_mode`: Telegram
    does not pass on everything that is said in a group. `limits` are those of each user, `queue_max` is in
    rows per session.
    """

    conn: Connection
    owner: Owner
    control: Control
    row_id: RowId
    access: Access
    model_rules: ModelRules | None = None
    group_activation: Activation = "mention"
    privacy_mode: bool = False
    limits: Limits = NO_LIMITS
    queue_max: int = 100

    @property
    def session_key(self) -> SessionKey:
        """The session in which it acts."""
        return self.control.address.session_key

    @property
    def target(self) -> RowId:
        """The row that the button was drawn for."""
        assert self.control.target is not None, "only a button has a row"
        return self.control.target

    @property
    def by_owner(self) -> bool:
        """Whether the bot's owner typed or pressed it."""
        return _is_owner(self.conn, self.access, self.control)

    @property
    def has_owner(self) -> bool:
        """Whether anybody owns the bot."""
        return bool(self.access.owner_id or allowed.owner_of(self.conn, self.owner.bot_id))

    @property
    def may_set_up(self) -> bool:
        """Whether they may change how the bot behaves in the session.

        In one that a group shares that is the owner, or an admin of the group who speaks as the group;
        everyone where nobody owns the bot.
        """
        user_id, chat_id = self.control.address.user_id, self.control.address.chat_id
        own = user_id in {chat_id, session_user(self.session_key)}
        return own or self.by_owner or not self.has_owner


class Notice(NamedTuple):
    """A message to somebody in their private chat, whatever chat a control was in."""

    user_id: UserId
    text: str


class Mark(NamedTuple):
    """Whether a message that somebody sent waits for its turn now, as its reaction is to say."""

    message_id: MessageId
    waits: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """What a control answers: a message, or a `toast` on the button that was pressed, or both.

    `claimed` is the turn that it began, `stopped` the row whose turn it stopped, `marks` what it changed for
    messages that waited or were held; of the sessions `erased` nothing that was said may be kept. With
    `instead` the message takes the place of the one whose button was pressed. `notices` are for others.
    The messages `again` ran as one turn, and are to run once more.
    """

    text: str | Text | None
    buttons: tuple[Button, ...] = ()
    toast: str | None = None
    claimed: Turn | None = None
    stopped: RowId | None = None
    instead: bool = False
    erased: Sequence[SessionKey] = ()
    marks: tuple[Mark, ...] = ()
    notices: tuple[Notice, ...] = ()
    again: Sequence[Message] = ()


NOTHING = Reply(None, toast="This button does nothing any more.")
NOT_YOURS = "This is for the person who asked, and for the bot's owner."
NOT_OWNER = "Only the bot's owner can do this."
NOT_FOR_ALL = "In a group only the bot's owner can change this."
Act = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class Command:
    """A command to type; `help` is its line in /help and in the menu.

    Without an `act` it waits its turn, and the agent obeys it. `bare`: in a private chat, while a turn runs,
    the word alone is enough, without the slash. One that is `for_owner` refuses everybody else.
    """

    name: str
    help: str
    act: Act | None
    bare: bool = False
    reads_words: bool = False
    needs_model: bool = False
    for_owner: bool = False


@dataclass(frozen=True, slots=True)
class _Button:
    args: int
    act: Act
    needs_model: bool
    of_card: bool


_commands: dict[str, Command] = {}  # by name and alias
_buttons: dict[str, _Button] = {}


def command(name: str, help_line: str, *, aliases: tuple[str, ...] = (), **how: bool) -> Callable[[Act], Act]:
    """Register a function for `/name`, and for each alias, which no menu shows; `how`: flags of Command."""

    def register(act: Act) -> Act:
        checked = owners_only(act) if how.get("for_owner") else act
        for alias in (name, *aliases):
            _add(alias, Command(name, help_line, checked, **how))
        return act

    return register


def owners_only(act: Act) -> Act:
    """Refuse everybody but the owner."""

    def checked(call: Call) -> Reply:
        if call.by_owner:
            return act(call)
        return Reply(None, toast=NOT_OWNER) if call.control.callback_id else Reply(NOT_OWNER)

    return checked


def queued(name: str, help_line: str) -> None:
    """List a command that the agent with a model obeys when it is its turn."""
    _add(name, Command(name, help_line, None, needs_model=True))


def _add(alias: str, one: Command) -> None:
    assert alias not in _commands, f"two commands /{alias}"
    _commands[alias] = one


def button(name: str, *, args: int, needs_model: bool = False, of_card: bool = False) -> Callable[[Act], Act]:
    """Register a function for buttons with the data `name:number...`, with `args` numbers.

    The first number is the id of a row in the chat. A button may be forged: other data never reaches the
    function, but the row may be any of the chat's. The function replies NOTHING if the button is not for it.
    `of_card`: it does what /stop, /drop and /resume do, so who may type those in the session may press it.
    """

    def register(act: Act) -> Act:
        assert name not in _buttons, f"two buttons {name}"
        _buttons[name] = _Button(args, act, needs_model, of_card)
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


def menu(model_rules: ModelRules | None, *, for_owner: bool = False) -> dict[str, str]:
    """Map the name of each command to its help line: those for a model behind the others, /help last."""
    shown = [one for one in _commands.values() if one.help and (for_owner or not one.for_owner)]
    lines = {one.name: one.help for one in shown if not one.needs_model}
    if model_rules:
        lines |= {one.name: one.help for one in shown}
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


def find_button(
    conn: Connection, access: Access, pressed: Control, model_rules: ModelRules | None
) -> tuple[Control, Act]:
    """Find the function of a button, and give the control the session of its row.

    The session is looked up, because an old message does not name its topic, and a button may be forged. Who
    may not press the button gets a function that says so.
    """
    found, address = _buttons.get(pressed.name), pressed.address
    if found is None or pressed.target is None or len(pressed.args) != found.args:
        return pressed, _nothing
    if found.needs_model and model_rules is None:
        return pressed, _nothing
    place = queue.place(conn, pressed.update.bot_id, address.chat_id, pressed.target)
    if place is None:
        return pressed, _nothing
    there = address._replace(session_key=place.session_key, topic_id=place.topic_id)
    if found.of_card:
        may_press = _may_type(conn, access, pressed, place.session_key)
    else:
        may_press = _may_press(conn, access, pressed, place.user_id)
    return replace(pressed, address=there), found.act if may_press else _not_yours


def _may_press(conn: Connection, access: Access, pressed: Control, asker: UserId | None) -> bool:
    """Whether somebody asked for what the button is about, owns the bot, or is in a group that is allowed."""
    address = pressed.address
    return (
        asker == address.user_id
        or access.allowed_users is None
        or allowed.role_of(conn, pressed.update.bot_id, address.chat_id) == "group"
        or _is_owner(conn, access, pressed)
    )


def _may_type(conn: Connection, access: Access, pressed: Control, key: SessionKey) -> bool:
    """Whether a session is everybody's in its chat, or theirs who pressed; the owner acts on any."""
    return session_user(key) in {None, pressed.address.user_id} or _is_owner(conn, access, pressed)


def _is_owner(conn: Connection, access: Access, control: Control) -> bool:
    user_id = control.address.user_id
    return user_id == access.owner_id or allowed.role_of(conn, control.update.bot_id, user_id) == "owner"


def show(conn: Connection, control: Control, row_id: RowId, reply: Reply) -> None:
    """Put the reply to a control into the outbox, and what others hear of it."""
    if reply.text and reply.instead and control.target is not None:
        pressed = _data(control.name, control.args)
        outbox.rewrite(conn, control.target, control.address.chat_id, pressed, _text(reply.text))
    elif reply.text:
        outbox.reply(conn, row_id, _text(reply.text), reply.buttons)
    for notice in reply.notices:
        row_id = row_in(conn, control.update, row_id, notice.user_id)
        outbox.notice(conn, row_id, Text(notice.text))


def row_in(conn: Connection, update: Update, row_id: RowId, user_id: UserId) -> RowId:
    """Store a further row of an update, in the private chat of somebody, to say something there.

    `row_id` is the row that has the update's id, which recognizes the update when it comes again; from now on
    that is the new one.
    """
    inbox.pass_id_on(conn, row_id)
    chat_id = ChatId(user_id)
    address = Address(session_key(update.bot_id, chat_id), chat_id, user_id, MessageId(0))
    added = inbox.store(conn, Control(update._replace(raw=NO_WORDS), address, "notice"), "done")
    assert added, "its id is free"
    return added


def _text(text: str | Text) -> Text:
    return text if isinstance(text, Text) else Text(text)


def _nothing(_: Call) -> Reply:
    return NOTHING


def _not_yours(_: Call) -> Reply:
    return Reply(None, toast=NOT_YOURS)
