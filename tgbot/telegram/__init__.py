"""Talks to the Bot API: calls and their errors, kept downloads, the parsing of raw updates, the rate limit.

May import `model`, `logs`, and of the store how files are made private; only this room imports the Telegram
library. Offers `client.BotApi`, the exceptions in `errors`, `downloads.Downloads`, `updates.parse` and
`rate_limit.RateLimiter`.
"""

import sys

# httpx imports its own command line where click happens to be installed: 2 MB that no bot needs.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None: an import of it fails
