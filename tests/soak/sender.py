"""The sender: a process of its own that sends on schedule, whatever happens to the pipeline."""

import multiprocessing
import signal
import time
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import Queue
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from typing import Final

from deploy.settings import Settings
from ingest import Producer
from schemas.documents import parse_document
from tests.soak.load import Load, Sent

_STEP_SECONDS: Final = 0.005
_READY_SECONDS: Final = 120.0
_FLUSH_SECONDS: Final = 120.0


class Sender:
    """Is ready when made; `begin` sets the schedule's start, in microseconds.

    `finish` gives what was sent, all of it confirmed by the broker.
    """

    def __init__(self, settings: Settings, load: Load) -> None:
        context = multiprocessing.get_context("spawn")
        self._sent: Queue[Sent] = context.Queue()
        self._stop = context.Event()
        self._ready = context.Event()
        self._start: Synchronized[int] = context.Value("q", 0)
        self._count: Synchronized[int] = context.Value("q", 0)
        counters = (self._start, self._count)
        arguments = (settings, load, counters, self._sent, self._ready, self._stop)
        self._process: SpawnProcess = context.Process(target=_send, args=arguments, daemon=True)
        self._process.start()
        assert self._ready.wait(_READY_SECONDS), "the sender did not start"

    def begin(self, start: int) -> None:
        """The first event is due at `start`, microseconds since the epoch."""
        self._start.value = start

    @property
    def events(self) -> int:
        """How many records were sent so far."""
        assert self._process.is_alive(), "the sender ended with an error"
        return self._count.value

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid or 0

    def finish(self) -> Sent:
        """End the schedule, and wait for what is on its way."""
        self._stop.set()
        sent = self._sent.get(timeout=_FLUSH_SECONDS)
        self._process.join()
        return sent


def _send(
    settings: Settings,
    load: Load,
    counters: tuple["Synchronized[int]", "Synchronized[int]"],
    told: "Queue[Sent]",
    ready: Event,
    stop: Event,
) -> None:
    start, count = counters
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness says when it ends
    with Producer(settings.kafka, settings.topic_prefix) as producer:
        producer.connect()
        ready.set()
        while not start.value and not stop.is_set():
            time.sleep(_STEP_SECONDS)
        load.start = start.value
        while not stop.is_set():
            due = load.due(time.time_ns() // 1_000)
            while load.sent.events < due:
                producer.send_encoded(*load.record())
            while (document := load.document()) is not None:
                parsed = parse_document(document)
                assert not isinstance(parsed, list), parsed
                producer.send_document(parsed)
            producer.poll()
            count.value = load.sent.events
            time.sleep(_STEP_SECONDS)
    told.put(load.sent)
