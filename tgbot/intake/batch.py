"""Takes a batch of arrivals in one transaction: stores them, acts on controls, claims for idle sessions."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from tgbot.access import Access
from tgbot.intake import commands, limits, strangers
from tgbot.intake.commands.when import activation
from tgbot.intake.comments import with_comments
from tgbot.intake.limits import NO_LIMITS, Limits
from tgbot.model import (
    Activation,
    Address,
    Arrival,
    ChatId,
    ChatMoved,
    CommandWords,
    Control,
    Edit,
    GroupSessions,
    Message,
    Owner,
    Reacted,
    ReactionsIn,
    RowId,
    SessionKey,
    Turn,
    Unreadable,
    UserId,
)
from tgbot.render import Text
from tgbot.store import (
    allowed,
    chats,
    claims,
    edits,
    inbox,
    joins,
    leads,
    modes,
    outbox,
    overheard,
    queue,
    turns,
    workers,
)
from tgbot.store.engine.connection import Connection
from tgbot.turns.overheard import line_of

UNREADABLE = Text("Sorry, I could not read this message.", ())


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about arrivals: who may talk, and `queue_max` in rows per session.

    `model`: what a chat may do with its model; None where none answers. `limits` are those of each user.
    `full` are the sessions whose queue is full, and whose people know it. `group_activation` is that of
    groups that have not chosen one; `privacy_mode`: Telegram does not pass on everything that is said in a
    group. `group_sessions`: whose the sessions in groups are; `context_messages`: how many messages to others
    a turn there is given. `reactions`: in which chats reactions act.
    """

    access: Access
    queue_max: int
    model: commands.ModelRules | None = None
    limits: Limits = NO_LIMITS
    full: set[SessionKey] = field(default_factory=set)
    group_activation: Activation = "mention"
    privacy_mode: bool = False
    group_sessions: GroupSessions = "chat"
    context_messages: int = 0
    reactions: ReactionsIn = "private"

    def wants(self, arrival: Arrival | None) -> bool:
        """Whether an arrival counts: not a reaction in a chat where none acts."""
        if not isinstance(arrival, Reacted) or self.reactions == "all":
            return True
        return self.reactions == "private" and arrival.address.private


@dataclass(slots=True)
class Received:
    """What a committed batch leads to: hints, of which each may be lost without harm."""

    claimed: list[Turn] = field(default_factory=list)
    waiting: list[Address] = field(default_factory=list)
    marks: list[tuple[Address, bool]] = field(default_factory=list)  # whether it waits now
    changed: list[Address] = field(default_factory=list)  # of messages that wait, by an edit
    replied: set[ChatId] = field(default_factory=set)
    controls: list[tuple[Control, str | None]] = field(default_factory=list)
    update_ids: list[int] = field(default_factory=list)  # for which turns will run
    timed: bool = False  # a row waits until it is due
    moved: bool = False  # sessions have other keys now
    erased: list[SessionKey] = field(default_factory=list)  # of which nothing may be kept
    not_addressed: int = 0  # messages in groups which people wrote to each other
    turned_away: list[str] = field(default_factory=list)  # callback ids of buttons that strangers pressed


def receive(conn: Connection, owner: Owner, rules: Rules, arrivals: Sequence[Arrival]) -> Received:
    """Take a batch in arrival order: what came before a /stop is stopped, what came after it runs."""
    workers.lock_all(conn, (workers.Chat(owner.bot_id, at) for one in arrivals for at in _chats(one)))
    arrivals = with_comments(arrivals)
    batch = _Batch(conn, owner, rules, arrivals)
    for is_message, group in groupby(arrivals, key=batch.is_simple_message):
        if is_message:
            batch.take_messages([arrival for arrival in group if isinstance(arrival, Message)])
        else:
            for arrival in group:
                batch.take_one(arrival)
    return batch.received


def _chats(arrival: Arrival) -> Iterator[ChatId]:
    """Give the chats that an arrival changes something in."""
    if isinstance(arrival, ChatMoved):
        yield arrival.old_id
    where = arrival if isinstance(arrival, Unreadable | ChatMoved) else arrival.address
    if where.chat_id is not None:
        yield where.chat_id


