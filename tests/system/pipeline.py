"""A pipeline of real worker processes on the session's servers, and what tests ask of it."""

import json
import os
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final

import polars as pl
from rich.console import Console

from deploy.provision import create_topics
from deploy.reading.reconcile import reconcile
from deploy.reading.report import Report
from deploy.reading.surroundings import Surroundings, surroundings
from deploy.servers.find import Servers
from deploy.servers.process import free_port
from deploy.settings import Settings, load_settings
from deploy.supervisor import Child, Supervisor, worker
from deploy.workers import WORKERS
from ingest.documents import send_documents
from projections.balances.stage import STAGE as BALANCES
from projections.fold.log import Read
from projections.rates.rows import STAGE as RATING
from projections.reading.balance import read_balance
from schemas.documents import Document, parse_document
from schemas.frames import decode_journal, decode_ledger, decode_rated
from schemas.topics import ALERTS, CATALOG, CREDITS, JOURNAL, LEDGER, RATED, USAGE, Topic

_POLL_SECONDS: Final = 0.1
_SAMPLE: Final = re.compile(r'drawdown_events_total\{outcome="(\w+)",stage="\w+"\} ([0-9.e+]+)')
_LOG_TAIL: Final = 2_000


@dataclass
class Pipeline:
    """Workers under a supervisor. `ports` are those of health, by worker."""

    settings: Settings
    supervisor: Supervisor
    around: Surroundings
    ports: Mapping[str, int]
    logs: Path

    @property
    def partitions(self) -> range:
        """Every partition."""
        return range(self.settings.partitions)

    def poll(self) -> None:
        """Restart what has ended: to be called several times a second."""
        self.supervisor.poll()

    def kill(self, name: str) -> bool:
        """SIGKILL a worker; False when it is already dead."""
        child = self._child(name)
        alive = child.process is not None and child.process.poll() is None
        if alive:
            self.supervisor.kill(name)
        return alive

    def signal(self, name: str, number: int) -> None:
        """Send a signal, SIGSTOP say, to a worker that lives."""
        self.supervisor.kill(name, number)

    def pid(self, name: str) -> int | None:
        """The process id of a worker that lives."""
        process = self._child(name).process
        return process.pid if process is not None and process.poll() is None else None

    def join(self, name: str, member: str) -> str:
        """Start another worker of this name beside those that run; gives what it is called."""
        called = f"{name}-{member}"
        own = {"DRAWDOWN_MEMBER": member, "DRAWDOWN_HEALTH_PORT": "0"}
        like = self._child(name)
        child = worker(name, {**like.environment, **own}, self.logs, called)
        self.supervisor.add(child)
        return called

    def leave(self, called: str) -> None:
        """SIGTERM to a worker that joined; it drains and is not started again."""
        self.supervisor.dismiss(called)

    def progress(self, name: str) -> int:
        """Records of input that a stage has committed, over all partitions."""
        return sum(self.reached(name))

    def reached(self, name: str) -> list[int]:
        """Records of input that a stage has committed, by partition."""
        if name == "admission":
            return [sum(self._vector(number)()) for number in self.partitions]
        return [self._position(name, number)()[0] for number in self.partitions]

    def restarts(self) -> dict[str, int]:
        """How often each worker was started again."""
        return {child.name: child.restarts for child in self.supervisor.children}

    def apply(self, documents: list[dict[str, Any]]) -> None:
        """Send documents that must be valid."""
        send_documents(
            [_parsed(document) for document in documents],
            self.settings.kafka_access,
            self.settings.topic_prefix,
        )

    def wait_until_settled(self, timeout: float) -> None:
        """Wait until all that was sent before the call has gone through every stage.

        Stage after stage, by the positions in Redis and the ends of the log: admission's vectors
        reach the raw topics' ends, then rating the journal's, then balances that of the rated log.
        Ticks that come meanwhile do not matter. Twice, for records that were forwarded.
        """
        give_up = time.monotonic() + timeout
        for _ in range(2):
            catalog = self.around.log.ends(CATALOG.name, [0])[0]
            credit, usage = self._ends(CREDITS), self._ends(USAGE)
            for number in self.partitions:
                wanted = (catalog, credit[number], usage[number])
                self._wait(f"admission [{number}]", give_up, wanted, self._vector(number))
            for stage, topic in ((RATING, JOURNAL), (BALANCES, RATED)):
                ends = self._ends(topic)
                for number in self.partitions:
                    reached = self._position(stage, number)
                    self._wait(f"{stage} [{number}]", give_up, (ends[number],), reached)

    def reconcile(self, seed: int = 0) -> Report:
        """`drawdown reconcile`, which must find nothing."""
        report = reconcile(self.settings, Console(file=StringIO()), seed)
        assert report.holds, json.dumps(report.to_dict(), indent=1)
        return report

    def figures(self, report: Report, invariant: str) -> Counter[str]:
        """What an invariant counted."""
        return report.findings[invariant].figures

    def balance(self, account: str) -> dict[str, Any]:
        """The account's balance as `drawdown balance` tells it."""
        entry = read_balance(self.around, account)
        assert entry is not None, account
        return {name: entry[name] for name in ("available", "overage", "consumed", "grants")}

    def ledger(self) -> pl.DataFrame:
        """Every posting, each position once."""
        frames = [
            decode_ledger(value).rows
            for number in self.partitions
            for value in self.values(LEDGER, number)
        ]
        place = ["account", "journal_offset", "row", "ordinal"]
        return pl.concat(frames).unique(place, maintain_order=True)

    def repeated_frames(self) -> dict[str, int]:
        """Frames that begin before the end of those before them: written again after a crash."""
        found = {}
        decoders = ((JOURNAL, decode_journal), (RATED, decode_rated), (LEDGER, decode_ledger))
        for topic, decode in decoders:
            found[topic.name] = 0
            for number in self.partitions:
                reached = (0, 0, 0)
                for value in self.values(topic, number):
                    header = decode(value).header
                    found[topic.name] += header.after < reached
                    reached = max(reached, header.upto)
        return found

    def records(self, topic: Topic) -> Iterator[Read]:
        """Every record of a topic, partition by partition."""
        for number in self.partitions:
            low, end = self.around.log.bounds(topic.name, [number])[number]
            yield from self.around.log.read(topic.name, number, low, end)

    def values(self, topic: Topic, partition: int) -> Iterator[bytes]:
        """The values of one partition."""
        low, end = self.around.log.bounds(topic.name, [partition])[partition]
        for record in self.around.log.read(topic.name, partition, low, end):
            yield record[2]

    def alerts(self) -> list[dict[str, Any]]:
        """Every alert on the topic, repeats with it."""
        return [json.loads(record[2]) for record in self.records(ALERTS)]

    def outcomes(self, name: str) -> Counter[str]:
        """`drawdown_events_total` of a worker, by outcome."""
        address = f"http://127.0.0.1:{self.ports[name]}/metrics"
        with urllib.request.urlopen(address, timeout=5) as answer:
            page = answer.read().decode()
        return Counter({outcome: int(float(count)) for outcome, count in _SAMPLE.findall(page)})

    def said(self) -> str:
        """The end of what each worker logged, for a failure's message."""
        tails = []
        for child in self.supervisor.children:
            path = self.logs / f"{child.name}.log"
            tails.append(path.read_text(errors="replace")[-_LOG_TAIL:] if path.exists() else "")
        return "\n".join(tails)

    def _child(self, name: str) -> Child:
        return next(child for child in self.supervisor.children if child.name == name)

    def _ends(self, topic: Topic) -> dict[int, int]:
        return self.around.log.ends(topic.name, self.partitions)

    def _vector(self, number: int) -> Callable[[], tuple[int, ...]]:
        def reached() -> tuple[int, ...]:
            held = self.around.claims.held(number)
            return (0, 0, 0) if held is None else held.vector

        return reached

    def _position(self, stage: str, number: int) -> Callable[[], tuple[int, ...]]:
        return lambda: (self.around.snapshots.take(number, stage, ()).position.offset,)

    def _wait(
        self,
        what: str,
        give_up: float,
        wanted: tuple[int, ...],
        reached: Callable[[], tuple[int, ...]],
    ) -> None:
        while True:
            found = reached()
            if all(at >= end for at, end in zip(found, wanted, strict=True)):
                return
            late = time.monotonic() > give_up
            assert not late, f"{what} is at {found}, expected {wanted}\n{self.said()}"
            self.poll()
            time.sleep(_POLL_SECONDS)


