"""The durable life of a message: one function = one transaction = one arrow of docs/lifecycle.md.

`inbox` takes updates in, `turns` claims rows and ends turns, `outbox` holds what is to be shown,
`report` only reads. All are plain functions of a connection: `await db.write(turns.finish, ...)`.
"""
