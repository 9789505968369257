"""Drawdown as a contender: its three workers, on a Redis of its own.

`load` says which documents it works under: those of the job, or *plain* (a grant an account, unit
prices) and *rich* (five grants, a contract with an override, graduated prices, thresholds on every
account, one in ten depleted), by which it is compared to itself.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import Any, Final, Literal

from deploy.provision import create_topics
from deploy.reading.held import Held, held_accounts
from deploy.reading.surroundings import surroundings
from deploy.servers.redis import RedisServer
from deploy.settings import load_settings
from deploy.supervisor import Supervisor, worker
from deploy.workers import WORKERS
from projections.balances import alerts
from projections.balances.stage import STAGE
from schemas.events import AlertEvent
from schemas.frames import Source, decode_journal
from schemas.topics import ALERTS, JOURNAL
from tests.bench import documents, load
from tests.bench.contender import Command, Work
from tests.bench.job import DEPLETED, LOW, Balance
from tests.bench.servers import redis_server
from tests.system.pipeline import Pipeline

Load = Literal["job", "plain", "rich"]
_AT_ONCE: Final = 30_000
_SETTLE_SECONDS: Final = 1_200
_TYPES: Final = {alerts.LOW: LOW, alerts.DEPLETED: DEPLETED}
_Documents = tuple[list[dict[str, Any]], Callable[[int, int], Iterator[dict[str, Any]]]]


class Drawdown:
    """One deployment. Redis keeps an append-only file where `durable`."""

    name = "Drawdown"

    def __init__(self, load: Load = "job", *, durable: bool = True) -> None:
        self._load, self._durable = load, durable
        self._stack = ExitStack()
        self._redis: RedisServer | None = None
        self._pipeline: Pipeline | None = None
        self._applied: dict[int, tuple[int, int]] = {}

    @property
    def pipeline(self) -> Pipeline:
        """The deployment, once it is prepared."""
        assert self._pipeline is not None, "prepare comes first"
        return self._pipeline

    def missing(self) -> str | None:
        """Redis comes from a wheel where none is installed."""
        return None

    def prepare(self, work: Work) -> None:
        """Start Redis, make the topics, and have the workers take in catalog, accounts, grants."""
        redis = redis_server(work.folder, durable=self._durable)
        self._redis = self._stack.enter_context(redis)
        create_topics(work.kafka, work.prefix, work.partitions, 1)
        supervisor = Supervisor([command.child(work.folder) for command in self.commands(work)])
        settings = load_settings(**self._settings(work))
        self._pipeline = Pipeline(settings, supervisor, surroundings(settings), {}, work.folder)
        supervisor.start()
        try:
            self._apply(self._pipeline, work.accounts)
        finally:
            supervisor.stop()

    def commands(self, work: Work) -> list[Command]:
        """`workers` of each kind; only admission reads usage."""
        given = {f"DRAWDOWN_{name.upper()}": text for name, text in self._settings(work).items()}
        found = []
        for member in range(work.workers):
            environment = {**given, "DRAWDOWN_MEMBER": str(member), "DRAWDOWN_HEALTH_PORT": "0"}
            for name in WORKERS:
                child = worker(name, environment)
                arguments = list(child.command)
                intake = name == "admission"
                found.append(
                    Command(f"{name}-{member}", arguments, dict(child.environment), intake)
                )
        return found

    def servers(self) -> dict[str, int]:
        """Its Redis."""
        assert self._redis is not None
        return {"redis": self._redis.process.pid or 0}

    def done(self, work: Work, ends: Mapping[int, int]) -> bool:  # noqa: ARG002
        """Is all usage below `ends` in committed balance rows?"""
        return all(self._done(number, end) for number, end in ends.items())

    def balances(self, work: Work) -> dict[str, Balance]:
        """As the rows in Redis have them."""
        around = self.pipeline.around
        found = {}
        for number in range(work.partitions):
            for name, held in held_accounts(around.snapshots.take(number, STAGE).rows).items():
                found[name] = _balance(held)
        return found

    def alerts(self, work: Work) -> list[tuple[str, str, str]]:  # noqa: ARG002
        """Those of the job; a grant that was issued is told too, and is no part of it."""
        sent = [AlertEvent.model_validate_json(one[2]) for one in self.pipeline.records(ALERTS)]
        return [
            (alert.id, alert.subject, _TYPES[alert.type]) for alert in sent if alert.type in _TYPES
        ]

    def close(self) -> None:
        """End Redis."""
        self._stack.close()

    def _apply(self, pipeline: Pipeline, count: int) -> None:
        catalog, accounts = self._documents()
        pipeline.apply(catalog)
        for some in _chunks(accounts(count, time.time_ns() // 1_000)):
            pipeline.apply(some)
        pipeline.wait_until_settled(_SETTLE_SECONDS)

    def _done(self, number: int, end: int) -> bool:
        around = self.pipeline.around
        held = around.claims.held(number)
        if held is None or held.vector[Source.USAGE] < end:
            return False
        through = around.snapshots.take(number, STAGE, ()).position.reached[0]
        if not through:
            return False
        known, applied = self._applied.get(number, (0, 0))
        if known != through:
            record = next(around.log.read(JOURNAL.name, number, through - 1, through))
            applied = decode_journal(record[2]).header.upto[Source.USAGE]
            self._applied[number] = through, applied
        return applied >= end

    def _settings(self, work: Work) -> dict[str, str]:
        assert self._redis is not None, "prepare comes first"
        return {
            "kafka": work.kafka,
            "redis_url": self._redis.address,
            "topic_prefix": work.prefix,
            "key_prefix": work.prefix,
            "partitions": str(work.partitions),
        }

    def _documents(self) -> _Documents:
        if self._load == "job":
            return documents.job_catalog(), documents.job_accounts
        if self._load == "rich":
            return load.catalog(rich=True), load.rich_accounts
        return load.catalog(), load.accounts


def _chunks(made: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    source = iter(made)
    return iter(partial(lambda: list(islice(source, _AT_ONCE))), [])


def _balance(held: Held) -> Balance:
    remaining = {grant.id: grant.remaining for grant in held.grants}
    overage = held.row.overage
    return Balance(
        held.row.consumed + overage,
        remaining.get("promotional", 0),
        remaining.get("prepaid", 0),
        overage,
    )
