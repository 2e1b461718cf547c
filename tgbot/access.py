"""Who may talk to the bot."""

from dataclasses import dataclass

from tgbot.model import UserId


@dataclass(frozen=True, slots=True)
class Access:
    """The user ids that may; None means everyone, an empty set nobody."""

    allowed_users: frozenset[UserId] | None

    def may_talk(self, user_id: UserId) -> bool:
        """Asked at the door, and again before each turn: settings change while rows wait."""
        return self.allowed_users is None or user_id in self.allowed_users
