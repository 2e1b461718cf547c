"""Every quirk of SQLite: the file, its lock, its write-ahead log, copies of it."""
