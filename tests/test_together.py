"""What is put together again of what a client cut, whatever stands between the pieces."""

from hypothesis import given
from hypothesis import strategies as st

from tgbot import together

CHARACTERS = st.sampled_from(["a", "b", "😀"])


def cut(text: str) -> list[str]:
    """Cut a text without white space, as clients do: where the next character does not fit."""
    pieces = [""]
    for character in text:
        if together.units({"text": pieces[-1] + character}) > together.TEXT_MAX_UNITS:
            pieces.append("")
        pieces[-1] += character
    return pieces


@given(st.text(CHARACTERS, min_size=1, max_size=40), st.integers(1, 400))
def test_what_was_cut_where_nothing_fits_any_more_is_the_same_again(pattern: str, times: int) -> None:
    text = pattern * times
    messages: list[together.Raw] = []
    for number, piece in enumerate(cut(text)):
        message = {"message_id": number, "date": 1, "text": piece}
        more = together.continuation(messages[-1], message) if messages else message
        assert more
        messages.append(more)
    assert [message["text"] for message in together.merged(messages)] == [text]


def test_pieces_find_each_other_among_messages_of_others() -> None:
    first = {"message_id": 1, "date": 1, "text": "x" * 4096}
    last = together.continuation(first, {"message_id": 3, "date": 1, "text": "y"})
    assert last
    other = {"message_id": 2, "date": 1, "text": "other"}
    assert [len(one["text"]) for one in together.merged([first, other, last])] == [4097, 5]


def test_a_piece_without_the_one_before_it_is_a_message() -> None:
    lone = {"message_id": 3, "text": "y", "continues": {"message_id": 1, "separator": ""}}
    assert together.merged([lone]) == [lone]


def test_two_messages_with_one_id_stay_two() -> None:
    """Two edits of one message may wait at once."""
    edits = [{"message_id": 1, "text": "a"}, {"message_id": 1, "text": "b"}]
    assert together.merged(edits) == edits


def test_a_piece_that_an_edit_made_a_picture_keeps_its_words() -> None:
    picture = {"message_id": 1, "caption": "a", "photo": []}
    last = {"message_id": 2, "text": "b", "continues": {"message_id": 1, "separator": ""}}
    assert together.merged([picture, last])[0]["text"] == "ab"
