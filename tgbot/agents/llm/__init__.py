"""The agent with a real model behind it.

Only what the first turn imports may import pydantic_ai, openai, anthropic or mcp: they cost seconds and tens
of megabytes, and neither a start nor any other agent needs them.
"""
