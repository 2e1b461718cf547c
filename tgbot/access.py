"""Decides who may talk to the bot, as far as the settings say (`store/allowed.py` has the rest)."""

from collections.abc import Collection
from dataclasses import dataclass

from tgbot.model import UserId


@dataclass(frozen=True, slots=True)
class Access:
    """The ids of the users who may talk; None means everyone, an empty set nobody. One may be the owner."""

    allowed_users: Collection[UserId] | None
    owner_id: UserId | None = None

    def may_talk(self, user_id: UserId) -> bool:
        """Whether the settings let a user talk: asked on arrival, and before each turn."""
        return self.allowed_users is None or user_id in self.allowed_users
