"""One batch of one partition: examined in merged order, its keys claimed, ready to be framed. Pure.

What decides lies here; `worker` only carries messages in and frames out.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from processors.admission.claims import CLAIMED, DUPLICATE, generations, pack
from processors.admission.envelope import Usage
from processors.admission.examine import Examiner
from processors.admission.fingerprint import content_digest, key_digest
from processors.admission.merge import Run
from processors.admission.record import RawRecord
from processors.admission.sequence import Entry
from schemas.frames import Source
from schemas.reasons import Reason, Refusal

_REFUSALS: Final = {
    Reason.DUPLICATE: Refusal(
        Reason.DUPLICATE, "the same account, source and id came before with this content", None
    ),
    Reason.CONFLICT: Refusal(
        Reason.CONFLICT, "the same account, source and id came before with other content", None
    ),
}


class Stretch(NamedTuple):
    """Keys to claim in one call: usage offsets `start` to `stop`, all in one generation."""

    start: int
    stop: int
    generation: int
    entries: list[int]
    items: list[bytes]


def examined(
    examiner: Examiner, runs: Sequence[Run], records: Sequence[Sequence[RawRecord]]
) -> list[Entry]:
    """Examine the records of `runs`, in order; `records` is indexed by Source."""
    examine = (examiner.catalog, examiner.credits, examiner.usage)
    return [
        Entry(source, record, examine[source](record))
        for source, start, stop in runs
        for record in records[source][start:stop]
    ]


def stretches(entries: Sequence[Entry], after: int, clock: int, width: int) -> Iterator[Stretch]:
    """The claims to ask for, in order, for usage that follows offset `after` and `clock`.

    Spans cover refused records and ticks too: `through` advances with every record of the log.
    """
    places = [index for index, entry in enumerate(entries) if entry.source is Source.USAGE]
    stamps = (entries[index].record.received_at for index in places)
    clocks = list(accumulate(stamps, max, initial=clock))[1:]
    for generation, start, stop in generations(clocks, width):
        chosen, items = [], []
        for index in places[start:stop]:
            event = entries[index].outcome
            if type(event) is Usage:
                chosen.append(index)
                key = key_digest(event.account, event.source, event.id)
                content = content_digest(event.type, event.data, event.contract)
                items.append(pack(key, entries[index].record.offset, content))
        end = entries[places[stop - 1]].record.offset + 1
        yield Stretch(after, end, generation, chosen, items)
        after = end


def settle(entries: Sequence[Entry], stretch: Stretch, answers: bytes) -> None:
    """Write the answers of one claim call into `entries`: what was not claimed is refused."""
    for index, answer in zip(stretch.entries, answers, strict=True):
        if answer != CLAIMED:
            reason = Reason.DUPLICATE if answer == DUPLICATE else Reason.CONFLICT
            entries[index].outcome = _REFUSALS[reason]
