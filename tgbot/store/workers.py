"""Who works on the database, and what is whose: leases of instances, of chats, and of what one does for all.

One process that owns its database holds a lease for ever, and needs none of the others.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, func, or_, select, update

from tgbot.model import BotId, ChatId, InstanceId, SessionKey
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.hints import Hint
from tgbot.store.engine.locks import lock, shared, try_lock
from tgbot.store.engine.place import Place
from tgbot.store.engine.revisions import REVISION, revision_of
from tgbot.store.engine.sql import insert, literal, now
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import chat_lease, guard, instance, outbox, pending, role, turn

LEASE_SECONDS = 20.0
RENEW_SECONDS = 5.0
FOR_EVER_SECONDS = 1e12
PRUNED_MAX = 5  # of one transaction: for each, the database looks through all turns

_OF_INSTANCES = (turn, guard, chat_lease, role)
_ME = instance.c.id == bindparam("instance_id")
_LIVE = instance.c.lease_until > now()
_END_ALL = Statement(update(instance).where(_LIVE).values(lease_until=literal("0")))
_BEGIN = Statement(
    insert(instance).values(
        pid=bindparam("pid"),
        host=bindparam("host"),
        revision=bindparam("revision"),
        started_at=bindparam("started_at"),
        lease_until=now() + bindparam("lease_seconds"),
    )
)
_RENEW = Statement(update(instance).where(_ME, _LIVE).values(lease_until=now() + bindparam("lease_seconds")))
_END = Statement(update(instance).where(_ME).values(lease_until=literal("0")))
_is_dead = select(instance.c.id).where(instance.c.id == chat_lease.c.instance_id, ~_LIVE).exists()
_LEFT = Statement(
    select(chat_lease.c.bot_id, chat_lease.c.chat_id)
    .where(_is_dead)
    .order_by(chat_lease.c.bot_id, chat_lease.c.chat_id)
    .limit(bindparam("most"))
)
_CHAT = and_(chat_lease.c.bot_id == bindparam("bot_id"), chat_lease.c.chat_id == bindparam("chat_id"))
_FREE_LEFT = Statement(delete(chat_lease).where(_CHAT, _is_dead))
_new = insert(chat_lease).values(
    {column: bindparam(column) for column in ("bot_id", "chat_id", "instance_id")}
)
_TAKE_CHAT = Statement(
    _new.on_conflict_do_update(
        index_elements=["bot_id", "chat_id"],
        set_={"instance_id": _new.excluded.instance_id},
        where=chat_lease.c.instance_id == _new.excluded.instance_id,
    ).returning(chat_lease.c.instance_id)
)
_works_in = exists().where(
    guard.c.instance_id == chat_lease.c.instance_id,
    turn.c.id == guard.c.turn_id,
    pending.c.id == turn.c.pending_id,
    pending.c.chat_id == chat_lease.c.chat_id,
)
_sends_to = exists().where(
    outbox.c.bot_id == chat_lease.c.bot_id,
    outbox.c.chat_id == chat_lease.c.chat_id,
    outbox.c.state.in_([literal(f"'{state}'") for state in ("ready", "sending", "unknown")]),
)
_LEAVE_CHAT = Statement(
    delete(chat_lease).where(
        _CHAT, chat_lease.c.instance_id == bindparam("instance_id"), ~_works_in, ~_sends_to
    )
)
_IDLE_CHATS = Statement(
    select(chat_lease.c.bot_id, chat_lease.c.chat_id).where(
        chat_lease.c.instance_id == bindparam("instance_id"), ~_works_in, ~_sends_to
    )
)
_new_one = chat_lease.alias("new_one")
_OLD_CHAT = (chat_lease.c.bot_id == bindparam("bot_id"), chat_lease.c.chat_id == bindparam("old_id"))
# There is nothing to do where the old chat is with nobody, or both are with one.
_WITH_OTHERS = Statement(
    select(chat_lease.c.instance_id).where(
        *_OLD_CHAT,
        ~exists().where(
            _new_one.c.bot_id == chat_lease.c.bot_id,
            _new_one.c.chat_id == bindparam("new_id"),
            _new_one.c.instance_id == chat_lease.c.instance_id,
        ),
    )
)
_LEAVE_NEW = Statement(
    delete(chat_lease).where(
        chat_lease.c.bot_id == bindparam("bot_id"), chat_lease.c.chat_id == bindparam("new_id")
    )
)
_MOVE = Statement(update(chat_lease).where(*_OLD_CHAT).values(chat_id=bindparam("new_id")))
_new_role = insert(role).values(name=bindparam("name"), instance_id=bindparam("instance_id"))
_TAKE_ROLE = Statement(
    _new_role.on_conflict_do_update(
        index_elements=["name"],
        set_={"instance_id": _new_role.excluded.instance_id},
        where=or_(
            role.c.instance_id == _new_role.excluded.instance_id,
            # Written out: SQLAlchemy would look for the holder of any role.
            ~exists().where(instance.c.id == literal("role.instance_id"), _LIVE),
        ),
    ).returning(role.c.instance_id)
)
_old = select(instance.c.id).where(instance.c.started_at < bindparam("before"), ~_LIVE)
_PRUNE = Statement(
    delete(instance).where(
        instance.c.id.in_(
            # A guard or a chat's lease may outlive the turn that it began with.
            _old.where(*(~instance.c.id.in_(select(table.c.instance_id)) for table in _OF_INSTANCES))
            .order_by(instance.c.id)
            .limit(literal(str(PRUNED_MAX)))
        )
    )
)
_ANY = Statement(select(instance.c.id).where(_LIVE).limit(literal("1")))
_COUNT = Statement(select(func.count()).select_from(instance).where(_LIVE))
_holds = or_(
    exists().where(chat_lease.c.instance_id == instance.c.id),
    exists().where(guard.c.instance_id == instance.c.id),
)
_NEXT_OVER = Statement(
    select(func.min(instance.c.lease_until) - now()).where(instance.c.id != bindparam("instance_id"), _holds)
)


def hint_all(conn: Connection) -> None:
    """Hint to all workers that a row may be claimed now."""
    _HINT_TURNS(conn)


def hint_owner(conn: Connection, session_key: SessionKey) -> None:
    """Hint to the worker that runs a session's turn that it was stopped."""
    _HINT_OWNER(conn, session_key=session_key)


