"""Runs turns: who may run next, one turn to its ending, what the agent has said so far, what an agent is.

May import `store` and `render`, but nothing of Telegram: a turn never waits for the network. Offers
`dispatcher.Dispatcher`, `runner.TurnRunner`, `agent_loop.Agents`, `answer.LiveAnswer` and, for authors of
agents, `agent` and `context`.
"""
