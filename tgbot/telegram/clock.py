"""Asks the Bot API server for its time, without the token."""

from email.utils import parsedate_to_datetime

import httpx


async def server_time(url: str, wait_seconds: float) -> float | None:
    """Give the time of the server in Unix time, to the second; None if it does not say."""
    try:
        async with httpx.AsyncClient(timeout=wait_seconds) as client:
            answer = await client.head(url)
        return parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (httpx.HTTPError, KeyError, ValueError):
        return None
