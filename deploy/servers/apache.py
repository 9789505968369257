"""Apache Kafka in KRaft mode, one broker that is its own controller, on a data folder.

The jars come from Maven Central into a cache folder, once: `$DRAWDOWN_CACHE`, or
`~/.cache/drawdown`. The folder is filled beside its place and then renamed, so that a broken
download is never taken for a whole one. A killed broker started again on the same folder and port
has every record it acknowledged to the disk's cache.
"""

import base64
import os
import re
import secrets
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from deploy.servers.kafka import kafka_answers
from deploy.servers.process import LOOPBACK, ServerError, ServerProcess, end_of, free_port
from schemas.errors import ConfigurationError

_POM: Final = Path(__file__).with_name("apache.pom.xml")
_OLDEST_JAVA: Final = 17
_DOWNLOAD_SECONDS: Final = 600
_FORMAT_SECONDS: Final = 120
# Kafka's default heap is 1 GB, and its log cleaner's buffer 128 MB: too much beside workers on one
# machine.
_JVM: Final = ("-Xms128m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError")
_QUIET: Final = ("-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")


class ApacheKafka:
    """An Apache Kafka broker on a loopback port; a restart keeps its port and its records."""

    def __init__(
        self,
        folder: Path,
        *,
        log: Path,
        port: int | None = None,
        advertised: Mapping[int, int] | None = None,
    ) -> None:
        """Raises ConfigurationError where Java is missing or too old.

        `advertised` are further ports to listen on, each with the port that its clients are told to
        use instead: that of a proxy before it.
        """
        self.port = free_port() if port is None else port
        self._advertised = advertised or {}
        self._folder = folder.absolute()
        self._log = log
        self._controller_port = free_port()
        self._properties = self._folder / "server.properties"
        self.process = ServerProcess(
            name="kafka",
            command=self._java("kafka.Kafka", str(self._properties)),
            log=log,
            ready=lambda: kafka_answers(self.port),
            ready_seconds=240.0,
            stop_seconds=20.0,
        )

    @property
    def address(self) -> str:
        """What clients take as `bootstrap.servers`."""
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Fetch the jars and format the folder if needed, then start. Raises ServerError."""
        fetch_kafka()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(self._settings(), encoding="utf-8")
        if not (self._folder / "log" / "meta.properties").exists():
            self._format()
        self.process.start()

    def stop(self) -> None:
        """Shut it down in an orderly way."""
        self.process.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _java(self, main: str, *arguments: str) -> list[str]:
        java = shutil.which("java")
        if java is None or java_version() < _OLDEST_JAVA:
            raise ConfigurationError(f"Apache Kafka needs Java {_OLDEST_JAVA} or later")
        return [java, *_JVM, *_QUIET, "-cp", f"{kafka_folder()}/*", main, *arguments]

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as output:
            done = subprocess.run(  # noqa: S603 - our own command line
                self._java("kafka.tools.StorageTool", *self._storage(cluster)),
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=_FORMAT_SECONDS,
                check=False,
            )
        if done.returncode:
            raise ServerError(f"Kafka's folder could not be formatted; {end_of(self._log)}")

    def _storage(self, cluster: str) -> tuple[str, ...]:
        return ("format", f"--cluster-id={cluster}", "--config", str(self._properties))

    def _settings(self) -> str:
        listeners = {"BROKER": self.port, **{f"BEHIND{port}": port for port in self._advertised}}
        told = {f"BEHIND{port}": by for port, by in self._advertised.items()}
        names = [*listeners, "CONTROLLER"]
        settings = {
            "node.id": 1,
            "process.roles": "broker,controller",
            "listeners": _addresses({**listeners, "CONTROLLER": self._controller_port}),
            "advertised.listeners": _addresses({**listeners, **told}),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in names),
            "inter.broker.listener.name": "BROKER",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
            "log.dirs": self._folder / "log",
            **_BROKER,
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())


_BROKER: Final[dict[str, object]] = {
    "auto.create.topics.enable": "false",
    "default.replication.factor": 1,
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
    # received_at is the broker's time (architecture.md section 4), which a producer cannot choose.
    "log.message.timestamp.type": "LogAppendTime",
    "message.max.bytes": 9_000_000,
    "replica.fetch.max.bytes": 9_000_000,
    # A killed broker is let in again when its old session has ended: 9 s by default.
    "broker.session.timeout.ms": 4_000,
    "broker.heartbeat.interval.ms": 1_000,
    "log.cleaner.dedupe.buffer.size": 16_777_216,
    "num.network.threads": 2,
    "num.io.threads": 4,
}


def _addresses(listeners: Mapping[str, int]) -> str:
    """Ports by listener, as Kafka's settings name them."""
    return ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in listeners.items())


def kafka_version() -> str:
    """The version that `apache.pom.xml` names."""
    found = re.search(r"<kafka\.version>(.+?)</kafka\.version>", _POM.read_text(encoding="utf-8"))
    assert found is not None
    return found[1]


def kafka_folder() -> Path:
    """Where the jars are, or will be."""
    cache = os.environ.get("DRAWDOWN_CACHE") or Path.home() / ".cache" / "drawdown"
    return Path(cache) / f"kafka-{kafka_version()}"


def fetch_kafka() -> Path:
    """The folder of Kafka's jars, as `fetch_jars` has it."""
    return fetch_jars(_POM, kafka_folder())


def fetch_jars(pom: Path, folder: Path) -> Path:
    """The folder of what `pom` depends on, which Maven fills if it is not there.

    The pom is given the property `kafka.version`. Raises ConfigurationError without Maven,
    ServerError when the download fails.
    """
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise ConfigurationError(f"{folder.name} is fetched by Maven: mvn is not installed")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
    command = (maven, "-B", "-q", "-ntp", "-f", str(pom), "dependency:copy-dependencies")
    options = (
        f"-Dkafka.version={kafka_version()}",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={partial.absolute()}",
    )
    try:
        subprocess.run(  # noqa: S603 - our own command line
            (*command, *options), capture_output=True, timeout=_DOWNLOAD_SECONDS, check=True
        )
        if not folder.is_dir():
            partial.rename(folder)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        output = ((error.stdout or b"") + (error.stderr or b"")).decode(errors="replace")
        raise ServerError(f"Maven could not fetch {folder.name}:\n{output[-2_000:]}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def java_version() -> int:
    """The major version of the installed Java; 0 without one."""
    java = shutil.which("java")
    if java is None:
        return 0
    done = subprocess.run((java, "-version"), capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found[1]) if found else 0


def missing_for_apache() -> list[str]:
    """What is missing for Apache Kafka with redis-server: empty when they can be started."""
    wanted = {
        f"Java {_OLDEST_JAVA} or later": java_version() >= _OLDEST_JAVA,
        "Maven (mvn)": shutil.which("mvn") is not None or kafka_folder().is_dir(),
        "redis-server": shutil.which("redis-server") is not None,
    }
    return [name for name, found in wanted.items() if not found]
