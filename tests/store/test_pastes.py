"""Long texts that a client cut, and forwarded messages: what was sent at once is one turn."""

import dataclasses
from typing import Any

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, StartInstance, new_id
from tests.store.test_edits import edit, press
from tests.store.test_joins import OTHERS, incoming, seconds_left
from tgbot.intake.limits import Limits
from tgbot.model import Mode, Raw, Turn
from tgbot.store import claims, modes

WORDS = "".join(chr(ord("a") + number % 26) for number in range(4096 + 4096 + 1698))
PIECES = (WORDS[:4096], WORDS[4096:8192], WORDS[8192:])  # as a client cuts what has no space in it
FIRST, LAST = "x" * 4096, "the end"
GROUP = -1_000_000_000_005


def the_turn(instance: Instance) -> Turn:
    [turn] = instance.claim_waiting()
    return turn


def forwarded(said: str, name: str = "Bob", **more: Any) -> Raw:  # noqa: ANN401 - any field
    origin = {"type": "hidden_user", "sender_user_name": name, "date": 1}
    return raw_message(new_id(), said, forward_origin=origin, **more)


def said(text: str, **more: Any) -> Raw:  # noqa: ANN401 - any field
    return raw_message(new_id(), text, **more)


def states(instance: Instance, chat: int = 7) -> list[str]:
    sql = "SELECT state FROM pending WHERE kind = 'message' AND chat_id = :chat ORDER BY id"
    return [state for (state,) in instance.rows(sql, chat=chat)]


def choose(instance: Instance, mode: Mode) -> None:
    instance.do(modes.set_default, instance.owner.bot_id, mode)


# One text


def test_a_long_text_in_three_pieces_is_one_turn_and_one_text(instance: Instance) -> None:
    assert instance.say(*PIECES).claimed == []
    turn = the_turn(instance)
    assert turn.text == WORDS
    assert states(instance) == ["claimed", "joined", "joined"]
    assert instance.finish(turn) is None


def test_pieces_that_come_one_by_one_are_one_text_too(instance: Instance) -> None:
    for piece in PIECES:
        assert instance.say(piece).claimed == []
    assert the_turn(instance).text == WORDS


def test_a_piece_that_is_full_waits_for_the_next_and_the_last_one_for_nothing(instance: Instance) -> None:
    instance.say(FIRST)
    assert instance.claim_waiting() == []
    assert 40 < seconds_left(instance) <= 50
    assert instance.say(LAST).timed
    assert instance.do(claims.next_due, instance.owner) is None
    assert the_turn(instance).text == FIRST + LAST


def test_a_long_text_that_nothing_follows_runs_when_its_window_is_over(instance: Instance) -> None:
    instance.say(FIRST)
    [turn] = instance.due()
    assert turn.text == FIRST


def test_a_text_that_no_client_cuts_there_waits_for_nothing(instance: Instance) -> None:
    assert [turn.text for turn in instance.say("x" * 2048).claimed] == ["x" * 2048]


def test_where_a_client_cut_at_white_space_a_new_line_is_between_the_pieces(instance: Instance) -> None:
    instance.say("One paragraph. " * 200, "Another one.")
    assert the_turn(instance).text == f"{'One paragraph. ' * 200}\nAnother one."


def test_an_emoji_that_does_not_fit_is_cut_off_without_a_new_line(instance: Instance) -> None:
    instance.say("x" * 4095, "😀")
    assert the_turn(instance).text == f"{'x' * 4095}😀"


def test_an_emoji_that_was_cut_in_two_is_whole_again(instance: Instance) -> None:
    instance.say("x" * 4095 + "\ud83d", "\ude00")
    assert the_turn(instance).text == f"{'x' * 4095}😀"


def test_units_are_counted_as_telegram_counts_them(instance: Instance) -> None:
    """An emoji takes two."""
    assert len(instance.say("😀" * 1024).claimed) == 1
    assert instance.say("😀" * 1025, chat=8).claimed == []


