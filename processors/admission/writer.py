"""Writes one partition: examines a stretch of merged records, claims, frames and sends it."""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import attrgetter

from processors.admission.asked import Asked
from processors.admission.batch import (
    Claim,
    Refused,
    Sought,
    Stretch,
    cut,
    examined,
    settle,
    settle_backfills,
)
from processors.admission.claims import Claims
from processors.admission.examine import owner_of
from processors.admission.merge import Run
from processors.admission.observe import Observer
from processors.admission.outbox import Flight, Outbox
from processors.admission.owned import Owned
from processors.admission.patience import Patience
from processors.admission.sequence import frame
from schemas.frames import JournalKind, Source, Vector
from schemas.reasons import Reason

_OTHERS = {int(JournalKind.TICK): "tick"}


@dataclass(slots=True)
class Claiming:
    """An examined stretch, and the claims asked for it."""

    stretch: Stretch
    answers: Asked[list[bytes]]


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
        vector, clock = owned.vector, owned.clock
        for piece in cut(runs, owned.buffers):
            stretch = examined(owned.examiner, piece, owned.buffers, vector, clock, self._width)
            vector, clock = stretch.upto, stretch.clock
            ask = partial(self._ask, owned.examiner.partition, stretch.claims)
            writing.claimings.append(Claiming(stretch, Asked(ask, self._asking)))
        return writing

    def finish(self, writing: "Writing") -> None:
        """Decide by the answers, send the frames, drop the records from the buffers.

        Raises Stopped, ClaimsBehind, Fenced, DeliveryError; then nothing of the batch counts as
        sent.
        """
        owned = writing.owned
        for claiming in writing.claimings:
            self._settle(owned, claiming)
        for claiming in writing.claimings:
            self._send(owned, claiming.stretch)
        owned.written(writing.runs)
        records = sum(run.stop - run.start for run in writing.runs)
        took = time.perf_counter() - writing.started
        self._observer.batch(records, len(writing.claimings), took)

    def acknowledge(self, owned: Owned, *, wait: bool) -> Vector | None:
        """Store the contiguous prefix of frames that the journal has; the new vector once it is.

        Redis stores it between two batches' claims while the next records are examined; `wait`
        stays until all is stored. Raises Stopped and ClaimsBehind.
        """
        before = owned.acknowledged
        while True:
            if owned.storing is None and (flight := owned.landed()) is not None:
                store = partial(
                    self._claims.acknowledge,
                    owned.examiner.partition,
                    flight.vector,
                    flight.clock,
                )
                owned.storing = flight, Asked(store, self._asking)
            if owned.storing is None or not (wait or owned.storing[1].answered):
                break
            flight, stored = owned.storing
            self._patience.until_done(stored.answer)
            owned.storing, owned.acknowledged = None, flight.vector
            self._observer.acknowledged()
        return None if owned.acknowledged == before else owned.acknowledged

    def _settle(self, owned: Owned, claiming: "Claiming") -> None:
        waited = time.perf_counter()
        answers = self._patience.until_done(claiming.answers.answer)
        waited = time.perf_counter() - waited
        self._observer.claimed(claiming.stretch.usage.height, waited)
        settle(claiming.stretch, answers, owned.usage)
        if claiming.stretch.sought:  # only now: usage before it may have been claimed just now
            find = partial(self._find, owned.examiner.partition, claiming.stretch.sought)
            settle_backfills(claiming.stretch, self._patience.until_done(find))

    def _find(self, partition: int, sought: Sequence[Sought]) -> bytes:
        """One call for each stretch of one generation, in their order."""
        return b"".join(
            self._claims.find(partition, generation, [each.item for each in some])
            for generation, some in groupby(sought, attrgetter("generation"))
        )

    def _ask(self, partition: int, asked: Sequence[Claim]) -> list[bytes]:
        """Idempotent: a claim asked for again at the same coordinate is accepted again."""
        return [
            self._claims.claim(partition, start, stop, generation, items)
            for start, stop, generation, items in asked
        ]

    def _send(self, owned: Owned, stretch: Stretch) -> None:
        flight = Flight(stretch.upto, stretch.clock)
        self._outbox.frame(owned.examiner.partition, frame(stretch), flight)
        for refused in stretch.refused:
            self._turn_away(owned, refused, flight)
        owned.flights.append(flight)
        owned.vector, owned.clock = stretch.upto, stretch.clock
        self._count(owned, stretch)

    def _turn_away(self, owned: Owned, refused: Refused, flight: Flight) -> None:
        _, source, record, why = refused
        if why.reason is Reason.FORWARDED:
            owner = owner_of(record, owned.examiner.partitions)
            self._outbox.forward(record, owner, flight)
        else:
            partition = 0 if source == Source.CATALOG else owned.examiner.partition
            self._outbox.reject(source, partition, record, why, flight)

    def _count(self, owned: Owned, stretch: Stretch) -> None:
        outcomes = Counter(_OTHERS.get(row[1], "document") for row in stretch.others)
        outcomes.update(str(refused.why.reason) for refused in stretch.refused)
        outcomes["accepted"] = stretch.usage.height
        for name, count in outcomes.items():
            if count:
                self._observer.outcome(name, count)
        owned.busy |= stretch.usage.height > 0
        owned.busy |= any(refused.source == Source.USAGE for refused in stretch.refused)
