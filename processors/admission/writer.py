"""Writes one partition: examines a stretch of merged records, claims, frames and sends it."""

import time
from collections import Counter
from collections.abc import Sequence
from functools import partial

from processors.admission.batch import Stretch, examined, settle, stretches
from processors.admission.claims import Claims
from processors.admission.examine import Tick, owner_of
from processors.admission.merge import Run
from processors.admission.observe import Observer
from processors.admission.outbox import Flight, Outbox
from processors.admission.owned import Owned
from processors.admission.patience import Patience
from processors.admission.sequence import Entry, JournalFrame, frames
from schemas.frames import Source, Vector
from schemas.reasons import Reason, Refusal


class Writer:
    """The way from a partition's buffers to the journal. `width` is the dedupe window in us."""

    def __init__(
        self, claims: Claims, outbox: Outbox, patience: Patience, observer: Observer, width: int
    ) -> None:
        self._claims, self._outbox, self._patience = claims, outbox, patience
        self._observer, self._width = observer, width

    def write(self, owned: Owned, runs: Sequence[Run]) -> None:
        """Decide the records of `runs`, send their frames, drop them from the buffers.

        Raises Stopped, ClaimsBehind, Fenced, DeliveryError; then nothing of the batch counts as
        sent.
        """
        started = time.perf_counter()
        entries = examined(owned.examiner, runs, [buffer.records for buffer in owned.buffers])
        self._claim(owned, entries)
        sent = 0
        for frame in frames(owned.vector, owned.clock, entries):
            self._send(owned, entries, frame)
            sent += 1
        owned.written(runs)
        self._count(owned, entries)
        self._observer.batch(len(entries), sent, time.perf_counter() - started)

    def acknowledge(self, owned: Owned) -> Vector | None:
        """Store the contiguous prefix of frames that the journal has; the new vector, if any.

        Raises Stopped and ClaimsBehind.
        """
        flight = owned.landed()
        if flight is None:
            return None
        partition = owned.examiner.partition
        self._patience.until_done(
            lambda: self._claims.acknowledge(partition, flight.vector, flight.clock)
        )
        owned.acknowledged = flight.vector
        return flight.vector

    def _claim(self, owned: Owned, entries: list[Entry]) -> None:
        after = owned.vector[Source.USAGE]
        for stretch in stretches(entries, after, owned.clock, self._width):
            started = time.perf_counter()
            answers = self._patience.until_done(partial(self._ask, owned, stretch))
            settle(entries, stretch, answers)
            self._observer.claimed(len(stretch.items), time.perf_counter() - started)

    def _ask(self, owned: Owned, stretch: Stretch) -> bytes:
        start, stop, generation, _, items = stretch
        return self._claims.claim(owned.examiner.partition, start, stop, generation, items)

    def _send(self, owned: Owned, entries: list[Entry], frame: JournalFrame) -> None:
        flight = Flight(frame.upto, frame.clock)
        self._outbox.frame(owned.examiner.partition, frame.value, flight)
        if frame.accepted < frame.stop - frame.start:
            for index in range(frame.start, frame.stop):
                entry = entries[index]
                if type(entry.outcome) is Refusal:
                    self._turn_away(owned, entry, entry.outcome, flight)
        owned.flights.append(flight)
        owned.vector, owned.clock = frame.upto, frame.clock

    def _turn_away(self, owned: Owned, entry: Entry, why: Refusal, flight: Flight) -> None:
        if why.reason is Reason.FORWARDED:
            owner = owner_of(entry.record, owned.examiner.partitions)
            self._outbox.forward(entry.record, owner, flight)
        else:
            partition = 0 if entry.source == Source.CATALOG else owned.examiner.partition
            self._outbox.reject(entry.source, partition, entry.record, why, flight)

    def _count(self, owned: Owned, entries: Sequence[Entry]) -> None:
        for (source, kind), count in Counter(map(_name, entries)).items():
            self._observer.outcome(kind, count)
            owned.busy = owned.busy or (source == Source.USAGE and kind != "tick")


def _name(entry: Entry) -> tuple[Source, str]:
    source, outcome = entry.source, entry.outcome
    if type(outcome) is Refusal:
        return source, str(outcome.reason)
    if type(outcome) is Tick:
        return source, "tick"
    return source, "accepted" if source == Source.USAGE else "document"