def test_the_entities_of_a_later_piece_keep_their_words(instance: Instance) -> None:
    link = {"type": "text_link", "offset": 4, "length": 3, "url": "https://example.org"}
    instance.receive(said("😀" * 2048), said(LAST, entities=[link]))
    [message] = the_turn(instance).messages
    [entity] = message["entities"]
    units = message["text"].encode("utf-16-le")
    assert units[2 * entity["offset"] :][: 2 * entity["length"]].decode("utf-16-le") == "end"


def test_pieces_that_come_again_join_once(instance: Instance) -> None:
    updates = [said(piece) for piece in PIECES]
    instance.receive(*updates[:2], updates[1])
    instance.receive(*updates)
    turn = the_turn(instance)
    assert turn.text == WORDS
    assert instance.receive(*updates).claimed == []
    assert instance.finish(turn) is None


# What belongs together


@pytest.mark.parametrize("other", ["sender", "reply target", "topic"])
def test_no_piece_joins_across_a_sender_a_topic_or_a_reply_target(instance: Instance, other: str) -> None:
    instance.say(FIRST, chat=-7)
    instance.say(LAST, chat=-7, **OTHERS[other])
    assert "joined" not in states(instance, -7)


def test_pieces_in_reply_to_one_message_are_one_text(instance: Instance) -> None:
    instance.say(FIRST, LAST, **OTHERS["reply target"])
    assert the_turn(instance).text == FIRST + LAST


def test_what_was_sent_later_is_no_piece(instance: Instance) -> None:
    instance.receive(said(FIRST, date=10), said(LAST, date=13))
    assert states(instance) == ["queued", "queued"]


def test_what_comes_behind_another_message_of_the_same_sender_is_no_piece(instance: Instance) -> None:
    instance.receive(said(FIRST), said("", media_group_id="g"), said(LAST))
    assert states(instance) == ["queued", "queued", "queued"]


def test_what_others_say_in_between_is_not_in_the_text(instance: Instance) -> None:
    instance.say(FIRST, chat=-7)
    instance.say("Bob's", chat=-7, **OTHERS["sender"])
    instance.say(LAST, chat=-7)
    turn = the_turn(instance)
    assert turn.text == FIRST + LAST
    following = instance.finish(turn)
    assert following
    assert following.text == "Bob's"


def test_the_text_behind_a_last_piece_is_a_message_of_its_own(instance: Instance) -> None:
    assert [turn.text for turn in instance.say(FIRST, LAST, "another").claimed] == [FIRST + LAST]
    assert states(instance) == ["claimed", "joined", "queued"]


def test_a_photo_is_no_piece_and_nor_is_what_comes_behind_a_forwarded_text(instance: Instance) -> None:
    photo = said("", photo=[])
    del photo["message"]["text"]
    instance.receive(said(FIRST), photo)
    assert states(instance) == ["queued", "queued"]
    instance.receive(forwarded(FIRST, chat=8), said(LAST, chat=8))
    assert states(instance, 8) == ["queued", "queued"]


def test_once_its_turn_has_begun_nothing_joins_it(instance: Instance) -> None:
    instance.say(FIRST)
    instance.due()
    instance.say(LAST)
    assert states(instance) == ["claimed", "queued"]


# Commands


@pytest.mark.parametrize("line", ["/usr/bin/env", "/stop writing to Bob", "/new ideas"])
def test_a_piece_that_begins_like_a_command_is_text(instance: Instance, line: str) -> None:
    instance.say(FIRST, line)
    assert the_turn(instance).text == FIRST + line


def test_a_command_alone_acts_behind_a_long_text_as_ever(instance: Instance) -> None:
    instance.say(FIRST, "/stop")
    assert states(instance) == ["held"]


