"""Message ids, numbered as Telegram numbers them."""

from collections import defaultdict

from tgbot.playground.chats import SUPERGROUP_ID_MAX

SHARED_BOX = 0


def box_of(chat_id: int) -> int:
    """Return the box that a chat's messages are numbered in: a supergroup or channel has one of its own."""
    return chat_id if chat_id <= SUPERGROUP_ID_MAX else SHARED_BOX


class Boxes:
    """The newest message id of each box; no id is ever used twice, also when its message is deleted.

    All private chats and basic groups share one box, people's messages and bots' alike. At Telegram each bot
    has a shared box of its own, and one message other ids for other bots; here all bots of a world see one.
    """

    def __init__(self) -> None:
        self.last_ids: defaultdict[int, int] = defaultdict(int)

    def next_id(self, chat_id: int) -> int:
        """Return the id that the chat's next message gets."""
        return self.last_ids[box_of(chat_id)] + 1

    def take_id(self, chat_id: int) -> int:
        """Return the id of a new message in the chat; it counts as used from now on."""
        self.last_ids[box_of(chat_id)] += 1
        return self.last_ids[box_of(chat_id)]
