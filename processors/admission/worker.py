"""The admission worker: raw usage in, journal frames out, one worker owning whole partitions.

The shell around the pure parts: `examine` says what a record is, `merge` its place, `claims`
whether its key is new, `sequence` makes the frames. A round: read usage; ask for the ends of all
logs; read credits and catalog up to them; write what is then sure of its place. Kafka's group
decides who owns what; positions come from Redis (architecture.md section 3). What cannot go on is
raised, the process ends, and its successor replays from what was acknowledged.
"""

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from confluent_kafka import KafkaException, Message
from confluent_kafka.admin import AdminClient

from processors.admission import merge
from processors.admission.buffer import latest
from processors.admission.claims import Claims
from processors.admission.control import Control
from processors.admission.group import Group
from processors.admission.kafka import EndOffsets, Fetched, map_error, partition_count
from processors.admission.observe import Observer, Status, Unobserved
from processors.admission.outbox import Outbox
from processors.admission.owned import Owned, first
from processors.admission.patience import LEAST_WAIT, Patience, Stopped
from processors.admission.settings import AdmissionSettings, microseconds
from processors.admission.stamps import Stamps
from processors.admission.writer import Writer, Writing
from projections.fold.connection import kafka_client, redis_client
from projections.metrics.errors import failed
from schemas.errors import LogUnavailable
from schemas.frames import Source
from schemas.topics import CATALOG, CREDITS, USAGE

FETCH: Final = 2_000
POLL_SECONDS: Final = 0.05
ROUND_SECONDS: Final = 0.05
"""From round to round while little comes: a frame costs all stages as much as hundreds of rows."""
CONTROL_SECONDS: Final = 5.0
DRAIN_SECONDS: Final = 10.0
LAG_SECONDS: Final = 5.0


class Question(NamedTuple):
    """The ends that were asked for, and the latest time that each partition had buffered before."""

    owned: dict[int, Owned]
    latest: dict[int, int]
    ends: EndOffsets


