"""Crashes exactly between crossing a threshold, emitting its alert, and committing that it was.

A proxy before Kafka holds the bytes of the alert: the fold has crossed, the broker knows nothing.
A proxy before Redis holds the commit behind it: the alert is out, the crossing is not stored. Then
SIGKILL, and what was held is thrown away. No ticks come meanwhile, so that nothing else is sent.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from deploy.servers.apache import ApacheKafka
from deploy.servers.embedded import Tansu
from deploy.servers.process import LOOPBACK, free_port
from ingest import Producer
from projections.balances.alerts import LOW
from projections.fold.log import Log
from schemas.topics import ALERTS
from tests.faults.disturbed import own_redis
from tests.faults.plain import Plain
from tests.faults.proof import prove
from tests.faults.proxy import Direction, Proxy
from tests.faults.scenario import Outcome, Run, scenario
from tests.faults.waiting import POLL_SECONDS, advanced, until
from tests.system.pipeline import Pipeline

ISSUED: Final = 10
CROSSING: Final = 6
RULES: Final = [{"id": "left", "measure": "remaining_amount", "thresholds": [str(ISSUED // 2)]}]
EMITS: Final = LOW.encode()
COMMITS: Final = b":balances:1:due\r\n$6\r\ncommit\r\n"
NEVER: Final = "3600"
PATIENCE_SECONDS: Final = 120


@dataclass
class Crossings:
    """Servers behind proxies, workers on them, and crossings one after another."""

    pipeline: Pipeline
    direct: Log
    kafka: Proxy
    redis: Proxy
    producer: Producer
    plain: Plain
    recoveries: list[float] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def strike(self, account: str, *, emitted: bool) -> None:
        """Let an account cross its threshold, and kill balances before or after its alert."""
        before = self.told()
        proxy = self.redis if emitted else self.kafka
        trap = proxy.trap(Direction.REQUESTS, COMMITS if emitted else EMITS)
        now = time.time_ns() // 1_000
        value = self.plain.event(account, f"of-{account}", CROSSING, now)
        self.producer.send_encoded(account, value)
        self.producer.flush()
        until(self.pipeline, "the fold", trap.sprung.is_set, PATIENCE_SECONDS)
        killed_at = self._kill()
        proxy.cut()
        proxy.release()
        came = self.told() - before
        if came != Counter({account: 1} if emitted else {}):
            self.differences.append(f"{account}: {dict(came)} when balances were killed")
        further = advanced(self.pipeline, "balances")
        until(self.pipeline, "balances", further, PATIENCE_SECONDS)
        self.recoveries.append(time.monotonic() - killed_at)
        self.pipeline.wait_until_settled(PATIENCE_SECONDS)

    def told(self) -> Counter[str]:
        """Alerts on the topic by account, repeats counted; past the proxies."""
        found: Counter[str] = Counter()
        for number in self.pipeline.partitions:
            low, end = self.direct.bounds(ALERTS.name, [number])[number]
            records = self.direct.read(ALERTS.name, number, low, end)
            found.update((key or b"").decode() for _, _, value, key, _ in records if EMITS in value)
        return found

    def _kill(self) -> float:
        """When balances were gone; nothing starts them again before the next `poll`."""
        self.pipeline.kill("balances")
        while self.pipeline.pid("balances") is not None:
            time.sleep(POLL_SECONDS)
        return time.monotonic()


@scenario("alert cut off", "SIGKILL exactly between crossing, emitting the alert and the commit")
def alert_cut_off(run: Run) -> Outcome:
    """The successor crosses again: an alert is sent once, or once more by the same id."""
    times = run.pick(50, 2)
    emitted = {f"crossing-{number}": number % 2 == 1 for number in range(times)}
    plain = Plain(list(emitted), time.time_ns() // 1_000, ISSUED)
    with _crossings(run, plain) as crossings:
        crossings.pipeline.apply(plain.documents(RULES))
        crossings.pipeline.wait_until_settled(PATIENCE_SECONDS)
        for account, after in emitted.items():
            run.progress(f"{account} of {times}, {'after' if after else 'before'} it is emitted")
            crossings.strike(account, emitted=after)
        differences = prove(crossings.pipeline, plain.expected(accepted=times), run.seed)
        told = crossings.told()
    wanted = Counter({account: 1 + after for account, after in emitted.items()})
    if told != wanted:
        differences.append(f"alerts sent: {dict(told)}, expected {dict(wanted)}")
    differences += crossings.differences
    note = f"{times - times // 2} before emitting, {times // 2} after it"
    return Outcome(times, times, crossings.recoveries, differences, note)


@contextmanager
def _crossings(run: Run, plain: Plain) -> Iterator[Crossings]:
    with ExitStack() as stack:
        store = stack.enter_context(own_redis(run))
        redis = stack.enter_context(Proxy(store.port))
        direct, kafka = stack.enter_context(_kafka(run))
        servers = replace(
            run.servers,
            kafka=f"{LOOPBACK}:{kafka.port}",
            redis_url=f"redis://{LOOPBACK}:{redis.port}/0",
            broker=None,
            store=store,
        )
        pipeline = stack.enter_context(
            run.pipeline(servers, tick_busy_seconds=NEVER, tick_idle_seconds=NEVER)
        )
        prefix = pipeline.settings.topic_prefix
        producer = stack.enter_context(Producer(direct, prefix))
        yield Crossings(pipeline, Log(direct, prefix), kafka, redis, producer, plain)


@contextmanager
def _kafka(run: Run) -> Iterator[tuple[str, Proxy]]:
    """The address of a broker, and the proxy that it tells its clients to come to.

    Apache Kafka has a port of its own for those who come through the proxy.
    """
    port, log = free_port(), run.folder / "kafka.log"
    with Proxy(port) as proxy:
        broker: ApacheKafka | Tansu
        if run.kind == "apache":
            broker = ApacheKafka(run.folder / "kafka", log=log, advertised={port: proxy.port})
        else:
            broker = Tansu(log=log, port=port, advertised=proxy.port)
        with broker:
            yield broker.address, proxy
