"""Takes updates in: polls, parses, stores each batch in one transaction, then wakes whoever has work.

May import every room below it: `delivery`, `turns`, `telegram`, `store`, `render`. Offers `poller.Poller`,
`acceptor.Acceptor` (a webhook would call the same one) and `commands`, the registry of what people can type.
"""
