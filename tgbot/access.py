"""Decides who may talk to the bot, as far as the settings say (`store/allowed.py` has the rest)."""

from collections.abc import Collection
from dataclasses import dataclass

from tgbot.model import ChatId, UserId


@dataclass(frozen=True, slots=True)
class Access:
    """The ids of the users who may talk; None means everyone, an empty set nobody. One may be the owner.

    `speakers` are the chats that may talk as such, which "everyone" does not include.
    """

    allowed_users: Collection[UserId] | None
    owner_id: UserId | None = None
    speakers: Collection[ChatId] = ()

    def may_talk(self, user_id: UserId) -> bool:
        """Whether the settings let a user talk: asked on arrival, and before each turn.

        A negative id is that of a chat in whose name somebody writes.
        """
        if user_id < 0:
            return ChatId(user_id) in self.speakers
        return self.allowed_users is None or user_id in self.allowed_users
