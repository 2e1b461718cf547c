"""Markdown as models write it, and what a reader sees of it in Telegram."""

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from tgbot import render as render_module
from tgbot.render import Text, overflow, preview, render, rich


def shown(markdown: str) -> tuple[str, list[tuple[str, str]]]:
    """The text of the only part, and each entity's type with the text it covers."""
    (part,) = render(markdown)
    return part.text, covered(part)


def covered(part: Text) -> list[tuple[str, str]]:
    units = part.text.encode("utf-16-le")
    entities: Any = part.entities
    return [
        (
            entity["type"],
            units[entity["offset"] * 2 : (entity["offset"] + entity["length"]) * 2].decode("utf-16-le"),
        )
        for entity in entities
    ]


def urls(markdown: str) -> list[object]:
    return [entity["url"] for part in render(markdown) for entity in part.entities if "url" in entity]


def test_inline_styles_become_entities() -> None:
    text, entities = shown("**b** *i* ~~s~~ `c` 😀 ||hidden||")
    assert text == "b i s c 😀 hidden"
    assert entities == [
        ("bold", "b"), ("italic", "i"), ("strikethrough", "s"), ("code", "c"), ("spoiler", "hidden")
    ]  # fmt: skip


def test_bold_beside_punctuation_works_in_languages_without_spaces() -> None:
    assert shown("**注意。**请看 `a(**b`") == ("注意。请看 a(**b", [("bold", "注意。"), ("code", "a(**b")])
    assert shown("😀 是**“引”**的") == ("😀 是“引”的", [("bold", "“引”")])
    assert shown("**인공(AI)**은 \uffff") == ("인공(AI)은 \ufffd", [("bold", "인공(AI)")])


def test_code_stands_alone_inside_styles_and_crossing_styles_are_nested() -> None:
    assert shown("**a `b` c**") == ("a b c", [("bold", "a "), ("code", "b"), ("bold", " c")])
    assert shown("**a ||b** c||") == ("a b c", [("bold", "a b"), ("spoiler", "b"), ("spoiler", " c")])


def test_headings_lists_and_tasks_are_text_a_reader_recognises() -> None:
    text, entities = shown("# Head\n\n- one\n  - two\n    1. three\n- [x] done\n- [ ] open\n\n3. last")
    assert text == "Head\n\n• one\n  • two\n    1. three\n✅ done\n⬜ open\n\n3. last"
    assert ("bold", "Head") in entities


def test_blocks_within_a_list_item_stay_apart() -> None:
    text, _ = shown("1. run\n\n   ```\n   make\n   ```\n\n   then\n- a\n  > q\n- h\n  # t\n  u")
    assert text.split() == ["1.", "run", "make", "then", "•", "a", "q", "•", "h", "t", "u"]


def test_blocks_within_a_list_item_are_one_line_apart() -> None:
    assert shown("p\n\n- h\n  # t\n  u")[0] == "p\n\n• h\nt\nu"


@pytest.mark.parametrize("marker", ["1. ", "- > "])
def test_lists_in_lists_without_end_are_shown_as_they_were_written(marker: str) -> None:
    text = (1000 * marker).strip()
    assert shown(text) == (text, [])


def test_code_keeps_language_indentation_and_every_character() -> None:
    code = 'if a < b:\n    print(r"\\(foo-bar\\) \\[x - y\\] <b> ||c|| $x$ &lt; **no**")'
    (part,) = render(f"```python title\n{code}\n```")
    assert part == Text(code, ({"type": "pre", "offset": 0, "length": len(code), "language": "python"},))
    assert shown("`\\(foo-bar\\) <x>`") == ("\\(foo-bar\\) <x>", [("code", "\\(foo-bar\\) <x>")])


def test_html_is_shown_as_it_was_written() -> None:
    for html in (
        "<div>\n  *x*\n</div>",
        "Vec<String>",
        "<!-- note -->",
        "<tg-spoiler>x</tg-spoiler>",
        "a <b>c</b>",
    ):
        assert "".join(shown(html)[0].split()) == "".join(html.replace("*", "").split())


def test_a_link_telegram_accepts_is_a_link_and_any_other_is_text() -> None:
    assert shown("[a](https://x.yz)") == ("a", [("text_link", "a")])
    assert urls("<https://x.yz/q?a=1> [m](tg://user?id=7)") == ["https://x.yz/q?a=1", "tg://user?id=7"]
    assert shown("[a](src/x_y_z.py)") == ("a (src/x_y_z.py)", [])
    assert shown("[run](http://localhost:80/*a*)") == ("run (http://localhost:80/*a*)", [])
    assert shown("[me@x.yz](mailto:me@x.yz)") == ("me@x.yz", [])
    assert shown("[](https://x.yz)") == ("https://x.yz", [])
    assert shown("[![](b.png)](https://x.yz)") == ("https://x.yz", [])
    assert shown(f"[a](https://x.yz/{'a' * 2040})")[1] == []
    assert urls("[a](https://x.yz/&#10;b)") == []
    assert shown("[`code`](https://x.yz)") == ("code", [("text_link", "code")])


