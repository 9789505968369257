"""The dispatcher's process: intake in a thread, a pump for each subscription, until SIGTERM."""

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from projections import ends
from projections.delivery.files import load_subscriptions
from projections.delivery.intake import Intake
from projections.delivery.pump import Pump, Tools
from projections.delivery.sender import Sender
from projections.delivery.settings import STAGE, DeliverySettings
from projections.delivery.store import DeliveryStore
from projections.delivery.subscriptions import Subscription
from projections.files import Watched
from projections.fold.connection import check_eviction, redis_client
from projections.fold.lag import LagMeter
from projections.fold.log import Log
from projections.fold.outbox import Outbox
from projections.fold.retry import Patience
from projections.health import WorkerStatus, end, serve_health, watch_progress
from projections.metrics import WEBHOOKS_DISABLED, WEBHOOKS_WAITING
from projections.metrics.errors import count_as
from projections.metrics.series import begin_webhooks
from schemas.errors import ConfigurationError
from schemas.topics import ALERTS, WEBHOOKS_DEAD

logger = logging.getLogger("drawdown")
_THREADS: Final = 8
_LOOK_SECONDS: Final = 1.0
_LEAVE_SECONDS: Final = 5.0


class Dispatcher:
    """Everything of one process. `run` once, in the event loop of its own."""

    def __init__(self, settings: DeliverySettings, status: WorkerStatus) -> None:
        self._settings, self._status = settings, status
        self._file = Watched(settings.subscriptions, load_subscriptions)
        patience = Patience(settings.outage_seconds, status.waiting, lambda: status.stopping)
        client = redis_client(settings.redis)
        patience.run(lambda: check_eviction(client))
        self._store = DeliveryStore(client, settings.key_prefix, patience)
        self._outbox = Outbox(settings.kafka, settings.topic_prefix, status.waiting)
        self._current = self._file.content
        self._pumps: dict[str, Pump] = {}
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; waits for the attempts that are under way."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        sender = Sender(self._settings.timeout_seconds)
        threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")
        tools = Tools(self._settings, self._store, sender, self._outbox, threads)

        def wake(names: Sequence[str]) -> None:
            loop.call_soon_threadsafe(self._wake, names)

        intake = Intake(
            self._settings, self._store, self._outbox, lambda: self._current, self._status, wake
        )
        intake.start()
        async with asyncio.TaskGroup() as group:
            while not self._stop.is_set():
                self._look(group, tools)
                await tools.run(self._measure)
                try:
                    await asyncio.wait_for(self._stop.wait(), _LOOK_SECONDS)
                except TimeoutError:
                    continue
            self._wake(list(self._pumps))
            await tools.run(lambda: intake.join(_LEAVE_SECONDS))
        await sender.close()
        threads.shutdown()
        self._outbox.close()

    def _end(self) -> None:
        self._status.stopping = True
        self._stop.set()

    def _measure(self) -> None:
        subscriptions = self._current.subscriptions
        names = [each.id for each in subscriptions]
        stopped = self._store.disabled().keys() & set(names)
        stopped |= {each.id for each in subscriptions if each.disabled}
        WEBHOOKS_WAITING.labels(STAGE).set(sum(self._store.waiting(names).values()))
        WEBHOOKS_DISABLED.labels(STAGE).set(len(stopped))

    def _look(self, group: asyncio.TaskGroup, tools: Tools) -> None:
        """Read the file again if it changed; start a pump for who has none."""
        before = self._file.fault
        self._current = self._file.content
        fault = self._file.fault
        if fault is not None:
            self._status.waiting(f"the subscriptions stay as they were: {fault}")
        elif before is not None:
            self._status.waiting(None)
        if fault is not None and fault != before:
            logger.error("the subscriptions stay as they were: %s", fault)
        for each in self._current.subscriptions:
            if each.id not in self._pumps and each.disabled is None:
                pump = Pump(each.id, partial(self.find, each.id), tools)
                self._pumps[each.id] = pump
                group.create_task(self._pump(each.id, pump))

    def find(self, identity: str) -> Subscription | None:
        """The subscription, if there is something to do for it."""
        found = self._current.find(identity)
        active = found is not None and found.disabled is None and not self._status.stopping
        return found if active else None

    async def _pump(self, identity: str, pump: Pump) -> None:
        try:
            await pump.run()
        except BaseException as error:  # noqa: BLE001 - a bug ends the process too, with its trace
            end(_cause(error))
        del self._pumps[identity]

    def _wake(self, names: Sequence[str]) -> None:
        for name in names:
            if name in self._pumps:
                self._pumps[name].wake()


def run_webhooks(settings: DeliverySettings) -> None:
    """Run the dispatcher. Raises ConfigurationError, LogUnavailable, StoreUnavailable at first."""
    status = WorkerStatus(STAGE)
    begin_webhooks(STAGE)
    count_as(STAGE)
    ends.count_as(STAGE, settings.redis, ends.of_webhooks(settings.key_prefix))
    log = Log(settings.kafka, settings.topic_prefix)
    for topic in (ALERTS, WEBHOOKS_DEAD):
        if not log.partitions(topic.name):
            name = log.name(topic.name)
            raise ConfigurationError(f"no topic {name}: create the topics with `drawdown topics`")
    logger.info("starting as member %s", settings.member)
    dispatcher = Dispatcher(settings, status)
    server = serve_health(status, settings.health_host, settings.health_port)
    watched = Log(settings.kafka, settings.topic_prefix)
    watch_progress(status, progress_of(status, watched), settings.progress_seconds)
    try:
        asyncio.run(dispatcher.run())
    except BaseExceptionGroup as errors:
        end(_cause(errors))
    server.shutdown()


def progress_of(status: WorkerStatus, log: Log) -> Callable[[], tuple[object, int]]:
    """What the watchdog measures: the positions, and the alerts that are not taken in.

    The lag is told as that of every stage is; the age is since the log took an alert.
    """
    meter = LagMeter(log, STAGE, ALERTS, lambda _alert: None)

    def measure() -> tuple[object, int]:
        positions = dict(status.positions)
        return positions, meter.measure(positions)

    return measure


def _cause(error: BaseException) -> BaseException:
    """The first error of a group of tasks."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
