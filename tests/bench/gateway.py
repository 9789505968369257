"""The HTTP gateway: events a second in batches, each answered once the log has it."""

import http.client
import threading
import time
from collections.abc import Iterator
from itertools import cycle
from typing import Final

from deploy.provision import create_topics
from tests.bench.load import read_usage
from tests.bench.processes import Meter
from tests.bench.session import Row, Section, Session
from tests.ingest.gateway.process import gateway

BATCH: Final = 100
CLIENTS: Final = (4, 16, 32)
_SECONDS: Final = 15.0
_BODIES: Final = 500
_HEADERS: Final = {"content-type": "application/cloudevents-batch+json"}


def run(session: Session) -> Section:
    """So many clients, each posting its next batch when the last was acknowledged."""
    path = session.usage(events=_BODIES * BATCH)
    events = [value for _, value in read_usage(path)]
    bodies = [b"[" + b",".join(some) + b"]" for some in _hundreds(events)]
    rows = [_measure(session, bodies, clients) for clients in CLIENTS]
    note = f"Batches of {BATCH}; one gateway process, without keys; clients share the cores."
    return Section("gateway", "HTTP gateway", note, rows)


def _hundreds(events: list[bytes]) -> Iterator[list[bytes]]:
    return (events[at : at + BATCH] for at in range(0, len(events), BATCH))


def _measure(session: Session, bodies: list[bytes], clients: int) -> Row:
    session.say(f"gateway: {clients} clients")
    seconds = _SECONDS / 5 if session.quick else _SECONDS
    with session.open_broker() as broker:
        create_topics(broker.address, "", session.partitions, 1)
        with gateway(broker.address) as (process, port):
            posting = [_Client(port, bodies, number) for number in range(clients)]
            for client in posting:
                client.start()
            time.sleep(seconds / 5)  # connections, caches, the broker's first batches
            before = sum(client.acknowledged for client in posting)
            meter = Meter({"gateway": process.pid, "broker": broker.process.pid or 0})
            meter.start()
            started = time.monotonic()
            time.sleep(seconds)
            events = sum(client.acknowledged for client in posting) - before
            passed, used = time.monotonic() - started, meter.cpu()
            for client in posting:
                client.stop()
    waits = sorted(wait for client in posting for wait in client.waits)
    return {
        "clients": clients,
        "events/s": round(events / passed),
        "p50 ms": round(1_000 * waits[len(waits) // 2]),
        "p99 ms": round(1_000 * waits[len(waits) * 99 // 100]),
        "CPU-s per million": ", ".join(
            f"{name} {seconds * 1e6 / events:.1f}" for name, seconds in used.items()
        ),
    }


class _Client(threading.Thread):
    """Posts over one connection. `acknowledged` are events, `waits` seconds of each request."""

    def __init__(self, port: int, bodies: list[bytes], number: int) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._bodies = cycle(bodies[number:] + bodies[:number])
        self._stopping = False
        self.acknowledged = 0
        self.waits: list[float] = []

    def run(self) -> None:
        """Until stopped."""
        while not self._stopping:
            began = time.perf_counter()
            self._connection.request("POST", "/api/v1/events", next(self._bodies), _HEADERS)
            answer = self._connection.getresponse()
            assert answer.status == http.client.NO_CONTENT, answer.read()
            answer.read()
            self.acknowledged += BATCH
            self.waits.append(time.perf_counter() - began)

    def stop(self) -> None:
        """Post no more."""
        self._stopping = True
        self.join()