def test_a_picture_is_a_link_also_without_description() -> None:
    assert shown("![a cat](https://x.yz/c.png)") == ("🖼 a cat", [("text_link", "🖼 a cat")])
    assert shown("![](https://x.yz/c.png)") == ("🖼 image", [("text_link", "🖼 image")])
    assert shown("![a cat](c.png)") == ("🖼 a cat (c.png)", [])
    assert shown("[![build](https://x.yz/b.svg)](https://x.yz)") == ("🖼 build", [("text_link", "🖼 build")])


def test_a_source_that_nothing_refers_to_is_shown() -> None:
    text, _ = shown("See [1].\n\n[1]: https://x.yz\n[2]: https://lost.example")
    assert text == "See [1].\n[2]: https://lost.example"
    assert urls("See [^1].\n\n[^1]: https://x.yz") == ["https://x.yz"]


def test_an_unclosed_formula_is_shown_as_it_was_written() -> None:
    assert shown("so \\[ a - b") == ("so \\[ a - b", [])


def test_characters_that_come_in_as_entities_move_no_offset() -> None:
    assert shown("&#8238;&Tab;**b**")[1] == [("bold", "b")]
    assert shown("\ufdd0\u205f`b`") == ("\ufffd b", [("code", "b")])


def test_formulas_and_prices_are_readable() -> None:
    assert shown("$E=mc^2$ and \\(\\Omega \\leq \\pi\\)")[0] == "E=mc² and Ω ≤ π"
    assert (
        shown("$5 to $10, ~7, $$$ - expensive, a || b || c")[0]
        == "$5 to $10, ~7, $$$ - expensive, a || b || c"
    )


def test_a_narrow_table_is_aligned_by_what_a_terminal_shows() -> None:
    text, entities = shown("| Obst | n |\n|---|---|\n| Äpfel | 3 |\n| 漢字 | `4` |")
    assert text == "Obst  | n\n------+--\nÄpfel | 3\n漢字  | 4"
    assert entities == [("pre", text)]


def test_the_columns_of_a_table_are_aligned_as_the_markdown_says() -> None:
    text, entities = shown("| Fruit | n | at |\n|:--|--:|:-:|\n| Apple | 3 | left |\n| 漢字 | 120 | a |")
    assert text == "Fruit |   n |  at\n------+-----+-----\nApple |   3 | left\n漢字  | 120 |  a"
    assert entities == [("pre", text)]
    assert shown("| n |\n|--:|\n| 100 |")[0] == "  n\n---\n100", "also at the start of a message"


def test_a_wide_table_becomes_paragraphs() -> None:
    text, entities = shown(f"| Tool | Why |\n|---|---|\n| ruff | {'lint ' * 10}`a\\|b` |\n| mypy | |")
    assert text == f"Tool: ruff\nWhy: {'lint ' * 10}a|b\n\nTool: mypy\nWhy: -"
    assert entities == [("bold", "Tool: ruff"), ("code", "a|b"), ("bold", "Tool: mypy")]


def test_a_table_with_links_keeps_them() -> None:
    text, entities = shown("| T |\n|---|\n| [m](https://x.yz) |")
    assert text == "T: m"
    assert entities == [("text_link", "m")]


def test_a_table_keeps_its_quote_and_its_surplus_cells() -> None:
    assert shown("> | a | b |\n> |---|---|\n> | 1 | 2 | 3 |")[0] == "a | b\n--+------\n1 | 2 | 3"
    assert "blockquote" in dict(shown("> | a | b |\n> |---|---|\n> | 1 | 2 |")[1])


def test_a_long_quote_is_collapsed_and_quotes_do_not_nest() -> None:
    assert shown("> a\n> > b")[1] == [("blockquote", "a\nb")]
    assert shown("> " + "a " * 150)[1][0][0] == "expandable_blockquote"


def test_a_long_code_block_continues_with_its_language_at_a_line() -> None:
    code = "\n".join(f"    line {i}" for i in range(700))
    parts = render(f"Intro.\n\n```py\n{code}\n```\n\nEnd.")
    assert [entity for part in parts for entity in part.entities if entity.get("language") != "py"] == []
    assert "\n".join(part.text for part in parts).replace("\n\n", "\n") == f"Intro.\n{code}\nEnd."
    assert parts[1].text.startswith("    line ")


