"""What the ledger keeps of a call: an attempt after a crash gives the model the same as the first one."""

from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import ModelRetry
from pydantic_ai.messages import BinaryImage

from tgbot.agents.llm import results

PICTURE = BinaryImage(b"\x89PNG\xff\x00", media_type="image/png")


def again(value: Any) -> Any:  # noqa: ANN401 - whatever a tool returns
    return results.load(results.dump(results.of(value, []))).value()


@pytest.mark.parametrize("value", ["text", 7, None, {"a": [1, {"b": 2}]}, {"data": "x"}])
def test_a_value_is_the_same_again(value: object) -> None:
    assert again(value) == value


def test_a_picture_is_words_again_because_the_chat_has_it() -> None:
    assert again(PICTURE) == results.SENT
    assert again({"of": ["a picture", PICTURE]}) == {"of": ["a picture", results.SENT]}
    assert results.files_in({"of": ["a picture", PICTURE]}) == [PICTURE]


def test_what_is_no_json_is_text() -> None:
    assert again({"where": Path("/tmp"), "what": object}) == {"where": "/tmp", "what": str(object)}


CIRCLE: list[object] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    "value", [b"\xff\xfe", {"name": "a\udcff"}, CIRCLE], ids=["bytes", "surrogate", "circle"]
)
def test_what_cannot_be_written_down_is_text_too(value: object) -> None:
    """The tool has run: that its result is odd must not end the turn, as if it might not have."""
    assert isinstance(again(value), str)


def test_a_wish_for_other_arguments_is_one_again() -> None:
    with pytest.raises(ModelRetry, match="a number, please"):
        again(ModelRetry("a number, please"))


@pytest.mark.parametrize("value", ["text", 7, {"a": [1, "ö" * 80]}, [PICTURE, "x" * 50]])
def test_a_result_that_is_short_enough_is_the_same_object(value: object) -> None:
    result = results.of(value, [])
    assert results.cut(result, 100) is result


def test_a_result_that_is_too_long_ends_with_a_line_that_says_so() -> None:
    assert results.cut(results.of("x" * 11, []), 10).content == f"{'x' * 10}\n… cut, 11 characters in all"


def test_a_picture_stays_where_its_words_are_cut() -> None:
    words, picture = results.cut(results.of(["x" * 1_000, PICTURE], []), 10).value()
    assert words == '["xxxxxxxx\n… cut, 1,033 characters in all'
    assert picture is PICTURE