def test_the_words_behind_a_command_may_be_a_long_text(instance: Instance) -> None:
    instance.say("/stop " + "x" * 4090, LAST)
    assert the_turn(instance).text == "x" * 4090 + LAST


# The queue


def test_a_long_text_takes_one_place_in_the_queue_and_counts_once(start_instance: StartInstance) -> None:
    instance = start_instance(queue_max=2)
    instance.rules = dataclasses.replace(instance.rules, limits=Limits(minute_messages_max=3))
    instance.start("busy")
    instance.say(*PIECES)
    instance.say("second", "one too many")
    assert states(instance) == ["claimed", "queued", "joined", "joined", "queued", "dropped"]


def test_an_edit_of_a_piece_that_waits_is_in_the_text(instance: Instance) -> None:
    turn = instance.start("busy")
    instance.say(FIRST, LAST)
    edit(instance, LAST, "a better end")
    following = instance.finish(turn)
    assert following
    assert following.text == f"{FIRST}a better end"


def test_an_edit_of_a_piece_that_ran_runs_the_whole_text_again(instance: Instance) -> None:
    instance.say(FIRST, LAST)
    instance.finish(the_turn(instance))
    edit(instance, LAST, "a better end")
    edit(instance, "a better end", "the best end")
    [again] = press(instance).claimed
    assert again.text == f"{FIRST}the best end"


def test_a_long_text_that_is_collected_is_one_of_the_messages(instance: Instance) -> None:
    choose(instance, "collect")
    turn = instance.start("busy")
    instance.say("b", FIRST, LAST, "c")
    following = instance.finish(turn)
    assert following
    assert following.text == f"[1 of 3]\nb\n\n[2 of 3]\n{FIRST}{LAST}\n\n[3 of 3]\nc"


def test_a_long_text_joins_a_turn_that_runs_as_a_whole(instance: Instance) -> None:
    choose(instance, "steer")
    turn = instance.start("busy")
    instance.say(FIRST)
    instance.say("behind it", chat=7, date=100)
    assert incoming(instance, turn) == [], "what is not complete waits, with what is behind it"
    instance.rows("UPDATE pending SET not_before = 0 WHERE not_before IS NOT NULL RETURNING id")
    assert incoming(instance, turn) == [FIRST, "behind it"]
    instance.say(FIRST, LAST)
    assert incoming(instance, turn)[2:] == [FIRST, LAST]
    assert instance.finish(turn) is None


def test_its_second_piece_does_not_interrupt_the_first(instance: Instance) -> None:
    choose(instance, "interrupt")
    turn = instance.start("busy")
    instance.say(FIRST)
    instance.say(LAST)
    assert states(instance) == ["stopped", "queued", "joined"]
    following = instance.end(turn, "done", "half")
    assert following
    assert following.text == FIRST + LAST


# Groups


def test_a_piece_is_for_the_bot_if_the_text_began_with_its_name(instance: Instance) -> None:
    instance.rules = dataclasses.replace(instance.rules, group_activation="mention")
    name = {"type": "mention", "offset": 0, "length": 8}
    instance.say("@the_bot " + "x" * 4087, chat=GROUP, entities=[name])
    instance.say("to others", chat=GROUP, **OTHERS["sender"])
    instance.say(LAST, chat=GROUP)
    assert states(instance, GROUP) == ["queued", "joined"]
    assert the_turn(instance).text == "x" * 4087 + LAST


# Deaths


def test_a_kill_inside_the_window_loses_no_piece(start_instance: StartInstance) -> None:
    start_instance().say(*PIECES[:2])
    instance = start_instance()
    instance.recover()
    assert instance.claim_waiting() == []
    instance.say(PIECES[2])
    assert the_turn(instance).text == WORDS


def test_an_attempt_after_a_crash_has_the_same_text(start_instance: StartInstance) -> None:
    instance = start_instance()
    instance.say(*PIECES)
    the_turn(instance)
    later = start_instance()
    later.recover()
    assert the_turn(later).text == WORDS


