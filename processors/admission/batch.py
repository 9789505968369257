"""One batch of one partition: examined in merged order, its keys claimed, ready to be framed. Pure.

What decides lies here; `worker` only carries messages in and frames out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


from processors.admission.claims import CLAIMED, DUPLICATE, generations, pack
from processors.admission.envelope import Usage
from processors.admission.examine import Examiner, examine_catalog
from processors.admission.fingerprint import content_digest, key_digest
from processors.admission.merge import Run
from processors.admission.record import RawRecord
from processors.admission.sequence import Entry
from schemas.frames import Source
from schemas.reasons import Reason, Refusal


class Stretch(NamedTuple):
    """Keys to claim in one call: usage offsets `start` to `stop`, all in one generation."""

    start: int
    stop: int
    generation: int
    entries: list[int]
    items: list[bytes]


@dataclass(slots=True)
class Batch:
    """Entries in merged order with the messages they came from."""

    entries: list[Entry] = field(default_factory=list)
    messages: list[RawRecord] = field(default_factory=list)


def examined(
    examiner: Examiner,
    runs: Sequence[Run],
    messages: Sequence[Sequence[RawRecord]],
    received: Sequence[Sequence[int]],
) -> Batch:
    """Examine the records of `runs`; `messages` and `received` are indexed by Source."""
    batch = Batch()
    examine: dict[Source, Callable[[RawRecord, int], Entry]] = {
        Source.USAGE: lambda m, at: Entry(
            Source.USAGE, m.offset(), at, examiner.usage(m.value(), m.headers(), at)
        ),
        Source.CREDITS: lambda m, at: Entry(
            Source.CREDITS, m.offset(), at, examiner.credits(m.value(), at)
        ),
        Source.CATALOG: lambda m, at: Entry(
            Source.CATALOG, m.offset(), at, examine_catalog(m.value(), at)
        ),
    }
    for source, start, stop in runs:
        taken = messages[source][start:stop]
        batch.messages.extend(taken)
        batch.entries.extend(map(examine[source], taken, received[source][start:stop]))
    return batch


def stretches(
    entries: Sequence[Entry], after: int, clock: int, width: int
) -> Iterator[Stretch]:
    """The claims to ask for, in order, for usage that follows offset `after` and `clock`.

    Spans cover refused records and ticks too: `through` advances with every record of the log.
    """
    places = [index for index, entry in enumerate(entries) if entry.source == Source.USAGE]
    clocks = []
    for index in places:
        clock = max(clock, entries[index].received_at)
        clocks.append(clock)
    for generation, start, stop in generations(clocks, width):
        chosen, items = [], []
        for index in places[start:stop]:
            _, offset, _, event = entries[index]
            if type(event) is Usage:
                chosen.append(index)
                key = key_digest(event.account, event.source, event.id)
                items.append(pack(key, offset, content_digest(event.type, event.data)))
        end = entries[places[stop - 1]].offset + 1
        yield Stretch(after, end, generation, chosen, items)
        after = end


def settle(entries: list[Entry], stretch: Stretch, answers: bytes) -> None:
    """Write the answers of one claim call into `entries`: what was not claimed is refused."""
    for index, answer in zip(stretch.entries, answers, strict=True):
        if answer != CLAIMED:
            reason = Reason.DUPLICATE if answer == DUPLICATE else Reason.CONFLICT
            entries[index] = entries[index]._replace(outcome=_refusal(reason))


def _refusal(reason: Reason) -> Refusal:
    detail = (
        "the same account, source and id came before"
        if reason is Reason.DUPLICATE
        else "the same account, source and id came before with other content"
    )
    return Refusal(reason, detail, None)
