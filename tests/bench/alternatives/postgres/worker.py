"""The consumer of usage: one transaction a batch, with its offsets in it.

    python -m tests.bench.alternatives.postgres.worker KAFKA USAGE DATABASE PARTITION...

While PostgreSQL applies one batch, the next one is decoded and priced: psycopg waits without the
interpreter's lock. A worker that is killed leaves a transaction that commits or does not; its
successor waits for it by the advisory locks, then begins where the positions say. Delivering the
same records again changes nothing, because the key is unique.
"""

import gc
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Final

import psycopg
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from tests.bench.alternatives.wallet import decode

_BATCH: Final = 50_000
_WAIT_SECONDS: Final = 0.1
_KEY_BYTES: Final = 16
_APPLY: Final = Path(__file__).with_name("apply.sql").read_text(encoding="utf-8")
_BATCH_TABLE: Final = (
    "CREATE TEMPORARY TABLE batch (key uuid, account text, nano bigint) ON COMMIT DELETE ROWS"
)
_ADVANCE: Final = (
    "UPDATE positions AS p SET next = n.next"
    " FROM unnest(%s::integer[], %s::bigint[]) AS n (partition, next)"
    " WHERE p.partition = n.partition"
)
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True)
class Batch:
    """Lines for COPY, and the next offset of each partition."""

    lines: str
    next: dict[int, int]


def batch_of(messages: Sequence[Message]) -> Batch:
    """Decode and price records. Raises KafkaException for an error among them."""
    lines = []
    reached: dict[int, int] = {}
    for message in messages:
        error = message.error()
        if error is not None:
            raise KafkaException(error)
        usage = decode(message.value() or b"")
        key = f"{usage.subject}\0{usage.source}\0{usage.id}".encode()
        digest = blake2b(key, digest_size=_KEY_BYTES).hexdigest()
        lines.append(f"{digest}\t{_copied(usage.subject)}\t{usage.nano}\n")
        reached[message.partition() or 0] = (message.offset() or 0) + 1
    return Batch("".join(lines), reached)


@lru_cache(maxsize=100_000)
def _copied(text: str) -> str:
    return text.translate(_ESCAPES)


def apply(connection: psycopg.Connection, batch: Batch) -> None:
    """One transaction: usage, balances, alerts, offsets."""
    with connection.transaction(), connection.cursor() as cursor:
        with cursor.copy("COPY batch FROM STDIN") as copy:
            copy.write(batch.lines)
        cursor.execute(_APPLY, prepare=True)
        cursor.execute(_ADVANCE, (list(batch.next), list(batch.next.values())), prepare=True)


def take(connection: psycopg.Connection, partitions: Sequence[int]) -> dict[int, int]:
    """Wait until no other session works on these partitions; gives where to begin."""
    with connection.transaction():
        for number in sorted(partitions):
            connection.execute("SELECT pg_advisory_lock(%s)", (number,))
    rows = connection.execute(
        "SELECT partition, next FROM positions WHERE partition = ANY(%s)", (list(partitions),)
    )
    return dict(rows.fetchall())


def run(kafka: str, topic: str, database: str, partitions: Sequence[int]) -> None:
    """Until a signal ends the process. Raises what goes wrong: a supervisor starts it again."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "postgres",  # nothing is committed to it
            "enable.auto.commit": False,
            "fetch.min.bytes": 500_000,
            "fetch.wait.max.ms": 50,
            "max.partition.fetch.bytes": 8_000_000,
            "queued.min.messages": 200_000,
            "check.crcs": False,
        }
    )
    with (
        psycopg.connect(database, autocommit=True) as connection,
        ThreadPoolExecutor(1) as applying,
    ):
        connection.execute(_BATCH_TABLE)
        at = take(connection, partitions)
        consumer.assign([TopicPartition(topic, number, offset) for number, offset in at.items()])
        applied: Future[None] | None = None
        while True:
            messages = consumer.consume(_BATCH, timeout=_WAIT_SECONDS)
            batch = batch_of(messages) if messages else None
            if applied is not None:
                applied.result()
            applied = applying.submit(apply, connection, batch) if batch else None


if __name__ == "__main__":
    gc.disable()  # records come by the ten thousand and make no cycles: looking for them is waste
    run(sys.argv[1], sys.argv[2], sys.argv[3], [int(number) for number in sys.argv[4:]])
