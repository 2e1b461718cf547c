"""What a model writes stays readable: a character that is no markup is on the screen, and in its place."""

from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgbot.render import overflow, plain, preview, render, rich, settled

SETTINGS = settings(max_examples=150)


class _Page(HTMLParser):
    """The text of a rich message, with the numbers of its lists, and its rules as a dash."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self._numbers: list[int | None] = []
        self.feed(html)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"ol", "ul"}:
            self._numbers.append(int(dict(attrs).get("start") or 0) or None)
        elif tag == "li" and (number := self._numbers[-1]):
            self.text += f"{number}. "
            self._numbers[-1] = number + 1
        elif tag == "hr":
            self.text += "—"

    def handle_endtag(self, tag: str) -> None:
        if tag in {"ol", "ul"}:
            self._numbers.pop()


def text_of(markdown: str) -> str:
    return "\n".join(part.text for part in render(markdown))


def rich_text_of(markdown: str) -> str:
    message: Any = rich(markdown)
    return _Page(message["html"]).text


def preview_of(markdown: str) -> str:
    part = preview(markdown)
    return part.text if part else ""


def missing(wanted: str, shown: str) -> str:
    """The rest of what should be seen, from the first character on that is not, in order."""
    rest = iter(shown)
    return next(
        (wanted[at:] for at, char in enumerate(wanted) if not char.isspace() and char not in rest), ""
    )


def shown(markdown: str) -> tuple[str, list[tuple[str, str]]]:
    """The text of the only part, and each entity's type with the text it covers."""
    (part,) = render(markdown)
    units = part.text.encode("utf-16-le")
    entities: Any = part.entities
    ends = [(entity, entity["offset"] + entity["length"]) for entity in entities]
    return part.text, [
        (entity["type"], units[2 * entity["offset"] : 2 * end].decode("utf-16-le")) for entity, end in ends
    ]


def assert_literal(*texts: str) -> None:
    """Each is shown as it was written, whatever the format, and in a stream too."""
    for text in texts:
        assert shown(text) == (text, [])
        assert "".join(rich_text_of(text).split()) == "".join(text.split())
        assert preview_of(f"{text}\n\nDone") == f"{text}\n\nDone"


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("**Note:** *this (here)*.", [("bold", "Note:"), ("italic", "this (here)")]),
        ("- **src/**: code\n- **.env**", [("bold", "src/"), ("bold", ".env")]),
        ("**API**s, **A**/**B**", [("bold", "API"), ("bold", "A"), ("bold", "B")]),
        (
            "*e.g.* *et al.* *(optional)*",
            [("italic", "e.g."), ("italic", "et al."), ("italic", "(optional)")],
        ),
        ("***a** b* **c *d***", [("italic", "a b"), ("bold", "a"), ("bold", "c d"), ("italic", "d")]),
        (
            "***all***, ~~$5~~ **$3**",
            [("bold", "all"), ("italic", "all"), ("strikethrough", "$5"), ("bold", "$3")],
        ),
        ('**f(*args)** "*x*" **so :( sad**', [("bold", "f(*args)"), ("italic", "x"), ("bold", "so :( sad")]),
        ("**Step 1)** and **/start**", [("bold", "Step 1)"), ("bold", "/start")]),
        ("__bold phrase__ and _italics_", [("bold", "bold phrase"), ("italic", "italics")]),
        ("**注意**ABC, Python**编程**", [("bold", "注意"), ("bold", "编程")]),
        ("||a|| (||b||).", [("spoiler", "a"), ("spoiler", "b")]),
        ("||a `b` c||", [("spoiler", "a "), ("code", "b"), ("spoiler", " c")]),
        ("**kwargs and **a bold phrase**", [("bold", "a bold phrase")]),
        ("**[a](https://x.yz)**", [("text_link", "a"), ("bold", "a")]),
    ],
)
def test_what_is_meant_as_formatting_formats(markdown: str, expected: list[tuple[str, str]]) -> None:
    assert shown(markdown)[1] == expected


