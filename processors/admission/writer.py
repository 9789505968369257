"""Writes one partition: examines a stretch of merged records, claims, frames and sends it."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

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

PIECE: Final = 5_000
"""Records whose claims are asked for at once."""


@dataclass(slots=True)
class Claiming:
    """Examined records, and the claims asked for them."""

    entries: list[Entry]
    asked: list[Stretch]
    ask: Callable[[], list[bytes]]
    future: "Future[list[bytes]] | None"

    def answers(self) -> list[bytes]:
        """The answers asked for; called again, asks again."""
        future, self.future = self.future, None
        return self.ask() if future is None else future.result()


@dataclass(slots=True)
class Writing:
    """One partition's batch between asking for its claims and their answers."""

    owned: Owned
    runs: Sequence[Run]
    started: float
    claimings: list[Claiming] = field(default_factory=list)


class Writer:
    """The way from a partition's buffers to the journal. `width` is the dedupe window in us."""

    def __init__(
        self, claims: Claims, outbox: Outbox, patience: Patience, observer: Observer, width: int
    ) -> None:
        self._claims, self._outbox, self._patience = claims, outbox, patience
        self._observer, self._width = observer, width
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="claims")

    def begin(self, owned: Owned, runs: Sequence[Run]) -> "Writing":
        """Examine the records of `runs` and ask for their claims; `finish` takes the answers.

        Redis answers while the next records are examined: of this batch, or of the next partition.
        """
        writing = Writing(owned, runs, time.perf_counter())
        records = [buffer.records for buffer in owned.buffers]
        after, clock = owned.vector[Source.USAGE], owned.clock
        for piece in _pieces(runs):
            entries = examined(owned.examiner, piece, records)
            asked = list(stretches(entries, after, clock, self._width))
            if asked:
                after = asked[-1].stop
                clock = max(clock, *(e.record.received_at for e in entries if _of_usage(e)))
            ask = partial(self._ask, owned.examiner.partition, asked)
            writing.claimings.append(Claiming(entries, asked, ask, self._asking.submit(ask)))
        return writing

    def finish(self, writing: "Writing") -> None:
        """Decide by the answers, send the frames, drop the records from the buffers.

        Raises Stopped, ClaimsBehind, Fenced, DeliveryError; then nothing of the batch counts as
        sent.
        """
        owned = writing.owned
        for claiming in writing.claimings:
            self._settle(claiming)
        entries = [entry for claiming in writing.claimings for entry in claiming.entries]
        sent = 0
        for frame in frames(owned.vector, owned.clock, entries):
            self._send(owned, entries, frame)
            sent += 1
        owned.written(writing.runs)
        self._count(owned, entries)
        self._observer.batch(len(entries), sent, time.perf_counter() - writing.started)

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

    def _settle(self, claiming: "Claiming") -> None:
        waited = time.perf_counter()
        answers = self._patience.until_done(claiming.answers)
        waited = time.perf_counter() - waited
        for stretch, answer in zip(claiming.asked, answers, strict=True):
            settle(claiming.entries, stretch, answer)
        self._observer.claimed(sum(len(stretch.items) for stretch in claiming.asked), waited)

    def _ask(self, partition: int, asked: Sequence[Stretch]) -> list[bytes]:
        """Idempotent: a claim asked for again at the same coordinate is accepted again."""
        return [
            self._claims.claim(partition, start, stop, generation, items)
            for start, stop, generation, _, items in asked
        ]

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


def _pieces(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """`runs` cut into pieces of at most PIECE records, in order."""
    piece: list[Run] = []
    room = PIECE
    for source, start, stop in runs:
        at = start
        while at < stop:
            end = min(at + room, stop)
            piece.append(Run(source, at, end))
            at, room = end, room - (end - at)
            if not room:
                yield piece
                piece, room = [], PIECE
    if piece:
        yield piece


def _of_usage(entry: Entry) -> bool:
    return entry.source is Source.USAGE


def _name(entry: Entry) -> tuple[Source, str]:
    source, outcome = entry.source, entry.outcome
    if type(outcome) is Refusal:
        return source, str(outcome.reason)
    if type(outcome) is Tick:
        return source, "tick"
    return source, "accepted" if source == Source.USAGE else "document"
