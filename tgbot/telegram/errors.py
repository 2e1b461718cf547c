"""What can become of a call to the Bot API, other than its result."""

from tgbot.model import ChatId


class BotApiError(Exception):
    """A call failed; the text has no token in it."""


class UnreachableError(BotApiError):
    """No answer, or none of use: the call may or may not have taken effect."""


class NotSentError(UnreachableError):
    """There was no connection, so nothing took effect."""


class RefusedError(BotApiError):
    """Telegram will not do this, however often it is asked."""


class NotModifiedError(RefusedError):
    """The message reads as asked already: for an edit this is success."""


class MessageGoneError(RefusedError):
    """The message to edit is not there any more."""


class ChatMigratedError(RefusedError):
    """The group became a supergroup: what was there is at `new_chat_id` now."""

    def __init__(self, reason: str, new_chat_id: ChatId) -> None:
        super().__init__(reason)
        self.new_chat_id = new_chat_id


class FloodedError(BotApiError):
    """Too many requests; nothing took effect."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"asked to wait {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class ConflictError(BotApiError):
    """Another process polls with this token, or a webhook is set."""


class TokenRefusedError(BotApiError):
    """The server does not know this token."""


class FileTooLargeError(BotApiError):
    """A file has more bytes than may be downloaded; `size_bytes` is None where Telegram does not say."""

    def __init__(self, max_bytes: int, size_bytes: int | None = None) -> None:
        found = "the file is larger" if size_bytes is None else f"the file has {size_bytes} bytes, more"
        super().__init__(f"{found} than the {max_bytes} bytes that may be downloaded")
        self.max_bytes = max_bytes
        self.size_bytes = size_bytes
