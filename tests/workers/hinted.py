"""The agents of `agents`, for workers that find nothing by themselves, but by a hint."""

from tests.workers.agents import slow
from tgbot.delivery import delivery
from tgbot.turns import dispatcher

__all__ = ["slow"]

delivery.POLL_SECONDS = dispatcher.POLL_SECONDS = 3600.0  # in the worker that imports this
