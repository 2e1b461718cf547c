"""Decides who may talk to the bot."""

from collections.abc import Collection
from dataclasses import dataclass

from tgbot.model import UserId


@dataclass(frozen=True, slots=True)
class Access:
    """The ids of the users who may talk; None means everyone, an empty set nobody."""

    allowed_users: Collection[UserId] | None

    def may_talk(self, user_id: UserId) -> bool:
        """Whether a user may talk: asked on arrival, and before each turn, as settings change meanwhile."""
        return self.allowed_users is None or user_id in self.allowed_users
