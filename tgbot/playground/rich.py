"""Rich messages: the HTML a bot sends, as the blocks that Telegram answers with. Pure functions."""

from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from tgbot.playground.errors import bad_request

RICH_CHARACTERS_MAX = 32_768  # https://core.telegram.org/bots/api#rich-message-formatting-options
BLOCKS_MAX = 500
DEPTH_MAX = 32

_INLINE = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "code": "code",
    "sub": "subscript",
    "sup": "superscript",
    "mark": "marked",
}
_HEADINGS = {f"h{size}": size for size in range(1, 7)}
_VOID = ("br", "hr")
_BLOCKS = {"p", "ul", "ol", "blockquote", "pre", "table", "hr", "details", "tg-math-block", *_HEADINGS}
_INNER = {"li", "tr", "th", "td", "summary", "a", "tg-math", "br"}


@dataclass
class Node:
    """An element of the HTML, or its root."""

    tag: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    children: list["Node | str"] = field(default_factory=list)

    def text(self) -> str:
        """Return all text inside."""
        return "".join(child if isinstance(child, str) else child.text() for child in self.children)

    def inside(self, *tags: str) -> list["Node"]:
        """Return the children with one of these tags."""
        return [child for child in self.children if isinstance(child, Node) and child.tag in tags]


def rich_content(given: dict[str, Any]) -> dict[str, Any]:
    """Return the `rich_message` field of a Message for an InputRichMessage, or refuse it."""
    if given.keys() - {"html", "is_rtl", "skip_entity_detection"} or not given.get("html"):
        raise bad_request("rich messages are modelled by their html field only")
    if len(given["html"]) > RICH_CHARACTERS_MAX:
        raise bad_request("message is too long")
    root = _parsed(given["html"])
    blocks = _blocks(root)
    if not root.text().strip():
        raise bad_request("message text is empty")
    if len(blocks) > BLOCKS_MAX:
        raise bad_request(f"a rich message has at most {BLOCKS_MAX} blocks")
    return {"rich_message": {"blocks": blocks} | ({"is_rtl": True} if given.get("is_rtl") else {})}


class _Tree(HTMLParser):
    """Builds the nodes, and refuses what Telegram's HTML does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.open = [Node("root")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _BLOCKS | _INNER | _INLINE.keys():
            raise bad_request(f'can\'t parse entities: unsupported start tag "{tag}"')
        node = Node(tag, dict(attrs))
        self.open[-1].children.append(node)
        if tag in _VOID:
            return
        self.open.append(node)
        if len(self.open) > DEPTH_MAX:
            raise bad_request("can't parse entities: the tags are nested too deeply")

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if self.open[-1].tag != tag:
            raise bad_request(f'can\'t parse entities: unmatched end tag "{tag}"')
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def _parsed(html: str) -> Node:
    tree = _Tree()
    tree.feed(html)
    tree.close()
    if len(tree.open) > 1:
        raise bad_request(
            f"can't parse entities: can't find end tag corresponding to \"{tree.open[-1].tag}\""
        )
    return tree.open[0]


def _blocks(node: Node) -> list[dict[str, Any]]:
    """Return the blocks inside a node; text between them becomes paragraphs."""
    blocks: list[dict[str, Any]] = []
    loose: list[Node | str] = []
    for child in [*node.children, Node("end")]:
        if isinstance(child, str) or child.tag not in _BLOCKS | {"end"}:
            loose.append(child)
            continue
        if Node("", {}, loose).text().strip():
            blocks.append({"type": "paragraph", "text": _text(loose)})
        loose = []
        if child.tag != "end":
            blocks.append(_block(child))
    return blocks


def _block(node: Node) -> dict[str, Any]:
    return _MAKERS.get(node.tag, _paragraph)(node)


def _paragraph(node: Node) -> dict[str, Any]:
    return {"type": "paragraph", "text": _text(node.children)}


def _heading(node: Node) -> dict[str, Any]:
    return {"type": "heading", "size": _HEADINGS[node.tag], "text": _text(node.children)}


def _list(node: Node) -> dict[str, Any]:
    return {"type": "list", "items": _items(node)}


def _table(node: Node) -> dict[str, Any]:
    rows = [[_cell(cell) for cell in row.inside("th", "td")] for row in node.inside("tr")]
    return {"type": "table", "cells": rows}


def _divider(_node: Node) -> dict[str, Any]:
    return {"type": "divider"}


def _formula(node: Node) -> dict[str, Any]:
    return {"type": "mathematical_expression", "expression": node.text()}


def _quotation(node: Node) -> dict[str, Any]:
    return {"type": "blockquote", "blocks": _blocks(node)}


def _items(node: Node) -> list[dict[str, Any]]:
    """Return the items of a list; those of an ordered one have a value."""
    items = [{"label": "•", "blocks": _blocks(item)} for item in node.inside("li")]
    if node.tag == "ol":
        first = int(node.attributes.get("start") or 1)
        return [item | {"label": f"{value}.", "value": value} for value, item in enumerate(items, first)]
    return items


def _preformatted(node: Node) -> dict[str, Any]:
    code = (node.inside("code") or [node])[0]
    language = (code.attributes.get("class") or "").removeprefix("language-")
    return {"type": "pre", "text": node.text()} | ({"language": language} if language else {})


def _cell(node: Node) -> dict[str, Any]:
    header = {"is_header": True} if node.tag == "th" else {}
    return {
        "text": _text(node.children),
        "align": node.attributes.get("align") or "left",
        "valign": "top",
    } | header


def _details(node: Node) -> dict[str, Any]:
    summary = [child for one in node.inside("summary") for child in one.children]
    rest = Node(
        "", {}, [child for child in node.children if isinstance(child, str) or child.tag != "summary"]
    )
    return {"type": "details", "summary": _text(summary), "blocks": _blocks(rest)}


_MAKERS: dict[str, Callable[[Node], dict[str, Any]]] = {
    **dict.fromkeys(_HEADINGS, _heading),
    **dict.fromkeys(("ul", "ol"), _list),
    "pre": _preformatted,
    "table": _table,
    "hr": _divider,
    "blockquote": _quotation,
    "details": _details,
    "tg-math-block": _formula,
}


def _text(children: list[Node | str]) -> Any:  # noqa: ANN401  a RichText: str, dict or list of them
    """Return a RichText; several pieces are a list."""
    pieces = [child if isinstance(child, str) else _inline(child) for child in children]
    return pieces[0] if len(pieces) == 1 else pieces or ""


def _inline(node: Node) -> str | dict[str, Any]:
    if node.tag == "br":
        return "\n"
    if node.tag == "a":
        return {"type": "url", "text": _text(node.children), "url": node.attributes.get("href") or ""}
    if node.tag == "tg-math":
        return _formula(node)
    if node.tag not in _INLINE:
        raise bad_request(f"can't parse entities: tag \"{node.tag}\" can't be inside text")
    return {"type": _INLINE[node.tag], "text": _text(node.children)}
