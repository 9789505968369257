"""A partition's whole path in memory, out of the real parts: admission's pure half and both folds.

Builds the evidence of `deploy.reading` that a deployment of one partition would leave behind. Tests
break one thing in it and ask what is reported.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deploy.reading.evidence import Evidence, RawLog, read_journal, read_ledger, read_rated
from processors.admission.batch import examined, settle
from processors.admission.buffer import Buffer
from processors.admission.claims import CLAIMED, CONFLICT, DUPLICATE
from processors.admission.examine import KIND_HEADER, TICK_KIND, Examiner
from processors.admission.merge import Buffered, Run, interleave
from processors.admission.owned import first
from processors.admission.record import RawRecord, columns_of
from processors.admission.sequence import frame
from processors.admission.window import Window
from processors.rating.stage import RatingFold
from projections.balances.stage import BalancesFold
from projections.fold.log import Read
from projections.fold.outbox import Output
from projections.fold.position import Position, record_digest
from projections.fold.snapshot import Snapshot
from projections.fold.stage import Fold
from projections.rows import MemoryReader
from schemas.documents import CATALOG_KINDS
from schemas.frames import Source
from schemas.times import format_instant
from schemas.topics import ALERTS, LEDGER, RATED, Topic

DAY = 86_400_000_000
START = 1_780_000_000_000_000
WINDOW = 3 * DAY
BATCH = 3
Log = list[tuple[int, bytes]]


@dataclass
class Traffic:
    """What is sent; times in seconds after START, never falling within a source."""

    sent: tuple[list[RawRecord], list[RawRecord], list[RawRecord]] = field(
        default_factory=lambda: ([], [], [])
    )
    start: int = START

    def send(self, source: Source, seconds: float, body: bytes | None, **names: bytes) -> None:
        """Append a record with headers."""
        log = self.sent[source]
        log.append(RawRecord(len(log), self.at(seconds), None, body, list(names.items())))

    def at(self, seconds: float) -> int:
        """An instant, in the whole milliseconds of a broker."""
        return self.start + int(seconds * 1_000) * 1_000

    def document(self, seconds: float, kind: str, **fields: object) -> None:
        """Send a document to the topic of its kind."""
        source = Source.CATALOG if kind in CATALOG_KINDS else Source.CREDITS
        self.send(source, seconds, json.dumps({"kind": kind, **fields}).encode())

    def tick(self, seconds: float) -> None:
        """Send a tick."""
        self.send(Source.USAGE, seconds, None, **{KIND_HEADER: TICK_KIND})

    def usage(
        self, seconds: float, account: str, number: object, tokens: object = 1, **more: object
    ) -> None:
        """Send a usage event of `tokens`; `more` are further attributes."""
        event = {
            "specversion": "1.0",
            "id": f"e{number}",
            "source": "test",
            "type": "llm.request",
            "subject": account,
            "time": format_instant(self.at(seconds)),
            "data": {"tokens": tokens, "model": "m"},
            **more,
        }
        self.send(Source.USAGE, seconds, json.dumps(event).encode())


@dataclass
class Logs:
    """Every log and row that the path leaves behind; change them, then `evidence`."""

    traffic: Traffic
    journal: Log
    acknowledged: tuple[int, int, int]
    rated: Log = field(default_factory=list)
    ledger: Log = field(default_factory=list)
    alerts: list[bytes] = field(default_factory=list)
    rating: Snapshot = field(default_factory=Snapshot)
    balances: Snapshot = field(default_factory=Snapshot)
    raw_low: int = 0
    journal_low: int = 0

    def evidence(self) -> Evidence:
        """What a reader would gather from it."""

        def raw(source: Source) -> RawLog:
            low = self.raw_low if source is Source.USAGE else 0
            records: list[Read] = [
                (each.offset, each.received_at // 1_000, each.value or b"", None, _headers(each))
                for each in self.traffic.sent[source]
                if each.offset >= low
            ]
            return RawLog(low, lambda: iter(records))

        return Evidence(
            partition=0,
            acknowledged=self.acknowledged,
            dedupe_window=WINDOW,
            raw={source: raw(source) for source in Source},
            journal=read_journal(self.journal, self.journal_low, self.rating.position.offset),
            rating=self.rating,
            rated=read_rated(self.rated, 0, self.balances.position.offset),
            balances=self.balances,
            ledger=read_ledger(self.ledger, 0),
            alerts=self.alerts,
            alerts_low=0,
        )


def admit(
    traffic: Traffic, size: int = 7, forget: Sequence[int] = (), drop: Sequence[int] = ()
) -> Logs:
    """Sequence the traffic as admission does, a frame for every `size` records.

    Usage offsets in `forget` are accepted though their key is claimed; those in `drop` are refused
    as duplicates though it is not: the faults that I2 is about.
    """
    sent = traffic.sent
    received = [[record.received_at for record in log] for log in sent]
    buffers = [Buffered(times, times[-1] if times else 0, at_end=True) for times in received]
    runs = interleave(buffers, [len(log) for log in sent])
    examiner = Examiner(0, 1, Window(WINDOW, 300_000_000))
    claims: dict[bytes, bytes] = {}

    def answer(item: bytes) -> int:
        offset, key, content = int.from_bytes(item[16:21], "big"), item[:16], item[21:]
        known = claims.setdefault(key, content) if offset not in drop else content
        first = offset in forget or (known is content and offset not in drop)
        return CLAIMED if first else DUPLICATE if known == content else CONFLICT

    filled = tuple(Buffer(0) for _ in sent)
    for buffer, log in zip(filled, sent, strict=True):
        buffer.extend(columns_of(log))
    vector, clock = (0, 0, 0), 0
    journal: Log = []
    while taken := first(runs, size):
        stretch = examined(examiner, taken, filled, vector, clock, WINDOW)
        answers = [bytes(map(answer, claim.items)) for claim in stretch.claims]
        settle(stretch, answers, filled[Source.USAGE])
        journal.append((len(journal), frame(stretch)))
        vector, clock = stretch.upto, stretch.clock
        runs = _behind(runs, size)
    return Logs(traffic, journal, vector)


def _behind(runs: Sequence[Run], count: int) -> list[Run]:
    """What `first` leaves of them."""
    left = []
    for run in runs:
        skip = min(run.stop - run.start, count)
        count -= skip
        if run.start + skip < run.stop:
            left.append(run._replace(start=run.start + skip))
    return left


def fold(logs: Logs) -> Logs:
    """Run rating and balances over the journal, BATCH records at once."""
    outputs, logs.rating = _run(logs.journal, lambda at, rows: RatingFold(0, at, rows))
    logs.rated = _log(outputs, RATED)
    outputs, logs.balances = _run(logs.rated, lambda at, rows: BalancesFold(0, at, rows))
    logs.ledger = _log(outputs, LEDGER)
    logs.alerts = [value for _, value in _log(outputs, ALERTS)]
    return logs


def _run(log: Log, make: Callable[[Position, MemoryReader], Fold]) -> tuple[list[Output], Snapshot]:
    memory, position = MemoryReader(), Position(topic_id="t")
    stage = make(position, memory)
    outputs: list[Output] = []
    for start in range(0, len(log), BATCH):
        batch = log[start : start + BATCH]
        outputs.extend(stage.apply(batch))
        last, value = batch[-1]
        position = stage.advance(Position(last + 1, record_digest(value), "t"))
        memory.commit(stage.take_changes())
    due = [(instant, key) for key, instant in memory._due.items()]
    return outputs, Snapshot("1", position, dict(memory.rows), due)


def _log(outputs: Sequence[Output], topic: Topic) -> Log:
    return list(enumerate(output.value for output in outputs if output.topic is topic))


def _headers(record: RawRecord) -> list[tuple[str, bytes | None]]:
    return list(record.headers or ())


def usual_traffic(accounts: int = 3, events: int = 120, start: int = START) -> Traffic:
    """A catalog, accounts with two grants, usage with repeats, faults and ticks."""
    traffic = Traffic(start=start)
    meter = {
        "event_type": "llm.request",
        "aggregation": "sum",
        "value": "tokens",
        "dimensions": ["model"],
    }
    price = {"model": "unit", "unit_price": "0.5"}
    rate = {"product": "tokens", "match": {"model": "m"}, "price": price}
    version = {"version": 1, "effective_from": "2026-01-01T00:00:00Z", "rates": [rate]}
    traffic.document(0, "Product", id="tokens", name="tokens", meter=meter)
    traffic.document(0, "RateCard", id="standard", versions=[version])
    for number in range(accounts):
        name = f"a{number}"
        traffic.document(1, "Account", id=name, name=name, rate_card="standard")
        for grant, amount, seconds in (("g1", "10", 60), ("g2", "20", 3600)):
            traffic.document(
                1,
                "Grant",
                id=grant,
                account=name,
                type="promotional",
                amount=amount,
                effective_at=format_instant(start),
                expires_at=format_instant(start + seconds * 1_000_000),
            )
    for number in range(events):
        seconds = 2 + number
        account = f"a{number % accounts}"
        traffic.usage(seconds, account, number, 1 + number % 3)
        if number % 10 == 3:
            traffic.usage(seconds, account, number, 1 + number % 3)
        if number % 20 == 7:
            traffic.usage(seconds, account, number, "9")
        if number % 25 == 5:
            traffic.send(Source.USAGE, seconds, b'{"specversion": ')
            traffic.usage(seconds, "nobody", f"u{number}")
            traffic.usage(seconds, account, f"n{number}", -1)
            traffic.usage(seconds, account, f"b{number}", "NaN")
        if number % 15 == 0:
            traffic.tick(seconds)
    return traffic
