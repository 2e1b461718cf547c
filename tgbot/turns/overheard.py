"""Pure: one line for what somebody in a group said to others."""

import dataclasses

from tgbot.model import Raw, message_text
from tgbot.turns.prompt import CUT, field, prompt_of
from tgbot.turns.reading import context_of

LINE_MAX_CHARACTERS = 500


def line_of(message: Raw) -> str:
    """Make the line "Name: words", with what came with the words in brackets."""
    context = context_of([message])
    words = prompt_of(message_text(message), dataclasses.replace(context, in_group=False))
    line = f"{field(context.sender.name) or 'somebody'}: {' '.join(words.split())}"
    return line if len(line) <= LINE_MAX_CHARACTERS else line[:LINE_MAX_CHARACTERS] + CUT
