"""Sends what is in the outbox: at least once, always with the same id.

python -m tests.bench.alternatives.postgres.relay KAFKA ALERTS DATABASE
"""

import json
import sys
import time
from typing import Final

import psycopg
from confluent_kafka import KafkaError, Message, Producer

_PAUSE_SECONDS: Final = 0.1
_TAKE: Final = "DELETE FROM outbox RETURNING id, account, type"


def relay(connection: psycopg.Connection, producer: Producer, topic: str) -> int:
    """Send all there is; gives how many. What the broker has not confirmed stays in the outbox.

    Raises RuntimeError where the broker refuses one.
    """
    refused: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            refused.append(error)

    with connection.transaction():
        rows = connection.execute(_TAKE).fetchall()
        for identity, account, kind in rows:
            value = json.dumps({"id": identity, "account": account, "type": kind})
            producer.produce(topic, value.encode(), account.encode(), on_delivery=delivered)
        producer.flush()
        if refused:
            raise RuntimeError(f"{len(refused)} alerts were refused: {refused[0]}")
    return len(rows)


def run(kafka: str, topic: str, database: str) -> None:
    """Until a signal ends the process."""
    producer = Producer(
        {"bootstrap.servers": kafka, "enable.idempotence": True, "compression.type": "lz4"}
    )
    with psycopg.connect(database, autocommit=True) as connection:
        while True:
            if not relay(connection, producer, topic):
                time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    run(*sys.argv[1:])