# Forwarded messages


def test_a_comment_and_what_is_forwarded_with_it_are_one_turn(instance: Instance) -> None:
    received = instance.receive(said("look at these"), forwarded("one"), forwarded("two", "News"))
    assert received.claimed == []
    [turn] = instance.due()
    assert [message["text"] for message in turn.messages] == ["look at these", "one", "two"]
    assert turn.text == "[1 of 3]\nlook at these\n\n[2 of 3]\none\n\n[3 of 3]\ntwo"


def test_several_forwarded_messages_are_one_turn_also_one_by_one(instance: Instance) -> None:
    for text in ("one", "two", "three"):
        assert instance.receive(forwarded(text)).claimed == []
    [turn] = instance.due()
    assert [message["text"] for message in turn.messages] == ["one", "two", "three"]


def test_what_is_forwarded_behind_a_comment_that_waits_joins_it(instance: Instance) -> None:
    turn = instance.start("busy")
    instance.say("look at this")
    instance.receive(forwarded("one"))
    assert instance.finish(turn) is None
    [following] = instance.due()
    assert [message["text"] for message in following.messages] == ["look at this", "one"]


def test_a_comment_may_be_a_long_text(instance: Instance) -> None:
    instance.receive(said(FIRST), said(LAST), forwarded("one"))
    [turn] = instance.due()
    assert [message["text"] for message in turn.messages] == [FIRST + LAST, "one"]


def test_a_text_alone_never_waits_for_what_may_be_forwarded(instance: Instance) -> None:
    [turn] = instance.say("look at these").claimed
    instance.receive(forwarded("one"))
    instance.receive(forwarded("two"))
    instance.finish(turn)
    [following] = instance.due()
    assert [message["text"] for message in following.messages] == ["one", "two"]


def test_a_forwarded_album_is_in_the_turn_with_all_its_parts(instance: Instance) -> None:
    album = [forwarded("", media_group_id="g", caption=caption) for caption in ("a", "b")]
    instance.receive(said("look"), *album, forwarded("one"))
    [turn] = instance.due()
    assert len(turn.messages) == 4
    assert turn.text == "[1 of 3]\nlook\n\n[2 of 3]\na\n\n[3 of 3]\none"


def test_a_command_is_no_comment(instance: Instance) -> None:
    instance.start("busy")
    instance.receive(said("/new"), forwarded("one"))
    assert states(instance) == ["claimed", "queued", "queued"]


def test_what_was_said_before_is_no_comment_and_waits_for_nothing(instance: Instance) -> None:
    [turn] = instance.receive(said("before", date=1), forwarded("one", date=10)).claimed
    assert turn.text == "before"
    instance.receive(said("waits", date=20))
    instance.receive(forwarded("two", date=30))
    assert "joined" not in states(instance)


def test_what_is_forwarded_later_is_a_turn_of_its_own(instance: Instance) -> None:
    instance.start("busy")
    instance.receive(forwarded("one", date=10), forwarded("two", date=13))
    assert states(instance) == ["claimed", "queued", "queued"]


def test_what_is_forwarded_with_a_mention_is_for_the_bot(instance: Instance) -> None:
    instance.rules = dataclasses.replace(instance.rules, group_activation="mention")
    name = {"type": "mention", "offset": 0, "length": 8}
    instance.receive(said("@the_bot look", chat=GROUP, entities=[name]), forwarded("one", chat=GROUP))
    instance.receive(forwarded("two", chat=GROUP))
    assert states(instance, GROUP) == ["queued", "joined", "joined"]


def test_forwarded_messages_end_with_the_hundredth(instance: Instance) -> None:
    [turn] = instance.receive(*(forwarded(str(number)) for number in range(101))).claimed
    assert len(turn.messages) == 100
    assert states(instance) == ["claimed", *["joined"] * 99, "queued"]
