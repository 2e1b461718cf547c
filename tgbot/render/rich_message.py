"""FORMAT=rich: a whole answer as one rich message (Bot API 10.1), with native headings and tables."""

from telegramify_markdown import richify, split_rich

from tgbot.render.literal import reveal_html
from tgbot.render.source import rewrite_rich


def rich_message(markdown: str) -> dict[str, object] | None:
    """Convert cleaned Markdown to an InputRichMessage; None when it needs more than one message.

    split_rich knows the limits: 32,768 bytes of HTML and 500 blocks.
    """
    message = richify(rewrite_rich(markdown))
    message.html = reveal_html(message.html or "")
    pieces = split_rich(message)
    return pieces[0].to_dict() if len(pieces) == 1 else None
