"""The durable life of a message: one function = one transaction = one arrow of docs/lifecycle.md.

`inbox` and `albums` take updates in, `turns` claims rows and ends turns, `outbox` takes answers in,
`sending` notes what becomes of them on their way, `report` only reads. All are plain functions of a
connection: `await db.write(turns.finish, ...)`.
"""