def test_dollars_are_math_only_in_unmistakable_latex() -> None:
    assert_literal(
        "export PATH=$PATH:$HOME/bin",
        "$$ is the pid and $$ again",
        "$5 and $10, US$5-$10, 5$ and 6$",
        "$x$",
        "$a$b$c",
        "echo \\$HOME",
        "$5-$10 for a_b and 6$",
        "${A}_1:${B}_2",
        '"$a_1:$b_2"',
        "$i^$j",
    )
    assert shown("$x^2$, $a_1$ and $\\alpha$")[1] == [("code", "x^2"), ("code", "a_1"), ("code", "\u03b1")]
    assert shown("$$\nx = \\frac{1}{2}\n$$") == ("x = ½", [("pre", "x = ½")])
    assert shown("\\( x^2 + 1 \\)") == ("x^2 + 1", [("code", "x^2 + 1")])
    assert shown("costs \\$5")[0] == "costs $5"


def test_underscores_of_names_stay() -> None:
    assert_literal(
        "Edit __init__.py and call __main__",
        "self.__dict__, __init__() and '__x__'",
        "snake_case a__b",
        "_x_y_, _private, _foo_()",
        "./_x_/y and $_GET",
        "_fields_ = []",
        "search('_on_')",
        '_("a"), _("b"),_("c")',
        "__имя__",
    )


def test_asterisks_of_code_and_globs_stay() -> None:
    assert_literal(
        "a*b*c, 2*3*4 and x**2 + y**2",
        "f(*args, **kwargs) and g(**kw)",
        "(*p)*(*q)",
        "SELECT *, x.*, y.*",
        "*a*b* and *c*d",
        "char*(x)* y",
        "*p = f(q* r) + 1",
        "f(*a) and g(b* c) + 1",
        "int *a, *b; void* c",
        "-*- C++ -*-",
        '"File::*" or "File::Thing*"',
        "*.py, *.*, *.test.* and lib*.so",
        "src/**/*.ts and src/**/*.js",
        "*/5,*/10",
        "**/a/**/b and c/**",
        "^.*foo.*$ (.*)-(.*) [a-z]*x[0-9]*",
        "'*' and '*' (*) (*)",
        "/* x */ /* y */",
    )


def test_bars_and_tildes_of_code_stay() -> None:
    assert_literal(
        "if (a||b) and (c||d)", "x||y||z or 'a'||b||'c'", "a || b ||c", "~~/x ~~/y, a~~b~~c", "~x~ ~5 a ~ b"
    )


def test_a_backslash_stays_unless_it_escapes_markup() -> None:
    assert_literal(
        "C:\\Users\\_me\\*.txt and D:\\*.*",
        "\\\\server\\share",
        "\\d+\\.\\d* \\[a-z\\]\\* \\(a\\|b\\)",
        "s/\\./\\\\./g",
        "docker run \\\n-p 80:80",
        "find -name \\*.py \\;",
        "grep '\\<x\\>'",
        "/\\*.*?\\*/",
    )
    assert shown("\\*a\\* snake\\_case 2 \\* 3\\\nb") == ("*a* snake_case 2 * 3\nb", [])
    assert shown("1\\. x") == ("1. x", [])


def test_html_and_its_entities_stay() -> None:
    assert_literal("&amp; &lt;b&gt; &#42; &copy;", "a<br>b", "List<int>, Map<String, List<T>>")


def test_brackets_stay_where_no_web_address_follows() -> None:
    assert_literal(
        "text[^1]\n\n[^1]: note",
        "[ERROR]: failed\n[ERROR] again",
        "a[0](b), f[int](3), [](x) and [&](y)",
        "[see [a](b) here](c)",
        "[a](b)",
    )
    assert shown("[a](src/b.py) [c](https://x.yz)") == ("a (src/b.py) c", [("text_link", "c")])


def test_an_address_stays_whole() -> None:
    assert_literal("https://x.yz/*a*/_b_/~~c~~?d=1&amp=2")
    assert shown("**https://x.yz/a_b**") == ("https://x.yz/a_b", [("bold", "https://x.yz/a_b")])


def test_dashes_below_a_text_are_a_rule_and_no_heading() -> None:
    assert shown("text\n---\nmore") == ("text\n————————\nmore", [])
    assert_literal("a\n-\nb", "a\n=\nb")


def test_what_only_begins_like_a_quote_is_none() -> None:
    assert_literal(">= 5", ">>> x = 1")
    assert shown("> quote")[1] == [("blockquote", "quote")]


