"""Agents to begin with: each runs as it is, and docs/agents.md explains what they use."""