def elsewhere(table: Any) -> ColumnElement[bool]:  # noqa: ANN401 - any table with these columns
    """Make the SQL condition that the chat of a row is with another worker than `instance_id`."""
    return exists().where(
        chat_lease.c.bot_id == table.c.bot_id,
        chat_lease.c.chat_id == table.c.chat_id,
        chat_lease.c.instance_id != bindparam("instance_id"),
    )


_HINT_TURNS = Hint(literal("'turns:0'"))
_HINT_HOLDER = Hint(func.concat("turns:", chat_lease.c.instance_id), _CHAT)
_HINT_SENDER = Hint(func.concat("chat:", chat_lease.c.instance_id, ":", chat_lease.c.chat_id), _CHAT)
_HINT_UNSENT = Hint(func.concat("chat:0:", bindparam("chat_id")))
_HINT_WAITING = Hint(
    literal("'turns:0'"),
    exists().where(
        pending.c.bot_id == bindparam("bot_id"),
        pending.c.chat_id == bindparam("chat_id"),
        pending.c.state == literal("'queued'"),
        pending.c.session_key.between(bindparam("first_key"), bindparam("last_key")),
    ),
)
_HINT_OWNER = Hint(
    func.concat("turns:", guard.c.instance_id), guard.c.session_key == bindparam("session_key")
)


class Renewed(NamedTuple):
    """What a worker learns as it renews its lease: how many are `live`, and the database's `revision` now."""

    live: int
    revision: str


class Chat(NamedTuple):
    """A chat, as one bot sees it."""

    bot_id: BotId
    chat_id: ChatId


def hint_unsent(conn: Connection, chat: Chat) -> None:
    """Hint to all workers that something may have to be sent to a chat, which is with none of them."""
    _HINT_UNSENT(conn, chat_id=chat.chat_id)


def begin(conn: Connection, pid: int, host: str, started_at: float) -> InstanceId:
    """Record a new process; its id is never reused.

    Where only one may own the database, all others are dead.
    """
    if not shared(conn):
        _END_ALL(conn)
    seconds = LEASE_SECONDS if shared(conn) else FOR_EVER_SECONDS
    process = {"pid": pid, "host": host, "started_at": started_at, "revision": REVISION}
    begun = _BEGIN(conn, **process, lease_seconds=seconds)
    return InstanceId(begun.lastrowid)


def renew(conn: Connection, instance_id: InstanceId) -> Renewed | None:
    """Extend a lease by LEASE_SECONDS from now; None if it is over, for good."""
    if not _RENEW(conn, instance_id=instance_id, lease_seconds=LEASE_SECONDS).rowcount:
        return None
    return Renewed(_COUNT(conn).scalar(), revision_of(conn))


def end(conn: Connection, instance_id: InstanceId) -> None:
    """End a lease at once, as the last thing that a process writes: others need not wait."""
    _END(conn, instance_id=instance_id)


def prune(conn: Connection, before: float) -> int:
    """Delete dead instances that started before a time (Unix time in seconds) and left nothing.

    Returns how many; PRUNED_MAX at most.
    """
    return _PRUNE(conn, before=before).rowcount


def next_over(conn: Connection, instance_id: InstanceId) -> float | None:
    """Compute in how many seconds another worker's lease is over, if it is not renewed.

    None if no other one runs or sends anything. Negative if one that did has died, and nobody has looked
    since.
    """
    seconds: float | None = _NEXT_OVER(conn, instance_id=instance_id).scalar() if shared(conn) else None
    return seconds


