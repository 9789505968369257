"""Sends a file of usage at a fixed rate, on schedule whatever happens: an open loop.

    python -m tests.bench.pace KAFKA PREFIX FILE EVENTS_PER_SECOND

A process of its own. Each event's id is made to say when it was scheduled (`tests.latency`): what
delays the sender is latency too. A repeat keeps the id of what it repeats.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ingest import Producer
from tests.bench.load import read_usage
from tests.bench.trial import Trial
from tests.latency import event_id

_WAKES_PER_SECOND: Final = 500
_ID: Final = b'"id":"'
_SECOND: Final = 1_000_000


def scheduled(value: bytes, start: int, rate: int) -> bytes:
    """The event, with an id that says when it is due: of `load.usage`, an id ends in its line."""
    head, _, rest = value.partition(_ID)
    old, _, tail = rest.partition(b'"')
    number = int(old.rpartition(b"-")[2])
    identity = event_id(start + number * _SECOND // rate, number).encode()
    return b"".join((head, _ID, identity, b'"', tail))


def send(kafka: str, prefix: str, path: Path, rate: int) -> None:
    """Send the whole file, line n at n / rate seconds from now."""
    burst = max(rate // _WAKES_PER_SECOND, 1)
    with Producer(kafka, prefix) as producer:
        producer.connect()
        start = time.time_ns() // 1_000
        for number, (account, value) in enumerate(read_usage(path)):
            if not number % burst:
                early = start + number * _SECOND // rate - time.time_ns() // 1_000
                producer.poll()
                if early > 0:
                    time.sleep(early / _SECOND)
            producer.send_encoded(account, scheduled(value, start, rate))


@contextmanager
def sending(trial: Trial, path: Path, rate: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that sends a file at a rate; ended with the context, if it has not ended."""
    work = trial.work
    given = [work.kafka, work.prefix, str(path), str(rate)]
    sender = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.pace", *given], stdin=subprocess.DEVNULL
    )
    try:
        yield sender
        assert sender.poll() in {None, 0}, "the sender ended with an error"
    finally:
        sender.kill()
        sender.wait()


def main() -> None:
    """Send one file."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pace", description=__doc__)
    parser.add_argument("kafka")
    parser.add_argument("prefix")
    parser.add_argument("path", type=Path)
    parser.add_argument("rate", type=int)
    given = parser.parse_args()
    send(given.kafka, given.prefix, given.path, given.rate)


if __name__ == "__main__":
    main()
