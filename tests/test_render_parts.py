"""A long answer grows part by part: what was closed stays, and the next message goes on from there."""

import re
from collections.abc import Iterable
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_render_fuzz import FRAGMENTS, MARKDOWN, judged, spec_examples
from tests.test_render_readable import DOCUMENT, Piece
from tgbot.render import Text, close_part, overflow, preview, render

SETTINGS = settings(max_examples=30)
CHUNKS = st.lists(st.integers(100, 4000), min_size=1, max_size=5)
WORDS = "word " * 900


def grown(markdown: str, chunks: Iterable[int] = (200,)) -> tuple[list[Text], str]:
    """Feed an answer as a stream does: the texts closed on the way, and the Markdown that is left."""
    closed: list[Text] = []
    rest, at = "", 0
    for chars in cycle(chunks):
        rest, at = rest + markdown[at : at + chars], at + chars
        while part := close_part(rest):
            assert len(part.rest) < len(rest)
            closed.append(part.text)
            rest = part.rest
        if at >= len(markdown):
            return closed, rest
    raise AssertionError


def whole(markdown: str, chunks: Iterable[int] = (200,)) -> list[Text]:
    """What finally stands in the chat."""
    closed, rest = grown(markdown, chunks)
    return judged([*closed, *render(rest)])


def texts(markdown: str) -> list[str]:
    return [part.text for part in whole(markdown)]


def kinds(part: Text) -> set[object]:
    return {entity["type"] for entity in part.entities}


def letters(text: str) -> str:
    return "".join(re.findall(r"[^\W_]+", text))


def test_an_answer_that_fits_into_one_message_is_not_closed() -> None:
    assert close_part("") is None
    assert close_part("Hello **wor") is None
    assert close_part("x" * 4096) is None
    assert close_part("[a](https://x.yz/" + "b" * 5000) is None, "an address takes no room"


def test_a_message_is_closed_at_a_paragraph_else_a_line_else_a_sentence_else_a_word() -> None:
    for separator in ("\n\n", "\n", ". ", " "):
        part = close_part("x" * 3000 + separator + "y" * 3000)
        assert part
        assert (part.text.text, part.rest) == (("x" * 3000 + separator).rstrip(), "y" * 3000)


def test_a_closed_message_is_at_least_half_full_and_never_split_again() -> None:
    markdown = "\n\n".join(f"Paragraph {i} " + "with some **bold** words and others. " * 9 for i in range(60))
    closed, rest = grown(markdown, (300,))
    assert all(len(part.text) > 2000 for part in closed)
    assert " ".join(part.text for part in [*closed, *render(rest)]).split() == render_words(markdown)


def render_words(markdown: str) -> list[str]:
    return " ".join(part.text for part in render(markdown)).split()


def test_the_next_message_grows_where_the_last_one_was_closed() -> None:
    closed, rest = grown(WORDS)
    assert len(closed) == 1
    shown = preview(rest + "and mor")
    assert shown
    assert shown.text == (rest + "and mor")


def test_the_rest_begins_with_its_heading() -> None:
    for heading in ("## Title\n\n### Sub", "**Title**", "**Title:**"):
        first, second = texts(WORDS[:3500] + f"\n\n{heading}\n\n" + WORDS[:3000])
        assert first.endswith("word")
        assert second.startswith("Title")


def test_code_goes_on_as_code_of_its_language() -> None:
    closed, rest = grown("Look:\n\n```py\n" + "x = 1\n" * 1500 + "```\n\nDone.")
    assert rest.startswith("```py\nx = 1\n")
    parts = judged([*closed, *render(rest)])
    assert [[entity.get("language") for entity in part.entities] for part in parts] == [["py"]] * 3
    assert sum(part.text.count("x = 1") for part in parts) == 1500
    assert parts[-1].text.endswith("x = 1\n\nDone.")


def test_code_is_not_cut_before_its_first_line_or_after_its_last() -> None:
    for lines in range(200, 280):
        start, code = WORDS[:2600] + "\n\n```py\n", "x = 1\n" * lines
        closed, rest = grown(start + code + "```\n\n" + WORDS, (6000,))
        for part in [*closed, *render(rest)]:
            assert "```" not in part.text
        assert not rest.startswith("```py\n```")


def test_blocks_within_a_block_go_on_within_it() -> None:
    blocks = "".join(f"text {i}\n\n```py\nx = {i}\n```\n\n" for i in range(400))
    parts = whole(f"Here:\n\n```markdown\n{blocks}```\n\nAfter **all**.")
    assert [kinds(part) for part in parts] == [{"pre"}, {"pre"}, {"pre", "bold"}]
    assert parts[-1].text.endswith("x = 399\n```\n\nAfter all.")


def test_a_table_goes_on_below_its_header() -> None:
    rows = [f"| Apple {i} | {i} |\n" for i in range(500)]
    for head in ("| Fruit | Count |\n|---|---:|\n", "Fruit | Count\n---|---\n"):
        parts = whole(f"Here:\n\n{head}{''.join(rows)}\nDone.")
        assert len(parts) > 1
        assert all("Fruit" in part.text and kinds(part) == {"pre"} for part in parts)
        lines = "\n".join(part.text for part in parts).splitlines()
        assert [line.split("|")[0].strip() for line in lines if line.startswith("Apple")] == [
            f"Apple {i}" for i in range(500)
        ]


