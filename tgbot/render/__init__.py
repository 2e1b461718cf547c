"""Markdown to parts that Telegram accepts: text and entities, never a parse mode."""

from tgbot.render.clean import clean
from tgbot.render.split import Text, split

__all__ = ["Text", "plain"]


def plain(text: str) -> list[Text]:
    """Split a text that is not Markdown into messages; nothing to see gives no message."""
    return split(clean(text))