def test_bold_and_quotes_continue_in_the_next_part() -> None:
    for markdown, style in (
        ("**" + "word " * 1500 + "end**", "bold"),
        ("> " + "word\n> " * 1500, "expandable_blockquote"),
    ):
        parts = render(markdown)
        assert len(parts) == 2
        assert all(covered(part) == [(style, part.text)] for part in parts)


def test_an_entity_that_fits_is_never_broken() -> None:
    filler = "word " * 700
    code = "x = 1\n\n" * 150
    first, second = render(f"{filler}\n\n```\n{code}```")
    assert first.text == filler.strip()
    assert covered(second) == [("pre", code.strip())]


def test_a_heading_is_not_left_behind() -> None:
    first, second = render("word " * 780 + "\n\n# Title\n\n## Sub\n\n" + "word " * 700)
    assert first.text.endswith("word")
    assert second.text.startswith("Title\n\nSub\n\nword")


def test_more_than_100_entities_become_more_parts() -> None:
    parts = render("".join(f"**b{i}** x\n" for i in range(250)))
    assert [len(part.entities) for part in parts] == [100, 100, 50]
    assert "\n".join(part.text for part in parts) == "\n".join(f"b{i} x" for i in range(250))


@pytest.mark.parametrize("markdown", ["", " \n\t", "\u200b"])
def test_nothing_to_see_is_no_part(markdown: str) -> None:
    assert render(markdown) == []
    assert preview(markdown) is None
    assert rich(markdown) is None


def test_markup_without_text_is_shown_as_it_was_written() -> None:
    assert shown("#") == ("#", [])
    assert shown("[a]: ")[0] == "[a]:"


def test_what_cannot_be_rendered_is_shown_plain(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: str) -> None:
        raise ValueError("made up")

    monkeypatch.setattr("tgbot.render.convert.rewrite", fail)
    monkeypatch.setattr("tgbot.render.rich_message.rewrite_rich", fail)
    with caplog.at_level(logging.WARNING):
        assert shown("**a**") == ("**a**", [])
        assert rich("**a**") is None
    assert "shown as plain text" in caplog.text


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ("Hello **wor", ("Hello wor", [("bold", "wor")])),
        ("call `pri", ("call pri", [("code", "pri")])),
        ("the ||sec", ("the sec", [("spoiler", "sec")])),
        ("so **bold*", ("so bold", [("bold", "bold")])),
        ("so **", ("so", [])),
        ("see [docs](https://x.y", ("see docs", [])),
        ("```py\nx = 1\n``", ("x = 1", [("pre", "x = 1")])),
        ("2 ** 3 and `a ** b` too", ("2 ** 3 and a ** b too", [("code", "a ** b")])),
        ("```x```\nis **co", ("x\nis co", [("code", "x"), ("bold", "co")])),
        ("a title?\n-", ("a title?", [])),
        ("a **bold *i", ("a bold i", [("bold", "bold i"), ("italic", "i")])),
        ("so *slan", ("so slan", [("italic", "slan")])),
        ("so ***bo", ("so bo", [("bold", "bo"), ("italic", "bo")])),
        ("_snake_case is", ("snake_case is", [("italic", "snake_case is")])),
        ("so __bo", ("so __bo", [])),
        ("so __bold wo", ("so bold wo", [("bold", "bold wo")])),
        ("so ___a b", ("so a b", [("bold", "a b"), ("italic", "a b")])),
        ("f(**kwargs) and then **bo", ("f(**kwargs) and then bo", [("bold", "bo")])),
        ("f(**kwargs) and", ("f(**kwargs) and", [])),
        ("x**2 + y**2 and *.py", ("x**2 + y**2 and *.py", [])),
        ("__init__.py is __na", ("__init__.py is __na", [])),
        ("a **b (c", ("a b (c", [("bold", "b (c")])),
        ("**kwargs\n\n#", ("**kwargs", [])),
        ("2*3 = 6 and snake_case", ("2*3 = 6 and snake_case", [])),
        ("- *one\n- two", ("• *one\n• two", [])),
        ("see [doc", ("see doc", [])),
        ("see [doc]", ("see doc", [])),
        ("see [docs](https://x.y/a_(b", ("see docs", [])),
        ("to do\n- [ ] ", ("to do", [])),
    ],
)
def test_half_written_markdown_looks_finished(
    stream: str, expected: tuple[str, list[tuple[str, str]]]
) -> None:
    part = preview(stream)
    assert part
    assert (part.text, covered(part)) == expected


