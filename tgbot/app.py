"""Composition root: builds everything, runs the services, takes them down in reverse."""

import asyncio
import contextlib
import functools
import logging
import os
import signal
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tgbot.access import Access
from tgbot.config import Settings
from tgbot.delivery.delivery import Delivery
from tgbot.intake.acceptor import Acceptor
from tgbot.intake.batch import Rules
from tgbot.intake.poller import Poller
from tgbot.model import InstanceId, Owner
from tgbot.store import turns
from tgbot.store.engine.lock import ProcessLock
from tgbot.store.engine.migrate import upgrade
from tgbot.store.engine.retry import retry_within
from tgbot.store.engine.writer import Database
from tgbot.telegram.client import BotApi
from tgbot.telegram.rate_limit import RateLimiter
from tgbot.turns.agent import Agent
from tgbot.turns.dispatcher import Dispatcher
from tgbot.turns.runner import AnswerOptions, TurnRunner

log = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0  # for what is on its way to Telegram when the turns have ended
SPARE_THREADS = 8  # beside one for each turn: names of hosts are resolved in the same ones
SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def run(settings: Settings, agent: Agent) -> None:
    """Run the bot until SIGTERM or Ctrl-C.

    Raises DatabaseLockedError, StorageError; in an ExceptionGroup TokenRefusedError,
    DatabaseDamagedError and whatever made a service die: the process must exit then, and the next
    one recovers.
    """
    token = settings.token.get_secret_value()
    # Python's own number of threads (six on two cores) would be the limit of agents that block in one.
    threads = ThreadPoolExecutor(settings.max_turns + SPARE_THREADS)
    asyncio.get_running_loop().set_default_executor(threads)
    with ProcessLock(settings.database_path):
        async with contextlib.AsyncExitStack() as resources:
            begin = functools.partial(_begin, settings.database_path, resources)
            db, instance_id = await retry_within(settings.start_within_seconds, begin)
            api = await resources.enter_async_context(BotApi(token, settings.api_url))
            log.info("app.started instance=%s pid=%s", instance_id, os.getpid())
            await _serve(
                settings,
                agent,
                db,
                api,
                Owner(settings.bot_id, instance_id, settings.max_turns, settings.attempts_max),
            )
    log.info("app.stopped instance=%s", instance_id)


async def _begin(path: Path, resources: contextlib.AsyncExitStack) -> tuple[Database, InstanceId]:
    """Open the database, brought up to date, for as long as the resources are kept. Raises StorageError."""
    upgrade(path)
    async with contextlib.AsyncExitStack() as failing:
        db = await failing.enter_async_context(Database(path))
        instance_id = await db.write(turns.begin_instance, os.getpid())
        resources.push_async_exit(failing.pop_all())
    return db, instance_id


async def _serve(settings: Settings, agent: Agent, db: Database, api: BotApi, owner: Owner) -> None:
    access = Access(settings.allowed_users)
    delivery = _delivery(settings, db, api)
    runner = TurnRunner(agent, access, delivery.stage, _manner(settings))
    dispatcher = Dispatcher(db, owner, runner.run, watcher=delivery)
    acceptor = Acceptor(db, Rules(access, settings.queue_max), dispatcher, delivery)
    poller = Poller(api, acceptor, delivery)
    with _signals() as told_to_stop:
        async with asyncio.TaskGroup() as services:
            running = [services.create_task(s.serve(), name=type(s).__name__) for s in (delivery, dispatcher)]
            running.append(services.create_task(db.watch(), name="Database"))
            receiving = services.create_task(poller.serve(), name="Poller")
            await told_to_stop
            log.info("app.stopping running_turns=%s", dispatcher.running)
            await _ended(receiving)
            await dispatcher.drain(settings.grace_seconds)
            await delivery.flush(FLUSH_SECONDS)
            for task in running:
                await _ended(task)


def _delivery(settings: Settings, db: Database, api: BotApi) -> Delivery:
    return Delivery(
        db,
        api,
        settings.bot_id,
        pace=RateLimiter(
            settings.rate_overall_per_second, settings.rate_chat_per_second, settings.rate_group_per_minute
        ),
        stream=settings.stream,
        receipts=settings.receipts,
        send_within_seconds=settings.send_within_seconds,
    )


def _manner(settings: Settings) -> AnswerOptions:
    return AnswerOptions(
        settings.turn_timeout_seconds,
        rich=settings.format == "rich",
        notify_after_seconds=settings.notify_after_seconds,
    )


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


@contextlib.contextmanager
def _signals() -> Iterator[Awaitable[None]]:
    """Give a future that the first signal sets; a second one exits at once: the rows are on disk."""
    loop = asyncio.get_running_loop()
    told_to_stop: asyncio.Future[None] = loop.create_future()

    def stop(number: signal.Signals) -> None:
        if told_to_stop.done():
            log.warning("app.killed signal=%s", number.name)
            os._exit(128 + number)
        told_to_stop.set_result(None)

    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        yield told_to_stop
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
