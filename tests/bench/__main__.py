"""End to end: preload usage, then time the workers until the last event is in its balance.

    python -m tests.bench [--events 1000000] [--accounts 10000] [--partitions 4] [--broker embedded]
                          [--load plain rich]

Two loads of the same usage. *plain*: a grant an account, unit prices. *rich*: five grants, a
contract with an override, graduated prices, thresholds on every account, one in ten depleted.
Broker, Redis and the three workers share this machine's cores. Times are of the workers alone: the
usage is in the log before admission starts, and the clock runs from admission's first claim to the
commit of the last balance. CPU is of whole processes, from /proc.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

import redis

from deploy.provision import create_topics
from deploy.servers.find import Servers, open_servers
from deploy.supervisor import Child, Supervisor, worker
from ingest import Producer
from ingest.documents import send_documents
from projections.fold.log import Log
from schemas.documents import parse_document
from schemas.frames import Source
from schemas.topics import CREDITS, JOURNAL, RATED, USAGE
from tests.bench.load import accounts, catalog, rich_accounts, usage

_POLL_SECONDS: Final = 0.1
_LOADS: Final = ("plain", "rich")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass
class Bench:
    """One running stack and what is read off it."""

    servers: Servers
    partitions: int
    children: dict[str, Child]

    def __post_init__(self) -> None:
        self.log = Log(self.servers.kafka)
        self.redis = redis.Redis.from_url(self.servers.redis_url)
        self.numbers = list(range(self.partitions))

    def position(self, stage: str, number: int) -> dict[str, Any]:
        """A stage's committed position."""
        raw = self.redis.get(f"drawdown:{{{number}}}:{stage}:1:position")
        return json.loads(raw) if raw else {"offset": 0}

    def vectors(self) -> list[tuple[int, ...]]:
        """Admission's acknowledged source vector of each partition."""
        return [
            tuple(map(int, self._claims(n, "vector", b"0,0,0").split(b","))) for n in self.numbers
        ]

    def claimed(self) -> int:
        """Usage records claimed so far."""
        return sum(int(self._claims(n, "through", b"0")) for n in self.numbers)

    def _claims(self, number: int, name: str, default: bytes) -> bytes:
        raw = cast("bytes | None", self.redis.hget(f"drawdown:{{{number}}}:claims", name))
        return raw or default

    def settled(self, usage_ends: dict[int, int]) -> bool:
        """Is everything up to `usage_ends`, and every document, in its balance?"""
        vectors = self.vectors()
        if any(vectors[n][Source.USAGE] < usage_ends[n] for n in self.numbers):
            return False
        credits_ends = self.log.ends(CREDITS.name, self.numbers)
        if any(vectors[n][Source.CREDITS] < credits_ends[n] for n in self.numbers):
            return False
        for topic, stage in ((JOURNAL, "rating"), (RATED, "balances")):
            ends = self.log.ends(topic.name, self.numbers)
            if any(self.position(stage, n)["offset"] < ends[n] for n in self.numbers):
                return False
        return True

    def wait(self, usage_ends: dict[int, int], seconds: float = 600) -> None:
        """Wait until settled."""
        give_up = time.monotonic() + seconds
        while not self.settled(usage_ends):
            if time.monotonic() > give_up:
                raise TimeoutError(f"not settled: {self.vectors()}")
            time.sleep(_POLL_SECONDS)

    def processes(self) -> dict[str, int]:
        """Process ids by what they are."""
        found = {
            name: child.process.pid
            for name, child in self.children.items()
            if child.process is not None
        }
        for name, server in (("broker", self.servers.broker), ("redis", self.servers.store)):
            if server is not None and server.process.pid is not None:
                found[name] = server.process.pid
        return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_megabytes(pid: int) -> int:
    """The largest resident size so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def claim_bytes(client: redis.Redis, keys: int) -> float:
    """Redis memory of all claims, by MEMORY USAGE, for each key."""
    total = 0
    batch = list(client.scan_iter(match="drawdown:*:claims:*", count=5_000))
    for start in range(0, len(batch), 5_000):
        pipe = client.pipeline(transaction=False)
        for key in batch[start : start + 5_000]:
            pipe.memory_usage(key, samples=0)
        total += sum(pipe.execute())
    return total / max(keys, 1)


@contextmanager
def bench_stack(kind: str, partitions: int, logs: Path) -> Iterator[Bench]:
    """Servers and topics; the workers are there but not started."""
    with open_servers("apache" if kind == "apache" else "embedded", logs / "data") as servers:
        create_topics(servers.kafka, "", partitions, 1)
        environment = {
            "DRAWDOWN_KAFKA": servers.kafka,
            "DRAWDOWN_REDIS_URL": servers.redis_url,
            "DRAWDOWN_PARTITIONS": str(partitions),
            "DRAWDOWN_HEALTH_PORT": "0",
        }
        children = {
            name: worker(name, environment, logs) for name in ("admission", "rating", "balances")
        }
        yield Bench(servers, partitions, children)


def run(arguments: argparse.Namespace, load: str) -> dict[str, Any]:
    """One run of a load; gives its figures."""
    rich = load == "rich"
    folder = TemporaryDirectory(prefix="drawdown-bench-", ignore_cleanup_errors=True)
    with folder as name, bench_stack(arguments.broker, arguments.partitions, Path(name)) as bench:
        everything = Supervisor(list(bench.children.values()))
        now = time.time_ns() // 1000
        try:
            everything.start()
            credits_of = rich_accounts if rich else accounts
            documents = [
                parse_document(d)
                for d in (*catalog(rich=rich), *credits_of(arguments.accounts, now))
            ]
            send_documents(documents, bench.servers.kafka)  # type: ignore[arg-type]
            bench.wait(bench.log.ends(USAGE.name, bench.numbers))
            Supervisor([bench.children["admission"]]).stop()
            print(f"{load}: {arguments.accounts} accounts are ready; loading …", flush=True)
            started = time.monotonic()
            with Producer(bench.servers.kafka) as producer:
                for account, value in usage(arguments.events, arguments.accounts, now):
                    producer.send_encoded(account, value)
            print(
                f"loaded {arguments.events} events in {time.monotonic() - started:.1f} s",
                flush=True,
            )
            return measure(bench, arguments.events)
        finally:
            everything.stop()


def measure(bench: Bench, events: int) -> dict[str, Any]:
    """Start admission, and time until the last event is in its balance."""
    ends = bench.log.ends(USAGE.name, bench.numbers)
    before = bench.claimed()
    Supervisor([bench.children["admission"]]).start()
    pids = bench.processes()
    while bench.claimed() == before:
        time.sleep(0.01)
    cpu_before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    started = time.monotonic()
    bench.wait(ends)
    seconds = time.monotonic() - started
    cpu = {name: cpu_seconds(pid) - cpu_before[name] for name, pid in pids.items()}
    return {
        "events": events,
        "seconds": round(seconds, 2),
        "events_per_second": round(events / seconds),
        "cpu_microseconds_per_event": {n: round(s * 1e6 / events, 2) for n, s in cpu.items()},
        "peak_megabytes": {name: peak_megabytes(pid) for name, pid in pids.items()},
        "redis_bytes_per_key": round(claim_bytes(bench.redis, int(events * 0.97)), 1),
    }


def main() -> None:
    """Print one run's figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--broker", choices=("embedded", "apache"), default="embedded")
    parser.add_argument("--load", nargs="+", choices=_LOADS, default=_LOADS)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {load: run(arguments, load) for load in arguments.load}
    if len(figures) == len(_LOADS):
        plain, rich = (figures[load]["events_per_second"] for load in _LOADS)
        figures["rich_to_plain"] = f"{rich / plain:.2f}"
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