@contextmanager
def running(
    servers: Servers,
    prefix: str,
    logs: Path,
    apart: Mapping[str, Mapping[str, str]] | None = None,
    **given: str,
) -> Iterator[Pipeline]:
    """Topics and workers under `prefix`; drains the workers at the end.

    `given` are further settings, `apart` those of one worker alone, by its name.
    """
    settings = load_settings(**_names(servers, prefix, given))
    create_topics(settings.kafka_access, prefix, settings.partitions, settings.replication)
    with started(servers, prefix, logs, apart, **given) as pipeline:
        yield pipeline


@contextmanager
def started(
    servers: Servers,
    prefix: str,
    logs: Path,
    apart: Mapping[str, Mapping[str, str]] | None = None,
    **given: str,
) -> Iterator[Pipeline]:
    """As `running`, on topics that are there."""
    names = _names(servers, prefix, given)
    ports = {name: free_port() for name in WORKERS}
    own = {name: {"health_port": str(ports[name]), **(apart or {}).get(name, {})} for name in ports}
    supervisor = Supervisor(
        [worker(name, _environment({**names, **own[name]}), logs) for name in WORKERS]
    )
    settings = load_settings(**names)
    supervisor.start()
    try:
        yield Pipeline(settings, supervisor, surroundings(settings), ports, logs)
    finally:
        supervisor.stop()


def _names(servers: Servers, prefix: str, given: Mapping[str, str]) -> dict[str, str]:
    return {
        "kafka": servers.kafka,
        "redis_url": servers.redis_url,
        "topic_prefix": prefix,
        "key_prefix": prefix,
        "partitions": "2",
        **given,
    }


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"DRAWDOWN_{name.upper()}": value for name, value in settings.items()}


def in_ci() -> bool:
    """Whether this is a run of CI, where what is missing is a failure."""
    return os.environ.get("CI", "").lower() == "true"


def _parsed(document: Mapping[str, Any]) -> Document:
    found = parse_document(dict(document))
    assert not isinstance(found, list), found
    return found