SentTogether = tuple[SessionKey, str | None]


def _addressed(arrivals: Sequence[Arrival]) -> set[SentTogether]:
    """Find what is for the bot of all that was sent together: any part of it may have the bot's name."""
    messages = (one for one in arrivals if isinstance(one, Message) and one.addressed and one.join_key)
    return {(message.address.session_key, message.join_key) for message in messages}


class _Batch:
    def __init__(self, conn: Connection, owner: Owner, rules: Rules, arrivals: Sequence[Arrival]) -> None:
        self._conn = conn
        self._addressed = _addressed(arrivals)
        session_keys = {one.address.session_key for one in arrivals if isinstance(one, Message)}
        self._with_lead = leads.sessions_with_one(conn, session_keys)
        self._owner = owner
        self._rules = rules
        self._arrivals = arrivals
        self._allowed: set[int] | None = None  # as the database says; None: nobody has asked it yet
        self.received = Received()

    def _may_talk(self, arrival: Message | Edit | Control | Reacted | Unreadable) -> bool:
        user_id, chat_id = _sender_and_chat(arrival)
        if user_id is None or self._rules.access.may_talk(user_id):
            return True
        if self._allowed is None:
            ids = [number for one in self._arrivals for number in _sender_and_chat(one) if number]
            self._allowed = allowed.among(self._conn, self._owner.bot_id, ids)
        return not self._allowed.isdisjoint((user_id, chat_id))

    def is_simple_message(self, arrival: Arrival) -> bool:
        return (
            isinstance(arrival, Message)
            and arrival.join_key is None
            and arrival.address.session_key not in self._with_lead
            and self._command(arrival) is None
            and self._may_talk(arrival)
            and self._is_for_bot(arrival)
        )

    def _is_for_bot(self, message: Message) -> bool:
        """Whether a message is for the bot, or for everybody in a group where the bot answers everything."""
        session_key, join_key = message.address.session_key, message.join_key
        if message.addressed or (join_key and (session_key, join_key) in self._addressed):
            return True
        if self._joins(message):
            return True
        return activation(self._conn, session_key, self._rules.group_activation) == "always"

    def _joins(self, message: Message) -> bool:
        """Whether a message goes with one that waits. A command alone never does: nobody pastes a /stop."""
        if message.join_key is None and message.address.session_key not in self._with_lead:
            return False
        if self._command(message) and not (message.command and message.command.behind):
            return False
        return leads.find(self._conn, message) is not None

    def _command(self, message: Message) -> commands.Command | None:
        return commands.find_command(message, self._rules.model)

    def take_messages(self, messages: Sequence[Message]) -> None:
        """Store them together, then claim once for each of their sessions."""
        self._claim_for(self._with_context(inbox.receive(self._conn, messages, self._rules.queue_max)))

    def _with_context(self, stored: list[inbox.Stored]) -> list[inbox.Stored]:
        """Give each message what was said before it in its group."""
        for entry in stored if self._rules.context_messages else ():
            address = entry.message.address
            if not (entry.refused or address.private):
                overheard.give(self._conn, self._owner.bot_id, address, entry.row_id)
        return stored

    def _overhear(self, message: Message) -> None:
        """Keep what people say to each other, where the settings want some of it."""
        self.received.not_addressed += 1
        if most := self._rules.context_messages:
            line = line_of(json.loads(message.update.raw)["message"])
            overheard.keep(self._conn, message.update, message.address, line, most)

    def _claim_for(self, all_stored: Sequence[inbox.Stored]) -> None:
        stored = [entry for entry in all_stored if entry.refused or self._is_within_limits(entry)]
        sessions = dict.fromkeys(entry.message.address.session_key for entry in stored)
        claimed = claims.claim_each(self._conn, sessions, self._owner)
        self.received.claimed += claimed
        started = {turn.row_id for turn in claimed}
        waiting = [entry for entry in stored if not entry.refused and entry.row_id not in started]
        for session_key in dict.fromkeys(entry.message.address.session_key for entry in waiting):
            if modes.of(self._conn, session_key) == "interrupt":
                self._interrupt(session_key)
        for entry in stored:
            if entry.refused:
                self._report_full(entry)
            else:
                self._rules.full.discard(entry.message.address.session_key)
                self.received.update_ids.append(entry.message.update.update_id)
        self.received.waiting += [entry.message.address for entry in waiting]

    def _interrupt(self, session_key: SessionKey) -> None:
        """Stop what a session works on: what was just sent there is next."""
        running, asking = queue.stop_turn(self._conn, session_key)
        self._release_before_its_start(running)
        if running or asking:
            self.received.timed = True

    def _is_within_limits(self, entry: inbox.Stored) -> bool:
        """Count a new message, or refuse it: only now is it known that it is new, and a turn of its own."""
        address = entry.message.address
        refusal = limits.take(self._conn, self._owner.bot_id, self._rules.limits, address.user_id)
        if refusal is None:
            return True
        inbox.refuse(self._conn, entry.row_id)
        if refusal.text:
            self._notify(entry.row_id, address.chat_id, Text(refusal.text))
        return False

    def take_one(self, arrival: Arrival) -> None:
        if isinstance(arrival, ChatMoved):
            self._move(arrival)
        elif isinstance(arrival, Edit):
            if self._may_talk(arrival):
                self._edit(arrival.message)
        elif not self._may_talk(arrival):
            self._turn_away(arrival)
        elif isinstance(arrival, Unreadable):
            self._park(arrival)
        elif isinstance(arrival, Reacted):
            self._react(arrival)
        elif isinstance(arrival, Control):
            rules = self._rules
            self._act(*commands.find_button(self._conn, rules.access, arrival, rules.model))
        elif not self._is_for_bot(arrival):
            self._overhear(arrival)
        elif (words := arrival.command) and (command := self._command(arrival)) and not self._joins(arrival):
            self._obey(command, arrival, words)
        else:
            self._take_message(arrival)

    def _take_message(self, message: Message) -> None:
        """Let a message join what waits for it, or store it."""
        if message.join_key:
            self._with_lead.add(message.address.session_key)
        self._claim_for(self._with_context(joins.receive(self._conn, message, self._rules.queue_max)))
        self.received.timed = True

    def _react(self, reacted: Reacted) -> None:
        """Act on a reaction: as if a button had been pressed. Most of them mean nothing, and leave no row."""
        if pressed := commands.find_reaction(self._conn, reacted):
            rules = self._rules
            self._act(*commands.find_button(self._conn, rules.access, pressed, rules.model))

    def _edit(self, message: Message) -> None:
        """Take an edit. One that makes a command of a message does nothing: nobody has sent that command."""
        words, command = message.command, self._command(message)
        if command and words and words.slash:
            if command.reads_words or not words.behind:
                return
            message = words.behind  # its row is that of the words behind the command
        edited = edits.apply(self._conn, message)
        if edited is None:
            return
        if edited.what == "waits":
            self.received.changed.append(message.address)
        else:
            commands.offer_edit(self._conn, message, edited)
            self.received.replied.add(message.address.chat_id)

    def _report_full(self, refused: inbox.Stored) -> None:
        """Send one notice for as long as a queue is full: a flood must not delay answers."""
        address = refused.message.address
        if address.session_key in self._rules.full:
            return
        self._rules.full.add(address.session_key)
        full = f"The queue is full ({self._rules.queue_max})"
        text = f"{full}: I did not take this, and take no more until there is room. See /queue."
        self._notify(refused.row_id, address.chat_id, Text(text, ()))

    def _obey(self, command: commands.Command, message: Message, words: CommandWords) -> None:
        """Obey a command, then queue the words behind it: in this order a /stop does not hold them."""
        # Decided only now: the turn that makes a bare "stop" a command may have begun earlier in this batch.
        if not words.slash and not queue.busy(self._conn, message.address.session_key):
            self.take_messages([message])
            return
        if command.act is None:
            row_id = self._queue(message)
        else:
            read = words.text if command.reads_words else ""
            row_id = self._act(
                Control(message.update, message.address, command.name, words=read), command.act
            )
        if row_id is not None and words.behind and not command.reads_words:
            # They get a row of their own, because each row has one answer in the outbox.
            inbox.pass_id_on(self._conn, row_id)
            self._take_message(words.behind)

    def _queue(self, message: Message) -> RowId | None:
        """Queue a command for the agent. None if the update is known, or the queue full."""
        stored = inbox.receive(self._conn, [message], self._rules.queue_max)
        self._claim_for(stored)
        return next((one.row_id for one in stored if not one.refused), None)

    def _act(self, control: Control, act: commands.Act) -> RowId | None:
        row_id = inbox.store(self._conn, control, "done")
        if row_id is None:  # a known update: it was acted on when it came the first time
            return None
        reply = act(self._call(control, row_id))
        commands.show(self._conn, control, row_id, reply)
        self._allowed = None  # a command may have changed it
        self.received.claimed += [reply.claimed] if reply.claimed else []
        self._release_before_its_start(reply.stopped)
        self.received.controls.append((control, reply.toast))
        self.received.marks += [
            (control.address._replace(message_id=mark.message_id), mark.waits) for mark in reply.marks
        ]
        self.received.replied |= {
            control.address.chat_id,
            *(ChatId(notice.user_id) for notice in reply.notices),
        }
        self.received.erased += reply.erased
        if reply.again:
            self._run_again(reply.again, row_id)
        return row_id

    def _run_again(self, messages: Sequence[Message], control_id: RowId) -> None:
        """Queue once more what ran as one turn, with a place, limits and an answer like any new message."""
        inbox.pass_id_on(self._conn, control_id)  # to the new rows
        self._claim_for(joins.again(self._conn, messages, self._rules.queue_max))

    def _call(self, control: Control, row_id: RowId) -> commands.Call:
        rules = self._rules
        groups = rules.group_activation, rules.privacy_mode
        limits = rules.limits, rules.queue_max
        where = self._conn, self._owner, control, row_id
        return commands.Call(*where, rules.access, rules.model, *groups, *limits)

    def _release_before_its_start(self, stopped: RowId | None) -> None:
        """End a stopped turn that this very batch claimed: no task runs it yet, and none must begin."""
        for turn in [turn for turn in self.received.claimed if turn.row_id == stopped]:
            self.received.claimed.remove(turn)
            ended = turns.end(self._conn, self._owner, turn, turns.Ending("interrupted"))
            self.received.claimed += [ended.following] if ended.following else []
            self.received.replied.add(turn.chat_id)

    def _park(self, unreadable: Unreadable) -> None:
        row_id = inbox.store(self._conn, unreadable, "dead")
        if row_id is not None and unreadable.chat_id is not None:
            self._notify(row_id, unreadable.chat_id, UNREADABLE)

    def _move(self, moved: ChatMoved) -> None:
        """Move all of a chat to its new id; doing it again changes nothing, so no row is stored for it."""
        chats.move(self._conn, self._owner.bot_id, moved.old_id, moved.chat_id)
        self.received.replied.add(moved.chat_id)
        self.received.moved = True
        self.received.timed = True  # a turn may have lost its guard, or a session become free

    def _turn_away(self, arrival: Message | Control | Reacted | Unreadable) -> None:
        """Answer strangers, and store nothing of what they write or press."""
        if isinstance(arrival, Message):
            said = strangers.answer(self._conn, self._owner, self._rules.access, arrival)
            self.received.replied |= said
            self._allowed = None if said else self._allowed  # one may have become the owner
        elif isinstance(arrival, Control) and arrival.callback_id:
            self.received.turned_away.append(arrival.callback_id)

    def _notify(self, row_id: RowId, chat_id: ChatId, text: Text) -> None:
        outbox.notice(self._conn, row_id, text)
        self.received.replied.add(chat_id)


def _sender_and_chat(arrival: Arrival) -> tuple[UserId | None, ChatId | None]:
    """Name who sent an arrival, and where; of what cannot be read only a private chat says who it was."""
    if isinstance(arrival, Message | Edit | Control | Reacted):
        return arrival.address.user_id, arrival.address.chat_id
    chat_id = arrival.chat_id
    return UserId(chat_id) if chat_id and chat_id > 0 else None, chat_id