def test_the_items_of_a_list_keep_their_numbers() -> None:
    assert shown("5. five\n6. six\n8. eight")[0] == "5. five\n6. six\n8. eight"
    assert shown("3. c\n\n1. a\n7. g\n8. h")[0].split() == ["3.", "c", "1.", "a", "7.", "g", "8.", "h"]
    assert shown("1. a\n1. b\n1. c")[0] == "1. a\n2. b\n3. c", "so many write it, and mean it so"
    assert_literal("007. Bond")


def test_a_rich_table_keeps_its_surplus_cells() -> None:
    assert "2 | 3" in rich_text_of("| a | b |\n|---|---|\n| 1 | 2 | 3 |")


INNER = "# Title\n\n```python\nx = 1\n```\n\nCall __init__ then.\n"
NESTED = f"Here:\n\n```markdown\n{INNER}```\n\n**After.**"


def test_a_block_within_a_block_does_not_end_it() -> None:
    assert shown(NESTED) == (
        f"Here:\n\n{INNER.strip()}\n\nAfter.",
        [("pre", INNER.strip()), ("bold", "After.")],
    )
    assert rich_text_of(NESTED) == f"Here:{INNER.strip()}After."
    deeper = "```md\n```sh\n```py\nx\n```\n```\ny\n```\nz"
    assert shown(deeper) == ("```sh\n```py\nx\n```\n```\ny\nz", [("pre", "```sh\n```py\nx\n```\n```\ny")])
    quoted = "".join(f"> {line}\n" for line in NESTED.splitlines())
    assert shown(quoted)[0] == f"Here:\n\n{INNER.strip()}\n\nAfter."


def test_fences_without_end_are_shown_as_they_were_written() -> None:
    text = "```\n" * 400 + "x"
    assert shown(text) == (text, [])


@pytest.mark.parametrize(
    ("blocks", "codes"),
    [
        ("```py\na\n```\nb\n```py\nc\n```\nd\n```\ne\n```", ["a", "c", "e"]),
        ("```py\na\n```\nb\n```py\nc", ["a", "c"]),
        ("```py\na\n```js\nb\n```\nc", ["a\n```js\nb"]),
        ("```py\na\n```js\nb\n```\nc\n```sh\nd\n```\ne", ["a\n```js\nb", "d"]),
        ("```py\na\n```js\nb\n```\nc\n```\nd\n```", ["a\n```js\nb", "d"]),
        ("````md\n```py\na\n```\n````\nb\n```js\nc\n```", ["```py\na\n```", "c"]),
        ("> ```\n> a\n\n```py\nb\n```\nc\n```py\nd\n```", ["a", "b", "d"]),
        ("> ```\n> a\n\n```md\n```py\nb\n```\n```", ["a", "```py\nb\n```"]),
    ],
)
def test_blocks_one_after_another_are_read_as_ever(blocks: str, codes: list[str]) -> None:
    assert [text for kind, text in shown(blocks)[1] if kind == "pre"] == codes


def test_a_block_within_a_block_grows_in_a_stream_and_does_not_end_it() -> None:
    start = NESTED.index(INNER)
    for end in range(start + 1, start + len(INNER) + 1):
        part = preview(NESTED[:end])
        assert part
        (entity,) = part.entities
        assert entity["type"] == "pre"
        assert entity["offset"] + entity["length"] == len(part.text)  # type: ignore[operator]
        assert part.text.startswith(f"Here:\n\n{INNER.strip()}"[: len(part.text) - 3])
    assert preview(NESTED) == render(NESTED)[0]


def test_a_stream_of_many_blocks_within_a_block_stays_code() -> None:
    stream = "```markdown\n" + "```py\nx = 1\n```\n\nthen __this__\n\n" * 600
    for end in range(9000, 9040):
        part = preview(stream[:end])
        assert part
        assert [entity["type"] for entity in part.entities] == ["pre"]


def test_the_rest_of_a_cut_block_within_a_block_is_still_code() -> None:
    parts, rest = overflow("```markdown\n```py\n" + "x = 1\n" * 4000 + "```\n__main__\n```\n\nDone.", 2)
    assert len(parts) == 2
    assert rest
    assert rest.startswith("````markdown\nx = 1\n")
    shown_of_rest = render(rest)
    assert {entity["type"] for part in shown_of_rest for entity in part.entities} == {"pre"}
    assert shown_of_rest[-1].text.endswith("x = 1\n```\n__main__\n\nDone.")


