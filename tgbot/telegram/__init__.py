"""Talks to the Bot API: one call and what can become of it, what a raw update is, how fast we may send.

May import `model` and `logs`; only this room imports the Telegram library. Offers `client.BotApi`, the
errors of `errors`, `updates.parse` and `rate_limit.RateLimiter`.
"""