def condition(instance_id: InstanceId) -> str:
    """Write, as PostgreSQL's SQL, that the lease of an instance is not over."""
    moment = "extract(epoch FROM clock_timestamp())"
    return f"EXISTS (SELECT 1 FROM instance WHERE id = {int(instance_id)} AND lease_until > {moment})"  # noqa: S608 - a number


def lock_chats(conn: Connection, session_keys: Iterable[SessionKey]) -> None:
    """Keep whoever else works on the chats of these sessions waiting until the commit."""
    lock_all(conn, map(chat_of, session_keys))


def lock_all(conn: Connection, chats: Iterable[Chat]) -> None:
    """Do the same for these chats."""
    lock(conn, (_name(*chat) for chat in chats))


def lock_chat(conn: Connection, bot_id: BotId, chat_id: ChatId) -> None:
    """Do the same for one chat."""
    lock(conn, [_name(bot_id, chat_id)])


def try_lock_chat(conn: Connection, session_key: SessionKey) -> bool:
    """Do the same, unless somebody else works on it now."""
    return try_lock(conn, [_name(*chat_of(session_key))])


def chat_of(session_key: SessionKey) -> Chat:
    """Find the chat of a session in its key."""
    bot_id, chat_id, *_ = session_key.split(":")
    return Chat(BotId(int(bot_id)), ChatId(int(chat_id)))


def take_to_claim(conn: Connection, instance_id: InstanceId, chat: Chat) -> bool:
    """Take a chat that is with nobody else; it must be locked. Else whom it is with gets a hint to claim."""
    taken = _take_chat(conn, instance_id, chat)
    if not taken:
        _HINT_HOLDER(conn, **chat._asdict())
    return taken


def take_to_send(conn: Connection, instance_id: InstanceId, chat: Chat) -> bool:
    """Do the same; the hint is to send."""
    taken = _take_chat(conn, instance_id, chat)
    if not taken:
        _HINT_SENDER(conn, **chat._asdict())
    return taken


def _take_chat(conn: Connection, instance_id: InstanceId, chat: Chat) -> bool:
    if not shared(conn):
        return True
    return _TAKE_CHAT(conn, **chat._asdict(), instance_id=instance_id).first() is not None


def leave_chat(conn: Connection, instance_id: InstanceId, chat: Chat) -> bool:
    """Leave a chat to whoever needs it next, unless a turn runs or something is unsent there."""
    lock_chat(conn, *chat)
    return leave_locked(conn, instance_id, chat)


def leave_locked(conn: Connection, instance_id: InstanceId, chat: Chat) -> bool:
    """Do the same to one that is locked."""
    if not shared(conn):
        return False
    left = _LEAVE_CHAT(conn, **chat._asdict(), instance_id=instance_id).rowcount == 1
    if left:
        # What is of another chat between these keys costs a look in vain.
        key = _name(*chat)
        _HINT_WAITING(conn, **chat._asdict(), first_key=key, last_key=f"{key};")
    return left


def idle_chats(conn: Connection, instance_id: InstanceId) -> list[Chat]:
    """List the chats of an instance in which nothing runs, and nothing is unsent."""
    return [Chat(*row) for row in _IDLE_CHATS(conn, instance_id=instance_id)]


def move_chat(conn: Connection, bot_id: BotId, old_id: ChatId, new_id: ChatId) -> bool:
    """Let a chat be, under its new id, with the worker it is with; whether the new one was with another."""
    if not _WITH_OTHERS(conn, bot_id=bot_id, old_id=old_id, new_id=new_id).first():
        return False
    taken = _LEAVE_NEW(conn, bot_id=bot_id, new_id=new_id).rowcount == 1
    _MOVE(conn, bot_id=bot_id, old_id=old_id, new_id=new_id)
    return taken


def left_chats(conn: Connection, most: int) -> list[Chat]:
    """List chats that dead instances had."""
    return [Chat(*row) for row in _LEFT(conn, most=most)] if shared(conn) else []


def free_left(conn: Connection, chat: Chat) -> bool:
    """Free a chat that a dead instance had; False if it is not with a dead one any more."""
    return _FREE_LEFT(conn, **chat._asdict()).rowcount == 1


def take_role(conn: Connection, instance_id: InstanceId, name: str) -> bool:
    """Become, or stay, the one who does something for all; False while another live one does."""
    return not shared(conn) or _TAKE_ROLE(conn, name=name, instance_id=instance_id).first() is not None


def is_running(place: Place) -> bool:
    """Say whether a process works on a database now. Raises StorageError."""
    owned = place.is_owned()
    return place.read_once(is_any_live) if owned is None else owned


def is_any_live(conn: Connection) -> bool:
    """Say whether a lease is not over. Where one process may own the database, that says nothing."""
    return _ANY(conn).first() is not None


def _name(bot_id: BotId, chat_id: ChatId) -> str:
    return f"{bot_id}:{chat_id}"