BROKEN = "a\ud83d\ude00b \ud800 **c** \udc00"


def test_surrogates_lose_no_answer() -> None:
    assert text_of(BROKEN) == preview_of(BROKEN) == rich_text_of(BROKEN) == "a😀b \ufffd c \ufffd"
    assert plain(BROKEN)[0].text == "a😀b \ufffd **c** \ufffd"
    assert settled(BROKEN).encode()
    parts, rest = overflow(BROKEN * 4000, 2)
    assert len(parts) == 2
    assert rest
    assert rest.encode().decode().endswith("a😀b \ufffd **c** \ufffd")


Piece = tuple[str, str]  # Markdown, and what of it has to be seen


def literal(*texts: str) -> st.SearchStrategy[Piece]:
    return st.sampled_from(texts).map(lambda text: (text, text))


WORDS = literal(
    "the", "value", "is", "shown", "here,", "and", "then.", "Ünïcode", "漢字", "(c)", "(tm)", "100%"
)
CODE = literal(
    *("a*b*c", "2*3*4", "x**2", "y**10", "**kwargs", "*args", "f(*args, **kwargs)", "(*p)->x", "a[i]*b[j]"),
    *(
        "a || b",
        "(a||b)",
        "x||y||z",
        "'a'||b||'c'",
        "a|b",
        "x |= 1",
        "a && b",
        "!x",
        "x >>= 1",
        "p->q",
        "i++",
    ),
    *(
        "List<int>",
        "Map<String, List<T>>",
        "a < b > c",
        "<div>",
        "</b>",
        "<br>",
        "<!-- x -->",
        "&amp;",
        "&lt;",
    ),
    *(
        "#include <stdio.h>",
        "C#",
        "#1",
        "@decorator",
        "a[0](x)",
        "[](x)",
        "[&](y)",
        "[x]",
        "[ ]",
        "f[int](3)",
    ),
    *(
        "a == b",
        "==x==",
        "a^b^c",
        "x^2",
        "~x",
        "a ~ b",
        "~5",
        "{{x}}",
        "{% x %}",
        "%s",
        "//",
        "?:",
        "'*'",
        '"**"',
    ),
)
NAMES = literal(
    *("snake_case", "a_b_c_d", "MAX_VALUE", "_private", "__init__", "__main__", "__init__.py", "__init__()"),
    *("self.__dict__", "__a_b__", "_x_y_", "x__y", "'__main__'", "(__name__)", "@user_name", "/start_me_up"),
)
SHELL = literal(
    *(
        "$HOME",
        "$PATH:$HOME/bin",
        "${VAR}",
        "$(cmd)",
        "$$",
        "$1",
        "$@",
        "$?",
        '"$a$b"',
        "$x$",
        "\\$HOME",
        "2>&1",
    ),
    *("echo $HOME", "a | b", "a > b", "a >> b", "x; y", "--long-option", "-x", "~/x ~/y", "~~/a ~~/b", "!!"),
    *("*.py", "*.*", "src/**/*.ts", "**/*.js", "*/5 * * * *", "{a,b}/**/x", "/a/*/b/*", "lib*.so", "./_x_/y"),
)
PATHS = literal(
    *(
        "C:\\new\\table",
        "C:\\_x\\*.txt",
        "\\\\server\\share\\_a",
        "D:\\*.*",
        "C:\\$Recycle.Bin",
        "/usr/lib_x/y_z",
    ),
    *(
        "me_too@a_b.com",
        "https://x.yz/a_b_c__d__",
        "https://x.yz/*a*?b=1&amp=2",
        "https://x.yz/~~a~~",
        "<ftp://x.y>",
    ),
    *(
        "\\d+\\.\\d+",
        "\\(a\\|b\\)",
        "\\[x\\]\\*",
        "^.*foo.*$",
        "(.*)-(.*)",
        "[a-z]*[0-9]*",
        "s/\\./\\\\./g",
        "\\n",
    ),
)
PRICES = literal(
    "$5", "$10.50", "$5 and $10", "US$5", "$5-$10", "5$", "$5/month", "€5", "1.5", "(2)", "3:", "~7"
)
MARKUP: st.SearchStrategy[Piece] = st.sampled_from(
    [
        ("**Bold words**", "Bold words"),
        ("*italic words*", "italic words"),
        ("__bold phrase__", "bold phrase"),
        ("_phrase in italics_", "phrase in italics"),
        ("~~struck~~", "struck"),
        ("||spoiler||", "spoiler"),
        ("`x = $a * *b* __c__`", "x = $a * *b* __c__"),
        ("[label_of_it](https://x.yz/a_b)", "label_of_it"),
        ("[a **b**](src/a_b_c.py)", "a b(src/a_b_c.py)"),
        ("\\*not italic\\*", "*not italic*"),
        ("$E=mc^2$", "E=mc"),
    ]
)
GLUE = st.sampled_from([" ", " ", " ", ", ", "; ", ": ", " (", ") ", " — ", "\n", "\n"])


