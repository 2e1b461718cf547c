"""Sends what the outbox holds: one sender for each chat with something to send, previews, reactions.

May import `turns` (the answers being written), `telegram`, `store` and `render`. Offers `delivery.Delivery`.
"""
