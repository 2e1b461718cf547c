"""Reactions that a bot may set."""

from typing import Any

from tgbot.playground.errors import bad_request

# https://core.telegram.org/bots/api#reactiontypeemoji
_EMOJI = (
    "❤ 👍 👎 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 "
    "🤡 🥱 🥴 😍 🐳 ❤‍🔥 🌚 🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 🍓 🍾 💋 "
    "🖕 😈 😴 😭 🤓 👻 👨‍💻 👀 🎃 🙈 😇 😨 🤝 ✍ 🤗 🫡 🎅 🎄 ☃ "
    "💅 🤪 🗿 🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀ 😡 "
)
EMOJI = frozenset(_EMOJI.split())


def check_reaction(reaction: list[Any]) -> list[dict[str, Any]]:
    """Return a bot's reaction, or refuse it: at most one, an emoji of Telegram's list."""
    if len(reaction) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    for one in reaction:
        if not isinstance(one, dict) or one.keys() != {"type", "emoji"} or one["type"] != "emoji":
            raise bad_request("REACTION_INVALID")
        if one["emoji"] not in EMOJI:
            raise bad_request("REACTION_INVALID")
    return reaction
