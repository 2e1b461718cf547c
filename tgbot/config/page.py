"""Pure: docs/settings.md, made from the settings: `python -m tgbot.config.page > docs/settings.md`."""

import dataclasses
from collections.abc import Iterator
from typing import get_type_hints

from tgbot.config.reading import PREFIX, SECRETS
from tgbot.config.settings import Settings

TOP = f"""# Every setting

From the environment, or from a file `.env` in the folder in which the bot starts; the environment goes
first. Each name begins with `{PREFIX}`: `{PREFIX}TOKEN`, `{PREFIX}AGENT`. A wrong value is one line at the
start that says what to set it to; a name that no setting has is warned of. `{PREFIX}TOKEN_FILE` and the other
names with `_FILE` name a file with nothing but that secret in it; a credential of systemd (`tgbot_token`) is
found without any setting.
"""
BOTTOM = """
## Limits of tokens and dollars

No limit is overrun: before a request, what it may take at most is reserved, and afterwards what it took is
noted; what nobody knows, as after a crash, counts as it was reserved. So of a budget nearly used up the last
bit stays. Prices are those of a list that comes with pydantic-ai. Limits of dollars do not hold for a model
that is not in it (a local one, say), which the log says once; limits of tokens do.
"""
SECTIONS = {  # by the first setting of each
    "token": "The bot",
    "allowed_users": "Who may talk",
    "group_activation": "In groups",
    "max_turns": "Turns",
    "stream": "Answers",
    "keep_days": "Operation",
    "model": "With `AGENT=llm`, a model",
}
# Where the code's own default would say nothing to a reader.
IN_WORDS = {
    "api_url": "Telegram's",
    "allowed_users": "nobody",
    "webhook_address": "127.0.0.1:8443",
    "receipts": "true",
    "show_cost": "false",
    "model_url": "the provider's",
    "model_key": "the provider's variable",
}


def page() -> str:
    """Write the page."""
    return "\n".join([TOP.rstrip(), *_lines(), BOTTOM])


def _lines() -> Iterator[str]:
    hints = get_type_hints(Settings, include_extras=True)
    for field in dataclasses.fields(Settings):
        if title := SECTIONS.get(field.name):
            yield f"\n## {title}\n\n| `{PREFIX}`… | default | |\n|---|---|---|"
        names = [field.name, f"{field.name}_file"] if field.name in SECRETS else [field.name]
        listed = ", ".join(f"`{name.upper()}`" for name in names)
        yield f"| {listed} | {_default(field)} | {hints[field.name].__metadata__[1]} |"


def _default(field: dataclasses.Field[object]) -> str:
    if field.name in IN_WORDS:
        return IN_WORDS[field.name]
    if field.default is dataclasses.MISSING or field.default in {None, "", ()}:
        return ""
    return f"`{field.default}`" if isinstance(field.default, str) else str(field.default)


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - what it is there for
