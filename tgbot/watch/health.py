"""Pure: whether the bot can do its work."""

POLL_AGE_SECONDS_MAX = 120.0  # a long poll takes 30 s, and a few may fail in a row


def why_not_ready(polled_at: float | None, now: float, database_error: str | None) -> str | None:
    """Say in one line why the bot is not ready; None if it is.

    `polled_at` and `now` are on the same clock, in seconds.
    """
    if database_error is not None:
        return f"the database: {database_error}"
    if polled_at is None:
        return "Telegram has not answered getUpdates yet"
    if now - polled_at > POLL_AGE_SECONDS_MAX:
        return f"Telegram has not answered getUpdates for {now - polled_at:.0f} s"
    return None
