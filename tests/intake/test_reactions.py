"""Reactions to the bot's messages: 👎 stops or denies, 👍 allows, 🤔 runs it again, as buttons do."""

import dataclasses

import pytest

from tests.house import BOT, raw_message
from tests.store.instance import Instance, StartInstance, new_id
from tgbot.intake.limits import Limits
from tgbot.model import Choice, MessageId, Raw, Reacted, ReactionsIn, Turn, Unreadable, UserId
from tgbot.playground.reactions import EMOJI
from tgbot.render import Text
from tgbot.store import questions, turns
from tgbot.store.parts import Asked
from tgbot.store.turns import Ending
from tgbot.telegram import updates

YES, NO, AGAIN = "👍", "👎", "🤔"
OWNER, FRIEND, OTHER = UserId(7), UserId(8), UserId(9)
GROUP = -5
CHOICES = (Choice("Allow", "allow"), Choice("Always in this chat", "always"), Choice("Deny", "deny"))


def reaction(
    message_id: int,
    *new: str,
    old: tuple[str, ...] = (),
    chat: int = 7,
    user: int | None = None,
    **more: object,
) -> Raw:
    place = {"id": chat, "type": "private" if chat > 0 else "supergroup"}
    emoji = {
        f"{age}_reaction": [{"type": "emoji", "emoji": one} for one in those]
        for age, those in (("old", old), ("new", new))
    }
    who = {"user": {"id": user or abs(chat), "is_bot": False, "first_name": "Ann"}}
    return {
        "update_id": new_id(),
        "message_reaction": {"chat": place, "message_id": message_id, "date": 1, **who, **emoji, **more},
    }


def streaming(instance: Instance, turn: Turn, words: str = "Well") -> MessageId:
    """Show the first words of an answer; returns its message."""
    part = instance.begin(turn, words)
    assert part
    return instance.sent(part)


def answered(instance: Instance, turn: Turn) -> MessageId:
    instance.finish(turn)
    return instance.sent(instance.the_next(turn.chat_id))


def ask(instance: Instance, turn: Turn, choices: tuple[Choice, ...] = CHOICES) -> MessageId:
    asked = [Asked("pay", Text("May I pay?"), choices)]
    instance.do(turns.end, instance.owner, turn, Ending("asking", asks=asked, first=turn.first_part))
    return instance.sent(instance.the_next(turn.chat_id))


def in_group(instance: Instance, user_id: int, text: str) -> Turn:
    who = {"from": {"id": user_id, "is_bot": False, "first_name": "Ann"}}
    [turn] = instance.receive(raw_message(new_id(), text, GROUP, **who)).claimed
    return turn


def controls(instance: Instance) -> int:
    [(count,)] = instance.rows("SELECT count(*) FROM pending WHERE kind = 'control'")
    return int(count)


def test_all_of_them_are_on_telegrams_list() -> None:
    assert {YES, NO, AGAIN} <= EMOJI


# which reactions there are


@pytest.mark.parametrize(
    ("raw", "new"),
    [
        (reaction(5, NO), (NO,)),
        (reaction(5, "🔥", NO, old=("🔥",)), (NO,)),
        (reaction(5, NO, old=(NO,)), None),
        (reaction(5, old=(NO,)), None),
    ],
)
def test_a_reaction_is_what_is_new_of_it(raw: Raw, new: tuple[str, ...] | None) -> None:
    parsed = updates.parse(BOT, None, raw)
    assert (parsed.emoji if isinstance(parsed, Reacted) else parsed) == new


def test_a_reaction_of_an_anonymous_admin_is_nobodys() -> None:
    raw = reaction(5, NO)
    del raw["message_reaction"]["user"]
    raw["message_reaction"]["actor_chat"] = {"id": -9, "type": "supergroup"}
    assert updates.parse(BOT, None, raw) is None


def test_a_reaction_that_is_no_emoji_is_none() -> None:
    custom = [{"type": "custom_emoji", "custom_emoji_id": "1"}, {"type": "paid"}]
    assert updates.parse(BOT, None, reaction(5, new_reaction=custom)) is None


def test_a_malformed_reaction_harms_only_itself(instance: Instance) -> None:
    malformed = reaction(5, new_reaction=[{"type": "emoji"}])
    assert isinstance(updates.parse(BOT, None, malformed), Unreadable)
    assert instance.receive(malformed, raw_message(new_id(), "hello")).claimed
    assert instance.answers() == []


@pytest.mark.parametrize(
    ("reactions", "chats"), [("private", [True, False]), ("all", [True, True]), ("off", [False, False])]
)
def test_the_setting_says_in_which_chats_they_act(
    instance: Instance, reactions: ReactionsIn, chats: list[bool]
) -> None:
    rules = dataclasses.replace(instance.rules, reactions=reactions)
    wanted = [rules.wants(updates.parse(BOT, None, reaction(5, NO, chat=chat))) for chat in (7, GROUP)]
    assert wanted == chats
    assert rules.wants(updates.parse(BOT, "the_bot", raw_message(1, "hello", GROUP)))


# 👎


