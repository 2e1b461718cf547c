"""Sends what the outbox holds: one sender for each chat with something to send.

`delivery` says which chats, `sender` works through one, `deliver` brings one part on screen, `kinds` knows
how, `settle` finds out what became of a send, `preview` shows the words of running turns, `reactions` what
people see on their own messages.

May import `turns` (the answers being written), `telegram`, `store` and `render`. Offers `delivery.Delivery`.
"""
