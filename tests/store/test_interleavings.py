"""Two workers at one chat: however their transactions interleave, it is as if one came after the other."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests import postgres
from tests.house import raw_message
from tests.store.instance import Instance, key, pressed
from tests.store.interleaving import Change, World, stage
from tests.store.test_chats import NEW, OLD, upgraded
from tgbot.access import Access
from tgbot.intake import batch
from tgbot.intake.pairing import stored
from tgbot.model import ChatId, Choice, MessageId, Raw, RowId, Turn
from tgbot.render import Text
from tgbot.store import chats, claims, joins, modes, outbox, recovery, sending, strangers, turns, workers
from tgbot.store.engine.connection import Connection
from tgbot.store.parts import Asked
from tgbot.store.turns import Ending, Outcome

Changes = dict[str, Change]
Scene = tuple[Changes, Changes]

ANOTHER = -1_000_000_000_009  # a supergroup: its messages are numbered apart
_numbers = itertools.count(1_000_000)


# What a worker does in one transaction


def takes(worker: Instance, *raws: Raw) -> Change:
    arrivals = worker.parse(*raws)
    return lambda conn: batch.receive(conn, worker.owner, worker.rules, arrivals)


def says(worker: Instance, said: str, chat: int = OLD, **more: object) -> Change:
    return takes(worker, raw_message(next(_numbers), said, chat, **more))


def presses(worker: Instance, data: str, chat: int = OLD) -> Change:
    return takes(worker, pressed(next(_numbers), data, chat=chat))


def moves(worker: Instance) -> Change:
    return takes(worker, upgraded(next(_numbers)))


def claims_waiting(worker: Instance) -> Change:
    return lambda conn: claims.claim_waiting(conn, worker.owner)


def ends(worker: Instance, turn: Turn, outcome: Outcome) -> Change:
    ending = Ending(outcome, [Text(f"re: {turn.text}")])
    return lambda conn: turns.end(conn, worker.owner, turn, ending)


def looks(worker: Instance) -> Change:
    return lambda conn: recovery.guards(conn, worker.owner.instance_id)


def recovers(worker: Instance, turn: Turn) -> Change:
    guards = worker.do(recovery.guards, worker.owner.instance_id)
    [held] = [guard for guard in guards if guard.token == turn.token]
    return lambda conn: recovery.recover(conn, worker.owner, held)


def leaves(worker: Instance, chat: int = OLD) -> Change:
    return lambda conn: workers.leave_chat(conn, worker.owner.instance_id, _place(worker, chat))


def sends(worker: Instance, chat: int = OLD) -> Change:
    return lambda conn: sending.next_or_leave(conn, *_place(worker, chat), worker.owner.instance_id)


def writes(worker: Instance, change: Change, chat: int = OLD) -> Change:
    """Do what the sender of a chat does: change something there, and read what is next."""

    def write(conn: Connection) -> object:
        workers.lock_chat(conn, *_place(worker, chat))
        return change(conn), sends(worker, chat)(conn)

    return write


def begins(worker: Instance, turn: Turn) -> Change:
    words = turn.token, turn.row_id, 0, Text(turn.text), "{}"
    return writes(worker, lambda conn: outbox.begin(conn, *words, silent=False))


def says_in_both(worker: Instance) -> Change:
    return takes(worker, *(raw_message(next(_numbers), f"in {chat}", chat) for chat in (OLD, NEW)))


def full(worker: Instance) -> Instance:
    worker.owner = replace(worker.owner, max_turns=0)
    return worker


def _place(worker: Instance, chat: int) -> workers.Chat:
    return workers.Chat(worker.owner.bot_id, ChatId(chat))


def anything(worker: Instance, chat: int = OLD) -> Changes:
    return {
        "receive": says(worker, "new", chat),
        "stop": says(worker, "/stop", chat),
        "claim": claims_waiting(worker),
        "move": moves(worker),
        "leave": leaves(worker, chat),
        "send": sends(worker, chat),
        "look": looks(worker),
    }


# Where they do it: what the first worker does, and what the second one


def idle(world: World) -> Scene:
    same = raw_message(next(_numbers), "delivered twice", OLD)
    mine = {"receive": says(world.a, "a"), "receive the same": takes(world.a, same), "move": moves(world.a)}
    return mine, anything(world.b) | {"receive the same": takes(world.b, same)}


def waiting(world: World) -> Scene:
    """Nobody has a slot for the rows, and then somebody has."""
    full(world.mortal).say("a", "b", chat=OLD)
    mine = {"claim": claims_waiting(world.a), "receive": says(world.a, "c"), "stop": says(world.a, "/stop")}
    return mine, anything(world.b)


def running(world: World) -> Scene:
    turn = world.a.start("a", chat=OLD)
    mine = {how: ends(world.a, turn, how) for how in ("done", "failed", "interrupted")}
    return mine | {"begin": begins(world.a, turn), "stop": says(world.a, "/stop")}, anything(world.b)


def followed(world: World) -> Scene:
    turn = world.a.start("a", "b", chat=OLD)
    [(last,)] = world.a.rows("SELECT max(id) FROM pending")
    mine = {how: ends(world.a, turn, how) for how in ("done", "interrupted")}
    buttons = {name: presses(world.b, f"queue_{name}:{last}") for name in ("now", "drop")}
    return mine, anything(world.b) | buttons


def stopped(world: World) -> Scene:
    """A turn winds down, and what came behind it is on hold."""
    turn = world.a.start("a", "b", chat=OLD)
    world.a.say("/stop", chat=OLD)
    commands = {name: says(world.b, f"/{name}") for name in ("resume", "drop")}
    return {"end": ends(world.a, turn, "interrupted")}, anything(world.b) | commands


def interrupting(world: World) -> Scene:
    """A message stops the turn that runs."""
    world.a.do(modes.choose, key(OLD), "interrupt")
    return running(world)


def collecting(world: World) -> Scene:
    """A turn takes all that waits."""
    world.a.do(modes.choose, key(OLD), "collect")
    turn = world.a.start("a", "b", "c", chat=OLD)
    return {"done": ends(world.a, turn, "done")}, anything(world.b)


def steering(world: World) -> Scene:
    """What comes joins the turn that runs."""
    world.a.do(modes.choose, key(OLD), "steer")
    turn = world.a.start("a", "b", chat=OLD)
    mine = {"take in": lambda conn: joins.incoming(conn, turn, RowId(0)), "done": ends(world.a, turn, "done")}
    return mine, anything(world.b)


def asking(world: World) -> Scene:
    """A turn has asked something; a row waits for the answer."""
    turn = world.a.start("a", "b", chat=OLD)
    asked = Asked("allow", Text("May I?"), (Choice("Yes", "yes"), Choice("No", "no")))
    world.a.do(turns.end, world.a.owner, turn, Ending("asking", asks=[asked]))
    answers = [f"answer:{turn.row_id}:1:{number}" for number in (0, 1)]
    mine = {"yes": presses(world.a, answers[0]), "stop": says(world.a, "/stop")}
    return mine, anything(world.b) | {"no": presses(world.b, answers[1])}


def unsent(world: World) -> Scene:
    """An answer is about to be sent."""
    part = world.a.answer(world.a.start("a", chat=OLD), "one", "two").part
    assert part
    mine = {
        "sent": writes(world.a, lambda conn: sending.sent(conn, part, MessageId(part.part_id))),
        "send": sends(world.a),
        "leave": leaves(world.a),
    }
    return mine, anything(world.b)


def all_sent(world: World) -> Scene:
    """Nothing is left to do in a chat that a worker has not left yet."""
    world.a.answer(world.a.start("a", chat=OLD), "one")
    world.a.send_all(OLD)
    return {"leave": leaves(world.a), "receive": says(world.a, "b")}, anything(world.b)


def half_sent(world: World) -> Scene:
    """The rest of an answer waits, and the reply to a command has come behind it."""
    part = world.a.answer(world.a.start("a", chat=OLD), "one", "two").part
    assert part
    world.a.sent(part)
    world.b.say("/status", chat=OLD)
    return {"send": sends(world.a), "leave": leaves(world.a)}, anything(world.b)


def replies(world: World) -> Scene:
    """A reply waits in a chat that is with nobody."""
    world.b.say("/status", chat=OLD)
    world.b.say("/stop", chat=OLD)
    world.b.sent(world.b.the_next(OLD))
    world.b.rows("DELETE FROM chat_lease RETURNING chat_id")
    return {"send": sends(world.a), "receive": says(world.a, "a")}, anything(world.b)


def dead(world: World) -> Scene:
    """The lease of a worker is over, but it is in the middle of a transaction that began before."""
    turn = world.mortal.start("a", "b", chat=OLD)
    world.die()
    mine = {
        "recover": recovers(world.a, turn),
        "look": looks(world.a),
        "receive": says(world.a, "c"),
        "move": moves(world.a),
    }
    theirs = {"recover": recovers(world.b, turn), "its turn ends": ends(world.mortal, turn, "done")}
    return mine, anything(world.b) | theirs


def dead_sender(world: World) -> Scene:
    """Nobody knows what became of the part that a dead worker was sending."""
    world.mortal.answer(world.mortal.start("a", chat=OLD), "one")
    world.die()
    return {"look": looks(world.a)}, anything(world.b)


def given_up(world: World) -> Scene:
    """The row of a dead worker has crashed for the last time: its sender is notified."""
    turn = world.mortal.start("a", "b", chat=OLD)
    world.die()
    world.a.owner = replace(world.a.owner, crashes_max=1)
    return {"recover": recovers(world.a, turn)}, anything(world.b)


def recovered(world: World) -> Scene:
    """Others may go on in the chat of a dead worker: with a part of unknown outcome, and with a row."""
    world.mortal.answer(world.mortal.start("a", chat=OLD), "one")
    full(world.mortal).say("b", chat=OLD)
    world.die()
    world.a.do(recovery.guards, world.a.owner.instance_id)
    return {"send": sends(world.a), "claim": claims_waiting(world.a), "leave": leaves(world.a)}, anything(
        world.b
    )


def two_chats(world: World) -> Scene:
    """A group is a supergroup already, and each of two workers runs a turn in one of them."""
    turn, other = world.a.start("a", "b", chat=OLD), world.b.start("c", "d", chat=NEW)
    mine = {
        "done": ends(world.a, turn, "done"),
        "receive": says(world.a, "e"),
        "move": moves(world.a),
        "begin": begins(world.a, turn),
    }
    return mine, anything(world.b, NEW) | {"done": ends(world.b, other, "done")}


def refused(world: World) -> Scene:
    """An answer is refused: the chat that it is for is another one now."""
    part = world.a.answer(world.a.start("a", "b", chat=OLD), "one").part
    assert part
    move = writes(world.a, lambda conn: chats.move(conn, world.a.owner.bot_id, ChatId(OLD), ChatId(NEW)))
    world.b.start("c", chat=NEW)
    return {"refused": move}, anything(world.b, NEW) | {"receive in both": says_in_both(world.b)}


def moved(world: World) -> Scene:
    """A turn runs on in the new chat; the sender of the old one still shows its words."""
    turn = world.a.start("a", chat=OLD)
    world.b.receive(upgraded(next(_numbers)))
    mine = {
        "done": ends(world.a, turn, "done"),
        "begin": begins(world.a, turn),
        "close": writes(world.a, lambda conn: outbox.close_part(conn, turn.token, turn.row_id, 0, Text("a"))),
    }
    return mine, anything(world.b, NEW)


def one_slot(world: World) -> Scene:
    """A turn ends, and its slot goes to another chat, whose row has no hint left."""
    limited = replace(world.a.owner, max_turns=1)
    full(world.mortal).say("b", chat=OLD)
    world.a.owner = limited
    turn = world.a.start("a", chat=ANOTHER)
    return {"done": ends(world.a, turn, "done"), "receive": says(world.a, "c")}, anything(world.b)


def two_topics(world: World) -> Scene:
    """Two sessions of one chat, of which one worker has a slot for one."""
    world.a.owner = replace(world.a.owner, max_turns=1)
    turn = world.a.start("a", chat=OLD)
    topic = {"message_thread_id": 3, "is_topic_message": True}
    world.a.say("b", chat=OLD, **topic)
    mine = {"done": ends(world.a, turn, "done"), "receive": says(world.a, "c")}
    return mine, anything(world.b) | {"receive there": says(world.b, "d", OLD, **topic)}


def pairing(world: World) -> Scene:
    """Two people, each in a chat of their own, send the code that works once."""
    code = "aaaa-bbbb-cccc"
    world.a.do(strangers.open_pairing, world.a.owner.bot_id, stored(code))
    for worker in (world.a, world.b):
        worker.rules = replace(worker.rules, access=Access(frozenset(), None))
    return {"pair": says(world.a, code, 11)}, {"pair": says(world.b, code, 12)}


SCENES = [
    *(idle, waiting, running, followed, stopped, interrupting, collecting, steering, asking),
    *(unsent, half_sent, all_sent, replies, dead, dead_sender, given_up, recovered),
    *(two_chats, refused, moved, one_slot, two_topics, pairing),
]


@pytest.fixture
def world(postgres_server: postgres.Server) -> Iterator[World]:
    with postgres_server.database() as database:
        yield World(database)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_what_interleaves_is_as_if_one_came_after_the_other(
    world: World, scene: Callable[[World], Scene]
) -> None:
    mine, theirs = scene(world)
    with stage(world) as here:
        for change, other in itertools.product(mine.values(), theirs.values()):
            here.compare(change, other)


@pytest.mark.soak
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_the_same_with_two_pauses_and_all_that_both_may_do(
    world: World, scene: Callable[[World], Scene]
) -> None:
    mine, theirs = scene(world)
    with stage(world) as here:
        for change, other in itertools.product((anything(world.a) | mine).values(), theirs.values()):
            here.compare(change, other, thorough=True)


def test_a_chat_that_moves_while_it_is_waited_for_is_locked_under_its_new_id(world: World) -> None:
    turn = world.a.start("a", chat=OLD)
    with stage(world) as here:
        one, other = here.writers
        one.begin(ends(world.a, turn, "done"))
        one.go(other, steps=1)  # it knows where its turn was, and has not locked that yet
        world.b.receive(upgraded(next(_numbers)))
        one.go(other, steps=3)
        other.begin(says(world.b, "b", NEW))
        other.go(one)
        assert other.is_waiting
        one.go(other)
        other.go(one)
    assert world.state()["guards"] == [], "the chat is with the other one, who heard of it"
