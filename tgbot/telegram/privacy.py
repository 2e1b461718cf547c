"""Pure: Telegram's privacy mode, in which a bot does not get everything that is said in a group."""

from tgbot.model import Raw

PRIVACY_MODE = (
    "Privacy mode is on: in a group where the bot is no administrator, it gets only commands, mentions and "
    "replies to it. To let it answer everything, turn privacy mode off in @BotFather (/setprivacy, Disable), "
    "then remove the bot from the group and add it again."
)


def has_privacy_mode(me: Raw) -> bool:
    """Whether a bot has it, by what getMe says."""
    return me.get("can_read_all_group_messages") is not True
