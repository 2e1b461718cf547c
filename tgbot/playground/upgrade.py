"""A group becomes a supergroup: another id, and a service message in each of the two."""

from tgbot.playground.chats import SUPERGROUP_ID_MAX
from tgbot.playground.membership import ADMIN
from tgbot.playground.world import World


def upgrade_group(world: World, chat_id: int, *, silently: bool = False) -> int:
    """Make a supergroup of a group, and return its id; `silently`: no bot is told, it meets the refusals."""
    old = world.chat(chat_id)
    new_id = SUPERGROUP_ID_MAX + chat_id
    world.make_chat(new_id, old.info["title"])
    new = world.chat(new_id)
    messages = [
        world.add_message(old, ADMIN, {"migrate_to_chat_id": new_id}),
        world.add_message(new, ADMIN, {"migrate_from_chat_id": chat_id}),
    ]
    old.upgraded_to = new_id
    for message in [] if silently else messages:
        world.inject_update({"message": message})
    return new_id
