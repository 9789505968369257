"""Kafka Streams with exactly_once_v2, state in memory.

State, alerts and offsets are committed in one transaction of Kafka. Whatever ends a process, its
state is restored from the changelog topics when it starts again.
"""

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Final

from confluent_kafka import Producer

from deploy.servers.apache import fetch_jars, java_version, kafka_folder
from tests.bench.alternatives.records import ByGroup, create, records
from tests.bench.contender import Command, Work
from tests.bench.job import PRICES, Balance, account_name, grants_of

_HERE: Final = Path(__file__).parent
_TUNED: Final = _HERE / "streams.properties"
_OLDEST_JAVA: Final = 17
_JVM: Final = ("-Xms1g", "-Xmx1g", "-XX:+UseParallelGC")
_LOG: Final = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
_BALANCE: Final = struct.Struct(">qqqqq")
"""Issued, consumed, promo, main, overage: as `Balance.java` has it."""


class KafkaStreams(ByGroup):
    """One application, `workers` instances of it.

    Two instances on two cores compile the same Java twice: they are slower and cost more CPU.
    """

    name = "Kafka Streams"

    def __init__(self) -> None:
        super().__init__(_application)

    def missing(self) -> str | None:
        """A Java compiler, or Maven for the jars."""
        if java_version() < _OLDEST_JAVA or shutil.which("javac") is None:
            return f"Java {_OLDEST_JAVA} or later with its compiler is not installed"
        if shutil.which("mvn") is None and not _jars().is_dir():
            return "Maven (mvn) is not installed"
        return None

    def prepare(self, work: Work) -> None:
        """Compile the application, make the topics, send every account's grants."""
        sources = sorted(map(str, (_HERE / "bench").glob("*.java")))
        jars = fetch_jars(_HERE / "pom.xml", _jars())
        subprocess.run(
            ["javac", "-Xlint:all", "-Werror", "-cp", f"{jars}/*", "-d", _classes(work), *sources],
            check=True,
        )
        create(work.kafka, work.alerts(self.name), work.partitions, {})
        create(work.kafka, _grants(work), work.partitions, {"cleanup.policy": "compact"})
        _send_grants(work)

    def commands(self, work: Work) -> list[Command]:
        """An instance a worker, each with its state folder and its name in the group."""
        names = [f"kafka-streams-{number}" for number in range(work.workers)]
        return [self._command(work, name) for name in names]

    def balances(self, work: Work) -> dict[str, Balance]:
        """The last of each account in the changelog: what a new instance would restore."""
        changelog = f"{_application(work)}-balances-changelog"
        last = {key.decode(): value for key, value in records(work.kafka, changelog) if value}
        return {account: Balance(*_BALANCE.unpack(value)[1:]) for account, value in last.items()}

    def alerts(self, work: Work) -> list[tuple[str, str, str]]:
        """Those of committed transactions."""
        sent = [value or b"" for _, value in records(work.kafka, work.alerts(self.name))]
        return [(value.decode(), *_split(value.decode())) for value in sent]

    def _command(self, work: Work, name: str) -> Command:
        own: dict[str, object] = {
            "bootstrap.servers": work.kafka,
            "application.id": _application(work),
            "group.instance.id": name,
            "client.id": name,
            "state.dir": work.folder / f"state-{name}",
            "bench.usage": work.usage,
            "bench.grants": _grants(work),
            "bench.alerts": work.alerts(self.name),
            **{f"price.{m}.{r}": f"{prices[0]},{prices[1]}" for (m, r), prices in PRICES.items()},
        }
        lines = "".join(f"{key}={value}\n" for key, value in own.items())
        properties = work.folder / f"{name}.properties"
        properties.write_text(_TUNED.read_text(encoding="utf-8") + lines, encoding="utf-8")
        java = shutil.which("java")
        assert java is not None
        path = f"{_classes(work)}:{_jars()}/*"
        return Command(name, [java, *_JVM, _LOG, "-cp", path, "bench.Job", str(properties)])


def _jars() -> Path:
    return kafka_folder().with_name(kafka_folder().name.replace("kafka-", "kafka-streams-"))


def _classes(work: Work) -> Path:
    return work.folder / "classes"


def _application(work: Work) -> str:
    return f"{work.prefix}kafka-streams"


def _grants(work: Work) -> str:
    return f"{work.prefix}grants.kafka-streams"


def _send_grants(work: Work) -> None:
    producer = Producer(
        {
            "bootstrap.servers": work.kafka,
            "enable.idempotence": True,
            "partitioner": "murmur2",
            "linger.ms": 20,
        }
    )
    for number in range(work.accounts):
        grants = grants_of(number)
        value = _BALANCE.pack(grants.issued, 0, grants.promo, grants.main, 0)
        producer.produce(_grants(work), value, account_name(number).encode())
        producer.poll(0)
    assert not producer.flush()


def _split(identity: str) -> tuple[str, str]:
    account, _, kind = identity.rpartition("/")
    return account, kind
