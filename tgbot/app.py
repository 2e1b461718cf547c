"""Composition root: builds everything, runs the services, takes them down in reverse."""

import asyncio
import contextlib
import functools
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from tgbot.access import Access
from tgbot.config import Settings, load, nobody_allowed, wrong_setting
from tgbot.delivery.delivery import Delivery
from tgbot.intake import pairing
from tgbot.intake.acceptor import Acceptor
from tgbot.intake.attempts import Attempts
from tgbot.intake.batch import Rules
from tgbot.intake.commands import ModelRules
from tgbot.intake.limits import Limits
from tgbot.intake.poller import Poller
from tgbot.lag import Lag
from tgbot.lease import Lease
from tgbot.model import InstanceId, Owner, SessionKey
from tgbot.neighbours import Neighbours
from tgbot.pruner import Pruner
from tgbot.reload import Reloader
from tgbot.store import allowed, modes, recovery, strangers, upgrading
from tgbot.store.engine.errors import DatabaseRefusedError, LeaseLostError, StorageError
from tgbot.store.engine.place import Place, place_of
from tgbot.store.engine.retry import retry_within, run_within
from tgbot.store.engine.revisions import REVISION, check_revision
from tgbot.store.engine.writer import Database
from tgbot.store.instances import POLLER
from tgbot.store.workers import Renewed
from tgbot.telegram.client import BotApi
from tgbot.telegram.downloads import Downloads
from tgbot.telegram.errors import BotApiError, FileTooLargeError
from tgbot.telegram.rate_limit import RateLimiter
from tgbot.turns.agent import MODEL_AGENT, Agent, Attachment, DownloadError
from tgbot.turns.agent_loop import Agents
from tgbot.turns.dispatcher import Dispatcher
from tgbot.turns.runner import CANCEL_SECONDS, AnswerOptions, TurnRunner
from tgbot.watch import notify
from tgbot.watch.watchdog import Watchdog

log = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0  # for what is on its way to Telegram when the turns have ended
SPARE_THREADS = 8  # beside one for each turn: agents resolve names of hosts in the same ones
STOP_MARGIN_SECONDS = 10.0  # beside the grace and the flush, for what is closed at last
OPEN_SECONDS_MAX = 900.0  # for one try to open the database: a large one is copied and migrated
STDIN = 0  # the descriptor; sys.stdin is None where it is closed
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Service(Protocol):
    """What runs for as long as the bot does."""

    async def serve(self) -> None:
        """Serve until it is cancelled."""


async def run(
    settings: Settings,
    agent: Agent,
    show: Callable[[str], None] = print,
    reload: Callable[[], Settings] = load,
    adapt: Callable[[Settings], None] = lambda _: None,
) -> None:
    """Run the bot until SIGTERM or Ctrl-C.

    `show` gets the lines for whoever started a bot that has no owner: how to become it. On SIGHUP `reload`
    reads the settings again, and `adapt` lets the agent go by them; both may raise ConfigError.
    Raises ConfigError, DatabaseLockedError, StorageError, SchemaError (also where a newer worker has upgraded
    the database meanwhile); in an ExceptionGroup TokenRefusedError,
    DatabaseDamagedError and whatever made a service die: the process has to end then, and the next
    one recovers.
    """
    traces = [*_traces(settings)]
    notifier = notify.of_environment()
    reloader = functools.partial(Reloader, settings, reload, adapt)
    place = place_of(settings.database_url)
    with place.owned():
        async with contextlib.AsyncExitStack() as resources:
            begin = functools.partial(_begin, settings, place, resources, notifier)
            db, instance_id = await retry_within(settings.start_within_seconds, begin, DatabaseRefusedError)
            api = await resources.enter_async_context(BotApi(settings.token, settings.api_url))
            downloads = Downloads(api, settings.database_file or Path("tgbot"))
            # As many agents as there are turns may block in one of its threads.
            agents = await resources.enter_async_context(
                Agents(
                    agent,
                    functools.partial(_download, downloads),
                    functools.partial(run_within, settings.turn_timeout_seconds, db.write),
                    functools.partial(run_within, settings.turn_timeout_seconds, db.read),
                    settings.max_turns + SPARE_THREADS,
                )
            )
            log.info("app.started instance=%s pid=%s", instance_id, os.getpid())
            owner = Owner(settings.bot_id, instance_id, settings.max_turns, settings.crashes_max)
            lease = Lease(db, instance_id)
            api.is_over = lease.is_over
            invite = functools.partial(_invite, settings, db, lease, show)
            await _serve(
                settings, agents, db, api, downloads, owner, lease, invite, traces, reloader, notifier
            )
            check_revision(place, lease.revision)
    log.info("app.stopped instance=%s", instance_id)


