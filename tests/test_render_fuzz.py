"""Random Markdown, judged by Telegram's own parser and two independent readings of the Bot API."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from importlib.metadata import files
from typing import Any

import pytest
import tdjson
from aiogram.types import InputRichMessage, MessageEntity
from hypothesis import given, settings
from hypothesis import strategies as st

from tgbot.render import Text, overflow, plain, preview, render, rich
from tgbot.render.clean import clean, without_surrogates

FRAGMENTS = [
    *"*_~`|[]()<>#-+!\\$&:;= \n\n\t1.",
    *[
        "**",
        "***",
        "__",
        "~~",
        "||",
        "```",
        "~~~~",
        "\n\n",
        "\n> ",
        "\n- ",
        "\n  - ",
        "\n1. ",
        "\n# ",
        "\n---\n",
    ],
    *["```python\n", "\n```\n", "](https://a.b/c)", "](src/x.py)", "![", "[ref]", "\n[ref]: https://r.ef\n"],
    *[
        "| a | b |\n|---|---|\n",
        "| 1 | `2` |\n",
        "| x || y | z |\n",
        "\n- [x] ",
        "\n> | q | r |\n> |---|---|\n",
    ],
    *[
        "<div>",
        "</b>",
        "<https://a.b>",
        "<br>",
        "<!-- c -->",
        "<tg-spoiler>",
        "&lt;",
        "&#8238;",
        "&#0;",
        "&amp;",
    ],
    *["\\(", "\\)", "\\[", "\\]", "\\alpha", "\\frac{a}{b}", "$x^2$", "$$", "~5", "$10", "\n    ", "\\|"],
    *[
        "word",
        "two words",
        "漢字",
        "עברית",
        "e\u0301",
        "👨‍👩‍👧",
        "🇩🇪",
        "😀",
        "\u200b",
        "\ufdd0",
        "\ud800",
        "\x00",
        "x" * 300,
    ],
]
SETTINGS = settings(max_examples=60)
MARKDOWN = st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join)


def ask_tdlib(**request: object) -> Any:  # noqa: ANN401 - JSON of any shape
    return json.loads(tdjson.td_execute(json.dumps(request).encode()) or b"{}")


ask_tdlib(**{"@type": "setLogVerbosityLevel", "new_verbosity_level": 0})


def tdlib_entity(entity: dict[str, Any]) -> dict[str, object]:
    name = "".join(word.capitalize() for word in entity["type"].split("_"))
    kind = {"Blockquote": "BlockQuote", "ExpandableBlockquote": "ExpandableBlockQuote", "TextLink": "TextUrl"}
    shown: dict[str, object] = {"@type": "textEntityType" + kind.get(name, name)}
    if "url" in entity:
        shown["url"] = entity["url"]
    if "language" in entity:
        shown |= {"@type": "textEntityTypePreCode", "language": entity["language"]}
    return {"offset": entity["offset"], "length": entity["length"], "type": shown}


def coverage(entities: list[Any]) -> set[tuple[str, int]]:
    return {
        (entity["type"]["@type"].replace("MentionName", "TextUrl") + entity["type"].get("language", ""), at)
        for entity in entities
        for at in range(entity["offset"], entity["offset"] + entity["length"])
    }


def assert_accepted(part: Text) -> None:
    """Telegram's parser returns text and entities as they were given, so nothing moves or gets lost."""
    entities: list[Any] = [dict(entity) for entity in part.entities]
    units = part.text.encode("utf-16-le")
    assert 1 <= len(units) // 2 <= 4096
    assert part.text == part.text.rstrip()
    assert len(entities) <= 100
    for entity in entities:
        MessageEntity.model_validate(entity, strict=True)
        assert 0 <= entity["offset"] < entity["offset"] + entity["length"] <= len(units) // 2
        units[: entity["offset"] * 2].decode("utf-16-le")  # raises inside a surrogate pair
        units[: (entity["offset"] + entity["length"]) * 2].decode("utf-16-le")
    # parseMarkdown runs the checks of sendMessage; with its own markup neutralised it is the identity.
    neutral = re.sub(r"[*_~`|\[\]]", "x", part.text)
    given_entities = [tdlib_entity(entity) for entity in entities]
    text = {"@type": "formattedText", "text": neutral, "entities": given_entities}
    answer = ask_tdlib(**{"@type": "parseMarkdown", "text": text})
    assert answer.get("text") == neutral, answer
    assert coverage(answer["entities"]) == coverage(given_entities)


def judged(parts: list[Text]) -> list[Text]:
    for part in parts:
        assert_accepted(part)
    return parts


