"""The bots are removed from a group, and added again."""

from tgbot.playground.errors import bad_request
from tgbot.playground.membership import ADMIN
from tgbot.playground.world import World


def remove_bots(world: World, chat_id: int, *, removed: bool = True) -> None:
    """Let an administrator remove the bots from a group, or add them again."""
    chat = world.chat(chat_id)
    if chat.private:
        raise bad_request("a private chat is blocked, not left")
    if chat.blocked != removed:
        chat.blocked = removed
        world.membership_changed(chat, ADMIN, "left", lost=removed)