async def run_on(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - those of `run`
    """Run the bot as `run` does, and begin anew where others had to go on with what it did."""
    while True:
        try:
            return await run(*args, **kwargs)
        except* LeaseLostError as lost:
            log.warning("app.begins_anew reason=%s", lost.exceptions[0])


async def _begin(
    settings: Settings, place: Place, resources: contextlib.AsyncExitStack, notifier: notify.Notifier
) -> tuple[Database, InstanceId]:
    """Open the database, brought up to date, for as long as the resources are kept. Raises StorageError."""
    notifier.send(notify.extend(OPEN_SECONDS_MAX), "STATUS=opening the database")
    upgrading.upgrade(place)
    async with contextlib.AsyncExitStack() as failing:
        db = await failing.enter_async_context(place.database())
        await _note(settings, db)
        instance_id = await db.write(recovery.begin_instance, os.getpid(), socket.gethostname())
        resources.push_async_exit(failing.pop_all())
    return db, instance_id


async def _note(settings: Settings, db: Database) -> None:
    """Keep what transactions need of the settings. Raises StorageError."""
    await db.write(modes.set_default, settings.bot_id, settings.mode)
    await db.write(allowed.note_settings, settings.bot_id, settings.allowed_users, settings.speakers)


async def _download(downloads: Downloads, session_key: SessionKey, file: Attachment) -> bytes:
    """Fetch a file for an agent. Raises DownloadError, in words for the user; the log has the reason."""
    try:
        return await downloads.fetch(session_key, file.file_id, file.unique_id)
    except FileTooLargeError as error:
        raise DownloadError.too_large(file, error.max_bytes, error.size_bytes) from None
    except BotApiError as error:
        log.warning("agents.download_failed file=%s reason=%s", file.unique_id, error)
        raise DownloadError(f"{file.label} could not be downloaded.") from None


async def _invite(
    settings: Settings, db: Database, lease: Lease, show: Callable[[str], None], username: str
) -> None:
    """Let whoever started a bot without an owner become it, and nobody become the owner of another one.

    Raises StorageError.
    """
    if not await lease.has("inviter"):  # another worker has printed the only code that counts
        return
    line = nobody_allowed(settings)
    owner_id = await db.write(allowed.owner_of, settings.bot_id)
    if line is None or owner_id is not None:
        await db.write(strangers.close_pairing, settings.bot_id)
        return
    log.warning("app.nobody_allowed %s", line)
    code = pairing.new_code()
    await db.write(strangers.open_pairing, settings.bot_id, pairing.stored(code))
    for said in pairing.invitation(username, code, with_picture=pairing.is_drawable(sys.stdout)):
        show(said)


async def _serve(  # noqa: PLR0913, PLR0917 - all that was built before
    settings: Settings,
    agents: Agents,
    db: Database,
    api: BotApi,
    downloads: Downloads,
    owner: Owner,
    lease: Lease,
    invite: Callable[[str], Awaitable[None]],
    traces: Sequence[Service],
    make_reloader: Callable[[Callable[[Settings], Awaitable[None]]], Reloader],
    notifier: notify.Notifier,
) -> None:
    limiter = _limiter(settings)
    delivery = _delivery(settings, db, api, owner, limiter)
    runner = TurnRunner(agents, _access(settings), delivery.answers, _answer_options(settings))
    dispatcher = Dispatcher(db, owner, runner, observer=delivery)
    acceptor = Acceptor(db, _rules(settings), dispatcher, delivery, downloads.forget)
    intake = _intake(settings, api, acceptor, lease, Attempts(api, acceptor, delivery, invite))
    pruner = Pruner(db, settings.keep_days)
    watchdog = Watchdog(notifier, db, owner.instance_id)

    async def change(new: Settings) -> None:
        await _note(new, db)
        if nobody_allowed(new) is None:
            await db.write(strangers.close_pairing, new.bot_id)
        acceptor.change(_rules(new))
        runner.change(_access(new), _answer_options(new))
        pruner.keep_days = new.keep_days

    reloader = make_reloader(change)
    with _signals(reloader.ask) as asked_to_stop:
        lease.heard = functools.partial(_heard, limiter, asked_to_stop)
        async with asyncio.TaskGroup() as services:
            watch = [*_watch(settings, db, dispatcher, delivery), *traces]
            serving: list[Service] = [
                *(agents, delivery, delivery.cards, dispatcher, db, downloads, pruner, Lag()),
                *(reloader, watchdog, lease, Neighbours(db, dispatcher, delivery)),
                *watch,
            ]
            kept = [services.create_task(s.serve(), name=type(s).__name__) for s in serving]
            taking = services.create_task(intake.serve(), name=type(intake).__name__)
            try:
                await asked_to_stop
            except asyncio.CancelledError:  # a service died: what runs is given back, not failed
                await dispatcher.drain(0)
                await delivery.flush(0)  # this process may begin anew
                raise
            grace_seconds = reloader.settings.grace_seconds
            watchdog.stopping(stop_seconds(grace_seconds))
            await _ended(taking)
            log.info("app.stopping running_turns=%s", dispatcher.running)  # and nothing more is claimed
            await dispatcher.drain(grace_seconds)
            await delivery.flush(FLUSH_SECONDS)
            for task in kept:
                await _ended(task)
            with contextlib.suppress(StorageError):  # then it ends by itself
                await lease.end()


def _heard(limiter: RateLimiter, asked_to_stop: asyncio.Future[None], renewed: Renewed) -> None:
    """Go by what the lease learned of the other workers: share the rate, and end where a newer one begins."""
    limiter.share(renewed.live)
    if renewed.revision > REVISION and not asked_to_stop.done():
        log.warning("app.outdated schema=%s ours=%s", renewed.revision, REVISION)
        asked_to_stop.set_result(None)


def stop_seconds(grace_seconds: float) -> float:
    """Compute how long a stop may take, for whoever would kill the process after that."""
    return grace_seconds + CANCEL_SECONDS + FLUSH_SECONDS + STOP_MARGIN_SECONDS


def _intake(settings: Settings, api: BotApi, acceptor: Acceptor, lease: Lease, tries: Attempts) -> Service:
    """Give the service that takes updates in. Raises ConfigError."""
    if settings.webhook_url is None:
        return Poller(api, acceptor, tries, functools.partial(lease.has, POLLER))
    from tgbot.intake.webhook import Webhook  # noqa: PLC0415 - most bots poll, and start faster without it

    return Webhook(settings, api, acceptor, tries)


def _watch(settings: Settings, db: Database, dispatcher: Dispatcher, delivery: Delivery) -> Iterator[Service]:
    """Give the service that lets the process be seen from outside, where the settings want it."""
    if settings.http_address:
        from tgbot.watch.page import admin_page  # noqa: PLC0415 - most bots start without it, and faster
        from tgbot.watch.server import Watch  # noqa: PLC0415 - the same

        admin = admin_page(settings, db, dispatcher, delivery) if settings.page_tokens else None
        instance_id = dispatcher.owner.instance_id
        yield Watch(db, instance_id, settings.http_address, admin=admin, names=settings.http_hosts)
    elif settings.page_tokens:
        log.warning("app.no_admin_page set TGBOT_HTTP_ADDRESS to the address that shows it, such as 8080")


def _traces(settings: Settings) -> Iterator[Service]:
    """Give the service that exports traces, where the settings want it. Raises ConfigError."""
    if settings.traces_url:
        try:
            from tgbot.watch.traces import Traces  # noqa: PLC0415 - optional, and a quarter of a second
        except ImportError:
            missing = "it needs OpenTelemetry: pip install 'tgbot[traces]'"
            raise wrong_setting("traces_url", missing) from None
        yield Traces(settings.traces_url)


def _model_rules(settings: Settings) -> ModelRules | None:
    if settings.agent != MODEL_AGENT:
        return None
    return ModelRules(settings.allowed_models)


def _access(settings: Settings) -> Access:
    return Access(settings.allowed_users, settings.owner_id, settings.speakers)


def _rules(settings: Settings) -> Rules:
    return Rules(
        _access(settings),
        settings.queue_max,
        _model_rules(settings),
        Limits(settings.user_minute_messages_max, settings.user_day_turns_max),
        group_activation=settings.group_activation,
        group_sessions=settings.group_sessions,
        context_messages=settings.group_context_messages,
        reactions=settings.reactions,
    )


def _limiter(settings: Settings) -> RateLimiter:
    return RateLimiter(
        settings.rate_overall_per_second, settings.rate_chat_per_second, settings.rate_group_per_minute
    )


def _delivery(settings: Settings, db: Database, api: BotApi, owner: Owner, limiter: RateLimiter) -> Delivery:
    return Delivery(
        db,
        api,
        owner,
        rate_limiter=limiter,
        stream=settings.stream,
        cuts=settings.format != "rich",
        receipts=settings.receipts,
        send_within_seconds=settings.send_within_seconds,
    )


def _answer_options(settings: Settings) -> AnswerOptions:
    return AnswerOptions(
        settings.turn_timeout_seconds,
        rich=settings.format == "rich",
        notify_after_seconds=settings.notify_after_seconds,
    )


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


@contextlib.contextmanager
def _signals(reload: Callable[[], None]) -> Iterator[asyncio.Future[None]]:
    """Give a future that the first signal sets; a second one exits at once: the rows are on disk.

    SIGHUP reloads; but where a terminal is closed it means, as everywhere, that this is the end.
    """
    loop = asyncio.get_running_loop()
    asked_to_stop: asyncio.Future[None] = loop.create_future()
    in_terminal = os.isatty(STDIN)

    signalled: list[signal.Signals] = []  # it may end without one

    def stop(number: signal.Signals) -> None:
        if signalled:
            log.warning("app.killed signal=%s", number.name)
            os._exit(128 + number)
        signalled.append(number)
        if not asked_to_stop.done():
            asked_to_stop.set_result(None)

    def hang_up() -> None:
        if in_terminal and not os.isatty(STDIN):  # it is gone
            stop(signal.SIGHUP)
        else:
            reload()

    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    try:
        yield asked_to_stop
    finally:
        for number in (*SIGNALS, signal.SIGHUP):
            loop.remove_signal_handler(number)
