"""The Telegram front for an AI agent that never loses a message."""

__version__ = "0.1.0"
