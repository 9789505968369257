"""The job as users of Faust write it: an agent that sees single events, and tables.

Arguments: KAFKA USAGE ALERTS GROUP FOLDER MEMBER PARTITIONS STORE GUARANTEE.
"""

import sys
from pathlib import Path
from typing import Any, Final

import faust
from mode import loop
from msgspec.json import encode

from tests.bench.alternatives.wallet import decode, draw, opened, pack, unpack

_RAW: Final[dict[str, Any]] = {"key_type": bytes, "value_type": bytes}


def application(
    kafka: str,
    usage: str,
    alerts: str,
    group: str,
    folder: Path,
    member: str,
    partitions: int,
    store: str,
    guarantee: str,
) -> Any:
    """The application of one process; `member` names it for good, so that a restart takes over."""
    app = faust.App(
        group,
        broker=f"kafka://{kafka}",
        store=store,
        processing_guarantee=guarantee,
        datadir=folder / member,
        key_serializer="raw",
        value_serializer="raw",
        table_standby_replicas=0,
        topic_partitions=partitions,
        topic_replication_factor=1,
        topic_disable_leader=True,
        table_cleanup_interval=3600,
        consumer_group_instance_id=member,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4_000_000,
        broker_session_timeout=30,
        broker_heartbeat_interval=1,
        broker_commit_every=20_000,
        broker_commit_interval=1.0,
        producer_linger=0.05,
        producer_max_batch_size=1_000_000,
        producer_compression_type=None,
        stream_buffer_maxsize=16_384,
        stream_wait_empty=False,
        web_enabled=False,
    )
    source = app.topic(usage, **_RAW)
    sink = app.topic(alerts, **_RAW)
    seen = app.Table("seen", partitions=partitions, **_RAW)
    wallets = app.Table("wallets", partitions=partitions, **_RAW)

    @app.agent(source)
    async def draw_down(stream: Any) -> None:
        """Count a usage once, draw it, send the alerts that are due."""
        async for value in stream:
            event = decode(value)
            key = f"{event.subject}\0{event.source}\0{event.id}".encode()
            if key in seen:
                continue
            seen[key] = b"1"
            account = event.subject
            name = account.encode()
            packed = wallets.get(name)
            row, due = draw(unpack(packed) if packed else opened(account), event.nano)
            wallets[name] = pack(*row)
            for kind in due:
                alert = {"id": f"{account}/{kind}", "account": account, "type": kind}
                await sink.send(key=name, value=encode(alert))

    return app


def main() -> None:
    """Run until SIGTERM."""
    kafka, usage, alerts, group, folder, member, partitions, store, guarantee = sys.argv[1:]
    loop.use("uvloop")
    app = application(
        kafka, usage, alerts, group, Path(folder), member, int(partitions), store, guarantee
    )
    faust.Worker(app, loglevel="INFO", daemon=True).execute_from_commandline()


if __name__ == "__main__":
    main()
