"""The errors that a call to the Bot API can end with."""

from tgbot.model import ChatId


class BotApiError(Exception):
    """A call failed; the text has no token in it."""


class UnreachableError(BotApiError):
    """No answer, or a useless one: the call may or may not have taken effect."""


class NotSentError(UnreachableError):
    """There was no connection, so nothing took effect."""


class RefusedError(BotApiError):
    """Telegram refuses this, and nothing took effect: asking again at once does not help."""


class NotModifiedError(RefusedError):
    """The message already reads as asked: for an edit this is success."""


class MessageGoneError(RefusedError):
    """The message to edit or delete is not there."""


class NotOursError(MessageGoneError):
    """The message to edit is there, but somebody else's: no edit can go into it."""


class TopicGoneError(RefusedError):
    """The topic was deleted or closed; the chat itself may still take the message."""


class NotNowError(RefusedError):
    """The bot is blocked, muted or not in the chat: it may pass when the chat is active again."""


class ChatMigratedError(RefusedError):
    """The group became a supergroup, whose id is `new_chat_id`."""

    def __init__(self, reason: str, new_chat_id: ChatId) -> None:
        super().__init__(reason)
        self.new_chat_id = new_chat_id


class FloodedError(BotApiError):
    """Too many requests: nothing took effect, and Telegram asks to wait `retry_after_seconds`.

    At least a second and at most a day, whatever the server said.
    """

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"asked to wait {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class ConflictError(BotApiError):
    """Another process polls with this token, or a webhook is set."""


class TokenRefusedError(BotApiError):
    """The server does not know this token."""


class FileTooLargeError(BotApiError):
    """A file has more than `max_bytes`; `size_bytes` is None where Telegram does not say how many."""

    def __init__(self, max_bytes: int, size_bytes: int | None = None) -> None:
        found = "the file is larger" if size_bytes is None else f"the file has {size_bytes} bytes, more"
        super().__init__(f"{found} than the {max_bytes} bytes that may be downloaded")
        self.max_bytes = max_bytes
        self.size_bytes = size_bytes