def test_a_list_goes_on_with_its_number() -> None:
    items = "".join(f"{i}. Item {i} is **bold** and long\n   - sub {i}\n" for i in range(1, 400))
    shown = [line.strip() for line in "\n".join(texts(items)).splitlines()]
    assert shown == [
        line for i in range(1, 400) for line in (f"{i}. Item {i} is bold and long", f"• sub {i}")
    ]


def test_what_is_deep_in_a_list_goes_on_as_text() -> None:
    items = "1. One\n" + "    - sub **item** of it\n" * 400
    parts = whole(items)
    assert [kinds(part) for part in parts] == [{"bold"}] * len(parts)
    assert sum(part.text.count("• sub item") for part in parts) == 400


def test_a_quote_goes_on_as_a_quote() -> None:
    for quote in ("> " + "quoted words. " * 500, "> quoted words.\n" * 500):
        assert [kinds(part) for part in whole(quote)] == [{"expandable_blockquote"}] * 2


@pytest.mark.parametrize(
    "construct", ["**bold words here**", "`code words here`", "[a link of words](https://x.yz)"]
)
def test_formatting_is_not_cut_in_two(construct: str) -> None:
    for words in range(3900, 4000, 7):
        markdown = "x " * (words // 2) + construct + " and so on" * 40
        parts = whole(markdown, (500,))
        assert sum(len(part.entities) for part in parts) == 1


def test_formatting_that_fills_messages_goes_on_in_each() -> None:
    parts = whole("**" + "bold words " * 900 + "end**")
    assert [kinds(part) for part in parts] == [{"bold"}] * 3
    assert all("*" not in part.text for part in parts)


def test_marks_at_a_cut_do_not_become_a_fence() -> None:
    line = "~~struck and so on\n"
    assert sum(part.text.count("struck") for part in whole("~~x " + line * 700)) == 700


def test_a_dash_in_a_sentence_does_not_become_a_list() -> None:
    assert "".join("".join(texts("a - b " * 1500)).split()) == "a-b" * 1500


def test_a_message_is_closed_before_it_has_more_than_100_entities() -> None:
    parts = whole("".join(f"**b{i}** x\n" for i in range(250)))
    assert "\n".join(part.text for part in parts) == "\n".join(f"b{i} x" for i in range(250))


@pytest.mark.parametrize(
    ("first", "second", "shown"), [("\ud83d", "\ude00", "😀"), ("\r", "\n\r\nx", "\n\nx")]
)
def test_a_character_that_arrives_in_halves_stays_whole(first: str, second: str, shown: str) -> None:
    part = close_part(f"{WORDS}a{first}")
    assert part
    assert render(part.rest + second)[-1].text.endswith("a" + shown)


def test_what_is_left_of_a_very_long_answer_is_a_file() -> None:
    closed, rest = grown(WORDS * 3, (20_000,))
    assert len(closed) == 3
    assert overflow(rest, 8 - len(closed)) == (render(rest), None)
    assert overflow(WORDS, 0) == ([], WORDS)


@SETTINGS
@given(MARKDOWN, st.integers(10, 60), CHUNKS)
def test_random_markdown_grows_into_parts_that_telegram_accepts(
    markdown: str, repeats: int, chunks: list[int]
) -> None:
    whole(markdown * repeats, chunks)


@SETTINGS
@given(st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.none()), max_size=30), st.integers(10, 60), CHUNKS)
def test_every_word_stays_and_in_its_order(pieces: list[str | None], repeats: int, chunks: list[int]) -> None:
    markdown = "".join(
        f"w{i}q" if piece is None else piece
        for i, piece in enumerate([*pieces, " lorem ipsum", None] * repeats)
    )
    # Hidden or not, depending on where a message begins: the info string of a fence, and a link's title.
    hidden = str(re.findall(r"(?:```|~~~).*|\]:\s*\S*.*", markdown))
    wanted = [word for word in markers(render(markdown)) if word not in hidden]
    shown = [word for word in markers(whole(markdown, chunks)) if word in set(wanted)]
    assert shown == wanted


def markers(parts: Iterable[Text]) -> list[str]:
    """The numbered words, each where it comes first: the header of a table may come again."""
    text = "".join("".join(part.text.split()) for part in parts)
    return list(dict.fromkeys(re.findall(r"w\d+q", text)))


@SETTINGS
@given(DOCUMENT, st.integers(4, 12), CHUNKS)
def test_a_growing_document_loses_no_letter(blocks: list[Piece], repeats: int, chunks: list[int]) -> None:
    markdown = "\n\n".join(block for block, _ in blocks * repeats)
    shown = iter(letters("".join(part.text for part in whole(markdown, chunks))))
    lost = [char for char in letters("".join(part.text for part in render(markdown))) if char not in shown]
    assert not lost


@SETTINGS
@given(
    st.text(st.sampled_from("a😀👨🏽\u200d\u0301עא漢 \n`*\ud83d\ude00\r"), max_size=60),
    st.integers(1, 300),
    CHUNKS,
)
def test_random_unicode_grows_into_parts_that_telegram_accepts(
    text: str, repeats: int, chunks: list[int]
) -> None:
    whole(text * repeats, chunks)


def test_the_examples_of_commonmark_grow_without_losing_a_letter() -> None:
    examples = [markdown for markdown, _ in spec_examples() if "]:" not in markdown]
    for start in range(0, len(examples), 150):
        markdown = "\n\nAnd then:\n\n".join(examples[start : start + 150])
        shown = iter(letters("".join(part.text for part in whole(markdown, (700,)))))
        wanted = letters("".join(part.text for part in render(markdown)))
        assert not [char for char in wanted if char not in shown]
