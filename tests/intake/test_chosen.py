"""What a chat chooses at once, beside the queue: its model, and the instructions that the owner gives it."""

import dataclasses
import json

import pytest

from tests.store.instance import Instance, key
from tgbot.access import Access
from tgbot.agents.llm.chosen import MODEL, PROMPT, SETTING
from tgbot.intake.commands import ModelRules
from tgbot.intake.commands.prompt import SHOWN_CHARACTERS
from tgbot.model import UserId
from tgbot.store import values

GROUP = -100
TOPIC = {"is_topic_message": True, "message_thread_id": 3}
OWNER = UserId(7)


@pytest.fixture
def bot(instance: Instance) -> Instance:
    offer(instance, "a:1", "b:2", "b:3")
    return instance


def offer(instance: Instance, *models: str, owner: UserId | None = OWNER) -> None:
    instance.rules = dataclasses.replace(instance.rules, access=Access(None, owner), model=ModelRules(models))


def chosen(bot: Instance, name: str, session_key: str | None = None) -> str | None:
    return bot.do(values.get_in, session_key or key(), SETTING, name)  # type: ignore[arg-type]  # a made-up key


def buttons(bot: Instance) -> dict[str, str]:
    """Map the labels of the newest buttons to their data."""
    [(found,)] = bot.rows("SELECT buttons FROM outbox WHERE buttons IS NOT NULL ORDER BY id DESC LIMIT 1")
    return {b["text"]: b["callback_data"] for row in json.loads(found)["inline_keyboard"] for b in row}


# /model


def test_model_shows_the_model_and_a_button_for_each_other_one(bot: Instance) -> None:
    bot.say("/model")
    assert bot.answers() == ["The model of this chat is a:1. Choose another one:"]
    assert list(buttons(bot)) == ["b:2", "b:3"]


def test_the_button_of_a_model_chooses_it_and_says_so_in_its_message(bot: Instance) -> None:
    bot.say("/model")
    bot.press(buttons(bot)["b:3"])
    assert chosen(bot, MODEL) == "b:3"
    assert bot.answers() == ["The model of this chat is b:3 from now on."]
    bot.say("/model")
    assert list(buttons(bot)) == ["a:1", "b:2"]


def test_a_named_model_is_chosen_also_while_a_turn_runs(bot: Instance) -> None:
    bot.start("a")
    bot.say("/model b:2")
    assert chosen(bot, MODEL) == "b:2"
    assert bot.states() == {"a": "claimed"}


def test_a_model_that_is_not_allowed_is_refused_with_those_that_are(bot: Instance) -> None:
    bot.say("/model c:4")
    assert bot.answers() == ["There is no such model here. You can choose: a:1, b:2, b:3."]
    assert chosen(bot, MODEL) is None


def test_a_button_of_a_model_that_is_not_allowed_any_more_does_nothing(bot: Instance) -> None:
    bot.say("/model")
    pressed = buttons(bot)["b:3"]
    offer(bot, "a:1", "c:4", "d:5")
    [(_, toast)] = bot.press(pressed).controls
    assert (toast, chosen(bot, MODEL)) == ("This button does nothing any more.", None)


def test_a_chosen_model_that_is_not_allowed_any_more_is_the_default_again(bot: Instance) -> None:
    bot.say("/model b:2")
    offer(bot, "c:4")
    bot.say("/model")
    assert bot.answers()[-1] == "The model of this chat is c:4. It is the only one here."


def test_a_button_of_a_model_does_nothing_once_no_model_answers(bot: Instance) -> None:
    bot.say("/model")
    pressed = buttons(bot)["b:3"]
    bot.rules = dataclasses.replace(bot.rules, model=None)
    [(_, toast)] = bot.press(pressed).controls
    assert (toast, chosen(bot, MODEL)) == ("This button does nothing any more.", None)


def test_a_model_is_chosen_for_the_topic_alone(bot: Instance) -> None:
    bot.say("/model b:2", chat=GROUP, **TOPIC)
    assert chosen(bot, MODEL, f"{key(GROUP)}:3") == "b:2"
    assert chosen(bot, MODEL, key(GROUP)) is None
    bot.say("/model", chat=GROUP, **TOPIC)
    bot.press(buttons(bot)["b:3"], chat=GROUP)
    assert chosen(bot, MODEL, f"{key(GROUP)}:3") == "b:3"
    assert chosen(bot, MODEL, key(GROUP)) is None


def test_long_names_of_models_stand_below_each_other(bot: Instance) -> None:
    offer(bot, "a:1", "openrouter:some-company/some-model", "openrouter:some-company/another-model")
    bot.say("/model")
    [(found,)] = bot.rows("SELECT buttons FROM outbox")
    assert [len(row) for row in json.loads(found)["inline_keyboard"]] == [1, 1]


# /prompt


def test_the_owner_sets_shows_and_removes_the_instructions_of_a_chat(bot: Instance) -> None:
    bot.say("/prompt", "/prompt  Be brief.\nBe kind. ", "/prompt", "/prompt -", "/prompt")
    none, is_set, shown, removed, gone = bot.answers()
    assert none == removed == gone == "This chat has no instructions of its own: the bot's are used."
    assert is_set.startswith("These are the instructions of this chat from now on.")
    assert shown == "The instructions of this chat:\n\nBe brief.\nBe kind."
    assert bot.states() == {}


def test_others_can_read_the_instructions_and_cannot_set_them(bot: Instance) -> None:
    bot.say("/prompt Be brief.", chat=GROUP, **{"from": {"id": 7, "is_bot": False, "first_name": "Ann"}})
    bot.say("/prompt Be rude.", "/prompt -", "/prompt", chat=GROUP)
    refused, again, shown = bot.answers(GROUP)[1:]
    assert refused == again
    assert refused.startswith("Only the bot's owner")
    assert shown.endswith("Be brief.")


def test_nobody_owns_a_bot_that_lets_everyone_in(bot: Instance) -> None:
    offer(bot, "a:1", owner=None)
    bot.say("/prompt Be brief.")
    assert chosen(bot, PROMPT) is None


def test_instructions_too_long_for_a_message_are_shown_as_far_as_they_fit(bot: Instance) -> None:
    long = "🎵" * (SHOWN_CHARACTERS + 10)
    bot.say(f"/prompt {long}", "/prompt")
    assert chosen(bot, PROMPT) == long
    assert bot.answers()[1].endswith("🎵 …")
    assert len(bot.answers()[1].encode("utf-16-le")) <= 2 * 4096
