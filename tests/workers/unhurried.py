"""The agents of `agents`, for workers whose lease is as long as everybody's."""

from tgbot import lease
from tgbot.store import workers

REAL = workers.LEASE_SECONDS, workers.RENEW_SECONDS, lease.MARGIN_SECONDS

from tests.workers.agents import noted  # noqa: E402 - it makes the lease short

__all__ = ["noted"]

workers.LEASE_SECONDS, workers.RENEW_SECONDS, lease.MARGIN_SECONDS = REAL
