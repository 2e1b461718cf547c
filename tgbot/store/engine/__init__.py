"""Every quirk of SQLite: the writer thread, the process lock, statements, errors, migrations.

May import nothing of tgbot. Offers `writer.Database`, `connection`, `lock.ProcessLock`,
`errors.StorageError`, `statement.Statement` and `migrate`.
"""
