"""Pure: whether the bot can do its work, and whether another worker polls for it."""

from tgbot.model import InstanceId

POLL_AGE_SECONDS_MAX = 120.0  # a long poll takes 30 s, and a few may fail in a row


def why_not_ready(polled_at: float | None, now: float, database_error: str | None) -> str | None:
    """Say in one line why the bot is not ready; None if it is.

    `polled_at` is when updates last came, or could have: see `Tally`. It and `now` are
    on the same clock, in seconds.
    """
    if database_error is not None:
        return f"the database: {database_error}"
    if polled_at is None:
        return "Telegram has not answered yet"
    if now - polled_at > POLL_AGE_SECONDS_MAX:
        return f"no updates could come from Telegram for {now - polled_at:.0f} s"
    return None


def line(why_not: str | None, instance_id: InstanceId, poller: InstanceId | None) -> str:
    """Say in one line how a worker is: why it is not ready, or that another one, the `poller`, polls."""
    if why_not:
        return f"not ready: {why_not}"
    return "ready" if poller in {None, instance_id} else f"ready, and stands by: worker {poller} polls"
