"""Runs turns: starts and ends their tasks, runs the agent, collects its answer, defines what an agent is.

May import `store` and `render`, but nothing of Telegram: a turn never waits for the network. Offers
`dispatcher.Dispatcher`, `runner.TurnRunner`, `agent_loop.Agents`, `answer.LiveAnswer` and, for authors of
agents, `agent` and `context`.
"""
