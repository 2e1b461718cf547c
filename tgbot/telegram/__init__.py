"""Talks to the Bot API: calls and their errors, the parsing of raw updates, the rate limit.

May import `model` and `logs`; only this room imports the Telegram library. Offers `client.BotApi`, the
exceptions in `errors`, `updates.parse` and `rate_limit.RateLimiter`.
"""
