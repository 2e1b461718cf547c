"""What every answer becomes: messages that Telegram accepts, with nothing lost between them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tgbot.render import plain
from tgbot.render.clean import clean, visible

MIXED = st.text(
    st.one_of(
        st.characters(codec=None), st.sampled_from("ab \n\t\u0301\u200d👨🏽🇩漢\u202e\ud83d\udc68\x00\r")
    ),
    max_size=40,
)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def texts(text: str) -> list[str]:
    return [part.text for part in plain(text)]


def ink(text: str) -> list[str]:
    return [char for char in text if visible(char)]


def test_a_short_text_is_one_part_trimmed_as_telegram_would() -> None:
    assert texts("\n  hello\n\nworld \n") == ["hello\n\nworld"]


def test_nothing_to_see_is_no_part() -> None:
    assert plain("") == plain(" \n\t ") == plain("\u200b\u2060\x00") == []


def test_cuts_prefer_paragraphs_then_lines_then_sentences_then_words() -> None:
    for separator in ("\n\n", "\n", ". ", " "):
        head = "x" * 3000 + separator
        assert texts(head + "y" * 3000) == [head.strip(" \n"), "y" * 3000]
    assert texts("x" * 2100 + "\n\n" + "y" * 1000 + "\n" + "z" * 3000)[0] == "x" * 2100


def test_a_cut_that_would_waste_half_a_message_is_not_taken() -> None:
    assert texts("x\n\n" + "y " * 4000)[0].count("y") > 1900


def test_units_are_utf16_and_a_drawn_character_stays_whole() -> None:
    assert [units(part) for part in texts("😀" * 4096)] == [4096, 4096]
    family = "👨‍👩‍👧‍👦"
    assert all(part.replace(family, "") == "" for part in texts(family * 1000))
    assert texts("x" * 4095 + "e\u0301") == ["x" * 4095, "e\u0301"]


def test_an_endless_combined_character_is_still_cut() -> None:
    assert "".join(texts("e" + "\u0301" * 9000)) == "e" + "\u0301" * 9000


def test_what_telegram_would_change_is_changed_before_it_is_measured() -> None:
    assert texts("a\x00b\r\nc\rd\u2028e\u202ef") == ["a b\nc\nd\nef"]
    assert texts("a\ud800b \ud83d\ude00 a\u030a") == ["a\ufffdb 😀 å"]
    assert texts("\U0003134b") == ["\U0003134b"]  # newer than Python's tables
    assert texts("x\n\tindented") == ["x\n    indented"]


@settings(max_examples=150)
@given(MIXED, st.integers(1, 2500), MIXED)
def test_any_text_is_kept_within_limits(before: str, repeats: int, after: str) -> None:
    parts = texts(before + after * repeats)
    assert all(1 <= units(part) <= 4096 and part == part.strip() for part in parts)
    assert ink("".join(parts)) == ink(clean(before + after * repeats))
