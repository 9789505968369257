"""What admission makes of one raw record before its key is claimed. Pure.

A record is claimed only after it has passed every check here (architecture.md section 3, rule 1),
and a refused one has claimed nothing: its corrected resend is accepted. The first fault decides:
those of the envelope (`envelope`), then `forwarded` or `misrouted`, `bad_timestamp`, `too_old`,
`too_early`, `negative_quantity`; `duplicate` and `conflict` are found last, by the claim, also of a
backfill.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from processors.admission.metered import Metered
from processors.admission.record import RawRecord
from processors.admission.window import Window
from schemas.documents import Account, Backfill, Pack, Product, RateCard, parse_document
from schemas.documents import Document as Parsed
from schemas.envelope import Headers, Usage, decode_event, decode_structured
from schemas.partition import partition_of
from schemas.reasons import Reason, Refusal
from schemas.topics import MAX_INPUT_BYTES

FORWARDED_HEADER: Final = "drawdown-forwarded"
KIND_HEADER: Final = "drawdown-kind"
TICK_KIND: Final = b"tick"
BAD_TIMESTAMP: Final = -1
"""The received_at of a record whose stamp is missing or too far ahead."""


class Tick(msgspec.Struct, frozen=True):
    """The passing of time: a record that admission sent to itself."""


class Document(msgspec.Struct, frozen=True):
    """A valid document: the bytes that came, and the account of a credits document.

    `usage` is that of a backfill: refused where usage before it claimed the same key.
    """

    account: str | None
    data: bytes
    usage: Usage | None = None


Outcome = Usage | Tick | Document | Refusal
TICK: Final = Tick()


@dataclass(frozen=True, slots=True)
class Examiner:
    """Examines the records of one partition of `partitions`, in merged order."""

    partition: int
    partitions: int
    window: Window
    metered: Metered = field(default_factory=Metered)

    def usage(self, record: RawRecord) -> Outcome:
        """A usage record: a Tick, Usage to be claimed, or why not."""
        headers, received_at = record.headers, record.received_at
        if headers and is_tick(headers):
            return _bad_timestamp() if received_at == BAD_TIMESTAMP else TICK
        event = decode_event(record.value, headers)
        if type(event) is not Usage:
            return event
        if partition_of(event.account, self.partitions) != self.partition:
            return self._stray(event, headers)
        if received_at == BAD_TIMESTAMP:
            return _bad_timestamp()
        time = event.time
        window = self.window
        if received_at - window.max_age <= time <= received_at + window.max_lead:
            return self.metered.refuse(event) or event
        refusal = window.refuse(time, received_at)
        assert refusal is not None
        return refusal

    def credits(self, record: RawRecord) -> Outcome:
        """A credits record: a document or a command of this partition's accounts."""
        document = parse(record.value)
        if isinstance(document, Refusal):
            return document
        if isinstance(document, Product | RateCard | Pack):
            return _elsewhere(document.kind, "catalog")
        account = document.id if isinstance(document, Account) else document.account
        if (owner := partition_of(account, self.partitions)) != self.partition:
            detail = f"account {account} belongs to partition {owner}, not {self.partition}"
            return Refusal(Reason.MISROUTED, detail, None)
        if record.received_at == BAD_TIMESTAMP:
            return _bad_timestamp()
        usage = _backfilled(document)
        early = usage and self.window.refuse_early(usage.time, record.received_at)
        return early or Document(account, record.value or b"", usage)

    def catalog(self, record: RawRecord) -> Outcome:
        """A catalog record; what it meters counts for the usage behind it."""
        outcome = examine_catalog(record)
        data = outcome.data if isinstance(outcome, Document) else None
        self.metered.apply(record.offset, data)
        return outcome

    def catch_up(self, log: Iterable[RawRecord], upto: int) -> None:
        """Take in what `log` holds of the catalog below offset `upto` and was not seen yet."""
        if self.metered.through >= upto:
            return
        for record in log:
            if self.metered.through <= record.offset < upto:
                self.catalog(record)
        self.metered.through = upto

    def _stray(self, event: Usage, headers: Headers | None) -> Refusal:
        owner = partition_of(event.account, self.partitions)
        detail = f"account {event.account} belongs to partition {owner}, not {self.partition}"
        forwarded = any(name == FORWARDED_HEADER for name, _ in headers or ())
        return Refusal(Reason.MISROUTED if forwarded else Reason.FORWARDED, detail, None)


def examine_catalog(record: RawRecord) -> Outcome:
    """A catalog record: a product, a rate card or a pack. The same for every partition."""
    document = parse(record.value)
    if isinstance(document, Refusal):
        return document
    if not isinstance(document, Product | RateCard | Pack):
        return _elsewhere(document.kind, "credits")
    if record.received_at == BAD_TIMESTAMP:
        return _bad_timestamp()
    return Document(None, record.value or b"")


def _backfilled(document: Parsed) -> Usage | None:
    """The usage of a backfill; what is wrong with its event is found in rating."""
    if not isinstance(document, Backfill):
        return None
    event = decode_structured(document.event.encode())
    return event if isinstance(event, Usage) else None


def owner_of(record: RawRecord, partitions: int) -> int:
    """The partition of a well-formed usage record's account: where a stray one is forwarded to."""
    event = decode_event(record.value, record.headers)
    assert type(event) is Usage, event
    return partition_of(event.account, partitions)


def parse(value: bytes | None) -> Parsed | Refusal:
    """The document that a record holds, or the first of its faults with how many there are."""
    if value is None or len(value) > MAX_INPUT_BYTES:
        found = "no value" if value is None else f"{len(value)} bytes"
        reason = Reason.INVALID_DOCUMENT if value is None else Reason.TOO_LARGE
        return Refusal(reason, f"{found}, expected a document of at most {MAX_INPUT_BYTES}", None)
    document = parse_document(value)
    if not isinstance(document, list):
        return document
    first = document[0]
    if len(document) == 1:
        return first
    return Refusal(first.reason, f"{first.detail} (1 of {len(document)} faults)", first.path)


def is_tick(headers: Headers) -> bool:
    """Whether the headers are those of a tick."""
    return any(name == KIND_HEADER and value == TICK_KIND for name, value in headers)


def _bad_timestamp() -> Refusal:
    detail = "the record's timestamp is missing or further ahead than max_event_lead"
    return Refusal(Reason.BAD_TIMESTAMP, detail, None)


def _elsewhere(kind: str, topic: str) -> Refusal:
    return Refusal(Reason.INVALID_DOCUMENT, f"{kind} belongs in the {topic} topic", "kind")
