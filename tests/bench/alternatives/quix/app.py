"""The job as users of Quix Streams write it; runs in a virtual environment of its own.

python -m tests.bench.alternatives.quix.app KAFKA USAGE ALERTS GROUP FOLDER MEMBER
"""

import sys
from pathlib import Path
from typing import Any

from quixstreams import Application, State
from quixstreams.state.rocksdb import RocksDBOptions

from tests.bench.alternatives.wallet import decode, draw, opened, pack, unpack

_WALLET = b"wallet"


def draw_down(value: bytes, state: State) -> list[dict[str, str]]:
    """Count a usage once, draw it, give the alerts that are due. State is that of the account."""
    usage = decode(value)
    key = f"{usage.source}\0{usage.id}".encode()
    if state.get_bytes(key) is not None:
        return []
    state.set_bytes(key, b"")
    account = usage.subject
    packed = state.get_bytes(_WALLET)
    row, due = draw(unpack(packed) if packed else opened(account), usage.nano)
    state.set_bytes(_WALLET, pack(*row))
    return [{"id": f"{account}/{kind}", "account": account, "type": kind} for kind in due]


def application(kafka: str, usage: str, alerts: str, group: str, folder: Path, member: str) -> Any:
    """The application of one process: `member` names it for good, so that a restart takes over."""
    app = Application(
        broker_address=kafka,
        consumer_group=group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        auto_create_topics=True,
        state_dir=folder / member,
        commit_interval=5.0,
        broker_availability_timeout=0,
        loglevel="WARNING",
        consumer_extra_config={
            "group.instance.id": member,
            "session.timeout.ms": 10_000,
            "heartbeat.interval.ms": 1_000,
            "fetch.min.bytes": 100_000,
            "fetch.wait.max.ms": 20,
        },
        producer_extra_config={
            "transactional.id": f"{group}-{member}",
            "linger.ms": 50,
            "batch.num.messages": 100_000,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 1_000_000,
            "compression.type": "lz4",
        },
        rocksdb_options=RocksDBOptions(use_fsync=False),
    )
    source = app.topic(usage, key_deserializer="bytes", value_deserializer="bytes")
    sink = app.topic(alerts, key_serializer="bytes", value_serializer="json")
    app.dataframe(source).apply(draw_down, stateful=True, expand=True).to_topic(sink)
    return app


def main() -> None:
    """Run until SIGTERM."""
    kafka, usage, alerts, group, folder, member = sys.argv[1:]
    application(kafka, usage, alerts, group, Path(folder), member).run()


if __name__ == "__main__":
    main()
