"""How a reply names a message: by its first words."""

import json

from tgbot.model import message_text

QUOTE_CHARACTERS = 40


def quote(raw: str) -> str:
    """Shorten the text of a stored update."""
    try:
        text = " ".join(message_text(json.loads(raw)["message"]).split()) or "(no text)"
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return "(unreadable)"  # stored by a version that took it: /stop has to work all the same
    short = text if len(text) <= QUOTE_CHARACTERS else text[: QUOTE_CHARACTERS - 1] + "…"
    return f"“{short}”"
