"""Takes updates in: poll, parse, store a batch in one transaction, then hint to who has work.

May import every room below it: `delivery`, `turns`, `telegram`, `store`, `render`. Offers `poller.Poller`,
`acceptor.Acceptor` (a webhook would call the same one) and `commands`, the registry of what people can type.
"""
