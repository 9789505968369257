"""`drawdown exporter`: business figures for Prometheus, computed from the rows each few minutes.

A worker cannot keep totals of all accounts: it knows those whose usage it has just folded, and
forgets them when it ends. So a process of its own reads all rows, slowly, and tells what they come
to. One is enough, whatever the number of workers; more would tell the same twice. It also tells
why workers ended, which they leave in Redis (`projections.ends`).
"""

import logging
import signal
import threading
import time
from typing import Final

from redis.exceptions import RedisError

from deploy.reading.surroundings import Surroundings, surroundings
from deploy.settings import Settings
from deploy.workers import WORKERS, health_port
from projections import ends, metrics
from projections.balances.scan import scan
from projections.balances.standing import Standing
from projections.delivery.settings import STAGE as WEBHOOKS
from projections.fold.connection import redis_client
from projections.health import WorkerStatus, serve_health
from projections.metrics.errors import count_as, failed
from projections.metrics.series import begin
from schemas.ends import BY_ITSELF
from schemas.errors import ConfigurationError
from schemas.numbers import CREDIT_DECIMALS
from schemas.times import DAY

logger = logging.getLogger("drawdown")
NAME: Final = "exporter"
_ENDS_SECONDS: Final = 5.0
_SOON: Final = 7 * DAY
_ONE: Final = 10**CREDIT_DECIMALS


def run_exporter(settings: Settings) -> None:
    """Read and tell until SIGTERM or SIGINT. Raises StoreUnavailable, LogUnavailable."""
    begin(NAME)
    count_as(NAME)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    status = WorkerStatus(NAME, joined=True, ready=True)
    server = serve_health(status, settings.health_host, health_port(NAME, settings))
    threading.Thread(target=_tell_ends, args=(settings, stop), name="ends", daemon=True).start()
    around = surroundings(settings)
    logger.info("reading all rows every %d s", settings.exporter_seconds)
    while not stop.is_set():
        _tell_all(around, stop)
        stop.wait(settings.exporter_seconds)
    server.shutdown()


def _tell_all(around: Surroundings, stop: threading.Event) -> None:
    partitions = around.partitions()
    if not partitions:
        raise ConfigurationError("the topics do not exist yet: `drawdown topics` creates them")
    for partition in partitions:
        started, now = time.monotonic(), time.time_ns() // 1_000
        standing = scan(around.snapshots, partition, now + _SOON, stop.wait)
        tell(partition, standing)
        metrics.SCAN_SECONDS.labels(partition).set(time.monotonic() - started)
        metrics.SCAN_TIMESTAMP.labels(partition).set(time.time())
        if stop.is_set():
            return


def _tell_ends(settings: Settings, stop: threading.Event) -> None:
    """Often, in a thread of its own: a scan of all rows may take minutes.

    Told is what comes from now on, as with any counter. What happened before would look like a leap
    where this process starts again beside a Redis that came back older.
    """
    client = redis_client(settings.redis_access)
    for worker in (*WORKERS, WEBHOOKS):
        for reason in BY_ITSELF:
            metrics.WORKER_ENDS.labels(worker, reason)
    seen: ends.Ends | None = None
    while not stop.is_set():
        try:
            found = ends.read(client, settings.key_prefix)
            for labels, count in ends.grown(found if seen is None else seen, found).items():
                metrics.WORKER_ENDS.labels(*labels).inc(count)
            seen = found
        except RedisError as error:
            logger.warning("how workers ended is not known: %s", error)
            failed(error)
        stop.wait(_ENDS_SECONDS)


def tell(partition: int, standing: Standing) -> None:
    """Set the gauges of a partition; what was counted in units is told in credits and money."""
    counts = {
        metrics.ACCOUNTS: standing.accounts,
        metrics.LOW_ACCOUNTS: standing.low,
        metrics.DEPLETED_ACCOUNTS: standing.depleted,
        metrics.OVERDRAWN_ACCOUNTS: standing.overdrawn,
        metrics.EXPIRING_GRANTS: standing.expiring_grants,
    }
    units = {
        metrics.AVAILABLE_CREDITS: standing.available,
        metrics.OVERAGE_CREDITS: standing.overage,
        metrics.EXPIRING_CREDITS: standing.expiring,
    }
    for gauge, count in counts.items():
        gauge.labels(partition).set(count)
    for gauge, amount in units.items():
        gauge.labels(partition).set(amount / _ONE)
    for (currency, part), amount in standing.money.items():
        metrics.COST_BASIS.labels(partition, currency, part).set(amount / _ONE)
