"""Which Kafka and Redis to use, and opening them: `open_servers`.

`python -m deploy.servers.find` says whether Apache Kafka and redis-server can be started here:
status 0, or 1 with what is missing.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deploy.servers.apache import ApacheKafka, missing_for_apache
from deploy.servers.embedded import Tansu, embedded_valkey
from deploy.servers.redis import RedisServer, installed_redis

Kind = Literal["embedded", "apache"]


@dataclass(frozen=True)
class Servers:
    """Addresses of a running Kafka and Redis, and the servers themselves where they are ours.

    `append_time` says whether the broker stamps records itself. `broker` and `store` are None for
    servers that were only addressed.
    """

    kind: str
    kafka: str
    redis_url: str
    append_time: bool
    broker: ApacheKafka | Tansu | None = None
    store: RedisServer | None = None


@contextmanager
def open_servers(kind: Kind, data: Path | None = None) -> Iterator[Servers]:
    """Start a Kafka and a Redis; both are gone when the context ends, also by an error.

    With `data`, Apache Kafka and Redis keep what they hold in that folder, for the next start;
    embedded servers keep only their logs there. Without it all is temporary. Raises
    ConfigurationError for what is missing, ServerError for a server that does not start.
    """
    with ExitStack() as stack:
        folder = data
        if folder is None:
            temporary = tempfile.TemporaryDirectory(prefix="drawdown-", ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(temporary))
        folder = folder.absolute()
        logs = folder / "logs"
        broker: ApacheKafka | Tansu
        if kind == "apache":
            store = installed_redis(
                folder / "redis", log=logs / "redis.log", persistent=data is not None
            )
            broker = ApacheKafka(folder / "kafka", log=logs / "kafka.log")
        else:
            store = embedded_valkey(folder / "valkey", log=logs / "valkey.log")
            broker = Tansu(log=logs / "tansu.log")
        # Redis is started first and stopped last: a worker that drains still commits.
        stack.enter_context(store)
        stack.enter_context(broker)
        yield Servers(kind, broker.address, store.address, kind == "apache", broker, store)


def addressed_servers() -> Servers | None:
    """The servers that `DRAWDOWN_KAFKA` and `DRAWDOWN_REDIS_URL` name; None unless both do."""
    kafka = os.environ.get("DRAWDOWN_KAFKA")
    redis_url = os.environ.get("DRAWDOWN_REDIS_URL")
    if not kafka or not redis_url:
        return None
    return Servers("addressed", kafka, redis_url, append_time=True)


def best_kind() -> Kind:
    """Apache Kafka with redis-server where they can be started, otherwise the embedded servers."""
    return "embedded" if missing_for_apache() else "apache"


def main() -> int:
    """Can Apache Kafka and redis-server be started on this machine?"""
    missing = missing_for_apache()
    if missing:
        sys.stdout.write(f"Apache Kafka and redis-server need: {', '.join(missing)}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
