"""Holds the agents that come with tgbot; `echo` is the default. May import `turns.agent` and `model`."""