PIECES = st.one_of(WORDS, CODE, NAMES, SHELL, PATHS, PRICES, MARKUP)


def prose(glue: st.SearchStrategy[str]) -> st.SearchStrategy[Piece]:
    pieces = st.lists(st.tuples(PIECES, glue), min_size=1, max_size=10)
    return pieces.map(
        lambda found: (
            "Here: " + "".join(markdown + gap for (markdown, _), gap in found),
            "Here: " + "".join(wanted + gap for (_, wanted), gap in found),
        )
    )


def written(
    form: str, *pieces: st.SearchStrategy[Piece], wanted: str | None = None
) -> st.SearchStrategy[Piece]:
    """Put pieces into a form, and what has to be seen of them into the other one."""
    return st.tuples(*pieces).map(
        lambda found: (
            form.format(*(markdown for markdown, _ in found)),
            (wanted or form).format(*(seen for _, seen in found)),
        )
    )


LINE = prose(st.sampled_from([" ", ", ", ": ", " (", ") "])).map(lambda line: (line[0].strip(), line[1]))
CELL = st.one_of(WORDS, NAMES, PRICES, PATHS, SHELL).filter(lambda cell: "|" not in cell[0])
RAW = st.one_of(CODE, NAMES, SHELL, PATHS, PRICES).map(lambda raw: (raw[0], raw[0]))
NUMBER = st.integers(2, 90).map(lambda number: (str(number), str(number)))
BLOCK = st.one_of(
    prose(GLUE),
    written("## {}", LINE, wanted="{}"),
    written("- {}\n- {}\n  - {}", LINE, LINE, LINE, wanted="{}{}{}"),
    written("{}. {}\n{}. {}", NUMBER, LINE, NUMBER, LINE),
    written("> {}\n> {}", LINE, LINE, wanted="{}{}"),
    written("{}\n---\n{}", LINE, LINE, wanted="{}—{}"),
    written("| k | v |\n|---|---|\n| {} | {} |\n| {} | a \\| b | {} |", *[CELL] * 4, wanted="{}{}{}a|b{}"),
    written("```py\n{}\n{}\n```", RAW, RAW, wanted="{}{}"),
    written(
        "```markdown\n# {}\n```py\n{}\n```\n{}\n```",
        RAW, RAW, RAW,
        wanted="# {}```py{}```{}",
    ),
)  # fmt: skip
DOCUMENT = st.lists(BLOCK, min_size=1, max_size=5)


@SETTINGS
@given(DOCUMENT)
def test_a_document_with_code_in_it_loses_no_character(blocks: list[Piece]) -> None:
    markdown = "\n\n".join(block for block, _ in blocks)
    wanted = "".join(seen for _, seen in blocks)
    assert not missing(wanted, text_of(markdown))
    assert not missing(wanted, rich_text_of(markdown))
    assert not missing(wanted, preview_of(f"{markdown}\n\nDone"))


@SETTINGS
@given(DOCUMENT, BLOCK, st.data())
def test_a_stream_has_lost_no_character_before_its_last_block(
    blocks: list[Piece], last: Piece, data: st.DataObject
) -> None:
    markdown = "".join(f"{block}\n\n" for block, _ in blocks)
    wanted = "".join(seen for _, seen in blocks)
    end = data.draw(st.integers(1, len(last[0])))
    assert not missing(wanted, preview_of(markdown + last[0][:end]))