class _Visible(HTMLParser):
    """What a browser shows of CommonMark's own HTML: its text, and an image's description."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.text += dict(attrs).get("alt") or ""


def without_fences(markdown: str) -> str:
    """The rest of cut code opens with its fence again, and fences grow where others are within."""
    return re.sub(r"[`~]|^.*(?:```|~~~).*$|\s", "", markdown, flags=re.MULTILINE)


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"[^\W_]+", clean(text)))


def spec_examples() -> list[tuple[str, str]]:
    """CommonMark's specification comes with marko's wheel; → stands for a tab in it."""
    path = next(path for path in files("marko") or [] if path.name == "commonmark.txt")
    spec = path.read_text().replace("→", "\t")
    return re.findall(r"^`{32} example\n(.*?)^\.\n(.*?)^`{32}$", spec, re.MULTILINE | re.DOTALL)


def test_the_specification_has_its_examples() -> None:
    assert len(spec_examples()) > 600


DELIBERATE = {  # where we show more than CommonMark, or in other words
    "<div></div>\n``` c\nint x = 33;\n```\n": "Markdown between tags is Markdown: the c is a language",
    "[foo][bar][baz]\n\n[baz]: /url1\n[bar]: /url2\n": "what is no web address defines no link",
    "&nbsp; &amp; &copy; &AElig; &Dcaron;\n&frac34; &HilbertSpace; &DifferentialD;\n"
    "&ClockwiseContourIntegral; &ngE;\n": "an entity is shown as it was written, as a tag is",
    "&#35; &#1234; &#992; &#0;\n": "the same",
    "&#X22; &#XD06; &#xcab;\n": "the same",
    "foo*bar*\n": "an asterisk within a word is a product",
    "5*6*78\n": "the same",
    "*foo*bar\n": "the same",
    "foo**bar**\n": "two of them are a power",
    "*foo**bar**baz*\n": "the same",
    "*foo**bar***\n": "the same",
    "foo***bar***baz\n": "the same",
    "foo******bar*********baz\n": "the same",
    "**foo*bar*baz**\n": "the same",
}


@pytest.mark.parametrize(
    ("markdown", "html"), [example for example in spec_examples() if example[0] not in DELIBERATE]
)
def test_a_commonmark_example_keeps_every_visible_word(markdown: str, html: str) -> None:
    page = _Visible()
    page.feed(html)
    shown = " ".join(part.text for part in judged(render(markdown)))
    assert not words(page.text) - words(shown)


@SETTINGS
@given(MARKDOWN, st.integers(1, 40))
def test_random_markdown_becomes_parts_that_telegram_accepts(markdown: str, repeats: int) -> None:
    judged(render(markdown * repeats))


@SETTINGS
@given(MARKDOWN)
def test_every_prefix_of_a_stream_is_one_valid_message(markdown: str) -> None:
    for end in range(1, len(markdown) + 1, 1 + len(markdown) // 20):
        part = preview(markdown[:end])
        judged([part] if part else [])


@SETTINGS
@given(st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.none()), max_size=30))
def test_every_word_of_random_markdown_is_on_the_screen_or_behind_a_link(pieces: list[str | None]) -> None:
    markdown = "".join(f"w{i}q" if piece is None else piece for i, piece in enumerate(pieces))
    shown = "".join(
        f"{part.text}{[(entity.get('url'), entity.get('language')) for entity in part.entities]}"
        for part in render(markdown)
    )
    # Invisible by Markdown's rules: the info string of a fence but its first word, and a link's title.
    hidden = re.findall(r"(?:```|~~~).*|\]:\s*\S*.*", markdown)
    lost = [word for word in re.findall(r"w\d+q", markdown) if word not in shown and word not in str(hidden)]
    assert not lost


@SETTINGS
@given(st.text(st.sampled_from("a😀👨🏽\u200d\u0301עא漢 \n`*"), max_size=60), st.integers(1, 300))
def test_random_unicode_becomes_parts_that_telegram_accepts(text: str, repeats: int) -> None:
    judged(plain(text * repeats))
    judged(render(text * repeats))


@SETTINGS
@given(MARKDOWN, st.integers(1, 100))
def test_overflow_and_rich_take_anything(markdown: str, repeats: int) -> None:
    parts, rest = overflow(markdown * repeats, 2)
    assert len(judged(parts)) <= 2
    assert rest is None or without_fences(rest) in without_fences(without_surrogates(markdown * repeats))
    message = rich(markdown)
    assert message is None or InputRichMessage.model_validate(message, strict=True).html


def test_clean_leaves_no_character_that_telegram_would_change() -> None:
    every = clean("".join(f"{chr(code)}x" for code in range(0x20, 0x10000)))
    for start in range(0, len(every), 4000):
        chunk = re.sub(r"[*_~`|\[\]]", "x", every[start : start + 4000])
        text = {"@type": "formattedText", "text": chunk, "entities": []}
        assert ask_tdlib(**{"@type": "parseMarkdown", "text": text})["text"] == chunk


@pytest.mark.soak
@settings(max_examples=5000, derandomize=False)
@given(MARKDOWN, st.integers(1, 60))
def test_soak_random_markdown(markdown: str, repeats: int) -> None:
    judged(render(markdown * repeats))
    part = preview(markdown)
    judged([part] if part else [])
