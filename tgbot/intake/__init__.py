"""Takes updates in: polls or listens, parses, stores a batch in one transaction, then wakes who has work.

May import every room below it: `delivery`, `turns`, `telegram`, `store`, `render`. Offers `poller.Poller`
and `webhook.Webhook`, which hand updates to `acceptor.Acceptor`, and `commands`, the registry of what people
can type.
"""