def test_a_table_grows_by_whole_rows_and_no_pipe_of_it_is_seen() -> None:
    table = "| Fruit | Count |\n|---|---:|\n| Apple | 12 |\n| Pear | 7 |\n"
    shown = [part.text for end in range(1, len(table) + 1) if (part := preview("Here:\n\n" + table[:end]))]
    rows = ["Fruit | Count\n------+------", "Apple |    12", "Pear  |     7"]
    whole = ["Here:", *("Here:\n\n" + "\n".join(rows[:n]) for n in (1, 2, 3))]
    assert list(dict.fromkeys(shown)) == whole


def test_pipes_in_code_that_is_still_open_stay() -> None:
    part = preview("```hs\nf x\n  | x > 0")
    assert part
    assert part.text == "f x\n  | x > 0"


@pytest.mark.parametrize(
    "markdown",
    [
        "x\n\n```py\na = 1\n```",
        "~~~\n**a\n~~~\n",
        "a **b**",
        "a*i*",
        "`a`",
        "- a\n- b `c`",
        "[a](https://x.yz)",
        "||s||",
        "# T",
    ],
)
def test_a_preview_of_a_finished_answer_is_the_answer(markdown: str) -> None:
    assert [preview(markdown)] == render(markdown)


def test_a_preview_of_a_long_answer_shows_its_last_message() -> None:
    stream = " ".join(f"w{i}" for i in range(3000))
    assert preview(stream + " and **bo") == render(stream + " and **bo**")[-1]


def test_a_preview_inside_long_code_is_code() -> None:
    part = preview("Look:\n\n```py\n" + "x = 1\n" * 5000)
    assert part
    assert part.entities == ({"type": "pre", "offset": 0, "length": len(part.text), "language": "py"},)


def test_overflow_shows_whole_parts_and_returns_the_rest_as_markdown() -> None:
    answer = "\n\n".join(f"Paragraph {i} " + "word " * 50 for i in range(300))
    parts, rest = overflow(answer)
    assert 7 <= len(parts) <= 8
    assert rest
    assert (" ".join(part.text for part in parts) + " " + rest).split() == answer.split()
    assert overflow("short") == (render("short"), None)


def test_the_rest_begins_with_its_heading() -> None:
    parts, rest = overflow("".join(f"## Part {i}\n\n" + "word " * 760 + "\n\n" for i in range(9)), 2)
    assert rest
    assert rest.startswith("## Part ")
    assert "Part" not in parts[-1].text.splitlines()[-1]


def test_a_huge_answer_is_split_but_not_parsed() -> None:
    huge = "**a** " * 20_000
    assert render(huge)[0].text.startswith("**a** **a**")
    assert rich(huge) is None
    assert covered(overflow(huge)[0][0])[0] == ("bold", "a")


def test_the_rest_of_cut_code_is_code() -> None:
    parts, rest = overflow("Look:\n\n```py\n" + "x = 1\n" * 9000 + "```\n\nDone.", 2)
    assert len(parts) == 2
    assert rest
    assert rest.startswith("```py\nx = 1\n")
    assert rest.endswith("```\n\nDone.")


def test_a_rich_message_has_native_headings_and_tables_and_no_foreign_tag() -> None:
    message: Any = rich(
        "# T\n\n| a | b |\n|---|---|\n| 1 | <x> |\n\n`<b>` [bad](x.py) ![p](https://x.yz/p.png)"
    )
    html = message["html"]
    assert html.startswith("<h1>T</h1>")
    assert "<table" in html
    assert "&lt;x&gt;" in html
    assert "&lt;b&gt;" in html
    assert "bad (x.py)" in html
    assert "<img" not in html


def test_an_open_task_has_no_tick_in_a_rich_message() -> None:
    message: Any = rich("- [ ] open\n- [x] done")
    assert message["html"] == "<ul><li>⬜ open</li><li>✅ done</li></ul>"


def test_a_rich_message_that_is_too_long_is_none() -> None:
    assert rich("word " * 6000)
    assert rich("word " * 7000) is None
    assert render_module.rich is rich  # no module of the package takes the function's name


def test_an_idle_process_does_not_load_the_markdown_libraries() -> None:
    code = "import sys, json, tgbot.render; tgbot.render.plain('x'); print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert render_module.__name__ in modules
    assert not {"telegramify_markdown", "pyromark", "wcwidth", "asyncio", "telegram", "sqlalchemy"} & set(
        modules
    )
