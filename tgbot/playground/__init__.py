"""A Bot API server on loopback, the people who talk to the bot, and a page to be those people."""