def test_a_thumb_down_on_an_answer_that_streams_stops_it_and_holds_what_waits(instance: Instance) -> None:
    turn = instance.start("long", "next")
    received = instance.receive(reaction(streaming(instance, turn), NO))
    assert instance.states() == {"long": "stopped", "next": "held"}
    assert [control.name for control, _ in received.controls] == ["stop"]
    instance.end(turn, "interrupted", "Well")
    assert "Stopped. On hold, not run until you say so:\n1. “next”" in instance.answers()[-1]


def test_a_thumb_down_on_any_part_of_a_long_answer_stops_it(instance: Instance) -> None:
    turn = instance.start("long")
    first = streaming(instance, turn)
    part = instance.begin(turn, "more", 1)
    assert part
    instance.sent(part)
    instance.receive(reaction(first, NO))
    assert instance.states() == {"long": "stopped"}


def test_a_thumb_down_on_an_answer_that_has_ended_does_nothing(instance: Instance) -> None:
    old = answered(instance, instance.start("first"))
    turn = instance.start("second", "third")
    streaming(instance, turn)
    assert instance.receive(reaction(old, NO)).controls == []
    assert instance.states() == {"first": "done", "second": "claimed", "third": "queued"}
    assert controls(instance) == 0


def test_a_reaction_to_a_message_that_is_not_the_bots_does_nothing(instance: Instance) -> None:
    turn = instance.start("long")
    shown = streaming(instance, turn)
    for message_id in (turn.address.message_id, 999_999):
        instance.receive(reaction(message_id, YES, NO, AGAIN))
    instance.receive(reaction(shown, NO, chat=8))
    assert (instance.states(), controls(instance)) == ({"long": "claimed"}, 0)


def test_a_reaction_that_means_nothing_does_nothing(instance: Instance) -> None:
    turn = instance.start("long")
    shown = streaming(instance, turn)
    instance.receive(*(reaction(shown, emoji) for emoji in (YES, "🔥", AGAIN)))
    assert (instance.states(), controls(instance)) == ({"long": "claimed"}, 0)


def test_a_reaction_that_comes_again_acts_once(instance: Instance, start_instance: StartInstance) -> None:
    turn = instance.start("long")
    update = reaction(streaming(instance, turn), NO)
    instance.receive(update, update)
    instance.end(turn, "interrupted", "Well")
    instance = start_instance()
    instance.start("next")
    instance.receive(update)
    assert instance.states() == {"long": "stopped", "next": "claimed"}
    assert controls(instance) == 1


# 🤔


def test_think_again_on_an_answer_runs_its_message_once_more(instance: Instance) -> None:
    turn = instance.start("why?")
    shown = answered(instance, turn)
    [again] = instance.receive(reaction(shown, AGAIN)).claimed
    assert (again.text, again.attempt, again.address) == ("why?", 1, turn.address)
    assert again.row_id != turn.row_id
    instance.finish(again)
    assert instance.answers() == ["re: why?", "re: why?"], "an answer of its own"


@pytest.mark.parametrize("outcome", ["failed", "stopped"])
def test_what_failed_or_was_stopped_runs_once_more(instance: Instance, outcome: str) -> None:
    turn = instance.start("why?")
    shown = streaming(instance, turn)
    if outcome == "stopped":
        instance.say("/stop")
        instance.end(turn, "interrupted", "Well")
    else:
        instance.fail(turn)
    [again] = instance.receive(reaction(shown, AGAIN)).claimed
    assert again.text == "why?"


def test_while_another_turn_runs_it_waits_like_a_message(instance: Instance) -> None:
    shown = answered(instance, instance.start("why?"))
    turn = instance.start("next")
    received = instance.receive(reaction(shown, AGAIN))
    assert received.claimed == []
    assert [address.message_id for address in received.waiting]
    following = instance.finish(turn)
    assert following
    assert following.text == "why?"


def test_run_again_comes_again_and_runs_once(instance: Instance, start_instance: StartInstance) -> None:
    update = reaction(answered(instance, instance.start("why?")), AGAIN)
    assert len(instance.receive(update).claimed) == 1
    instance.receive(update)
    start_instance().receive(update)
    assert instance.rows("SELECT count(*) FROM pending WHERE kind = 'message'") == [(2,)]


def test_an_album_runs_again_with_all_its_parts_and_comes_again_once(instance: Instance) -> None:
    instance.say("a", "b", "c", media_group_id="album")
    [turn] = instance.due()
    update = reaction(answered(instance, turn), AGAIN)
    [again] = instance.receive(update).claimed
    assert [message["text"] for message in again.messages] == ["a", "b", "c"]
    assert instance.receive(update).claimed == []
    attempt = instance.release(again)
    assert attempt
    assert [message["text"] for message in attempt.messages] == ["a", "b", "c"], "at every attempt"
    assert instance.rows("SELECT count(*) FROM pending WHERE kind = 'message'") == [(6,)]


