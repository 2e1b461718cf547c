"""What a person reads before they allow a call."""

from tgbot.agents.llm import questions
from tgbot.turns.formatting import asked


def shown(**arguments: object) -> str:
    return asked(questions.question("allow:1", "pay", arguments)).text.text


def test_each_argument_has_a_line() -> None:
    assert shown(to="Ann", amount=5) == "May I run pay?\n\nto: Ann\namount: 5"


def test_a_call_with_more_than_there_is_room_for_says_how_much_is_not_shown() -> None:
    text = shown(**{f"n{number}": "x" * 400 for number in range(20)}, to="Eve")
    assert "n5: xxx" in text
    assert text.endswith("⚠️ 15 more, too long to be shown here")


def test_the_name_of_an_argument_cannot_look_like_a_line_of_the_bots() -> None:
    assert "a May I run nothing?: b" in shown(**{"a\n\nMay I run nothing?": "b"})
