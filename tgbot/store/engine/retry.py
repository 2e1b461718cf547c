"""Waits for a database that refuses for a while: locked by another program, or on a full disk."""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, TypeVar

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.errors import StorageError

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

PAUSES_SECONDS = (1.0, 2.0, 5.0, 10.0)  # the last one again and again


async def retry_within(
    seconds: float, attempt: Callable[[], Awaitable[T]], final: type[StorageError] | tuple[()] = ()
) -> T:
    """Attempt it until it succeeds, for `seconds`. Raises the last StorageError; a `final` one at once."""
    deadline = time.monotonic() + seconds
    pauses = itertools.chain(PAUSES_SECONDS, itertools.repeat(PAUSES_SECONDS[-1]))
    while True:
        try:
            return await attempt()
        except final:
            raise
        except StorageError as error:
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0:
                raise
            log.warning("db.waiting reason=%s gives_up_in_seconds=%.0f", error, left_seconds)
        await asyncio.sleep(min(next(pauses), left_seconds))


async def run_within(
    seconds: float,
    run: Callable[..., Awaitable[T]],
    operation: Callable[Concatenate[Connection, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run an operation by `run`, the database's `write` or `read`, and wait as `retry_within` does."""
    return await retry_within(seconds, lambda: run(operation, *args, **kwargs))