class AdmissionWorker:
    """One worker. `run` returns after `stop`; anything that ends it otherwise is raised."""

    def __init__(self, settings: AdmissionSettings, observer: Observer | None = None) -> None:
        self.status = Status(last_progress=time.monotonic())
        self._settings = settings
        self._observer: Observer = observer or Unobserved()
        self._stopping = False
        self._stamps = Stamps(settings)
        self._lag_due = self._began = 0.0
        self._question: Question | None = None
        self._writing: Writing | None = None
        self._held_up = False
        self._usage = settings.topic(USAGE)
        self._credits, self._catalog = settings.topic(CREDITS), settings.topic(CATALOG)

    def stop(self) -> None:
        """Ask the worker to finish what it has sent and return; safe in a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Work until `stop`.

        Raises ConfigurationError, Fenced, ClaimsBehind, LogReplacedError, LogError, DeliveryError:
        the process must then end at once (`os._exit`), so that nothing more is sent.
        """
        try:
            self._open()
        except Stopped:
            return
        try:
            try:
                while not self._stopping:
                    self._step()
                self._finish()
            except Stopped:
                pass
            self._group.finish(DRAIN_SECONDS)
        except BaseException:
            self._outbox.abandon()
            raise
        self._control.close()

    def _open(self) -> None:
        settings = self._settings
        width = microseconds(settings.dedupe_window)
        self._outbox = Outbox(settings)
        self._admin = AdminClient(kafka_client(settings.kafka))
        patience = Patience(self.status, lambda: self._stopping, self._outbox.poll)
        client = redis_client(settings.redis)
        claims = Claims(client, settings.key_prefix, width, settings.keys_per_generation)
        self._writer = Writer(claims, self._outbox, patience, self._observer, width)
        partitions = patience.until_done(lambda: partition_count(self._admin, settings))
        self._control = patience.until_done(lambda: Control(settings, self._stamps.records))
        self._group = Group(
            settings, partitions, claims, self._control, self._outbox, self._writer, patience
        )

    def _step(self) -> None:
        self._outbox.poll()
        self._stamps.now()
        self.status.joined = self._group.joined
        if self._group.acknowledge():
            self.status.last_progress = time.monotonic()
        try:
            if self._writing is not None:
                self._read(0)  # while Redis still answers the last round
                self._finish()
            self._read(self._until_due())
            self._control.read()
            answered, self._question = self._question, None
            ends = answered.ends.answer() if answered else {}
            self._ask()
            if answered:
                self._round(answered, ends)
            self._report()
        except LogUnavailable as error:
            self.status.waiting(str(error))
            failed(error)
            self._outbox.poll(LEAST_WAIT)
        else:
            self.status.waiting(None)
        self._tick()

    def _until_due(self) -> float:
        """How many seconds to wait for more before the next round."""
        if self._question is None or self._held_up:
            return POLL_SECONDS
        if any(len(owned.usage) >= FETCH for owned in self._question.owned.values()):
            return 0
        return max(0, self._began + ROUND_SECONDS - time.monotonic())

    def _read(self, seconds: float) -> None:
        """Take what has arrived, so few at a time that the processor's cache holds them.

        Waits up to `seconds` for the first `FETCH`.
        """
        for _ in range(0, self._settings.batch, FETCH):
            try:
                messages = self._group.consumer.consume(FETCH, seconds)
            except KafkaException as error:
                raise map_error(error.args[0]) from error
            self._intake(messages)
            if len(messages) < FETCH:
                return
            seconds = 0

    def _intake(self, messages: Sequence[Message]) -> None:
        fetched = Fetched(messages)
        usage = {partition: owned.usage for partition, owned in self._group.owned.items()}
        fetched.fill(usage, self._stamps.records)
        self._group.limit(2 * self._settings.batch)
        fetched.check()

    def _ask(self) -> None:
        owned = self._group.owned
        asked = {p: latest(each.buffers) for p, each in owned.items() if each.ready}
        due = time.monotonic() >= self._lag_due
        if not asked and not (due and owned):
            return
        if due:
            self._lag_due = time.monotonic() + LAG_SECONDS
        places = [(self._catalog, 0)]
        for partition in owned if due else asked:
            places += [(self._usage, partition), (self._credits, partition)]
        of = {partition: owned[partition] for partition in asked}
        self._question = Question(of, asked, EndOffsets(self._admin, places))

    def _round(self, answered: Question, ends: dict[tuple[str, int], int]) -> None:
        self._control.read_to(ends, CONTROL_SECONDS)
        for partition, owned in self._group.owned.items():
            if (end := ends.get((self._usage, partition))) is not None:
                owned.end = max(end, owned.usage.read_to)
        self._began = time.monotonic()
        asked: Writing | None = None
        for partition, owned in answered.owned.items():
            if self._group.owned.get(partition) is not owned or not owned.ready:
                continue  # taken away meanwhile, or enough under way
            views = [
                owned.buffers[Source.CATALOG].view(ends[self._catalog, 0]),
                owned.buffers[Source.CREDITS].view(ends[self._credits, partition]),
                owned.usage.view(ends[self._usage, partition]),
            ]
            counts = merge.writable(views, answered.latest[partition])
            if runs := first(merge.interleave(views, counts), self._settings.batch):
                owned.examiner.catch_up(self._control.log, owned.vector[Source.CATALOG])
                before, asked = asked, self._writer.begin(owned, runs)
                if before is not None:
                    self._writer.finish(before)
        self._writing = asked
        self._held_up = bool(answered.owned) and asked is None

    def _finish(self) -> None:
        """Write what the last round asked claims for, unless its partition was taken away."""
        writing, self._writing = self._writing, None
        if writing is not None:
            partition = writing.owned.examiner.partition
            if self._group.owned.get(partition) is writing.owned:
                self._writer.finish(writing)

    def _tick(self) -> None:
        now = time.monotonic()
        for partition, owned in self._group.owned.items():
            span = self._settings.tick_busy_seconds
            if not owned.busy:
                span = self._settings.tick_idle_seconds
            if owned.ticking or now < owned.last_tick + span:
                continue
            owned.ticking, owned.busy, owned.last_tick = True, False, now
            self._outbox.tick(partition, owned.ticked)

    def _report(self) -> None:
        owned = self._group.owned
        self.status.partitions = tuple(owned)
        self.status.lag = {partition: each.lag for partition, each in owned.items()}