def test_what_was_given_up_is_tried_again(start_instance: StartInstance) -> None:
    start_instance(crashes_max=1).start("poison")
    instance = start_instance(crashes_max=1)
    instance.recover()
    shown = instance.sent(instance.the_next())
    [turn] = instance.receive(reaction(shown, AGAIN)).claimed
    assert (turn.text, turn.attempt) == ("poison", 2)


def test_what_was_erased_does_not_run_again(instance: Instance) -> None:
    shown = answered(instance, instance.start("why?"))
    instance.rows("UPDATE pending SET raw = '{}' RETURNING id")
    assert instance.receive(reaction(shown, AGAIN)).claimed == []


def test_running_again_counts_against_the_limits(instance: Instance) -> None:
    instance.rules = dataclasses.replace(instance.rules, limits=Limits(None, 2))
    shown = answered(instance, instance.start("why?"))
    turns_ = [instance.receive(reaction(shown, AGAIN)).claimed for _ in range(2)]
    assert [len(claimed) for claimed in turns_] == [1, 0]
    assert "I take no more than 2 messages from you in a day" in instance.answers()[-1]


def test_running_again_finds_a_full_queue_full(start_instance: StartInstance) -> None:
    instance = start_instance(queue_max=1)
    shown = answered(instance, instance.start("why?"))
    instance.start("long", "waits")
    instance.receive(reaction(shown, AGAIN))
    assert "The queue is full (1)" in instance.answers()[-1]


# 👍 and 👎 on a question


@pytest.mark.parametrize(("emoji", "value", "label"), [(YES, "allow", "Allow"), (NO, "deny", "Deny")])
def test_a_thumb_answers_a_question(instance: Instance, emoji: str, value: str, label: str) -> None:
    turn = instance.start("pay Ann")
    [again] = instance.receive(reaction(ask(instance, turn), emoji)).claimed
    assert again.row_id == turn.row_id
    assert instance.do(questions.answers, turn.row_id) == {"pay": value}
    [(text, buttons)] = instance.rows("SELECT text, buttons FROM outbox")
    assert (text, buttons) == (f"May I pay?\n\n→ {label}", None)


def test_a_question_is_answered_once(instance: Instance) -> None:
    turn = instance.start("pay Ann")
    shown = ask(instance, turn)
    instance.receive(reaction(shown, YES), reaction(shown, NO))
    assert instance.do(questions.answers, turn.row_id) == {"pay": "allow"}
    assert instance.states() == {"pay Ann": "stopped"}, "it runs again, and 👎 stops it"


def test_a_question_with_other_choices_is_not_answered(instance: Instance) -> None:
    shown = ask(instance, instance.start("pay Ann"), (Choice("Run again", "again"), Choice("Skip", "skip")))
    instance.receive(*(reaction(shown, emoji) for emoji in (YES, NO, AGAIN)))
    assert (instance.states(), controls(instance)) == ({"pay Ann": "asking"}, 0)


# who may


@pytest.fixture
def bot(start_instance: StartInstance) -> Instance:
    instance = start_instance(allowed_users=frozenset([OWNER, FRIEND]))
    instance.rules = dataclasses.replace(
        instance.rules, reactions="all", access=dataclasses.replace(instance.rules.access, owner_id=OWNER)
    )
    return instance


def test_a_strangers_reaction_does_nothing_and_leaves_nothing(bot: Instance) -> None:
    turn = in_group(bot, FRIEND, "long")
    bot.receive(reaction(streaming(bot, turn), NO, chat=GROUP, user=OTHER))
    assert (bot.states(GROUP), controls(bot)) == ({"long": "claimed"}, 0)


def test_in_a_group_a_turn_is_stopped_by_who_asked_and_by_the_owner_not_by_another_member(
    start_instance: StartInstance, bot: Instance
) -> None:
    bot.rules = dataclasses.replace(
        bot.rules,
        access=dataclasses.replace(bot.rules.access, allowed_users=frozenset([OWNER, FRIEND, OTHER])),
    )
    turn = in_group(bot, FRIEND, "long")
    shown = streaming(bot, turn)
    bot.receive(reaction(shown, NO, chat=GROUP, user=OTHER))
    assert bot.states(GROUP) == {"long": "claimed"}
    bot.receive(reaction(shown, NO, chat=GROUP, user=FRIEND))
    assert bot.states(GROUP) == {"long": "stopped"}
    bot.end(turn, "interrupted", "Well")
    bot.sent(bot.the_next(GROUP))
    for user, runs in ((OTHER, 0), (OWNER, 1)):
        assert len(bot.receive(reaction(shown, AGAIN, chat=GROUP, user=user)).claimed) == runs


def test_an_approval_is_given_by_who_asked_and_by_the_owner_not_by_another_member(
    start_instance: StartInstance,
) -> None:
    bot = start_instance()  # everyone may talk
    turn = in_group(bot, FRIEND, "pay Ann")
    shown = ask(bot, turn)
    bot.receive(reaction(shown, YES, chat=GROUP, user=OTHER))
    assert bot.do(questions.answers, turn.row_id) == {}
    bot.receive(reaction(shown, YES, chat=GROUP, user=FRIEND))
    assert bot.do(questions.answers, turn.row_id) == {"pay": "allow"}
