"""The durable state of every message: one function = one transaction = one arrow of docs/lifecycle.md.

May import `engine`, `render` and `model`; only this room writes SQL. Offers plain functions of a
connection, for `await db.write(turns.end, ...)`: `inbox` takes updates in, `joins` those that run as one,
`turns` claims rows and ends turns, `recovery` takes over from a process that is gone, `chats` moves a group,
`outbox` takes answers in, made of `parts`, and `files` the bytes that go with them. `sending` records what
becomes of a part, `settling` what was found of one whose fate nobody knows, `expiry` what is too old, and
`reactions` which are due. `report` only reads. `questions` keeps what turns ask, and for models `history`
the log of a session, `ledger` the calls of tools, `values` what is noted, `usage` what it costs.
`erasure` erases the words of a session.
"""
