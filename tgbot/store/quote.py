"""Quotes a message in a reply by its first words."""

import json

from tgbot.model import message_text

QUOTE_CHARACTERS = 40


def quote(raw: str) -> str:
    """Quote the text of a stored update (`raw`: its JSON), QUOTE_CHARACTERS long at most."""
    try:
        text = " ".join(message_text(json.loads(raw)["message"]).split()) or "(no text)"
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return "(unreadable)"  # whatever an earlier version stored, /stop has to work
    short = text if len(text) <= QUOTE_CHARACTERS else text[: QUOTE_CHARACTERS - 1] + "…"
    return f"“{short}”"
