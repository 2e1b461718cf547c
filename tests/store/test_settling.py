"""Settling: which ids a part of unknown fate may have, and what is written once it is found, or not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.house import BOT, raw_message
from tests.store.instance import Instance, StartInstance, new_id
from tgbot.model import BotId, ChatId, KeptAlbum, KeptFile, MessageId, Part, Turn
from tgbot.render import Text
from tgbot.store import files, interrupted, outbox, sending, settling
from tgbot.store.settling import LATE_SECONDS, MARGIN, PROBES_MAX, RANGE_MAX, SecondLook

SUPERGROUP = -1_000_000_000_005
LOST = "unknown"


def hear(instance: Instance, message_id: int, chat: int = 7) -> list[Turn]:
    """Receive a message with this id; returns the turn that it begins."""
    return instance.receive(raw_message(new_id(), "heard", chat, message_id=message_id)).claimed


def lost(instance: Instance, floor: int = 100, ceiling: int | None = None, chat: int = 7) -> Part:
    """Send an answer without hearing what became of it; place a "…" at `ceiling`."""
    [turn] = hear(instance, floor, chat)
    instance.answer(turn, "re: a")
    return search(instance, ceiling, chat)


def search(instance: Instance, ceiling: int | None, chat: int = 7) -> Part:
    """Lose what is sent next, and begin to search for it."""
    part = instance.the_next(chat)
    instance.do(interrupted.lost, part)
    if ceiling is not None:
        instance.do(settling.placed, part, MessageId(ceiling))
    return instance.the_next(chat)


def unknown_ids(instance: Instance, part: Part) -> list[MessageId] | None:
    return instance.do(settling.unknown_ids, BOT, part)


def around(floor: int, ceiling: int) -> list[int]:
    """List the ids that are looked at where none is known but these two."""
    return [one for one in range(floor + 1 - MARGIN, ceiling + MARGIN + 1) if one not in {floor, ceiling}]


def parts(instance: Instance) -> list[tuple[str, str, int | None, str]]:
    return instance.rows("SELECT kind, state, message_id, text FROM outbox ORDER BY part DESC")


# Where it may be


def test_the_unknown_ids_lie_between_floor_and_ceiling_and_a_little_beyond(instance: Instance) -> None:
    part = lost(instance, floor=100, ceiling=105)
    assert (part.floor, part.ceiling) == (100, 105)
    assert unknown_ids(instance, part) == around(100, 105)


def test_an_id_that_is_known_is_never_asked_for_in_or_out(instance: Instance) -> None:
    part = lost(instance, floor=100, ceiling=110)
    hear(instance, 102)
    hear(instance, 103, chat=SUPERGROUP)
    [other] = hear(instance, 104, chat=8)
    instance.answer(other, "re: other")
    instance.do(sending.sent, instance.the_next(8), MessageId(106))
    assert unknown_ids(instance, part) == [one for one in around(100, 110) if one not in {102, 104, 106}]


def test_a_supergroup_is_numbered_alone(instance: Instance) -> None:
    part = lost(instance, floor=5, ceiling=8, chat=SUPERGROUP)
    hear(instance, 6)
    hear(instance, 7, chat=SUPERGROUP)
    found = unknown_ids(instance, part)
    assert found
    assert 6 in found
    assert 7 not in found


def test_another_bot_has_ids_of_its_own(start_instance: StartInstance) -> None:
    instance = start_instance()
    part = lost(instance, floor=100, ceiling=105)
    start_instance(bot_id=BotId(5)).receive(raw_message(new_id(), "theirs", message_id=103))
    found = unknown_ids(instance, part)
    assert found
    assert 103 in found


def test_no_id_is_below_one(instance: Instance) -> None:
    part = lost(instance, floor=1, ceiling=3)
    assert unknown_ids(instance, part) == [2, 4, 5, 6]


@pytest.mark.parametrize(("unknown", "searched"), [(PROBES_MAX - 1, True), (PROBES_MAX, False)])
def test_a_box_that_is_too_busy_is_not_searched(instance: Instance, unknown: int, *, searched: bool) -> None:
    """The "…" counts too."""
    ceiling = 100 + unknown - (2 * MARGIN - 2)
    part = lost(instance, floor=100, ceiling=ceiling)
    assert len(around(100, ceiling)) == unknown
    assert (unknown_ids(instance, part) is not None) == searched


def test_a_range_that_is_too_long_is_not_even_read(instance: Instance) -> None:
    """Though every id in it is known."""
    part = lost(instance, floor=100, ceiling=101 + RANGE_MAX)
    instance.rows(
        "WITH RECURSIVE n(id) AS (SELECT 90 UNION ALL SELECT id + 1 FROM n WHERE id < 110 + :range)"
        " INSERT INTO pending (bot_id, update_id, kind, state, received_at, ended_at, box, message_id, raw)"
        " SELECT :bot, 1000000 + id, 'control', 'done', 1, 1, 0, id, '{}' FROM n RETURNING 1",
        bot=BOT,
        range=RANGE_MAX,
    )
    assert unknown_ids(instance, part) is None
    assert instance.do(settling.unknown_ids, BOT, replace(part, ceiling=MessageId(RANGE_MAX))) == []


@pytest.mark.parametrize("chat", [7, SUPERGROUP])
def test_a_box_whose_ids_do_not_grow_proves_nothing(instance: Instance, chat: int) -> None:
    part = lost(instance, floor=100, ceiling=100, chat=chat)
    assert unknown_ids(instance, part) is None
    other = ChatId(SUPERGROUP if chat == 7 else 7)
    assert instance.rows("SELECT box FROM disorder") == [(0 if chat == 7 else SUPERGROUP,)]
    elsewhere = lost(instance, floor=100, ceiling=105, chat=other)
    assert unknown_ids(instance, elsewhere), "only there"


# What is written


def test_what_was_found_is_on_screen_and_edited_once_more(instance: Instance) -> None:
    """It may have changed since, or have the button that it was asked for with."""
    part = lost(instance, ceiling=105)
    instance.do(settling.found, [part], [MessageId(102)], [MessageId(105), MessageId(104)])
    assert parts(instance) == [
        ("text", "ready", 102, "re: a"),
        ("surplus", "ready", 105, "…"),
        ("surplus", "ready", 104, "…"),
    ]
    instance.send_all()
    assert instance.rows("SELECT message_id, state, floor, ceiling FROM outbox") == [
        (102, "sent", None, None)
    ]


def test_a_file_that_was_found_needs_no_edit(instance: Instance) -> None:
    turn = instance.start("a")
    instance.answer(turn, KeptFile("a.ogg", instance.do(files.begin, turn.row_id), "voice"))
    part = search(instance, new_id())
    found_at = new_id()
    shown = instance.do(settling.found, [part], [found_at], [], react=True)
    assert shown
    assert (shown.state, shown.reaction_due) == ("sent", True)


def test_first_words_that_were_found_go_on_growing(instance: Instance) -> None:
    turn = instance.start("a")
    instance.begin(turn, "first words")
    part = search(instance, new_id())
    instance.do(settling.found, [part], [new_id()], [])
    assert instance.rows("SELECT state FROM outbox") == [("growing",)]
    instance.finish(turn)
    assert instance.send_all() == ["re: a"]


def test_what_was_found_and_has_changed_since_is_edited(instance: Instance) -> None:
    turn = instance.start("a")
    asked_for = instance.begin(turn, "first words")
    assert asked_for
    instance.do(interrupted.lost, asked_for)
    instance.finish(turn)
    part = instance.the_next()
    assert (part.state, part.sent_text, part.text) == (LOST, "first words", "re: a")
    instance.do(settling.placed, part, new_id())
    found_at = new_id()
    instance.do(settling.found, [instance.the_next()], [found_at], [])
    assert (instance.the_next().message_id, instance.the_next().text) == (found_at, "re: a")


def test_what_was_found_and_need_not_be_shown_any_more_is_deleted(instance: Instance) -> None:
    turn = instance.start("a")
    instance.do(outbox.close_part, turn.token, turn.row_id, 0, Text("first"))
    instance.send_all()
    instance.begin(turn, "second", 1)
    instance.do(interrupted.lost, instance.the_next())
    instance.answer(turn, "all is said")
    part = instance.the_next()
    assert (part.kind, part.state, part.sent_text) == ("surplus", LOST, "second")
    instance.do(settling.placed, part, new_id())
    found_at = new_id()
    instance.do(settling.found, [instance.the_next()], [found_at], [])
    surplus = instance.the_next()
    assert (surplus.kind, surplus.message_id) == ("surplus", found_at)


def test_an_album_is_found_part_by_part(instance: Instance) -> None:
    turn = instance.start("a")
    pictures = [KeptFile(f"{n}.png", instance.do(files.begin, turn.row_id), "photo") for n in (1, 2)]
    instance.answer(turn, KeptAlbum(pictures), "end")
    part = search(instance, new_id())
    album = instance.do(sending.album_of, part)
    first, second = new_id(), new_id()
    instance.do(settling.found, album, [first, second], [])
    shown = instance.rows("SELECT state, message_id FROM outbox WHERE album IS NOT NULL ORDER BY part")
    assert shown == [("sent", first), ("sent", second)]
    assert instance.send_all() == ["end"]


def test_what_was_not_found_is_written_into_the_place_of_the_search(instance: Instance) -> None:
    part = lost(instance, ceiling=105)
    instance.do(settling.not_found, part, [MessageId(103)])
    assert parts(instance) == [("text", "ready", 105, "re: a"), ("surplus", "ready", 103, "…")]
    assert instance.rows("SELECT floor, ceiling, tries, duplicate FROM outbox WHERE kind = 'text'") == [
        (None, None, 1, 0)
    ]


def test_first_words_that_were_not_found_are_said_again_by_their_turn(instance: Instance) -> None:
    turn = instance.start("a")
    instance.begin(turn, "first words")
    ceiling = new_id()
    part = search(instance, ceiling)
    instance.do(settling.not_found, part, [])
    surplus = instance.the_next()
    assert (surplus.kind, surplus.message_id) == ("surplus", ceiling)
    instance.send_all()
    assert instance.begin(turn, "more words")


def test_the_ending_of_a_turn_whose_first_words_were_not_found_takes_that_place(instance: Instance) -> None:
    turn = instance.start("a")
    instance.begin(turn, "first words")
    ceiling = new_id()
    instance.do(settling.not_found, search(instance, ceiling), [])
    instance.finish(turn)
    part = instance.the_next()
    assert (part.kind, part.message_id, part.text) == ("text", ceiling, "re: a")


def test_what_no_edit_can_make_is_sent_again_and_leaves_no_stray(instance: Instance) -> None:
    turn = instance.start("a")
    instance.answer(turn, KeptFile("a.ogg", instance.do(files.begin, turn.row_id), "voice", caption="spoken"))
    ceiling, other = new_id(), new_id()
    instance.do(settling.send_again, search(instance, ceiling), [other])
    removed = []
    while (part := instance.the_next()).kind == "surplus":
        removed.append(part.message_id)
        instance.do(sending.removed, part)
    assert set(removed) == {ceiling, other}
    assert (part.text, part.state, part.message_id) == ("spoken", "sending", None)
    assert part.floor
    assert part.floor >= turn.address.message_id


@pytest.mark.parametrize("write", [settling.not_found, settling.send_again])
def test_what_could_not_be_searched_for_says_that_it_may_be_a_duplicate(
    instance: Instance, write: Callable[..., None]
) -> None:
    part = lost(instance, ceiling=105)
    instance.do(write, part, [], duplicate=True)
    assert instance.rows("SELECT duplicate FROM outbox WHERE kind = 'text'") == [(1,)]


def test_a_settling_that_comes_too_late_changes_nothing(instance: Instance) -> None:
    part = lost(instance, ceiling=105)
    instance.do(settling.found, [part], [MessageId(102)], [])
    instance.send_all()
    for write in (settling.not_found, settling.send_again):
        instance.do(write, part, [])
    assert instance.rows("SELECT state, message_id FROM outbox WHERE kind = 'text'") == [("sent", 102)]


@pytest.mark.parametrize("step", range(3))
def test_a_death_in_a_settling_leaves_it_to_the_next_process(
    start_instance: StartInstance, step: int
) -> None:
    """Before a "…" was placed, after, and when it is settled."""
    first = start_instance()
    part = lost(first, ceiling=105 if step else None)
    if step == 2:
        first.do(settling.found, [part], [MessageId(102)], [MessageId(105)])
    second = start_instance()
    part = second.the_next()
    assert (part.state, part.ceiling) == {0: (LOST, None), 1: (LOST, 105), 2: ("ready", None)}[step]


# What takes effect late


def looks(instance: Instance) -> list[SecondLook]:
    instance.rows("UPDATE second_look SET due_at = due_at - :late RETURNING id", late=LATE_SECONDS)
    [(due_at,)] = instance.rows("SELECT coalesce(max(due_at), 0) FROM second_look")
    return instance.do(settling.second_looks, BOT, due_at, instance.owner.instance_id)


@pytest.mark.parametrize("write", [settling.not_found, settling.send_again, settling.found])
def test_what_is_settled_gets_a_second_look_when_nothing_can_be_on_its_way_any_more(
    instance: Instance, write: Callable[..., object]
) -> None:
    part = lost(instance, floor=100, ceiling=105)
    given = ([part], [MessageId(102)], []) if write is settling.found else (part, [])
    instance.do(write, *given)
    [(due_at,)] = instance.rows("SELECT due_at FROM second_look")
    assert instance.do(settling.second_looks, BOT, due_at - 1, instance.owner.instance_id) == []
    [look] = instance.do(settling.second_looks, BOT, due_at, instance.owner.instance_id)
    assert (look.row_id, look.chat_id, look.floor, look.text) == (part.row_id, 7, 100, "re: a")
    assert instance.do(settling.second_looks, BotId(5), due_at, instance.owner.instance_id) == []


def test_a_second_look_sees_all_unknown_ids_since_and_has_what_it_finds_deleted(instance: Instance) -> None:
    part = lost(instance, floor=100, ceiling=105)
    instance.do(settling.not_found, part, [])
    instance.send_all()
    hear(instance, 110)
    [look] = looks(instance)
    ids = instance.do(settling.ids_since, BOT, look, MessageId(0))
    assert ids == [one for one in around(100, 110) if one != 105]
    instance.do(settling.looked, look, [MessageId(107)])
    surplus = instance.the_next()
    assert (surplus.kind, surplus.message_id) == ("surplus", 107)
    assert looks(instance) == []


def test_a_second_look_for_first_words_looks_for_them_not_for_the_answer(instance: Instance) -> None:
    turn = instance.start("a")
    instance.begin(turn, "first words")
    part = search(instance, new_id())
    instance.finish(turn)
    instance.do(settling.not_found, part, [])
    assert [look.text for look in looks(instance)] == ["first words"]


def test_each_picture_of_an_album_gets_a_second_look(instance: Instance) -> None:
    turn = instance.start("a")
    pictures = [
        KeptFile(f"{n}.png", instance.do(files.begin, turn.row_id), "photo", caption=f"{n}") for n in (1, 2)
    ]
    instance.answer(turn, KeptAlbum(pictures), "end")
    instance.do(settling.send_again, search(instance, new_id()), [])
    assert [look.text for look in looks(instance)] == ["1", "2"]


def test_a_second_look_where_ids_prove_nothing_finds_nothing(instance: Instance) -> None:
    part = lost(instance, floor=100, ceiling=100)
    instance.do(settling.not_found, part, [], duplicate=True)
    [look] = looks(instance)
    assert instance.do(settling.ids_since, BOT, look, MessageId(0)) == []


def test_what_a_second_look_finds_in_a_chat_that_has_moved_is_left_alone(instance: Instance) -> None:
    part = lost(instance, floor=100, ceiling=105, chat=-5)
    instance.do(settling.not_found, part, [])
    [look] = looks(instance)
    instance.receive(raw_message(new_id(), "", -5, migrate_to_chat_id=SUPERGROUP))
    instance.do(settling.looked, look, [MessageId(103)])
    assert instance.rows("SELECT count(*) FROM outbox WHERE kind = 'surplus'") == [(0,)]
