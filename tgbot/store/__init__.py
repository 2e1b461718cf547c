"""The durable state of every message: one function = one transaction = one arrow of docs/lifecycle.md.

May import `engine`, `render` and `model`; only this room contains SQL. Offers plain functions of a
connection, for `await db.write(turns.end, ...)`: `inbox` stores updates, `turns` claims rows and ends turns,
`outbox` stores answers, `sending` records what becomes of them, `report` only reads.
"""
