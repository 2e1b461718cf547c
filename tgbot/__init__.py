"""The Telegram front for an AI agent that never loses a message."""
